/* PAT and PMT: ISO 13818-1 2.4.4. Each is one section in one packet. */
#include <string.h>

#include "proto/ts/ts_private.h"

enum { TABLE_PAT = 0, TABLE_PMT = 2, PROGRAM = 1, TRANSPORT_STREAM_ID = 1 };
enum { SECTION_AT = 5, CRC_BYTES = 4 }; /* behind header and pointer_field */
enum { PAT_VERSION = 0 };               /* its content never changes */
enum { PMT_TRACK_MAX_BYTES = 5 + 15 };  /* Opus: registration and extension descriptor */

_Static_assert(SECTION_AT + 12 + TS_MAX_TRACKS * PMT_TRACK_MAX_BYTES + CRC_BYTES <= TS_PACKET_BYTES,
               "the PMT is one packet");

/* Annex A: polynomial 04c11db7, no reflection, starts with ones. */
uint32_t ts_crc(const uint8_t *at, size_t size_bytes)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < size_bytes; i++) {
        crc ^= (uint32_t)at[i] << 24;
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc & 0x80000000 ? crc << 1 ^ 0x04c11db7 : crc << 1;
    }
    return crc;
}

static void put_u16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* The part that all long sections share: 8 bytes; 2.4.4.11. */
static void begin_section(uint8_t *packet, unsigned pid, unsigned table_id, unsigned id,
                          unsigned version)
{
    uint8_t *section = packet + SECTION_AT;

    memset(packet, 0xff, TS_PACKET_BYTES);
    packet[0] = TS_SYNC_BYTE;
    put_u16(packet + 1, TS_START << 8 | pid);
    packet[3] = TS_PAYLOAD;
    packet[4] = 0; /* pointer_field */
    section[0] = (uint8_t)table_id;
    put_u16(section + 3, id);
    section[5] = (uint8_t)(0xc0 | version << 1 | 1); /* current_next_indicator */
    section[6] = section[7] = 0;                     /* section 0 of 0 */
}

/* Length and CRC; end is behind the last byte of the content. */
static void end_section(uint8_t *packet, const uint8_t *end)
{
    uint8_t *section = packet + SECTION_AT;
    size_t size_bytes = (size_t)(end - section);
    uint32_t crc;

    put_u16(section + 1, 0xb000 | (unsigned)(size_bytes - 3 + CRC_BYTES));
    crc = ts_crc(section, size_bytes);
    put_u16(section + size_bytes, crc >> 16);
    put_u16(section + size_bytes + 2, crc & 0xffff);
}

void ts_psi_build(struct ts_mux *mux)
{
    uint8_t *at = mux->pat + SECTION_AT + 8;

    begin_section(mux->pat, TS_PID_PAT, TABLE_PAT, TRANSPORT_STREAM_ID, PAT_VERSION);
    put_u16(at, PROGRAM);
    put_u16(at + 2, 0xe000 | TS_PID_PMT);
    end_section(mux->pat, at + 4);

    at = mux->pmt + SECTION_AT + 8;
    begin_section(mux->pmt, TS_PID_PMT, TABLE_PMT, PROGRAM, mux->version);
    put_u16(at, 0xe000u | mux->pcr_pid);
    put_u16(at + 2, 0xf000); /* no descriptors of the program */
    at += 4;
    for (unsigned i = 0; i < mux->n_tracks; i++) {
        const struct ts_track *t = &mux->tracks[i];

        at[0] = t->stream_type;
        put_u16(at + 1, 0xe000u | t->pid);
        put_u16(at + 3, 0xf000u | t->descriptor_bytes);
        memcpy(at + 5, t->descriptors, t->descriptor_bytes);
        at += 5 + t->descriptor_bytes;
    }
    end_section(mux->pmt, at);
}
