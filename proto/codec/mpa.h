/* MPEG audio frames (MP3): ISO 11172-3 2.4.1.3, ISO 13818-3 2.4.2.3. Sans I/O. */
#ifndef HW_PROTO_CODEC_MPA_H
#define HW_PROTO_CODEC_MPA_H

#include "common/base/buf.h"

struct mpa_info {
    uint8_t version; /* 1, 2; 3 = the unofficial "2.5" of lower rates still */
    uint8_t layer;   /* 1 to 3 */
    uint8_t channels;
    uint16_t rate_kbps; /* 0 = "free format" */
    uint32_t sample_rate_hz;
    uint32_t samples;     /* of the frame */
    uint32_t frame_bytes; /* 0 = "free format" */
};
/* E_OK, or E_PROTO with a static *why: no sync word, or reserved values. *out is written only on
 * E_OK. The frame may be cut or followed by others: see frame_bytes. */
enum err mpa_parse(struct buf_view frame, struct mpa_info *out, const char **why);

#endif
