/* What flows through the cluster: one coded frame, refcounted and immutable.
 *
 * The body is the frame in FLV form (FLV 10.1 E.4.2-E.4.4, Enhanced RTMP v2): codec header bytes
 * followed by the elementary stream data, exactly as an RTMP message or FLV tag carries it. Inputs
 * of another form put the FLV header in front once; RTMP and FLV outputs pass the bytes through
 * untouched, others start at es_offset. */
#ifndef HW_COMMON_MEDIA_FRAME_H
#define HW_COMMON_MEDIA_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/pool.h"

enum media_kind { MEDIA_AUDIO, MEDIA_VIDEO, MEDIA_DATA, MEDIA_N_KINDS };

#define CODEC_MAP(X)                  \
    X(CODEC_NONE, "none")             \
    X(CODEC_H264, "h264")             \
    X(CODEC_HEVC, "hevc")             \
    X(CODEC_AV1, "av1")               \
    X(CODEC_VP8, "vp8")               \
    X(CODEC_VP9, "vp9")               \
    X(CODEC_H263, "h263")             \
    X(CODEC_SCREEN, "screen")         \
    X(CODEC_VP6, "vp6")               \
    X(CODEC_AAC, "aac")               \
    X(CODEC_MP3, "mp3")               \
    X(CODEC_SPEEX, "speex")           \
    X(CODEC_PCMA, "pcma")             \
    X(CODEC_PCMU, "pcmu")             \
    X(CODEC_PCM, "pcm")               \
    X(CODEC_ADPCM, "adpcm")           \
    X(CODEC_NELLYMOSER, "nellymoser") \
    X(CODEC_OPUS, "opus")             \
    X(CODEC_AC3, "ac3")               \
    X(CODEC_EAC3, "eac3")             \
    X(CODEC_FLAC, "flac")             \
    X(CODEC_SCRIPT, "script")         \
    X(CODEC_UNKNOWN, "unknown")

enum media_codec {
#define CODEC_ENUM(name, text) name,
    CODEC_MAP(CODEC_ENUM)
#undef CODEC_ENUM
        CODEC_COUNT
};
const char *media_codec_name(enum media_codec codec);

#define MEDIA_FOURCC(a, b, c, d) \
    ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))
/* As Enhanced RTMP v2 names codecs; 0 for one that it has no name for. */
uint32_t media_codec_fourcc(enum media_codec codec);
/* CODEC_UNKNOWN for a name that is none of those. */
enum media_codec media_codec_of_fourcc(uint32_t fourcc);

enum {
    FRAME_KEY = 1 << 0,        /* a decoder can start here (video key frame) */
    FRAME_CONFIG = 1 << 1,     /* sequence header / codec configuration, no picture or sound */
    FRAME_METADATA = 1 << 2,   /* onMetaData script data */
    FRAME_SEQ_END = 1 << 3,    /* end of sequence */
    FRAME_DISPOSABLE = 1 << 4, /* no other frame depends on it */
    FRAME_MULTITRACK = 1 << 5, /* Enhanced RTMP multitrack message: the body says the track */
    FRAME_TIMED = 1 << 6,      /* ingest_us is its own, not that of a frame shortly before it */
    FRAME_EXTRA = 1 << 7, /* adds to the track's configuration: HDR colour, places of channels */
    FRAME_MOD_EX = 1 << 8 /* the body begins with ModEx, which not every player can skip */
};
/* Neither picture nor sound, and late joiners need the latest one. */
#define FRAME_HEADERS (FRAME_CONFIG | FRAME_METADATA | FRAME_EXTRA)

struct media_frame_info {
    enum media_kind kind;
    enum media_codec codec;
    uint16_t flags;     /* FRAME_* */
    uint8_t track_id;   /* 0 = default track */
    uint32_t es_offset; /* bytes of FLV header before the elementary stream data */
    int64_t dts_us;     /* decode time, stream clock */
    int64_t cts_us;     /* presentation = dts + cts */
    int64_t ingest_us;  /* origin's monotonic clock when the frame entered the cluster; 0 unknown */
    uint64_t gop;       /* the origin's GOP number; 0 before the first key frame */
};

struct media_block; /* private: the memory of one or more frames; it has their references */

struct media_frame {
    struct media_block *block; /* private to frame.c */
    struct media_frame_info info;
    size_t size_bytes;
    uint8_t body[];
};

/* Returns a frame with one reference, or NULL when out of memory. Borrows info; copies body.
 * info->es_offset is at most the size of the body. The frame has memory of its own: for what is
 * kept long, as configurations are. */
const struct media_frame *media_frame_create(const struct media_frame_info *info,
                                             struct buf_view body);
/* Any thread. ref() returns a new reference; unref() takes *frame and leaves NULL; NULL is fine. */
const struct media_frame *media_frame_ref(const struct media_frame *frame);
void media_frame_unref(const struct media_frame **frame);

/* Frames of one stream one behind the other in blocks of a pool: no allocation for each, but for
 * those that are large for the stream (key frames, as a rule). A block goes back when all frames in
 * it are gone, so it suits frames that come and go in order, as a GOP cache has them. The pool's
 * owner thread; the frames are for any thread. */
struct media_arena {
    struct pool *pool;            /* borrowed */
    struct media_block *open;     /* owned; the next frame goes here while there is room */
    size_t used_bytes, max_bytes; /* of the open block */
    uint32_t n_frames;            /* in it */
    int64_t open_dts_us;          /* of its first frame */
    size_t passed_bytes;          /* of frames since then, in the block or not */
    unsigned size;                /* index into k_pool_block_bytes: fits the stream's rate */
};
void media_arena_init(struct media_arena *arena, struct pool *pool);
/* Lets go of the open block; the next frame opens another one. */
void media_arena_close(struct media_arena *arena);
/* As media_frame_create(). */
const struct media_frame *media_arena_frame(struct media_arena *arena,
                                            const struct media_frame_info *info,
                                            struct buf_view body);

static inline struct buf_view media_frame_body(const struct media_frame *frame)
{
    return (struct buf_view){frame->body, frame->size_bytes};
}

#endif
