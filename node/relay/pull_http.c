/* Pulling FLV over HTTP: back-source from another node (with @hw tags), or a foreign HTTP-FLV
 * server. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/relay/pull_private.h"
#include "node/stream/hops.h"

#define MAX_HEAD_BYTES 16384

static enum err start(struct pull *p)
{
    char hops[HOPS_SIZE];
    struct buf_writer out;
    struct url url;
    enum err e;

    p->had_have = false;
    if (url_parse(buf_view_str(pull_url(p)), &url) != E_OK)
        return E_INVAL;
    p->flv = flv_decoder_create(FLV_MAX_TAG_BYTES);
    if (!p->flv)
        return E_NOMEM;
    buf_writer_init(&p->head, MAX_HEAD_BYTES);
    buf_writer_init(&out, 8192);
    buf_printf(
        &out,
        "GET %.*s%s%.*s HTTP/1.1\r\nHost: %.*s:%u\r\nUser-Agent: Headwater/%s\r\nAccept: */*\r\n",
        (int)url.path.size_bytes, (const char *)url.path.data, url.query.size_bytes ? "?" : "",
        (int)url.query.size_bytes, (const char *)url.query.data, (int)url.host.size_bytes,
        (const char *)url.host.data, url.port ? url.port : p->transport->default_port, HW_VERSION);
    if (pull_is_relay(p)) {
        hops_write(stream_hops(p->stream), p->nl->node->id, hops);
        buf_printf(&out, "X-Headwater-Hops: %s\r\n", hops);
        if (p->nl->node->token[0])
            buf_printf(&out, "Authorization: Bearer %s\r\n", p->nl->node->token);
        if (p->pulled_epoch && stream_gop(p->stream)) {
            buf_printf(&out, "X-Headwater-Have: %llu,%llu\r\n", (unsigned long long)p->pulled_epoch,
                       (unsigned long long)stream_gop(p->stream));
            p->had_have = true;
        }
    }
    buf_write_str(&out, "Connection: close\r\n\r\n");
    e = buf_writer_status(&out);
    if (e == E_OK)
        e = conn_write(p->conn, buf_writer_view(&out));
    buf_writer_fini(&out);
    return e;
}

static uint64_t header_u64(const struct http_head *head, const char *name)
{
    const struct http_field *field = http_find(head, name);
    char text[32];

    if (!field || !buf_view_to_str(field->value, text, sizeof text))
        return 0;
    return strtoull(text, NULL, 10);
}

static enum err on_head(struct pull *p, const struct http_head *head)
{
    uint64_t epoch = header_u64(head, "X-Headwater-Epoch");
    bool same = p->had_have && epoch && epoch == p->pulled_epoch;

    if (head->status != 200) {
        p->why = head->status == 404 ? "upstream answered 404"
                 : head->status == 401
                     ? "upstream answered 401: is cluster.token_file the same there?"
                 : head->status == 508 ? "upstream answered 508: relay loop"
                                       : "upstream did not answer 200";
        return head->status == 404 ? E_NOT_FOUND : E_DENIED;
    }
    http_body_init(&p->body, head, false);
    p->have_head = true;
    p->pulled_epoch = epoch;
    return pull_attach(p, epoch, !pull_is_relay(p), same);
}

/* Collects the head; what follows it is left in the head buffer's tail and fed after. */
static enum err feed_head(struct pull *p, struct buf_reader *in)
{
    size_t before = p->head.used_bytes;
    struct http_head head;
    struct http_error error = {0};
    struct buf_reader r;
    enum err e;

    buf_write_view(&p->head, buf_view_of(in->at, in->left_bytes < MAX_HEAD_BYTES - before
                                                     ? in->left_bytes
                                                     : MAX_HEAD_BYTES - before));
    if (buf_writer_status(&p->head) != E_OK)
        return E_NOMEM;
    r = buf_reader_from(buf_writer_view(&p->head));
    e = http_parse_response(&r, MAX_HEAD_BYTES, &head, &error);
    if (e == E_AGAIN) {
        (void)buf_take(in, in->left_bytes);
        return E_AGAIN;
    }
    if (e != E_OK) {
        p->why = error.text ? error.text : "bad HTTP answer";
        return e;
    }
    (void)buf_take(in, p->head.used_bytes - r.left_bytes - before);
    e = on_head(p, &head);
    buf_writer_fini(&p->head);
    return e;
}

static enum err on_tag(struct pull *p, const struct flv_tag *tag)
{
    struct flv_hw hw;

    if (tag->header.type_id == FLV_TAG_SCRIPT && pull_is_relay(p) &&
        flv_parse_hw_body(tag->body, &hw) == E_OK) {
        if (hw.end) {
            p->why = "the stream has ended";
            return E_END;
        }
        p->pulled_epoch = hw.epoch;
        stream_set_upstream(&p->source, hw.epoch, hw.gop, hw.ingest_us, hw.wall_us);
        return E_OK;
    }
    if (tag->header.type_id != FLV_TAG_AUDIO && tag->header.type_id != FLV_TAG_VIDEO &&
        tag->header.type_id != FLV_TAG_SCRIPT)
        return E_OK; /* reserved types: not for players either */
    return stream_push(&p->source, tag->header.type_id,
                       ts_unwrap_us(&p->unwrap, tag->header.dts_ms), tag->body, &p->why);
}

/* Another node's header tells truly which tracks there are. */
static void tell_tracks(struct pull *p)
{
    bool audio, video;

    if (p->told_tracks || !pull_is_relay(p) || !flv_decoder_header(p->flv, &audio, &video))
        return;
    p->told_tracks = true;
    stream_expect_tracks(&p->source, audio, video);
}

static enum err feed_flv(struct pull *p, struct buf_view piece)
{
    struct buf_reader in = buf_reader_from(piece);
    struct flv_tag tag;
    enum err e;

    while ((e = flv_decoder_feed(p->flv, &in, &tag)) == E_OK) {
        tell_tracks(p);
        e = on_tag(p, &tag);
        if (e != E_OK || p->doomed)
            return e;
    }
    if (e != E_AGAIN)
        p->why = "broken FLV";
    tell_tracks(p);
    return e;
}

static enum err feed(struct pull *p, struct buf_reader *in)
{
    struct buf_view piece;
    enum err e;

    if (!p->have_head) {
        e = feed_head(p, in);
        if (e != E_OK || !p->have_head)
            return e;
    }
    while ((e = http_body_next(&p->body, in, &piece)) == E_OK) {
        e = feed_flv(p, piece);
        if (e != E_AGAIN || p->doomed)
            return e;
    }
    return e;
}

static void fini(struct pull *p)
{
    buf_writer_fini(&p->head);
    flv_decoder_destroy(&p->flv);
    p->have_head = p->told_tracks = false;
}

const struct pull_transport k_pull_http = {
    .scheme = "http", .default_port = 80, .start = start, .feed = feed, .fini = fini};
