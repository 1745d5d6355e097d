/* Byte streams: NAL units, and the configuration that parameter sets among them make. */
#include "tests/unit/proto/codec/codec_test.h"

#include "proto/codec/annexb.h"
#include "proto/codec/nal_sets.h"

/* --- units --- */

static void test_next_gives_units_without_start_codes_and_padding(void **state)
{
    static const uint8_t k_stream[] = {
        9, 9, 0, 0,    1, 0x67, 0x42, 0,             /* noise, three bytes, a zero behind */
        0, 0, 0, 1,    0, 0,    0,    1, 0x68, 0xce, /* an empty one, four bytes */
        0, 0, 1, 0x65, 0, 0,    3,    1,             /* what is escaped is inside */
        0, 0, 0, 0};
    static const uint8_t k_first[] = {0x67, 0x42}, k_second[] = {0x68, 0xce},
                         k_third[] = {0x65, 0, 0, 3, 1};
    const struct buf_view k_want[] = {VIEW(k_first), VIEW(k_second), VIEW(k_third)};
    struct buf_reader in = buf_reader_from(VIEW(k_stream));
    struct buf_view nal;

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_want); i++) {
        assert_true(annexb_next(&in, &nal));
        assert_int_equal(nal.size_bytes, k_want[i].size_bytes);
        assert_memory_equal(nal.data, k_want[i].data, nal.size_bytes);
    }
    assert_false(annexb_next(&in, &nal));
    assert_false(annexb_next(&in, &nal));
    assert_int_equal(in.left_bytes, 0);
}

static void test_next_stays_inside_bytes_of_any_length(void **state)
{
    static const uint8_t k_stream[] = {0, 0, 1, 0x67, 1, 0, 0, 1, 0, 0, 1, 0x68, 0, 0, 0, 1, 0x65};

    (void)state;
    for (size_t size = 0; size <= sizeof k_stream; size++) {
        struct buf_view cut = heap_copy(k_stream, size);
        struct buf_reader in = buf_reader_from(cut);
        struct buf_view nal;

        while (annexb_next(&in, &nal))
            assert_true(nal.size_bytes > 0 && nal.data + nal.size_bytes <= cut.data + size);
        heap_free(cut);
    }
}

/* --- configurations: as x264 and x265 write them --- */

static const uint8_t k_avcc[] = {
    0x01, 0x64, 0x00, 0x0c, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00, 0x0c, 0xac, 0xd9, 0x41,
    0x41, 0x9f, 0x9f, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0x20,
    0xf1, 0x42, 0x99, 0x60, 0x01, 0x00, 0x04, 0x68, 0xef, 0x8f, 0xcb, 0xfd, 0xf8, 0xf8, 0x00};
static const uint8_t k_vps[] = {0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60,
                                0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03,
                                0x00, 0x00, 0x03, 0x00, 0x3c, 0x95, 0x98, 0x09};
static const uint8_t k_sps[] = {0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00,
                                0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x3c, 0xa0, 0x0a, 0x08, 0x0b,
                                0x9f, 0x79, 0x65, 0x66, 0x92, 0x4c, 0xaf, 0x01, 0x68, 0x08, 0x00,
                                0x00, 0x03, 0x00, 0x08, 0x00, 0x00, 0x03, 0x00, 0xc8, 0x40};
static const uint8_t k_pps[] = {0x44, 0x01, 0xc1, 0x72, 0xb4, 0x62, 0x40};
static const uint8_t k_hvcc_head[] = {0x01, 0x01, 0x60, 0x00, 0x00, 0x00, 0x90, 0x00,
                                      0x00, 0x00, 0x00, 0x00, 0x3c, 0xf0, 0x00, 0xfc,
                                      0xfd, 0xf8, 0xf8, 0x00, 0x00, 0x0f};

/* SPS and PPS of k_avcc, which they borrow from. */
static void h264_sets(struct codec_params *params)
{
    const char *why;

    assert_int_equal(codec_params_from_config(CODEC_H264, VIEW(k_avcc), params, &why), E_OK);
    assert_int_equal(params->video.n_sets, 2);
}

static void test_record_of_h264_is_that_of_x264(void **state)
{
    struct nal_sets sets;
    struct codec_params params;
    struct buf_writer out;

    (void)state;
    h264_sets(&params);
    nal_sets_init(&sets, CODEC_H264);
    buf_writer_init(&out, 1000);
    assert_int_equal(nal_sets_add(&sets, params.video.sets[0]), E_OK);
    assert_int_equal(nal_sets_write_record(&sets, &out), E_AGAIN);
    assert_int_equal(nal_sets_add(&sets, params.video.sets[1]), E_OK);
    assert_int_equal(nal_sets_add(&sets, params.video.sets[0]), E_AGAIN); /* again */
    assert_int_equal(nal_sets_write_record(&sets, &out), E_OK);
    assert_int_equal(out.used_bytes, sizeof k_avcc);
    assert_memory_equal(out.data, k_avcc, sizeof k_avcc);
    buf_writer_fini(&out);
    nal_sets_fini(&sets);
}

static void test_record_of_hevc_has_all_three_and_what_the_sps_says(void **state)
{
    const struct buf_view k_sets[] = {VIEW(k_vps), VIEW(k_sps), VIEW(k_pps)};
    struct nal_sets sets;
    struct codec_params params;
    struct buf_writer out;
    const char *why;

    (void)state;
    nal_sets_init(&sets, CODEC_HEVC);
    buf_writer_init(&out, 1000);
    for (size_t i = 0; i < N_ELEMENTS(k_sets); i++) {
        assert_int_equal(nal_sets_write_record(&sets, &out), E_AGAIN);
        assert_int_equal(nal_sets_add(&sets, k_sets[i]), E_OK);
    }
    assert_int_equal(nal_sets_write_record(&sets, &out), E_OK);
    assert_memory_equal(out.data, k_hvcc_head, 19);
    assert_int_equal(codec_params_from_config(CODEC_HEVC, buf_writer_view(&out), &params, &why),
                     E_OK);
    assert_int_equal(params.video.width, 320);
    assert_int_equal(params.video.height, 180);
    assert_int_equal(params.video.n_sets, 3);
    assert_int_equal(params.video.nal_length_bytes, 4);
    buf_writer_fini(&out);
    nal_sets_fini(&sets);
}

static void test_new_sps_takes_the_place_of_the_old_one_and_its_pps(void **state)
{
    static const uint8_t k_other[] = {0x67, 0x42, 0xc0, 0x0d, 0xd9, 0x01, 0x41, 0xfb};
    static const uint8_t k_new_pps[] = {0x68, 0xce, 0x3c, 0x80};
    struct nal_sets sets;
    struct codec_params params;
    struct buf_writer out;

    (void)state;
    h264_sets(&params);
    nal_sets_init(&sets, CODEC_H264);
    buf_writer_init(&out, 1000);
    assert_int_equal(nal_sets_add(&sets, params.video.sets[0]), E_OK);
    assert_int_equal(nal_sets_add(&sets, params.video.sets[1]), E_OK);
    assert_int_equal(nal_sets_add(&sets, VIEW(k_other)), E_OK);
    assert_int_equal(nal_sets_write_record(&sets, &out), E_AGAIN); /* no PPS yet */
    assert_int_equal(nal_sets_add(&sets, VIEW(k_new_pps)), E_OK);
    assert_int_equal(nal_sets_write_record(&sets, &out), E_OK);
    assert_int_equal(out.data[1], 0x42);
    assert_int_equal(out.data[5] & 0x1f, 1);
    buf_writer_fini(&out);
    nal_sets_fini(&sets);
}

static void test_add_refuses_what_is_cut_off_or_too_much(void **state)
{
    static uint8_t s_long[NAL_SET_MAX_BYTES + 1] = {0x68, 0xce};
    struct nal_sets sets;
    unsigned n_added = 0;

    (void)state;
    nal_sets_init(&sets, CODEC_H264);
    assert_int_equal(nal_sets_add(&sets, VIEW(s_long)), E_TOO_BIG);
    for (size_t size = 0; size < sizeof k_sps; size++) {
        struct buf_view cut = heap_copy(k_avcc + 8, size < 26 ? size : 26);

        (void)nal_sets_add(&sets, cut); /* nothing is read behind its end */
        heap_free(cut);
    }
    nal_sets_fini(&sets);
    nal_sets_init(&sets, CODEC_H264);
    for (unsigned id = 0; id < CODEC_MAX_SETS + 5; id++) { /* ue(v) of ids 0 to 36, in 11 bits */
        uint32_t code;
        uint8_t pps[] = {0x68, 0, 0, 0x80};
        unsigned n_bits = 0;

        for (unsigned value = id + 1; value > 1; value >>= 1)
            n_bits++;
        code = (id + 1) << (15 - 2 * n_bits);
        pps[1] = (uint8_t)(code >> 8);
        pps[2] = (uint8_t)code;
        n_added += nal_sets_add(&sets, VIEW(pps)) == E_OK;
    }
    assert_int_equal(n_added, CODEC_MAX_SETS);
    nal_sets_fini(&sets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next_gives_units_without_start_codes_and_padding),
        cmocka_unit_test(test_next_stays_inside_bytes_of_any_length),
        cmocka_unit_test(test_record_of_h264_is_that_of_x264),
        cmocka_unit_test(test_record_of_hevc_has_all_three_and_what_the_sps_says),
        cmocka_unit_test(test_new_sps_takes_the_place_of_the_old_one_and_its_pps),
        cmocka_unit_test(test_add_refuses_what_is_cut_off_or_too_much),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
