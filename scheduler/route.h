/* From a route question to an answer: takes a snapshot out of the registry and asks placement. No
 * question walks over all nodes: a snapshot is the owner and a few carriers of the stream, and,
 * where none of them settles it, some nodes in a row of a ring. */
#ifndef HW_SCHEDULER_ROUTE_H
#define HW_SCHEDULER_ROUTE_H

#include "scheduler/registry.h"

struct router {
    struct registry *registry;
    uint32_t max_children;
    uint32_t load_factor_percent, load_slack;
    struct placement_candidate *candidates; /* owned scratch */
    int room, n_candidates;
    int n_seen;             /* of them the decision was made; those behind are only told of */
    uint64_t round;         /* private */
    struct buf_writer told; /* private: the last explanation */
};

void router_init(struct router *r, struct registry *registry);
void router_fini(struct router *r);

/* Answers from memory, and counts what it gave away. With query->explain nothing is counted, and
 * out->candidates_json says why each node was taken or left; lent until the next call. E_NOMEM. */
enum err router_ask(struct router *r, const struct cluster_route_query *query, int64_t now_us,
                    struct cluster_route *out);

/* The origin that an edge forwards its publisher to, or NULL. The stream's live owner comes first,
 * so that a publisher that returns through an edge finds its stream, unless another encoder has it.
 */
struct registry_node *router_pick_origin(struct router *r, const struct registry_node *asker,
                                         const struct cluster_publish *request, int64_t now_us);

#endif
