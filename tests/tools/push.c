/* The command: each frame when it is due. A server that takes less than comes makes it late, and
 * nothing is left out. */
#include "tests/tools/push.h"

#include <string.h>

#include "tests/tools/media_link.h"
#include "tests/tools/tool_run.h"

#define MAX_QUEUED_BYTES ((size_t)1 << 20) /* beyond the socket's own buffer */
#define RETRY_MS 10                        /* of a pipe that has nothing, and of a full queue */
#define STEP_US 40000                      /* between two rounds of a file of one frame */

struct push_options {
    const char *path, *url;
    double speed;
    bool loop;
    struct tool_options common;
};

struct push {
    struct push_options options;
    struct tool_run run;
    struct tool_figures figures;
    struct load_target target;
    struct media_push *link;
    struct media_input *input;
    struct timer timer; /* the next frame is due */
    struct media_tag tag;
    bool has_tag;
    bool has_base; /* of this round */
    int64_t base_us, offset_us, last_us, step_us;
    int64_t start_us; /* when time 0 is due */
    uint64_t n_rounds;
    bool is_finishing;
    char error[512]; /* "" */
};

#define OF(member) offsetof(struct push_options, member)
/* clang-format off */
static const struct option_row k_rows[] = {
    {"FILE", "", OPTION_TEXT, 0, OF(path), 0, 0, false, "FLV, MPEG-TS or MP4; - = standard input"},
    {"URL", "", OPTION_TEXT, 0, OF(url), 0, 0, false, "rtmp[s]://host[:port]/app/name"},
    {"--speed", "X", OPTION_NUMBER, 0, OF(speed), 0, 1000, false,
     "times its own speed; 0 = as fast as the server takes it (1)"},
    {"--loop", "", OPTION_FLAG, 0, OF(loop), 0, 0, false,
     "again and again, with time going on, until it is interrupted"},
    TOOL_OPTION_ROWS(0, OF(common)),
};
/* clang-format on */
static const struct option_table k_table = {k_rows, sizeof k_rows / sizeof k_rows[0], NULL};
static const struct tool_command k_command = {
    "push", &k_table,
    "headwater-tool push: a recording to a server, at its own speed\n"
    "\n"
    "usage: headwater-tool push FILE URL [OPTION]...\n",
    "What the server is told of codecs is Enhanced RTMP: HEVC, AV1, VP9, Opus and others go as\n"
    "well as H.264 and AAC. Times begin at 0. SIGINT and SIGTERM end the stream properly.\n"
    "\n"
    "examples:\n"
    "  headwater-tool push clip.flv rtmp://127.0.0.1/live/a --loop\n"
    "  ffmpeg -i in.mkv -c copy -f mpegts - | headwater-tool push - rtmps://origin.example/live/a\n"
    "\n"
    "exit code: 0 all was sent, or it was interrupted; 1 FILE is broken, or the server refused or\n"
    "went away; 2 usage\n"};

static void fail(struct push *p, const char *why)
{
    if (!p->error[0])
        snprintf(p->error, sizeof p->error, "%s", why);
    loop_stop(p->run.loop);
}

/* --- the file --- */

static bool open_input(struct push *p, char *why, size_t size)
{
    p->input = media_input_open(p->options.path, why, size);
    if (p->input)
        media_input_set_patient(p->input);
    return p->input;
}

/* From its beginning, behind what was. */
static bool begin_again(struct push *p)
{
    char why[256];

    if (!p->figures.n_frames || !strcmp(p->options.path, "-"))
        return false;
    media_input_close(&p->input);
    p->n_rounds++;
    p->offset_us = p->last_us + (p->step_us ? p->step_us : STEP_US);
    p->has_base = false;
    if (open_input(p, why, sizeof why))
        return true;
    fail(p, why);
    return false;
}

/* Time 0 is the first frame's; what comes before it may say anything. */
static int64_t time_of(struct push *p)
{
    const struct media_tag *tag = &p->tag;
    int64_t time_us = p->offset_us;

    if (!p->has_base && !(tag->info.flags & FRAME_HEADERS)) {
        p->has_base = true;
        p->base_us = tag->dts_us;
    }
    if (p->has_base)
        time_us += tag->dts_us - p->base_us;
    return time_us < p->offset_us ? p->offset_us : time_us;
}

/* E_OK: p->tag is the next one. */
static enum err next_tag(struct push *p)
{
    enum err e = E_OK;

    if (!p->has_tag) {
        e = media_input_next(p->input, &p->tag);
        if (e == E_END && p->options.loop && begin_again(p))
            e = media_input_next(p->input, &p->tag);
    }
    p->has_tag = e == E_OK;
    return e;
}

/* --- sending --- */

static void send_tag(struct push *p, int64_t time_us)
{
    const struct media_tag *tag = &p->tag;

    p->has_tag = false;
    if (tag->is_broken)
        return;
    if (time_us > p->last_us)
        p->step_us = time_us - p->last_us;
    if (time_us > p->last_us)
        p->last_us = time_us;
    if (media_push_write(p->link, tag->type_id, (uint32_t)(time_us / 1000), tag->body) != E_OK) {
        fail(p, "the server has closed the connection");
        return;
    }
    p->tag.dts_us = time_us; /* as it went out */
    tool_count(&p->figures, &p->tag);
}

static void finish(struct push *p)
{
    p->is_finishing = true;
    media_push_finish(p->link);
}

/* All that is due. */
static void on_due(struct timer *timer)
{
    struct push *p = list_entry(timer, struct push, timer);
    enum err e = E_OK;

    while (!p->error[0] && (e = next_tag(p)) == E_OK) {
        int64_t time_us = time_of(p), now_us = clock_mono_us();
        int64_t due_us = p->start_us +
                         (p->options.speed > 0 ? (int64_t)((double)time_us / p->options.speed) : 0);

        if (media_push_queued_bytes(p->link) > MAX_QUEUED_BYTES) {
            timer_start_ms(timer, RETRY_MS);
            return;
        }
        if (due_us > now_us) {
            timer_start_at_us(timer, due_us);
            return;
        }
        send_tag(p, time_us);
    }
    if (p->error[0])
        return;
    if (e == E_AGAIN)
        timer_start_ms(timer, RETRY_MS);
    else if (e == E_END)
        finish(p);
    else
        fail(p, media_input_why(p->input));
}

static void on_started(void *arg)
{
    struct push *p = arg;

    p->start_us = clock_mono_us();
    timer_start_ms(&p->timer, 0);
}

static void on_end(void *arg, enum err e, const char *why)
{
    struct push *p = arg;

    timer_stop(&p->timer);
    if (!p->is_finishing)
        fail(p, why);
    else if (e != E_END && e != E_CLOSED)
        fail(p, why);
    loop_stop(p->run.loop);
}

static const struct media_link_ops k_ops = {.on_started = on_started, .on_end = on_end};

/* --- the run --- */

static int open_all(struct push *p)
{
    char why[256] = "";
    const char *text = why;

    if (tool_run_init(&p->run, &p->options.common, &p->figures, "pushed", why, sizeof why) != E_OK)
        return tool_usage_error(&k_command, "", why);
    if (load_target_init(&p->target, p->options.url, &text) != E_OK)
        return tool_usage_error(&k_command, p->options.url, text);
    if (p->target.is_http)
        return tool_usage_error(&k_command, p->options.url, "only rtmp and rtmps are pushed to");
    return open_input(p, why, sizeof why) ? -1 : tool_usage_error(&k_command, "", why);
}

static void connect_and_run(struct push *p)
{
    const struct media_link_conf conf = {.loop = p->run.loop,
                                         .target = &p->target,
                                         .timeout_ms = (int64_t)(p->options.common.timeout_s * 1e3),
                                         .ops = &k_ops,
                                         .arg = p};

    timer_init(&p->timer, p->run.loop, on_due);
    p->figures.begin_us = clock_mono_us();
    p->link = media_push_open(&conf);
    if (!p->link) {
        snprintf(p->error, sizeof p->error, "%s", err_text(E_NOMEM));
        return;
    }
    tool_run_loop(&p->run);
    timer_stop(&p->timer);
    if (tool_is_interrupted() && p->start_us && !p->is_finishing && !p->error[0]) {
        finish(p); /* a proper end; it takes a moment, and a second signal does not wait for it */
        tool_run_loop(&p->run);
    }
    media_push_close(&p->link);
}

static int conclude(struct push *p)
{
    json_t *json = tool_figures_json(&p->figures, p->error[0] ? p->error : NULL);

    if (p->error[0])
        tool_say("%s", p->error);
    if (json)
        (void)json_object_set_new(json, "rounds", json_integer((json_int_t)p->n_rounds + 1));
    return tool_report(&p->run, json, p->error[0] != '\0');
}

int push_main(int argc, char **argv)
{
    static struct push p = {.options = {.speed = 1, .common = TOOL_OPTIONS_DEFAULT}};
    int status = tool_parse(&k_command, argc, argv, &p.options, &p.options.common);

    if (status >= 0)
        return status;
    if (!p.options.path || !p.options.url)
        return tool_usage_error(&k_command, "", "which file, to where?");
    status = open_all(&p);
    if (status < 0) {
        connect_and_run(&p);
        status = conclude(&p);
    }
    media_input_close(&p.input);
    tool_run_fini(&p.run);
    return status;
}
