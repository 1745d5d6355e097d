/* The refcounted frame. Everybody shares one copy; nobody changes it. */
#include "common/media/frame.h"

#include <assert.h>
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

const struct media_frame *media_frame_create(const struct media_frame_info *info,
                                             struct buf_view body)
{
    struct media_frame *frame;

    assert(info->es_offset <= body.size_bytes);
    if (body.size_bytes > SIZE_MAX - sizeof *frame)
        return NULL;
    frame = malloc(sizeof *frame + body.size_bytes);
    if (!frame)
        return NULL;
    atomic_init(&frame->refs, 1);
    frame->info = *info;
    frame->size_bytes = body.size_bytes;
    if (body.size_bytes)
        memcpy(frame->body, body.data, body.size_bytes);
    return frame;
}

/* The count is the one member that changes; the block itself came from malloc(), not from const. */
static struct media_frame *mutable(const struct media_frame *frame)
{
    return (struct media_frame *)(uintptr_t)frame;
}

const struct media_frame *media_frame_ref(const struct media_frame *frame)
{
    /* relaxed: whoever calls holds a reference already, so the frame cannot go meanwhile */
    uint32_t before = atomic_fetch_add_explicit(&mutable(frame)->refs, 1, memory_order_relaxed);

    assert(before > 0 && before < UINT32_MAX);
    (void)before;
    return frame;
}

void media_frame_unref(const struct media_frame **frame)
{
    struct media_frame *f = mutable(*frame);

    *frame = NULL;
    /* release: our reads end before the drop; acquire: all others' have ended before free() */
    if (f && atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) == 1)
        free(f);
}
