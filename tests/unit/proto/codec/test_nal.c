/* NAL units behind their lengths. */
#include "tests/unit/proto/codec/codec_test.h"

#include "proto/codec/nal.h"

static const uint8_t k_frame[] = {
    0, 0, 0, 2, 0x09, 0xf0,       /* access unit delimiter */
    0, 0, 0, 0,                   /* empty: passed over */
    0, 0, 0, 3, 0x06, 0x05, 0x80, /* SEI */
    0, 0, 0, 1, 0x65,             /* IDR slice */
};

static void test_next_gives_every_unit_and_then_end(void **state)
{
    static const uint8_t k_first[] = {0x09, 0x06, 0x65};
    struct nal_reader r = nal_reader_from(VIEW(k_frame), 4);
    struct buf_view nal = {0};
    const char *why = NULL;

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_first); i++) {
        assert_int_equal(nal_next(&r, &nal, &why), E_OK);
        assert_int_equal(nal.data[0], k_first[i]);
    }
    assert_int_equal(nal_next(&r, &nal, &why), E_END);
    assert_int_equal(nal_next(&r, &nal, &why), E_END);
    assert_null(why);
}

static void test_next_gives_proto_when_cut_inside_a_unit(void **state)
{
    static const uint8_t k_ends[] = {6, 10, 17, 22}; /* where a cut leaves whole units */

    (void)state;
    for (size_t size = 1; size <= sizeof k_frame; size++) {
        struct buf_view cut = heap_copy(k_frame, size);
        struct nal_reader r = nal_reader_from(cut, 4);
        struct buf_view nal;
        const char *why = NULL;
        enum err e;

        while ((e = nal_next(&r, &nal, &why)) == E_OK)
            assert_true(nal.size_bytes > 0 && nal.data + nal.size_bytes <= cut.data + size);
        assert_int_equal(e, memchr(k_ends, (int)size, sizeof k_ends) ? E_END : E_PROTO);
        assert_true((e == E_PROTO) == (why != NULL));
        heap_free(cut);
    }
}

static void test_next_gives_units_for_lengths_of_1_and_2_bytes(void **state)
{
    static const uint8_t k_one[] = {1, 0x65, 2, 0x41, 0x9a};
    static const uint8_t k_two[] = {0, 1, 0x65, 0, 2, 0x41, 0x9a};
    struct nal_summary sum;
    const char *why;

    (void)state;
    assert_int_equal(nal_scan(CODEC_H264, VIEW(k_one), 1, &sum, &why), E_OK);
    assert_int_equal(sum.n_units, 2);
    assert_int_equal(nal_scan(CODEC_H264, VIEW(k_two), 2, &sum, &why), E_OK);
    assert_int_equal(sum.kinds, 1u << NAL_KEY | 1u << NAL_SLICE);
}

static void test_next_gives_proto_for_the_largest_length(void **state)
{
    static const uint8_t k_huge[] = {0xff, 0xff, 0xff, 0xff, 0x65};
    struct nal_reader r = nal_reader_from(VIEW(k_huge), 4);
    struct buf_view nal;
    const char *why = NULL;

    (void)state;
    assert_int_equal(nal_next(&r, &nal, &why), E_PROTO);
    assert_string_equal(why, "NAL unit length reaches over the end of the frame");
}

static void test_scan_gives_proto_when_there_is_no_unit(void **state)
{
    static const uint8_t k_empty_unit[] = {0, 0, 0, 0};
    struct nal_summary sum = {.kinds = 77};
    const char *why = NULL;

    (void)state;
    assert_int_equal(nal_scan(CODEC_H264, buf_view_of(NULL, 0), 4, &sum, &why), E_PROTO);
    assert_string_equal(why, "frame without a NAL unit");
    assert_int_equal(nal_scan(CODEC_H264, VIEW(k_empty_unit), 4, &sum, &why), E_PROTO);
    assert_int_equal(sum.kinds, 77);
}

static void test_kind_of_gives_kinds_of_both_codecs(void **state)
{
    static const struct {
        enum media_codec codec;
        uint8_t header[2];
        enum nal_kind kind;
    } k_rows[] = {
        {CODEC_H264, {0x41, 0}, NAL_SLICE},  {CODEC_H264, {0x65, 0}, NAL_KEY},
        {CODEC_H264, {0x06, 0}, NAL_SEI},    {CODEC_H264, {0x67, 0}, NAL_SPS},
        {CODEC_H264, {0x68, 0}, NAL_PPS},    {CODEC_H264, {0x09, 0}, NAL_AUD},
        {CODEC_H264, {0x0c, 0}, NAL_FILLER}, {CODEC_H264, {0x0a, 0}, NAL_END},
        {CODEC_H264, {0x1f, 0}, NAL_OTHER},  {CODEC_HEVC, {0x02, 0x01}, NAL_SLICE},
        {CODEC_HEVC, {0x20, 0x01}, NAL_KEY}, {CODEC_HEVC, {0x26, 0x01}, NAL_KEY},
        {CODEC_HEVC, {0x2a, 0x01}, NAL_KEY}, {CODEC_HEVC, {0x2c, 0x01}, NAL_OTHER},
        {CODEC_HEVC, {0x40, 0x01}, NAL_VPS}, {CODEC_HEVC, {0x42, 0x01}, NAL_SPS},
        {CODEC_HEVC, {0x44, 0x01}, NAL_PPS}, {CODEC_HEVC, {0x46, 0x01}, NAL_AUD},
        {CODEC_HEVC, {0x4e, 0x01}, NAL_SEI}, {CODEC_HEVC, {0x7e, 0x01}, NAL_OTHER},
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_rows); i++)
        assert_int_equal(nal_kind_of(k_rows[i].codec, VIEW(k_rows[i].header)), k_rows[i].kind);
    assert_int_equal(nal_kind_of(CODEC_HEVC, buf_view_of("\x40", 1)), NAL_OTHER);
    assert_int_equal(nal_kind_of(CODEC_H264, buf_view_of(NULL, 0)), NAL_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next_gives_every_unit_and_then_end),
        cmocka_unit_test(test_next_gives_proto_when_cut_inside_a_unit),
        cmocka_unit_test(test_next_gives_units_for_lengths_of_1_and_2_bytes),
        cmocka_unit_test(test_next_gives_proto_for_the_largest_length),
        cmocka_unit_test(test_scan_gives_proto_when_there_is_no_unit),
        cmocka_unit_test(test_kind_of_gives_kinds_of_both_codecs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
