/* The tracks of a stream as their latest configuration frames tell them: what a late joiner needs
 * first. One thread at a time. */
#ifndef HW_NODE_STREAM_TRACKS_H
#define HW_NODE_STREAM_TRACKS_H

#include "common/media/frame.h"

#define TRACK_SET_MAX 16           /* configuration frames kept: (kind, track, message form) */
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
/* Takes note of a FRAME_CONFIG or FRAME_METADATA frame; others are ignored, and so is what does not
 * fit. True if it changed. */
bool track_set_apply(struct track_set *set, const struct media_frame *frame);
/* Would a frame like this, of a FRAME_CONFIG or FRAME_METADATA kind, change nothing? */
bool track_set_holds(const struct track_set *set, const struct media_frame_info *info,
                     struct buf_view body);
/* dst becomes a copy (references) of src, version included. */
void track_set_copy(struct track_set *dst, const struct track_set *src);

#endif
