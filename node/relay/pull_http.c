/* Pulling FLV over HTTP: back-source from another node (with @hw tags), or a foreign HTTP-FLV
 * server. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/cluster/clocks.h"
#include "node/control/node_metrics.h"
#include "node/relay/pull_private.h"

#define MAX_HEAD_BYTES 16384
#define PATH_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-,"

/* Who asks, for whom, and where the stream broke off here. */
static void write_relay_fields(const struct pull_link *l, struct buf_writer *out)
{
    const struct node *node = l->nl->node;
    uint64_t msn, discontinuities;
    char hops[HOPS_SIZE];

    hops_write(stream_hops(l->stream), node->id, hops);
    buf_printf(out, "X-Headwater-Hops: %s\r\nX-Headwater-Waits: 1\r\n", hops);
    if (node->token[0])
        buf_printf(out, "Authorization: Bearer %s\r\n", node->token);
    if (stream_run(l->stream) && stream_gop(l->stream))
        buf_printf(out, "X-Headwater-Have: %llu,%llu\r\nX-Headwater-Have-Run: %llu\r\n",
                   (unsigned long long)stream_epoch(l->stream),
                   (unsigned long long)stream_gop(l->stream),
                   (unsigned long long)stream_run(l->stream));
    if (stream_last_segment(l->stream, &msn, &discontinuities))
        buf_printf(out, "X-Headwater-Have-Segment: %llu,%llu\r\n", (unsigned long long)msn,
                   (unsigned long long)discontinuities);
}

static enum err start(struct pull_link *l)
{
    struct buf_writer out;
    struct url url;
    enum err e;

    if (url_parse(buf_view_str(l->to.url), &url) != E_OK)
        return E_INVAL;
    l->asked_run = stream_run(l->stream);
    l->flv = flv_decoder_create(FLV_MAX_TAG_BYTES);
    if (!l->flv)
        return E_NOMEM;
    buf_writer_init(&l->head, MAX_HEAD_BYTES);
    buf_writer_init(&out, 8192);
    buf_printf(
        &out,
        "GET %.*s%s%.*s HTTP/1.1\r\nHost: %.*s:%u\r\nUser-Agent: Headwater/%s\r\nAccept: */*\r\n",
        (int)url.path.size_bytes, (const char *)url.path.data, url.query.size_bytes ? "?" : "",
        (int)url.query.size_bytes, (const char *)url.query.data, (int)url.host.size_bytes,
        (const char *)url.host.data, url.port ? url.port : l->transport->default_port, HW_VERSION);
    if (pull_link_is_relay(l)) {
        l->clock = clocks_hold(l->nl->node->clocks, l->to.url);
        write_relay_fields(l, &out);
    }
    buf_write_str(&out, "Connection: close\r\n\r\n");
    e = buf_writer_status(&out);
    if (e == E_OK)
        e = conn_write(l->conn, buf_writer_view(&out));
    buf_writer_fini(&out);
    return e;
}

/* --- the answer --- */

static uint64_t header_u64(const struct http_head *head, const char *name)
{
    const struct http_field *field = http_find(head, name);
    char text[32];

    if (!field || !buf_view_to_str(field->value, text, sizeof text))
        return 0;
    return strtoull(text, NULL, 10);
}

/* The nodes above us when we pull from here. E_STALE: we are one of them. */
static enum err take_path(struct pull_link *l, const char *path)
{
    if (path[strspn(path, PATH_CHARS)]) {
        l->why = "the upstream's path is broken";
        return E_PROTO;
    }
    if (hops_hold(path, l->nl->node->id, NULL)) {
        metric_add(&m_relay_loops_refused, 1);
        l->why = "relay loop: the upstream pulls from here";
        return E_STALE;
    }
    snprintf(l->path, sizeof l->path, "%s", path);
    return E_OK;
}

static enum err take_relay_head(struct pull_link *l, const struct http_head *head)
{
    const struct http_field *field = http_find(head, "X-Headwater-Path");
    char path[HOPS_ID_SIZE + HOPS_PATH_SIZE];

    /* The release before this one does not say it. */
    if (!field || !buf_view_to_str(field->value, path, sizeof path))
        snprintf(path, sizeof path, "%s", l->to.node);
    if (pull_path_depth(path) <= HOPS_MAX_DEPTH)
        return take_path(l, path);
    l->why = "too many nodes between here and the origin";
    return E_STALE;
}

static const struct {
    unsigned status;
    enum err e;
    const char *why;
} k_refusals[] = {
    {404, E_NOT_FOUND, "upstream answered 404"},
    {401, E_DENIED, "upstream answered 401: is cluster.token_file the same there?"},
    {508, E_STALE, "upstream answered 508: relay loop"},
    {0, E_DENIED, "upstream did not answer 200"},
};

static enum err refused(struct pull_link *l, unsigned status)
{
    size_t i = 0;

    while (k_refusals[i].status && k_refusals[i].status != status)
        i++;
    l->why = k_refusals[i].why;
    return k_refusals[i].e;
}

static enum err on_head(struct pull_link *l, const struct http_head *head)
{
    struct source_offer offer = {.numbers_gops = true, .run = random_u64() | 1};
    enum err e;

    if (head->status < 200) { /* 102 Processing: the stream is not there yet, the node is */
        pull_waits(l);
        return E_OK;
    }
    if (head->status != 200)
        return refused(l, head->status);
    http_body_init(&l->body, head, false);
    l->have_head = true;
    if (pull_link_is_relay(l)) {
        e = take_relay_head(l, head);
        if (e != E_OK)
            return e;
        offer = (struct source_offer){.epoch = header_u64(head, "X-Headwater-Epoch"),
                                      .run = header_u64(head, "X-Headwater-Run"),
                                      .path = l->path};
    }
    return pull_link_attach(l, &offer);
}

/* Collects a head; what follows it is left in the head buffer's tail and fed after. */
static enum err feed_head(struct pull_link *l, struct buf_reader *in)
{
    size_t before = l->head.used_bytes;
    struct http_head head;
    struct http_error error = {0};
    struct buf_reader r;
    enum err e;

    buf_write_view(&l->head, buf_view_of(in->at, in->left_bytes < MAX_HEAD_BYTES - before
                                                     ? in->left_bytes
                                                     : MAX_HEAD_BYTES - before));
    if (buf_writer_status(&l->head) != E_OK)
        return E_NOMEM;
    r = buf_reader_from(buf_writer_view(&l->head));
    e = http_parse_response(&r, MAX_HEAD_BYTES, &head, &error);
    if (e == E_AGAIN) {
        (void)buf_take(in, in->left_bytes);
        return E_AGAIN;
    }
    if (e != E_OK) {
        l->why = error.text ? error.text : "bad HTTP answer";
        return e;
    }
    (void)buf_take(in, l->head.used_bytes - r.left_bytes - before);
    e = on_head(l, &head);
    buf_writer_fini(&l->head);
    return e;
}

/* --- media --- */

/* What a node says of itself stays the same in a loop, or where it has lost its own upstream: only
 * the origin's clock shows that media could come. */
static void hear(struct pull_link *l, int64_t ingest_us)
{
    if (ingest_us != l->ingest_us)
        l->heard_us = loop_now_us(l->nl->media.loop);
    l->ingest_us = ingest_us;
}

/* The upstream has another way to the origin now. */
static enum err change_path(struct pull_link *l, struct buf_view above)
{
    char path[HOPS_ID_SIZE + HOPS_PATH_SIZE];
    int n_first = (int)strcspn(l->path, ",");

    snprintf(path, sizeof path, "%.*s%s%.*s", n_first, l->path, above.size_bytes ? "," : "",
             (int)(above.size_bytes < HOPS_PATH_SIZE ? above.size_bytes : HOPS_PATH_SIZE),
             (const char *)above.data);
    return take_path(l, path);
}

static enum err on_hw(struct pull_link *l, const struct flv_hw *hw)
{
    struct stream_upstream said = {.epoch = hw->epoch,
                                   .run = hw->run,
                                   .gop = hw->gop,
                                   .ingest_us = hw->ingest_us,
                                   .wall_us = hw->wall_us,
                                   .is_timed = hw->has_clock,
                                   .clock = clocks_ours(l->clock, clock_mono_us(), hw),
                                   .plan = hw->plan,
                                   .trail = hw->trail};

    if (hw->end) {
        l->why = "the stream has ended";
        return E_END;
    }
    hear(l, hw->ingest_us);
    if (hw->path.data) {
        enum err e = change_path(l, hw->path);

        if (e != E_OK)
            return e;
        said.path = l->path;
        pull_path_changed(l);
    }
    stream_set_upstream(&l->source, &said);
    return E_OK;
}

static enum err on_tag(struct pull_link *l, const struct flv_tag *tag)
{
    struct flv_hw hw;

    if (tag->header.type_id == FLV_TAG_SCRIPT && pull_link_is_relay(l) &&
        flv_parse_hw_body(tag->body, &hw) == E_OK)
        return on_hw(l, &hw);
    l->heard_us = loop_now_us(l->nl->media.loop);
    if (tag->header.type_id != FLV_TAG_AUDIO && tag->header.type_id != FLV_TAG_VIDEO &&
        tag->header.type_id != FLV_TAG_SCRIPT)
        return E_OK; /* reserved types: not for players either */
    return stream_push(&l->source, tag->header.type_id,
                       ts_unwrap_us(&l->unwrap, tag->header.dts_ms), tag->body, &l->why);
}

/* Another node's header tells truly which tracks there are. */
static void tell_tracks(struct pull_link *l)
{
    bool audio, video;

    if (l->told_tracks || !pull_link_is_relay(l) || !flv_decoder_header(l->flv, &audio, &video))
        return;
    l->told_tracks = true;
    stream_expect_tracks(&l->source, audio, video);
}

static enum err feed_flv(struct pull_link *l, struct buf_view piece)
{
    struct buf_reader in = buf_reader_from(piece);
    bool any = false;
    struct flv_tag tag;
    enum err e;

    while ((e = flv_decoder_feed(l->flv, &in, &tag)) == E_OK) {
        any = true;
        tell_tracks(l);
        e = on_tag(l, &tag);
        if (e != E_OK || !l->pull)
            return e;
    }
    if (e != E_AGAIN)
        l->why = "broken FLV";
    if (!any) /* part of a large frame */
        l->heard_us = loop_now_us(l->nl->media.loop);
    tell_tracks(l);
    return e;
}

static enum err feed(struct pull_link *l, struct buf_reader *in)
{
    struct buf_view piece;
    enum err e;

    while (!l->have_head) {
        e = feed_head(l, in);
        if (e != E_OK)
            return e;
    }
    while ((e = http_body_next(&l->body, in, &piece)) == E_OK) {
        e = feed_flv(l, piece);
        if (e != E_AGAIN || !l->pull)
            return e;
    }
    return e;
}

static void fini(struct pull_link *l)
{
    buf_writer_fini(&l->head);
    flv_decoder_destroy(&l->flv);
    clocks_drop(&l->clock);
    l->have_head = l->told_tracks = false;
}

#define PULL_HTTP(scheme_, port, tls_)                                                           \
    {                                                                                            \
        .scheme = scheme_, .protocol = "http", .default_port = port, .tls = tls_,                \
        .sessions_total = &m_sessions_total_flv_pull, .start = start, .feed = feed, .fini = fini \
    }
const struct pull_transport k_pull_http = PULL_HTTP("http", 80, false);
const struct pull_transport k_pull_https = PULL_HTTP("https", 443, true);
