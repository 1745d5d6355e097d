/* FLV out: file header, tag header and trailer as loose bytes for callers that gather, and whole
 * tags for those that do not. FLV 10.1 E.2, E.3, E.4.1. */
#include "proto/flv/flv.h"

#include <assert.h>
#include <string.h>

enum { TRAILER_BYTES = 4, FLAG_AUDIO = 0x04, FLAG_VIDEO = 0x01 };

static void put_u24be(uint8_t *out, uint32_t value)
{
    out[0] = (uint8_t)(value >> 16);
    out[1] = (uint8_t)(value >> 8);
    out[2] = (uint8_t)value;
}

void flv_write_file_header(struct buf_writer *w, bool has_audio, bool has_video)
{
    const uint8_t header[FLV_HEADER_BYTES + TRAILER_BYTES] = {
        'F',
        'L',
        'V',
        1, /* version */
        (uint8_t)((has_audio ? FLAG_AUDIO : 0) | (has_video ? FLAG_VIDEO : 0)),
        0,
        0,
        0,
        FLV_HEADER_BYTES, /* DataOffset; PreviousTagSize0 is 0 */
    };

    buf_write(w, header, sizeof header);
}

void flv_put_tag_header(uint8_t out[FLV_TAG_HEADER_BYTES], uint8_t type_id, uint32_t dts_ms,
                        uint32_t data_bytes)
{
    assert(data_bytes <= FLV_MAX_TAG_BYTES);
    out[0] = type_id & 0x1f;
    put_u24be(out + 1, data_bytes);
    put_u24be(out + 4, dts_ms);
    out[7] = (uint8_t)(dts_ms >> 24); /* TimestampExtended is the top byte */
    put_u24be(out + 8, 0);            /* StreamID */
}

void flv_put_tag_trailer(uint8_t out[TRAILER_BYTES], uint32_t data_bytes)
{
    uint32_t tag_bytes = data_bytes + FLV_TAG_HEADER_BYTES;

    out[0] = (uint8_t)(tag_bytes >> 24);
    put_u24be(out + 1, tag_bytes);
}

void flv_write_tag(struct buf_writer *w, uint8_t type_id, uint32_t dts_ms, struct buf_view body)
{
    uint32_t data_bytes = (uint32_t)body.size_bytes;
    uint8_t *room;

    if (body.size_bytes > FLV_MAX_TAG_BYTES) {
        if (w->failed == E_OK)
            w->failed = E_TOO_BIG;
        return;
    }
    room = buf_writer_reserve(w, FLV_TAG_HEADER_BYTES + body.size_bytes + TRAILER_BYTES);
    if (!room)
        return;
    flv_put_tag_header(room, type_id, dts_ms, data_bytes);
    if (data_bytes)
        memcpy(room + FLV_TAG_HEADER_BYTES, body.data, data_bytes);
    flv_put_tag_trailer(room + FLV_TAG_HEADER_BYTES + data_bytes, data_bytes);
}
