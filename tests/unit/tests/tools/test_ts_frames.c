/* Frames of a transport stream: each is seen once, with its time and its stamp. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/tools/stamp.h"
#include "tests/tools/ts_frames.h"

#define PACKET TS_FRAMES_PACKET_BYTES
enum { VIDEO_PID = 0x100, AUDIO_PID = 0x200 };

struct stream {
    uint8_t bytes[16 * PACKET];
    size_t size_bytes;
};

/* One packet; payload is filled up with 0xff, as a table is. */
static void put(struct stream *s, unsigned pid, bool starts, bool key, const uint8_t *payload,
                size_t size)
{
    uint8_t *at = s->bytes + s->size_bytes;

    assert_true(s->size_bytes + PACKET <= sizeof s->bytes && size <= PACKET - 6);
    memset(at, 0xff, PACKET);
    at[0] = 0x47;
    at[1] = (uint8_t)((starts ? 0x40 : 0) | pid >> 8);
    at[2] = (uint8_t)pid;
    at[3] = 0x30; /* adaptation field and payload */
    at[4] = 1;
    at[5] = key ? 0x40 : 0; /* random_access_indicator */
    if (size)
        memcpy(at + 6, payload, size);
    s->size_bytes += PACKET;
}

/* The first packet of a frame, with a stamp when sent_us is not 0. */
static void put_frame(struct stream *s, unsigned pid, bool key, uint64_t dts, int64_t sent_us)
{
    uint8_t aac[] = {0xaf, 0x01, 0x21};
    struct media_frame_info info = {.kind = MEDIA_AUDIO, .codec = CODEC_AAC, .es_offset = 2};
    uint8_t pes[100] = {0, 0, 1, pid == VIDEO_PID ? 0xe0 : 0xc0, 0, 0, 0x80, 0xc0, 10};
    struct buf_writer stamped;
    size_t time_at;

    for (unsigned i = 0; i < 2; i++) { /* pts, dts */
        uint64_t ticks = i ? dts : dts + 7200;
        uint8_t *at = pes + 9 + 5 * i;

        at[0] = (uint8_t)((i ? 0x10 : 0x30) | ticks >> 30 << 1 | 1);
        at[1] = (uint8_t)(ticks >> 22);
        at[2] = (uint8_t)(ticks >> 15 << 1 | 1);
        at[3] = (uint8_t)(ticks >> 7);
        at[4] = (uint8_t)(ticks << 1 | 1);
    }
    buf_writer_init(&stamped, 100);
    assert_int_equal(stamp_insert(&info, buf_view_of(aac, sizeof aac), &stamped, &time_at), E_OK);
    stamp_put_time(stamped.data + time_at, sent_us);
    if (sent_us)
        memcpy(pes + 30, stamped.data, stamped.used_bytes);
    buf_writer_fini(&stamped);
    put(s, pid, true, key, pes, sizeof pes);
}

/* A table, a key frame of two packets with sound between them, two more frames. */
static void build(struct stream *s)
{
    static const uint8_t k_table[] = {0, 0, 0xb0, 13};

    *s = (struct stream){0};
    put(s, 0, true, false, k_table, sizeof k_table);
    put_frame(s, VIDEO_PID, true, 90 * 1000, 555);
    put_frame(s, AUDIO_PID, true, 90 * 1001, 0);
    put(s, VIDEO_PID, false, false, NULL, 0);
    put_frame(s, AUDIO_PID, true, 90 * 1024, 777);
    put_frame(s, VIDEO_PID, false, (UINT64_C(1) << 33) - 1, 0);
}

/* What comes of the stream in pieces of step bytes, read at 1, 2, 3 ... us. */
static unsigned feed(const struct stream *s, size_t step, struct ts_frame_seen out[4])
{
    struct ts_frames frames = {0};
    unsigned n = 0;
    int64_t read_us = 0;

    for (size_t at = 0; at < s->size_bytes; at += step) {
        size_t left = s->size_bytes - at, size = left < step ? left : step;
        struct buf_reader in = buf_reader_from(buf_view_of(s->bytes + at, size));
        enum err e;

        read_us++;
        while ((e = ts_frames_feed(&frames, &in, read_us, &out[n])) == E_OK)
            assert_true(++n < 4);
        assert_int_equal(e, E_AGAIN);
        assert_int_equal(in.left_bytes, 0);
    }
    return n;
}

static void test_feed_gives_frames_when_the_next_begins_for_every_split(void **state)
{
    struct ts_frame_seen got[4];
    struct stream s;

    (void)state;
    build(&s);
    for (size_t step = 1; step <= s.size_bytes; step++) {
        assert_int_equal(feed(&s, step, got), 2); /* the last of each kind may go on */
        assert_int_equal(got[0].kind, MEDIA_AUDIO);
        assert_int_equal(got[0].dts_ms, 1001);
        assert_false(got[0].has_sent);
        assert_int_equal(got[1].kind, MEDIA_VIDEO);
        assert_true(got[1].is_key);
        assert_int_equal(got[1].dts_ms, 1000);
        assert_true(got[1].has_sent);
        assert_int_equal(got[1].sent_us, 555);
    }
}

static void test_feed_times_a_frame_by_its_last_packet(void **state)
{
    struct ts_frame_seen got[4];
    struct stream s;

    (void)state;
    build(&s);
    feed(&s, PACKET, got);
    assert_int_equal(got[0].read_us, 3);
    assert_int_equal(got[1].read_us, 4); /* not 2, where it begins */
}

static void test_feed_takes_33_bits_of_time(void **state)
{
    struct ts_frame_seen got[4];
    struct stream s;

    (void)state;
    build(&s);
    put_frame(&s, VIDEO_PID, false, 0, 0);
    assert_int_equal(feed(&s, PACKET, got), 3);
    assert_int_equal(got[2].dts_ms, ((UINT64_C(1) << 33) - 1) / 90);
}

static void test_feed_gives_proto_when_it_is_no_transport_stream(void **state)
{
    struct ts_frames frames = {0};
    struct ts_frame_seen got;
    struct stream s;
    struct buf_reader in;

    (void)state;
    build(&s);
    s.bytes[0] = 0x48;
    in = buf_reader_from(buf_view_of(s.bytes, s.size_bytes));
    assert_int_equal(ts_frames_feed(&frames, &in, 1, &got), E_PROTO);
    build(&s);
    s.bytes[PACKET + 6 + 7] = 0; /* a frame without a time */
    frames = (struct ts_frames){0};
    in = buf_reader_from(buf_view_of(s.bytes, s.size_bytes));
    assert_int_equal(ts_frames_feed(&frames, &in, 1, &got), E_PROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_feed_gives_frames_when_the_next_begins_for_every_split),
        cmocka_unit_test(test_feed_times_a_frame_by_its_last_packet),
        cmocka_unit_test(test_feed_takes_33_bits_of_time),
        cmocka_unit_test(test_feed_gives_proto_when_it_is_no_transport_stream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
