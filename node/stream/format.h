/* Wire formats that feeds are made of. A new format is one row here and one muxer. */
#ifndef HW_NODE_STREAM_FORMAT_H
#define HW_NODE_STREAM_FORMAT_H

#include "common/media/frame.h"
#include "node/stream/tracks.h"

struct stream_lag;

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
    uint64_t epoch, run;
    int64_t wall_offset_us; /* wall clock - ingest clock */
    int64_t last_hw_us;     /* FORMAT_RELAY: ingest time of the last @hw */
    const char *path;       /* likewise: to be said by the next one; borrowed, NULL = nothing new */
    const struct stream_lag *lag; /* likewise: ours; borrowed, NULL = not said */
    bool stood_alone; /* likewise: the last one came without a frame; the next frame has its own */
};

struct feed_format {
    const char *name;
    bool relay; /* for nodes: never waits for the flush policy, and the GOP before the latest ones
                 * stays for a moment: a relay that comes from another node may be in it */
    /* One frame as one unit. entry: the unit is an entry point. */
    void (*write_unit)(struct mux_sink *sink, struct mux_context *ctx,
                       const struct media_frame *frame, bool entry);
    /* A unit without a frame, where frames have stopped and who reads is to know that we have not.
     * NULL = the format has none. */
    void (*write_idle)(struct mux_sink *sink, struct mux_context *ctx,
                       const struct media_frame_info *now);
    /* Init data: metadata and configuration of tracks, stamped with dts_us. */
    void (*write_init)(struct buf_writer *out, const struct track_set *tracks, int64_t dts_us);
};
extern const struct feed_format k_formats[FORMAT_COUNT];

#endif
