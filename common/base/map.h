/* Hash map from byte strings to pointers. Keys are copied; values are borrowed. Hashing is keyed
 * with random bytes from the process start (SipHash-1-3), so that names from the wire cannot be
 * chosen to collide. One thread at a time. */
#ifndef HW_COMMON_BASE_MAP_H
#define HW_COMMON_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

struct map {
    struct map_entry **buckets; /* opaque outside map.c */
    size_t n_buckets;           /* power of two, or 0 */
    size_t n_entries;
};

void map_init(struct map *m);
/* Frees the keys and the table, not the values. */
void map_fini(struct map *m);
/* The value, or NULL. */
void *map_get(const struct map *m, const char *key);
/* Sets or replaces; value must not be NULL. E_NOMEM leaves the entries as they were. */
enum err map_set(struct map *m, const char *key, void *value);
/* The removed value, or NULL. */
void *map_remove(struct map *m, const char *key);

/* Iterates in no particular order: start with a zeroed cursor. False at the end. The entry just
 * given may be removed; no other change is allowed while iterating. Key is lent until removed. */
struct map_cursor {
    size_t bucket; /* the next one to look at */
    struct map_entry *next;
};
bool map_next(const struct map *m, struct map_cursor *cursor, const char **key, void **value);

/* SipHash-1-3 of bytes under the process key: for sharding and rendezvous ties, not for disks. */
uint64_t map_hash(const void *data, size_t size_bytes);

#endif
