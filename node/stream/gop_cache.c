/* GOP cache: a ring of frame references. */
#include "node/stream/gop_cache.h"

#include <stdlib.h>
#include <string.h>

void gop_cache_init(struct gop_cache *c, const struct gop_cache_limits *limits)
{
    memset(c, 0, sizeof *c);
    c->limits = *limits;
    track_set_init(&c->base);
}

void gop_cache_fini(struct gop_cache *c)
{
    gop_cache_clear(c);
    track_set_fini(&c->base);
    free(c->items);
    c->items = NULL;
    c->capacity = 0;
}

static struct gop_item *item_at(const struct gop_cache *c, size_t i)
{
    return &c->items[(c->head + i) & (c->capacity - 1)];
}

static void drop_oldest(struct gop_cache *c)
{
    struct gop_item *item = item_at(c, 0);

    c->n_gops -= item->entry;
    c->used_bytes -= item->memory_bytes;
    if (item->headers)
        track_set_take(&c->base, item->frame);
    media_frame_unref(&item->frame);
    c->head = (c->head + 1) & (c->capacity - 1);
    c->n_items--;
}

void gop_cache_clear(struct gop_cache *c)
{
    while (c->n_items)
        drop_oldest(c);
    c->open = false;
}

/* Oldest items up to the second entry point, so that whole GOPs go. */
static void drop_oldest_gop(struct gop_cache *c)
{
    do
        drop_oldest(c);
    while (c->n_items && !item_at(c, 0)->entry);
    if (c->n_items)
        c->oldest_dts_us = item_at(c, 0)->frame->info.dts_us;
}

static bool grow(struct gop_cache *c)
{
    size_t capacity = c->capacity ? c->capacity * 2 : 64;
    struct gop_item *items;

    if (c->n_items < c->capacity)
        return true;
    items = malloc(capacity * sizeof *items);
    if (!items)
        return false;
    for (size_t i = 0; i < c->n_items; i++)
        items[i] = *item_at(c, i);
    free(c->items);
    c->items = items;
    c->capacity = capacity;
    c->head = 0;
    return true;
}

static bool over_limits(const struct gop_cache *c, const struct media_frame *newest)
{
    return c->n_items && (c->used_bytes > c->limits.max_bytes ||
                          newest->info.dts_us - c->oldest_dts_us > c->limits.max_us);
}

static void append(struct gop_cache *c, const struct media_frame *frame, bool entry)
{
    if (!c->n_items)
        c->oldest_dts_us = frame->info.dts_us;
    *item_at(c, c->n_items) =
        (struct gop_item){.frame = frame,
                          .memory_bytes = (uint32_t)(frame->size_bytes + GOP_ITEM_BYTES),
                          .entry = entry,
                          .headers = track_set_heeds(&frame->info)};
    c->n_items++;
    c->n_gops += entry;
    c->used_bytes += frame->size_bytes + GOP_ITEM_BYTES;
    while (over_limits(c, frame) && c->n_gops > 1)
        drop_oldest_gop(c);
    if (over_limits(c, frame))
        gop_cache_clear(c);
}

enum err gop_cache_push(struct gop_cache *c, const struct media_frame **frame_ref, bool entry)
{
    const struct media_frame *frame = *frame_ref;
    bool has_room;

    if (entry && c->limits.max_gops) {
        while (c->n_gops >= c->limits.max_gops)
            drop_oldest_gop(c);
        c->open = true;
    }
    has_room = !c->open || grow(c);
    if (!has_room)
        gop_cache_clear(c);
    if (!c->open) { /* before the first entry point only the configuration counts */
        track_set_apply(&c->base, frame);
        media_frame_unref(frame_ref);
        return has_room ? E_OK : E_NOMEM;
    }
    *frame_ref = NULL;
    append(c, frame, entry);
    return E_OK;
}

const struct gop_item *gop_cache_at(const struct gop_cache *c, size_t i)
{
    return item_at(c, i);
}
