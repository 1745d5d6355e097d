/* The latest GOPs of a stream as frames, in order, audio kept: what a new feed starts from.
 * Home loop only. */
#ifndef HW_NODE_STREAM_GOP_CACHE_H
#define HW_NODE_STREAM_GOP_CACHE_H

#include "common/media/frame.h"
#include "node/stream/tracks.h"

struct gop_cache_limits {
    unsigned max_gops; /* 0 = nothing is cached */
    size_t max_bytes;  /* a GOP that grows above is dropped whole, until the next one starts */
    int64_t max_us;    /* the same, by decode time */
};

struct gop_item {
    const struct media_frame *frame; /* owned */
    uint32_t memory_bytes;           /* of it; what follows is here too, so that a drop need
                                      * not fetch the frame */
    bool entry;
    bool headers; /* tracks are told by it */
};

/* What a frame costs beside its body. */
#define GOP_ITEM_BYTES (sizeof(struct media_frame) + sizeof(struct gop_item))

struct gop_cache {
    struct gop_cache_limits limits;
    struct gop_item *items; /* ring: capacity is a power of two */
    size_t capacity, head, n_items;
    unsigned n_gops;
    size_t used_bytes;
    int64_t oldest_dts_us; /* of the oldest item */
    bool open;             /* an entry point was seen and the GOP is complete so far */
    struct track_set base; /* configuration before the oldest item */
};

void gop_cache_init(struct gop_cache *c, const struct gop_cache_limits *limits);
void gop_cache_fini(struct gop_cache *c);
void gop_cache_clear(struct gop_cache *c);
/* Takes a frame; entry = a viewer may start at it. E_NOMEM: the cache was emptied. */
enum err gop_cache_push(struct gop_cache *c, const struct media_frame **frame, bool entry);
/* i-th oldest, i < n_items. */
const struct gop_item *gop_cache_at(const struct gop_cache *c, size_t i);

#endif
