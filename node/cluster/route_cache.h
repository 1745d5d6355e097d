/* Routes as schedulers gave them: fresh for their ttl, and kept after that for the time when no
 * scheduler answers. Pure; one thread at a time. */
#ifndef HW_NODE_CLUSTER_ROUTE_CACHE_H
#define HW_NODE_CLUSTER_ROUTE_CACHE_H

#include "common/base/conf.h"
#include "common/base/map.h"
#include "proto/cluster/cluster.h"

#define ROUTE_CACHE_MAX_STREAMS 20000
#define ROUTE_CACHE_KEEP_US 3600000000     /* unused for longer: forgotten */
#define ROUTE_CACHE_KEEP_EMPTY_US 10000000 /* the same, of answers that name no place */
#define ROUTE_DEGRADED_TTL_MS 1000

struct route_entry {          /* one question: stream, intent, protocol, TLS */
    struct route_entry *next; /* of the same stream */
    enum cluster_intent intent;
    char protocol[16];
    bool tls;
    bool has_route;
    struct cluster_route route;
    int64_t fresh_until_us, used_us;
    void *flight; /* the caller's: while set, the entry is not dropped */
};

struct route_cache {
    struct map streams; /* name -> first struct route_entry, owned */
    size_t max_streams;
};

void route_cache_init(struct route_cache *cache, size_t max_streams);
/* Flights are the caller's to end first. */
void route_cache_fini(struct route_cache *cache);

/* The entry of the question, made if need be: lent until the next call that may drop entries, or
 * longer while its flight is set. NULL when out of memory, or full of entries that are in use. */
struct route_entry *route_cache_get(struct route_cache *cache,
                                    const struct cluster_route_query *query, int64_t now_us);
/* The route when it may still be used, else NULL. have_epoch: the asker already has that epoch, so
 * an older one does not help. */
const struct cluster_route *route_entry_fresh(const struct route_entry *entry, uint64_t have_epoch,
                                              int64_t now_us);
/* Copies. */
void route_entry_store(struct route_entry *entry, const struct cluster_route *route,
                       int64_t now_us);
/* The stream moved: what is known is only for the time without scheduler. */
void route_cache_expire(struct route_cache *cache, const char *name);
/* The stream ended. */
void route_cache_forget(struct route_cache *cache, const char *name);
/* The events connection was away, so anything may have moved. */
void route_cache_expire_all(struct route_cache *cache);
/* Drops what was not used for a long time. */
void route_cache_sweep(struct route_cache *cache, int64_t now_us);
/* Hops from the origin to here by way of that upstream; 1 when unknown. */
uint32_t route_cache_depth(const struct route_cache *cache, const char *name, const char *upstream);

/* The answer while no scheduler does: the cached route (NULL = none) without what the asker wants
 * to avoid, else the fallback origins other than this node, else wait. Viewers and publishers are
 * served here. */
struct route_fallback {
    const struct conf_list *origins;
    const struct cluster_urls *own; /* this node's internal ones */
};
void route_degraded(const struct cluster_route_query *query, const struct cluster_route *cached,
                    const struct route_fallback *fallback, struct cluster_route *out);

#endif
