/* Between relay_set.c, which holds what was told, relays.c, which changes it, and keeper.c. */
#ifndef HW_NODE_RELAY_RELAYS_PRIVATE_H
#define HW_NODE_RELAY_RELAYS_PRIVATE_H

#include "common/base/map.h"
#include "node/relay/relays.h"

struct relays {
    struct node *node;
    bool running;               /* media loops read the set */
    struct map pulls;           /* stream -> struct relay_pull, a reference */
    struct relay_push **pushes; /* references; NULL behind the last one */
    size_t n_pushes;
};

/* What the configuration says alone. NULL when out of memory; pair with relays_destroy(). */
struct relays *relays_of_conf(struct node *node);
/* Of a copy of the item. NULL: it cannot be (said in the log), or out of memory. */
struct relay_pull *relay_pull_make(const struct pull_item *item, enum relay_origin origin);
struct relay_push *relay_push_make(const char *id, const struct push_item *item,
                                   enum relay_origin origin);
/* Takes pull, which may be NULL; returns what it takes the place of, gone now, or NULL; pull itself
 * when out of memory. Media loops stand still, or do not run. */
struct relay_pull *relays_swap_pull(struct relays *r, const char *stream, struct relay_pull *pull);
struct relay_push *relays_swap_push(struct relays *r, const char *id, struct relay_push *push);
/* Lent; NULL: there is none. */
struct relay_push *relays_push_of(const struct relays *r, const char *id);
/* It, or one of its streams, was given up. */
bool relay_pull_has_failed(struct relay_pull *pull);
bool relay_push_has_failed(struct relay_push *push);

/* Keeps the pull's stream wanted, wherever its home is, until the pull is gone. Any thread. */
void keeper_begin(struct node *node, struct relay_pull *pull);
/* Ends those of the loop whose pull is gone, or all. Loop thread. */
void keeper_check(struct node_loop *nl, bool all);

#endif
