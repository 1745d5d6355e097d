/* See data.h. */
#include "node/hls/data.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES 16384u

enum owned_kind { OWNED_BLOCK, OWNED_FRAME, OWNED_DATA };

struct owned { /* what the views point into */
    enum owned_kind kind;
    union {
        uint8_t *block;
        const struct media_frame *frame;
        struct hls_data *data;
    };
};

struct hls_data {
    _Atomic uint32_t refs;
    bool is_broken;
    uint64_t number;
    size_t size_bytes;
    struct buf_view *views;
    size_t n_views, views_capacity;
    struct owned *owned;
    size_t n_owned, owned_capacity;
    uint8_t *block; /* the one that has room, of owned */
    size_t block_used_bytes, block_bytes;
    _Atomic size_t *counted_in; /* borrowed, or NULL */
};

static _Atomic uint64_t s_last_number;

struct hls_data *hls_data_create(void)
{
    struct hls_data *data = calloc(1, sizeof *data);

    if (!data)
        return NULL;
    atomic_init(&data->refs, 1);
    data->number = atomic_fetch_add_explicit(&s_last_number, 1, memory_order_relaxed) + 1;
    return data;
}

struct hls_data *hls_data_ref(struct hls_data *data)
{
    if (data)
        atomic_fetch_add_explicit(&data->refs, 1, memory_order_relaxed);
    return data;
}

static void drop(struct owned *owned)
{
    switch (owned->kind) {
    case OWNED_BLOCK:
        free(owned->block);
        break;
    case OWNED_FRAME:
        media_frame_unref(&owned->frame);
        break;
    case OWNED_DATA:
        hls_data_unref(&owned->data);
        break;
    }
}

void hls_data_unref(struct hls_data **data)
{
    struct hls_data *gone = *data;

    *data = NULL;
    if (!gone || atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (gone->counted_in)
        atomic_fetch_sub_explicit(gone->counted_in, gone->size_bytes, memory_order_relaxed);
    for (size_t i = 0; i < gone->n_owned; i++)
        drop(&gone->owned[i]);
    free(gone->owned);
    free(gone->views);
    free(gone);
}

/* Room for one more of either; the array grows by half. NULL: broken. */
static void *grow(struct hls_data *data, void *array, size_t n, size_t *capacity, size_t size)
{
    size_t more = n + n / 2 + 16;
    void *moved;

    if (n < *capacity)
        return array;
    moved = realloc(array, more * size);
    if (moved)
        *capacity = more;
    else
        data->is_broken = true;
    return moved;
}

static bool own(struct hls_data *data, struct owned owned)
{
    struct owned *all =
        grow(data, data->owned, data->n_owned, &data->owned_capacity, sizeof *data->owned);

    if (!all)
        return false;
    data->owned = all;
    data->owned[data->n_owned++] = owned;
    return true;
}

static void add_view(struct hls_data *data, struct buf_view view)
{
    struct buf_view *last = data->n_views ? &data->views[data->n_views - 1] : NULL;
    struct buf_view *views;

    data->size_bytes += view.size_bytes;
    if (last && last->data + last->size_bytes == view.data) {
        last->size_bytes += view.size_bytes;
        return;
    }
    views = grow(data, data->views, data->n_views, &data->views_capacity, sizeof *data->views);
    if (!views)
        return;
    data->views = views;
    data->views[data->n_views++] = view;
}

static bool open_block(struct hls_data *data, size_t least_bytes)
{
    size_t bytes = least_bytes > BLOCK_BYTES ? least_bytes : BLOCK_BYTES;
    uint8_t *block = malloc(bytes);

    if (!block || !own(data, (struct owned){.kind = OWNED_BLOCK, .block = block})) {
        data->is_broken = true;
        free(block);
        return false;
    }
    data->block = block;
    data->block_used_bytes = 0;
    data->block_bytes = bytes;
    return true;
}

void hls_data_put(struct hls_data *data, struct buf_view bytes)
{
    if (!bytes.size_bytes || data->is_broken ||
        (data->block_bytes - data->block_used_bytes < bytes.size_bytes &&
         !open_block(data, bytes.size_bytes)))
        return;
    memcpy(data->block + data->block_used_bytes, bytes.data, bytes.size_bytes);
    add_view(data, buf_view_of(data->block + data->block_used_bytes, bytes.size_bytes));
    data->block_used_bytes += bytes.size_bytes;
}

void hls_data_put_frame(struct hls_data *data, const struct media_frame *frame,
                        struct buf_view part)
{
    if (!own(data, (struct owned){.kind = OWNED_FRAME, .frame = frame}))
        return;
    (void)media_frame_ref(frame);
    add_view(data, part);
}

void hls_data_put_data(struct hls_data *data, struct hls_data *other)
{
    data->is_broken |= other->is_broken;
    if (!own(data, (struct owned){.kind = OWNED_DATA, .data = other}))
        return;
    (void)hls_data_ref(other);
    for (size_t i = 0; i < other->n_views; i++)
        add_view(data, other->views[i]);
}

void hls_data_count_in(struct hls_data *data, _Atomic size_t *bytes)
{
    data->counted_in = bytes;
}

bool hls_data_is_broken(const struct hls_data *data)
{
    return data->is_broken;
}

size_t hls_data_size(const struct hls_data *data)
{
    return data->size_bytes;
}

const struct buf_view *hls_data_views(const struct hls_data *data, size_t *n_views)
{
    *n_views = data->n_views;
    return data->views;
}

uint64_t hls_data_number(const struct hls_data *data)
{
    return data->number;
}
