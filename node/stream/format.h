/* Wire formats that feeds are made of. A new format is one row here and one muxer. */
#ifndef HW_NODE_STREAM_FORMAT_H
#define HW_NODE_STREAM_FORMAT_H

#include "common/media/frame.h"
#include "node/stream/tracks.h"

enum feed_format_id {
    FORMAT_RTMP,  /* chunks of RTMP messages, one out chunk size for all */
    FORMAT_FLV,   /* FLV tags */
    FORMAT_RELAY, /* FLV tags with @hw between nodes; always realtime */
    FORMAT_COUNT
};

/* Where a muxer puts its bytes. */
struct mux_sink {
    void (*put)(struct mux_sink *sink, struct buf_view bytes); /* copies */
    /* A part of the frame's body, as it is: may be referenced instead of copied. */
    void (*put_body)(struct mux_sink *sink, const struct media_frame *frame, struct buf_view part);
};

/* What a muxer may know besides the frame. */
struct mux_context {
    uint64_t epoch;
    int64_t wall_offset_us; /* wall clock - ingest clock */
    int64_t last_hw_us;     /* FORMAT_RELAY: ingest time of the last @hw */
};

struct feed_format {
    const char *name;
    bool realtime; /* ignores the flush policy */
    /* One frame as one unit. entry: the unit is an entry point. */
    void (*write_unit)(struct mux_sink *sink, struct mux_context *ctx,
                       const struct media_frame *frame, bool entry);
    /* Init data: metadata and configuration of tracks, stamped with dts_us. */
    void (*write_init)(struct buf_writer *out, const struct track_set *tracks, int64_t dts_us);
};
extern const struct feed_format k_formats[FORMAT_COUNT];

#endif
