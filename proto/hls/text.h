/* Private to proto/hls: attribute values. */
#ifndef HW_PROTO_HLS_TEXT_H
#define HW_PROTO_HLS_TEXT_H

#include "common/base/buf.h"

/* Writes a URI, or a part of one, that may stand in quotes: what would end the quotes or the line
 * is escaped. */
void hls_write_uri(struct buf_writer *w, struct buf_view uri);
/* "2.002000": decimal seconds, never negative. */
void hls_write_seconds(struct buf_writer *w, int64_t us);

#endif
