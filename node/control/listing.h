/* One page of a list that is collected in no order: the first `limit` items above a key, sorted.
 * Memory is bounded by the page, not by the list. One thread at a time. */
#ifndef HW_NODE_CONTROL_LISTING_H
#define HW_NODE_CONTROL_LISTING_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/err.h"

#define LISTING_KEY_SIZE 400
#define LISTING_MAX_LIMIT 1000
#define LISTING_DEFAULT_LIMIT 100

struct listing { /* items are structs whose first member is char key[]: zero-terminated */
    size_t item_bytes, limit;
    char after[LISTING_KEY_SIZE]; /* "" = from the start */
    char *items;                  /* owned */
    size_t n_items, capacity;
    bool has_more; /* set by listing_finish() */
    enum err failed;
};

void listing_init(struct listing *l, size_t item_bytes);
void listing_fini(struct listing *l);
/* limit and after as they stand in a query; NULL = absent. E_INVAL with *why (static). */
enum err listing_set_page(struct listing *l, const char *limit, const char *after,
                          const char **why);
/* Room for one item, zeroed, for the caller to fill, its key first; lent until the next call. NULL
 * when the item is not on this page, or out of memory (listing.failed). */
void *listing_add(struct listing *l, const char *key);
/* Sorts; n_items is at most limit. */
void listing_finish(struct listing *l);
void *listing_at(const struct listing *l, size_t i);

#endif
