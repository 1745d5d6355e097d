/* What a recorder handed over, on the thread that writes: frames to the files of each format. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/control/node_metrics.h"
#include "node/record/record_private.h"

#define RETRY_US 5000000
#define MAX_UNFINISHED 16u /* files a format, in the hands of the upkeep */

/* A source may send faster than in real time, and its files be more than a disk can finish. */
static bool is_behind(const struct recorder *r, unsigned more)
{
    return atomic_load_explicit(&r->n_unfinished, memory_order_relaxed) >=
           MAX_UNFINISHED * r->n_writers + more;
}

static void set_status(struct recorder *r, struct recorder_writer *rw, enum record_state state,
                       const char *error)
{
    const struct record_writer *w = &rw->writer;
    struct record_status *status = &rw->status;

    pthread_mutex_lock(&r->lock);
    status->state = state;
    status->file[0] = '\0';
    status->bytes = 0;
    status->duration_us = 0;
    if (w->is_open) {
        record_name_format(&w->name, status->file);
        status->bytes = record_writer_bytes(w);
        status->duration_us = record_writer_duration_us(w);
    }
    if (error)
        snprintf(status->error, sizeof status->error, "%s", error);
    pthread_mutex_unlock(&r->lock);
}

static void give_up(struct recorder *r, struct recorder_writer *rw, enum err e)
{
    struct record_writer *w = &rw->writer;
    char text[160];

    if (e == E_UNSUPPORTED)
        snprintf(text, sizeof text, "no track that %s has a place for", k_record_formats[w->id]);
    else if (w->error_number)
        snprintf(text, sizeof text, "%s", strerror(w->error_number));
    else
        snprintf(text, sizeof text, "%s", err_text(e));
    record_writer_end(w, RECORD_CUT_ERROR);
    if (e != E_UNSUPPORTED)
        metric_add(&m_record_errors, 1);
    if (strcmp(text, rw->status.error) != 0) /* said once; this thread alone changes it */
        log_warn("record", "msg=\"cannot record\" stream=%s format=%s reason=%s", r->name.text,
                 k_record_formats[w->id], LOG_STR(text));
    rw->retry_us = clock_mono_us() + RETRY_US;
    set_status(r, rw, RECORD_FAILED, text);
}

/* Is there a reason to end the file before this frame, or to begin one with it? */
static void look_at_entry(struct recorder *r, struct recorder_writer *rw,
                          const struct record_batch *batch, unsigned i, unsigned end)
{
    const struct media_frame *first = batch->items[i].frame;
    struct record_writer *w = &rw->writer;
    int64_t now_us = clock_mono_us(), wall_us;
    enum record_cut cut;
    enum err e;

    if (record_writer_is_due(w, first, &cut) && (!is_behind(r, 0) || cut == RECORD_CUT_ERROR))
        record_writer_end(w, cut); /* else it grows, until those before it are finished */
    if (!record_writer_waits(w) || now_us < rw->retry_us)
        return;
    if (is_behind(r, 1)) {
        atomic_fetch_add_explicit(&r->n_dropped, 1, memory_order_relaxed);
        metric_add(&m_record_dropped_gops, 1);
        return;
    }
    for (; i < end; i++) /* sound that only frames describe comes behind the first picture */
        record_writer_look(w, batch->items[i].frame);
    wall_us =
        first->info.ingest_us ? first->info.ingest_us + batch->wall_offset_us : clock_wall_us();
    e = record_writer_begin(w, first, wall_us, batch->run);
    if (e != E_OK) {
        give_up(r, rw, e);
        return;
    }
    pthread_mutex_lock(&r->lock);
    rw->status.n_files++;
    pthread_mutex_unlock(&r->lock);
    rw->retry_us = 0;
}

/* Frames without headers between them. */
static void write_range(struct recorder *r, struct recorder_writer *rw,
                        const struct record_batch *batch, unsigned begin, unsigned end)
{
    struct record_writer *w = &rw->writer;
    enum err e;

    for (unsigned i = begin; i < end; i++) {
        const struct record_item *item = &batch->items[i];

        if (item->entry)
            look_at_entry(r, rw, batch, i, end);
        if (!record_writer_waits(w))
            record_writer_add(w, item->frame, item->entry);
    }
    e = record_writer_flush(w);
    if (e != E_OK && !record_writer_waits(w))
        give_up(r, rw, e);
}

static void take_header(struct recorder *r, const struct media_frame *frame)
{
    if (!track_set_apply(&r->tracks, frame))
        return;
    for (unsigned i = 0; i < r->n_writers; i++)
        record_writer_take_tracks(&r->writers[i].writer, &r->tracks);
}

static void write_frames(struct recorder *r, const struct record_batch *batch)
{
    for (unsigned begin = 0, end; begin < batch->n_items; begin = end + 1) {
        for (end = begin; end < batch->n_items && !record_is_header(batch->items[end].frame);)
            end++;
        for (unsigned i = 0; i < r->n_writers && end > begin; i++)
            write_range(r, &r->writers[i], batch, begin, end);
        if (end < batch->n_items)
            take_header(r, batch->items[end].frame);
    }
}

/* Nothing is written while there is no room; headers are taken note of. */
static void skip_frames(struct recorder *r, const struct record_batch *batch)
{
    for (unsigned i = 0; i < r->n_writers; i++) {
        record_writer_end(&r->writers[i].writer, RECORD_CUT_NO_ROOM);
        set_status(r, &r->writers[i], RECORD_NO_ROOM, "no room (record.min_free_bytes)");
    }
    for (unsigned i = 0; i < batch->n_items; i++)
        if (record_is_header(batch->items[i].frame))
            take_header(r, batch->items[i].frame);
}

static void end_files(struct recorder *r, const struct record_batch *batch)
{
    for (unsigned i = 0; i < r->n_writers; i++)
        record_writer_end(&r->writers[i].writer, batch->cut);
    if (batch->end == BATCH_ENDS_RUN) {
        track_set_clear(&r->tracks);
        for (unsigned i = 0; i < r->n_writers; i++)
            record_writer_take_tracks(&r->writers[i].writer, &r->tracks);
    }
}

static void show(struct recorder *r)
{
    for (unsigned i = 0; i < r->n_writers; i++) {
        struct recorder_writer *rw = &r->writers[i];

        if (rw->writer.is_open)
            set_status(r, rw, RECORD_WRITING, NULL);
        else if (rw->status.state == RECORD_WRITING || rw->status.state == RECORD_NO_ROOM)
            set_status(r, rw, RECORD_WAITING, NULL);
    }
}

void recorder_drop_batch(struct loop_msg *msg)
{
    struct record_batch *batch = list_entry(msg, struct record_batch, msg);
    struct recorder *r = batch->recorder;

    atomic_fetch_sub_explicit(&r->record->queued_bytes, batch->bytes, memory_order_relaxed);
    metric_add(&m_record_queue_bytes, -(int64_t)batch->bytes);
    atomic_store_explicit(&r->oldest_us, batch->since_us, memory_order_relaxed);
    atomic_fetch_sub_explicit(&r->n_queued, 1, memory_order_relaxed);
    for (unsigned i = 0; i < batch->n_items; i++)
        media_frame_unref(&batch->items[i].frame);
    recorder_unref(r);
    free(batch);
}

void recorder_take_batch(struct loop_msg *msg)
{
    struct record_batch *batch = list_entry(msg, struct record_batch, msg);
    struct recorder *r = batch->recorder;

    if (batch->n_items && record_has_room(r->record)) {
        write_frames(r, batch);
        show(r);
    } else if (batch->n_items) {
        skip_frames(r, batch);
    }
    if (batch->end != BATCH_GOES_ON) {
        end_files(r, batch);
        show(r);
    }
    recorder_drop_batch(msg);
}
