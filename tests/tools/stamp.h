/* The moment of sending, inside a coded frame, where decoders skip it: a user_data_unregistered SEI
 * message (H.264 D.1.6, H.265 D.2.7) or an AAC data_stream_element (ISO 14496-3, 4.5.2.1.1). So the
 * way of one frame through any server can be timed. Sans I/O. */
#ifndef HW_TESTS_TOOLS_STAMP_H
#define HW_TESTS_TOOLS_STAMP_H

#include "common/base/buf.h"
#include "common/media/frame.h"

#define STAMP_TIME_BYTES 8  /* 7 bits a byte, the top bit set: 00 00 0x cannot come up */
#define STAMP_MAX_BYTES 33u /* what a stamp adds to a frame at most */

/* Appends body, the FLV form of a frame that *info describes, with a stamp of time 0 put in;
 * *time_at is where its STAMP_TIME_BYTES are, counted from the body's first byte.
 *   E_OK           body and stamp are written
 *   E_UNSUPPORTED  no place for a stamp in this codec, a sequence header or an empty frame
 *   E_PROTO        no NAL units with four-byte lengths
 * On an error nothing is written; memory is seen by the writer's status. */
enum err stamp_insert(const struct media_frame_info *info, struct buf_view body,
                      struct buf_writer *out, size_t *time_at);
/* time_us: 0 to 2^56 - 1 */
void stamp_put_time(uint8_t out[STAMP_TIME_BYTES], int64_t time_us);
/* True with the time when the frame has a stamp. */
bool stamp_read(const struct media_frame_info *info, struct buf_view body, int64_t *time_us);
/* Likewise, in the begin of a frame in another form, such as that of a transport stream. */
bool stamp_find(struct buf_view bytes, int64_t *time_us);

#endif
