/* Keep-alive connections with several requests under way on each. Without --rate, every answer is
 * followed by the next request, so the server is never idle; with it, requests go out when they are
 * due, whatever became of the ones before, and count from then: a server that falls behind is seen
 * as late, not as asked less. */
#include "tests/tools/ask.h"

#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/http/http.h"
#include "tests/tools/alarm_at.h"
#include "tests/tools/ask_answers.h"
#include "tests/tools/ask_requests.h"
#include "tests/tools/load_stats.h"
#include "tests/tools/load_target.h"
#include "tests/tools/options.h"

#define TURN_US 100              /* between two looks at what is due */
#define MAX_UNDER_WAY 4096u      /* on one connection; a power of two */
#define MAX_OUT_BYTES (4u << 20) /* of one write */
#define MAX_FILE_BYTES (256u << 20)

struct options {
    const char *to, *paths_file, *token_file, *json_path;
    double connections, depth, rate, warmup_s, seconds;
    bool help;
};

/* clang-format off */
#define OF(member) offsetof(struct options, member)
static const struct option_row k_rows[] = {
    {"--to", "URL", OPTION_TEXT, 0, OF(to), 0, 0, false, "http://host:port"},
    {"--paths", "FILE", OPTION_TEXT, 0, OF(paths_file), 0, 0, false,
     "a path with its query on each line; they are asked for in turn, again and again"},
    {"--token-file", "FILE", OPTION_TEXT, 0, OF(token_file), 0, 0, false, "bearer token; its first line"},
    {"--connections", "N", OPTION_NUMBER, 0, OF(connections), 1, 10000, true, "how many (16)"},
    {"--depth", "N", OPTION_NUMBER, 0, OF(depth), 1, MAX_UNDER_WAY, true,
     "requests under way on each, without --rate (8)"},
    {"--rate", "N", OPTION_NUMBER, 0, OF(rate), 0, 1e7, false,
     "requests a second, evenly; 0 = as many as are answered (0)"},
    {"--warmup", "S", OPTION_NUMBER, 0, OF(warmup_s), 0, 3600, false, "seconds before the window (1)"},
    {"--seconds", "S", OPTION_NUMBER, 0, OF(seconds), 0.1, 1e6, false, "length of the window (5)"},
    {"--json", "FILE", OPTION_TEXT, 0, OF(json_path), 0, 0, false, "figures; without it they go to stdout"},
    {"--help", "", OPTION_FLAG, 0, OF(help), 0, 0, false, "this text"},
};
/* clang-format on */
static const struct option_table k_table = {k_rows, sizeof k_rows / sizeof k_rows[0], NULL};

struct asker; /* one connection */

struct run {
    struct options options;
    struct loop *loop;
    struct load_target target;
    struct ask_requests requests;
    struct buf_writer out; /* empty between two writes */
    struct asker *askers;  /* owned */
    unsigned n_askers, next_asker, n_lost;
    struct alarm_at alarm;
    int64_t begin_us, due_us, cpu_us;
    double interval_us;
    bool counting;
    uint64_t n_due;                          /* with --rate: how many were due so far */
    uint64_t n_answers, n_failed, n_skipped; /* within the window */
    struct load_hist latency;
    char why[160]; /* the first complaint */
};

struct asker {
    struct run *run;
    struct conn *conn;
    struct ask_answers answers;
    int64_t since_us[MAX_UNDER_WAY]; /* ring */
    unsigned first, n_under_way;
};

static struct run g_run = {.alarm = {.fd = -1}};

static int64_t cpu_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* --- one connection --- */

static void lose(struct asker *asker, const char *why)
{
    struct run *r = asker->run;

    if (r->n_lost++ == 0)
        snprintf(r->why, sizeof r->why, "a connection was lost: %s", why);
    conn_close(&asker->conn);
    if (r->n_lost == r->n_askers)
        loop_stop(r->loop);
}

/* Puts one request into run->out; it counts since then. */
static void put_request(struct asker *asker, int64_t since_us)
{
    struct run *r = asker->run;

    buf_write_view(&r->out, ask_requests_next(&r->requests));
    asker->since_us[(asker->first + asker->n_under_way++) % MAX_UNDER_WAY] = since_us;
}

static void flush(struct asker *asker)
{
    struct run *r = asker->run;
    enum err e = buf_writer_status(&r->out);

    if (e == E_OK && r->out.used_bytes)
        e = conn_write(asker->conn, buf_writer_view(&r->out));
    buf_writer_clear(&r->out);
    if (e != E_OK)
        lose(asker, err_text(e));
}

static void count_answer(struct asker *asker, unsigned status, int64_t now_us)
{
    struct run *r = asker->run;
    int64_t since_us = asker->since_us[asker->first];

    asker->first = (asker->first + 1) % MAX_UNDER_WAY;
    asker->n_under_way--;
    if (!r->counting)
        return;
    r->n_answers++;
    if (status != 200 && r->n_failed++ == 0 && !r->why[0])
        snprintf(r->why, sizeof r->why, "status %u", status);
    load_hist_add(&r->latency, now_us - since_us);
}

static void on_readable(struct conn *conn, void *arg)
{
    struct asker *asker = arg;
    struct run *r = asker->run;
    struct buf_view got;
    unsigned status;
    enum err e;

    while ((e = conn_read(conn, &got)) == E_OK) {
        int64_t now_us = clock_mono_us();

        e = ask_answers_feed(&asker->answers, got);
        while (e == E_OK && (e = ask_answers_next(&asker->answers, &status)) == E_OK) {
            if (asker->n_under_way == 0)
                e = E_PROTO; /* nothing was asked */
            else
                count_answer(asker, status, now_us);
            if (e == E_OK && r->options.rate == 0)
                put_request(asker, now_us);
        }
        if (e != E_AGAIN)
            break;
    }
    if (e != E_AGAIN)
        lose(asker, err_text(e));
    else
        flush(asker);
}

static void on_error(struct conn *conn, void *arg, enum err e)
{
    (void)conn;
    lose(arg, err_text(e));
}

static const struct conn_ops k_ops = {.on_readable = on_readable, .on_error = on_error};

/* --- when requests are due --- */

/* The next connection that stands, or NULL. */
static struct asker *pick(struct run *r)
{
    for (unsigned i = 0; i < r->n_askers; i++) {
        struct asker *asker = &r->askers[r->next_asker];

        r->next_asker = (r->next_asker + 1) % r->n_askers;
        if (asker->conn)
            return asker;
    }
    return NULL;
}

static void send_due(struct run *r, int64_t now_us)
{
    while (r->due_us <= now_us) {
        struct asker *asker = pick(r);

        if (!asker)
            return;
        if (asker->n_under_way == MAX_UNDER_WAY) {
            r->n_skipped += r->counting;
        } else {
            put_request(asker, r->due_us);
            flush(asker);
        }
        r->due_us = r->begin_us + (int64_t)(r->interval_us * (double)++r->n_due);
    }
}

static void on_alarm(struct alarm_at *alarm)
{
    struct run *r = list_entry(alarm, struct run, alarm);
    int64_t now_us = clock_mono_us(), begin_us, end_us;

    begin_us = r->begin_us + (int64_t)(r->options.warmup_s * 1e6);
    end_us = begin_us + (int64_t)(r->options.seconds * 1e6);
    if (!r->counting && now_us >= begin_us) {
        r->counting = true;
        r->cpu_us = cpu_us();
    }
    if (now_us >= end_us) {
        loop_stop(r->loop);
        return;
    }
    if (r->options.rate > 0)
        send_due(r, now_us);
    alarm_at_set(&r->alarm, clock_mono_us() + TURN_US);
}

/* --- the run --- */

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "headwater-tool ask: %s: %s\n", what, why);
    return 2;
}

/* Takes the whole file into out. */
static enum err read_file(const char *path, struct buf_writer *out)
{
    FILE *file = fopen(path, "re");
    char piece[4096];
    size_t n;

    if (!file)
        return E_IO;
    while ((n = fread(piece, 1, sizeof piece, file)) > 0)
        buf_write(out, piece, n);
    fclose(file);
    return buf_writer_status(out);
}

static enum err read_token(const char *path, char token[256])
{
    struct buf_writer text;
    struct buf_view line;
    enum err e;

    token[0] = '\0';
    if (!path)
        return E_OK;
    buf_writer_init(&text, 65536);
    e = read_file(path, &text);
    line = buf_writer_view(&text);
    if (e == E_OK && line.size_bytes) {
        const uint8_t *end = memchr(line.data, '\n', line.size_bytes);

        line.size_bytes = end ? (size_t)(end - line.data) : line.size_bytes;
        e = buf_view_to_str(line, token, 256) ? E_OK : E_TOO_BIG;
    }
    buf_writer_fini(&text);
    return e;
}

static int init_requests(struct run *r)
{
    const struct options *o = &r->options;
    struct buf_writer text;
    char host[256], token[256];
    struct url url;
    enum err e;

    if (read_token(o->token_file, token) != E_OK)
        return fail(o->token_file, "cannot be read");
    if (url_parse(buf_view_str(o->to), &url) != E_OK ||
        !buf_view_to_str(url.host, host, sizeof host))
        return fail(o->to, "not http://host:port");
    buf_writer_init(&text, MAX_FILE_BYTES);
    e = read_file(o->paths_file, &text);
    if (e == E_OK)
        e = ask_requests_init(&r->requests, buf_writer_view(&text), host, token);
    buf_writer_fini(&text);
    return e == E_OK ? 0 : fail(o->paths_file, err_text(e));
}

static int init_askers(struct run *r)
{
    r->n_askers = (unsigned)r->options.connections;
    r->askers = calloc(r->n_askers, sizeof *r->askers);
    if (!r->askers)
        return fail("connections", err_text(E_NOMEM));
    for (unsigned i = 0; i < r->n_askers; i++) {
        struct asker *asker = &r->askers[i];

        asker->run = r;
        ask_answers_init(&asker->answers);
        asker->conn = load_dial(r->loop, &r->target, 0, &k_ops, asker);
        if (!asker->conn)
            return fail(r->options.to, "no connection");
    }
    return 0;
}

static int init(struct run *r)
{
    const char *why = "";
    int status;

    r->loop = loop_create("ask", 0);
    if (!r->loop || alarm_at_init(&r->alarm, r->loop, on_alarm) != E_OK)
        return fail("loop", err_text(E_NOMEM));
    buf_writer_init(&r->out, MAX_OUT_BYTES);
    if (load_target_init(&r->target, r->options.to, &why) != E_OK || !r->target.is_http)
        return fail(r->options.to, *why ? why : "not an http:// URL");
    status = init_requests(r);
    return status ? status : init_askers(r);
}

static void fini(struct run *r)
{
    for (unsigned i = 0; r->askers && i < r->n_askers; i++) {
        conn_close(&r->askers[i].conn);
        ask_answers_fini(&r->askers[i].answers);
    }
    free(r->askers);
    ask_requests_fini(&r->requests);
    buf_writer_fini(&r->out);
    alarm_at_fini(&r->alarm);
    loop_destroy(&r->loop);
}

static void begin(struct run *r)
{
    r->begin_us = r->due_us = clock_mono_us();
    r->interval_us = r->options.rate > 0 ? 1e6 / r->options.rate : 0;
    for (unsigned i = 0; r->options.rate == 0 && i < r->n_askers; i++) {
        for (double n = 0; n < r->options.depth; n++)
            put_request(&r->askers[i], r->begin_us);
        flush(&r->askers[i]);
    }
    alarm_at_set(&r->alarm, r->begin_us);
}

/* Returns the exit code. */
static int conclude(struct run *r)
{
    double us = (double)(clock_mono_us() - r->begin_us) - r->options.warmup_s * 1e6;
    double cpu = r->counting && us > 0 ? (double)(cpu_us() - r->cpu_us) / us : 0;
    FILE *file = r->options.json_path ? fopen(r->options.json_path, "we") : stdout;
    json_t *json = json_pack(
        "{s:f, s:I, s:f, s:I, s:I, s:I, s:s, s:o, s:f}", "seconds", us / 1e6, "answers",
        (json_int_t)r->n_answers, "per_s", us > 0 ? (double)r->n_answers * 1e6 / us : 0.0, "failed",
        (json_int_t)r->n_failed, "skipped", (json_int_t)r->n_skipped, "lost", (json_int_t)r->n_lost,
        "why", r->why, "latency_ms", load_hist_json(&r->latency), "cpu", cpu);

    if (!file || !json || json_dumpf(json, file, JSON_INDENT(1) | JSON_REAL_PRECISION(7)) != 0)
        fprintf(stderr, "headwater-tool ask: the figures cannot be written\n");
    json_decref(json);
    if (file && r->options.json_path)
        fclose(file);
    return r->n_failed || r->n_lost || r->n_answers == 0;
}

static void on_interrupt(int number)
{
    (void)number;
    loop_stop(g_run.loop); /* an exchange and a write: fine in a signal handler */
}

static void help(void)
{
    fputs("headwater-tool ask: requests to an HTTP server on one thread\n"
          "\n"
          "usage: headwater-tool ask --to URL --paths FILE [OPTION]...\n"
          "\n",
          stdout);
    options_help(&k_table, stdout);
    fputs("\nexit code: 0 fine; 1 an answer was not 200 or a connection was lost; 2 usage\n",
          stdout);
}

int ask_main(int argc, char **argv)
{
    struct run *r = &g_run;
    char why[256];
    int status;

    r->options = (struct options){.connections = 16, .depth = 8, .warmup_s = 1, .seconds = 5};
    if (options_parse(&k_table, argc, argv, &r->options, why, sizeof why) != E_OK)
        return fail(why, "--help");
    if (r->options.help) {
        help();
        return 0;
    }
    if (!r->options.to || !r->options.paths_file)
        return fail("--to and --paths are needed", "--help");
    status = init(r);
    if (status == 0) {
        signal(SIGPIPE, SIG_IGN);
        signal(SIGINT, on_interrupt);
        signal(SIGTERM, on_interrupt);
        begin(r);
        loop_run(r->loop);
        status = conclude(r);
    }
    fini(r);
    return status;
}
