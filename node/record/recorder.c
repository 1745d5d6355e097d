/* A recorder: a sink on the home loop of a stream that hands references to its frames, in batches,
 * to a thread that writes (recorder_write.c). When that does not keep up, whole GOPs are left out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/control/node_metrics.h"
#include "node/node.h"
#include "node/record/record_private.h"

#define BATCH_BYTES (1u << 20)
#define BATCH_US 500000
#define QUIET_US 10000000 /* drops closer together are one burst */

void recorder_unref(struct recorder *r)
{
    struct record *record = r->record;

    if (atomic_fetch_sub_explicit(&r->n_refs, 1, memory_order_acq_rel) != 1)
        return;
    for (unsigned i = 0; i < r->n_writers; i++)
        record_writer_fini(&r->writers[i].writer);
    track_set_fini(&r->tracks);
    track_set_fini(&r->missed);
    pthread_mutex_destroy(&r->lock);
    free(r);
    atomic_fetch_sub(&record->n_busy, 1);
}

/* --- files in the hands of the upkeep --- */

static void hold(struct record_owner *owner)
{
    struct recorder *r = list_entry(owner, struct recorder, owner);

    atomic_fetch_add_explicit(&r->n_refs, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&r->n_unfinished, 1, memory_order_relaxed);
}

static void let_go(struct record_owner *owner)
{
    struct recorder *r = list_entry(owner, struct recorder, owner);

    atomic_fetch_sub_explicit(&r->n_unfinished, 1, memory_order_relaxed);
    recorder_unref(r);
}

/* --- the home loop --- */

static struct recorder *recorder_of(struct stream_sink *sink)
{
    return list_entry(sink, struct recorder, sink);
}

static struct record_batch *batch_of(struct recorder *r)
{
    struct record_batch *batch = r->batch;

    if (batch)
        return batch;
    batch = malloc(sizeof *batch);
    if (!batch)
        return NULL;
    *batch = (struct record_batch){.msg = {.run = recorder_take_batch, .drop = recorder_drop_batch},
                                   .recorder = r,
                                   .run = r->run,
                                   .wall_offset_us = stream_wall_us(r->stream, 0),
                                   .since_us = clock_mono_us(),
                                   .bytes = sizeof *batch};
    r->batch = batch;
    return batch;
}

static void post(struct recorder *r)
{
    struct record_batch *batch = r->batch;

    if (!batch)
        return;
    r->batch = NULL;
    atomic_fetch_add_explicit(&r->n_refs, 1, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&r->n_queued, 1, memory_order_relaxed) == 0)
        atomic_store_explicit(&r->oldest_us, batch->since_us, memory_order_relaxed);
    atomic_fetch_add_explicit(&r->record->queued_bytes, batch->bytes, memory_order_relaxed);
    metric_add(&m_record_queue_bytes, (int64_t)batch->bytes);
    loop_post(r->thread->loop, &batch->msg);
}

static bool is_queue_full(const struct recorder *r)
{
    const struct record_limits *limits = &r->record->limits;

    if (atomic_load_explicit(&r->record->queued_bytes, memory_order_relaxed) >= limits->queue_bytes)
        return true;
    return atomic_load_explicit(&r->n_queued, memory_order_relaxed) &&
           clock_mono_us() - atomic_load_explicit(&r->oldest_us, memory_order_relaxed) >=
               limits->queue_us;
}

/* What was begun of a GOP is left as it is: a decoder needs nothing of what follows. */
static void begin_dropping(struct recorder *r)
{
    int64_t now_us = clock_mono_us();

    r->is_dropping = true;
    atomic_fetch_add_explicit(&r->n_dropped, 1, memory_order_relaxed);
    metric_add(&m_record_dropped_gops, 1);
    if (!r->said_us || now_us - r->said_us > QUIET_US)
        log_warn("record",
                 "msg=\"the disk does not keep up: a GOP is left out\" stream=%s queue_bytes=%zu",
                 r->name.text, atomic_load(&r->record->queued_bytes));
    r->said_us = now_us;
}

static void put(struct recorder *r, const struct media_frame *frame, bool entry)
{
    struct record_batch *batch = batch_of(r);

    if (!batch) {
        begin_dropping(r);
        (void)track_set_apply(&r->missed, frame);
        return;
    }
    batch->items[batch->n_items++] =
        (struct record_item){.frame = media_frame_ref(frame), .entry = entry};
    batch->bytes += frame->size_bytes + sizeof *frame;
    if (batch->n_items == RECORD_BATCH_FRAMES || batch->bytes >= BATCH_BYTES)
        post(r);
}

/* What follows is nothing without them: of those that there is no room for each track's last one
 * stays, so that a publisher with nothing but headers fills no memory either. */
static void take_headers(struct recorder *r, const struct media_frame *frame)
{
    if (!r->is_dropping && is_queue_full(r))
        begin_dropping(r);
    if (r->is_dropping)
        (void)track_set_apply(&r->missed, frame);
    else
        put(r, frame, false);
}

static void put_missed(struct recorder *r)
{
    for (unsigned i = 0; i < r->missed.n_configs; i++)
        put(r, r->missed.configs[i], false);
    track_set_clear(&r->missed);
}

static void take(struct recorder *r, const struct media_frame *frame, bool entry)
{
    if (frame->info.kind == MEDIA_DATA)
        return;
    if (record_is_header(frame)) {
        take_headers(r, frame);
        return;
    }
    if (r->batch && (entry || clock_mono_us() - r->batch->since_us >= BATCH_US))
        post(r); /* a complete GOP at once: it is what survives a crash */
    if (entry && r->is_dropping && !is_queue_full(r)) {
        r->is_dropping = false;
        put_missed(r);
    } else if (!r->is_dropping && is_queue_full(r)) {
        begin_dropping(r);
    }
    if (!r->is_dropping)
        put(r, frame, entry);
    else if (entry)
        begin_dropping(r); /* this one, too */
}

static void on_frame(struct stream_sink *sink, const struct media_frame *frame, bool entry)
{
    take(recorder_of(sink), frame, entry);
}

/* The files end behind what was put so far. Without memory they go on. */
static void end_files_of(struct recorder *r, enum batch_end end, enum record_cut cut)
{
    struct record_batch *batch = batch_of(r);

    if (!batch)
        return;
    batch->end = end;
    batch->cut = cut;
    post(r);
}

void recorder_end_files(struct recorder *r)
{
    end_files_of(r, BATCH_ENDS_FILES, RECORD_CUT_PUBLISHER);
}

static void on_source_change(struct stream_sink *sink)
{
    struct recorder *r = recorder_of(sink);

    end_files_of(r, BATCH_ENDS_RUN, RECORD_CUT_PUBLISHER);
    r->is_dropping = false;
    track_set_clear(&r->missed);
    r->run = stream_run(r->stream);
}

static void on_end(struct stream_sink *sink)
{
    recorder_close(recorder_of(sink), RECORD_CUT_END);
}

static const struct stream_sink_ops k_ops = {
    .on_frame = on_frame, .on_source_change = on_source_change, .on_end = on_end};

/* --- life --- */

static void init_writers(struct recorder *r)
{
    for (unsigned id = 0; id < RECORD_N_FORMATS; id++) {
        struct recorder_writer *rw = &r->writers[r->n_writers];

        if (!(r->plan.formats & 1u << id))
            continue;
        rw->writer.place = &r->thread->place;
        rw->writer.stream = &r->name;
        rw->writer.next_seq = &r->next_seq;
        rw->writer.plan = &r->plan;
        rw->writer.owner = &r->owner;
        record_writer_init(&rw->writer, (enum record_format_id)id);
        rw->writer.tracks = &r->tracks;
        rw->status.stream = r->name;
        rw->status.format = (enum record_format_id)id;
        r->n_writers++;
    }
}

static void list_in(struct record *record, struct recorder *r)
{
    snprintf(r->key, sizeof r->key, "%p", (void *)r->stream);
    pthread_mutex_lock(&record->lock);
    (void)map_set(&record->by_stream, r->key, r);
    list_push_back(&record->recorders, &r->node);
    pthread_mutex_unlock(&record->lock);
    metric_add(&m_record_streams, 1);
}

static void list_out(struct record *record, struct recorder *r)
{
    pthread_mutex_lock(&record->lock);
    if (map_get(&record->by_stream, r->key) == r)
        (void)map_remove(&record->by_stream, r->key);
    list_remove(&r->node);
    pthread_mutex_unlock(&record->lock);
    metric_add(&m_record_streams, -1);
}

/* A stream that runs already: from its newest GOP on. */
static void take_cache(struct recorder *r)
{
    const struct gop_cache *cache = stream_cache(r->stream);
    const struct track_set *base = cache->n_items ? &cache->base : stream_tracks(r->stream);

    for (unsigned i = 0; i < base->n_configs; i++)
        take_headers(r, base->configs[i]);
    for (size_t i = 0; i < cache->n_items; i++)
        take(r, gop_cache_at(cache, i)->frame, gop_cache_at(cache, i)->entry);
}

struct recorder *recorder_open(struct record *record, struct stream *stream,
                               const struct record_plan *plan)
{
    const struct stream_name *name = stream_name_of(stream);
    struct recorder *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    r->record = record;
    r->name = *name;
    r->plan = *plan;
    r->thread = &record->threads[map_hash(name->text, strlen(name->text)) % record->n_threads];
    atomic_init(&r->n_refs, 1);
    r->owner = (struct record_owner){.hold = hold, .let_go = let_go};
    atomic_fetch_add(&record->n_busy, 1);
    pthread_mutex_init(&r->lock, NULL);
    track_set_init(&r->tracks);
    track_set_init(&r->missed);
    init_writers(r);
    if (stream_sink_open(stream, &r->sink, &k_ops) != E_OK) {
        recorder_unref(r);
        return NULL;
    }
    r->stream = stream_ref(stream);
    r->run = stream_run(stream);
    list_in(record, r);
    take_cache(r);
    log_info("record", "msg=recording stream=%s", r->name.text);
    return r;
}

void recorder_close(struct recorder *r, enum record_cut cut)
{
    stream_sink_close(&r->sink);
    end_files_of(r, BATCH_ENDS_ALL, cut);
    list_out(r->record, r);
    log_info("record", "msg=\"recording ended\" stream=%s reason=%s", r->name.text,
             k_record_cuts[cut]);
    stream_unref(&r->stream);
    recorder_unref(r);
}
