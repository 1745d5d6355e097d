/* Shared by route.c and route_explain.c. */
#ifndef HW_SCHEDULER_ROUTE_PRIVATE_H
#define HW_SCHEDULER_ROUTE_PRIVATE_H

#include "scheduler/route.h"

/* Adds a node that is not a candidate yet, with what it has of the stream (NULL: of none); the
 * index, or -1 when out of memory. */
int router_add(struct router *r, const struct registry_stream *s, struct registry_node *node,
               int64_t now_us);
bool router_has(const struct router *r, const struct registry_node *node);
/* Says for candidates[from...] which candidate each pulls from; parents that are none yet become
 * candidates. E_NOMEM. */
enum err router_link_parents(struct router *r, const struct registry_stream *s, int from,
                             int64_t now_us);
/* Adds and judges the nodes that were not looked at, and writes r->told. E_NOMEM. */
enum err router_explain(struct router *r, const struct placement_request *request,
                        const struct registry_stream *s, int64_t now_us);

#endif
