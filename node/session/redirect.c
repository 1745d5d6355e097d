/* Redirects of HTTP viewers. RTMP players are never redirected: next to none of them follow. */
#include "node/session/redirect.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/cluster/agent.h"

struct redirect {
    struct agent_ask ask;
    struct node_loop *nl;
    struct http_exchange *x; /* NULL: the viewer left */
    void (*serve)(struct http_exchange *x, void *arg);
};

static void on_gone(struct http_exchange *x, void *arg)
{
    struct redirect *r = arg;

    (void)x;
    r->x = NULL; /* the answer frees it */
}

static void answer(struct http_exchange *x, const char *url)
{
    char location[2 * CLUSTER_URL_SIZE + 2048];
    const char *query = http_query(x);
    int size = snprintf(location, sizeof location, "%s%s%s", url, query[0] ? "?" : "", query);

    if (size < 0 || (size_t)size >= sizeof location) {
        http_respond_problem(x, 414, "the query string is longer than 2048 bytes");
        return;
    }
    http_add_header(x, "Location", location);
    http_add_header(x, "Cache-Control", "no-store");
    http_respond(x, 302, NULL, buf_view_of(NULL, 0));
}

static void on_route(struct agent_ask *ask)
{
    struct redirect *r = ask->arg;
    const struct cluster_route *route = &ask->route_reply;

    if (r->x && route->decision == CLUSTER_REDIRECT && route->redirect_url[0])
        answer(r->x, route->redirect_url);
    else if (r->x)
        r->serve(r->x, r->nl);
    free(r);
}

static bool is_here(const struct node *node, const struct stream_name *name)
{
    struct stream *stream = registry_find(node->registry, name->text);
    bool found = stream != NULL;

    stream_unref(&stream);
    return found;
}

bool redirect_viewer(struct http_exchange *x, struct node_loop *nl, const struct stream_name *name,
                     void (*serve)(struct http_exchange *x, void *arg))
{
    struct node *node = nl->node;
    struct redirect *r;

    if (!node->agent || !node->conf.cluster_redirect || node->conf.cluster_role != CLUSTER_ORIGIN ||
        is_here(node, name))
        return false;
    r = calloc(1, sizeof *r);
    if (!r)
        return false;
    r->nl = nl;
    r->x = x;
    r->serve = serve;
    r->ask.reply_loop = nl->media.loop;
    r->ask.arg = r;
    r->ask.done = on_route;
    r->ask.what = AGENT_ASK_ROUTE;
    r->ask.route.name = *name;
    r->ask.route.intent = CLUSTER_INTENT_PLAY;
    snprintf(r->ask.route.protocol, sizeof r->ask.route.protocol, "flv");
    http_set_pending(x, on_gone, r);
    agent_ask(node->agent, &r->ask);
    return true;
}
