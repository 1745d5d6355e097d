/* Placement: (snapshot, request) -> decision. Pure: no clock, no store, no allocation, the same
 * answer for the same input on every scheduler (the hash is keyed with nothing of the process, and
 * no floating point is used).
 *
 * People are sent to an edge: one that carries the stream already, under the load bound, picked by
 * weighted rendezvous hashing, so that the viewers of a stream stay on few edges; then to one that
 * is new to it; then to the least loaded. An edge at its limit is never chosen. Origins serve
 * people only where there is no edge. Nodes that pull are given the owner while it has fewer than
 * max_children relays, then carriers, nearest to the owner first, then the emptier; what is equal
 * then is in an order of each asker's own, so that children whose parent died spread over the
 * survivors: depth <= PLACEMENT_MAX_DEPTH, no cycles. Publishes go to the least loaded origin. */
#ifndef HW_SCHEDULER_PLACEMENT_H
#define HW_SCHEDULER_PLACEMENT_H

#include "proto/cluster/cluster.h"

#define PLACEMENT_MAX_DEPTH 3 /* of a node that pulls; the owner is 0 */

/* Of a node, whatever the stream. Strings are borrowed. */
struct placement_node {
    const char *id, *zone;
    const struct cluster_urls *public_urls, *internal_urls;
    uint64_t hash; /* placement_hash(id) */
    enum cluster_role role;
    enum cluster_node_state state;
    uint32_t n_viewers, n_publishers; /* reported, and sent there since */
    uint32_t weight;                  /* never 0; CLUSTER_WEIGHT_DEFAULT is the measure */
    uint32_t max_viewers;             /* 0 = no limit */
    uint64_t out_bps, capacity_bps;   /* out_bps as n_viewers; capacity_bps 0 = not known */
};

/* Why a candidate was left, or PLACEMENT_TAKEN. */
enum placement_why {
    PLACEMENT_RANKED, /* usable, others were better */
    PLACEMENT_TAKEN,
    PLACEMENT_UNSEEN,
    PLACEMENT_LAPSED,
    PLACEMENT_GONE,
    PLACEMENT_SUSPECT,
    PLACEMENT_DRAINING,
    PLACEMENT_STARTING,
    PLACEMENT_AVOIDED,
    PLACEMENT_ROLE,
    PLACEMENT_AT_LIMIT,
    PLACEMENT_NO_URL,
    PLACEMENT_ASKER,
    PLACEMENT_CYCLE,
    PLACEMENT_ORPHAN,
    PLACEMENT_TOO_DEEP,
    PLACEMENT_OLD_EPOCH,
    PLACEMENT_NO_STREAM,
    PLACEMENT_N_WHYS
};
const char *placement_why_text(enum placement_why why);

struct placement_candidate {
    const struct placement_node *node;
    bool live;      /* its lease runs */
    bool gone;      /* it was asked and did not answer */
    bool suspect;   /* late, or reported gone */
    bool is_owner;  /* of the stream */
    bool carries;   /* the stream, owner or not */
    bool is_orphan; /* it pulls from a node that has the stream no more */
    uint64_t epoch; /* of what it carries; 0 = not known */
    uint32_t depth, n_children;
    int parent; /* index of the candidate it pulls from, -1 = none or not here */
    /* written by placement_decide() and placement_judge() */
    enum placement_why why;
    uint64_t rank; /* lower is better */
};

struct placement_request {
    const char *protocol;
    uint64_t stream_hash; /* placement_hash("app/name") */
    enum cluster_intent intent;
    bool tls;                           /* as in struct cluster_route_query */
    const struct placement_node *asker; /* NULL: a person, or a node that is not known */
    const struct cluster_ids *avoid;    /* may be NULL; a node that is full names itself */
    uint64_t owner_epoch;               /* 0: nobody owns the stream */
    uint32_t max_children;
    uint32_t load_bound; /* viewers of an edge of default weight */
    uint32_t load_slack; /* viewers that an edge may have whatever the bound is */
    bool edges_only;     /* there are edges, if full ones: origins do not serve people */
};

/* How good the best pick is. */
enum placement_level {
    PLACEMENT_LAST_RESORT, /* above the load bound, or an origin for people, or none: look further
                            */
    PLACEMENT_HAS_ROOM,    /* more candidates may have one that is better in a minor point */
    PLACEMENT_SETTLED      /* a wider snapshot could not do better */
};

struct placement_decision {
    enum cluster_decision decision;
    int picks[CLUSTER_MAX_UPSTREAMS]; /* indexes of candidates, best first */
    unsigned n_picks;
    enum placement_level level;
    const char *reason; /* static */
};

/* Borrows everything; candidates[].why and .rank are written. */
void placement_decide(const struct placement_request *request,
                      struct placement_candidate *candidates, int n_candidates,
                      struct placement_decision *out);
/* Judges candidates[from...] as placement_decide() would, and picks none of them: those against
 * which nothing speaks are PLACEMENT_UNSEEN. */
void placement_judge_unseen(const struct placement_request *request,
                            struct placement_candidate *candidates, int from, int n_candidates);

/* True when the asker is answered with upstreams to pull from: it is a node that serves people, and
 * not full. */
bool placement_asker_pulls(const struct placement_request *request);
/* True when the node takes no more viewers, by number or by bits a second. */
bool placement_is_at_limit(const struct placement_node *node);

/* The URL that people use for the protocol, "" when the node has none. *suffix is what follows the
 * name. Unknown protocols give "". */
const char *placement_public_url(const struct placement_node *node, const char *protocol, bool tls,
                                 const char **suffix);
/* Where publishes are forwarded to: internal HTTP for protocol "http", over TLS where it is
 * offered; else RTMP. An encoder that came by RTMPS goes to the people's address. */
const char *placement_publish_url(const struct placement_node *node, const char *protocol,
                                  bool tls);

/* FNV-1a, 64 bits, with a final mix: stable across processes and versions. */
uint64_t placement_hash(const char *text);
/* The node's place in the stream's own order of nodes; lower comes first. Each stream has another
 * order, so a node that comes or goes moves only the streams that are its own. */
uint64_t placement_affinity(uint64_t stream_hash, uint64_t node_hash);
/* The stream's hash as one asker sees it: another order for each asker. */
uint64_t placement_hash_for(uint64_t stream_hash, const struct placement_node *asker);

#endif
