/* HTTP-FLV and HTTP-TS players; the answer's type says which. */
#include <stdio.h>
#include <stdlib.h>

#include "proto/flv/flv.h"
#include "proto/http/http.h"
#include "tests/tools/load_player_private.h"
#include "tests/tools/ts_frames.h"

#define MAX_HEAD_BYTES 16384

struct load_http {
    struct buf_writer head; /* until it is whole */
    bool has_head;
    struct http_body body;
    bool is_ts;
    struct flv_decoder *flv; /* owned */
    struct ts_frames ts;
    char why[48];
};

static enum err http_open(struct load_player *p)
{
    struct load_shared *shared = p->group->shared;
    struct load_http *h = p->http = calloc(1, sizeof *h);

    if (!h)
        return E_NOMEM;
    buf_writer_init(&h->head, MAX_HEAD_BYTES);
    h->flv = flv_decoder_create(FLV_MAX_TAG_BYTES);
    if (!h->flv)
        return E_NOMEM;
    if (load_target_http(&p->group->target, load_player_index(p), &shared->out) != E_OK) {
        buf_writer_clear(&shared->out);
        return E_INVAL;
    }
    return load_flush(shared, p->conn);
}

static bool is_transport_stream(const struct http_head *head)
{
    const struct http_field *type = http_find(head, "Content-Type");

    return type && buf_view_equals(type->value, "video/mp2t");
}

/* The head is parsed when it is whole; what is behind it stays in *in. */
static enum err feed_head(struct load_player *p, struct buf_reader *in)
{
    struct load_http *h = p->http;
    size_t before = h->head.used_bytes, room = MAX_HEAD_BYTES - before;
    struct http_head head;
    struct http_error error = {0};
    struct buf_reader r;
    enum err e;

    buf_write(&h->head, in->at, in->left_bytes < room ? in->left_bytes : room);
    if (buf_writer_status(&h->head) != E_OK)
        return E_NOMEM;
    r = buf_reader_from(buf_writer_view(&h->head));
    e = http_parse_response(&r, MAX_HEAD_BYTES, &head, &error);
    if (e == E_AGAIN) {
        (void)buf_take(in, in->left_bytes);
        return e;
    }
    p->why = h->why;
    snprintf(h->why, sizeof h->why, "%s", error.text ? error.text : "bad HTTP answer");
    if (e != E_OK)
        return e;
    snprintf(h->why, sizeof h->why, "HTTP status %u", head.status);
    if (head.status != 200)
        return E_DENIED;
    p->why = NULL;
    h->is_ts = is_transport_stream(&head);
    http_body_init(&h->body, &head, false);
    (void)buf_take(in, h->head.used_bytes - r.left_bytes - before);
    buf_writer_fini(&h->head);
    h->has_head = true;
    return E_OK;
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
    struct load_http *h = p->http;
    struct buf_view piece;
    enum err e;

    if (!h->has_head && (e = feed_head(p, in)) != E_OK)
        return e;
    while ((e = http_body_next(&h->body, in, &piece)) == E_OK) {
        struct buf_reader media = buf_reader_from(piece);

        e = h->is_ts ? feed_ts(p, &media) : feed_flv(p, &media);
        if (e != E_AGAIN)
            return e;
    }
    if (e == E_END)
        p->why = "the stream ended";
    return e;
}

static void http_close(struct load_player *p)
{
    if (!p->http)
        return;
    buf_writer_fini(&p->http->head);
    flv_decoder_destroy(&p->http->flv);
    free(p->http);
    p->http = NULL;
}

const struct load_transport k_load_http = {http_open, http_feed, http_close};
