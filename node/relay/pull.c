/* Pull: finds where a wanted stream is, connects, and feeds it. One pull a stream and node; it is
 * tried again, candidate by candidate, for as long as somebody watches. */
#include "node/relay/pull.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/conf.h"
#include "node/control/node_metrics.h"
#include "node/relay/pull_private.h"
#include "node/stream/hops.h"

#define CONNECT_TIMEOUT_MS 2000
#define AVOID_US 2000000             /* how long an upstream that failed is told to the scheduler */
#define MAX_QUEUE_BYTES (64u * 1024) /* requests and RTMP answers */
#define SHOWN_URL_SIZE 320

static void try_next(struct pull *p);
static void next_candidate(struct pull *p);

/* --- life --- */

static void drop_attempt(struct pull *p)
{
    (void)hops_set_upstream(stream_hops(p->stream), "");
    timer_stop(&p->timer);
    net_resolve_cancel(&p->resolve);
    conn_close(&p->conn);
    if (p->transport)
        p->transport->fini(p);
    p->transport = NULL;
    session_info_fini(&p->info, &p->nl->media);
    p->state = PULL_IDLE;
}

static void pull_free(struct pull *p)
{
    if (p->feeding) {
        p->doomed = true;
        return;
    }
    if (p->ask)
        p->ask->arg = NULL;
    drop_attempt(p);
    list_remove(&p->node);
    stream_set_puller(p->stream,
                      NULL); /* first: letting go of the stream tells pull_stream_changed() */
    stream_detach(&p->source);
    stream_unref(&p->stream);
    free(p);
}

static void on_timer(struct timer *timer);

static struct pull *pull_of(struct node *node, struct stream *stream)
{
    struct pull *p = stream_puller(stream);

    (void)node;
    if (p)
        return p;
    p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->nl = stream_home(stream)->owner;
    p->stream = stream_ref(stream);
    list_init(&p->node);
    list_init(&p->info.node);
    list_push_back(&p->nl->pulls, &p->node);
    timer_init(&p->timer, p->nl->media.loop, on_timer);
    stream_set_puller(stream, p);
    return p;
}

void pull_stop_all(struct node_loop *nl)
{
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &nl->pulls)
        pull_free(list_entry(node, struct pull, node));
}

void pull_stream_changed(struct stream *stream)
{
    struct pull *p = stream_puller(stream);

    /* Ended while nothing was attached: nobody will ask again. */
    if (p && stream_has_ended(stream))
        pull_free(p);
}

/* --- one candidate --- */

/* The candidate as logs show it: path, query and user of a foreign source may be its key. */
static const char *shown_url(const struct pull *p, char out[SHOWN_URL_SIZE])
{
    struct url url;

    if (pull_is_relay(p))
        return pull_url(p);
    if (url_parse(buf_view_str(pull_url(p)), &url) != E_OK)
        return "-";
    snprintf(out, SHOWN_URL_SIZE, "%.*s://%.*s/***", (int)url.scheme.size_bytes,
             (const char *)url.scheme.data, (int)url.host.size_bytes, (const char *)url.host.data);
    return out;
}

static struct metric *result_metric(enum err e, bool running)
{
    if (running)
        return e == E_TIMEOUT ? &m_relay_pulls_stalled : &m_relay_pulls_lost;
    return e == E_NOT_FOUND ? &m_relay_pulls_not_found
           : e == E_DENIED  ? &m_relay_pulls_refused
                            : &m_relay_pulls_unreachable;
}

static void note_failed(struct pull *p)
{
    if (!pull_is_relay(p))
        return;
    memcpy(p->avoid[p->next_avoid].node, p->candidates[p->at].node, sizeof p->avoid[0].node);
    p->avoid[p->next_avoid].until_us = loop_now_us(p->nl->media.loop) + AVOID_US;
    p->next_avoid = (p->next_avoid + 1) % CLUSTER_MAX_UPSTREAMS;
}

/* This candidate is over. A run that ends makes the stream ask again; a failed try goes to the
 * next. Failures in a row are said once. */
static void candidate_over(struct pull *p, enum err e)
{
    bool running = p->state == PULL_RUNNING;
    char url[SHOWN_URL_SIZE];

    metric_add(result_metric(e, running), 1);
    log_line(p->n_failed++ ? LOG_DEBUG : LOG_WARN, "relay",
             "msg=\"%s\" stream=%s upstream=%s error=%s reason=%s",
             running ? "pull ended" : "pull failed", stream_name_of(p->stream)->text,
             shown_url(p, url), err_name(e), LOG_STR(p->why ? p->why : err_text(e)));
    p->why = NULL;
    if (p->conn)
        metric_add(&m_bytes_in_relay, (int64_t)conn_bytes_in(p->conn));
    if (e != E_NOT_FOUND && e != E_END && e != E_BUSY)
        note_failed(p);
    drop_attempt(p);
    if (running)
        stream_detach(&p->source);         /* asks again at once, by need_source */
    else if (stream_has_source(p->stream)) /* published here meanwhile */
        pull_free(p);
    else
        next_candidate(p);
}

static void on_evict(struct source *source, enum err why)
{
    struct pull *p = list_entry(source, struct pull, source);
    char url[SHOWN_URL_SIZE];

    metric_add(why == E_END ? &m_relay_pulls_idle : &m_relay_pulls_lost, 1);
    log_info("relay", "msg=\"pull stopped\" stream=%s upstream=%s reason=%s",
             stream_name_of(p->stream)->text, shown_url(p, url),
             LOG_STR(why == E_END    ? "nobody watches"
                     : why == E_BUSY ? "published here"
                                     : err_text(why)));
    pull_free(p);
}

enum err pull_attach(struct pull *p, uint64_t epoch, bool numbers_gops, bool same_clock)
{
    struct source_offer offer = {
        .epoch = epoch, .numbers_gops = numbers_gops, .same_clock = same_clock};
    char url[SHOWN_URL_SIZE];
    enum err e;

    p->source =
        (struct source){.kind = SOURCE_PULL,
                        .protocol = pull_is_relay(p) ? "relay" : p->transport->scheme,
                        .session_id = p->info.id,
                        .upstream = pull_is_relay(p) ? p->candidates[p->at].node : pull_url(p),
                        .on_evict = on_evict};
    memset(&p->unwrap, 0, sizeof p->unwrap);
    e = stream_attach(p->stream, &p->source, &offer);
    if (e != E_OK) {
        p->why = "the stream has another source by now";
        return e;
    }
    p->state = PULL_RUNNING;
    p->n_failed = 0;
    metric_add(&m_relay_pulls_connected, 1);
    timer_start_ms(&p->timer, (int64_t)p->nl->node->conf.upstream_stall_ms);
    log_info("relay", "msg=pull session=%s stream=%s upstream=%s epoch=%llu resumed=%d", p->info.id,
             stream_name_of(p->stream)->text, shown_url(p, url), (unsigned long long)epoch,
             same_clock);
    return E_OK;
}

/* The one timer: nothing heard for as long as this state allows. */
static void on_timer(struct timer *timer)
{
    struct pull *p = list_entry(timer, struct pull, timer);

    if (p->heard) {
        p->heard = false;
        timer_start_ms(&p->timer, (int64_t)p->nl->node->conf.upstream_stall_ms);
        return;
    }
    metric_add(&m_timeout_upstream_stall, 1);
    p->why = "nothing heard within upstream_stall_ms";
    candidate_over(p, E_TIMEOUT);
}

static void on_readable(struct conn *conn, void *arg)
{
    struct pull *p = arg;
    struct buf_view got;
    enum err e;

    (void)conn;
    p->feeding = true;
    while ((e = conn_read(p->conn, &got)) == E_OK) {
        struct buf_reader in = buf_reader_from(got);

        p->heard = true;
        e = p->transport->feed(p, &in);
        if (e != E_AGAIN || p->doomed)
            break;
    }
    p->feeding = false;
    if (p->doomed) {
        p->doomed = false;
        pull_free(p);
    } else if (e != E_AGAIN) {
        candidate_over(p, e == E_OK ? E_END : e);
    }
}

static void on_error(struct conn *conn, void *arg, enum err e)
{
    (void)conn;
    candidate_over(arg, e);
}

static void on_connected(struct conn *conn, void *arg, enum err e)
{
    struct pull *p = arg;

    (void)conn;
    if (e == E_OK) {
        p->state = PULL_REQUESTING;
        timer_start_ms(&p->timer, (int64_t)p->nl->node->conf.upstream_stall_ms);
        e = p->transport->start(p);
    }
    if (e != E_OK)
        candidate_over(p, e);
}

static const struct conn_ops k_conn_ops = {
    .on_readable = on_readable, .on_error = on_error, .on_connected = on_connected};

static void pull_kick(struct session_info *info)
{
    struct pull *p = list_entry(info, struct pull, info);

    pull_free(p);
}

static void pull_count(const struct session_info *info, uint64_t *bytes_in, uint64_t *bytes_out,
                       int64_t *lag_us, uint64_t *n_jumps)
{
    const struct pull *p =
        (const struct pull *)(const void *)((const char *)info - offsetof(struct pull, info));

    *bytes_in = p->conn ? conn_bytes_in(p->conn) : 0;
    *bytes_out = p->conn ? conn_bytes_out(p->conn) : 0;
    *lag_us = 0;
    *n_jumps = 0;
}

static void connect_to(struct pull *p, const struct addr *addr)
{
    p->state = PULL_CONNECTING;
    session_info_init(&p->info, &p->nl->media, 'p',
                      pull_is_relay(p) ? "relay" : p->transport->scheme, "");
    metric_add(p->transport == &k_pull_rtmp ? &m_sessions_total_rtmp_pull
               : pull_is_relay(p)           ? &m_sessions_total_relay_pull
                                            : &m_sessions_total_flv_pull,
               1);
    p->info.kind = "pull";
    p->info.kick = pull_kick;
    p->info.count = pull_count;
    p->info.stream = stream_name_of(p->stream)->text;
    p->conn =
        conn_connect(p->nl->media.loop, addr, CONNECT_TIMEOUT_MS, MAX_QUEUE_BYTES, &k_conn_ops, p);
    if (p->conn)
        p->info.peer = conn_peer(p->conn);
    else
        candidate_over(p, E_IO);
}

static void on_resolved(void *arg, enum err e, const struct addr *addrs, unsigned n_addrs)
{
    struct pull *p = arg;

    p->resolve = NULL;
    if (e != E_OK || !n_addrs)
        candidate_over(p, e != E_OK ? e : E_NOT_FOUND);
    else
        connect_to(p, &addrs[0]);
}

static const struct pull_transport *transport_for(const struct url *url)
{
    static const struct pull_transport *const k_transports[] = {&k_pull_http, &k_pull_rtmp};

    for (size_t i = 0; i < sizeof k_transports / sizeof k_transports[0]; i++)
        if (buf_view_equals(url->scheme, k_transports[i]->scheme))
            return k_transports[i];
    return NULL;
}

static void try_next(struct pull *p)
{
    struct url url;
    struct addr addr;
    unsigned port;
    char text[320];

    if (url_parse(buf_view_str(pull_url(p)), &url) != E_OK ||
        !(p->transport = transport_for(&url)) ||
        !buf_view_to_str(url.host, p->host, sizeof p->host)) {
        p->why = "not an http:// or rtmp:// URL";
        candidate_over(p, E_UNSUPPORTED);
        return;
    }
    if (pull_is_relay(p) && !hops_set_upstream(stream_hops(p->stream), p->candidates[p->at].node)) {
        log_debug("relay",
                  "msg=\"upstream left out\" stream=%s upstream=%s reason=\"it pulls from here\"",
                  stream_name_of(p->stream)->text, pull_url(p));
        next_candidate(p);
        return;
    }
    port = url.port ? url.port : p->transport->default_port;
    snprintf(text, sizeof text, strchr(p->host, ':') ? "[%s]:%u" : "%s:%u", p->host, port);
    if (addr_parse(&addr, text) == E_OK) { /* most upstreams are numbers: a turn saved */
        connect_to(p, &addr);
        return;
    }
    p->state = PULL_RESOLVING;
    p->resolve = net_resolve(p->nl->media.loop, p->host, port, on_resolved, p);
    if (!p->resolve)
        candidate_over(p, E_NOMEM);
}

static void next_candidate(struct pull *p)
{
    p->state = PULL_IDLE;
    if (++p->at < p->n_candidates)
        try_next(p);
    else if (!stream_is_wanted(p->stream))
        pull_free(p);
}

static void try_all(struct pull *p)
{
    if (!p->n_candidates)
        return;
    p->at = 0;
    try_next(p);
}

/* --- where it is --- */

static void add_candidate(struct pull *p, const char *node, const char *base, const char *suffix)
{
    struct pull_candidate *c = &p->candidates[p->n_candidates];
    int size;

    if (p->n_candidates == PULL_MAX_CANDIDATES)
        return;
    size = suffix ? snprintf(c->url, sizeof c->url, "%s/%s%s", base,
                             stream_name_of(p->stream)->text, suffix)
                  : snprintf(c->url, sizeof c->url, "%s", base);
    if (size < 0 || (size_t)size >= sizeof c->url)
        return;
    snprintf(c->node, sizeof c->node, "%s", node);
    p->n_candidates++;
}

/* pull.sources of the configuration. */
static void add_configured(struct pull *p)
{
    const struct conf_list *list = &p->nl->node->conf.pull_sources;

    for (size_t i = 0; i < list->n_items; i++) {
        struct stream_name name;
        const char *url, *why;

        if (node_conf_pull_source(list->items[i], &name, &url, &why) == E_OK &&
            !strcmp(name.text, stream_name_of(p->stream)->text))
            add_candidate(p, "", url, NULL);
    }
}

static void on_route(struct agent_ask *ask)
{
    struct pull *p = ask->arg;
    const struct cluster_route *r = &ask->route_reply;

    if (p) {
        p->ask = NULL;
        p->state = PULL_IDLE;
        for (unsigned i = 0; r->decision == CLUSTER_PULL && i < r->n_upstreams; i++)
            if (strcmp(r->upstreams[i].node, p->nl->node->id))
                add_candidate(p, r->upstreams[i].node[0] ? r->upstreams[i].node : "-",
                              r->upstreams[i].url, ".flv");
        if (!stream_is_wanted(p->stream) || stream_has_source(p->stream))
            pull_free(p);
        else
            try_all(p);
    }
    free(ask);
}

static void ask_route(struct pull *p)
{
    struct agent_ask *ask = calloc(1, sizeof *ask);
    int64_t now_us = loop_now_us(p->nl->media.loop);

    if (!ask)
        return;
    ask->reply_loop = p->nl->media.loop;
    ask->arg = p;
    ask->done = on_route;
    ask->what = AGENT_ASK_ROUTE;
    ask->route.name = *stream_name_of(p->stream);
    ask->route.intent = CLUSTER_INTENT_SOURCE;
    snprintf(ask->route.protocol, sizeof ask->route.protocol, "flv");
    ask->route.have_epoch = stream_epoch(p->stream);
    for (unsigned i = 0; i < CLUSTER_MAX_UPSTREAMS; i++)
        if (p->avoid[i].until_us > now_us)
            memcpy(ask->route.avoid[ask->route.n_avoid++], p->avoid[i].node,
                   sizeof p->avoid[i].node);
    p->ask = ask;
    p->state = PULL_ROUTING;
    agent_ask(p->nl->node->agent, ask);
}

void pull_need_source(void *arg, struct stream *stream)
{
    struct node *node = arg;
    struct pull *p;

    if (!node->agent && !node->conf.pull_sources.n_items && !node->conf.fallback_origins.n_items)
        return; /* a single server: only a publisher can bring it */
    p = pull_of(node, stream);
    if (!p || p->state != PULL_IDLE || p->source.stream)
        return;
    p->n_candidates = 0;
    add_configured(p);
    if (p->n_candidates) {
        try_all(p);
    } else if (node->agent) {
        ask_route(p);
    } else {
        for (size_t i = 0; i < node->conf.fallback_origins.n_items; i++)
            add_candidate(p, "-", node->conf.fallback_origins.items[i], ".flv");
        try_all(p);
    }
}

void pull_on_published(struct node *node, struct stream *stream, uint64_t epoch, const char *owner)
{
    struct pull *p = stream_puller(stream);

    if (!strcmp(owner, node->id) || !stream_is_wanted(stream))
        return;
    if (!stream_has_source(stream)) {
        pull_need_source(node, stream);
        return;
    }
    if (p && p->state == PULL_RUNNING && epoch > stream_epoch(stream) && pull_is_relay(p) &&
        strcmp(p->candidates[p->at].node, owner)) {
        p->why = "the stream has moved";
        candidate_over(p, E_END);
    }
}
