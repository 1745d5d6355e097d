/* Snapshots of the registry for placement, and its decisions as answers. */
#include "scheduler/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scheduler/route_private.h"

#define ROUTE_TTL_MS 2000 /* how long a node may use an answer that names upstreams */
#define WAIT_TTL_MS 1000  /* when to ask again for a stream that nobody has */

#define LOOK_CARRIERS 32 /* carriers of a stream that are looked at, from the asker's point on */
#define LOOK_WINDOW 16   /* nodes of a ring, at first */
#define LOOK_MAX 512     /* at most, while all that were seen are full */

#define MAX_TOLD_BYTES (1u << 20)

void router_init(struct router *r, struct registry *registry)
{
    *r = (struct router){
        .registry = registry, .max_children = 32, .load_factor_percent = 125, .load_slack = 50};
    buf_writer_init(&r->told, MAX_TOLD_BYTES);
}

void router_fini(struct router *r)
{
    buf_writer_fini(&r->told);
    free(r->candidates);
    *r = (struct router){0};
}

/* --- the snapshot --- */

static struct registry_node *node_of(const struct placement_candidate *c)
{
    return registry_node_of_place(c->node);
}

static enum err need_room(struct router *r)
{
    int room = r->room ? 2 * r->room : 64;
    struct placement_candidate *more;

    if (r->n_candidates < r->room)
        return E_OK;
    more = realloc(r->candidates, (size_t)room * sizeof *more);
    if (!more)
        return E_NOMEM;
    r->candidates = more;
    r->room = room;
    return E_OK;
}

bool router_has(const struct router *r, const struct registry_node *node)
{
    return node->slot_round == r->round;
}

static struct placement_candidate *add_node(struct router *r, struct registry_node *node,
                                            int64_t now_us)
{
    struct placement_candidate *c;

    if (need_room(r) != E_OK)
        return NULL;
    c = &r->candidates[r->n_candidates];
    node->slot = r->n_candidates++;
    node->slot_round = r->round;
    *c = (struct placement_candidate){
        .node = &node->place,
        .live = registry_is_live(node, now_us),
        .gone = node->is_gone,
        .suspect = registry_is_suspect(r->registry, node, now_us),
        .parent = -1,
    };
    return c;
}

static void fill_owner(const struct router *r, const struct registry_stream *s, int64_t now_us,
                       struct placement_candidate *c)
{
    c->is_owner = c->carries = true;
    c->epoch = s->epoch;
    c->n_children = s->n_children + registry_recent_count(r->registry, &s->recent, now_us);
}

static void fill_carrier(const struct router *r, const struct registry_carrier *carrier,
                         int64_t now_us, struct placement_candidate *c)
{
    bool is_promised = registry_is_promised(carrier);

    c->carries = true;
    c->epoch = is_promised ? 0 : carrier->epoch; /* 0 = not known, but not an old one */
    c->depth = is_promised ? carrier->promise.depth : carrier->depth;
    c->n_children =
        carrier->n_children + registry_recent_count(r->registry, &carrier->recent, now_us);
}

int router_add(struct router *r, const struct registry_stream *s, struct registry_node *node,
               int64_t now_us)
{
    struct placement_candidate *c = add_node(r, node, now_us);
    const struct registry_carrier *carrier;

    if (!c)
        return -1;
    if (s && s->owner == node)
        fill_owner(r, s, now_us, c);
    else if (s && s->n_carriers && (carrier = registry_carrier(s, node)))
        fill_carrier(r, carrier, now_us, c);
    return node->slot;
}

/* Up to LOOK_CARRIERS of those that carry the stream: in its own order from that point on, and
 * around.
 */
static enum err take_carriers(struct router *r, const struct registry_stream *s, uint64_t from,
                              int64_t now_us)
{
    const struct registry_carrier *c = registry_carrier_at(s, from), *first;
    size_t n = s->n_carriers < LOOK_CARRIERS ? s->n_carriers : LOOK_CARRIERS;

    if (!c)
        c = registry_carrier_at(s, 0);
    for (first = c; n > 0; n--) {
        struct placement_candidate *to = NULL;

        if (!router_has(r, c->node) && !(to = add_node(r, c->node, now_us)))
            return E_NOMEM;
        if (to)
            fill_carrier(r, c, now_us, to);
        c = registry_carrier_next(c);
        if (!c)
            c = registry_carrier_at(s, 0);
        if (c == first)
            break;
    }
    return E_OK;
}

/* Who has the stream. People, and who sends them on, get the stream's own order, so that they stay
 * together; nodes that pull each begin elsewhere, so that they spread. */
static enum err take_holders(struct router *r, const struct placement_request *request,
                             const struct registry_stream *s, int64_t now_us)
{
    bool pulls = placement_asker_pulls(request);
    struct registry_node *asker = request->asker ? registry_node_of_place(request->asker) : NULL;
    uint64_t from = pulls ? placement_hash_for(request->stream_hash, request->asker) : 0;

    r->n_candidates = 0;
    r->round++;
    if (!s)
        return E_OK;
    if (s->owner && router_add(r, s, s->owner, now_us) < 0)
        return E_NOMEM;
    if (asker && !router_has(r, asker) && registry_carrier(s, asker) &&
        router_add(r, s, asker, now_us) < 0)
        return E_NOMEM;
    if (take_carriers(r, s, from, now_us) != E_OK)
        return E_NOMEM;
    return pulls ? router_link_parents(r, s, 0, now_us) : E_OK;
}

/* Who holds the stream under that id (its hash), whichever instance; NULL: nobody. */
static struct registry_node *holder(const struct registry_stream *s, uint64_t id_hash)
{
    uint64_t rank = placement_affinity(s->hash, id_hash);
    const struct registry_carrier *c;

    if (s->owner && s->owner->place.hash == id_hash)
        return s->owner;
    c = registry_carrier_at(s, rank);
    return c && c->of_stream.rank == rank ? c->node : NULL;
}

/* Where the carrier pulls from, or was told to. False: from nowhere, its encoder is at it. */
static bool upstream_of(const struct registry_carrier *c, uint64_t *id_hash)
{
    bool is_promised = registry_is_promised(c);

    *id_hash = is_promised ? c->promise.upstream_hash : placement_hash(c->upstream);
    return is_promised || *c->upstream;
}

enum err router_link_parents(struct router *r, const struct registry_stream *s, int from,
                             int64_t now_us)
{
    for (int i = from; s && i < r->n_candidates; i++) {
        const struct registry_carrier *c = registry_carrier(s, node_of(&r->candidates[i]));
        struct registry_node *up;
        uint64_t up_hash;

        if (!c || r->candidates[i].is_owner || !upstream_of(c, &up_hash))
            continue;
        up = holder(s, up_hash);
        r->candidates[i].is_orphan = !up;
        if (up && !router_has(r, up) && router_add(r, s, up, now_us) < 0)
            return E_NOMEM;
        if (up)
            r->candidates[i].parent = up->slot;
    }
    return E_OK;
}

/* Nodes number skip... of the ring, counted from the stream's point. */
static enum err take_window(struct router *r, const struct node_ring *ring,
                            const struct placement_request *request,
                            const struct registry_stream *s, size_t skip, size_t n, int64_t now_us)
{
    size_t start = node_ring_at(ring, request->stream_hash);

    for (size_t i = skip; i < ring->n && i < skip + n; i++) {
        struct registry_node *node = registry_node_of_place(ring->nodes[(start + i) % ring->n]);

        if (!router_has(r, node) && router_add(r, s, node, now_us) < 0)
            return E_NOMEM;
    }
    return E_OK;
}

/* --- the decision --- */

/* Viewers of an edge of default weight, above which others are preferred. */
static uint32_t load_bound(const struct router *r)
{
    const struct registry *g = r->registry;
    uint64_t mean = g->weight ? g->n_viewers * CLUSTER_WEIGHT_DEFAULT / g->weight : 0;
    uint64_t bound = mean * r->load_factor_percent / 100;

    return bound < UINT32_MAX ? (uint32_t)bound : UINT32_MAX;
}

static enum err look_in_zone(struct router *r, const struct placement_request *request,
                             const struct registry_stream *s, enum registry_ring ring,
                             int64_t now_us)
{
    const struct registry_zone *zone =
        request->asker ? registry_node_of_place(request->asker)->zoned : NULL;

    return zone ? take_window(r, &zone->rings[ring], request, s, 0, LOOK_WINDOW, now_us) : E_OK;
}

static enum err look_in_ring(struct router *r, const struct placement_request *request,
                             const struct registry_stream *s, enum registry_ring ring,
                             int64_t now_us, struct placement_decision *d)
{
    const struct node_ring *all = &r->registry->rings[ring];
    size_t seen = 0, n = LOOK_WINDOW;
    enum err e = look_in_zone(r, request, s, ring, now_us);

    while (e == E_OK) {
        e = take_window(r, all, request, s, seen, n, now_us);
        placement_decide(request, r->candidates, r->n_candidates, d);
        seen += n;
        n = 4 * n < LOOK_MAX - seen ? 4 * n : LOOK_MAX - seen;
        if (d->level != PLACEMENT_LAST_RESORT || seen >= all->n || n == 0)
            break;
    }
    return e;
}

static enum err decide(struct router *r, const struct placement_request *request,
                       const struct registry_stream *s, int64_t now_us,
                       struct placement_decision *d)
{
    bool is_publish = request->intent == CLUSTER_INTENT_PUBLISH;
    enum err e = take_holders(r, request, is_publish ? NULL : s, now_us);

    if (e != E_OK)
        return e;
    placement_decide(request, r->candidates, r->n_candidates, d);
    if (d->level == PLACEMENT_SETTLED)
        return E_OK;
    if (is_publish)
        return look_in_ring(r, request, NULL, REGISTRY_ORIGINS, now_us, d);
    e = look_in_ring(r, request, s, REGISTRY_EDGES, now_us, d);
    if (e == E_OK && !d->n_picks)
        e = look_in_ring(r, request, s, REGISTRY_ORIGINS, now_us, d);
    return e;
}

/* --- the answer --- */

static void fill_upstreams(struct router *r, const struct placement_request *request,
                           const struct placement_decision *d, struct cluster_route *out)
{
    for (unsigned i = 0; i < d->n_picks; i++) {
        const struct placement_candidate *c = &r->candidates[d->picks[i]];
        struct cluster_upstream *up = &out->upstreams[out->n_upstreams++];

        snprintf(up->node, sizeof up->node, "%s", c->node->id);
        snprintf(up->url, sizeof up->url, "%s",
                 cluster_urls_http(c->node->internal_urls, request->tls));
        up->epoch = c->epoch;
        up->depth = c->depth;
    }
}

/* Counts what was just given away, until the next reports show it. */
static void count_assignment(struct router *r, const struct placement_request *request,
                             const struct placement_decision *d, struct registry_stream *s,
                             int64_t now_us)
{
    const struct placement_candidate *first = &r->candidates[d->picks[0]];
    struct registry_carrier *carrier;

    if (d->decision == CLUSTER_REDIRECT && request->intent == CLUSTER_INTENT_PUBLISH)
        registry_sent_publisher(node_of(first));
    else if (d->decision == CLUSTER_REDIRECT)
        registry_sent_viewer(r->registry, node_of(first));
    else if (first->is_owner)
        registry_recent_add(r->registry, &s->recent, now_us);
    else if ((carrier = registry_carrier(s, node_of(first))))
        registry_recent_add(r->registry, &carrier->recent, now_us);
    if (d->decision == CLUSTER_PULL && request->asker)
        registry_promise(r->registry, s, registry_node_of_place(request->asker), node_of(first),
                         first->depth + 1, now_us);
}

static void fill_redirect(struct router *r, const struct placement_request *request,
                          const struct placement_decision *d, const char *name,
                          struct cluster_route *out)
{
    const struct placement_node *node = r->candidates[d->picks[0]].node;
    const char *suffix = "";
    const char *base = request->intent == CLUSTER_INTENT_PUBLISH
                           ? placement_publish_url(node, request->protocol, request->tls)
                           : placement_public_url(node, request->protocol, request->tls, &suffix);
    int size = snprintf(out->redirect_url, sizeof out->redirect_url, "%s/%s%s", base, name, suffix);

    if (size < 0 || (size_t)size >= sizeof out->redirect_url) {
        out->decision = CLUSTER_DENY;
        out->redirect_url[0] = '\0';
        snprintf(out->reason, sizeof out->reason, "the address is too long");
    }
}

static const char *protocol_of(const struct cluster_route_query *query)
{
    if (query->intent == CLUSTER_INTENT_PUBLISH)
        return "rtmp"; /* what a person or a node of before forwards by */
    return *query->protocol ? query->protocol : "flv";
}

enum err router_ask(struct router *r, const struct cluster_route_query *query, int64_t now_us,
                    struct cluster_route *out)
{
    struct registry_stream *s = registry_stream(r->registry, query->name.text);
    struct registry_node *asker = *query->node ? registry_node(r->registry, query->node) : NULL;
    struct placement_request request = {
        .protocol = protocol_of(query),
        .stream_hash = s ? s->hash : placement_hash(query->name.text),
        .intent = query->intent,
        .tls = query->tls,
        .asker = asker ? &asker->place : NULL,
        .avoid = &query->avoid,
        .owner_epoch = s && s->owner ? s->epoch : 0,
        .max_children = r->max_children,
        .load_bound = load_bound(r),
        .load_slack = r->load_slack,
        .edges_only = r->registry->n_edges_at_limit > 0,
    };
    struct placement_decision d;

    *out = (struct cluster_route){0};
    if (decide(r, &request, s, now_us, &d) != E_OK)
        return E_NOMEM;
    out->decision = d.decision;
    out->ttl_ms = d.n_picks ? ROUTE_TTL_MS : WAIT_TTL_MS;
    snprintf(out->reason, sizeof out->reason, "%s", d.reason);
    if (d.n_picks && !query->explain)
        count_assignment(r, &request, &d, s, now_us);
    if (d.decision == CLUSTER_PULL)
        fill_upstreams(r, &request, &d, out);
    else if (d.n_picks)
        fill_redirect(r, &request, &d, query->name.text, out);
    if (!query->explain)
        return E_OK;
    if (router_explain(r, &request, s, now_us) != E_OK)
        return E_NOMEM;
    out->candidates_json = buf_writer_view(&r->told);
    return E_OK;
}

/* --- publishes --- */

/* Under the owner's roof only where it may be the same encoder. */
static bool may_be_owners(const struct registry_stream *s, const struct cluster_publish *request)
{
    return !s->run || !request->run || s->run == request->run;
}

static bool is_fit(const struct router *r, const struct registry_node *owner,
                   const struct cluster_publish *request, const struct placement_request *wanted,
                   int64_t now_us)
{
    return registry_is_live(owner, now_us) && owner->place.state == CLUSTER_NODE_ACTIVE &&
           *placement_publish_url(&owner->place, wanted->protocol, wanted->tls) &&
           !registry_is_suspect(r->registry, owner, now_us) &&
           !cluster_ids_hold(&request->avoid, owner->id);
}

static struct registry_node *pick_origin(struct router *r, struct placement_request *request,
                                         int64_t now_us)
{
    struct placement_decision d;

    if (decide(r, request, NULL, now_us, &d) != E_OK || !d.n_picks)
        return NULL;
    return node_of(&r->candidates[d.picks[0]]);
}

struct registry_node *router_pick_origin(struct router *r, const struct registry_node *asker,
                                         const struct cluster_publish *request, int64_t now_us)
{
    const struct registry_stream *s = registry_stream(r->registry, request->name.text);
    struct registry_node *owner = s ? s->owner : NULL, *origin;
    struct cluster_ids avoid = request->avoid;
    struct placement_request wanted = {
        .protocol = request->run ? "http" : "rtmp", /* a node of before forwards by RTMP */
        .stream_hash = placement_hash(request->name.text),
        .intent = CLUSTER_INTENT_PUBLISH,
        .tls = request->tls && request->run,
        .asker = &asker->place,
        .avoid = &avoid,
    };

    if (owner && may_be_owners(s, request) && is_fit(r, owner, request, &wanted, now_us))
        return owner;
    if (owner && !may_be_owners(s, request) && avoid.n < CLUSTER_MAX_UPSTREAMS)
        memcpy(avoid.id[avoid.n++], owner->id, sizeof owner->id); /* beside it, if there is one */
    origin = pick_origin(r, &wanted, now_us);
    if (!origin) {
        avoid = request->avoid;
        origin = pick_origin(r, &wanted, now_us);
    }
    if (origin)
        registry_sent_publisher(origin);
    return origin;
}
