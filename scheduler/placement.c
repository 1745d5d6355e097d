/* Placement as pure functions. */
#include "scheduler/placement.h"

#include <string.h>

/* Ranks are sums of these: a higher bit outweighs all below it. The low 32 bits break ties. */
enum {
    RANK_SUSPECT = 15,
    RANK_DRAINING = 14, /* sources only: an owner that drains still has the only copy */
    RANK_ORIGIN = 13,   /* people on an origin: only where there is no edge */
    RANK_FULL = 12,     /* load bound or max_children reached */
    RANK_DEPTH = 8,     /* sources: 0-3, four bits */
    RANK_NEW = 7,       /* people: does not carry the stream yet */
    RANK_ZONE = 6       /* another zone than the asker's */
};
#define RANK_BIT(n) (1ull << (32 + (n)))

static const char *const k_why[] = {
    [PLACEMENT_RANKED] = "others were better",
    [PLACEMENT_TAKEN] = "taken",
    [PLACEMENT_LAPSED] = "lease lapsed",
    [PLACEMENT_SUSPECT] = "suspect",
    [PLACEMENT_DRAINING] = "draining",
    [PLACEMENT_STARTING] = "starting",
    [PLACEMENT_AVOIDED] = "the asker avoids it",
    [PLACEMENT_ROLE] = "wrong role",
    [PLACEMENT_NO_URL] = "no address for the protocol",
    [PLACEMENT_ASKER] = "the asker itself",
    [PLACEMENT_CYCLE] = "pulls from the asker",
    [PLACEMENT_ORPHAN] = "its upstream has the stream no more",
    [PLACEMENT_TOO_DEEP] = "too deep",
    [PLACEMENT_OLD_EPOCH] = "carries an older epoch",
    [PLACEMENT_NO_STREAM] = "does not carry the stream",
};

const char *placement_why_text(enum placement_why why)
{
    return k_why[why];
}

static uint64_t mix(uint64_t h)
{
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdull;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53ull;
    return h ^ h >> 33;
}

uint64_t placement_hash(const char *text)
{
    uint64_t h = 0xcbf29ce484222325ull;

    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 0x100000001b3ull;
    return mix(h);
}

const char *placement_public_url(const struct placement_node *node, const char *protocol,
                                 const char **suffix)
{
    static const struct {
        const char *protocol;
        size_t offset;
        const char *suffix;
    } k_protocols[] = {
        {"flv", offsetof(struct cluster_urls, http), ".flv"},
        {"http", offsetof(struct cluster_urls, http), ".flv"},
        {"https", offsetof(struct cluster_urls, https), ".flv"},
        {"rtmp", offsetof(struct cluster_urls, rtmp), ""},
    };

    for (size_t i = 0; i < sizeof k_protocols / sizeof k_protocols[0]; i++) {
        if (strcmp(k_protocols[i].protocol, protocol) == 0) {
            *suffix = k_protocols[i].suffix;
            return (const char *)node->public_urls + k_protocols[i].offset;
        }
    }
    *suffix = "";
    return "";
}

static bool is_avoided(const struct placement_request *r, const char *id)
{
    for (unsigned i = 0; i < r->n_avoid; i++)
        if (strcmp(r->avoid[i], id) == 0)
            return true;
    return false;
}

static bool is_asker(const struct placement_request *r, const struct placement_node *node)
{
    return r->asker && strcmp(r->asker->id, node->id) == 0;
}

static bool is_other_zone(const struct placement_request *r, const struct placement_node *node)
{
    return r->asker && *r->asker->zone && strcmp(r->asker->zone, node->zone) != 0;
}

/* What holds for every intent. PLACEMENT_RANKED when nothing speaks against the candidate. */
static enum placement_why judge_node(const struct placement_request *r,
                                     const struct placement_candidate *c)
{
    if (!c->live)
        return PLACEMENT_LAPSED;
    if (is_avoided(r, c->node->id))
        return PLACEMENT_AVOIDED;
    if (c->node->state == CLUSTER_NODE_STARTING)
        return PLACEMENT_STARTING;
    return PLACEMENT_RANKED;
}

/* Highest random weight: each (stream, node) has its own order, so a node that comes or goes moves
 * only the streams that are its own. */
static uint32_t rendezvous(const struct placement_request *r, const struct placement_node *node)
{
    return (uint32_t)(mix(placement_hash(r->stream) ^ node->hash) >> 32);
}

static enum placement_why judge_edge(const struct placement_request *r,
                                     struct placement_candidate *c)
{
    const struct placement_node *node = c->node;
    enum placement_why why = judge_node(r, c);
    bool is_full = node->n_viewers >= r->max_viewers;
    const char *suffix;

    if (why == PLACEMENT_RANKED && c->suspect)
        why = PLACEMENT_SUSPECT;
    if (why == PLACEMENT_RANKED && node->state == CLUSTER_NODE_DRAINING)
        why = PLACEMENT_DRAINING;
    if (why == PLACEMENT_RANKED && !*placement_public_url(node, r->protocol, &suffix))
        why = PLACEMENT_NO_URL;
    c->rank = (node->role == CLUSTER_ORIGIN ? RANK_BIT(RANK_ORIGIN) : 0) |
              (is_full ? RANK_BIT(RANK_FULL) : 0) | (c->carries ? 0 : RANK_BIT(RANK_NEW)) |
              (is_other_zone(r, node) ? RANK_BIT(RANK_ZONE) : 0);
    c->rank |= is_full ? node->n_viewers : UINT32_MAX - rendezvous(r, node);
    return why;
}

/* True when the candidate, or one it pulls from, pulls from the asker. */
static bool is_below_asker(const struct placement_request *r, const struct placement_candidate *all,
                           int at)
{
    for (unsigned step = 0; step <= PLACEMENT_MAX_DEPTH + 1u && at >= 0; step++) {
        if (is_asker(r, all[at].node))
            return true;
        at = all[at].parent;
    }
    return at >= 0; /* a chain that does not end is a cycle already */
}

/* True when the candidate, or one it pulls from, gets nothing any more: the publisher left, and its
 * node may be the very one that asks. */
static bool is_cut_off(const struct placement_candidate *all, int at)
{
    for (unsigned step = 0; step <= PLACEMENT_MAX_DEPTH + 1u && at >= 0; step++) {
        if (all[at].is_orphan)
            return true;
        at = all[at].parent;
    }
    return false;
}

static enum placement_why judge_source(const struct placement_request *r,
                                       struct placement_candidate *all, int at)
{
    struct placement_candidate *c = &all[at];
    bool is_draining = c->node->state == CLUSTER_NODE_DRAINING;

    c->rank = (c->suspect ? RANK_BIT(RANK_SUSPECT) : 0) |
              (is_draining ? RANK_BIT(RANK_DRAINING) : 0) |
              (c->n_children >= r->max_children ? RANK_BIT(RANK_FULL) : 0) |
              RANK_BIT(RANK_DEPTH) * (c->depth <= PLACEMENT_MAX_DEPTH ? c->depth : 0) |
              (is_other_zone(r, c->node) ? RANK_BIT(RANK_ZONE) : 0);
    /* the emptier parent first, by halves: below that, the stream's own order spreads the children
     */
    c->rank |= c->n_children >= r->max_children
                   ? c->n_children
                   : (uint64_t)(c->n_children * 4 / r->max_children) << 29 |
                         (UINT32_MAX - rendezvous(r, c->node)) >> 3;
    if (!c->carries)
        return PLACEMENT_NO_STREAM;
    if (is_asker(r, c->node))
        return PLACEMENT_ASKER;
    if (is_below_asker(r, all, at))
        return PLACEMENT_CYCLE;
    if (!r->owner_epoch && is_cut_off(all, at))
        return PLACEMENT_ORPHAN;
    if (!c->is_owner && is_draining)
        return PLACEMENT_DRAINING;
    if (!c->is_owner && c->suspect)
        return PLACEMENT_SUSPECT;
    if (!c->is_owner && c->depth >= PLACEMENT_MAX_DEPTH)
        return PLACEMENT_TOO_DEEP;
    if (!c->is_owner && r->owner_epoch && c->epoch && c->epoch != r->owner_epoch)
        return PLACEMENT_OLD_EPOCH;
    if (!*c->node->internal_urls->http)
        return PLACEMENT_NO_URL;
    return judge_node(r, c);
}

static enum placement_why judge_origin(const struct placement_request *r,
                                       struct placement_candidate *c)
{
    enum placement_why why = judge_node(r, c);

    c->rank = (is_other_zone(r, c->node) ? RANK_BIT(RANK_ZONE) : 0) | c->node->n_publishers;
    if (c->node->role == CLUSTER_EDGE)
        return PLACEMENT_ROLE;
    if (why == PLACEMENT_RANKED && c->suspect)
        return PLACEMENT_SUSPECT;
    if (why == PLACEMENT_RANKED && c->node->state == CLUSTER_NODE_DRAINING)
        return PLACEMENT_DRAINING;
    if (why == PLACEMENT_RANKED && !*c->node->internal_urls->rtmp)
        return PLACEMENT_NO_URL;
    return why;
}

static bool is_better(const struct placement_candidate *a, const struct placement_candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : strcmp(a->node->id, b->node->id) < 0;
}

/* Keeps the best max_picks usable candidates in order: a short insertion sort, no allocation. */
static void pick_best(struct placement_candidate *all, int n, unsigned max_picks,
                      struct placement_decision *out)
{
    for (int i = 0; i < n; i++) {
        unsigned at = out->n_picks;

        if (all[i].why != PLACEMENT_RANKED)
            continue;
        while (at > 0 && is_better(&all[i], &all[out->picks[at - 1]]))
            at--;
        if (at >= max_picks)
            continue;
        if (out->n_picks < max_picks)
            out->n_picks++;
        memmove(&out->picks[at + 1], &out->picks[at],
                (out->n_picks - at - 1) * sizeof out->picks[0]);
        out->picks[at] = i;
    }
    for (unsigned i = 0; i < out->n_picks; i++)
        all[out->picks[i]].why = PLACEMENT_TAKEN;
}

static void decide_source(const struct placement_request *r, struct placement_candidate *all, int n,
                          struct placement_decision *out)
{
    for (int i = 0; i < n; i++) {
        if (all[i].is_owner && all[i].live && is_asker(r, all[i].node)) {
            out->decision = CLUSTER_SERVE;
            out->reason = "the asker owns the stream";
            return;
        }
        all[i].why = judge_source(r, all, i);
    }
    pick_best(all, n, CLUSTER_MAX_UPSTREAMS, out);
    out->decision = out->n_picks ? CLUSTER_PULL : CLUSTER_WAIT;
    out->reason = out->n_picks ? "carried there" : "no node has the stream";
}

static void pick_edge(const struct placement_request *r, struct placement_candidate *all, int n,
                      struct placement_decision *out)
{
    for (int i = 0; i < n; i++)
        all[i].why = judge_edge(r, &all[i]);
    pick_best(all, n, 1, out);
    out->is_settled =
        out->n_picks && all[out->picks[0]].rank < RANK_BIT(RANK_NEW); /* carries, room, an edge */
}

static void decide_play(const struct placement_request *r, struct placement_candidate *all, int n,
                        struct placement_decision *out)
{
    const struct placement_node *asker = r->asker;

    for (int i = 0; asker && i < n; i++) {
        if (all[i].carries && is_asker(r, all[i].node)) {
            out->decision = CLUSTER_SERVE;
            out->reason = "the asker carries the stream";
            return;
        }
    }
    if (asker && asker->role != CLUSTER_ORIGIN && asker->state == CLUSTER_NODE_ACTIVE) {
        decide_source(r, all, n, out);
        return;
    }
    pick_edge(r, all, n, out);
    out->decision = out->n_picks ? CLUSTER_REDIRECT : CLUSTER_DENY;
    out->reason = out->n_picks ? "best edge" : "no edge can take a viewer";
}

static void decide_publish(const struct placement_request *r, struct placement_candidate *all,
                           int n, struct placement_decision *out)
{
    const struct placement_node *asker = r->asker;

    if (asker && asker->role != CLUSTER_EDGE && asker->state == CLUSTER_NODE_ACTIVE) {
        out->decision = CLUSTER_SERVE;
        out->reason = "the asker is an origin";
        return;
    }
    for (int i = 0; i < n; i++)
        all[i].why = judge_origin(r, &all[i]);
    pick_best(all, n, 1, out);
    out->is_settled = false;
    out->decision = out->n_picks ? CLUSTER_REDIRECT : CLUSTER_DENY;
    out->reason = out->n_picks ? "least loaded origin" : "no origin can take a publisher";
}

void placement_decide(const struct placement_request *request,
                      struct placement_candidate *candidates, int n_candidates,
                      struct placement_decision *out)
{
    static void (*const k_decide[])(const struct placement_request *, struct placement_candidate *,
                                    int, struct placement_decision *) = {
        [CLUSTER_INTENT_PLAY] = decide_play,
        [CLUSTER_INTENT_SOURCE] = decide_source,
        [CLUSTER_INTENT_PUBLISH] = decide_publish,
    };

    *out = (struct placement_decision){.is_settled = true};
    for (int i = 0; i < n_candidates; i++) {
        candidates[i].why = PLACEMENT_RANKED;
        candidates[i].rank = 0;
    }
    k_decide[request->intent](request, candidates, n_candidates, out);
}
