/* What the formats share that carry elementary streams and not FLV bodies: TS and MP4. */
#ifndef HW_NODE_STREAM_FORMAT_ES_H
#define HW_NODE_STREAM_FORMAT_ES_H

#include "common/media/frame.h"
#include "proto/codec/codec.h"

/* Coded sound or pictures: no configuration, no metadata. */
static inline bool frame_is_media(const struct media_frame *frame)
{
    return frame->info.kind != MEDIA_DATA &&
           !(frame->info.flags & (FRAME_HEADERS | FRAME_SEQ_END | FRAME_MULTITRACK)) &&
           frame->info.es_offset < frame->size_bytes;
}

/* Elementary stream data of the frame, or the configuration record of a FRAME_CONFIG; borrowed. */
static inline struct buf_view frame_es(const struct media_frame *frame)
{
    return buf_view_of(frame->body + frame->info.es_offset,
                       frame->size_bytes - frame->info.es_offset);
}

#endif
