/* TS packets and PES packets: ISO 13818-1 2.4.3. */
#include <assert.h>
#include <string.h>

#include "proto/ts/ts_private.h"

enum { FLAG_DISCONTINUITY = 0x80, FLAG_RANDOM_ACCESS = 0x40, FLAG_PCR = 0x10 };
enum { HEADER_BYTES = 4, PCR_BYTES = 6 };
enum { PES_FIXED_BYTES = 3, PES_STAMP_BYTES = 5 }; /* behind the length; one time stamp */

uint8_t *ts_out_packet(struct ts_out *out)
{
    if (out->n_packets == TS_BATCH_PACKETS)
        ts_out_flush(out);
    return out->packets[out->n_packets++];
}

void ts_out_flush(struct ts_out *out)
{
    if (out->n_packets)
        out->sink->put(out->sink, buf_view_of(out->packets, out->n_packets * TS_PACKET_BYTES));
    out->n_packets = 0;
}

/* 1 us is 0.09 ticks of 90 kHz and 27 of 27 MHz. Whole hundreds of microseconds are 9 ticks, so
 * that nothing is lost however long the stream runs, and no product overflows. */
static void split_us(int64_t time_us, uint64_t *hundreds, unsigned *rest_us)
{
    int64_t quotient = time_us / 100, rest = time_us % 100;

    if (rest < 0) {
        rest += 100;
        quotient--;
    }
    *hundreds = (uint64_t)quotient;
    *rest_us = (unsigned)rest;
}

/* PTS and DTS: 33 bits, to the nearest tick. */
static uint64_t stamp_of(int64_t time_us)
{
    uint64_t hundreds;
    unsigned rest_us;

    split_us(time_us, &hundreds, &rest_us);
    return (hundreds * 9 + (rest_us * 9 + 50) / 100) & 0x1ffffffff;
}

/* program_clock_reference_base:33, reserved:6, extension:9; 2.4.2.2. */
static void put_pcr(uint8_t *at, int64_t time_us)
{
    uint64_t hundreds, base;
    unsigned rest_us, extension;

    split_us(time_us, &hundreds, &rest_us);
    base = (hundreds * 9 + rest_us * 9 / 100) & 0x1ffffffff;
    extension = rest_us * 27 % 300;
    at[0] = (uint8_t)(base >> 25);
    at[1] = (uint8_t)(base >> 17);
    at[2] = (uint8_t)(base >> 9);
    at[3] = (uint8_t)(base >> 1);
    at[4] = (uint8_t)((base & 1) << 7 | 0x7e | extension >> 8);
    at[5] = (uint8_t)extension;
}

/* Returns the size of the field, its length byte counted; 0 when there is nothing to say. */
static unsigned put_adaptation(uint8_t *at, const struct ts_adaptation *a)
{
    unsigned size_bytes = a->has_pcr ? 2 + PCR_BYTES : 2;

    if (!a->has_pcr && !a->random_access && !a->discontinuity)
        return 0;
    at[0] = (uint8_t)(size_bytes - 1);
    at[1] = (uint8_t)((a->discontinuity ? FLAG_DISCONTINUITY : 0) |
                      (a->random_access ? FLAG_RANDOM_ACCESS : 0) | (a->has_pcr ? FLAG_PCR : 0));
    if (a->has_pcr)
        put_pcr(at + 2, a->pcr_us);
    return size_bytes;
}

static void put_header(uint8_t *packet, const struct ts_track *track, unsigned start,
                       unsigned control)
{
    packet[0] = TS_SYNC_BYTE;
    packet[1] = (uint8_t)(start | track->pid >> 8);
    packet[2] = (uint8_t)track->pid;
    packet[3] = (uint8_t)(control | track->continuity);
}

static void open_packet(struct ts_pes *pes, unsigned start, const struct ts_adaptation *a)
{
    unsigned adaptation_bytes = 0;

    pes->packet = ts_out_packet(pes->out);
    pes->track->continuity = (pes->track->continuity + 1) & 0x0f;
    if (a)
        adaptation_bytes = put_adaptation(pes->packet + HEADER_BYTES, a);
    put_header(pes->packet, pes->track, start,
               adaptation_bytes ? TS_ADAPTATION | TS_PAYLOAD : TS_PAYLOAD);
    pes->used = pes->payload_at = HEADER_BYTES + adaptation_bytes;
}

void ts_pes_put(struct ts_pes *pes, struct buf_view bytes)
{
    struct buf_reader in = buf_reader_from(bytes);

    while (in.left_bytes) {
        size_t room = TS_PACKET_BYTES - pes->used;
        struct buf_view part;

        if (room == 0) {
            open_packet(pes, 0, NULL);
            room = TS_PACKET_BYTES - pes->used;
        }
        part = buf_take(&in, in.left_bytes < room ? in.left_bytes : room);
        memcpy(pes->packet + pes->used, part.data, part.size_bytes);
        pes->used += (unsigned)part.size_bytes;
    }
}

/* 2.4.3.7: 4 bits of prefix, then 3, 15 and 15 bits with a marker bit behind each. */
static void put_stamp(uint8_t *at, unsigned prefix, uint64_t stamp)
{
    at[0] = (uint8_t)(prefix << 4 | (stamp >> 30 & 7) << 1 | 1);
    at[1] = (uint8_t)(stamp >> 22);
    at[2] = (uint8_t)((stamp >> 15 & 0x7f) << 1 | 1);
    at[3] = (uint8_t)(stamp >> 7);
    at[4] = (uint8_t)((stamp & 0x7f) << 1 | 1);
}

void ts_pes_begin(struct ts_pes *pes, struct ts_out *out, struct ts_track *track,
                  const struct ts_pes_info *info)
{
    uint64_t pts = stamp_of(info->pts_us), dts = stamp_of(info->dts_us);
    unsigned stamp_bytes = pts == dts ? PES_STAMP_BYTES : 2 * PES_STAMP_BYTES;
    size_t length = info->size_bytes ? info->size_bytes + PES_FIXED_BYTES + stamp_bytes : 0;
    uint8_t header[9 + 2 * PES_STAMP_BYTES] = {0, 0, 1};

    assert(length <= 0xffff);
    header[3] = track->stream_id;
    header[4] = (uint8_t)(length >> 8);
    header[5] = (uint8_t)length;
    header[6] = 0x84; /* '10'; data_alignment_indicator */
    header[7] = pts == dts ? 0x80 : 0xc0;
    header[8] = (uint8_t)stamp_bytes;
    put_stamp(header + 9, pts == dts ? 2 : 3, pts);
    if (pts != dts)
        put_stamp(header + 9 + PES_STAMP_BYTES, 1, dts);
    *pes = (struct ts_pes){.out = out, .track = track};
    open_packet(pes, TS_START, &info->adaptation);
    ts_pes_put(pes, buf_view_of(header, 9 + stamp_bytes));
}

/* 2.4.3.5: stuffing is an adaptation field that is as long as is needed; one of a single byte is
 * its own length, 0. */
void ts_pes_end(struct ts_pes *pes)
{
    unsigned n = TS_PACKET_BYTES - pes->used;
    uint8_t *packet = pes->packet, *field = packet + HEADER_BYTES;

    if (n == 0)
        return;
    memmove(packet + pes->payload_at + n, packet + pes->payload_at, pes->used - pes->payload_at);
    memset(packet + pes->payload_at, 0xff, n);
    if (packet[3] & TS_ADAPTATION) {
        field[0] = (uint8_t)(field[0] + n);
        return;
    }
    packet[3] |= TS_ADAPTATION;
    field[0] = (uint8_t)(n - 1);
    if (n > 1)
        field[1] = 0;
}

void ts_put_adaptation(struct ts_out *out, const struct ts_track *track,
                       const struct ts_adaptation *adaptation)
{
    uint8_t *packet = ts_out_packet(out);

    memset(packet, 0xff, TS_PACKET_BYTES);
    put_header(packet, track, 0, TS_ADAPTATION); /* the counter stays: there is no payload */
    (void)put_adaptation(packet + HEADER_BYTES, adaptation);
    packet[HEADER_BYTES] = TS_PACKET_BYTES - HEADER_BYTES - 1;
}
