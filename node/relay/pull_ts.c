/* The body of an answer as an MPEG transport stream, from a foreign server. */
#include "node/relay/pull_private.h"

#define MAX_HEAD_BYTES 16 /* of an FLV body */

static enum err begin(struct pull_link *l)
{
    l->ts = ts_demux_create(FLV_MAX_TAG_BYTES - MAX_HEAD_BYTES);
    buf_writer_init(&l->ts_body, FLV_MAX_TAG_BYTES);
    return l->ts ? E_OK : E_NOMEM;
}

static int64_t to_ms(int64_t us)
{
    int64_t moved = us + 500;

    return moved / 1000 - (moved % 1000 < 0);
}

/* Time is kept to the millisecond, both stamps on the same clock: so are FLV tags, by which other
 * nodes get the stream, and all nodes are to make the same of it. Nothing adds up: the error stays
 * below half a millisecond. What E-RTMP has for the rest of it (ModEx) needs headers that players
 * of H.264 do not know. */
static enum err push(struct pull_link *l, const struct ts_unit *unit)
{
    int64_t dts_ms = to_ms(unit->dts_us);
    struct flv_es es = {.kind = unit->kind,
                        .codec = unit->codec,
                        .config = unit->config,
                        .key = unit->key,
                        .cts_us = (to_ms(unit->pts_us) - dts_ms) * 1000,
                        .es = unit->es};

    buf_writer_clear(&l->ts_body);
    flv_write_body(&l->ts_body, &es);
    if (buf_writer_status(&l->ts_body) != E_OK)
        return buf_writer_status(&l->ts_body);
    return stream_push(&l->source, flv_tag_type_of(unit->kind), dts_ms * 1000,
                       buf_writer_view(&l->ts_body), &l->why);
}

static enum err feed(struct pull_link *l, struct buf_view piece)
{
    struct buf_reader in = buf_reader_from(piece);
    struct ts_unit unit;
    enum err e;

    l->heard_us = loop_now_us(l->nl->media.loop);
    while ((e = ts_demux_next(l->ts, &in, &unit)) == E_OK) {
        e = push(l, &unit);
        if (e != E_OK || !l->pull)
            return e;
    }
    if (e == E_PROTO)
        l->why = "no transport stream";
    return e;
}

/* A frame is whole when the next one begins, and the last one when nothing follows. */
static void end(struct pull_link *l)
{
    struct ts_unit unit;

    while (l->pull && ts_demux_end(l->ts, &unit) == E_OK)
        if (push(l, &unit) != E_OK)
            return;
}

static void fini(struct pull_link *l)
{
    ts_demux_destroy(&l->ts);
    buf_writer_fini(&l->ts_body);
}

const struct pull_body k_pull_ts = {.begin = begin, .feed = feed, .end = end, .fini = fini};
