/* Byte streams, as MPEG-TS and RTP senders have them: NAL units behind start codes (annex B of
 * H.264 and of H.265). Sans I/O. */
#ifndef HW_PROTO_CODEC_ANNEXB_H
#define HW_PROTO_CODEC_ANNEXB_H

#include "common/base/buf.h"

/* Lends the next NAL unit: neither start code nor the zeros behind it; never empty. Bytes before
 * the first start code are passed over. False: there is none. */
bool annexb_next(struct buf_reader *in, struct buf_view *nal);

#endif
