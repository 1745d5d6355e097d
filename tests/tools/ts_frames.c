/* Packets to frames: a frame ends where the next one of its kind begins. */
#include "tests/tools/ts_frames.h"

#include <string.h>

#include "tests/tools/stamp.h"

#define SYNC_BYTE 0x47
#define TICKS_PER_MS 90
#define VIDEO_STREAM_IDS 0xe0 /* to 0xef; all others in use are sound. Table 2-22 */

struct ts_packet { /* 2.4.3.2 */
    unsigned pid;
    bool starts; /* payload_unit_start_indicator */
    bool is_random_access;
    struct buf_view payload;
};

static enum err read_packet(struct buf_view bytes, struct ts_packet *out)
{
    struct buf_reader in = buf_reader_from(bytes);
    uint8_t sync = buf_read_u8(&in), flags;
    uint16_t pid = buf_read_u16be(&in);

    flags = buf_read_u8(&in);
    if (sync != SYNC_BYTE)
        return E_PROTO;
    *out = (struct ts_packet){.pid = pid & 0x1fff, .starts = pid & 0x4000};
    if (flags & 0x20) { /* an adaptation field */
        uint8_t size_bytes = buf_read_u8(&in);
        struct buf_view field = buf_take(&in, size_bytes);

        out->is_random_access = field.size_bytes > 0 && field.data[0] & 0x40;
    }
    if (flags & 0x10)
        out->payload = buf_rest(&in);
    return in.overrun ? E_PROTO : E_OK;
}

/* 33 bits with a marker behind each part. Table 2-21. */
static uint64_t read_stamp(struct buf_reader *in)
{
    uint64_t high = buf_read_u8(in) >> 1 & 7, middle = buf_read_u16be(in) >> 1;
    uint64_t low = buf_read_u16be(in) >> 1;

    return high << 30 | middle << 15 | low;
}

/* The frame that begins in this payload. E_NOT_FOUND: it is a table, not a frame. */
static enum err read_pes(const struct ts_packet *packet, struct ts_frame_seen *out)
{
    struct buf_reader in = buf_reader_from(packet->payload), times;
    uint32_t start = buf_read_u32be(&in); /* 00 00 01 and stream_id */
    uint8_t flags, head_bytes;
    uint64_t ticks;

    if (in.overrun || start >> 8 != 1)
        return E_NOT_FOUND;
    (void)buf_read_u24be(&in); /* length, scrambling and so on */
    flags = buf_read_u8(&in);
    head_bytes = buf_read_u8(&in);
    times = buf_reader_from(buf_take(&in, head_bytes));
    ticks = read_stamp(&times); /* pts */
    if (flags & 0x40)
        ticks = read_stamp(&times);
    if (in.overrun || times.overrun || !(flags & 0x80))
        return E_PROTO;
    *out = (struct ts_frame_seen){
        .kind = (start & 0xf0) == VIDEO_STREAM_IDS ? MEDIA_VIDEO : MEDIA_AUDIO,
        .is_key = packet->is_random_access,
        .dts_ms = (uint32_t)(ticks / TICKS_PER_MS),
    };
    out->has_sent = stamp_find(buf_rest(&in), &out->sent_us);
    return E_OK;
}

/* E_OK: *out is the frame that this packet ends. */
static enum err take_packet(struct ts_frames *t, struct buf_view bytes, int64_t read_us,
                            struct ts_frame_seen *out)
{
    struct ts_frame_seen begun;
    struct ts_packet packet;
    bool was_open;
    unsigned track;
    enum err e = read_packet(bytes, &packet);

    if (e != E_OK)
        return e;
    if (packet.starts && (e = read_pes(&packet, &begun)) == E_OK) {
        track = begun.kind == MEDIA_VIDEO;
        was_open = t->tracks[track].is_open;
        *out = t->tracks[track].frame;
        t->tracks[track].frame = begun;
        t->tracks[track].frame.read_us = read_us;
        t->tracks[track].is_open = true;
        t->tracks[track].pid = packet.pid;
        return was_open ? E_OK : E_AGAIN;
    }
    if (packet.payload.size_bytes)
        for (track = 0; track < 2; track++)
            if (t->tracks[track].is_open && t->tracks[track].pid == packet.pid)
                t->tracks[track].frame.read_us = read_us;
    return e == E_PROTO ? e : E_AGAIN;
}

enum err ts_frames_feed(struct ts_frames *t, struct buf_reader *in, int64_t read_us,
                        struct ts_frame_seen *out)
{
    while (in->left_bytes) {
        size_t room = sizeof t->part - t->part_bytes;
        struct buf_view got = buf_take(in, in->left_bytes < room ? in->left_bytes : room);
        enum err e;

        memcpy(t->part + t->part_bytes, got.data, got.size_bytes);
        t->part_bytes += got.size_bytes;
        if (t->part_bytes < sizeof t->part)
            break;
        t->part_bytes = 0;
        e = take_packet(t, buf_view_of(t->part, sizeof t->part), read_us, out);
        if (e != E_AGAIN)
            return e;
    }
    return E_AGAIN;
}
