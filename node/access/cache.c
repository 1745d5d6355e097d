/* See cache.h. */
#include "node/access/cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/list.h"
#include "common/base/map.h"
#include "common/net/loop.h"

struct entry {
    struct list node; /* in cache.recent */
    char key[ACCESS_CACHE_KEY_SIZE];
    int64_t until_us;
    const char *why; /* static; NULL = good */
    bool has_claims;
    struct jwt_claims claims; /* cut behind the last stream; last */
};

struct access_cache {
    pthread_mutex_t lock;
    struct map entries; /* owned */
    struct list recent; /* the oldest first */
    size_t max_entries;
    uint8_t mac_key[SHA256_BYTES];
};

struct access_cache *access_cache_create(size_t max_entries)
{
    struct access_cache *cache = calloc(1, sizeof *cache);

    if (!cache)
        return NULL;
    pthread_mutex_init(&cache->lock, NULL);
    map_init(&cache->entries);
    list_init(&cache->recent);
    cache->max_entries = max_entries;
    random_bytes(cache->mac_key, sizeof cache->mac_key);
    return cache;
}

/* Under the lock. */
static void drop(struct access_cache *cache, struct entry *entry)
{
    (void)map_remove(&cache->entries, entry->key);
    list_remove(&entry->node);
    free(entry);
}

void access_cache_destroy(struct access_cache **cache)
{
    struct access_cache *c = *cache;

    *cache = NULL;
    if (!c)
        return;
    while (!list_is_empty(&c->recent))
        drop(c, list_entry(c->recent.next, struct entry, node));
    map_fini(&c->entries);
    pthread_mutex_destroy(&c->lock);
    explicit_bzero(c->mac_key, sizeof c->mac_key);
    free(c);
}

bool access_cache_key(const struct access_cache *cache, const char *kind, uint64_t book,
                      const char *secret, char key[ACCESS_CACHE_KEY_SIZE])
{
    uint8_t mac[SHA256_BYTES];
    struct buf_writer text;
    bool ok;

    buf_writer_init(&text, 1 << 16);
    buf_write_u64be(&text, book);
    buf_write(&text, kind, strlen(kind) + 1);
    buf_write_str(&text, secret);
    ok = buf_writer_status(&text) == E_OK &&
         digest_hmac_sha256(buf_view_of(cache->mac_key, sizeof cache->mac_key),
                            buf_writer_view(&text), mac);
    if (text.used_bytes)
        explicit_bzero(text.data, text.used_bytes);
    buf_writer_fini(&text);
    if (ok)
        hex_write(mac, sizeof mac, key);
    return ok;
}

static size_t claims_bytes(const struct jwt_claims *claims)
{
    return offsetof(struct jwt_claims, streams) + claims->n_streams * sizeof claims->streams[0];
}

enum access_cached access_cache_get(struct access_cache *cache, const char *key, int64_t now_us,
                                    struct jwt_claims *claims, const char **why)
{
    enum access_cached found = ACCESS_UNKNOWN;
    struct entry *entry;

    pthread_mutex_lock(&cache->lock);
    entry = map_get(&cache->entries, key);
    if (entry && now_us >= entry->until_us) {
        drop(cache, entry);
    } else if (entry) {
        list_remove(&entry->node);
        list_push_back(&cache->recent, &entry->node);
        found = entry->why ? ACCESS_BAD : ACCESS_GOOD;
        *why = entry->why;
        if (claims && entry->has_claims)
            memcpy(claims, &entry->claims, claims_bytes(&entry->claims));
    }
    pthread_mutex_unlock(&cache->lock);
    return found;
}

static struct entry *make(const char *key, int64_t until_us, const struct jwt_claims *claims,
                          const char *why)
{
    size_t size = claims ? claims_bytes(claims) : 0;
    struct entry *entry = malloc(offsetof(struct entry, claims) + size);

    if (!entry)
        return NULL;
    memcpy(entry->key, key, sizeof entry->key);
    entry->until_us = until_us;
    entry->why = why;
    entry->has_claims = claims != NULL;
    if (claims)
        memcpy((char *)entry + offsetof(struct entry, claims), claims, size);
    list_init(&entry->node);
    return entry;
}

void access_cache_put(struct access_cache *cache, const char *key, int64_t until_us,
                      const struct jwt_claims *claims, const char *why)
{
    struct entry *entry = make(key, until_us, claims, why), *old;

    if (!entry)
        return;
    pthread_mutex_lock(&cache->lock);
    old = map_get(&cache->entries, key);
    if (old)
        drop(cache, old);
    while (cache->entries.n_entries >= cache->max_entries)
        drop(cache, list_entry(cache->recent.next, struct entry, node));
    if (map_set(&cache->entries, key, entry) == E_OK)
        list_push_back(&cache->recent, &entry->node);
    else
        free(entry);
    pthread_mutex_unlock(&cache->lock);
}
