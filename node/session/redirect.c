/* Redirects of HTTP viewers. RTMP players are never redirected: next to none of them follow. */
#include "node/session/redirect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/cluster/agent.h"
#include "node/control/node_metrics.h"
#include "proto/http/http.h"

#define STAY_US 1000000 /* who had no better place a moment ago has none now */
#define REDIRECT_WHY_SIZE 192
#define RETRY_MAX_S 4 /* those who were turned away together do not come back together */

struct redirect {
    struct agent_ask ask;
    struct node_loop *nl;
    struct http_exchange *x; /* NULL: the viewer left */
    /* When there is no better place: serve here, or (NULL) say why not. */
    void (*serve)(struct http_exchange *x, void *arg, const struct stream_name *name);
    char why[REDIRECT_WHY_SIZE];
    const char *file; /* static: inside the stream's folder; NULL = the stream's own URL */
};

#define STREAM_SUFFIX ".m3u8" /* of the URL of a stream that has a folder, too */

static void on_gone(struct http_exchange *x, void *arg)
{
    struct redirect *r = arg;

    (void)x;
    r->x = NULL; /* the answer frees it */
}

/* Where the stream's URL ends, or that of its folder. NULL: it has none. */
static const char *end_of(const char *path, const char *file)
{
    size_t size = strlen(path), suffix = sizeof STREAM_SUFFIX - 1;

    if (!file)
        return path + size;
    if (size <= suffix || strcmp(path + size - suffix, STREAM_SUFFIX) != 0)
        return NULL;
    return path + size - suffix;
}

/* The path is escaped: names may hold UTF-8 letters. */
static void write_location(const char *url, const char *file, struct buf_writer *out)
{
    const char *path = strstr(url, "://"), *end;

    path = path ? strchr(path + 3, '/') : NULL;
    end = path ? end_of(path, file) : NULL;
    if (!end) {
        out->failed = E_INVAL;
        return;
    }
    buf_write(out, url, (size_t)(path - url));
    http_percent_encode(buf_view_of(path, (size_t)(end - path)), out);
    if (file)
        buf_printf(out, "/%s", file);
}

/* The query stays raw as it came; the server let no control characters in. */
bool redirect_to(struct http_exchange *x, struct buf_writer *location)
{
    const char *query = http_query(x);
    enum err e;

    buf_printf(location, "%s%s", query[0] ? "?" : "", query);
    buf_write_u8(location, 0);
    e = buf_writer_status(location);
    if (e == E_OK) {
        http_add_header(x, "Location", (const char *)location->data);
        http_add_header(x, "Cache-Control", "no-store");
        http_respond(x, 302, NULL, buf_view_of(NULL, 0));
    } else if (e == E_TOO_BIG) {
        http_respond_problem(x, 414, "the query string is too long to be redirected");
    } else {
        http_respond_problem(x, 503, "%s", err_text(e));
    }
    buf_writer_fini(location);
    return e == E_OK;
}

static void answer(struct http_exchange *x, const char *url, const char *file)
{
    struct buf_writer location;

    buf_writer_init(&location, REDIRECT_MAX_BYTES);
    write_location(url, file, &location);
    metric_add(&m_play_redirected, redirect_to(x, &location));
}

static void turn_away(struct http_exchange *x, const char *why)
{
    char seconds[8];

    snprintf(seconds, sizeof seconds, "%u", (unsigned)(1 + random_u64() % RETRY_MAX_S));
    http_add_header(x, "Retry-After", seconds);
    http_respond_problem(x, 503, "%s", why);
}

static void stay(struct redirect *r)
{
    r->nl->stays_until_us = loop_now_us(r->nl->media.loop) + STAY_US;
    r->serve(r->x, r->nl, &r->ask.route.name);
}

static void on_route(struct agent_ask *ask)
{
    struct redirect *r = ask->arg;
    const struct cluster_route *route = &ask->route_reply;

    if (r->x && route->decision == CLUSTER_REDIRECT && route->redirect_url[0])
        answer(r->x, route->redirect_url, r->file);
    else if (r->x && !r->serve)
        turn_away(r->x, r->why);
    else if (r->x)
        stay(r);
    free(r);
}

/* NULL when out of memory; agent_ask() follows. */
static struct redirect *make(struct http_exchange *x, struct node_loop *nl,
                             const struct stream_name *name, const char *protocol)
{
    struct redirect *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    r->nl = nl;
    r->x = x;
    r->ask.reply_loop = nl->media.loop;
    r->ask.arg = r;
    r->ask.done = on_route;
    r->ask.what = AGENT_ASK_ROUTE;
    r->ask.route.name = *name;
    r->ask.route.intent = CLUSTER_INTENT_PLAY;
    r->ask.route.tls = http_is_tls(x);
    snprintf(r->ask.route.protocol, sizeof r->ask.route.protocol, "%s", protocol);
    addr_format_host(http_peer_addr(x), r->ask.route.client_ip);
    http_set_pending(x, on_gone, r);
    return r;
}

static bool is_here(const struct node *node, const struct stream_name *name)
{
    struct stream *stream = registry_find(node->registry, name->text);
    bool found = stream != NULL;

    stream_unref(&stream);
    return found;
}

bool redirect_viewer(struct http_exchange *x, struct node_loop *nl, const struct stream_name *name,
                     const char *protocol,
                     void (*serve)(struct http_exchange *x, void *arg,
                                   const struct stream_name *name))
{
    struct node *node = nl->node;
    struct redirect *r;

    if (!node->agent || !node->conf.cluster_redirect || node->conf.cluster_role != CLUSTER_ORIGIN ||
        is_here(node, name))
        return false;
    r = make(x, nl, name, protocol);
    if (!r)
        return false;
    r->serve = serve;
    agent_ask(node->agent, &r->ask);
    return true;
}

static void avoid_this(struct redirect *r)
{
    snprintf(r->ask.route.avoid.id[0], sizeof r->ask.route.avoid.id[0], "%s", r->nl->node->id);
    r->ask.route.avoid.n = 1;
}

bool redirect_drained(struct http_exchange *x, struct node_loop *nl, const struct stream_name *name,
                      const char *file,
                      void (*serve)(struct http_exchange *x, void *arg,
                                    const struct stream_name *name))
{
    struct node *node = nl->node;
    struct redirect *r;

    if (!node->agent || !atomic_load(&node->draining) ||
        loop_now_us(nl->media.loop) < nl->stays_until_us)
        return false;
    r = make(x, nl, name, "m3u8");
    if (!r)
        return false;
    r->serve = serve;
    r->file = file;
    avoid_this(r);
    agent_ask(node->agent, &r->ask);
    return true;
}

void redirect_away(struct http_exchange *x, struct node_loop *nl, const struct stream_name *name,
                   const char *protocol, const char *why)
{
    struct node *node = nl->node;
    struct redirect *r = node->agent ? make(x, nl, name, protocol) : NULL;

    if (!r) {
        turn_away(x, why);
        return;
    }
    snprintf(r->why, sizeof r->why, "%s", why);
    avoid_this(r);
    agent_ask(node->agent, &r->ask);
}
