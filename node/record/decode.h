/* One key frame to a JPEG, by a child process: decoding is not our field, and a decoder that
 * crashes takes only itself away. Blocks: for a thread of its own. */
#ifndef HW_NODE_RECORD_DECODE_H
#define HW_NODE_RECORD_DECODE_H

#include <stdatomic.h>

#include "common/media/frame.h"

struct decode {
    const char *command; /* borrowed: found in PATH unless it has a slash; ffmpeg's arguments */
    int64_t timeout_ms;
    const _Atomic bool *is_cancelled;
    const struct media_frame *config; /* borrowed; NULL: the codec has none */
    const struct media_frame *key;    /* borrowed */
};
/* Puts the picture into *jpeg.
 *   E_NOT_FOUND    there is no such program
 *   E_UNSUPPORTED  a codec, or a picture, that MP4 does not carry to it
 *   E_TIMEOUT, E_TOO_BIG, E_CLOSED (cancelled), E_IO (it made no picture), E_NOMEM */
enum err decode_to_jpeg(const struct decode *decode, struct buf_writer *jpeg);

#endif
