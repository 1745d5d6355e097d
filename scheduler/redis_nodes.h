/* Node keys in Redis: one write a heartbeat, all of them read once a second, and how many nodes
 * were needed with them; and the mark by which an emptied Redis is noticed. Loop thread.
 *
 * With 5,000 nodes that report once a second, of which each scheduler reads 200 in one MGET, this
 * is 5,000 commands a second and 27 for each scheduler. */
#ifndef HW_SCHEDULER_REDIS_NODES_H
#define HW_SCHEDULER_REDIS_NODES_H

#include "common/base/map.h"
#include "scheduler/redis_link.h"
#include "scheduler/store.h"

struct redis_nodes {
    struct redis_link *link; /* borrowed */
    const struct store_watch *watch;
    int64_t poll_ms;
    struct timer check, poll; /* the mark, the nodes */
    struct map listed;        /* ids known to be in hw:nodes; values are the map itself */
    char boot[24];            /* the mark as last seen; "" = not yet */
    void (*on_emptied)(void *arg);
    void *arg;
};

void redis_nodes_init(struct redis_nodes *n, struct loop *loop, const struct store_watch *watch,
                      int64_t poll_ms, void (*on_emptied)(void *arg), void *arg);
void redis_nodes_fini(struct redis_nodes *n);
/* The link is up: reads all nodes now, and again every poll_ms. */
void redis_nodes_start(struct redis_nodes *n);
void redis_nodes_stop(struct redis_nodes *n);

/* As in store.h. */
void redis_nodes_put_scale(struct redis_nodes *n, struct buf_view json);
void redis_nodes_put(struct redis_nodes *n, const struct cluster_heartbeat *m, int64_t lease_ms);

#endif
