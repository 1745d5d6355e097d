/* Collects up to twice the page, then keeps the lower half: n log n in all, however long the list
 * is. */
#include "node/control/listing.h"

#include <stdlib.h>
#include <string.h>

void listing_init(struct listing *l, size_t item_bytes)
{
    *l = (struct listing){.item_bytes = item_bytes, .limit = LISTING_DEFAULT_LIMIT};
}

void listing_fini(struct listing *l)
{
    free(l->items);
    l->items = NULL;
    l->n_items = l->capacity = 0;
}

enum err listing_set_page(struct listing *l, const char *limit, const char *after, const char **why)
{
    if (limit) {
        char *end;
        unsigned long n = strtoul(limit, &end, 10);

        *why = "limit: allowed is 1 to 1000";
        if (*limit < '0' || *limit > '9' || *end || n < 1 || n > LISTING_MAX_LIMIT)
            return E_INVAL;
        l->limit = n;
    }
    if (after) {
        *why = "after: longer than any key";
        if (strlen(after) >= sizeof l->after)
            return E_INVAL;
        memcpy(l->after, after, strlen(after) + 1);
    }
    return E_OK;
}

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* One more than the page stays, so that it is known whether there are more. */
static void shrink(struct listing *l)
{
    if (l->n_items)
        qsort(l->items, l->n_items, l->item_bytes, compare);
    if (l->n_items > l->limit + 1)
        l->n_items = l->limit + 1;
}

static enum err make_room(struct listing *l)
{
    size_t most = 2 * (l->limit + 1);
    size_t capacity = l->capacity ? 2 * l->capacity : 16;
    void *grown;

    if (l->n_items < l->capacity)
        return E_OK;
    if (l->capacity >= most) {
        shrink(l);
        return E_OK;
    }
    if (capacity > most)
        capacity = most;
    grown = realloc(l->items, capacity * l->item_bytes);
    if (!grown)
        return E_NOMEM;
    l->items = grown;
    l->capacity = capacity;
    return E_OK;
}

void *listing_add(struct listing *l, const char *key)
{
    void *item;

    if (l->failed != E_OK || strcmp(key, l->after) <= 0)
        return NULL;
    l->failed = make_room(l);
    if (l->failed != E_OK)
        return NULL;
    item = listing_at(l, l->n_items++);
    memset(item, 0, l->item_bytes);
    return item;
}

void listing_finish(struct listing *l)
{
    shrink(l);
    l->has_more = l->n_items > l->limit;
    if (l->has_more)
        l->n_items = l->limit;
}

void *listing_at(const struct listing *l, size_t i)
{
    return l->items + i * l->item_bytes;
}
