/* Wire formats that feeds are made of. A new format is one row in format.c and one muxer. */
#ifndef HW_NODE_STREAM_FORMAT_H
#define HW_NODE_STREAM_FORMAT_H

#include "common/media/frame.h"
#include "node/stream/tracks.h"
#include "proto/flv/flv.h"

struct feed_format;
struct stream_lag;
struct stream_plan;

enum feed_format_id {
    FORMAT_RTMP,         /* chunks of RTMP messages, one out chunk size for all */
    FORMAT_RTMP_PUBLISH, /* the same as a publisher sends them */
    FORMAT_FLV,          /* FLV tags */
    FORMAT_RELAY,        /* FLV tags with @hw between nodes; always realtime */
    FORMAT_TS,           /* MPEG-2 transport stream packets */
    FORMAT_MP4,          /* fragments of an MP4, one a frame */
    FORMAT_WS_FLV,       /* these three as messages of a WebSocket */
    FORMAT_WS_TS,
    FORMAT_WS_MP4,
    FORMAT_COUNT
};

/* Which tracks a feed has. The default ones are those of number 0. */
enum feed_tracks {
    TRACKS_DEFAULT,
    TRACKS_ALL,
    TRACKS_AUDIO, /* the default sound alone; no metadata, which speaks of the pictures, too */
    TRACKS_VIDEO  /* likewise */
};

/* What a stream is made of. */
struct stream_codecs {
    enum media_codec audio, video;       /* of the default tracks; CODEC_NONE = there is none */
    unsigned n_more_audio, n_more_video; /* other tracks */
};

/* What the feeds of a stream are told apart by. */
struct feed_key {
    enum feed_format_id format;
    enum feed_tracks tracks;
    enum flv_style style; /* of formats that carry FLV bodies */
};
bool feed_key_equals(const struct feed_key *a, const struct feed_key *b);
/* Belongs a frame like this into the feed? Inline: for each frame of each feed. */
static inline bool feed_key_picks(const struct feed_key *key, const struct media_frame_info *info)
{
    if (key->tracks == TRACKS_ALL)
        return true;
    if (info->track_id || info->flags & FRAME_MULTITRACK)
        return false;
    return key->tracks == TRACKS_DEFAULT ||
           info->kind == (key->tracks == TRACKS_AUDIO ? MEDIA_AUDIO : MEDIA_VIDEO);
}
/* Has the format a place for this codec? CODEC_NONE: yes. */
bool feed_key_carries(const struct feed_key *key, enum media_codec codec);
/* What of the stream has no place there, for people; "" = nothing. */
void feed_key_tell_left_out(const struct feed_key *key, const struct stream_codecs *codecs,
                            char *text, size_t size);

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
    const struct stream_lag *lag;   /* likewise: ours; borrowed, NULL = not said */
    const struct stream_plan *plan; /* likewise: of the stream; borrowed, NULL = not said */
    uint64_t said_run;              /* likewise: whose plan was said last, and how far it was */
    uint32_t said_gops;             /* decided */
    bool stood_alone; /* likewise: the last one came without a frame; the next frame has its own */
    void *muxer;      /* of formats that have open(): theirs */
    uint32_t
        version; /* of formats that have take_tracks(): of the init data; grows as it changes */
    enum flv_style style;            /* of formats that carry FLV bodies */
    const struct feed_format *inner; /* of formats that wrap another one: that */
    struct buf_writer scratch;       /* likewise: theirs */
};

struct feed_format {
    const char *name;
    const struct feed_format *inner; /* NULL, or the format whose units this one wraps */
    bool relay; /* for nodes: never waits for the flush policy, and the GOP before the latest ones
                 * stays for a moment: a relay that comes from another node may be in it */
    /* Codecs that it has a place for; NULL = FLV bodies: as their style has it, and wrapped ones.
     */
    bool (*carries)(enum media_codec codec);
    /* For a format with a memory of its own, which ctx->muxer gets; false = out of memory. NULL =
     * it has none. close() is its pair. */
    bool (*open)(struct mux_context *ctx);
    void (*close)(struct mux_context *ctx);
    /* The configurations are others now, or there are none yet: of a new source. NULL = they matter
     * to write_init() only. */
    void (*take_tracks)(struct mux_context *ctx, const struct track_set *tracks);
    /* The next frame, before its unit begins: what only frames say goes into write_init(). NULL =
     * not wanted. */
    void (*look)(struct mux_context *ctx, const struct media_frame *frame);
    /* One frame as one unit. entry: the unit is an entry point. Nothing is written of what the
     * format has no place for: a codec, a configuration, a broken frame. An entry point comes to
     * naught then, with the init data made for it. */
    void (*write_unit)(struct mux_sink *sink, struct mux_context *ctx,
                       const struct media_frame *frame, bool entry);
    /* A unit without a frame, where frames have stopped and who reads is to know that we have not.
     * NULL = the format has none. */
    void (*write_idle)(struct mux_sink *sink, struct mux_context *ctx,
                       const struct media_frame_info *now);
    /* Init data: metadata and configuration of tracks, stamped with dts_us. NULL = the unit of an
     * entry point has all that a player needs. */
    void (*write_init)(struct buf_writer *out, struct mux_context *ctx,
                       const struct track_set *tracks, int64_t dts_us);
};
extern const struct feed_format *const k_formats[FORMAT_COUNT];
/* Rows that other files have, or wrap. */
extern const struct feed_format k_format_flv, k_format_ts, k_format_mp4;
extern const struct feed_format k_format_ws_flv, k_format_ws_ts, k_format_ws_mp4;

#endif
