/* Placement as pure functions. */
#include "scheduler/placement.h"

#include <string.h>

/* Ranks are sums of these: a higher bit outweighs all below it. The low 32 bits break ties. */
enum {
    RANK_SUSPECT = 15,
    RANK_UNSURE = 14, /* sources: what it pulls from may be gone, as far as the asker knows */
    RANK_ORIGIN = 13, /* people on an origin: only where there is no edge */
    RANK_FULL = 12,   /* load bound or max_children reached */
    RANK_DEPTH = 8,   /* sources: 0-3, four bits */
    RANK_NEW = 7,     /* people: does not carry the stream yet */
    RANK_ZONE = 6     /* another zone than the asker's */
};
#define RANK_BIT(n) (1ull << (32 + (n)))

static const char *const k_why[PLACEMENT_N_WHYS] = {
    [PLACEMENT_RANKED] = "others were better",
    [PLACEMENT_TAKEN] = "taken",
    [PLACEMENT_UNSEEN] = "not looked at: there were enough",
    [PLACEMENT_LAPSED] = "lease lapsed",
    [PLACEMENT_GONE] = "asked, and silent",
    [PLACEMENT_SUSPECT] = "suspect",
    [PLACEMENT_DRAINING] = "draining",
    [PLACEMENT_STARTING] = "starting",
    [PLACEMENT_AVOIDED] = "the asker avoids it",
    [PLACEMENT_ROLE] = "wrong role",
    [PLACEMENT_AT_LIMIT] = "at its limit",
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

uint64_t placement_affinity(uint64_t stream_hash, uint64_t node_hash)
{
    return mix(stream_hash ^ node_hash);
}

uint64_t placement_hash_for(uint64_t stream_hash, const struct placement_node *asker)
{
    return asker ? mix(stream_hash + asker->hash) : stream_hash;
}

/* -log2(1 - x / 2^32) in units of 1/65536, by the line between powers of two bent to fit: within
 * 0.01, and it never falls where x grows. */
static uint32_t log_cost(uint32_t x)
{
    uint32_t left = UINT32_MAX - x;
    unsigned top = 31;
    uint64_t part, bend;

    if (left == 0)
        return 32u << 16;
    while (!(left >> top))
        top--;
    part = (((uint64_t)left << 16) >> top) - 65536; /* behind the leading bit */
    bend = part * (65536 - part) / 65536 * 22480 / 65536;
    return ((31u - top) << 16) + (uint32_t)(65536 - part - bend);
}

/* Weighted rendezvous: -log(u) / weight gives each node its share of the lowest places
 * (Schindelhauer and Schomaker 2005). At weight 1 it fits 32 bits. */
static uint32_t affinity_cost(uint64_t stream_hash, const struct placement_node *node)
{
    uint32_t place = (uint32_t)(placement_affinity(stream_hash, node->hash) >> 32);
    uint64_t cost = (uint64_t)log_cost(place) * 1000 / node->weight;

    return cost < UINT32_MAX ? (uint32_t)cost : UINT32_MAX;
}

/* What a node of default weight would have. */
static uint32_t per_weight(uint32_t n, const struct placement_node *node)
{
    uint64_t relative = (uint64_t)n * CLUSTER_WEIGHT_DEFAULT / node->weight;

    return relative < UINT32_MAX ? (uint32_t)relative : UINT32_MAX;
}

bool placement_is_at_limit(const struct placement_node *node)
{
    return (node->max_viewers && node->n_viewers >= node->max_viewers) ||
           (node->capacity_bps && node->out_bps >= node->capacity_bps);
}

const char *placement_public_url(const struct placement_node *node, const char *protocol, bool tls,
                                 const char **suffix)
{
#define BY_HTTP offsetof(struct cluster_urls, http), offsetof(struct cluster_urls, https)
#define BY_RTMP offsetof(struct cluster_urls, rtmp), offsetof(struct cluster_urls, rtmps)
    static const struct {
        const char *protocol;
        size_t offset, tls_offset;
        const char *suffix;
    } k_protocols[] = {
        {"flv", BY_HTTP, ".flv"},   {"ts", BY_HTTP, ".ts"},    {"mp4", BY_HTTP, ".mp4"},
        {"m3u8", BY_HTTP, ".m3u8"}, {"http", BY_HTTP, ".flv"}, {"rtmp", BY_RTMP, ""},
    };

    for (size_t i = 0; i < sizeof k_protocols / sizeof k_protocols[0]; i++) {
        if (strcmp(k_protocols[i].protocol, protocol) == 0) {
            *suffix = k_protocols[i].suffix;
            return (const char *)node->public_urls +
                   (tls ? k_protocols[i].tls_offset : k_protocols[i].offset);
        }
    }
    *suffix = "";
    return "";
}

const char *placement_publish_url(const struct placement_node *node, const char *protocol, bool tls)
{
    if (strcmp(protocol, "http") == 0)
        return cluster_urls_http(node->internal_urls, tls);
    return tls ? node->public_urls->rtmps : node->internal_urls->rtmp;
}

static bool is_asker(const struct placement_request *r, const struct placement_node *node)
{
    return r->asker && strcmp(r->asker->id, node->id) == 0;
}

static bool is_avoided(const struct placement_request *r, const struct placement_node *node)
{
    return r->avoid && r->avoid->n && cluster_ids_hold(r->avoid, node->id);
}

static bool is_other_zone(const struct placement_request *r, const struct placement_node *node)
{
    return r->asker && *r->asker->zone && strcmp(r->asker->zone, node->zone) != 0;
}

/* What holds for every intent. PLACEMENT_RANKED when nothing speaks against the candidate. */
static enum placement_why judge_node(const struct placement_request *r,
                                     const struct placement_candidate *c)
{
    if (c->gone)
        return PLACEMENT_GONE;
    if (!c->live)
        return PLACEMENT_LAPSED;
    if (is_avoided(r, c->node))
        return PLACEMENT_AVOIDED;
    if (c->node->state == CLUSTER_NODE_STARTING)
        return PLACEMENT_STARTING;
    return PLACEMENT_RANKED;
}

static bool is_above_bound(const struct placement_request *r, const struct placement_node *node)
{
    return node->n_viewers >= r->load_slack && per_weight(node->n_viewers, node) >= r->load_bound;
}

static enum placement_why judge_edge(const struct placement_request *r,
                                     struct placement_candidate *all, int at)
{
    struct placement_candidate *c = &all[at];
    const struct placement_node *node = c->node;
    enum placement_why why = judge_node(r, c);
    bool is_full = is_above_bound(r, node);
    const char *suffix;

    c->rank = (node->role == CLUSTER_ORIGIN ? RANK_BIT(RANK_ORIGIN) : 0) |
              (is_full ? RANK_BIT(RANK_FULL) : 0) | (c->carries ? 0 : RANK_BIT(RANK_NEW)) |
              (is_other_zone(r, node) ? RANK_BIT(RANK_ZONE) : 0);
    c->rank |= is_full ? per_weight(node->n_viewers, node) : affinity_cost(r->stream_hash, node);
    if (why != PLACEMENT_RANKED)
        return why;
    if (c->suspect)
        return PLACEMENT_SUSPECT;
    if (node->state == CLUSTER_NODE_DRAINING)
        return PLACEMENT_DRAINING;
    if (node->role == CLUSTER_ORIGIN && r->edges_only)
        return PLACEMENT_ROLE;
    if (placement_is_at_limit(node))
        return PLACEMENT_AT_LIMIT;
    return *placement_public_url(node, r->protocol, r->tls, &suffix) ? PLACEMENT_RANKED
                                                                     : PLACEMENT_NO_URL;
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

/* True when one that it pulls from is suspect, gone, or just failed for the asker: its children
 * lost the stream as well, unless only the way from the asker is broken. */
static bool has_doubtful_parent(const struct placement_request *r,
                                const struct placement_candidate *all, int at)
{
    for (unsigned step = 0; step <= PLACEMENT_MAX_DEPTH + 1u && at >= 0; step++) {
        if (!all[at].live || all[at].suspect || is_avoided(r, all[at].node))
            return true;
        at = all[at].parent;
    }
    return false;
}

/* An owner that drains ranks like any other: until its publisher has moved, it has the stream, and
 * children that went to each other instead would end in a ring. */
static uint64_t rank_source(const struct placement_request *r, const struct placement_candidate *c,
                            bool is_unsure)
{
    uint64_t own_order = placement_hash_for(r->stream_hash, r->asker);
    bool is_full = c->n_children >= r->max_children;
    uint64_t rank = (c->suspect ? RANK_BIT(RANK_SUSPECT) : 0) |
                    (is_unsure ? RANK_BIT(RANK_UNSURE) : 0) | (is_full ? RANK_BIT(RANK_FULL) : 0) |
                    RANK_BIT(RANK_DEPTH) * (c->depth <= PLACEMENT_MAX_DEPTH ? c->depth : 0) |
                    (is_other_zone(r, c->node) ? RANK_BIT(RANK_ZONE) : 0);

    /* the emptier parent first, by quarters; what is equal then is in the asker's own order */
    return rank | (is_full ? c->n_children
                           : (uint64_t)(c->n_children * 4ull / r->max_children) << 29 |
                                 placement_affinity(own_order, c->node->hash) >> 35);
}

static enum placement_why judge_source(const struct placement_request *r,
                                       struct placement_candidate *all, int at)
{
    struct placement_candidate *c = &all[at];

    c->rank = rank_source(r, c, has_doubtful_parent(r, all, c->parent));
    if (!c->carries)
        return PLACEMENT_NO_STREAM;
    if (is_asker(r, c->node))
        return PLACEMENT_ASKER;
    if (is_below_asker(r, all, at))
        return PLACEMENT_CYCLE;
    if (!r->owner_epoch && is_cut_off(all, at))
        return PLACEMENT_ORPHAN;
    if (!c->is_owner && c->node->state == CLUSTER_NODE_DRAINING)
        return PLACEMENT_DRAINING;
    if (!c->is_owner && c->suspect)
        return PLACEMENT_SUSPECT;
    if (!c->is_owner && c->depth >= PLACEMENT_MAX_DEPTH)
        return PLACEMENT_TOO_DEEP;
    if (!c->is_owner && r->owner_epoch && c->epoch && c->epoch != r->owner_epoch)
        return PLACEMENT_OLD_EPOCH;
    if (!*cluster_urls_http(c->node->internal_urls, r->tls))
        return PLACEMENT_NO_URL;
    return judge_node(r, c);
}

static enum placement_why judge_origin(const struct placement_request *r,
                                       struct placement_candidate *all, int at)
{
    struct placement_candidate *c = &all[at];

    c->rank = (c->suspect ? RANK_BIT(RANK_SUSPECT) : 0) | /* better than to turn an encoder away */
              (is_other_zone(r, c->node) ? RANK_BIT(RANK_ZONE) : 0) |
              per_weight(c->node->n_publishers, c->node);
    if (c->node->role == CLUSTER_EDGE)
        return PLACEMENT_ROLE;
    if (is_asker(r, c->node))
        return PLACEMENT_ASKER;
    if (c->node->state == CLUSTER_NODE_DRAINING)
        return PLACEMENT_DRAINING;
    if (!*placement_publish_url(c->node, r->protocol, r->tls))
        return PLACEMENT_NO_URL;
    return judge_node(r, c);
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

typedef enum placement_why judge(const struct placement_request *r, struct placement_candidate *all,
                                 int at);

static void judge_and_pick(const struct placement_request *r, struct placement_candidate *all,
                           int n, judge *judge_one, unsigned max_picks,
                           struct placement_decision *out)
{
    for (int i = 0; i < n; i++)
        all[i].why = judge_one(r, all, i);
    pick_best(all, n, max_picks, out);
}

static void serve(struct placement_decision *out, const char *reason)
{
    out->decision = CLUSTER_SERVE;
    out->level = PLACEMENT_SETTLED;
    out->reason = reason;
}

static void decide_source(const struct placement_request *r, struct placement_candidate *all, int n,
                          struct placement_decision *out)
{
    for (int i = 0; i < n; i++) {
        if (all[i].is_owner && all[i].live && is_asker(r, all[i].node)) {
            serve(out, "the asker owns the stream");
            return;
        }
    }
    judge_and_pick(r, all, n, judge_source, CLUSTER_MAX_UPSTREAMS, out);
    out->level = PLACEMENT_SETTLED; /* only who has the stream can be a source */
    out->decision = out->n_picks ? CLUSTER_PULL : CLUSTER_WAIT;
    out->reason = out->n_picks ? "carried there" : "no node has the stream";
}

static void pick_edge(const struct placement_request *r, struct placement_candidate *all, int n,
                      struct placement_decision *out)
{
    judge_and_pick(r, all, n, judge_edge, 1, out);
    if (out->n_picks && all[out->picks[0]].rank < RANK_BIT(RANK_NEW))
        out->level = PLACEMENT_SETTLED; /* carries, has room, is an edge */
    else if (out->n_picks && all[out->picks[0]].rank < RANK_BIT(RANK_FULL))
        out->level = PLACEMENT_HAS_ROOM;
    out->decision = out->n_picks ? CLUSTER_REDIRECT : CLUSTER_DENY;
    out->reason = out->n_picks ? "best edge" : "no edge can take a viewer";
}

static bool is_full(const struct placement_request *r, const struct placement_node *asker)
{
    return placement_is_at_limit(asker) || is_avoided(r, asker);
}

bool placement_asker_pulls(const struct placement_request *request)
{
    const struct placement_node *asker = request->asker;

    if (request->intent != CLUSTER_INTENT_PLAY)
        return request->intent == CLUSTER_INTENT_SOURCE;
    return asker && asker->role != CLUSTER_ORIGIN && asker->state == CLUSTER_NODE_ACTIVE &&
           !is_full(request, asker);
}

static void decide_play(const struct placement_request *r, struct placement_candidate *all, int n,
                        struct placement_decision *out)
{
    for (int i = 0; r->asker && !is_full(r, r->asker) && i < n; i++) {
        if (all[i].carries && is_asker(r, all[i].node)) {
            serve(out, "the asker carries the stream");
            return;
        }
    }
    if (placement_asker_pulls(r))
        decide_source(r, all, n, out);
    else
        pick_edge(r, all, n, out);
}

static void decide_publish(const struct placement_request *r, struct placement_candidate *all,
                           int n, struct placement_decision *out)
{
    const struct placement_node *asker = r->asker;
    bool is_elsewhere = r->avoid && r->avoid->n; /* it asks for another one than itself */

    if (asker && asker->role != CLUSTER_EDGE && asker->state == CLUSTER_NODE_ACTIVE &&
        !is_elsewhere) {
        serve(out, "the asker is an origin");
        return;
    }
    judge_and_pick(r, all, n, judge_origin, 1, out);
    out->level = out->n_picks ? PLACEMENT_HAS_ROOM : PLACEMENT_LAST_RESORT;
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

    *out = (struct placement_decision){.level = PLACEMENT_LAST_RESORT};
    for (int i = 0; i < n_candidates; i++) {
        candidates[i].why = PLACEMENT_UNSEEN;
        candidates[i].rank = 0;
    }
    k_decide[request->intent](request, candidates, n_candidates, out);
}

void placement_judge_unseen(const struct placement_request *request,
                            struct placement_candidate *candidates, int from, int n_candidates)
{
    judge *judge_one = request->intent == CLUSTER_INTENT_PUBLISH ? judge_origin
                       : placement_asker_pulls(request)          ? judge_source
                                                                 : judge_edge;

    for (int i = from; i < n_candidates; i++) {
        enum placement_why why = judge_one(request, candidates, i);

        candidates[i].why = why == PLACEMENT_RANKED ? PLACEMENT_UNSEEN : why;
    }
}
