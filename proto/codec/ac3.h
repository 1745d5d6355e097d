/* AC-3 and E-AC-3 sync frames: ETSI TS 102 366, 4.3 and E.1.2. Sans I/O. */
#ifndef HW_PROTO_CODEC_AC3_H
#define HW_PROTO_CODEC_AC3_H

#include "common/base/buf.h"

/* What AC3SpecificBox (dac3) and EC3SpecificBox (dec3), annex F, are made of. */
struct ac3_info {
    bool enhanced; /* E-AC-3 */
    uint8_t fscod; /* 0 48 kHz, 1 44.1, 2 32; 3: E-AC-3 with half of these */
    uint8_t bsid, bsmod, acmod;
    uint8_t lfeon;
    uint8_t bit_rate_code; /* AC-3: frmsizecod >> 1 */
    uint8_t n_dependent;   /* E-AC-3: dependent substreams of the first independent one */
    uint8_t n_independent; /* E-AC-3: independent substreams, at least 1 */
    uint16_t chan_loc;     /* E-AC-3: chan_loc of dec3: what the dependent ones add */
    uint8_t channels;      /* of the first independent substream, LFE counted */
    uint16_t rate_kbps;    /* of all substreams */
    uint32_t sample_rate_hz;
    uint32_t samples;     /* of the access unit: blocks x 256 */
    uint32_t first_bytes; /* of the first sync frame */
};
/* An access unit: one AC-3 frame, or the E-AC-3 frames of one time. E_OK, or E_PROTO with a static
 * *why: no sync word, reserved values, or shorter than it says. *out is written only on E_OK. */
enum err ac3_parse(struct buf_view frame, struct ac3_info *out, const char **why);

#endif
