/* NAL units of H.264 and HEVC as MP4, FLV and RTMP carry them: each behind its length (ISO 14496-15
 * 5.3.4.2.1). Sans I/O. */
#ifndef HW_PROTO_CODEC_NAL_H
#define HW_PROTO_CODEC_NAL_H

#include "common/base/buf.h"
#include "common/media/frame.h"

/* What a NAL unit is for. H.264 table 7-1, H.265 table 7-1. */
enum nal_kind {
    NAL_OTHER, /* also what the standards reserve */
    NAL_SLICE, /* a part of a picture */
    NAL_KEY,   /* a part of a picture that decoding can start at: IDR; HEVC BLA, IDR, CRA */
    NAL_SEI,
    NAL_VPS, /* HEVC */
    NAL_SPS,
    NAL_PPS,
    NAL_AUD,   /* access unit delimiter */
    NAL_END,   /* end of sequence, end of stream */
    NAL_FILLER /* filler data */
};

/* CODEC_H264 or CODEC_HEVC; NAL_OTHER when it is shorter than the NAL unit header. */
enum nal_kind nal_kind_of(enum media_codec codec, struct buf_view nal);

/* Walks a frame. A value: a copy starts again where the original stands. */
struct nal_reader {
    struct buf_reader in;
    unsigned length_bytes; /* 1, 2 or 4 */
};
/* Borrows frame while the reader is used. */
static inline struct nal_reader nal_reader_from(struct buf_view frame, unsigned length_bytes)
{
    return (struct nal_reader){buf_reader_from(frame), length_bytes};
}
/* Lends the next NAL unit from the frame; one of 0 bytes is passed over, as decoders do.
 *   E_OK     *nal has at least one byte
 *   E_END    the frame is used up
 *   E_PROTO  a length is cut off or reaches over the end of the frame; *why is a static text
 * Inline: where a stream comes in, each frame is walked. */
static inline enum err nal_next(struct nal_reader *r, struct buf_view *nal, const char **why)
{
    while (r->in.left_bytes) {
        size_t size_bytes = (size_t)buf_read_be(&r->in, r->length_bytes);
        struct buf_view unit = buf_take(&r->in, size_bytes);

        if (r->in.overrun) {
            *why = "NAL unit length reaches over the end of the frame";
            return E_PROTO;
        }
        if (size_bytes) {
            *nal = unit;
            return E_OK;
        }
    }
    return E_END;
}

/* What is in a frame, with every length checked. */
struct nal_summary {
    unsigned kinds;   /* 1 << enum nal_kind */
    unsigned n_units; /* not counting empty ones */
};
/* E_OK, or E_PROTO as nal_next() and when there is no NAL unit at all. */
enum err nal_scan(enum media_codec codec, struct buf_view frame, unsigned length_bytes,
                  struct nal_summary *out, const char **why);

#endif
