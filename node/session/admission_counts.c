/* See admission_counts.h. */
#include "node/session/admission_counts.h"

#include <stdlib.h>
#include <string.h>

#define KEY_SIZE (STREAM_NAME_SIZE + 1)

void admission_counts_init(struct admission_counts *counts)
{
    for (unsigned i = 0; i < ADMISSION_N_SHARDS; i++) {
        pthread_mutex_init(&counts->shards[i].lock, NULL);
        map_init(&counts->shards[i].by_key);
    }
}

void admission_counts_fini(struct admission_counts *counts)
{
    for (unsigned i = 0; i < ADMISSION_N_SHARDS; i++) {
        map_fini(&counts->shards[i].by_key);
        pthread_mutex_destroy(&counts->shards[i].lock);
    }
}

/* Who picks names for one shard gets a slower lock, and no more: the maps hash better. */
static unsigned shard_of(const char *key)
{
    unsigned sum = 0;

    for (; *key; key++)
        sum = sum * 31 + (unsigned char)*key;
    return sum % ADMISSION_N_SHARDS;
}

/* Takes *app into what it makes. */
static struct admission_count *make(struct map *by_key, const char *key,
                                    struct admission_count **app)
{
    size_t size = strlen(key) + 1;
    struct admission_count *count = calloc(1, sizeof *count + size);

    if (!count)
        return NULL;
    memcpy(count->key, key, size);
    if (map_set(by_key, key, count) != E_OK) {
        free(count);
        return NULL;
    }
    if (app) {
        count->app = *app;
        *app = NULL;
    }
    return count;
}

/* With one more reference; NULL: there is none, and it may not or cannot be made. */
static struct admission_count *get(struct admission_counts *counts, const char *key, bool may_make,
                                   struct admission_count **app)
{
    unsigned i = shard_of(key);
    struct admission_count *count;

    pthread_mutex_lock(&counts->shards[i].lock);
    count = map_get(&counts->shards[i].by_key, key);
    if (!count && may_make)
        count = make(&counts->shards[i].by_key, key, app);
    if (count && count->refs++ == 0)
        count->shard = i; /* before anybody else has it */
    pthread_mutex_unlock(&counts->shards[i].lock);
    return count;
}

/* The first letter of a key keeps addresses, streams and apps apart. */
struct admission_count *admission_counts_get_ip(struct admission_counts *counts,
                                                const struct addr *addr)
{
    char key[1 + ADDR_KEY_SIZE] = "i";

    addr_client_key(addr, key + 1);
    return get(counts, key, true, NULL);
}

static struct admission_count *get_app(struct admission_counts *counts,
                                       const struct stream_name *name)
{
    char key[KEY_SIZE] = "a";

    memcpy(key + 1, name->text, name->app_bytes);
    key[1 + name->app_bytes] = '\0';
    return get(counts, key, true, NULL);
}

/* Nearly every viewer finds the stream there; the first one brings its app. */
struct admission_count *admission_counts_get_stream(struct admission_counts *counts,
                                                    const struct stream_name *name)
{
    struct admission_count *count, *app;
    char key[KEY_SIZE] = "s";

    memcpy(key + 1, name->text, strlen(name->text) + 1);
    count = get(counts, key, false, NULL);
    if (count)
        return count;
    app = get_app(counts, name);
    if (app)
        count = get(counts, key, true, &app);
    admission_counts_put(counts, &app); /* it was made meanwhile, or could not be */
    return count;
}

void admission_counts_put(struct admission_counts *counts, struct admission_count **count_ref)
{
    struct admission_count *count = *count_ref;
    bool is_last;
    unsigned i;

    *count_ref = NULL;
    if (!count)
        return;
    i = count->shard;
    pthread_mutex_lock(&counts->shards[i].lock);
    is_last = --count->refs == 0;
    if (is_last)
        (void)map_remove(&counts->shards[i].by_key, count->key);
    pthread_mutex_unlock(&counts->shards[i].lock);
    if (!is_last)
        return;
    admission_counts_put(counts, &count->app);
    free(count);
}

static void measure(struct admission_count *count, int64_t elapsed_us)
{
    uint64_t bytes = atomic_load_explicit(&count->sent_bytes, memory_order_relaxed);
    double bps = (double)(bytes - count->last_bytes) * 8e6 / (double)elapsed_us;

    count->last_bytes = bytes;
    atomic_store_explicit(&count->egress_bps, (uint64_t)bps, memory_order_relaxed);
}

void admission_counts_measure(struct admission_counts *counts, int64_t elapsed_us)
{
    for (unsigned i = 0; i < ADMISSION_N_SHARDS && elapsed_us > 0; i++) {
        struct map_cursor cursor = {0};
        const char *key;
        void *value;

        pthread_mutex_lock(&counts->shards[i].lock);
        while (map_next(&counts->shards[i].by_key, &cursor, &key, &value))
            measure(value, elapsed_us);
        pthread_mutex_unlock(&counts->shards[i].lock);
    }
}
