/* LATM in LOAS: AAC as DVB broadcasts it (ISO 14496-3 1.7). One program, one layer, frames of
 * varying length: what broadcasters send. Sans I/O; one thread at a time. */
#ifndef HW_PROTO_CODEC_LATM_H
#define HW_PROTO_CODEC_LATM_H

#include "common/base/buf.h"

#define LATM_CONFIG_MAX_BYTES 16

struct latm {                              /* private but for config; zeroed at first */
    uint8_t config[LATM_CONFIG_MAX_BYTES]; /* AudioSpecificConfig, once config_bytes is not 0 */
    uint8_t config_bytes;
    uint8_t n_sub_frames; /* in an element */
    uint32_t other_bits;  /* data of others behind the frames */
};

/* Takes one AudioMuxElement with its sync word. Its raw frames go into *out (cleared first), each
 * behind its length in two bytes.
 *   E_OK           *out may be empty: no configuration has come yet
 *   E_AGAIN        it is not all there
 *   E_PROTO        no sync word here, or cut off inside; *in is behind it, or one byte further
 *   E_UNSUPPORTED  more layers or programs, or fixed lengths; likewise
 *   E_NOMEM, E_TOO_BIG of *out */
enum err latm_next(struct latm *latm, struct buf_reader *in, struct buf_writer *out);

#endif
