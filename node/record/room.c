/* The room: its threads, its rules, and who is recorded. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/base/log.h"
#include "node/control/gather.h"
#include "node/control/node_metrics.h"
#include "node/record/record_private.h"

#define OUT_MAX_BYTES ((size_t)256 << 20)
#define LOOK_US 1000000

const char *const k_record_states[] = {"waiting", "writing", "no_room", "error"};

/* --- the folder --- */

static int open_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0 || errno != ENOENT || mkdir(path, 0755) != 0)
        return fd;
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* A folder that was removed is made again; its number stays, so nobody need be told. */
static void look_at_folder(struct record *record)
{
    const char *path = record->node ? record->node->conf.record_dir : "";
    struct stat about;
    int fd;

    if (!*path || fstat(record->dir_fd, &about) != 0 || about.st_nlink)
        return;
    fd = open_dir(path);
    if (fd < 0)
        return;
    if (dup3(fd, record->dir_fd, O_CLOEXEC) >= 0)
        log_warn("record", "msg=\"the folder was removed: it is made again\" dir=%s",
                 LOG_STR(path));
    (void)close(fd);
}

bool record_has_room(struct record *record)
{
    int64_t now_us = clock_mono_us();
    uint64_t least = record->limits.min_free_bytes, free_bytes;
    bool was_full = atomic_load(&record->is_full), is_full;
    struct statvfs about;

    if (now_us - atomic_load(&record->looked_us) < LOOK_US)
        return !was_full;
    atomic_store(&record->looked_us, now_us);
    look_at_folder(record);
    if (!least)
        return true;
    if (fstatvfs(record->dir_fd, &about) != 0)
        return !was_full;
    free_bytes = (uint64_t)about.f_bavail * about.f_frsize;
    if (was_full) /* not on and off with each file that goes */
        least += least / 16;
    is_full = free_bytes < least;
    if (is_full == was_full ||
        !atomic_compare_exchange_strong(&record->is_full, &was_full, is_full))
        return !is_full;
    metric_set(&m_record_paused, is_full);
    log_warn("record", "msg=\"%s\" free_bytes=%llu limit=%llu",
             is_full ? "no room: recording is paused (record.min_free_bytes)"
                     : "there is room again: recording goes on",
             (unsigned long long)free_bytes, (unsigned long long)record->limits.min_free_bytes);
    return !is_full;
}

/* --- who is recorded --- */

static struct recorder *recorder_for(struct record *record, const struct stream *stream)
{
    char key[24];
    struct recorder *r;

    snprintf(key, sizeof key, "%p", (const void *)stream);
    pthread_mutex_lock(&record->lock);
    r = map_get(&record->by_stream, key);
    pthread_mutex_unlock(&record->lock);
    return r;
}

static bool is_same_plan(const struct record_plan *a, const struct record_plan *b)
{
    return a->formats == b->formats && a->split_us == b->split_us &&
           a->split_bytes == b->split_bytes && a->segment_us == b->segment_us;
}

static bool is_wanted(const struct record_plan *plan, const struct stream_info *info)
{
    bool is_relayed = info->kind == SOURCE_PULL && !strcmp(info->protocol, "relay");

    return plan->formats && (plan->relayed || !is_relayed);
}

void record_on_stream_changed(struct record *record, struct stream *stream)
{
    struct record_plan plan;
    struct stream_info info;
    struct recorder *r;

    if (!record || stream_has_ended(stream))
        return; /* its sinks are told */
    r = recorder_for(record, stream);
    if (!stream_has_source(stream)) {
        if (r && r->is_publisher) /* a pull turns to another upstream: the run goes on */
            recorder_end_files(r);
        return;
    }
    stream_get_info(stream, &info);
    plan = record_plan_for(record, stream_name_of(stream), info.record);
    if (r && (!is_wanted(&plan, &info) || !is_same_plan(&plan, &r->plan))) {
        recorder_close(r, RECORD_CUT_STOP);
        r = NULL;
    }
    if (!r && is_wanted(&plan, &info))
        r = recorder_open(record, stream, &plan);
    if (r)
        r->is_publisher = info.kind == SOURCE_PUBLISHER;
}

static void look_again(struct stream *stream, void *arg)
{
    record_on_stream_changed(arg, stream);
}

static void look_at_streams(struct media_loop *ml, void *arg)
{
    gather_each_stream(ml, look_again, arg);
}

static void on_looked(void *arg)
{
    struct record *record = arg;

    record->is_looking_at_all = false;
    if (record->looks_again)
        record_look_at_all(record);
}

/* A thousand rules that come at once are two walks over the streams. */
void record_look_at_all(struct record *record)
{
    record->looks_again = record->is_looking_at_all;
    if (record->is_looking_at_all)
        return;
    record->is_looking_at_all = gather(record->node, look_at_streams, on_looked, record) == E_OK;
    if (!record->is_looking_at_all)
        log_error("record", "msg=\"rules wait for the next change of a stream\" reason=\"%s\"",
                  err_text(E_NOMEM));
}

bool record_is_busy(const struct record *record)
{
    return record && atomic_load(&record->n_busy);
}

void record_each_status(struct record *record,
                        void (*each)(const struct record_status *status, void *arg), void *arg)
{
    struct list *node, *tmp;

    pthread_mutex_lock(&record->lock);
    list_for_each_safe(node, tmp, &record->recorders) {
        struct recorder *r = list_entry(node, struct recorder, node);

        for (unsigned i = 0; i < r->n_writers; i++) {
            struct record_status status;

            pthread_mutex_lock(&r->lock);
            status = r->writers[i].status;
            pthread_mutex_unlock(&r->lock);
            status.n_dropped_gops = atomic_load(&r->n_dropped);
            each(&status, arg);
        }
    }
    pthread_mutex_unlock(&record->lock);
}

/* --- life --- */

static enum err start_loop(struct loop **loop, const char *name, unsigned index)
{
    *loop = loop_create(name, index);
    if (*loop && loop_start_thread(*loop) == E_OK)
        return E_OK;
    if (*loop)
        loop_destroy(loop);
    return E_NOMEM;
}

static void on_stop(struct loop_msg *msg)
{
    (void)msg;
    loop_stop(loop_current());
}

/* What was posted before is done. */
static void stop_loop(struct loop **loop, struct loop_msg *msg)
{
    if (!*loop)
        return;
    *msg = (struct loop_msg){.run = on_stop};
    loop_post(*loop, msg);
    loop_join(*loop);
    loop_destroy(loop);
}

static enum err start_threads(struct record *record, unsigned n_threads)
{
    unsigned index = record->node->n_loops + 2;
    enum err e = record_upkeep_start(record);

    if (e == E_OK)
        e = start_loop(&record->reader, "record-read", index++);
    for (; e == E_OK && record->n_threads < n_threads; record->n_threads++) {
        struct record_thread *thread = &record->threads[record->n_threads];

        buf_writer_init(&thread->out, OUT_MAX_BYTES);
        thread->place = (struct record_place){.dir_fd = record->dir_fd,
                                              .out = &thread->out,
                                              .finish = record_upkeep_finish,
                                              .arg = record};
        e = start_loop(&thread->loop, "record-write", index++);
        if (e != E_OK)
            break;
    }
    return e;
}

static void set_limits(struct record *record, const struct node_conf *conf)
{
    record->limits = (struct record_limits){.min_free_bytes = conf->record_min_free_bytes,
                                            .max_bytes = conf->record_max_bytes,
                                            .queue_bytes = conf->record_queue_bytes,
                                            .max_age_us = (int64_t)conf->record_max_age_s * 1000000,
                                            .queue_us = (int64_t)conf->record_queue_ms * 1000};
}

enum err record_create(struct node *node, struct record **out, struct conf_error *error)
{
    const struct node_conf *conf = &node->conf;
    struct record *record;
    enum err e;

    *out = NULL;
    if (!conf->record_dir[0])
        return E_OK;
    record = calloc(1, sizeof *record);
    if (!record)
        return E_NOMEM;
    record->node = node;
    pthread_mutex_init(&record->lock, NULL);
    map_init(&record->by_stream);
    list_init(&record->recorders);
    atomic_init(&record->looked_us, -LOOK_US);
    set_limits(record, conf);
    record->dir_fd = open_dir(conf->record_dir);
    *out = record;
    e = record->dir_fd >= 0 ? record_rules_parse(&conf->record_rules, &record->conf_rules, error)
                            : E_INVAL;
    if (record->dir_fd < 0)
        snprintf(error->text, sizeof error->text, "record.dir: %.300s: %s", conf->record_dir,
                 strerror(errno));
    if (e == E_OK)
        e = start_threads(record, (unsigned)conf->record_threads);
    if (e == E_OK)
        record_own_settings(record, node->settings);
    else
        record_destroy(out);
    return e;
}

void record_destroy(struct record **out)
{
    struct record *record = *out;
    struct loop_msg msg;
    struct list *node;

    if (!record)
        return;
    while ((node = record->recorders.next) != &record->recorders)
        recorder_close(list_entry(node, struct recorder, node), RECORD_CUT_END);
    for (unsigned i = 0; i < record->n_threads; i++) {
        stop_loop(&record->threads[i].loop, &msg);
        buf_writer_fini(&record->threads[i].out);
    }
    record_upkeep_stop(record);
    stop_loop(&record->reader, &msg);
    record_rules_fini(&record->conf_rules);
    record_rules_fini(&record->told_rules);
    map_fini(&record->by_stream);
    pthread_mutex_destroy(&record->lock);
    if (record->dir_fd >= 0)
        (void)close(record->dir_fd);
    free(record);
    *out = NULL;
}
