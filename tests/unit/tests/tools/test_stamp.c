/* Stamps: where they go in, that they come out, and that nothing else of a frame changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "proto/flv/flv.h"
#include "tests/tools/stamp.h"

#define AVC_KEY 0x17, 0x01, 0x00, 0x00, 0x00     /* key frame, NAL units, composition time 0 */
#define HEVC_KEY 0x90 | 0x03, 'h', 'v', 'c', '1' /* enhanced, key frame, CodedFramesX */
#define NAL(first) 0x00, 0x00, 0x00, 0x02, first, 0xee /* length 2 */

static const uint8_t k_slice[] = {AVC_KEY, NAL(0x65)};
static const uint8_t k_all_before[] = {AVC_KEY,   NAL(0x09), NAL(0x67),
                                       NAL(0x68), NAL(0x06), NAL(0x65)}; /* AUD SPS PPS SEI IDR */
static const uint8_t k_hevc[] = {HEVC_KEY,  NAL(0x46), NAL(0x40),
                                 NAL(0x42), NAL(0x44), NAL(0x26)}; /* AUD VPS SPS PPS IDR */
static const uint8_t k_aac[] = {0xaf, 0x01, 0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c};

static const struct {
    uint8_t type_id;
    const uint8_t *body;
    size_t size_bytes;
    size_t stamp_at;    /* where it goes in */
    size_t stamp_bytes; /* how much it adds */
    size_t time_at;     /* of it, in the stamp */
} k_frames[] = {
    {FLV_TAG_VIDEO, k_slice, sizeof k_slice, 5, 32, 23},
    {FLV_TAG_VIDEO, k_all_before, sizeof k_all_before, 5 + 18, 32, 23},
    {FLV_TAG_VIDEO, k_hevc, sizeof k_hevc, 5 + 24, 33, 24},
    {FLV_TAG_AUDIO, k_aac, sizeof k_aac, 2, 14, 6},
};
#define N_FRAMES (sizeof k_frames / sizeof k_frames[0])

static const int64_t k_times_us[] = {0, 1, 0x7f, 0x80, 1234567890123, (INT64_C(1) << 56) - 1};
#define N_TIMES (sizeof k_times_us / sizeof k_times_us[0])

static struct media_frame_info info_of(uint8_t type_id, const uint8_t *body, size_t size_bytes)
{
    struct media_frame_info info = {0};
    const char *why = "";

    assert_int_equal(flv_parse_body(type_id, buf_view_of(body, size_bytes), &info, &why), E_OK);
    return info;
}

/* The stamped frame i in *out. */
static struct media_frame_info insert(size_t i, int64_t time_us, struct buf_writer *out)
{
    struct media_frame_info info =
        info_of(k_frames[i].type_id, k_frames[i].body, k_frames[i].size_bytes);
    size_t time_at = 0;

    buf_writer_init(out, 1024);
    assert_int_equal(
        stamp_insert(&info, buf_view_of(k_frames[i].body, k_frames[i].size_bytes), out, &time_at),
        E_OK);
    assert_int_equal(buf_writer_status(out), E_OK);
    assert_int_equal(time_at, k_frames[i].stamp_at + k_frames[i].time_at);
    stamp_put_time(out->data + time_at, time_us);
    return info;
}

static void test_insert_leaves_the_rest_of_the_frame_as_it_was(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FRAMES; i++) {
        size_t at = k_frames[i].stamp_at, size = k_frames[i].stamp_bytes;
        struct buf_writer out;

        insert(i, 77, &out);
        assert_true(size <= STAMP_MAX_BYTES);
        assert_int_equal(out.used_bytes, k_frames[i].size_bytes + size);
        assert_memory_equal(out.data, k_frames[i].body, at);
        assert_memory_equal(out.data + at + size, k_frames[i].body + at,
                            k_frames[i].size_bytes - at);
        buf_writer_fini(&out);
    }
}

static void test_insert_writes_nal_units_that_parsers_can_walk(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FRAMES; i++) {
        struct buf_writer out;
        struct buf_reader r;
        size_t n_nals = 0;

        if (k_frames[i].type_id != FLV_TAG_VIDEO)
            continue;
        insert(i, 77, &out);
        r = buf_reader_from(buf_writer_view(&out));
        (void)buf_take(&r, 5);
        for (; r.left_bytes; n_nals++) {
            uint32_t size = buf_read_u32be(&r);

            (void)buf_take(&r, size);
            assert_false(r.overrun);
        }
        assert_int_equal(n_nals, (k_frames[i].size_bytes - 5) / 6 + 1);
        buf_writer_fini(&out);
    }
}

static void test_read_gives_the_time_that_was_put(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FRAMES; i++) {
        for (size_t t = 0; t < N_TIMES; t++) {
            struct buf_writer out;
            struct media_frame_info info = insert(i, k_times_us[t], &out);
            int64_t got_us = -1;

            assert_true(stamp_read(&info, buf_writer_view(&out), &got_us));
            assert_true(got_us == k_times_us[t]);
            buf_writer_fini(&out);
        }
    }
}

/* H.264 7.4.1: 00 00 00 to 00 00 03 may not be in a NAL unit. */
static void test_stamp_has_no_bytes_that_need_emulation_prevention(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FRAMES; i++) {
        for (size_t t = 0; t < N_TIMES; t++) {
            size_t nal_at = k_frames[i].stamp_at + (k_frames[i].type_id == FLV_TAG_VIDEO ? 4 : 0);
            size_t end = k_frames[i].stamp_at + k_frames[i].stamp_bytes;
            struct buf_writer out;

            insert(i, k_times_us[t], &out);
            for (size_t at = nal_at; at + 1 < end; at++)
                assert_false(out.data[at] == 0 && out.data[at + 1] == 0);
            buf_writer_fini(&out);
        }
    }
}

static void test_read_gives_false_when_the_frame_is_cut_in_the_stamp(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FRAMES; i++) {
        struct buf_writer out;
        struct media_frame_info info = insert(i, 1234567, &out);
        size_t stamp_end = k_frames[i].stamp_at + k_frames[i].stamp_bytes;

        for (size_t size = info.es_offset; size <= out.used_bytes; size++) {
            uint8_t *cut = malloc(size); /* of its own, so that reading past it is seen */
            int64_t got_us = -1;

            assert_non_null(cut);
            memcpy(cut, out.data, size);
            assert_int_equal(stamp_read(&info, buf_view_of(cut, size), &got_us), size >= stamp_end);
            assert_true(got_us == (size >= stamp_end ? 1234567 : -1));
            free(cut);
        }
        buf_writer_fini(&out);
    }
}

static void test_read_gives_false_for_frames_without_stamp(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FRAMES; i++) {
        struct media_frame_info info =
            info_of(k_frames[i].type_id, k_frames[i].body, k_frames[i].size_bytes);
        int64_t got_us;

        assert_false(
            stamp_read(&info, buf_view_of(k_frames[i].body, k_frames[i].size_bytes), &got_us));
    }
}

/* A stamp behind the encoder's own SEI, as after another tool has put one in front. */
static void test_read_finds_the_stamp_behind_other_sei_messages(void **state)
{
    struct buf_writer stamped, out;
    struct media_frame_info info = insert(0, 4711, &stamped);
    static const uint8_t k_sei[] = {NAL(0x06)};
    int64_t got_us = 0;

    (void)state;
    buf_writer_init(&out, 1024);
    buf_write(&out, stamped.data, 5);
    buf_write(&out, k_sei, sizeof k_sei);
    buf_write(&out, stamped.data + 5, stamped.used_bytes - 5);
    assert_true(stamp_read(&info, buf_writer_view(&out), &got_us));
    assert_int_equal(got_us, 4711);
    buf_writer_fini(&stamped);
    buf_writer_fini(&out);
}

static void test_insert_gives_an_error_and_writes_nothing_where_no_stamp_fits(void **state)
{
    static const uint8_t k_avc_config[] = {0x17, 0x00, 0x00, 0x00, 0x00, 0x01, 0x42};
    static const uint8_t k_aac_config[] = {0xaf, 0x00, 0x12, 0x10};
    static const uint8_t k_mp3[] = {0x2f, 0xff, 0xfb};
    static const uint8_t k_cut_nal[] = {AVC_KEY, 0x00, 0x00, 0x00, 0x09, 0x65};
    static const uint8_t k_only_before[] = {AVC_KEY, NAL(0x09)};
    static const uint8_t k_no_nal[] = {AVC_KEY};
    static const struct {
        uint8_t type_id;
        const uint8_t *body;
        size_t size_bytes;
        enum err e;
    } k_cases[] = {
        {FLV_TAG_VIDEO, k_avc_config, sizeof k_avc_config, E_UNSUPPORTED},
        {FLV_TAG_AUDIO, k_aac_config, sizeof k_aac_config, E_UNSUPPORTED},
        {FLV_TAG_AUDIO, k_mp3, sizeof k_mp3, E_UNSUPPORTED},
        {FLV_TAG_VIDEO, k_no_nal, sizeof k_no_nal, E_UNSUPPORTED},
        {FLV_TAG_VIDEO, k_cut_nal, sizeof k_cut_nal, E_PROTO},
        {FLV_TAG_VIDEO, k_only_before, sizeof k_only_before, E_PROTO},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        struct media_frame_info info =
            info_of(k_cases[i].type_id, k_cases[i].body, k_cases[i].size_bytes);
        struct buf_writer out;
        size_t time_at;

        buf_writer_init(&out, 1024);
        assert_int_equal(stamp_insert(&info, buf_view_of(k_cases[i].body, k_cases[i].size_bytes),
                                      &out, &time_at),
                         k_cases[i].e);
        assert_int_equal(out.used_bytes, 0);
        buf_writer_fini(&out);
    }
}

/* Length-prefixed NAL units and raw AAC stand for any form in which the bytes of a stamp are whole.
 */
static void test_find_gives_the_time_wherever_the_stamp_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FRAMES; i++) {
        struct buf_writer out;
        int64_t time_us = 0;

        insert(i, 1234567, &out);
        assert_true(stamp_find(buf_writer_view(&out), &time_us));
        assert_int_equal(time_us, 1234567);
        out.used_bytes =
            k_frames[i].stamp_at + k_frames[i].time_at + STAMP_TIME_BYTES - 1; /* cut */
        assert_false(stamp_find(buf_writer_view(&out), &time_us));
        buf_writer_fini(&out);
        assert_false(stamp_find(buf_view_of(k_frames[i].body, k_frames[i].size_bytes), &time_us));
    }
    assert_false(stamp_find(buf_view_of(NULL, 0), &(int64_t){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_insert_leaves_the_rest_of_the_frame_as_it_was),
        cmocka_unit_test(test_find_gives_the_time_wherever_the_stamp_is),
        cmocka_unit_test(test_insert_writes_nal_units_that_parsers_can_walk),
        cmocka_unit_test(test_read_gives_the_time_that_was_put),
        cmocka_unit_test(test_stamp_has_no_bytes_that_need_emulation_prevention),
        cmocka_unit_test(test_read_gives_false_when_the_frame_is_cut_in_the_stamp),
        cmocka_unit_test(test_read_gives_false_for_frames_without_stamp),
        cmocka_unit_test(test_read_finds_the_stamp_behind_other_sei_messages),
        cmocka_unit_test(test_insert_gives_an_error_and_writes_nothing_where_no_stamp_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
