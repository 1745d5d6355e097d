/* What the tests of proto/ts share: a reader of transport streams that knows nothing of the muxer.
 * It checks each packet (sync byte, lengths, continuity, CRC of tables, PCR steps) and gives the
 * PES packets back. */
#ifndef HW_TESTS_UNIT_PROTO_TS_TS_TEST_H
#define HW_TESTS_UNIT_PROTO_TS_TS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/buf.h"
#include "proto/ts/ts.h"

#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))
#define VIEW(array) buf_view_of(array, sizeof(array))
#define NO_STAMP UINT64_MAX
enum { MAX_PES = 4096, MAX_PCR = 8192, MAX_STREAMS = 8, N_PIDS = 8192 };

struct ts_capture { /* the sink */
    struct ts_sink sink;
    struct buf_writer bytes;
    unsigned n_puts;
};

static void capture_put(struct ts_sink *sink, struct buf_view bytes)
{
    struct ts_capture *c = (struct ts_capture *)sink; /* sink comes first */

    assert_int_equal(bytes.size_bytes % TS_PACKET_BYTES, 0);
    assert_true(bytes.size_bytes > 0);
    buf_write_view(&c->bytes, bytes);
    assert_int_equal(buf_writer_status(&c->bytes), E_OK);
    c->n_puts++;
}

static inline void capture_init(struct ts_capture *c)
{
    *c = (struct ts_capture){.sink.put = capture_put};
    buf_writer_init(&c->bytes, 64u << 20);
}

struct read_pes {
    uint16_t pid;
    uint8_t stream_id;
    bool aligned, random_access;
    uint64_t pts, dts;     /* NO_STAMP = not there; dts = pts when there is one alone */
    size_t at, size_bytes; /* of the payload in data */
    unsigned length;       /* PES_packet_length */
    size_t psi_packets;    /* PAT and PMT seen before it */
    size_t packet;         /* number of its first packet */
};

struct read_stream {
    uint8_t type;
    uint16_t pid;
    uint8_t descriptors[64];
    unsigned descriptor_bytes;
};

struct ts_reading {
    struct read_pes pes[MAX_PES];
    size_t n_pes;
    struct read_stream streams[MAX_STREAMS]; /* of the last PMT */
    size_t n_streams;
    int version; /* -1 = no PMT yet */
    unsigned n_versions;
    uint16_t pcr_pid, pmt_pid;
    uint64_t pcr[MAX_PCR]; /* 27 MHz */
    bool pcr_jump[MAX_PCR];
    size_t pcr_packet[MAX_PCR];
    size_t n_pcr, n_pat, n_pmt, n_packets, n_adaptation_only;
    int continuity[N_PIDS];  /* -1 = not seen */
    size_t open_pes[N_PIDS]; /* number + 1 in pes; 0 = none */
    struct buf_writer data;  /* payloads, one behind the other */
};

static inline uint32_t be(const uint8_t *at, unsigned n)
{
    uint32_t value = 0;

    while (n--)
        value = value << 8 | *at++;
    return value;
}

static inline uint32_t read_crc(const uint8_t *at, size_t size)
{
    uint32_t crc = 0xffffffff;

    for (size_t bit = 0; bit < size * 8; bit++) {
        bool top = (crc >> 31) ^ (at[bit / 8] >> (7 - bit % 8) & 1);

        crc = crc << 1 ^ (top ? 0x04c11db7 : 0);
    }
    return crc;
}

static inline void read_section(struct ts_reading *r, unsigned pid, const uint8_t *at, size_t size)
{
    size_t length;

    assert_int_equal(at[0], 0); /* pointer_field */
    at++;
    size--;
    length = be(at + 1, 2) & 0xfff;
    assert_true(length + 3 <= size);
    assert_int_equal(at[1] & 0xf0, 0xb0);
    assert_int_equal(read_crc(at, length + 3), 0); /* the CRC over itself */
    for (size_t i = length + 3; i < size; i++)
        assert_int_equal(at[i], 0xff);
    if (pid == 0) {
        assert_int_equal(at[0], 0);
        assert_int_equal(length, 13);
        r->pmt_pid = be(at + 10, 2) & 0x1fff;
        r->n_pat++;
        return;
    }
    assert_int_equal(at[0], 2);
    if (r->version != (at[5] >> 1 & 31))
        r->n_versions++;
    r->version = at[5] >> 1 & 31;
    r->pcr_pid = be(at + 8, 2) & 0x1fff;
    r->n_streams = 0;
    r->n_pmt++;
    for (size_t i = 12 + (be(at + 10, 2) & 0xfff); i < length + 3 - 4;) {
        struct read_stream *s = &r->streams[r->n_streams++];

        s->type = at[i];
        s->pid = be(at + i + 1, 2) & 0x1fff;
        s->descriptor_bytes = be(at + i + 3, 2) & 0xfff;
        assert_true(s->descriptor_bytes <= sizeof s->descriptors);
        memcpy(s->descriptors, at + i + 5, s->descriptor_bytes);
        i += 5 + s->descriptor_bytes;
    }
}

static inline uint64_t read_stamp(const uint8_t *at, unsigned prefix)
{
    assert_int_equal(at[0] >> 4, prefix);
    assert_true(at[0] & at[2] & at[4] & 1);
    return (uint64_t)(at[0] >> 1 & 7) << 30 | (uint64_t)(be(at + 1, 2) >> 1) << 15 |
           be(at + 3, 2) >> 1;
}

/* Ends what is open on the PID: a length that is said must be right. */
static inline void end_pes(struct ts_reading *r, unsigned pid)
{
    struct read_pes *p;

    if (!r->open_pes[pid])
        return;
    p = &r->pes[r->open_pes[pid] - 1];
    if (p->length)
        assert_int_equal(p->length, p->size_bytes + 3 + (p->dts != p->pts ? 10 : 5));
    else
        assert_in_range(p->pid, TS_PID_VIDEO, TS_PID_VIDEO + 255);
    r->open_pes[pid] = 0;
}

static inline void begin_pes(struct ts_reading *r, unsigned pid, const uint8_t **at, size_t *size,
                             bool random_access)
{
    struct read_pes *p = &r->pes[r->n_pes++];
    const uint8_t *h = *at;
    size_t header_bytes = 9u + h[8];

    assert_true(r->n_pes < MAX_PES);
    end_pes(r, pid);
    assert_int_equal(be(h, 3), 1);
    assert_int_equal(h[6] & 0xc0, 0x80);
    assert_true(h[7] == 0x80 || h[7] == 0xc0);
    *p = (struct read_pes){.pid = (uint16_t)pid,
                           .stream_id = h[3],
                           .length = be(h + 4, 2),
                           .aligned = h[6] & 4,
                           .random_access = random_access,
                           .at = r->data.used_bytes,
                           .psi_packets = r->n_pat + r->n_pmt,
                           .packet = r->n_packets};
    p->pts = p->dts = read_stamp(h + 9, h[7] >> 6);
    if (h[7] == 0xc0)
        p->dts = read_stamp(h + 14, 1);
    r->open_pes[pid] = r->n_pes;
    *at += header_bytes;
    *size -= header_bytes;
}

static inline void read_pcr(struct ts_reading *r, unsigned pid, const uint8_t *at, bool jump)
{
    uint64_t base = (uint64_t)be(at, 4) << 1 | at[4] >> 7;
    uint64_t pcr = base * 300 + (be(at + 4, 2) & 0x1ff);

    assert_int_equal(pid, r->pcr_pid);
    assert_true((be(at + 4, 2) & 0x1ff) < 300);
    assert_true(r->n_pcr < MAX_PCR);
    r->pcr_jump[r->n_pcr] = jump;
    r->pcr_packet[r->n_pcr] = r->n_packets;
    r->pcr[r->n_pcr++] = pcr;
}

static inline void check_continuity(struct ts_reading *r, unsigned pid, const uint8_t *p)
{
    int counter = p[3] & 15;

    if (r->continuity[pid] >= 0)
        assert_int_equal(counter, (r->continuity[pid] + (p[3] & 0x10 ? 1 : 0)) & 15);
    r->continuity[pid] = counter;
}

static inline void read_packet(struct ts_reading *r, const uint8_t *p)
{
    unsigned pid = be(p + 1, 2) & 0x1fff;
    const uint8_t *at = p + 4;
    size_t size = TS_PACKET_BYTES - 4;
    bool random_access = false;

    assert_int_equal(p[0], 0x47);
    assert_int_equal(p[1] & 0xa0, 0);
    assert_int_equal(p[3] & 0xc0, 0);
    assert_true(p[3] & 0x30);
    check_continuity(r, pid, p);
    if (p[3] & 0x20) {
        size_t length = at[0];

        assert_true(p[3] & 0x10 ? length <= 182 : length == 183);
        if (length) {
            random_access = at[1] & 0x40;
            if (at[1] & 0x10)
                read_pcr(r, pid, at + 2, at[1] & 0x80);
            for (size_t i = at[1] & 0x10 ? 8 : 2; i < length + 1; i++)
                assert_int_equal(at[i], 0xff);
        }
        at += length + 1;
        size -= length + 1;
    }
    r->n_adaptation_only += !(p[3] & 0x10);
    if (p[3] & 0x10) {
        if (pid == 0 || (r->n_pat && pid == r->pmt_pid)) {
            read_section(r, pid, at, size);
        } else {
            if (p[1] & 0x40)
                begin_pes(r, pid, &at, &size, random_access);
            assert_true(r->open_pes[pid]);
            /* packets of PES packets are never interleaved: payloads stay together */
            assert_int_equal(r->open_pes[pid], r->n_pes);
            buf_write(&r->data, at, size);
            r->pes[r->n_pes - 1].size_bytes += size;
        }
    }
    r->n_packets++;
}

static inline void reading_init(struct ts_reading *r)
{
    memset(r, 0, sizeof *r);
    r->version = -1;
    for (size_t i = 0; i < N_PIDS; i++)
        r->continuity[i] = -1;
    buf_writer_init(&r->data, 64u << 20);
}

/* Reads on; call read_end() after the last bytes. */
static inline void read_ts(struct ts_reading *r, struct buf_view bytes)
{
    assert_int_equal(bytes.size_bytes % TS_PACKET_BYTES, 0);
    for (size_t at = 0; at < bytes.size_bytes; at += TS_PACKET_BYTES)
        read_packet(r, bytes.data + at);
}

static inline void read_end(struct ts_reading *r)
{
    for (unsigned pid = 0; pid < N_PIDS; pid++)
        end_pes(r, pid);
}

static inline void reading_fini(struct ts_reading *r)
{
    buf_writer_fini(&r->data);
}

static inline struct buf_view pes_payload(const struct ts_reading *r, size_t i)
{
    return buf_view_of(r->data.data + r->pes[i].at, r->pes[i].size_bytes);
}

/* No step of the PCR is larger than 40 ms or backwards, but where it says so. */
static inline void assert_pcr_steps(const struct ts_reading *r)
{
    for (size_t i = 1; i < r->n_pcr; i++) {
        uint64_t step = (r->pcr[i] - r->pcr[i - 1] + (UINT64_C(300) << 33)) % (UINT64_C(300) << 33);

        assert_true(r->pcr_jump[i] || (step > 0 && step <= 27000 * 40));
    }
}

#endif
