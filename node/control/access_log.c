/* See access_log.h. */
#include "node/control/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/date.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/utf8.h"
#include "node/control/node_metrics.h"

#define MAX_QUEUED 16384u /* some 10 MB at worst */
#define BATCH_BYTES (256u << 10)
#define RETRY_S 5 /* a file that could not be opened is tried again */
#define END_WAIT_S 5

const char *const k_access_log_formats[] = {"json", "text", NULL};

enum {
    TEXT_NODE,
    TEXT_SESSION,
    TEXT_CLIENT,
    TEXT_STREAM,
    TEXT_REFERRER,
    TEXT_AGENT,
    TEXT_REASON,
    N_TEXTS
};

struct record { /* one block, with its texts behind it */
    struct list node;
    struct access_entry entry;
    char texts[];
};

struct access_log {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    struct list queue; /* under the lock, as are the four below */
    unsigned n_queued;
    bool wants_reopen, is_ending, has_ended;
    _Atomic unsigned n_batches; /* that were written, or lost: the thread goes on */
    /* The thread's own. */
    enum access_log_format format;
    int fd;
    time_t tried_s;
    bool is_broken; /* said already */
    bool is_torn;   /* the last line in the file has no end */
    char path[];
};

/* --- queue --- */

static struct record *copy(const struct access_entry *entry)
{
    struct access_entry e = *entry;
    const char **texts[N_TEXTS] = {
        [TEXT_NODE] = &e.node,     [TEXT_SESSION] = &e.session,   [TEXT_CLIENT] = &e.client,
        [TEXT_STREAM] = &e.stream, [TEXT_REFERRER] = &e.referrer, [TEXT_AGENT] = &e.agent,
        [TEXT_REASON] = &e.reason};
    size_t size = 0, at = 0;
    struct record *r;

    for (int i = 0; i < N_TEXTS; i++)
        size += strnlen(*texts[i], ACCESS_LOG_TEXT_BYTES) + 1;
    r = calloc(1, sizeof *r + size);
    if (!r)
        return NULL;
    for (int i = 0; i < N_TEXTS; i++) {
        size_t n = strnlen(*texts[i], ACCESS_LOG_TEXT_BYTES);

        *texts[i] = memcpy(r->texts + at, *texts[i], n); /* what follows is zero */
        at += n + 1;
    }
    r->entry = e;
    return r;
}

void access_log_put(struct access_log *log, const struct access_entry *entry)
{
    struct record *r = log ? copy(entry) : NULL;

    if (!log)
        return;
    pthread_mutex_lock(&log->lock);
    if (r && log->n_queued < MAX_QUEUED) {
        list_push_back(&log->queue, &r->node);
        if (log->n_queued++ == 0) /* else it is awake, or about to be */
            pthread_cond_signal(&log->wake);
        r = NULL;
    } else {
        metric_add(&m_access_log_lost_queue, 1);
    }
    pthread_mutex_unlock(&log->lock);
    free(r);
}

void access_log_reopen(struct access_log *log)
{
    if (!log)
        return;
    pthread_mutex_lock(&log->lock);
    log->wants_reopen = true;
    pthread_cond_signal(&log->wake);
    pthread_mutex_unlock(&log->lock);
}

/* --- lines --- */

enum type { TYPE_TIME, TYPE_TEXT, TYPE_NUMBER, TYPE_SECONDS, TYPE_BOOL };

static const struct {
    const char *key;
    enum type type;
    size_t offset;
} k_columns[] = {
    {"time", TYPE_TIME, offsetof(struct access_entry, wall_us)},
    {"node", TYPE_TEXT, offsetof(struct access_entry, node)},
    {"session", TYPE_TEXT, offsetof(struct access_entry, session)},
    {"client", TYPE_TEXT, offsetof(struct access_entry, client)},
    {"protocol", TYPE_TEXT, offsetof(struct access_entry, protocol)},
    {"kind", TYPE_TEXT, offsetof(struct access_entry, kind)},
    {"stream", TYPE_TEXT, offsetof(struct access_entry, stream)},
    {"refused", TYPE_BOOL, offsetof(struct access_entry, is_refused)},
    {"seconds", TYPE_SECONDS, offsetof(struct access_entry, duration_us)},
    {"bytes_in", TYPE_NUMBER, offsetof(struct access_entry, bytes_in)},
    {"bytes_out", TYPE_NUMBER, offsetof(struct access_entry, bytes_out)},
    {"jumps", TYPE_NUMBER, offsetof(struct access_entry, n_jumps)},
    {"dropped", TYPE_NUMBER, offsetof(struct access_entry, n_dropped)},
    {"referrer", TYPE_TEXT, offsetof(struct access_entry, referrer)},
    {"agent", TYPE_TEXT, offsetof(struct access_entry, agent)},
    {"reason", TYPE_TEXT, offsetof(struct access_entry, reason)},
};

static void write_json_text(struct buf_writer *out, const char *text)
{
    buf_write_u8(out, '"');
    utf8_write_json(out, text);
    buf_write_u8(out, '"');
}

static void write_plain_text(struct buf_writer *out, const char *text)
{
    char quoted[2 * ACCESS_LOG_TEXT_BYTES];

    buf_write_str(out, *text ? log_quote(text, quoted, sizeof quoted) : "-");
}

static void write_value(struct buf_writer *out, enum type type, const void *value, bool is_json)
{
    char date[DATE_SIZE];
    const char *text;

    switch (type) {
    case TYPE_TIME:
        text = date_format(*(const int64_t *)value, date);
        buf_printf(out, is_json ? "\"%s\"" : "%s", text);
        break;
    case TYPE_TEXT:
        text = *(const char *const *)value;
        (is_json ? write_json_text : write_plain_text)(out, text);
        break;
    case TYPE_NUMBER:
        buf_write_decimal(out, *(const uint64_t *)value);
        break;
    case TYPE_SECONDS:
        buf_printf(out, "%.3f", (double)*(const int64_t *)value / 1e6);
        break;
    case TYPE_BOOL:
        buf_write_str(out, *(const bool *)value ? "true" : "false");
        break;
    }
}

static void write_line(struct buf_writer *out, const struct access_entry *entry, bool is_json)
{
    for (size_t i = 0; i < sizeof k_columns / sizeof k_columns[0]; i++) {
        const void *value = (const char *)entry + k_columns[i].offset;

        if (is_json)
            buf_printf(out, "%s\"%s\":", i ? "," : "{", k_columns[i].key);
        else if (i) /* a line begins with its time */
            buf_printf(out, " %s=", k_columns[i].key);
        write_value(out, k_columns[i].type, value, is_json);
    }
    buf_write_str(out, is_json ? "}\n" : "\n");
}

/* --- the file --- */

static void say_broken(struct access_log *log, const char *what)
{
    int code = errno;

    if (!log->is_broken)
        log_error("access",
                  "msg=\"the access log cannot be %s, lines are lost\" file=%s reason=\"%s\"", what,
                  LOG_STR(log->path), strerror(code));
    log->is_broken = true;
}

static time_t now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* The old file stays where a new one cannot be had. */
static void open_file(struct access_log *log)
{
    int fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0640);

    log->tried_s = now_s();
    if (fd < 0) {
        say_broken(log, "opened");
        return;
    }
    if (log->fd >= 0)
        close(log->fd);
    log->fd = fd;
    log->is_torn = false;
}

/* Returns how many bytes are in the file. */
static size_t write_all(struct access_log *log, const uint8_t *data, size_t size)
{
    size_t at = 0;

    while (at < size) {
        ssize_t n = write(log->fd, data + at, size - at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            say_broken(log, "written");
            break;
        }
        at += (size_t)n;
    }
    return at;
}

static unsigned count_lines(const uint8_t *data, size_t size)
{
    unsigned n = 0;

    for (size_t i = 0; i < size; i++)
        n += data[i] == '\n';
    return n;
}

static void write_batch(struct access_log *log, struct buf_writer *batch)
{
    unsigned n_lines = count_lines(batch->data, batch->used_bytes), n_written;
    size_t done = 0;

    if (log->fd < 0 && now_s() - log->tried_s >= RETRY_S)
        open_file(log);
    if (log->fd >= 0 && log->is_torn && write_all(log, (const uint8_t *)"\n", 1) == 1)
        log->is_torn = false;
    if (log->fd >= 0 && !log->is_torn)
        done = write_all(log, batch->data, batch->used_bytes);
    n_written = count_lines(batch->data, done);
    log->is_torn |= done > 0 && batch->data[done - 1] != '\n';
    metric_add(&m_access_log_lines, n_written);
    metric_add(&m_access_log_lost_file, n_lines - n_written);
    if (log->is_broken && done == batch->used_bytes && done) {
        log_info("access", "msg=\"the access log is written again\" file=%s", LOG_STR(log->path));
        log->is_broken = false;
    }
    buf_writer_clear(batch);
    atomic_fetch_add_explicit(&log->n_batches, 1, memory_order_relaxed);
}

/* --- the thread --- */

/* Takes the records. */
static void write_records(struct access_log *log, struct list *records, struct buf_writer *batch)
{
    struct list *node;

    while ((node = list_pop_front(records))) {
        struct record *r = list_entry(node, struct record, node);
        size_t before = batch->used_bytes;

        write_line(batch, &r->entry, log->format == ACCESS_LOG_JSON);
        if (buf_writer_status(batch) != E_OK) { /* no memory: not half a line */
            batch->used_bytes = before;
            batch->failed = E_OK;
            metric_add(&m_access_log_lost_file, 1);
        }
        free(r);
        if (batch->used_bytes >= BATCH_BYTES)
            write_batch(log, batch);
    }
    if (batch->used_bytes)
        write_batch(log, batch);
}

/* Waits; false at the end. */
static bool take_queue(struct access_log *log, struct list *records, bool *reopen)
{
    struct list *node;

    pthread_mutex_lock(&log->lock);
    while (list_is_empty(&log->queue) && !log->wants_reopen && !log->is_ending)
        pthread_cond_wait(&log->wake, &log->lock);
    *reopen = log->wants_reopen;
    log->wants_reopen = false;
    while ((node = list_pop_front(&log->queue)))
        list_push_back(records, node);
    log->n_queued = 0;
    pthread_mutex_unlock(&log->lock);
    return !list_is_empty(records) || *reopen;
}

static void *run(void *arg)
{
    struct access_log *log = arg;
    struct buf_writer batch;
    struct list records;
    bool reopen = true;

    list_init(&records);
    buf_writer_init(&batch, SIZE_MAX);
    open_file(log);
    while (take_queue(log, &records, &reopen)) {
        write_records(log, &records, &batch);
        if (reopen)
            open_file(log);
    }
    buf_writer_fini(&batch);
    pthread_mutex_lock(&log->lock);
    log->has_ended = true;
    pthread_cond_broadcast(&log->wake);
    pthread_mutex_unlock(&log->lock);
    return NULL;
}

struct access_log *access_log_create(const char *path, enum access_log_format format)
{
    size_t size = strlen(path) + 1;
    struct access_log *log = calloc(1, sizeof *log + size);
    pthread_condattr_t attr;

    if (!log)
        return NULL;
    memcpy(log->path, path, size);
    log->format = format;
    log->fd = -1;
    list_init(&log->queue);
    pthread_mutex_init(&log->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&log->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&log->thread, NULL, run, log) == 0)
        return log;
    pthread_cond_destroy(&log->wake);
    pthread_mutex_destroy(&log->lock);
    free(log);
    return NULL;
}

/* Under the lock. False: nothing was written for END_WAIT_S. */
static bool wait_for_batch(struct access_log *log)
{
    unsigned n_before = atomic_load_explicit(&log->n_batches, memory_order_relaxed);
    struct timespec until;
    int code = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += END_WAIT_S;
    while (!log->has_ended && code == 0)
        code = pthread_cond_timedwait(&log->wake, &log->lock, &until);
    return log->has_ended ||
           atomic_load_explicit(&log->n_batches, memory_order_relaxed) != n_before;
}

/* False: the disk does not answer. */
static bool wait_for_end(struct access_log *log)
{
    bool has_ended;

    pthread_mutex_lock(&log->lock);
    log->is_ending = true;
    pthread_cond_broadcast(&log->wake);
    while (!log->has_ended && wait_for_batch(log))
        ;
    has_ended = log->has_ended;
    pthread_mutex_unlock(&log->lock);
    return has_ended;
}

void access_log_destroy(struct access_log **log_ref)
{
    struct access_log *log = *log_ref;

    *log_ref = NULL;
    if (!log)
        return;
    if (!wait_for_end(log)) { /* its memory stays with the thread, that a disk holds */
        log_error("access", "msg=\"the access log's disk does not answer\" file=%s",
                  LOG_STR(log->path));
        pthread_detach(log->thread);
        return;
    }
    pthread_join(log->thread, NULL);
    if (log->fd >= 0)
        close(log->fd);
    pthread_cond_destroy(&log->wake);
    pthread_mutex_destroy(&log->lock);
    free(log);
}
