/* Shared by registry.c and registry_report.c. */
#ifndef HW_SCHEDULER_REGISTRY_PRIVATE_H
#define HW_SCHEDULER_REGISTRY_PRIVATE_H

#include "scheduler/registry.h"

/* The stream, made when it is new. E_LIMIT, E_NOMEM. */
enum err registry_need_stream(struct registry *r, const struct stream_name *name,
                              struct registry_stream **out);
/* Frees the stream when nobody owns or carries it. */
void registry_drop_if_idle(struct registry *r, struct registry_stream *s);
/* Moves the stream to node (NULL: nobody) and tells the watch. */
void registry_set_owner(struct registry *r, struct registry_stream *s, struct registry_node *node,
                        uint64_t epoch);
void registry_drop_carrier(struct registry *r, struct registry_carrier *c);
/* The node under this instance, made or replaced as needed. E_STALE, E_LIMIT, E_NOMEM. */
enum err registry_need_node(struct registry *r, const char *id, uint64_t instance,
                            struct registry_node **out, struct cluster_error *error);
/* Role, addresses and load from a report. */
void registry_describe(struct registry_node *node, const struct cluster_heartbeat *m);

#endif
