/* Pulling from a foreign RTMP server. */
#include <stdio.h>
#include <string.h>

#include "node/control/node_metrics.h"
#include "node/relay/pull_private.h"
#include "node/relay/rtmp_place.h"

static enum err place_of(const struct pull_link *l, struct rtmp_place *to)
{
    return rtmp_place_of(l->to.url, l->to.stream, l->transport->default_port, to);
}

static enum err send_out(struct pull_link *l, struct buf_writer *out)
{
    enum err e = buf_writer_status(out);

    if (e == E_OK && out->used_bytes)
        e = conn_write(l->conn, buf_writer_view(out));
    buf_writer_fini(out);
    return e;
}

static enum err start(struct pull_link *l)
{
    struct rtmp_place to;
    struct rtmp_client_conf conf = {.reconnects = true,
                                    .app = to.app,
                                    .stream = to.stream,
                                    .tc_url = to.tc_url,
                                    .limits = k_rtmp_limits_default};
    uint8_t seed[RTMP_SEED_BYTES];
    struct buf_writer out;

    if (place_of(l, &to) != E_OK) {
        l->why = "not a URL of an app and a stream";
        return E_INVAL;
    }
    random_bytes(seed, sizeof seed);
    l->rtmp = rtmp_client_create(&conf, seed);
    if (!l->rtmp)
        return E_NOMEM;
    buf_writer_init(&out, 65536);
    rtmp_client_start(l->rtmp, &out);
    return send_out(l, &out);
}

static enum err on_started(struct pull_link *l)
{
    struct source_offer offer = {.numbers_gops = true, .run = random_u64() | 1};

    return l->pull->move.to.url[0] ? pull_hold_begin(l) : pull_link_attach(l, &offer);
}

static enum err on_media(struct pull_link *l, const struct rtmp_client_event *ev)
{
    enum err e;

    if (l->hold)
        return pull_hold_media(l, ev);
    e = stream_push(&l->source, ev->media_type, ts_unwrap_us(&l->unwrap, ev->timestamp_ms),
                    ev->body, &l->why);
    if (e == E_OK && l->pull)
        pull_marks_note(l->pull, ev);
    return e;
}

static void on_reconnect(struct pull_link *l, const struct rtmp_client_event *ev)
{
    struct rtmp_place to;

    if (place_of(l, &to) == E_OK)
        pull_asked_to_move(l, to.tc_url, to.stream, ev);
}

static enum err on_event(struct pull_link *l, const struct rtmp_client_event *ev)
{
    switch (ev->type) {
    case RTMP_CLIENT_STARTED:
        return on_started(l);
    case RTMP_CLIENT_MEDIA:
        return on_media(l, ev);
    case RTMP_CLIENT_ENDED:
        l->why = "the source ended the stream";
        return E_END;
    case RTMP_CLIENT_REFUSED:
        l->why = "the source refused to play";
        return E_NOT_FOUND;
    case RTMP_CLIENT_RECONNECT:
        on_reconnect(l, ev);
        return E_OK;
    }
    return E_OK;
}

static enum err feed(struct pull_link *l, struct buf_reader *in)
{
    uint32_t now_ms = (uint32_t)(loop_now_us(l->nl->media.loop) / 1000);
    struct rtmp_client_event ev;
    struct buf_writer out;
    enum err e, sent;

    l->heard_us = loop_now_us(l->nl->media.loop);
    buf_writer_init(&out, 65536);
    while ((e = rtmp_client_feed(l->rtmp, in, now_ms, &ev, &out)) == E_OK) {
        e = on_event(l, &ev);
        if (e != E_OK || !l->pull)
            break;
    }
    if (e == E_PROTO || e == E_TOO_BIG)
        l->why = "the source broke the protocol";
    sent = send_out(l, &out);
    return e == E_AGAIN && sent != E_OK ? sent : e;
}

static void fini(struct pull_link *l)
{
    rtmp_client_destroy(&l->rtmp);
    pull_hold_free(&l->hold);
}

#define PULL_RTMP(scheme_, port, tls_)                                                            \
    {                                                                                             \
        .scheme = scheme_, .protocol = "rtmp", .default_port = port, .tls = tls_,                 \
        .sessions_total = &m_sessions_total_rtmp_pull, .start = start, .feed = feed, .fini = fini \
    }
const struct pull_transport k_pull_rtmp = PULL_RTMP("rtmp", 1935, false);
const struct pull_transport k_pull_rtmps = PULL_RTMP("rtmps", 443, true);
