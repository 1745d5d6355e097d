/* The refcounted frame. Everybody shares one copy; nobody changes it. The count is that of the
 * block in which the frame lies. */
#include "common/media/frame.h"

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const char *const k_codec_names[] = {
#define CODEC_NAME(name, text) text,
    CODEC_MAP(CODEC_NAME)
#undef CODEC_NAME
};

const char *media_codec_name(enum media_codec codec)
{
    size_t index = (size_t)codec;

    return index < CODEC_COUNT ? k_codec_names[index] : k_codec_names[CODEC_UNKNOWN];
}

static const uint32_t k_fourccs[CODEC_COUNT] = {
    [CODEC_H264] = MEDIA_FOURCC('a', 'v', 'c', '1'),
    [CODEC_HEVC] = MEDIA_FOURCC('h', 'v', 'c', '1'),
    [CODEC_AV1] = MEDIA_FOURCC('a', 'v', '0', '1'),
    [CODEC_VP8] = MEDIA_FOURCC('v', 'p', '0', '8'),
    [CODEC_VP9] = MEDIA_FOURCC('v', 'p', '0', '9'),
    [CODEC_AAC] = MEDIA_FOURCC('m', 'p', '4', 'a'),
    [CODEC_MP3] = MEDIA_FOURCC('.', 'm', 'p', '3'),
    [CODEC_OPUS] = MEDIA_FOURCC('O', 'p', 'u', 's'),
    [CODEC_AC3] = MEDIA_FOURCC('a', 'c', '-', '3'),
    [CODEC_EAC3] = MEDIA_FOURCC('e', 'c', '-', '3'),
    [CODEC_FLAC] = MEDIA_FOURCC('f', 'L', 'a', 'C'),
};

uint32_t media_codec_fourcc(enum media_codec codec)
{
    size_t index = (size_t)codec;

    return index < CODEC_COUNT ? k_fourccs[index] : 0;
}

enum media_codec media_codec_of_fourcc(uint32_t fourcc)
{
    for (size_t i = 0; fourcc && i < CODEC_COUNT; i++)
        if (k_fourccs[i] == fourcc)
            return (enum media_codec)i;
    return CODEC_UNKNOWN;
}

/* Frames lie one behind the other from data on. */
struct media_block {
    _Atomic uint32_t refs; /* of all its frames; while it is open, of all that it may get too */
    alignas(max_align_t) unsigned char data[];
};

#define GROW_BELOW_US INT64_C(100000)
#define SHRINK_ABOVE_US INT64_C(1500000)
/* An open block has so many references, and each new frame takes one of them: thus its count, which
 * lies far from where the frame is written, is not touched for each. */
#define OPEN_REFS (UINT32_C(1) << 30)

static void block_unref(struct media_block *block, uint32_t n)
{
    /* release: our reads end before the drop; acquire: all others' have ended before it goes */
    if (n && atomic_fetch_sub_explicit(&block->refs, n, memory_order_acq_rel) == n)
        pool_give(block);
}

/* Bytes that a frame takes in a block, so that the next one is aligned; 0 when too many. */
static size_t frame_bytes(size_t body_bytes)
{
    size_t step = alignof(struct media_frame);

    if (body_bytes > UINT32_MAX / 2)
        return 0;
    return (sizeof(struct media_frame) + body_bytes + step - 1) / step * step;
}

/* The frame's reference is counted already. */
static const struct media_frame *put_frame(struct media_block *block, size_t at_bytes,
                                           const struct media_frame_info *info,
                                           struct buf_view body)
{
    struct media_frame *frame = (struct media_frame *)(void *)(block->data + at_bytes);

    assert(info->es_offset <= body.size_bytes);
    frame->block = block;
    frame->info = *info;
    frame->size_bytes = body.size_bytes;
    if (body.size_bytes)
        memcpy(frame->body, body.data, body.size_bytes);
    return frame;
}

const struct media_frame *media_frame_create(const struct media_frame_info *info,
                                             struct buf_view body)
{
    size_t size_bytes = frame_bytes(body.size_bytes);
    struct media_block *block =
        size_bytes ? pool_take_single(sizeof(struct media_block) + size_bytes) : NULL;

    if (!block)
        return NULL;
    atomic_init(&block->refs, 1);
    return put_frame(block, 0, info, body);
}

const struct media_frame *media_frame_ref(const struct media_frame *frame)
{
    /* relaxed: whoever calls holds a reference already, so the block cannot go meanwhile */
    uint32_t before = atomic_fetch_add_explicit(&frame->block->refs, 1, memory_order_relaxed);

    assert(before > 0 && before < UINT32_MAX);
    (void)before;
    return frame;
}

void media_frame_unref(const struct media_frame **frame)
{
    const struct media_frame *f = *frame;

    *frame = NULL;
    if (f)
        block_unref(f->block, 1);
}

/* --- arena --- */

void media_arena_init(struct media_arena *arena, struct pool *pool)
{
    *arena = (struct media_arena){.pool = pool};
}

void media_arena_close(struct media_arena *arena)
{
    if (arena->open)
        block_unref(arena->open, OPEN_REFS - arena->n_frames);
    arena->open = NULL;
    arena->used_bytes = arena->max_bytes = 0;
}

static size_t block_room(unsigned size)
{
    return k_pool_block_bytes[size] - sizeof(struct media_block);
}

/* So much went past the open block, in frames that were large for it, that blocks of this size are
 * too small for the stream. A large key frame now and then is not enough. */
static bool is_outgrown(const struct media_arena *arena)
{
    return arena->passed_bytes > 4 * arena->max_bytes;
}

/* The next block's size follows from how long this one lasted. Between the two limits is more than
 * a step, so that a stream whose rate varies keeps to one size. */
static void fit_size(struct media_arena *arena, int64_t dts_us)
{
    int64_t lasted_us = dts_us - arena->open_dts_us;

    if (!arena->open || lasted_us <= 0)
        return;
    if ((lasted_us < GROW_BELOW_US || is_outgrown(arena)) && arena->size + 1 < POOL_N_SIZES)
        arena->size++;
    else if (lasted_us > SHRINK_ABOVE_US && arena->size > 0)
        arena->size--;
}

static void open_block(struct media_arena *arena, int64_t dts_us)
{
    fit_size(arena, dts_us);
    media_arena_close(arena);
    arena->open_dts_us = dts_us;
    arena->passed_bytes = 0;
    arena->n_frames = 0;
    arena->open = pool_take(arena->pool, arena->size);
    if (!arena->open)
        return;
    atomic_init(&arena->open->refs, OPEN_REFS);
    arena->max_bytes = block_room(arena->size);
}

static bool has_room(const struct media_arena *arena, size_t need_bytes)
{
    return arena->max_bytes - arena->used_bytes >= need_bytes;
}

/* A frame that is large for a block and does not fit leaves it open for smaller ones. Of the
 * largest blocks it may take half: there are no others for it. */
static bool wants_block(const struct media_arena *arena, size_t need_bytes)
{
    size_t large_bytes = arena->max_bytes / (arena->size + 1 < POOL_N_SIZES ? 4 : 2);

    return !arena->open || is_outgrown(arena) ||
           (!has_room(arena, need_bytes) && need_bytes <= large_bytes);
}

const struct media_frame *media_arena_frame(struct media_arena *arena,
                                            const struct media_frame_info *info,
                                            struct buf_view body)
{
    size_t need_bytes = frame_bytes(body.size_bytes);
    size_t at_bytes;

    if (wants_block(arena, need_bytes))
        open_block(arena, info->dts_us);
    arena->passed_bytes += need_bytes;
    if (!need_bytes || !has_room(arena, need_bytes))
        return media_frame_create(info, body);
    at_bytes = arena->used_bytes;
    arena->used_bytes += need_bytes;
    arena->n_frames++;
    return put_frame(arena->open, at_bytes, info, body);
}
