/* AV1 open bitstream units: AV1 specification 5.3, in the "low overhead" form that FLV and MP4
 * carry (each has its size, temporal delimiters are left out). Sans I/O. */
#ifndef HW_PROTO_CODEC_AV1_H
#define HW_PROTO_CODEC_AV1_H

#include "common/base/buf.h"

enum av1_obu_type { /* 6.2.2 */
                    AV1_OBU_SEQUENCE_HEADER = 1,
                    AV1_OBU_TEMPORAL_DELIMITER = 2,
                    AV1_OBU_FRAME_HEADER = 3,
                    AV1_OBU_TILE_GROUP = 4,
                    AV1_OBU_METADATA = 5,
                    AV1_OBU_FRAME = 6,
                    AV1_OBU_REDUNDANT_FRAME_HEADER = 7,
                    AV1_OBU_TILE_LIST = 8,
                    AV1_OBU_PADDING = 15
};

struct av1_obu {
    uint8_t type;            /* enum av1_obu_type, or a reserved value */
    struct buf_view unit;    /* all of it; lent from what is read */
    struct buf_view payload; /* behind header and size */
};
/* The next OBU; *in moves past it. One without a size reaches to the end.
 *   E_OK     *out is filled
 *   E_END    *in is used up
 *   E_PROTO  cut off, a size over the end or above 32 bits, or the forbidden bit; static *why */
enum err av1_next_obu(struct buf_reader *in, struct av1_obu *out, const char **why);

#endif
