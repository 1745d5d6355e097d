/* Asking for the clocks of other nodes, and saying our own. */
#include "node/cluster/clocks.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/net/http_client.h"
#include "common/net/tls_setup.h"
#include "node/cluster/clock.h"
#include "node/control/node_metrics.h"
#include "node/node.h"
#include "node/token.h"
#include "proto/flv/flv.h"

#define BURST 4 /* questions at first: the answer to the first waits for the connection */
#define PERIOD_MS 10000
#define TIMEOUT_MS 2000
#define ANSWER_MAX_BYTES 1024
#define URL_SIZE 300

struct clock_peer {
    struct clocks *clocks;
    /* Under the lock. */
    struct list node;   /* in clocks.peers */
    unsigned n_holders; /* without any it goes when it would be asked the next time */
    struct clock_offset offset;
    char url[URL_SIZE];
    /* The control loop's. */
    struct http_client *client;
    struct timer timer;
    int64_t sent_us;
    unsigned n_asked;
};

struct clocks {
    struct node *node;
    pthread_mutex_t lock; /* held for a few instructions */
    struct list peers;
    unsigned n_peers;
    bool said_limit; /* one log line until a peer has gone */
};

/* --- asking: control loop --- */

static void ask_in(struct clock_peer *peer, int64_t delay_ms)
{
    timer_start_ms(&peer->timer, delay_ms);
}

static void on_reply(void *arg, const struct http_reply *reply)
{
    int64_t received_us = clock_mono_us(), theirs_us;
    struct clock_peer *peer = arg;
    bool ok = reply->e == E_OK && reply->status == 200 &&
              clock_answer_read(reply->body, &theirs_us) == E_OK;

    if (ok) {
        pthread_mutex_lock(&peer->clocks->lock);
        ok = clock_offset_add(&peer->offset, peer->sent_us, theirs_us, received_us);
        pthread_mutex_unlock(&peer->clocks->lock);
    }
    metric_add(ok ? &m_clock_asks_answered : &m_clock_asks_failed, 1);
    ask_in(peer, ++peer->n_asked < BURST ? 0 : jitter_ms(PERIOD_MS, 0.3));
}

static struct http_client *make_client(const struct clock_peer *peer)
{
    const char *url = peer->url, *why;
    struct http_client_conf conf = {
        .urls = &url,
        .n_urls = 1,
        .tls = tls_setup_client(peer->clocks->node->tls),
        .bearer_token = "",
        .timeout_ms = TIMEOUT_MS,
        .max_body_bytes = ANSWER_MAX_BYTES,
        .log_area = "clock",
    };

    return http_client_create(peer->clocks->node->control, &conf, &why);
}

/* The token is given each time: it may have changed since. */
static enum err start_call(struct clock_peer *peer)
{
    if (!peer->client)
        peer->client = make_client(peer);
    if (!peer->client || http_client_set_token(peer->client, peer->clocks->node->token) != E_OK)
        return E_NOMEM;
    peer->sent_us = clock_mono_us();
    return http_client_call(peer->client, "GET", "/v1/clock", NULL, on_reply, peer) ? E_OK
                                                                                    : E_NOMEM;
}

static void ask(struct clock_peer *peer)
{
    if (start_call(peer) != E_OK)
        ask_in(peer, PERIOD_MS);
}

static void free_peer(struct clock_peer *peer)
{
    timer_stop(&peer->timer);
    http_client_destroy(&peer->client);
    free(peer);
}

/* The list's part of it; under the lock. */
static void take_out(struct clocks *clocks, struct clock_peer *peer)
{
    list_remove(&peer->node);
    metric_set(&m_clock_peers, --clocks->n_peers);
    clocks->said_limit = false;
}

static void on_timer(struct timer *timer)
{
    struct clock_peer *peer = list_entry(timer, struct clock_peer, timer);
    struct clocks *clocks = peer->clocks;
    bool is_held;

    pthread_mutex_lock(&clocks->lock);
    is_held = peer->n_holders > 0;
    if (!is_held)
        take_out(clocks, peer);
    pthread_mutex_unlock(&clocks->lock);
    if (is_held)
        ask(peer);
    else
        free_peer(peer);
}

/* A new peer, on its way to the control loop. */
struct beginning {
    struct loop_msg msg;
    struct clock_peer *peer; /* it cannot go before it has begun */
};

static void on_begin(struct loop_msg *msg)
{
    struct beginning *beginning = list_entry(msg, struct beginning, msg);
    struct clock_peer *peer = beginning->peer;

    free(beginning);
    timer_init(&peer->timer, peer->clocks->node->control, on_timer);
    ask(peer);
}

static void on_begin_lost(struct loop_msg *msg)
{
    free(list_entry(msg, struct beginning, msg)); /* clocks_destroy() has freed the peer */
}

/* --- life --- */

struct clocks *clocks_create(struct node *node)
{
    struct clocks *clocks = calloc(1, sizeof *clocks);

    if (!clocks)
        return NULL;
    clocks->node = node;
    pthread_mutex_init(&clocks->lock, NULL);
    list_init(&clocks->peers);
    return clocks;
}

void clocks_destroy(struct clocks **clocks)
{
    struct clocks *gone = *clocks;
    struct list *node, *tmp;

    *clocks = NULL;
    if (!gone)
        return;
    list_for_each_safe(node, tmp, &gone->peers) {
        struct clock_peer *peer = list_entry(node, struct clock_peer, node);

        take_out(gone, peer);
        free_peer(peer);
    }
    pthread_mutex_destroy(&gone->lock);
    free(gone);
}

/* --- doors: any thread --- */

/* What is asked: without user, path and query. */
static bool read_base(const char *text, char base[URL_SIZE])
{
    struct url url;
    bool is_v6, is_tls;
    int n;

    if (!text || url_parse(buf_view_str(text), &url) != E_OK)
        return false;
    is_tls = buf_view_equals(url.scheme, "https");
    if (!is_tls && !buf_view_equals(url.scheme, "http"))
        return false;
    is_v6 = url.host.size_bytes && memchr(url.host.data, ':', url.host.size_bytes);
    n = snprintf(base, URL_SIZE, "%s://%s%.*s%s:%u", is_tls ? "https" : "http", is_v6 ? "[" : "",
                 (int)url.host.size_bytes, (const char *)url.host.data, is_v6 ? "]" : "",
                 url.port ? url.port
                 : is_tls ? 443
                          : 80);
    return n > 0 && n < URL_SIZE;
}

/* Under the lock; so are the next two. */
static struct clock_peer *find(const struct clocks *clocks, const char *url)
{
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &clocks->peers) {
        struct clock_peer *peer = list_entry(node, struct clock_peer, node);

        if (!strcmp(peer->url, url))
            return peer;
    }
    return NULL;
}

static struct clock_peer *add(struct clocks *clocks, const char *url)
{
    bool has_room = clocks->n_peers < CLOCKS_MAX_PEERS;
    struct clock_peer *peer = has_room ? calloc(1, sizeof *peer) : NULL;
    struct beginning *beginning = peer ? calloc(1, sizeof *beginning) : NULL;

    if (!beginning) {
        free(peer);
        return NULL;
    }
    peer->clocks = clocks;
    snprintf(peer->url, sizeof peer->url, "%s", url);
    list_push_back(&clocks->peers, &peer->node);
    metric_set(&m_clock_peers, ++clocks->n_peers);
    beginning->peer = peer;
    beginning->msg.run = on_begin;
    beginning->msg.drop = on_begin_lost;
    loop_post(clocks->node->control, &beginning->msg);
    return peer;
}

struct clock_peer *clocks_hold(struct clocks *clocks, const char *url)
{
    struct clock_peer *peer;
    char base[URL_SIZE];
    bool says;

    if (!clocks || !read_base(url, base))
        return NULL;
    pthread_mutex_lock(&clocks->lock);
    peer = find(clocks, base);
    if (!peer)
        peer = add(clocks, base);
    if (peer)
        peer->n_holders++;
    says = !peer && !clocks->said_limit;
    clocks->said_limit |= says;
    pthread_mutex_unlock(&clocks->lock);
    if (!peer)
        metric_add(&m_clock_asks_limit, 1);
    if (says)
        log_warn("clock",
                 "msg=\"too many clocks are asked for: lags of streams from there are unknown\" "
                 "url=%s limit=%d",
                 LOG_STR(base), CLOCKS_MAX_PEERS);
    return peer;
}

void clocks_drop(struct clock_peer **peer)
{
    struct clock_peer *dropped = *peer;

    *peer = NULL;
    if (!dropped)
        return;
    pthread_mutex_lock(&dropped->clocks->lock);
    dropped->n_holders--;
    pthread_mutex_unlock(&dropped->clocks->lock);
}

struct stream_clock clocks_ours(struct clock_peer *peer, int64_t now_us, const struct flv_hw *hw)
{
    int64_t offset_us = 0, unc_us = 0;
    bool is_known = peer && hw->has_clock && hw->unc_us >= 0;

    if (is_known) {
        pthread_mutex_lock(&peer->clocks->lock);
        is_known = clock_offset_read(&peer->offset, now_us, &offset_us, &unc_us);
        pthread_mutex_unlock(&peer->clocks->lock);
    }
    return (struct stream_clock){.is_known = is_known,
                                 .us = is_known ? hw->clock_us - offset_us : 0,
                                 .unc_us = is_known ? hw->unc_us + unc_us : 0};
}

/* --- saying ours --- */

void clocks_handle(struct http_exchange *x, void *arg)
{
    const struct node_loop *nl = arg;
    char text[64];

    if (!node_trusts(nl->node, x)) {
        http_respond_problem(x, 401, "a node needs the node token (cluster.token_file)");
        return;
    }
    http_add_header(x, "Cache-Control", "no-store");
    snprintf(text, sizeof text, "{\"v\":1,\"mono_us\":%lld}", (long long)clock_mono_us());
    http_respond(x, 200, "application/json", buf_view_str(text));
}
