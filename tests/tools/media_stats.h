/* What a track is like: frames, times, groups of pictures, NAL units. Sans I/O. */
#ifndef HW_TESTS_TOOLS_MEDIA_STATS_H
#define HW_TESTS_TOOLS_MEDIA_STATS_H

#include <jansson.h>

#include "common/base/buf.h"
#include "common/media/frame.h"
#include "proto/codec/codec.h"
#include "proto/codec/nal.h"

#define MEDIA_STATS_NAL_TYPES 64 /* H.264 has 32 */
#define MEDIA_STATS_KINDS 2      /* MEDIA_AUDIO, MEDIA_VIDEO */

struct media_stats {
    uint64_t n_frames, n_keys, n_configs, n_codec_changes;
    uint64_t n_bytes;          /* of elementary stream data */
    uint64_t n_broken;         /* tags that say nothing, and frames with wrong NAL unit lengths */
    uint64_t n_backward;       /* the dts is below that of the frame before */
    uint64_t n_early;          /* pts below dts */
    uint64_t n_gaps;           /* steps of more than a second */
    int64_t first_us, last_us; /* dts */
    int64_t longest_step_us, shortest_step_us;
    uint64_t second_bytes, peak_second_bytes;
    int64_t second_at_us;
    uint64_t gop_frames, n_gops, longest_gop_frames, shortest_gop_frames; /* whole ones */
    int64_t gop_at_us, longest_gop_us, shortest_gop_us, all_gops_us;
    uint64_t nal_types[MEDIA_STATS_NAL_TYPES];
    uint64_t n_nals;
    enum media_codec codec;
    bool has_params;
    struct codec_params params; /* its views are not kept */
    uint8_t nal_length_bytes;
    char why[128]; /* the first thing that was broken */
};

/* es is the elementary stream data behind info->es_offset. */
void media_stats_add(struct media_stats *stats, const struct media_frame_info *info,
                     struct buf_view es);
void media_stats_add_broken(struct media_stats *stats, const char *why);
/* Returns an object; NULL when out of memory, and for a track without anything. */
json_t *media_stats_json(const struct media_stats *stats, enum media_kind kind);

#endif
