/* From a route question to an answer: takes the snapshot out of the registry and asks placement. */
#ifndef HW_SCHEDULER_ROUTE_H
#define HW_SCHEDULER_ROUTE_H

#include "scheduler/registry.h"

struct router {
    struct registry *registry;
    uint32_t max_children;
    uint32_t load_factor_percent, load_slack;
    struct placement_candidate *candidates; /* owned scratch */
    int room, n_candidates;
    uint64_t round; /* private */
};

void router_init(struct router *r, struct registry *registry);
void router_fini(struct router *r);

/* Answers from memory. explain: every node becomes a candidate; the reasons stay in r->candidates
 * until the next call. E_NOMEM. */
enum err router_ask(struct router *r, const struct cluster_route_query *query, bool explain,
                    int64_t now_us, struct cluster_route *out);

/* The least loaded origin for an edge that wants to publish, or NULL. The stream's live owner comes
 * first, so that a publisher that returns through an edge finds its stream. */
struct registry_node *router_pick_origin(struct router *r, const struct registry_node *asker,
                                         const struct registry_stream *stream, int64_t now_us);

#endif
