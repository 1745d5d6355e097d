/* Latest configuration frames of a stream, a track: they are sent to a late joiner in the order in
 * which they first came. */
#include "node/stream/tracks.h"

#include <string.h>

#define SLOT_FLAGS (FRAME_MULTITRACK | FRAME_EXTRA) /* of one track: kept side by side */

void track_set_init(struct track_set *set)
{
    memset(set, 0, sizeof *set);
}

void track_set_fini(struct track_set *set)
{
    for (unsigned i = 0; i < set->n_configs; i++)
        media_frame_unref(&set->configs[i]);
    set->n_configs = 0;
    media_frame_unref(&set->metadata);
}

void track_set_clear(struct track_set *set)
{
    track_set_fini(set);
    set->version++;
}

static bool has_body(const struct media_frame *frame, struct buf_view body)
{
    return frame && frame->size_bytes == body.size_bytes &&
           memcmp(frame->body, body.data, body.size_bytes) == 0;
}

/* Where a frame like this is kept; NULL when there is none yet. */
static const struct media_frame **find(struct track_set *set, const struct media_frame_info *info)
{
    if (info->flags & FRAME_METADATA)
        return &set->metadata;
    for (unsigned i = 0; i < set->n_configs; i++) {
        const struct media_frame_info *old = &set->configs[i]->info;

        if (old->kind == info->kind && old->track_id == info->track_id &&
            (old->flags & SLOT_FLAGS) == (info->flags & SLOT_FLAGS))
            return &set->configs[i];
    }
    return NULL;
}

bool track_set_holds(const struct track_set *set, const struct media_frame_info *info,
                     struct buf_view body)
{
    const struct media_frame **slot = find((struct track_set *)(uintptr_t)set, info);

    return slot && has_body(*slot, body);
}

static size_t kept_bytes(const struct track_set *set)
{
    size_t size_bytes = set->metadata ? set->metadata->size_bytes : 0;

    for (unsigned i = 0; i < set->n_configs; i++)
        size_bytes += set->configs[i]->size_bytes;
    return size_bytes;
}

/* With frame in the place of old (NULL = beside the others). */
static bool fits(const struct track_set *set, const struct media_frame *old,
                 const struct media_frame *frame)
{
    return kept_bytes(set) - (old ? old->size_bytes : 0) + frame->size_bytes <= TRACK_SET_MAX_BYTES;
}

static bool replace(struct track_set *set, const struct media_frame **slot,
                    const struct media_frame *frame)
{
    if (has_body(*slot, media_frame_body(frame)) || !fits(set, *slot, frame))
        return false; /* repeated with every key frame by some encoders */
    media_frame_unref(slot);
    *slot = media_frame_ref(frame);
    set->version++;
    return true;
}

static void remove_at(struct track_set *set, unsigned i)
{
    media_frame_unref(&set->configs[i]);
    set->n_configs--;
    memmove(&set->configs[i], &set->configs[i + 1], (set->n_configs - i) * sizeof set->configs[0]);
    set->version++;
}

/* The track is of another codec now, which has no configuration that would take the old one's
 * place. */
static bool forget_codec(struct track_set *set, const struct media_frame_info *info)
{
    const struct media_frame **slot = find(set, info);

    if (!slot || (*slot)->info.codec == info->codec)
        return false;
    remove_at(set, (unsigned)(slot - set->configs));
    return true;
}

void track_set_filter(struct track_set *set,
                      bool (*keep)(const void *arg, const struct media_frame_info *info),
                      const void *arg)
{
    for (unsigned i = set->n_configs; i-- > 0;)
        if (!keep(arg, &set->configs[i]->info))
            remove_at(set, i);
    if (set->metadata && !keep(arg, &set->metadata->info))
        media_frame_unref(&set->metadata);
}

bool track_set_take(struct track_set *set, const struct media_frame *frame)
{
    const struct media_frame **slot;

    if (!(frame->info.flags & FRAME_HEADERS))
        return forget_codec(set, &frame->info);
    slot = find(set, &frame->info);
    if (slot)
        return replace(set, slot, frame);
    if (set->n_configs == TRACK_SET_MAX || !fits(set, NULL, frame))
        return false;
    set->configs[set->n_configs++] = media_frame_ref(frame);
    set->version++;
    return true;
}

void track_set_copy(struct track_set *dst, const struct track_set *src)
{
    track_set_fini(dst);
    for (unsigned i = 0; i < src->n_configs; i++)
        dst->configs[i] = media_frame_ref(src->configs[i]);
    dst->n_configs = src->n_configs;
    dst->metadata = src->metadata ? media_frame_ref(src->metadata) : NULL;
    dst->version = src->version;
}
