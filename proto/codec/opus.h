/* Opus: the ID header (RFC 7845 5.1) and how long a packet is (RFC 6716 3.1). Sans I/O. */
#ifndef HW_PROTO_CODEC_OPUS_H
#define HW_PROTO_CODEC_OPUS_H

#include "common/base/buf.h"
#include "proto/codec/codec.h"

#define OPUS_RATE_HZ 48000u /* that all durations count */

/* From the TOC byte and the frame count: samples at 48 kHz, at most 5760 (120 ms); 0 when the
 * packet is empty, has no frames or says more. */
uint32_t opus_packet_samples(struct buf_view packet);
/* 1 or 2, as the TOC byte says; 0 when the packet is empty. */
unsigned opus_packet_channels(struct buf_view packet);

#endif
