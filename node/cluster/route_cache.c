/* One chain of entries a stream, since events name streams while questions also differ in intent
 * and protocol. */
#include "node/cluster/route_cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void route_cache_init(struct route_cache *cache, size_t max_streams)
{
    map_init(&cache->streams);
    cache->max_streams = max_streams;
}

static void free_chain(struct route_entry *entry)
{
    while (entry) {
        struct route_entry *next = entry->next;

        free(entry);
        entry = next;
    }
}

void route_cache_fini(struct route_cache *cache)
{
    struct map_cursor cursor = {0};
    const char *name;
    void *chain;

    while (map_next(&cache->streams, &cursor, &name, &chain))
        free_chain(chain);
    map_fini(&cache->streams);
}

/* Only a place to pull from is of use when no scheduler answers. */
static int64_t keep_us(const struct route_entry *entry)
{
    return entry->has_route && entry->route.decision == CLUSTER_PULL ? ROUTE_CACHE_KEEP_US
                                                                     : ROUTE_CACHE_KEEP_EMPTY_US;
}

static bool is_droppable(const struct route_entry *entry, int64_t now_us)
{
    for (; entry; entry = entry->next)
        if (entry->flight || entry->used_us > now_us - keep_us(entry))
            return false;
    return true;
}

/* Drops chains that were not used for long, at most n_max of them. */
static size_t drop_unused(struct route_cache *cache, int64_t now_us, size_t n_max)
{
    struct map_cursor cursor = {0};
    const char *name;
    void *chain;
    size_t n = 0;

    while (n < n_max && map_next(&cache->streams, &cursor, &name, &chain)) {
        if (!is_droppable(chain, now_us))
            continue;
        map_remove(&cache->streams, name);
        free_chain(chain);
        n++;
    }
    return n;
}

void route_cache_sweep(struct route_cache *cache, int64_t now_us)
{
    drop_unused(cache, now_us, SIZE_MAX);
}

static bool is_for(const struct route_entry *entry, const struct cluster_route_query *query)
{
    return entry->intent == query->intent && entry->tls == query->tls &&
           strcmp(entry->protocol, query->protocol) == 0;
}

static struct route_entry *add(struct route_cache *cache, const struct cluster_route_query *query,
                               struct route_entry *chain)
{
    struct route_entry *entry;

    if (!chain && cache->streams.n_entries >= cache->max_streams &&
        drop_unused(cache, INT64_MAX, 1) == 0)
        return NULL;
    entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    entry->intent = query->intent;
    entry->tls = query->tls;
    snprintf(entry->protocol, sizeof entry->protocol, "%s", query->protocol);
    if (chain) { /* behind the first one, which the map points to */
        entry->next = chain->next;
        chain->next = entry;
    } else if (map_set(&cache->streams, query->name.text, entry) != E_OK) {
        free(entry);
        return NULL;
    }
    return entry;
}

struct route_entry *route_cache_get(struct route_cache *cache,
                                    const struct cluster_route_query *query, int64_t now_us)
{
    struct route_entry *chain = map_get(&cache->streams, query->name.text), *entry = chain;

    while (entry && !is_for(entry, query))
        entry = entry->next;
    if (!entry)
        entry = add(cache, query, chain);
    if (entry)
        entry->used_us = now_us;
    return entry;
}

const struct cluster_route *route_entry_fresh(const struct route_entry *entry, uint64_t have_epoch,
                                              int64_t now_us)
{
    if (!entry->has_route || now_us >= entry->fresh_until_us)
        return NULL;
    if (entry->route.n_upstreams && entry->route.upstreams[0].epoch < have_epoch)
        return NULL;
    return &entry->route;
}

void route_entry_store(struct route_entry *entry, const struct cluster_route *route, int64_t now_us)
{
    entry->route = *route;
    entry->has_route = true;
    entry->fresh_until_us = now_us + (int64_t)route->ttl_ms * 1000;
}

void route_cache_expire(struct route_cache *cache, const char *name)
{
    for (struct route_entry *entry = map_get(&cache->streams, name); entry; entry = entry->next)
        entry->fresh_until_us = 0;
}

void route_cache_forget(struct route_cache *cache, const char *name)
{
    struct route_entry *chain = map_get(&cache->streams, name);

    for (struct route_entry *entry = chain; entry; entry = entry->next)
        entry->has_route = false;
    if (chain && is_droppable(chain, INT64_MAX)) {
        map_remove(&cache->streams, name);
        free_chain(chain);
    }
}

void route_cache_expire_all(struct route_cache *cache)
{
    struct map_cursor cursor = {0};
    const char *name;
    void *chain;

    while (map_next(&cache->streams, &cursor, &name, &chain))
        for (struct route_entry *entry = chain; entry; entry = entry->next)
            entry->fresh_until_us = 0;
}

uint32_t route_cache_depth(const struct route_cache *cache, const char *name, const char *upstream)
{
    const struct route_entry *entry = map_get(&cache->streams, name);

    for (; entry; entry = entry->next)
        for (unsigned i = 0; entry->has_route && i < entry->route.n_upstreams; i++)
            if (strcmp(entry->route.upstreams[i].node, upstream) == 0)
                return entry->route.upstreams[i].depth + 1;
    return 1;
}

/* --- without scheduler --- */

static void add_cached(const struct cluster_route_query *query, const struct cluster_route *cached,
                       struct cluster_route *out)
{
    for (unsigned i = 0; i < cached->n_upstreams; i++)
        if (!cluster_ids_hold(&query->avoid, cached->upstreams[i].node))
            out->upstreams[out->n_upstreams++] = cached->upstreams[i];
}

static void add_fallback(const struct route_fallback *fallback, struct cluster_route *out)
{
    for (size_t i = 0; i < fallback->origins->n_items && out->n_upstreams < CLUSTER_MAX_UPSTREAMS;
         i++) {
        struct cluster_upstream *up = &out->upstreams[out->n_upstreams];

        if (strcmp(fallback->origins->items[i], fallback->own->http) == 0 ||
            strcmp(fallback->origins->items[i], fallback->own->https) == 0)
            continue;
        snprintf(up->url, sizeof up->url, "%s", fallback->origins->items[i]);
        out->n_upstreams++;
    }
}

void route_degraded(const struct cluster_route_query *query, const struct cluster_route *cached,
                    const struct route_fallback *fallback, struct cluster_route *out)
{
    *out = (struct cluster_route){.decision = CLUSTER_SERVE, .ttl_ms = ROUTE_DEGRADED_TTL_MS};
    if (query->intent != CLUSTER_INTENT_SOURCE)
        return;
    out->decision = CLUSTER_PULL;
    if (cached)
        add_cached(query, cached, out);
    if (out->n_upstreams == 0)
        add_fallback(fallback, out);
    if (out->n_upstreams > 0)
        return;
    out->decision = CLUSTER_WAIT;
    snprintf(out->reason, sizeof out->reason, "no scheduler answers, and no other origin is known");
}
