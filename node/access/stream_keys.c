/* See stream_keys.h. */
#include "node/access/stream_keys.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/list.h"
#include "common/base/map.h"

struct kept {
    struct list node; /* in bucket.keys */
    char *id, *stream;
    char hash[SHA256_HEX_SIZE];
    unsigned actions;
    int64_t expires_s;
};

struct bucket { /* the keys of one stream, or of one app */
    struct list keys;
};

struct stream_keys {
    pthread_rwlock_t lock;
    struct map by_id;     /* -> struct kept, owned */
    struct map by_stream; /* -> struct bucket, owned */
    struct map by_hash;   /* -> struct kept, the one that was told last */
};

struct stream_keys *stream_keys_create(void)
{
    struct stream_keys *keys = calloc(1, sizeof *keys);

    if (!keys)
        return NULL;
    pthread_rwlock_init(&keys->lock, NULL);
    map_init(&keys->by_id);
    map_init(&keys->by_stream);
    map_init(&keys->by_hash);
    return keys;
}

static void kept_free(struct kept *k)
{
    free(k->id);
    free(k->stream);
    free(k);
}

/* Under the lock. */
static void take_out(struct stream_keys *keys, struct kept *k)
{
    struct bucket *bucket = map_get(&keys->by_stream, k->stream);

    (void)map_remove(&keys->by_id, k->id);
    if (map_get(&keys->by_hash, k->hash) == k)
        (void)map_remove(&keys->by_hash, k->hash);
    list_remove(&k->node);
    if (bucket && list_is_empty(&bucket->keys)) {
        (void)map_remove(&keys->by_stream, k->stream);
        free(bucket);
    }
}

void stream_keys_destroy(struct stream_keys **keys)
{
    struct stream_keys *all = *keys;
    struct map_cursor cursor = {0};
    const char *id;
    void *value;

    *keys = NULL;
    if (!all)
        return;
    while (map_next(&all->by_id, &cursor, &id, &value)) {
        struct kept *k = value;

        take_out(all, k);
        kept_free(k);
    }
    map_fini(&all->by_id);
    map_fini(&all->by_stream);
    map_fini(&all->by_hash);
    pthread_rwlock_destroy(&all->lock);
    free(all);
}

static struct kept *make(const struct stream_key *key)
{
    struct kept *k = calloc(1, sizeof *k);

    if (!k)
        return NULL;
    list_init(&k->node);
    k->id = strdup(key->id);
    k->stream = strdup(key->stream);
    snprintf(k->hash, sizeof k->hash, "%s", key->hash);
    k->actions = key->actions;
    k->expires_s = key->expires_s;
    if (k->id && k->stream)
        return k;
    kept_free(k);
    return NULL;
}

/* Under the lock. */
static enum err put_in(struct stream_keys *keys, struct kept *k)
{
    struct bucket *bucket = map_get(&keys->by_stream, k->stream);

    if (!bucket) {
        bucket = calloc(1, sizeof *bucket);
        if (!bucket)
            return E_NOMEM;
        list_init(&bucket->keys);
        if (map_set(&keys->by_stream, k->stream, bucket) != E_OK) {
            free(bucket);
            return E_NOMEM;
        }
    }
    list_push_back(&bucket->keys, &k->node);
    if (map_set(&keys->by_id, k->id, k) == E_OK && map_set(&keys->by_hash, k->hash, k) == E_OK)
        return E_OK;
    take_out(keys, k);
    return E_NOMEM;
}

enum err stream_keys_set(struct stream_keys *keys, const struct stream_key *key)
{
    struct kept *k = make(key), *old;
    enum err e;

    if (!k)
        return E_NOMEM;
    pthread_rwlock_wrlock(&keys->lock);
    old = map_get(&keys->by_id, key->id);
    if (old)
        take_out(keys, old);
    e = put_in(keys, k);
    pthread_rwlock_unlock(&keys->lock);
    if (old)
        kept_free(old);
    if (e != E_OK)
        kept_free(k);
    return e;
}

void stream_keys_remove(struct stream_keys *keys, const char *id)
{
    struct kept *k;

    pthread_rwlock_wrlock(&keys->lock);
    k = map_get(&keys->by_id, id);
    if (k)
        take_out(keys, k);
    pthread_rwlock_unlock(&keys->lock);
    if (k)
        kept_free(k);
}

/* Under the lock. All are compared, so that time says nothing about which. */
static bool is_in(const struct bucket *bucket, enum access_action action, const char *hash,
                  int64_t now_s)
{
    struct list *node, *tmp;
    bool found = false;

    list_for_each_safe(node, tmp, &bucket->keys) {
        const struct kept *k = list_entry(node, struct kept, node);
        bool is_due = (k->actions & 1u << action) && (!k->expires_s || now_s < k->expires_s);

        found |= digest_is_same(hash, k->hash, SHA256_HEX_SIZE) && is_due;
    }
    return found;
}

bool stream_keys_allow(struct stream_keys *keys, const struct stream_name *name,
                       enum access_action action, const char *secret, int64_t now_s)
{
    char hash[SHA256_HEX_SIZE], app[STREAM_NAME_SIZE + 2];
    const struct bucket *bucket;
    bool found;

    if (!stream_key_hash(secret, hash))
        return false;
    snprintf(app, sizeof app, "%.*s/*", name->app_bytes, name->text);
    pthread_rwlock_rdlock(&keys->lock);
    bucket = map_get(&keys->by_stream, name->text);
    found = bucket && is_in(bucket, action, hash, now_s);
    bucket = map_get(&keys->by_stream, app);
    found |= bucket && is_in(bucket, action, hash, now_s);
    pthread_rwlock_unlock(&keys->lock);
    return found;
}

bool stream_keys_name(struct stream_keys *keys, struct buf_view app, const char *secret,
                      int64_t now_s, struct stream_name *out)
{
    char hash[SHA256_HEX_SIZE], path[STREAM_NAME_SIZE + 2];
    const struct kept *k;
    const char *why;
    bool found;

    if (!stream_key_hash(secret, hash))
        return false;
    pthread_rwlock_rdlock(&keys->lock);
    k = map_get(&keys->by_hash, hash);
    found = k && k->actions & 1u << ACCESS_PUBLISH && (!k->expires_s || now_s < k->expires_s);
    if (found)
        snprintf(path, sizeof path, "/%s", k->stream);
    pthread_rwlock_unlock(&keys->lock);
    return found && stream_name_from_path(out, buf_view_str(path), &why) == E_OK &&
           app.size_bytes == out->app_bytes && !memcmp(app.data, out->text, app.size_bytes);
}
