/* Snapshots of the registry for placement, and its decisions as answers. */
#include "scheduler/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUTE_TTL_MS 2000 /* how long a node may use an answer that names upstreams */
#define WAIT_TTL_MS 1000  /* when to ask again for a stream that nobody has */

void router_init(struct router *r, struct registry *registry)
{
    *r = (struct router){
        .registry = registry, .max_children = 32, .load_factor_percent = 125, .load_slack = 50};
}

void router_fini(struct router *r)
{
    free(r->candidates);
    *r = (struct router){0};
}

static enum err need_room(struct router *r, size_t n)
{
    struct placement_candidate *more;
    int room = r->room ? r->room : 16;

    while ((size_t)room < n && room < 1 << 28)
        room *= 2;
    if (room == r->room)
        return E_OK;
    more = realloc(r->candidates, (size_t)room * sizeof *more);
    if (!more)
        return E_NOMEM;
    r->candidates = more;
    r->room = room;
    return E_OK;
}

static struct placement_candidate *add_node(struct router *r, struct registry_node *node,
                                            int64_t now_us)
{
    struct placement_candidate *c = &r->candidates[r->n_candidates];

    node->slot = r->n_candidates++;
    node->slot_round = r->round;
    *c = (struct placement_candidate){
        .node = &node->place,
        .live = registry_is_live(node, now_us),
        .suspect = registry_is_suspect(r->registry, node, now_us),
        .parent = -1,
    };
    return c;
}

/* Owner and carriers. Slots let a carrier find the candidate that it pulls from. */
static enum err take_holders(struct router *r, const struct registry_stream *s, int64_t now_us)
{
    struct placement_candidate *c;
    struct list *at;

    r->n_candidates = 0;
    r->round++;
    if (!s)
        return E_OK;
    if (need_room(r, s->n_carriers + 1) != E_OK)
        return E_NOMEM;
    if (s->owner) {
        c = add_node(r, s->owner, now_us);
        c->is_owner = c->carries = true;
        c->epoch = s->epoch;
        c->n_children = s->n_children + registry_recent_count(r->registry, &s->recent, now_us);
    }
    for (at = s->carriers.next; at != &s->carriers; at = at->next) {
        struct registry_carrier *carrier = list_entry(at, struct registry_carrier, of_stream);

        c = add_node(r, carrier->node, now_us);
        c->carries = true;
        c->epoch = carrier->epoch;
        c->depth = carrier->depth;
        c->n_children =
            carrier->n_children + registry_recent_count(r->registry, &carrier->recent, now_us);
    }
    return E_OK;
}

/* Which candidate each carrier pulls from: what placement needs to see cycles. Only where a node
 * asks, since people pull from nobody. */
static void link_parents(struct router *r, const struct registry_stream *s)
{
    struct list *at;

    for (at = s->carriers.next; at != &s->carriers; at = at->next) {
        struct registry_carrier *c = list_entry(at, struct registry_carrier, of_stream);
        struct registry_node *up = *c->upstream ? registry_node(r->registry, c->upstream) : NULL;

        if (up && up->slot_round == r->round)
            r->candidates[c->node->slot].parent = up->slot;
        else
            r->candidates[c->node->slot].is_orphan = *c->upstream != '\0';
    }
}

/* All other nodes, behind the holders. */
static enum err take_others(struct router *r, int64_t now_us)
{
    struct registry_node *node;

    if (need_room(r, (size_t)r->n_candidates + r->registry->nodes.n_entries) != E_OK)
        return E_NOMEM;
    for (node = registry_node_after(r->registry, ""); node; node = registry_node_next(node))
        if (node->slot_round != r->round)
            add_node(r, node, now_us);
    return E_OK;
}

static struct registry_node *node_of(const struct placement_candidate *c)
{
    return registry_node_of_place(c->node);
}

/* Above the mean by load_factor, but never below the slack: with few viewers, staying together is
 * worth more than being even. */
static uint32_t load_bound(const struct router *r)
{
    const struct registry *g = r->registry;
    uint64_t mean = g->n_edges ? g->n_viewers / g->n_edges : 0;
    uint64_t bound = mean * r->load_factor_percent / 100;

    bound = bound > r->load_slack ? bound : r->load_slack;
    return bound < UINT32_MAX ? (uint32_t)bound : UINT32_MAX;
}

static void fill_upstreams(struct router *r, const struct placement_decision *d,
                           struct cluster_route *out)
{
    for (unsigned i = 0; i < d->n_picks; i++) {
        const struct placement_candidate *c = &r->candidates[d->picks[i]];
        struct cluster_upstream *up = &out->upstreams[out->n_upstreams++];

        snprintf(up->node, sizeof up->node, "%s", c->node->id);
        snprintf(up->url, sizeof up->url, "%s", c->node->internal_urls->http);
        up->epoch = c->epoch;
        up->depth = c->depth;
    }
}

/* Counts what was just given away, until the next reports show it. */
static void count_assignment(struct router *r, const struct cluster_route_query *query,
                             const struct placement_decision *d, struct registry_stream *s,
                             int64_t now_us)
{
    const struct placement_candidate *first = &r->candidates[d->picks[0]];
    struct registry_node *node = node_of(first);
    struct registry_carrier *carrier;

    if (d->decision == CLUSTER_REDIRECT) {
        if (query->intent == CLUSTER_INTENT_PUBLISH)
            node->place.n_publishers++;
        else
            node->place.n_viewers++;
    } else if (first->is_owner) {
        registry_recent_add(r->registry, &s->recent, now_us);
    } else if ((carrier = registry_carrier(s, node))) {
        registry_recent_add(r->registry, &carrier->recent, now_us);
    }
}

static void fill_redirect(struct router *r, const struct cluster_route_query *query,
                          const struct placement_decision *d, struct cluster_route *out)
{
    const struct placement_node *node = r->candidates[d->picks[0]].node;
    const char *suffix = "";
    const char *base = query->intent == CLUSTER_INTENT_PUBLISH
                           ? node->internal_urls->rtmp
                           : placement_public_url(node, query->protocol, &suffix);
    int size = snprintf(out->redirect_url, sizeof out->redirect_url, "%s/%s%s", base,
                        query->name.text, suffix);

    if (size < 0 || (size_t)size >= sizeof out->redirect_url) {
        out->decision = CLUSTER_DENY;
        out->redirect_url[0] = '\0';
        snprintf(out->reason, sizeof out->reason, "the address is too long");
    }
}

static void decide(struct router *r, const struct placement_request *request, bool explain,
                   int64_t now_us, struct placement_decision *d)
{
    if (!explain)
        placement_decide(request, r->candidates, r->n_candidates, d);
    if (!explain && (d->is_settled || request->intent == CLUSTER_INTENT_SOURCE))
        return;
    if (take_others(r, now_us) == E_OK)
        placement_decide(request, r->candidates, r->n_candidates, d);
}

enum err router_ask(struct router *r, const struct cluster_route_query *query, bool explain,
                    int64_t now_us, struct cluster_route *out)
{
    struct registry_stream *s = registry_stream(r->registry, query->name.text);
    struct registry_node *asker = *query->node ? registry_node(r->registry, query->node) : NULL;
    struct registry_node *owner = s ? s->owner : NULL;
    struct placement_request request = {
        .stream = query->name.text,
        .protocol = *query->protocol ? query->protocol : "flv",
        .intent = query->intent,
        .asker = asker ? &asker->place : NULL,
        .avoid = query->avoid,
        .n_avoid = query->n_avoid,
        .owner_epoch = owner ? s->epoch : 0,
        .max_children = r->max_children,
        .max_viewers = load_bound(r),
    };
    struct cluster_route_query asked = *query;
    struct placement_decision d;

    *out = (struct cluster_route){0};
    if (take_holders(r, s, now_us) != E_OK)
        return E_NOMEM;
    if (s && *query->node)
        link_parents(r, s);
    decide(r, &request, explain, now_us, &d);
    out->decision = d.decision;
    out->ttl_ms = d.n_picks ? ROUTE_TTL_MS : WAIT_TTL_MS;
    snprintf(out->reason, sizeof out->reason, "%s", d.reason);
    snprintf(asked.protocol, sizeof asked.protocol, "%s", request.protocol);
    if (d.n_picks) {
        if (!explain)
            count_assignment(r, query, &d, s, now_us);
        if (d.decision == CLUSTER_PULL)
            fill_upstreams(r, &d, out);
        else
            fill_redirect(r, &asked, &d, out);
    }
    return E_OK;
}

struct registry_node *router_pick_origin(struct router *r, const struct registry_node *asker,
                                         const struct registry_stream *stream, int64_t now_us)
{
    struct registry_node *owner = stream ? stream->owner : NULL;
    struct placement_request request = {
        .stream = stream ? stream->name.text : "",
        .protocol = "rtmp",
        .intent = CLUSTER_INTENT_PUBLISH,
        .asker = &asker->place,
    };
    struct placement_decision d;

    if (owner && registry_is_live(owner, now_us) && *owner->internal_urls.rtmp &&
        owner->place.state == CLUSTER_NODE_ACTIVE &&
        !registry_is_suspect(r->registry, owner, now_us))
        return owner;
    r->n_candidates = 0;
    r->round++;
    if (take_others(r, now_us) != E_OK)
        return NULL;
    placement_decide(&request, r->candidates, r->n_candidates, &d);
    if (!d.n_picks)
        return NULL;
    node_of(&r->candidates[d.picks[0]])->place.n_publishers++;
    return node_of(&r->candidates[d.picks[0]]);
}
