/* The upkeep: one thread that finishes files, recovers what a crash left, keeps the indexes, and
 * answers what is there. It alone changes an index. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "node/control/node_metrics.h"
#include "node/node.h"
#include "node/record/folder.h"
#include "node/record/record_private.h"

#define US_PER_MS 1000
#define SWEEP_MS 60000 /* so often at least */
#define SOON_MS 1000   /* and so soon after a file was finished */
#define AGAIN_MIN_MS 5000
#define AGAIN_MAX_MS 600000
#define MAX_URL_BYTES (STREAM_NAME_SIZE + RECORD_NAME_SIZE + 16)

static struct metric *const k_file_metrics[RECORD_N_FORMATS] = {
    [RECORD_FLV] = &m_record_files_flv,
    [RECORD_TS] = &m_record_files_ts,
    [RECORD_MP4] = &m_record_files_mp4,
    [RECORD_HLS] = &m_record_files_hls,
};

/* --- finished files --- */

static void tell(struct record *record, const struct stream_name *stream,
                 const struct record_entry *entry)
{
    char file[RECORD_NAME_SIZE], path[MAX_URL_BYTES], url[MAX_URL_BYTES + 16];

    record_name_format(&entry->name, file);
    snprintf(path, sizeof path, "%s/%s", stream->text, file);
    snprintf(url, sizeof url, "/records/%s", path);
    events_tell(record->node, EVENT_RECORD_SEGMENT,
                (const struct event_field[]){
                    {"stream", stream->text, 0},
                    {"path", path, 0},
                    {"url", url, 0},
                    {"format", k_record_formats[entry->name.format], 0},
                    {"reason", k_record_cuts[entry->cut], 0},
                    {"duration_ms", NULL, entry->duration_us / US_PER_MS},
                    {"bytes", NULL, (int64_t)entry->bytes},
                },
                7);
    log_info("record", "msg=finished stream=%s file=%s duration_ms=%lld bytes=%llu reason=%s",
             stream->text, file, (long long)(entry->duration_us / US_PER_MS),
             (unsigned long long)entry->bytes, k_record_cuts[entry->cut]);
}

static void sweep_soon(struct record *record)
{
    if (!record->limits.max_bytes && !record->limits.max_age_us)
        return;
    if (!record->is_sweep_due)
        timer_start_ms(&record->sweep_timer, SOON_MS + 20 * record->sweep_us / US_PER_MS);
    record->is_sweep_due = true;
}

/* Something was not to be written: that may pass, as a disk gets room again. */
static void look_later(struct record *record)
{
    if (timer_is_armed(&record->again_timer))
        return;
    timer_start_ms(&record->again_timer, record->again_ms);
    record->again_ms *= 2;
    if (record->again_ms > AGAIN_MAX_MS)
        record->again_ms = AGAIN_MAX_MS;
}

static void note(struct record *record, const struct stream_name *stream,
                 const struct record_name *name, const struct record_entry *entry, enum err e,
                 int reason)
{
    char file[RECORD_NAME_SIZE];

    if (e == E_OK) {
        metric_add(k_file_metrics[entry->name.format], 1);
        metric_add(&m_record_bytes, (int64_t)entry->bytes);
        tell(record, stream, entry);
        sweep_soon(record);
    }
    if (e == E_END || !reason)
        return;
    metric_add(&m_record_errors, 1);
    record_name_format(name, file);
    log_warn("record", "msg=\"%s\" stream=%s file=%s reason=\"%s\"",
             e == E_OK ? "cannot write the index" : "cannot finish a file; it is tried again",
             stream->text, file, strerror(reason));
    look_later(record);
}

struct finish_job {
    struct loop_msg msg;
    struct record *record;
    struct record_done done;
};

static void on_finish(struct loop_msg *msg)
{
    struct finish_job *job = list_entry(msg, struct finish_job, msg);
    struct record_name name = job->done.name;
    struct record_entry entry;
    int reason = 0;
    enum err e = record_finish(job->record->dir_fd, &job->done, &entry, &reason);

    note(job->record, &job->done.stream, &name, &entry, e, reason);
    atomic_fetch_sub(&job->record->n_busy, 1);
    free(job);
}

static void drop_finish(struct loop_msg *msg)
{
    struct finish_job *job = list_entry(msg, struct finish_job, msg);

    record_done_free(&job->done);
    atomic_fetch_sub(&job->record->n_busy, 1);
    free(job);
}

void record_upkeep_finish(void *record, struct record_done *done)
{
    struct finish_job *job = malloc(sizeof *job);

    if (!job) { /* the next look finishes it */
        record_done_free(done);
        return;
    }
    *job = (struct finish_job){
        .msg = {.run = on_finish, .drop = drop_finish}, .record = record, .done = *done};
    atomic_fetch_add(&job->record->n_busy, 1);
    loop_post(job->record->upkeep, &job->msg);
}

/* --- what was left behind --- */

struct left { /* a file "*.part" */
    struct list node;
    struct stream_name stream;
    struct record_name name;
};

struct look {
    struct loop_msg msg;
    struct record *record;
    struct list left;
};

static void look_at_folder(void *arg, const struct stream_name *stream, int folder_fd)
{
    struct look *look = arg;
    DIR *list = record_folder_list(folder_fd);
    struct dirent *entry;
    struct left *left;
    struct record_name name;

    while (list && (entry = readdir(list))) {
        if (record_name_parse(entry->d_name, &name) != E_OK || !name.is_part)
            continue;
        left = malloc(sizeof *left);
        if (!left)
            break;
        *left = (struct left){.stream = *stream, .name = name};
        list_push_back(&look->left, &left->node);
    }
    if (list)
        closedir(list);
}

static void repair_folder(void *arg, const struct stream_name *stream, int folder_fd)
{
    struct look *look = arg;
    size_t n;

    if (record_index_repair(folder_fd, &n) != E_OK) {
        log_warn("record", "msg=\"cannot repair the index; it is tried again\" stream=%s",
                 stream->text);
        look_later(look->record);
    } else if (n) {
        log_warn("record", "msg=\"the index was made anew\" stream=%s changes=%zu", stream->text,
                 n);
    }
}

static void recover(struct record *record, const struct left *left)
{
    int folder_fd = record_folder_open(record->dir_fd, &left->stream, false), reason = 0;
    struct record_entry entry;
    enum err e;

    if (folder_fd < 0)
        return;
    e = record_recover(&left->stream, folder_fd, &left->name, &entry, &reason);
    (void)close(folder_fd);
    if (e == E_BUSY)
        return;
    if (e == E_OK)
        metric_add(&m_record_recovered, 1);
    note(record, &left->stream, &left->name, &entry, e, reason);
}

static void look_free(struct loop_msg *msg)
{
    struct look *look = list_entry(msg, struct look, msg);
    struct list *node;

    while ((node = list_pop_front(&look->left)))
        free(list_entry(node, struct left, node));
    free(look);
}

/* One file a turn: what else there is to do does not wait for all of them. */
static void on_recover(struct loop_msg *msg)
{
    struct look *look = list_entry(msg, struct look, msg);
    struct list *node = list_pop_front(&look->left);

    if (node) {
        struct left *left = list_entry(node, struct left, node);

        recover(look->record, left);
        free(left);
        loop_post(look->record->upkeep, msg);
        return;
    }
    record_folder_walk(look->record->dir_fd, repair_folder, look);
    sweep_soon(look->record);
    look->record->is_looking = false;
    if (!timer_is_armed(&look->record->again_timer))
        look->record->again_ms = AGAIN_MIN_MS;
    look_free(msg);
}

/* What is "*.part" and not locked was left: by a process that is gone, or when it could not be
 * finished. */
static enum err look_for_left(struct record *record)
{
    struct look *look = calloc(1, sizeof *look);

    if (!look)
        return E_NOMEM;
    look->msg = (struct loop_msg){.run = on_recover, .drop = look_free};
    look->record = record;
    list_init(&look->left);
    record->is_looking = true;
    record_folder_walk(record->dir_fd, look_at_folder, look);
    loop_post(record->upkeep, &look->msg);
    return E_OK;
}

static void on_again(struct timer *timer)
{
    struct record *record = list_entry(timer, struct record, again_timer);

    if (record->is_looking || look_for_left(record) != E_OK)
        look_later(record);
}

/* --- life --- */

static void on_sweep(struct timer *timer)
{
    struct record *record = list_entry(timer, struct record, sweep_timer);

    record->is_sweep_due = false;
    record_sweep(record);
    timer_start_ms(timer, SWEEP_MS);
}

enum err record_upkeep_start(struct record *record)
{
    enum err e = E_NOMEM;

    record->upkeep = loop_create("record-upkeep", record->node->n_loops + 1);
    if (!record->upkeep)
        return E_NOMEM;
    timer_init(&record->sweep_timer, record->upkeep, on_sweep);
    timer_init(&record->again_timer, record->upkeep, on_again);
    record->again_ms = AGAIN_MIN_MS;
    if (record->limits.max_bytes || record->limits.max_age_us)
        timer_start_ms(&record->sweep_timer, SWEEP_MS);
    if (look_for_left(record) == E_OK)
        e = loop_start_thread(record->upkeep);
    if (e != E_OK)
        loop_destroy(&record->upkeep);
    return e;
}

static void on_stop(struct loop_msg *msg)
{
    struct record *record = list_entry(msg, struct look, msg)->record;

    timer_stop(&record->sweep_timer);
    timer_stop(&record->again_timer);
    loop_stop(record->upkeep);
}

void record_upkeep_stop(struct record *record)
{
    struct look last = {.msg = {.run = on_stop}, .record = record};

    if (!record->upkeep)
        return;
    loop_post(record->upkeep, &last.msg);
    loop_join(record->upkeep);
    loop_destroy(&record->upkeep);
}
