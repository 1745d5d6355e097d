/* HTTP-FLV and HTTP-TS players; the answer's type says which. */
#include <stdlib.h>

#include "proto/flv/flv.h"
#include "tests/tools/load_player_private.h"
#include "tests/tools/media_answer.h"
#include "tests/tools/ts_frames.h"

struct load_http {
    struct media_answer answer;
    struct flv_decoder *flv; /* owned */
    struct ts_frames ts;
};

static enum err http_open(struct load_player *p)
{
    struct load_shared *shared = p->group->shared;
    struct load_http *h = p->http = calloc(1, sizeof *h);

    if (!h)
        return E_NOMEM;
    media_answer_init(&h->answer);
    h->flv = flv_decoder_create(FLV_MAX_TAG_BYTES);
    if (!h->flv)
        return E_NOMEM;
    if (load_target_http(&p->group->target, load_player_index(p), &shared->out) != E_OK) {
        buf_writer_clear(&shared->out);
        return E_INVAL;
    }
    return load_flush(shared, p->conn);
}

/* Each takes all of a piece of the body, or gives the reason why it cannot in p->why. */

static enum err feed_flv(struct load_player *p, struct buf_reader *in)
{
    struct flv_tag tag;
    enum err e;

    while ((e = flv_decoder_feed(p->http->flv, in, &tag)) == E_OK)
        load_player_take(p, tag.header.type_id, tag.header.dts_ms, tag.body);
    if (e != E_AGAIN)
        p->why = "broken FLV";
    return e;
}

static enum err feed_ts(struct load_player *p, struct buf_reader *in)
{
    struct ts_frame_seen seen;
    enum err e;

    load_player_begin(p);
    while ((e = ts_frames_feed(&p->http->ts, in, p->read_us, &seen)) == E_OK) {
        struct load_frame frame = {.kind = seen.kind,
                                   .is_key = seen.is_key && seen.kind == MEDIA_VIDEO,
                                   .time_ms = seen.dts_ms,
                                   .has_sent = seen.has_sent,
                                   .sent_us = seen.sent_us,
                                   .read_us = seen.read_us};

        load_player_frame(p, &frame);
    }
    if (e != E_AGAIN)
        p->why = "broken transport stream";
    return e;
}

static enum err http_feed(struct load_player *p, struct buf_reader *in)
{
    struct media_answer *answer = &p->http->answer;
    struct buf_view piece;
    enum err e;

    while ((e = media_answer_next(answer, in, &piece)) == E_OK) {
        struct buf_reader media = buf_reader_from(piece);

        e = answer->container == CONTAINER_TS ? feed_ts(p, &media) : feed_flv(p, &media);
        if (e != E_AGAIN)
            return e;
    }
    if (e != E_AGAIN)
        p->why = e == E_END ? "the stream ended" : answer->why;
    return e;
}

static void http_close(struct load_player *p)
{
    if (!p->http)
        return;
    media_answer_fini(&p->http->answer);
    flv_decoder_destroy(&p->http->flv);
    free(p->http);
    p->http = NULL;
}

const struct load_transport k_load_http = {http_open, http_feed, http_close};
