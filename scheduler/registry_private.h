/* Shared by the files of the registry: registry.c has the tables and the sweep, registry_node.c
 * instances, registry_share.c what they say of themselves, registry_stream.c ownership,
 * registry_report.c heartbeats, registry_promise.c who was just sent where. */
#ifndef HW_SCHEDULER_REGISTRY_PRIVATE_H
#define HW_SCHEDULER_REGISTRY_PRIVATE_H

#include "scheduler/registry.h"

/* Streams */

/* The stream, made when it is new. E_LIMIT, E_NOMEM. */
enum err registry_need_stream(struct registry *r, const struct stream_name *name,
                              struct registry_stream **out);
/* Frees the stream when nobody owns it, carries it, or holds a publisher of it ready. */
void registry_drop_if_idle(struct registry *r, struct registry_stream *s);
/* Moves the stream to node (NULL: nobody). Returns the owner before, if that is another one; the
 * caller tells the watch. */
const struct registry_node *registry_set_owner(struct registry *r, struct registry_stream *s,
                                               struct registry_node *node, uint64_t epoch,
                                               uint64_t run);
/* registry_sum.c: the stream joins or leaves what its owner owns, at its epoch. */
void registry_count_owned(struct registry_stream *s);
/* The node's own sum against ours, after its report here, or after one to another scheduler. */
void registry_compare_here(struct registry_node *node, const struct cluster_heartbeat *m);
void registry_compare_elsewhere(struct registry *r, struct registry_node *node,
                                const struct cluster_heartbeat *m, int64_t now_us);
/* Its owner is gone without a word. The stream stays, also where nobody has it any more. */
void registry_lose_owner(struct registry *r, struct registry_stream *s);
/* The owner says so itself: people downstream are told. */
void registry_end_stream(struct registry *r, struct registry_stream *s);
/* registry_sum.c: likewise, and nobody has the epoch that was known: it does not stand in the way
 * of who has the stream. */
void registry_disown(struct registry *r, struct registry_stream *s);
/* How node carries the stream, made when it is new. NULL when out of memory. */
struct registry_carrier *registry_need_carrier(struct registry_stream *s,
                                               struct registry_node *node);
void registry_drop_carrier(struct registry *r, struct registry_carrier *c);
/* Its report has said what became of it. */
void registry_keep_promise(struct registry_carrier *c);
void registry_sweep_promises(struct registry *r, int64_t now_us, unsigned max_promises);
struct registry_standby *registry_standby(const struct registry_stream *s,
                                          const struct registry_node *node);
/* After the epoch of the carrier or of the stream changed. */
void registry_sort_moved(struct registry_carrier *c);
void registry_drop_standby(struct registry *r, struct registry_standby *standby);
/* Drops up to max_streams of everything that (id, instance) has; the number left of them.
 * Downstream is not told: a node that is gone or was replaced has not said that its streams ended,
 * and whoever pulls from it sees the connection close. */
unsigned registry_drop_streams_of(struct registry *r, struct registry_node *node,
                                  unsigned max_streams);
/* Calls on_orphan() for each stream of the node that has a standby elsewhere. */
void registry_tell_orphans(struct registry *r, const struct registry_node *node);
/* What the node carries and holds ready is not followed here any more. */
void registry_forget_carried(struct registry *r, struct registry_node *node);

/* Nodes */

/* The node under this instance, made, replaced or set aside as needed. m: its report, or NULL when
 * it only asks. E_STALE, E_LIMIT, E_NOMEM. */
enum err registry_need_node(struct registry *r, const char *id, uint64_t instance,
                            const struct cluster_heartbeat *m, int64_t now_us,
                            struct registry_node **out, struct cluster_error *error);
/* Takes the node and its earlier instances out of all tables; what they have is dropped by
 * registry_reap(). */
void registry_bury_node(struct registry *r, struct registry_node *node);
/* The same for those earlier instances of the node that have come to their end. */
void registry_sweep_older(struct registry *r, struct registry_node *node, int64_t now_us);
bool registry_is_dying(const struct registry_node *node);
/* Its heartbeat came, or the echo of one. */
void registry_heard(struct registry *r, struct registry_node *node, int64_t now_us);

/* What a node says of itself */

/* Role, addresses and load from a report, as far as they can be. */
void registry_describe(struct registry *r, struct registry_node *node,
                       const struct cluster_heartbeat *m, int64_t now_us);
/* Puts the node into the rings and sums where it belongs now; is_up: its lease runs. */
void registry_share(struct registry *r, struct registry_node *node, bool is_up);
/* Two ids at one address: neither can be told from the other by asking it. */
bool registry_is_same_address(const struct registry_node *a, const struct registry_node *b);
/* Out of the rings, sums and tables of what nodes say. */
void registry_withdraw(struct registry *r, struct registry_node *node);

/* Drops up to max_streams of what its last full report did not name; the number left of them. The
 * node leaves the list of those to be trimmed when that was all. */
unsigned registry_trim(struct registry *r, struct registry_node *node, int64_t now_us,
                       unsigned max_streams);
/* The node does not keep others from being asked for their full reports any more. */
void registry_free_full_slot(struct registry *r, struct registry_node *node);

#endif
