/* Messages to chunks: RTMP 1.0, section 5.3. Stateless: every message begins with a full header, so
 * that its bytes are the same for whoever gets it, and whatever was sent before. */
#include <assert.h>
#include <string.h>

#include "proto/rtmp/rtmp.h"

#define NO_TIMESTAMP 0xffffffu /* section 5.3.1.3: the extended field has it */
#define MAX_LENGTH 0xffffffu

const struct rtmp_limits k_rtmp_limits_default = {
    .max_message_bytes = MAX_LENGTH,
    .max_command_bytes = 64 << 10,
    .max_chunk_size = MAX_LENGTH,
    .max_chunk_streams = 64,
    .out_chunk_size = 65536,
    .window_ack_size = 2500000,
};

unsigned rtmp_csid_of(enum media_kind kind)
{
    static const unsigned k_csid[MEDIA_N_KINDS] = {
        [MEDIA_AUDIO] = 4,
        [MEDIA_VIDEO] = 6,
        [MEDIA_DATA] = 5,
    };

    return k_csid[kind];
}

static void put_u24be(uint8_t *out, uint32_t value)
{
    out[0] = (uint8_t)(value >> 16);
    out[1] = (uint8_t)(value >> 8);
    out[2] = (uint8_t)value;
}

static void put_u32be(uint8_t *out, uint32_t value)
{
    out[0] = (uint8_t)(value >> 24);
    put_u24be(out + 1, value);
}

unsigned rtmp_put_type0_header(uint8_t out[RTMP_MAX_CHUNK_HEADER], unsigned csid,
                               uint32_t timestamp_ms, uint32_t length_bytes, uint8_t type_id,
                               uint32_t stream_id)
{
    bool extended = timestamp_ms >= NO_TIMESTAMP;

    assert(csid >= 2 && csid <= 63 && length_bytes <= MAX_LENGTH);
    out[0] = (uint8_t)csid;
    put_u24be(out + 1, extended ? NO_TIMESTAMP : timestamp_ms);
    put_u24be(out + 4, length_bytes);
    out[7] = type_id;
    out[8] = (uint8_t)stream_id; /* the one little endian field */
    out[9] = (uint8_t)(stream_id >> 8);
    out[10] = (uint8_t)(stream_id >> 16);
    out[11] = (uint8_t)(stream_id >> 24);
    if (!extended)
        return 12;
    put_u32be(out + 12, timestamp_ms);
    return 16;
}

unsigned rtmp_put_type3_header(uint8_t out[RTMP_MAX_CHUNK_HEADER], unsigned csid,
                               uint32_t timestamp_ms)
{
    assert(csid >= 2 && csid <= 63);
    out[0] = (uint8_t)(0xc0 | csid);
    if (timestamp_ms < NO_TIMESTAMP)
        return 1;
    put_u32be(out + 1, timestamp_ms);
    return 5;
}

void rtmp_write_message(struct buf_writer *w, uint32_t chunk_size, unsigned csid,
                        uint32_t timestamp_ms, uint8_t type_id, uint32_t stream_id,
                        struct buf_view body)
{
    uint8_t header[RTMP_MAX_CHUNK_HEADER];
    struct buf_reader left = buf_reader_from(body);
    unsigned size;

    assert(chunk_size > 0);
    size = rtmp_put_type0_header(header, csid, timestamp_ms, (uint32_t)body.size_bytes, type_id,
                                 stream_id);
    buf_write(w, header, size);
    for (;;) {
        buf_write_view(
            w, buf_take(&left, left.left_bytes < chunk_size ? left.left_bytes : chunk_size));
        if (left.left_bytes == 0)
            return;
        size = rtmp_put_type3_header(header, csid, timestamp_ms);
        buf_write(w, header, size);
    }
}
