/* Full reports and deltas of heartbeats. A delta says what changed since the last acknowledged
 * report; when it is not known whether a report arrived, the next one is full, since a stream that
 * came and went in between would else stay with the scheduler for good. */
#include "node/cluster/beat.h"

#include <stdlib.h>
#include <string.h>

void beat_book_init(struct beat_book *book)
{
    *book = (struct beat_book){.want_full = true};
    map_init(&book->acked);
}

static void clear(struct map *acked)
{
    struct map_cursor cursor = {0};
    const char *name;
    void *stream;

    while (map_next(acked, &cursor, &name, &stream))
        free(stream);
    map_fini(acked);
    map_init(acked);
}

void beat_book_fini(struct beat_book *book)
{
    clear(&book->acked);
    map_fini(&book->acked);
}

static bool is_same(const struct cluster_stream *a, const struct cluster_stream *b)
{
    return a->kind == b->kind && a->epoch == b->epoch && a->run == b->run &&
           a->n_viewers == b->n_viewers && a->n_children == b->n_children && a->depth == b->depth &&
           strcmp(a->upstream, b->upstream) == 0;
}

/* Appends a "removed" entry for each acknowledged stream that is not in present. */
static void add_removed(const struct beat_book *book, const struct map *present,
                        struct cluster_heartbeat *out)
{
    struct map_cursor cursor = {0};
    const char *name;
    void *value;

    while (map_next(&book->acked, &cursor, &name, &value)) {
        const struct cluster_stream *old = value;

        if (map_get(present, name))
            continue;
        out->streams[out->n_streams++] = (struct cluster_stream){
            .name = old->name, .kind = old->kind, .epoch = old->epoch, .removed = true};
    }
}

static enum err build_delta(const struct beat_book *book, const struct cluster_stream *streams,
                            size_t n_streams, struct cluster_heartbeat *out)
{
    static char k_present;
    struct map present;
    enum err e = E_OK;

    map_init(&present);
    for (size_t i = 0; i < n_streams && e == E_OK; i++) {
        const struct cluster_stream *old = map_get(&book->acked, streams[i].name.text);

        e = map_set(&present, streams[i].name.text, &k_present);
        if (!old || !is_same(old, &streams[i]))
            out->streams[out->n_streams++] = streams[i];
    }
    if (e == E_OK)
        add_removed(book, &present, out);
    map_fini(&present);
    return e;
}

/* A part of it where it is long and the scheduler takes parts, else the whole. */
static void build_full(const struct beat_book *book, const struct cluster_stream *streams,
                       size_t n_streams, struct cluster_heartbeat *out)
{
    size_t from = 0;

    if (book->takes_parts && n_streams > CLUSTER_PART_STREAMS) {
        from = (size_t)book->n_parts * CLUSTER_PART_STREAMS;
        out->part = book->n_parts;
    }
    n_streams -= from;
    if (book->takes_parts && n_streams > CLUSTER_PART_STREAMS) {
        out->more = true;
        n_streams = CLUSTER_PART_STREAMS;
    }
    if (n_streams)
        memcpy(out->streams, streams + from, n_streams * sizeof *streams);
    out->n_streams = n_streams;
}

enum err beat_book_build(const struct beat_book *book, const struct cluster_stream *streams,
                         size_t n_streams, int64_t now_us, struct cluster_heartbeat *out)
{
    size_t n_max = n_streams + book->acked.n_entries;
    enum err e = E_OK;

    out->seq = book->acked_seq + 1;
    out->full = book->want_full || now_us - book->full_at_us >= BEAT_FULL_EVERY_US;
    out->part = 0;
    out->more = false;
    out->n_streams = 0;
    out->streams = NULL;
    if (n_max == 0)
        return E_OK;
    out->streams = calloc(n_max, sizeof *out->streams);
    if (!out->streams)
        return E_NOMEM;
    if (out->full)
        build_full(book, streams, n_streams, out);
    else
        e = build_delta(book, streams, n_streams, out);
    if (e != E_OK)
        cluster_heartbeat_fini(out);
    return e;
}

static enum err keep(struct beat_book *book, const struct cluster_stream *stream)
{
    struct cluster_stream *old = map_get(&book->acked, stream->name.text);
    enum err e;

    if (stream->removed) {
        free(map_remove(&book->acked, stream->name.text));
        return E_OK;
    }
    if (old) {
        *old = *stream;
        return E_OK;
    }
    old = malloc(sizeof *old);
    if (!old)
        return E_NOMEM;
    *old = *stream;
    e = map_set(&book->acked, stream->name.text, old);
    if (e != E_OK)
        free(old);
    return e;
}

/* The first part makes all before it void, the last one completes the report. */
static void ack_full(struct beat_book *book, const struct cluster_heartbeat *sent, int64_t now_us)
{
    if (sent->part == 0)
        clear(&book->acked);
    book->n_parts = sent->more ? sent->part + 1 : 0;
    book->want_full = sent->more;
    if (!sent->more)
        book->full_at_us = now_us;
}

enum err beat_book_ack(struct beat_book *book, const struct cluster_heartbeat *sent,
                       bool takes_parts, int64_t now_us)
{
    enum err e = E_OK;

    book->acked_seq = sent->seq;
    book->takes_parts = takes_parts;
    if (sent->full)
        ack_full(book, sent, now_us);
    for (size_t i = 0; i < sent->n_streams && e == E_OK; i++)
        e = keep(book, &sent->streams[i]);
    if (e != E_OK || (book->n_parts && !takes_parts)) /* it took a part for everything */
        beat_book_want_full(book);
    return e;
}

bool beat_book_is_done(const struct beat_book *book)
{
    return book->n_parts == 0;
}

void beat_book_want_full(struct beat_book *book)
{
    book->want_full = true;
    book->n_parts = 0;
}

uint64_t beat_book_epoch(const struct beat_book *book, const char *name)
{
    const struct cluster_stream *stream = map_get(&book->acked, name);

    return stream ? stream->epoch : 0;
}
