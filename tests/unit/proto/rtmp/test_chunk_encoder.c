#include "proto/rtmp/chunk_decoder.h"

#include "tests/unit/proto/rtmp/rtmp_test.h"

static void test_put_type0_header_gives_the_bytes_of_the_standard(void **state)
{
    /* clang-format off */
    static const uint8_t k_plain[] = {0x04, 0x00, 0x03, 0xe8, 0x01, 0x02,
                                      0x03, 0x08, 0x01, 0x00, 0x00, 0x00};
    /* clang-format on */
    /* clang-format off */
    static const uint8_t k_extended[] = {0x06, 0xff, 0xff, 0xff, 0x00, 0x00, 0x05, 0x09,
                                         0x04, 0x03, 0x02, 0x01, 0x00, 0xff, 0xff, 0xff};
    /* clang-format on */
    uint8_t out[RTMP_MAX_CHUNK_HEADER];

    (void)state;
    assert_int_equal(rtmp_put_type0_header(out, 4, 1000, 0x010203, 8, 1), sizeof k_plain);
    assert_memory_equal(out, k_plain, sizeof k_plain);
    assert_int_equal(rtmp_put_type0_header(out, 6, 0xffffff, 5, 9, 0x01020304), sizeof k_extended);
    assert_memory_equal(out, k_extended, sizeof k_extended);
}

static void test_put_type3_header_repeats_the_extended_timestamp(void **state)
{
    uint8_t out[RTMP_MAX_CHUNK_HEADER];

    (void)state;
    assert_int_equal(rtmp_put_type3_header(out, 6, 0xfffffe), 1);
    assert_int_equal(out[0], 0xc6);
    assert_int_equal(rtmp_put_type3_header(out, 6, 0x01000000), 5);
    assert_memory_equal(out, "\xc6\x01\x00\x00\x00", 5);
}

static void test_csid_of_gives_one_chunk_stream_a_kind(void **state)
{
    (void)state;
    assert_int_equal(rtmp_csid_of(MEDIA_AUDIO), 4);
    assert_int_equal(rtmp_csid_of(MEDIA_VIDEO), 6);
    assert_int_equal(rtmp_csid_of(MEDIA_DATA), 5);
}

/* What is written comes back, for times at every edge and bodies around the chunk size. */
static void test_write_message_gives_what_the_decoder_reads(void **state)
{
    static const uint32_t k_times[] = {0,          1,          0xfffffe,  0xffffff,
                                       0x01000000, 0x7fffffff, 0xffffffff};
    static const size_t k_sizes[] = {0, 1, 127, 128, 129, 256, 257, 1000};
    static const struct rtmp_chunk_limits k_limits = {1 << 20, 1 << 20, 0xffffff, 4};
    uint8_t body[1000];

    (void)state;
    fill_random(body, sizeof body, 1);
    for (size_t t = 0; t < ARRAY_SIZE(k_times); t++) {
        for (size_t i = 0; i < ARRAY_SIZE(k_sizes); i++) {
            struct rtmp_chunk_decoder dec;
            struct rtmp_message m;
            struct buf_writer w;
            struct buf_reader in;

            rtmp_chunk_decoder_init(&dec, &k_limits);
            buf_writer_init(&w, 1 << 16);
            rtmp_write_message(&w, 128, 6, k_times[t], 9, 1, buf_view_of(body, k_sizes[i]));
            in = buf_reader_from(buf_writer_view(&w));
            assert_int_equal(rtmp_chunk_decoder_feed(&dec, &in, &m), E_OK);
            assert_int_equal(in.left_bytes, 0);
            assert_int_equal(m.timestamp_ms, k_times[t]);
            assert_int_equal(m.type_id, 9);
            assert_int_equal(m.stream_id, 1);
            assert_int_equal(m.payload.size_bytes, k_sizes[i]);
            if (k_sizes[i])
                assert_memory_equal(m.payload.data, body, k_sizes[i]);
            buf_writer_fini(&w);
            rtmp_chunk_decoder_fini(&dec);
        }
    }
}

static void test_write_message_gives_too_big_when_the_writer_is_full(void **state)
{
    static const uint8_t k_body[20];
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 31);
    rtmp_write_message(&w, 128, 4, 0, 8, 1, VIEW(k_body));
    assert_int_equal(buf_writer_status(&w), E_TOO_BIG);
    buf_writer_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put_type0_header_gives_the_bytes_of_the_standard),
        cmocka_unit_test(test_put_type3_header_repeats_the_extended_timestamp),
        cmocka_unit_test(test_csid_of_gives_one_chunk_stream_a_kind),
        cmocka_unit_test(test_write_message_gives_what_the_decoder_reads),
        cmocka_unit_test(test_write_message_gives_too_big_when_the_writer_is_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
