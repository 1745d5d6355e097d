/* Parameter sets of H.264 and HEVC as they come along in a byte stream, and the configuration
 * record of MP4 and FLV that is made of them. Sans I/O; one thread at a time. */
#ifndef HW_PROTO_CODEC_NAL_SETS_H
#define HW_PROTO_CODEC_NAL_SETS_H

#include "proto/codec/codec.h"
#include "proto/codec/nal.h"

#define NAL_SET_MAX_BYTES 4096u

struct nal_set { /* private */
    enum nal_kind kind;
    uint32_t id;
    struct buf_writer bytes;
};

struct nal_sets { /* private */
    enum media_codec codec;
    unsigned n_sets;
    struct nal_set sets[CODEC_MAX_SETS];
};

/* CODEC_H264 or CODEC_HEVC. No allocation; pair with fini(). */
void nal_sets_init(struct nal_sets *sets, enum media_codec codec);
void nal_sets_fini(struct nal_sets *sets);

/* Takes note of a VPS, SPS or PPS (copied), in place of the one of its kind and id. A new SPS
 * forgets the PPS: they follow it.
 *   E_OK         it is new: the record is another one
 *   E_AGAIN      it is the one that is there, or no parameter set
 *   E_PROTO      cut off
 *   E_TOO_BIG    above NAL_SET_MAX_BYTES, or CODEC_MAX_SETS are there
 *   E_NOMEM */
enum err nal_sets_add(struct nal_sets *sets, struct buf_view nal);
/* avcC (ISO 14496-15 5.3.3.1) or hvcC (8.3.3.1), with NAL unit lengths of 4 bytes. E_AGAIN: a kind
 * is still missing; E_PROTO: the SPS is cut off; E_NOMEM. */
enum err nal_sets_write_record(const struct nal_sets *sets, struct buf_writer *out);

#endif
