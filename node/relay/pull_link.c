/* One connection of a pull: resolved, connected, asked, and then the source of the stream until it
 * fails or is closed. Which upstream, and what comes next, is the policy's (pull.c). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/conf.h"
#include "node/control/node_metrics.h"
#include "node/relay/guard.h"
#include "node/relay/pull_private.h"
#include "node/session/session.h"
#include "node/stream/trace_id.h"

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
    if (*c->node)
        return c->url;
    url_mask(c->url, out, PULL_SHOWN_SIZE);
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

struct pull_link *pull_running_link(const struct pull *p)
{
    for (unsigned i = 0; i < PULL_LINKS; i++)
        if (p->links[i] && p->links[i]->state == LINK_RUNNING)
            return p->links[i];
    return NULL;
}

bool pull_link_is_guarded_from(const struct pull_link *l)
{
    const struct relay_guard *guard = l->nl->node->relay_guard;

    return guard ? relay_guard_holds_from(guard, l->to.is_guarded, conn_peer_addr(l->conn))
                 : l->to.is_guarded;
}

uint32_t pull_link_depth(const struct pull_link *l)
{
    return *l->path ? pull_path_depth(l->path) - 1 : l->to.depth;
}

/* --- the end --- */

static void link_free(struct pull_link *l)
{
    timer_stop(&l->timer);
    dial_stop(&l->dial);
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
    pull_tell_stop(l, l->nl->closed ? "this node is shutting down" : "no longer needed");
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

/* Bytes alone do not make a source: a foreign server of HTTP that sends some now and then, and
 * never a frame, is as good as silent. Nodes say that they live in words of their own, and so does
 * RTMP. */
static bool gives_frames(struct pull_link *l)
{
    int64_t now_us = loop_now_us(l->nl->media.loop);

    if (l->source.n_frames != l->n_seen || !l->seen_us) {
        l->n_seen = l->source.n_frames;
        l->seen_us = now_us;
    }
    return pull_link_is_relay(l) || !l->have_head || now_us - l->seen_us < 2 * stall_us(l);
}

/* Nothing heard for as long as this state allows, or it is no URL. */
static void on_timer(struct timer *timer)
{
    struct pull_link *l = list_entry(timer, struct pull_link, timer);
    int64_t due_us = l->heard_us + stall_us(l);
    bool gives = true;

    if (l->start_error != E_OK) {
        pull_link_over(l, l->start_error);
        return;
    }
    if (l->state == LINK_RUNNING)
        gives = gives_frames(l);
    if (l->state == LINK_RUNNING && gives && loop_now_us(l->nl->media.loop) < due_us) {
        timer_start_at_us(&l->timer, due_us);
        return;
    }
    metric_add(&m_timeout_upstream_stall, 1);
    l->why = l->state != LINK_RUNNING ? "no answer"
             : gives                  ? "nothing heard within upstream_stall_ms"
                                      : "bytes, but no frame within twice upstream_stall_ms";
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
                                .on_evict = on_evict,
                                .idle_us = pull_idle_us(l->pull)};
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
    pull_tell_runs(l);
    log_info(
        "relay",
        "msg=pull session=%s trace=%s stream=%s upstream=%s epoch=%llu run=%llx path=%s goes_on=%d",
        l->info.id, SESSION_TRACE(&l->info), stream_name_of(l->stream)->text,
        pull_link_shown(l, shown), (unsigned long long)offer->epoch, (unsigned long long)offer->run,
        *l->path ? l->path : "-", resumes);
    return E_OK;
}

/* --- the connection --- */

static void begin(struct pull_link *l);

/* A server of HTTP says that the stream is elsewhere: the same link goes there. Its address is
 * looked at as the first one was. */
static void follow(struct pull_link *l)
{
    timer_stop(&l->timer);
    l->transport->fini(l);
    session_info_fini(&l->info, &l->nl->media);
    list_init(&l->info.node);
    l->info.peer = "";
    metric_add(&m_bytes_in_relay, (int64_t)conn_bytes_in(l->conn));
    l->to.is_guarded = pull_link_is_guarded_from(l);
    conn_close(&l->conn);
    l->state = LINK_RESOLVING;
    snprintf(l->to.url, sizeof l->to.url, "%s", l->redirect);
    l->redirect[0] = '\0';
    begin(l);
}

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
    if ((e == E_END || e == E_CLOSED) && l->pull && l->transport->end)
        l->transport->end(l);
    l->feeding = false;
    if (!l->pull)
        link_free(l);
    else if (*l->redirect)
        follow(l);
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

    if (e != E_OK && dial_next(&l->dial, conn))
        return;
    if (*conn_tls_error(conn))
        l->why = conn_tls_error(conn);
    else if (e != E_OK)
        l->why = e == E_TIMEOUT ? "no connection within 2 s" : "it cannot be connected to";
    if (e == E_OK) {
        l->state = LINK_REQUESTING;
        timer_start_ms(&l->timer, ANSWER_TIMEOUT_MS);
        e = l->transport->start(l);
    }
    if (e != E_OK)
        pull_link_over(l, e);
}

_Static_assert(CONNECT_TIMEOUT_MS == 2000, "on_connected() says so");

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

    if (l->nl->closed)
        return; /* pull_stop_all() follows */
    l->why = sessions_kick_reason(l->nl);
    pull_link_over(l, E_END); /* last: what was told of it stands, so it comes back */
}

static void count(const struct session_info *info, struct session_counts *counts)
{
    const struct pull_link *l = list_entry_const(info, struct pull_link, info);

    counts->bytes_in = l->conn ? conn_bytes_in(l->conn) : 0;
    counts->bytes_out = l->conn ? conn_bytes_out(l->conn) : 0;
    counts->frames_in = l->source.n_frames;
    counts->trace = l->trace;
}

static void make_session(struct pull_link *l)
{
    session_info_init(&l->info, &l->nl->media, 'p', protocol_of(l), "");
    metric_add(pull_link_is_relay(l) ? &m_sessions_total_relay_pull : l->transport->sessions_total,
               1);
    l->trace = hops_trace(stream_hops(l->stream));
    l->info.pass.has_trace = trace_id_is_set(&l->trace);
    l->info.kind = "pull";
    l->info.kick = kick;
    l->info.count = count;
    l->info.stream = stream_name_of(l->stream)->text;
}

static void on_conn(void *arg, struct conn *conn)
{
    struct pull_link *l = arg;

    l->state = LINK_CONNECTING;
    if (!l->conn)
        make_session(l);
    l->conn = conn;
    l->info.peer = conn_peer(conn);
}

static void on_dial_failed(void *arg, enum err e, const char *why)
{
    struct pull_link *l = arg;

    l->why = why;
    pull_link_over(l, e);
}

static const struct dial_conf k_dial_conf = {.connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                             .max_queue_bytes = MAX_QUEUE_BYTES,
                                             .ops = &k_conn_ops,
                                             .on_conn = on_conn,
                                             .on_failed = on_dial_failed};

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

    if (url_parse(buf_view_str(l->to.url), &url) == E_OK && (l->transport = transport_for(&url)))
        dial_begin(&l->dial, l->nl, &k_dial_conf, l, &url, l->transport->default_port,
                   l->transport->tls, l->to.is_guarded);
    else
        fail_soon(l, E_UNSUPPORTED, "not a URL of http, https, rtmp or rtmps");
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
