/* One connection of a pull: resolved, connected, asked, and then the source of the stream until it
 * fails or is closed. Which upstream, and what comes next, is the policy's (pull.c). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/net/tls_setup.h"
#include "node/conf.h"
#include "node/control/node_metrics.h"
#include "node/relay/pull_private.h"

#define CONNECT_TIMEOUT_MS 2000
/* A parent that keeps no GOP answers with its next key frame, one that has no media yet when it
 * comes; others are tried meanwhile. */
#define ANSWER_TIMEOUT_MS 5000
/* Who is nearer to a fault acts first: when a parent has found another upstream in this time, those
 * below it stay. */
#define STALL_STEP_MS 500
#define MAX_QUEUE_BYTES (64u * 1024) /* requests and RTMP answers */

const char *pull_candidate_shown(const struct pull_candidate *c, char out[PULL_SHOWN_SIZE])
{
    struct url url;

    if (*c->node)
        return c->url;
    if (url_parse(buf_view_str(c->url), &url) != E_OK)
        return "-";
    snprintf(out, PULL_SHOWN_SIZE, "%.*s://%.*s/***", (int)url.scheme.size_bytes,
             (const char *)url.scheme.data, (int)url.host.size_bytes, (const char *)url.host.data);
    return out;
}

const char *pull_link_shown(const struct pull_link *l, char out[PULL_SHOWN_SIZE])
{
    return pull_candidate_shown(&l->to, out);
}

static const char *protocol_of(const struct pull_link *l)
{
    return pull_link_is_relay(l) ? "relay" : l->transport->protocol;
}

uint32_t pull_link_depth(const struct pull_link *l)
{
    return *l->path ? pull_path_depth(l->path) - 1 : l->to.depth;
}

/* --- the end --- */

static void link_free(struct pull_link *l)
{
    timer_stop(&l->timer);
    net_resolve_cancel(&l->resolve);
    if (l->conn)
        metric_add(&m_bytes_in_relay, (int64_t)conn_bytes_in(l->conn));
    conn_close(&l->conn);
    if (l->transport)
        l->transport->fini(l);
    session_info_fini(&l->info, &l->nl->media);
    free(l);
}

void pull_link_close(struct pull_link **link)
{
    struct pull_link *l = *link;

    *link = NULL;
    if (!l)
        return;
    (void)hops_set_upstream(stream_hops(l->stream), l->slot, "");
    l->pull = NULL; /* first: letting go of the stream is heard by the pull */
    stream_detach(&l->source);
    if (!l->feeding)
        link_free(l);
}

/* --- time --- */

static int64_t stall_us(const struct pull_link *l)
{
    int64_t stall_ms = (int64_t)l->nl->node->conf.upstream_stall_ms;

    if (pull_link_is_relay(l))
        stall_ms += STALL_STEP_MS * (int64_t)pull_link_depth(l);
    return stall_ms * 1000;
}

/* Nothing heard for as long as this state allows, or nothing could be begun. */
static void on_timer(struct timer *timer)
{
    struct pull_link *l = list_entry(timer, struct pull_link, timer);
    int64_t due_us = l->heard_us + stall_us(l);

    if (l->start_error != E_OK) {
        pull_link_over(l, l->start_error);
        return;
    }
    if (l->state == LINK_RUNNING && loop_now_us(l->nl->media.loop) < due_us) {
        timer_start_at_us(&l->timer, due_us);
        return;
    }
    metric_add(&m_timeout_upstream_stall, 1);
    l->why = l->state == LINK_RUNNING ? "nothing heard within upstream_stall_ms" : "no answer";
    pull_link_over(l, E_TIMEOUT);
}

/* --- attached --- */

static void on_evict(struct source *source, enum err why)
{
    pull_evicted(list_entry(source, struct pull_link, source), why);
}

enum err pull_link_attach(struct pull_link *l, const struct source_offer *offer)
{
    bool resumes = offer->run && offer->run == stream_run(l->stream);
    char shown[PULL_SHOWN_SIZE];
    enum err e;

    l->source = (struct source){.kind = SOURCE_PULL,
                                .protocol = protocol_of(l),
                                .session_id = l->info.id,
                                .upstream = pull_link_is_relay(l) ? l->to.node : l->to.url,
                                .on_evict = on_evict};
    if (!resumes && offer->run && offer->run == l->asked_run) {
        l->why = "it answers with the encoder that was followed by another one meanwhile";
        return E_STALE;
    }
    e = pull_answered(l, offer);
    if (e != E_OK) {
        l->why = "the stream has another source by now";
        return e;
    }
    l->state = LINK_RUNNING;
    l->heard_us = loop_now_us(l->nl->media.loop);
    timer_start_at_us(&l->timer, l->heard_us + stall_us(l));
    metric_add(&m_relay_pulls_connected, 1);
    log_info("relay",
             "msg=pull session=%s stream=%s upstream=%s epoch=%llu run=%llx path=%s goes_on=%d",
             l->info.id, stream_name_of(l->stream)->text, pull_link_shown(l, shown),
             (unsigned long long)offer->epoch, (unsigned long long)offer->run,
             *l->path ? l->path : "-", resumes);
    return E_OK;
}

/* --- the connection --- */

static void on_readable(struct conn *conn, void *arg)
{
    struct pull_link *l = arg;
    struct buf_view got;
    enum err e;

    (void)conn;
    l->feeding = true;
    while ((e = conn_read(l->conn, &got)) == E_OK) {
        struct buf_reader in = buf_reader_from(got);

        e = l->transport->feed(l, &in);
        if (e != E_AGAIN || !l->pull)
            break;
    }
    l->feeding = false;
    if (!l->pull)
        link_free(l);
    else if (e != E_AGAIN)
        pull_link_over(l, e == E_OK ? E_END : e);
}

static void on_error(struct conn *conn, void *arg, enum err e)
{
    (void)conn;
    pull_link_over(arg, e);
}

static void on_connected(struct conn *conn, void *arg, enum err e)
{
    struct pull_link *l = arg;

    if (*conn_tls_error(conn))
        l->why = conn_tls_error(conn);
    if (e == E_OK) {
        l->state = LINK_REQUESTING;
        timer_start_ms(&l->timer, ANSWER_TIMEOUT_MS);
        e = l->transport->start(l);
    }
    if (e != E_OK)
        pull_link_over(l, e);
}

static const struct conn_ops k_conn_ops = {
    .on_readable = on_readable, .on_error = on_error, .on_connected = on_connected};

/* --- the beginning --- */

/* The policy hears of it when it is not on the stack. */
static void fail_soon(struct pull_link *l, enum err e, const char *why)
{
    l->start_error = e;
    l->why = why;
    timer_start_ms(&l->timer, 0);
}

static void kick(struct session_info *info)
{
    struct pull_link *l = list_entry(info, struct pull_link, info);

    l->why = "closed by the operator";
    pull_link_over(l, E_END);
}

static void count(const struct session_info *info, struct session_counts *counts)
{
    const struct pull_link *l =
        (const struct pull_link *)(const void *)((const char *)info -
                                                 offsetof(struct pull_link, info));

    counts->bytes_in = l->conn ? conn_bytes_in(l->conn) : 0;
    counts->bytes_out = l->conn ? conn_bytes_out(l->conn) : 0;
    counts->frames_in = l->source.n_frames;
}

static void make_session(struct pull_link *l)
{
    session_info_init(&l->info, &l->nl->media, 'p', protocol_of(l), "");
    metric_add(pull_link_is_relay(l) ? &m_sessions_total_relay_pull : l->transport->sessions_total,
               1);
    l->info.kind = "pull";
    l->info.kick = kick;
    l->info.count = count;
    l->info.stream = stream_name_of(l->stream)->text;
}

static void connect_to(struct pull_link *l, const struct addr *addr)
{
    l->state = LINK_CONNECTING;
    make_session(l);
    l->conn =
        conn_connect(l->nl->media.loop, addr, CONNECT_TIMEOUT_MS, MAX_QUEUE_BYTES, &k_conn_ops, l);
    if (!l->conn) {
        fail_soon(l, E_IO, "no socket");
        return;
    }
    l->info.peer = conn_peer(l->conn);
    if (l->transport->tls &&
        conn_start_tls_client(l->conn, tls_setup_client(l->nl->node->tls), l->host) != E_OK)
        fail_soon(l, E_NOMEM, NULL);
}

static void on_resolved(void *arg, enum err e, const struct addr *addrs, unsigned n_addrs)
{
    struct pull_link *l = arg;

    l->resolve = NULL;
    if (e != E_OK || !n_addrs)
        pull_link_over(l, e != E_OK ? e : E_NOT_FOUND);
    else
        connect_to(l, &addrs[0]);
}

static const struct pull_transport *transport_for(const struct url *url)
{
    static const struct pull_transport *const k_transports[] = {&k_pull_http, &k_pull_https,
                                                                &k_pull_rtmp, &k_pull_rtmps};

    for (size_t i = 0; i < sizeof k_transports / sizeof k_transports[0]; i++)
        if (buf_view_equals(url->scheme, k_transports[i]->scheme))
            return k_transports[i];
    return NULL;
}

static void begin(struct pull_link *l)
{
    struct url url;
    struct addr addr;
    unsigned port;
    char text[320];

    if (url_parse(buf_view_str(l->to.url), &url) != E_OK || !(l->transport = transport_for(&url)) ||
        !buf_view_to_str(url.host, l->host, sizeof l->host)) {
        fail_soon(l, E_UNSUPPORTED, "not a URL of http, https, rtmp or rtmps");
        return;
    }
    port = url.port ? url.port : l->transport->default_port;
    snprintf(text, sizeof text, strchr(l->host, ':') ? "[%s]:%u" : "%s:%u", l->host, port);
    if (addr_parse(&addr, text) == E_OK) { /* most upstreams are numbers: a turn saved */
        connect_to(l, &addr);
        return;
    }
    l->resolve = net_resolve(l->nl->media.loop, l->host, port, on_resolved, l);
    if (!l->resolve)
        fail_soon(l, E_NOMEM, NULL);
}

struct pull_link *pull_link_open(struct pull *pull, unsigned slot, const struct pull_candidate *to)
{
    struct pull_link *l = calloc(1, sizeof *l);

    if (!l)
        return NULL;
    l->pull = pull;
    l->nl = pull->nl;
    l->stream = pull->stream;
    l->slot = slot;
    l->to = *to;
    l->state = LINK_RESOLVING;
    list_init(&l->info.node);
    timer_init(&l->timer, l->nl->media.loop, on_timer);
    begin(l);
    return l;
}
