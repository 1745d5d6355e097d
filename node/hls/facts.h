/* What a multivariant playlist says of a channel, measured from what it has. Pure. */
#ifndef HW_NODE_HLS_FACTS_H
#define HW_NODE_HLS_FACTS_H

#include "node/stream/es_tracks.h"
#include "proto/hls/hls.h"

struct hls_facts {
    char codecs[2][CODEC_RFC6381_SIZE]; /* video, sound; "" = no such track */
    uint32_t width, height;
    uint32_t fps_num, fps_den;
    uint64_t peak_bps, average_bps;
    const char *video_range; /* static, or NULL */
};
/* tracks: by kind, NULL = none. Picture rate; seen: complete segments, n_pictures of them in us. */
void hls_facts_of(struct hls_facts *facts, const struct es_track *const tracks[2],
                  const struct hls_segment *segments, size_t n_segments, uint64_t n_pictures,
                  int64_t pictures_us);
/* uri is borrowed. */
struct hls_variant hls_facts_variant(const struct hls_facts *facts, const char *uri);

#endif
