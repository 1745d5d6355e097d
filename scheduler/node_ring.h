/* Nodes that may be given new work, in the order of their hashes: who looks for a place takes a few
 * in a row from a point of the ring, so that no question walks over all nodes, and a node that
 * comes or goes changes only the questions next to it (Karger and others 1997). One thread at a
 * time. */
#ifndef HW_SCHEDULER_NODE_RING_H
#define HW_SCHEDULER_NODE_RING_H

#include "scheduler/placement.h"

struct node_ring {
    struct placement_node **nodes; /* owned array of borrowed nodes, by hash, then id */
    size_t n, room;
};

void node_ring_fini(struct node_ring *ring);
/* The node must not be in the ring. E_NOMEM. */
enum err node_ring_add(struct node_ring *ring, struct placement_node *node);
/* The node must be in the ring. */
void node_ring_remove(struct node_ring *ring, struct placement_node *node);
/* Index of the first node at hash or above; 0 behind the last one. */
size_t node_ring_at(const struct node_ring *ring, uint64_t hash);

#endif
