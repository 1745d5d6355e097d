/* FLV out, byte for byte: FLV 10.1 E.2, E.3, E.4.1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "proto/flv/flv.h"

static void assert_written(struct buf_writer *w, const uint8_t *bytes, size_t size_bytes)
{
    assert_int_equal(buf_writer_status(w), E_OK);
    assert_int_equal(w->used_bytes, size_bytes);
    assert_memory_equal(w->data, bytes, size_bytes);
    buf_writer_fini(w);
}

static void test_write_file_header_gives_flags_for_the_tracks(void **state)
{
    static const struct {
        bool audio, video;
        uint8_t flags;
    } k_cases[] = {
        {false, false, 0x00}, {true, false, 0x04}, {false, true, 0x01}, {true, true, 0x05}};

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        const uint8_t expected[] = {
            'F',
            'L',
            'V',
            0x01,             /* version */
            k_cases[i].flags, /* audio 0x04, video 0x01 */
            0x00,
            0x00,
            0x00,
            0x09, /* DataOffset */
            0x00,
            0x00,
            0x00,
            0x00, /* PreviousTagSize0 */
        };
        struct buf_writer w;

        buf_writer_init(&w, 64);
        flv_write_file_header(&w, k_cases[i].audio, k_cases[i].video);
        assert_written(&w, expected, sizeof expected);
    }
}

static void test_write_tag_gives_header_body_and_size(void **state)
{
    static const uint8_t k_body[] = {0xaf, 0x01, 0x21};
    static const uint8_t k_expected[] = {
        0x08,                   /* audio */
        0x00, 0x00, 0x03,       /* 3 bytes */
        0x34, 0x56, 0x78, 0x12, /* 0x12345678 ms, the top byte last */
        0x00, 0x00, 0x00,       /* stream id */
        0xaf, 0x01, 0x21,       /* body */
        0x00, 0x00, 0x00, 0x0e, /* 14 bytes before */
    };
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 64);
    flv_write_tag(&w, FLV_TAG_AUDIO, 0x12345678, buf_view_of(k_body, sizeof k_body));
    assert_written(&w, k_expected, sizeof k_expected);
}

static void test_write_tag_gives_highest_timestamp(void **state)
{
    static const uint8_t k_expected[] = {
        0x12, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0b,
    };
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 64);
    flv_write_tag(&w, FLV_TAG_SCRIPT, UINT32_MAX, buf_view_of(NULL, 0));
    assert_written(&w, k_expected, sizeof k_expected);
}

static void test_put_gives_the_bytes_of_write_tag(void **state)
{
    static const uint8_t k_body[300] = {0x17, 0x01};
    uint8_t loose[FLV_TAG_HEADER_BYTES + sizeof k_body + 4];
    struct buf_writer w;

    (void)state;
    flv_put_tag_header(loose, FLV_TAG_VIDEO, 16777216, sizeof k_body);
    memcpy(loose + FLV_TAG_HEADER_BYTES, k_body, sizeof k_body);
    flv_put_tag_trailer(loose + FLV_TAG_HEADER_BYTES + sizeof k_body, sizeof k_body);
    buf_writer_init(&w, 1024);
    flv_write_tag(&w, FLV_TAG_VIDEO, 16777216, buf_view_of(k_body, sizeof k_body));
    assert_written(&w, loose, sizeof loose);
}

static void test_put_trailer_gives_all_bits_of_the_largest_tag(void **state)
{
    static const uint8_t k_expected[] = {0x01, 0x00, 0x00, 0x0a}; /* 0xffffff + 11 */
    uint8_t trailer[4];

    (void)state;
    flv_put_tag_trailer(trailer, FLV_MAX_TAG_BYTES);
    assert_memory_equal(trailer, k_expected, sizeof k_expected);
}

static void test_write_tag_gives_too_big_above_24_bits(void **state)
{
    uint8_t *body = calloc(1, FLV_MAX_TAG_BYTES + 1);
    struct buf_writer w;

    (void)state;
    assert_non_null(body);
    buf_writer_init(&w, SIZE_MAX);
    flv_write_tag(&w, FLV_TAG_VIDEO, 0, buf_view_of(body, FLV_MAX_TAG_BYTES + 1));
    assert_int_equal(buf_writer_status(&w), E_TOO_BIG);
    assert_int_equal(w.used_bytes, 0);
    buf_writer_fini(&w);
    free(body);
}

static void test_write_tag_gives_nothing_when_it_does_not_fit(void **state)
{
    static const uint8_t k_body[32];
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, FLV_TAG_HEADER_BYTES + sizeof k_body + 3);
    flv_write_tag(&w, FLV_TAG_VIDEO, 0, buf_view_of(k_body, sizeof k_body));
    assert_int_equal(buf_writer_status(&w), E_TOO_BIG);
    assert_int_equal(w.used_bytes, 0);
    buf_writer_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_file_header_gives_flags_for_the_tracks),
        cmocka_unit_test(test_write_tag_gives_header_body_and_size),
        cmocka_unit_test(test_write_tag_gives_highest_timestamp),
        cmocka_unit_test(test_put_gives_the_bytes_of_write_tag),
        cmocka_unit_test(test_put_trailer_gives_all_bits_of_the_largest_tag),
        cmocka_unit_test(test_write_tag_gives_too_big_above_24_bits),
        cmocka_unit_test(test_write_tag_gives_nothing_when_it_does_not_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
