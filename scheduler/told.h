/* What operators told at nodes: bans, stream keys, relays, ... (struct cluster_setting). Held here
 * for all nodes, in the order of changes, so that a node asks for what came after what it has. What
 * an item means is the nodes' business; of it only "expires" (Unix seconds) is read. Two kinds of
 * store share it as they share owners: README.md "Settings". Loop thread. */
#ifndef HW_SCHEDULER_TOLD_H
#define HW_SCHEDULER_TOLD_H

#include "common/base/map.h"
#include "common/net/http_server.h"
#include "proto/cluster/cluster.h"

struct scheduler;

struct told {
    struct scheduler *scheduler;
    struct map by_id;  /* "kind id" -> struct told_entry, owned */
    struct list order; /* the same, the newest change last */
    uint64_t run, seq; /* random at start; of the last change */
    struct timer tell; /* the nodes are to hear that something has changed */
    struct timer sweep;
    struct timer store;    /* what the store lacks is on its way to it */
    struct list *store_at; /* up to there; NULL: none is under way */
    bool said_full;
};

void told_init(struct told *told, struct scheduler *s);
void told_fini(struct told *told);

/* Takes what is newer than what is here; of that, items are moved out of m. is_stored: the store
 * said it. */
void told_merge(struct told *told, struct cluster_settings *m, bool is_stored);
/* The store is about to say all that it has: what it does not, it is given by told_store_rest(). */
void told_doubt_store(struct told *told);
void told_store_rest(struct told *told);

/* Handlers; arg is the scheduler. */
void api_get_settings(struct http_exchange *x, void *arg);
void api_post_settings(struct http_exchange *x, void *arg);

#endif
