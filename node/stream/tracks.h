/* The tracks of a stream as their latest configuration frames tell them: what a late joiner needs
 * first. One thread at a time. */
#ifndef HW_NODE_STREAM_TRACKS_H
#define HW_NODE_STREAM_TRACKS_H

#include "common/media/frame.h"

#define TRACKS_MAX 16              /* of one stream, audio and video together */
#define TRACK_SET_MAX 32           /* frames kept: a configuration and what adds to it, a track */
#define TRACK_SET_MAX_BYTES 65536u /* of all; each entry point carries a copy. Real ones: 1 KB */

struct track_set {
    const struct media_frame *configs[TRACK_SET_MAX]; /* owned; first n_configs */
    unsigned n_configs;
    const struct media_frame *metadata; /* owned, or NULL */
    uint32_t version;                   /* grows with every change */
};

void track_set_init(struct track_set *set);
void track_set_fini(struct track_set *set);
/* Forgets all; version grows. */
void track_set_clear(struct track_set *set);
/* Can a frame like this change the set? Inline, as track_set_apply() is: for each frame. */
static inline bool track_set_heeds(const struct media_frame_info *info)
{
    return info->flags & FRAME_HEADERS ||
           (info->kind == MEDIA_AUDIO && info->codec != CODEC_AAC); /* may come without one */
}
/* track_set_apply() of a frame that is heeded. */
bool track_set_take(struct track_set *set, const struct media_frame *frame);
/* Takes note of a frame of FRAME_HEADERS, and of a codec that has no configuration: that of the
 * track is void then. Others are ignored, and so is what does not fit. True if it changed. */
static inline bool track_set_apply(struct track_set *set, const struct media_frame *frame)
{
    return track_set_heeds(&frame->info) && track_set_take(set, frame);
}
/* Would a frame like this, one of FRAME_HEADERS, change nothing? */
bool track_set_holds(const struct track_set *set, const struct media_frame_info *info,
                     struct buf_view body);
/* Takes out what keep() does not want. */
void track_set_filter(struct track_set *set,
                      bool (*keep)(const void *arg, const struct media_frame_info *info),
                      const void *arg);
/* dst becomes a copy (references) of src, version included. */
void track_set_copy(struct track_set *dst, const struct track_set *src);

#endif
