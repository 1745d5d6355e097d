/* Nodes in the order of their hashes: a sorted array, since a few kilobytes that move when a node
 * fills up cost less than what a tree costs each question. */
#include "scheduler/node_ring.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Index of the first node that does not come before (hash, id). */
static size_t find(const struct node_ring *ring, uint64_t hash, const char *id)
{
    size_t low = 0, high = ring->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct placement_node *node = ring->nodes[middle];

        if (node->hash < hash || (node->hash == hash && strcmp(node->id, id) < 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void node_ring_fini(struct node_ring *ring)
{
    free(ring->nodes);
    *ring = (struct node_ring){0};
}

enum err node_ring_add(struct node_ring *ring, struct placement_node *node)
{
    size_t at = find(ring, node->hash, node->id);

    if (ring->n == ring->room) {
        size_t room = ring->room ? 2 * ring->room : 16;
        struct placement_node **more = realloc(ring->nodes, room * sizeof(struct placement_node *));

        if (!more)
            return E_NOMEM;
        ring->nodes = more;
        ring->room = room;
    }
    memmove(&ring->nodes[at + 1], &ring->nodes[at], (ring->n - at) * sizeof ring->nodes[0]);
    ring->nodes[at] = node;
    ring->n++;
    return E_OK;
}

void node_ring_remove(struct node_ring *ring, struct placement_node *node)
{
    size_t at = find(ring, node->hash, node->id);

    assert(at < ring->n && ring->nodes[at] == node);
    ring->n--;
    memmove(&ring->nodes[at], &ring->nodes[at + 1], (ring->n - at) * sizeof ring->nodes[0]);
}

size_t node_ring_at(const struct node_ring *ring, uint64_t hash)
{
    size_t at = find(ring, hash, "");

    return at < ring->n ? at : 0;
}
