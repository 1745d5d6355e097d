/* Placement: (snapshot, request) -> decision. Pure: no clock, no store, no allocation, the same
 * answer for the same input on every scheduler (the hash is keyed with nothing of the process).
 *
 * People are sent to an edge: one that carries the stream already, under the load bound, picked by
 * rendezvous hashing, so that the viewers of a stream stay on few edges; then one of the asker's
 * zone; then the least loaded. Origins serve people only where there is no edge. Nodes that pull
 * are given the owner while it has fewer than max_children relays, then carriers, nearest to the
 * owner first: depth <= PLACEMENT_MAX_DEPTH, no cycles. Publishes go to the least loaded origin. */
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
};

/* Why a candidate was left, or PLACEMENT_TAKEN. */
enum placement_why {
    PLACEMENT_RANKED, /* usable, others were better */
    PLACEMENT_TAKEN,
    PLACEMENT_LAPSED,
    PLACEMENT_SUSPECT,
    PLACEMENT_DRAINING,
    PLACEMENT_STARTING,
    PLACEMENT_AVOIDED,
    PLACEMENT_ROLE,
    PLACEMENT_NO_URL,
    PLACEMENT_ASKER,
    PLACEMENT_CYCLE,
    PLACEMENT_ORPHAN,
    PLACEMENT_TOO_DEEP,
    PLACEMENT_OLD_EPOCH,
    PLACEMENT_NO_STREAM
};
const char *placement_why_text(enum placement_why why);

struct placement_candidate {
    const struct placement_node *node;
    bool live;      /* its lease runs */
    bool suspect;   /* late, or reported gone */
    bool is_owner;  /* of the stream */
    bool carries;   /* the stream, owner or not */
    uint64_t epoch; /* of what it carries; 0 = not known */
    uint32_t depth, n_children;
    int parent;     /* index of the candidate it pulls from, -1 = none or not here */
    bool is_orphan; /* it pulls from a node that has the stream no more */
    /* written by placement_decide() */
    enum placement_why why;
    uint64_t rank; /* private: lower is better */
};

struct placement_request {
    const char *stream; /* "app/name" */
    const char *protocol;
    enum cluster_intent intent;
    const struct placement_node *asker; /* NULL: a person, or a node that is not known */
    const char (*avoid)[CLUSTER_ID_SIZE];
    unsigned n_avoid;
    uint64_t owner_epoch; /* 0: nobody owns the stream */
    uint32_t max_children;
    uint32_t max_viewers; /* load bound of an edge */
};

struct placement_decision {
    enum cluster_decision decision;
    int picks[CLUSTER_MAX_UPSTREAMS]; /* indexes of candidates, best first */
    unsigned n_picks;
    bool is_settled;    /* a wider snapshot could not do better */
    const char *reason; /* static */
};

/* Borrows everything; candidates[].why and .rank are written. */
void placement_decide(const struct placement_request *request,
                      struct placement_candidate *candidates, int n_candidates,
                      struct placement_decision *out);

/* The URL that people use for the protocol, "" when the node has none. *suffix is what follows the
 * name. Unknown protocols give "". */
const char *placement_public_url(const struct placement_node *node, const char *protocol,
                                 const char **suffix);

/* FNV-1a, 64 bits, with a final mix: stable across processes and versions. */
uint64_t placement_hash(const char *text);

#endif
