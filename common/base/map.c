/* Hash map with chained entries. The table doubles when it holds as many entries as buckets and
 * never shrinks: removing during iteration must not move anything. */
#include "common/base/map.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>

#include "common/base/siphash.h"

struct map_entry {
    struct map_entry *next;
    void *value;
    uint64_t hash;
    char key[]; /* zero-terminated copy */
};

enum { FIRST_BUCKETS = 16 };

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static uint64_t process_key[2];

static void make_process_key(void)
{
    uintptr_t fallback; /* 16 random bytes that the kernel gives each program at start */

    if (getrandom(process_key, sizeof process_key, 0) == (ssize_t)sizeof process_key)
        return;
    fallback = getauxval(AT_RANDOM);
    if (fallback)
        memcpy(process_key, (const void *)fallback, sizeof process_key);
}

uint64_t map_hash(const void *data, size_t size_bytes)
{
    pthread_once(&key_once, make_process_key);
    return siphash13(process_key, data, size_bytes);
}

void map_init(struct map *m)
{
    *m = (struct map){0};
}

void map_fini(struct map *m)
{
    for (size_t i = 0; i < m->n_buckets; i++) {
        struct map_entry *next;

        for (struct map_entry *entry = m->buckets[i]; entry; entry = next) {
            next = entry->next;
            free(entry);
        }
    }
    free(m->buckets);
    map_init(m);
}

/* The link that points to the entry of key, or to the NULL where it would go. */
static struct map_entry **find(const struct map *m, const char *key, uint64_t hash)
{
    struct map_entry **link = &m->buckets[hash & (m->n_buckets - 1)];

    while (*link && ((*link)->hash != hash || strcmp((*link)->key, key) != 0))
        link = &(*link)->next;
    return link;
}

void *map_get(const struct map *m, const char *key)
{
    struct map_entry *entry;

    if (m->n_entries == 0)
        return NULL;
    entry = *find(m, key, map_hash(key, strlen(key)));
    return entry ? entry->value : NULL;
}

static enum err grow(struct map *m)
{
    size_t n_buckets = m->n_buckets ? m->n_buckets * 2 : FIRST_BUCKETS;
    struct map_entry **buckets = calloc(n_buckets, sizeof(struct map_entry *));

    if (!buckets)
        return E_NOMEM;
    for (size_t i = 0; i < m->n_buckets; i++) {
        struct map_entry *next;

        for (struct map_entry *entry = m->buckets[i]; entry; entry = next) {
            struct map_entry **head = &buckets[entry->hash & (n_buckets - 1)];

            next = entry->next;
            entry->next = *head;
            *head = entry;
        }
    }
    free(m->buckets);
    m->buckets = buckets;
    m->n_buckets = n_buckets;
    return E_OK;
}

enum err map_set(struct map *m, const char *key, void *value)
{
    size_t size = strlen(key) + 1;
    uint64_t hash = map_hash(key, size - 1);
    struct map_entry **link;
    struct map_entry *entry;

    assert(value);
    /* a table that cannot double only gets slower; one that does not exist is an error */
    if (m->n_entries >= m->n_buckets && grow(m) != E_OK && m->n_buckets == 0)
        return E_NOMEM;
    link = find(m, key, hash);
    if (*link) {
        (*link)->value = value;
        return E_OK;
    }
    entry = malloc(sizeof *entry + size);
    if (!entry)
        return E_NOMEM;
    *entry = (struct map_entry){.value = value, .hash = hash};
    memcpy(entry->key, key, size);
    *link = entry;
    m->n_entries++;
    return E_OK;
}

void *map_remove(struct map *m, const char *key)
{
    struct map_entry **link;
    struct map_entry *entry;
    void *value;

    if (m->n_entries == 0)
        return NULL;
    link = find(m, key, map_hash(key, strlen(key)));
    entry = *link;
    if (!entry)
        return NULL;
    value = entry->value;
    *link = entry->next;
    m->n_entries--;
    free(entry);
    return value;
}

bool map_next(const struct map *m, struct map_cursor *cursor, const char **key, void **value)
{
    struct map_entry *entry = cursor->next;

    while (!entry && cursor->bucket < m->n_buckets)
        entry = m->buckets[cursor->bucket++];
    if (!entry)
        return false;
    cursor->next = entry->next; /* now, since the entry may be gone at the next call */
    *key = entry->key;
    *value = entry->value;
    return true;
}
