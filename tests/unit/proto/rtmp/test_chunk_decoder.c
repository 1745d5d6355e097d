#include "proto/rtmp/chunk_decoder.h"

#include "tests/unit/proto/rtmp/rtmp_test.h"

static const struct rtmp_chunk_limits k_limits = {
    .max_media_bytes = 1 << 20,
    .max_other_bytes = 1 << 12,
    .max_chunk_size = 0xffffff,
    .max_chunk_streams = 8,
};

/* Messages as text lines "type stream time length first-byte last-byte", to compare runs. */
struct transcript {
    char text[4096];
    size_t used;
    enum err e;
};

static void note_message(struct transcript *t, const struct rtmp_message *m)
{
    size_t n = m->payload.size_bytes;
    int written = snprintf(t->text + t->used, sizeof t->text - t->used, "%u %u %u %zu %02x %02x\n",
                           m->type_id, (unsigned)m->stream_id, (unsigned)m->timestamp_ms, n,
                           n ? m->payload.data[0] : 0, n ? m->payload.data[n - 1] : 0);

    assert_true(written > 0 && (size_t)written < sizeof t->text - t->used);
    t->used += (size_t)written;
}

/* Every step bytes come in a heap block of their own. */
static void feed_in_steps(struct buf_view bytes, size_t step,
                          const struct rtmp_chunk_limits *limits, struct transcript *t)
{
    struct rtmp_chunk_decoder dec;

    rtmp_chunk_decoder_init(&dec, limits);
    *t = (struct transcript){.e = E_AGAIN};
    for (size_t at = 0; at < bytes.size_bytes && t->e == E_AGAIN; at += step) {
        size_t n = bytes.size_bytes - at < step ? bytes.size_bytes - at : step;
        uint8_t *piece = heap_copy(buf_view_of(bytes.data + at, n));
        struct buf_reader in = buf_reader_from(buf_view_of(piece, n));
        struct rtmp_message m;

        while ((t->e = rtmp_chunk_decoder_feed(&dec, &in, &m)) == E_OK)
            note_message(t, &m);
        if (t->e == E_AGAIN)
            assert_int_equal(in.left_bytes, 0);
        else
            assert_true(rtmp_chunk_decoder_error(&dec)[0] != '\0');
        free(piece);
    }
    rtmp_chunk_decoder_fini(&dec);
}

static void assert_gives(struct buf_view bytes, const char *expected, enum err e)
{
    struct transcript t;

    for (size_t step = 1; step <= bytes.size_bytes; step++) {
        feed_in_steps(bytes, step, &k_limits, &t);
        assert_string_equal(t.text, expected);
        assert_int_equal(t.e, e);
    }
}

static void test_feed_gives_messages_of_all_header_types(void **state)
{
    /* clang-format off */
    static const uint8_t k_bytes[] = {
        0x04, 0x00, 0x00, 0x1a, /* type 0, csid 4; timestamp 26 */
        0x00, 0x00, 0x02, 0x08, /* length 2; type 8, audio */
        0x01, 0x00, 0x00, 0x00, /* stream id 1, little endian */
        0xaf, 0x01,             /* payload */
        0x44, 0x00, 0x00, 0x0a, /* type 1; delta 10 */
        0x00, 0x00, 0x03, 0x09, /* length 3; type 9, video */
        0x17, 0x01, 0x02,       /* payload */
        0x84, 0x00, 0x00, 0x05, /* type 2; delta 5 */
        0x27, 0x01, 0x03,       /* payload */
        0xc4,                   /* type 3: delta 5 again */
        0x27, 0x01, 0x04,       /* payload */
    };
    /* clang-format on */

    (void)state;
    assert_gives(VIEW(k_bytes),
                 "8 1 26 2 af 01\n"
                 "9 1 36 3 17 02\n"
                 "9 1 41 3 27 03\n"
                 "9 1 46 3 27 04\n",
                 E_AGAIN);
}

static void test_feed_gives_csids_of_one_two_and_three_bytes(void **state)
{
    /* clang-format off */
    static const uint8_t k_bytes[] = {
        0x3f, 0, 0, 1, 0, 0, 1, 8, 1, 0, 0, 0, 0xa1,             /* csid 63 */
        0x00, 0x00, 0, 0, 2, 0, 0, 1, 8, 1, 0, 0, 0, 0xa2,       /* csid 64 */
        0x00, 0xff, 0, 0, 3, 0, 0, 1, 8, 1, 0, 0, 0, 0xa3,       /* csid 319 */
        0x01, 0x00, 0x01, 0, 0, 4, 0, 0, 1, 8, 1, 0, 0, 0, 0xa4, /* csid 64 + 256 = 320 */
        0x01, 0xff, 0xff, 0, 0, 5, 0, 0, 1, 8, 1, 0, 0, 0, 0xa5, /* csid 65599 */
        0xc1, 0x00, 0x00, 0xa6,                                  /* type 3 on 64 in three bytes */
        0xc1, 0xff, 0xff, 0xa7,                                  /* type 3 on 65599 */
        0xc0, 0xff, 0xa8,                                        /* type 3 on 319 */
    };
    /* clang-format on */

    (void)state;
    assert_gives(VIEW(k_bytes),
                 "8 1 1 1 a1 a1\n8 1 2 1 a2 a2\n8 1 3 1 a3 a3\n8 1 4 1 a4 a4\n8 1 5 1 a5 a5\n"
                 "8 1 4 1 a6 a6\n8 1 10 1 a7 a7\n8 1 6 1 a8 a8\n",
                 E_AGAIN);
}

static void test_feed_gives_interleaved_messages(void **state)
{
    uint8_t bytes[512];
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, sizeof bytes);
    memset(bytes, 0x55, sizeof bytes);
    buf_write(&w, "\x06\0\0\x64\0\0\xc8\x09\1\0\0\0", 12); /* video, 200 bytes in 128 + 72 */
    buf_write(&w, bytes, 128);
    buf_write(&w, "\x04\0\0\x65\0\0\x01\x08\1\0\0\0\xaf", 13); /* audio between the chunks */
    buf_write(&w, "\xc6", 1);
    buf_write(&w, bytes, 72);
    assert_gives(buf_writer_view(&w), "8 1 101 1 af af\n9 1 100 200 55 55\n", E_AGAIN);
    buf_writer_fini(&w);
}

static void test_feed_gives_message_with_set_chunk_size_applied(void **state)
{
    /* clang-format off */
    static const uint8_t k_bytes[] = {
        0x06, 0, 0, 0, 0, 0, 4, 9, 1, 0, 0, 0, 1, 2, 3, 4, /* fits the first size, 128 */
        0x02, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 2, /* set chunk size 2 */
        0x06, 0, 0, 9, 0, 0, 5, 9, 1, 0, 0, 0, 5, 6,       /* 5 bytes in chunks of 2 */
        0xc6, 7, 8,
        0x02, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0,       /* chunk size 3, itself in chunks, */
        0xc2, 0, 3,                                        /*   inside the message */
        0xc6, 9,
    };
    /* clang-format on */

    (void)state;
    assert_gives(VIEW(k_bytes), "9 1 0 4 01 04\n9 1 9 5 05 09\n", E_AGAIN);
}

static void test_feed_gives_no_message_when_it_is_aborted(void **state)
{
    /* clang-format off */
    static const uint8_t k_bytes[] = {
        0x02, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 4, /* chunk size 4 */
        0x06, 0, 0, 5, 0, 0, 6, 9, 1, 0, 0, 0, 1, 2, 3, 4, /* 4 of 6 bytes */
        0x02, 0, 0, 0, 0, 0, 4, 2, 0, 0, 0, 0, 0, 0, 0, 6, /* abort csid 6 */
        0x02, 0, 0, 0, 0, 0, 4, 2, 0, 0, 0, 0, 0, 0, 0, 9, /* abort what is not there */
        0x06, 0, 0, 7, 0, 0, 1, 9, 1, 0, 0, 0, 0xbb,       /* a new message */
    };
    /* clang-format on */

    (void)state;
    assert_gives(VIEW(k_bytes), "9 1 7 1 bb bb\n", E_AGAIN);
}

static void test_feed_gives_empty_message(void **state)
{
    /* clang-format off */
    static const uint8_t k_bytes[] = {
        0x04, 0, 0, 1, 0, 0, 0, 8, 1, 0, 0, 0, /* audio of 0 bytes */
        0xc4,                                  /* and again */
    };
    /* clang-format on */

    (void)state;
    assert_gives(VIEW(k_bytes), "8 1 1 0 00 00\n8 1 2 0 00 00\n", E_AGAIN);
}

static void test_feed_gives_extended_timestamps(void **state)
{
    /* clang-format off */
    static const uint8_t k_bytes[] = {
        0x04, 0xff, 0xff, 0xfe, 0, 0, 1, 8, 1, 0, 0, 0, 0xa1,       /* 0xfffffe: the last plain one */
        0x84, 0x00, 0x00, 0x01, 0xa2,                               /* + 1 */
        0x84, 0x00, 0x00, 0x01, 0xa3,                               /* + 1 */
        0x04, 0xff, 0xff, 0xff, 0, 0, 1, 8, 1, 0, 0, 0,             /* extended: */
        0xff, 0xff, 0xff, 0xfa, 0xa4,                               /* 2^32 - 6 */
        0x84, 0x00, 0x00, 0x0a, 0xa5,                               /* + 10 wraps to 4 */
        0x84, 0xff, 0xff, 0xff, 0x01, 0x00, 0x00, 0x00, 0xa6,       /* a delta of 2^24 */
    };
    /* clang-format on */

    (void)state;
    assert_gives(VIEW(k_bytes),
                 "8 1 16777214 1 a1 a1\n8 1 16777215 1 a2 a2\n8 1 16777216 1 a3 a3\n"
                 "8 1 4294967290 1 a4 a4\n8 1 4 1 a5 a5\n8 1 16777220 1 a6 a6\n",
                 E_AGAIN);
}

/* Chunk size 4, a message of 10 bytes at 0x01020304. */
#define EXTENDED_HEAD                                                       \
    0x02, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 4, /* set chunk size */ \
        0x06, 0xff, 0xff, 0xff, 0, 0, 10, 9, 1, 0, 0, 0, 1, 2, 3, 4

static void test_feed_gives_message_when_type3_repeats_the_extended_timestamp(void **state)
{
    /* clang-format off */
    static const uint8_t k_bytes[] = {
        EXTENDED_HEAD, 0xa0, 0xa1, 0xa2, 0xa3,     /* first chunk */
        0xc6, 1, 2, 3, 4, 0xa4, 0xa5, 0xa6, 0xa7,
        0xc6, 1, 2, 3, 4, 0xa8, 0xa9,
    };
    /* clang-format on */

    (void)state;
    assert_gives(VIEW(k_bytes), "9 1 16909060 10 a0 a9\n", E_AGAIN);
}

static void test_feed_gives_message_when_type3_leaves_the_extended_timestamp_out(void **state)
{
    /* clang-format off */
    static const uint8_t k_bytes[] = {
        EXTENDED_HEAD, 0xa0, 0xa1, 0xa2, 0xa3,
        0xc6, 0xa4, 0xa5, 0xa6, 0xa7,
        0xc6, 0xa8, 0xa9,
    };
    /* clang-format on */
    /* The payload looks like the time stamp for three bytes, over the end of a message. */
    /* clang-format off */
    static const uint8_t k_lookalike[] = {
        EXTENDED_HEAD, 0xa0, 0xa1, 0xa2, 0xa3,
        0xc6, 1, 2, 3, 5,
        0xc6, 1, 2,
        0x03, 0, 0, 7, 0, 0, 1, 8, 1, 0, 0, 0, 0xbb,
    };
    /* clang-format on */

    (void)state;
    assert_gives(VIEW(k_bytes), "9 1 16909060 10 a0 a9\n", E_AGAIN);
    assert_gives(VIEW(k_lookalike), "9 1 16909060 10 a0 02\n8 1 7 1 bb bb\n", E_AGAIN);
}

static void test_feed_gives_same_time_when_type3_follows_a_late_type0(void **state)
{
    /* clang-format off */
    static const uint8_t k_bytes[] = {
        0x04, 0x00, 0x27, 0x10, 0, 0, 1, 8, 1, 0, 0, 0, 0xa1, /* 10000: may be a delta */
        0xc4, 0xa2,
        0x04, 0x00, 0x27, 0x11, 0, 0, 1, 8, 1, 0, 0, 0, 0xa3, /* 10001: is not */
        0xc4, 0xa4,
    };
    /* clang-format on */

    (void)state;
    assert_gives(VIEW(k_bytes),
                 "8 1 10000 1 a1 a1\n8 1 20000 1 a2 a2\n8 1 10001 1 a3 a3\n8 1 10001 1 a4 a4\n",
                 E_AGAIN);
}

static void test_feed_gives_message_when_type1_opens_the_chunk_stream(void **state)
{
    /* librtmp: 42 00 00 00 00 00 0a 04: set buffer length on a fresh csid 2 */
    /* clang-format off */
    static const uint8_t k_bytes[] = {
        0x42, 0, 0, 7, 0, 0, 10, 4, 0, 3, 0, 0, 0, 1, 0, 0, 0x0b, 0xb8,
    };
    /* clang-format on */

    (void)state;
    assert_gives(VIEW(k_bytes), "4 0 7 10 00 b8\n", E_AGAIN);
}

static void test_feed_gives_proto_when_type2_or_3_opens_the_chunk_stream(void **state)
{
    static const uint8_t k_type2[] = {0x84, 0, 0, 1, 0xaf};
    static const uint8_t k_type3[] = {0xc4};

    (void)state;
    assert_gives(buf_view_of(k_type2, 4), "", E_PROTO);
    assert_gives(VIEW(k_type3), "", E_PROTO);
}

static void test_feed_gives_proto_when_a_header_changes_an_unfinished_message(void **state)
{
#define OPEN_MESSAGE                                                      \
    0x02, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 1, /* chunk size 1 */ \
        0x06, 0, 0, 5, 0, 0, 2, 9, 1, 0, 0, 0, 0xa1    /* 1 of 2 bytes */
    static const uint8_t k_type0[] = {OPEN_MESSAGE, 0x06, 0, 0, 5, 0, 0, 2, 9, 1, 0, 0, 0};
    static const uint8_t k_length[] = {OPEN_MESSAGE, 0x46, 0, 0, 0, 0, 0, 3, 9};
    static const uint8_t k_same[] = {OPEN_MESSAGE, 0x46, 0, 0, 0, 0, 0, 2, 9, 0xa2};

    (void)state;
    assert_gives(VIEW(k_type0), "", E_PROTO);
    assert_gives(VIEW(k_length), "", E_PROTO);
    assert_gives(VIEW(k_same), "9 1 5 2 a1 a2\n", E_AGAIN);
}

static void test_feed_gives_error_when_the_chunk_size_is_bad(void **state)
{
    static const struct {
        uint8_t size[4];
        enum err e;
    } k_cases[] = {
        {{0, 0, 0, 0}, E_PROTO},
        {{0x80, 0, 0, 0}, E_PROTO},
        {{0x7f, 0xff, 0xff, 0xff}, E_TOO_BIG}, /* means 0xffffff, above the limit set here */
        {{0, 0x10, 0, 1}, E_TOO_BIG},
        {{0, 0x10, 0, 0}, E_AGAIN},
    };
    struct rtmp_chunk_limits limits = k_limits;

    (void)state;
    limits.max_chunk_size = 1 << 20;
    for (size_t i = 0; i < ARRAY_SIZE(k_cases); i++) {
        uint8_t bytes[16] = {0x02, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0};
        struct transcript t;

        memcpy(bytes + 12, k_cases[i].size, 4);
        feed_in_steps(VIEW(bytes), sizeof bytes, &limits, &t);
        assert_int_equal(t.e, k_cases[i].e);
    }
}

static void test_feed_gives_proto_when_a_control_message_is_short(void **state)
{
    static const uint8_t k_size[] = {0x02, 0, 0, 0, 0, 0, 3, 1, 0, 0, 0, 0, 0, 0, 1};
    static const uint8_t k_abort[] = {0x02, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0};

    (void)state;
    assert_gives(VIEW(k_size), "", E_PROTO);
    assert_gives(VIEW(k_abort), "", E_PROTO);
}

static void test_feed_gives_too_big_when_the_length_is_above_the_limit(void **state)
{
    /* clang-format off */
    static const uint8_t k_video[] = {0x06, 0, 0, 0, 0x10, 0, 1, 9, 1, 0, 0, 0};   /* 1 MiB + 1 */
    static const uint8_t k_command[] = {0x03, 0, 0, 0, 0, 0x10, 1, 20, 0, 0, 0, 0}; /* 4 KiB + 1 */
    static const uint8_t k_most[] = {0x03, 0, 0, 0, 0, 0x10, 0, 20, 0, 0, 0, 0};
    /* clang-format on */
    struct rtmp_chunk_decoder dec;
    struct buf_reader in = buf_reader_from(VIEW(k_command));
    struct rtmp_message m;

    (void)state;
    rtmp_chunk_decoder_init(&dec, &k_limits);
    assert_gives(VIEW(k_video), "", E_TOO_BIG);
    assert_gives(VIEW(k_command), "", E_TOO_BIG);
    assert_gives(VIEW(k_most), "", E_AGAIN);
    assert_int_equal(rtmp_chunk_decoder_feed(&dec, &in, &m), E_TOO_BIG);
    assert_string_equal(rtmp_chunk_decoder_error(&dec),
                        "csid 3: message type 20 length 4097 > limit 4096");
    rtmp_chunk_decoder_fini(&dec);
}

static void test_feed_gives_too_big_when_there_are_too_many_chunk_streams(void **state)
{
    uint8_t bytes[9 * 12];
    struct transcript t;

    (void)state;
    for (size_t i = 0; i < 9; i++) {
        static const uint8_t k_empty[12] = {0, 0, 0, 0, 0, 0, 0, 8, 1};

        memcpy(bytes + i * 12, k_empty, 12);
        bytes[i * 12] = (uint8_t)(3 + i);
    }
    feed_in_steps(buf_view_of(bytes, 8 * 12), 5, &k_limits, &t);
    assert_int_equal(t.e, E_AGAIN);
    feed_in_steps(VIEW(bytes), 5, &k_limits, &t);
    assert_int_equal(t.e, E_TOO_BIG);
}

static void test_feed_gives_too_big_when_unfinished_messages_hold_too_much(void **state)
{
    struct rtmp_chunk_limits limits = k_limits;
    struct buf_writer w;
    uint8_t payload[128] = {0};
    struct transcript t;

    (void)state;
    limits.max_media_bytes = limits.max_other_bytes = 150; /* 300 bytes for all */
    buf_writer_init(&w, 1 << 12);
    for (unsigned csid = 3; csid < 6; csid++) { /* 3 * 128 bytes that never end */
        buf_write_u8(&w, csid);
        buf_write(&w, "\0\0\0\0\0\x96\x08\1\0\0\0", 11);
        buf_write(&w, payload, sizeof payload);
    }
    feed_in_steps(buf_view_of(w.data, 2 * 140), 7, &limits, &t);
    assert_int_equal(t.e, E_AGAIN);
    feed_in_steps(buf_writer_view(&w), 7, &limits, &t);
    assert_int_equal(t.e, E_TOO_BIG);
    buf_writer_fini(&w);
}

static void test_feed_lends_from_the_input_when_the_message_is_one_chunk(void **state)
{
    static const uint8_t k_bytes[] = {0x04, 0, 0, 0, 0, 0, 2, 8, 1, 0, 0, 0, 0xaf, 1};
    struct rtmp_chunk_decoder dec;
    struct buf_reader in = buf_reader_from(VIEW(k_bytes));
    struct rtmp_message m;

    (void)state;
    rtmp_chunk_decoder_init(&dec, &k_limits);
    assert_int_equal(rtmp_chunk_decoder_feed(&dec, &in, &m), E_OK);
    assert_ptr_equal(m.payload.data, k_bytes + 12);
    rtmp_chunk_decoder_fini(&dec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_feed_gives_messages_of_all_header_types),
        cmocka_unit_test(test_feed_gives_csids_of_one_two_and_three_bytes),
        cmocka_unit_test(test_feed_gives_interleaved_messages),
        cmocka_unit_test(test_feed_gives_message_with_set_chunk_size_applied),
        cmocka_unit_test(test_feed_gives_no_message_when_it_is_aborted),
        cmocka_unit_test(test_feed_gives_empty_message),
        cmocka_unit_test(test_feed_gives_extended_timestamps),
        cmocka_unit_test(test_feed_gives_message_when_type3_repeats_the_extended_timestamp),
        cmocka_unit_test(test_feed_gives_message_when_type3_leaves_the_extended_timestamp_out),
        cmocka_unit_test(test_feed_gives_same_time_when_type3_follows_a_late_type0),
        cmocka_unit_test(test_feed_gives_message_when_type1_opens_the_chunk_stream),
        cmocka_unit_test(test_feed_gives_proto_when_type2_or_3_opens_the_chunk_stream),
        cmocka_unit_test(test_feed_gives_proto_when_a_header_changes_an_unfinished_message),
        cmocka_unit_test(test_feed_gives_error_when_the_chunk_size_is_bad),
        cmocka_unit_test(test_feed_gives_proto_when_a_control_message_is_short),
        cmocka_unit_test(test_feed_gives_too_big_when_the_length_is_above_the_limit),
        cmocka_unit_test(test_feed_gives_too_big_when_there_are_too_many_chunk_streams),
        cmocka_unit_test(test_feed_gives_too_big_when_unfinished_messages_hold_too_much),
        cmocka_unit_test(test_feed_lends_from_the_input_when_the_message_is_one_chunk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
