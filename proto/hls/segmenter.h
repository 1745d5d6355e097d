/* Where HLS segments and parts begin. A pure state machine over the facts of frames: the same
 * frames give the same borders, numbers and durations on every node, whenever it began to look.
 *
 * The origin numbers GOPs (groups of pictures; of audio-only streams, about a second of sound), and
 * all else follows from that number and from dts: a segment is a fixed number of GOPs, so its media
 * sequence number is a division; parts count from the beginning of their GOP. Nothing depends on
 * what came before the GOP. */
#ifndef HW_PROTO_HLS_SEGMENTER_H
#define HW_PROTO_HLS_SEGMENTER_H

#include "common/media/frame.h"

/* A frame's dts may be rounded to milliseconds, and so may the one before it: a part may be longer
 * than asked for by so much. */
#define HLS_PART_SLACK_US 2000

struct hls_segmenter_conf {
    enum media_kind lead; /* whose frames begin segments and parts: video where there is some */
    unsigned gops_per_segment; /* at least 1; the same on every node, see hls_gops_per_segment() */
    uint64_t first_gop;    /* GOP first_gop is the first one of segment first_msn. The same on */
    uint64_t first_msn;    /* every node. What has a lower GOP number is in no segment */
    int64_t part_us;       /* longest part, announced with the slack added; 0 = no parts */
    unsigned skipped_gops; /* the first segment has so many GOPs less than the others */
};

struct hls_frame { /* what the segmenter wants to know of a frame */
    enum media_kind kind;
    bool entry; /* it begins its GOP: a key frame, or the first sound of an audio-only GOP */
    int64_t dts_us;
    uint64_t gop;
    size_t size_bytes; /* as muxed */
};

/* A segment or a part that has ended. */
struct hls_piece {
    uint64_t msn;
    uint32_t part;    /* of a part: index in its segment; of a segment: number of its parts */
    int64_t start_us; /* dts of its first lead frame */
    int64_t duration_us;
    uint64_t size_bytes;
    uint32_t n_frames; /* of the lead */
    bool independent;  /* decoding can start here; segments always are */
    bool whole;        /* of a segment: none of its GOPs is missing here */
};

enum {                         /* what a frame does; bits */
       HLS_OUTSIDE = 1 << 0,   /* the frame is in no segment: what it belongs to has begun before */
       HLS_ENDS_PART = 1 << 1, /* the running part ends before the frame; see hls_cut.part */
       HLS_ENDS_SEGMENT = 1 << 2, /* likewise; see hls_cut.segment. With parts: ENDS_PART as well */
       HLS_BEGINS_SEGMENT = 1 << 3, /* msn is in hls_segmenter.segment */
       HLS_BEGINS_PART = 1 << 4
};

struct hls_cut {
    struct hls_piece segment, part; /* filled as the bits say */
};

/* Plain state; read segment and part freely: they are the running ones, without duration. */
struct hls_segmenter {
    struct hls_segmenter_conf conf;
    bool inside; /* a segment runs */
    bool known;  /* some lead frame has been seen; gop and last_us are of the last one */
    uint64_t gop, gops_seen; /* of the running segment */
    int64_t last_us,
        interval_us; /* between the last two lead frames of the GOP; 0 = only one yet */
    int64_t step_us; /* the same of any GOP: how long the very last frame is taken to be */
    struct hls_piece segment, part;
};

/* The number of GOPs a segment for GOPs of gop_us: the power of two that comes nearest to target_us
 * (so between 0.7 and 1.42 times of it, or one GOP). To be asked once a stream, at its origin. */
unsigned hls_gops_per_segment(int64_t gop_us, int64_t target_us);
/* How many GOPs of the first segment lie before a GOP that begins at this time of its source, when
 * segments begin at multiples of their length in that time: so those of streams whose key frames
 * are at the same times begin together, whenever each of them was started. */
unsigned hls_skipped_gops(int64_t start_us, int64_t gop_us, unsigned gops_per_segment);

/* Media sequence number of a GOP; gop >= conf->first_gop. */
uint64_t hls_msn_of(const struct hls_segmenter_conf *conf, uint64_t gop);

void hls_segmenter_init(struct hls_segmenter *s, const struct hls_segmenter_conf *conf);
/* Looks at the next frame; gives bits, and fills *cut as they say. Frames come as the origin put
 * them out; configuration and metadata are not fed. msn grows by more than one where GOPs are
 * missing. A key frame that is long in coming makes the segment long: segment.start_us tells. */
unsigned hls_segmenter_feed(struct hls_segmenter *s, const struct hls_frame *frame,
                            struct hls_cut *cut);
/* The stream ends, or goes on as another one: what runs ends with it, the last frame being as long
 * as the one before it. Bits as above; the next frame starts anew. */
unsigned hls_segmenter_end(struct hls_segmenter *s, struct hls_cut *cut);

#endif
