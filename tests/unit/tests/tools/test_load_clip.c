/* A clip as it is sent: what comes once, in which order, and time over the rounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "proto/flv/flv.h"
#include "tests/tools/load_clip.h"
#include "tests/tools/stamp.h"

#define N_VIDEO 50    /* 2 s at 25 frames/s */
#define N_AUDIO 86    /* 44100 / 1024 a second: 23.2 ms each, and 1.997 s in all */
#define BEGIN_MS 5000 /* of the file: clips need not begin at 0 */

static void write_body(struct buf_writer *w, uint8_t type_id, uint32_t time_ms, const uint8_t *body,
                       size_t size_bytes)
{
    flv_write_tag(w, type_id, time_ms, buf_view_of(body, size_bytes));
}

static uint32_t audio_ms(unsigned i)
{
    return (uint32_t)((uint64_t)i * 1024 * 1000 / 44100);
}

/* Video and audio as ffmpeg interleaves them; audio a frame early in the file, so out of order. */
static void write_clip(struct buf_writer *w, bool video, bool audio)
{
    static const uint8_t k_meta[] = {0x02, 0x00, 0x0a, 'o', 'n', 'M', 'e', 't', 'a', 'D', 'a',
                                     't',  'a',  0x08, 0,   0,   0,   0,   0,   0,   9};
    static const uint8_t k_avc_config[] = {0x17, 0x00, 0x00, 0x00, 0x00,
                                           0x01, 0x42, 0xc0, 0x1e, 0xff};
    static const uint8_t k_avc_end[] = {0x17, 0x02, 0x00, 0x00, 0x00};
    static const uint8_t k_aac_config[] = {0xaf, 0x00, 0x12, 0x10};
    uint8_t frame[] = {0x27, 0x01, 0x00, 0x00, 0x00, 0, 0, 0, 2, 0x41, 0};
    uint8_t sound[] = {0xaf, 0x01, 0x21, 0};
    unsigned a = 0;

    flv_write_file_header(w, audio, video);
    write_body(w, FLV_TAG_SCRIPT, 0, k_meta, sizeof k_meta);
    if (video)
        write_body(w, FLV_TAG_VIDEO, BEGIN_MS, k_avc_config, sizeof k_avc_config);
    if (audio)
        write_body(w, FLV_TAG_AUDIO, BEGIN_MS, k_aac_config, sizeof k_aac_config);
    for (unsigned v = 0; v < N_VIDEO; v++) {
        for (; audio && a < N_AUDIO && (audio_ms(a) < (v + 1) * 40 || v == N_VIDEO - 1); a++) {
            sound[3] = (uint8_t)a;
            write_body(w, FLV_TAG_AUDIO, BEGIN_MS + audio_ms(a), sound, sizeof sound);
        }
        frame[0] = v % 25 ? 0x27 : 0x17;
        frame[10] = (uint8_t)v;
        if (video)
            write_body(w, FLV_TAG_VIDEO, BEGIN_MS + v * 40, frame, sizeof frame);
        if (video && v == 25) /* an encoder that repeats its header */
            write_body(w, FLV_TAG_VIDEO, BEGIN_MS + v * 40, k_avc_config, sizeof k_avc_config);
    }
    if (video)
        write_body(w, FLV_TAG_VIDEO, BEGIN_MS + N_VIDEO * 40, k_avc_end, sizeof k_avc_end);
    assert_int_equal(buf_writer_status(w), E_OK);
}

static void make_clip(struct load_clip *clip, bool video, bool audio, bool stamp)
{
    struct buf_writer w;
    const char *why = "";

    buf_writer_init(&w, 1 << 20);
    write_clip(&w, video, audio);
    assert_int_equal(load_clip_init(clip, buf_writer_view(&w), stamp, &why), E_OK);
    buf_writer_fini(&w);
}

static void test_init_puts_metadata_and_headers_in_front(void **state)
{
    struct load_clip clip;

    (void)state;
    make_clip(&clip, true, true, true);
    assert_int_equal(clip.n_init, 3);
    assert_int_equal(clip.messages[0].type_id, FLV_TAG_SCRIPT);
    assert_int_equal(clip.messages[1].type_id, FLV_TAG_VIDEO);
    assert_int_equal(clip.messages[2].type_id, FLV_TAG_AUDIO);
    for (size_t i = 0; i < clip.n_init; i++) {
        assert_int_equal(clip.messages[i].time_ms, 0);
        assert_int_equal(clip.messages[i].stamp_at, 0);
    }
    assert_int_equal(clip.n_messages, 3 + N_VIDEO + N_AUDIO); /* no second header, no end */
    assert_int_equal(clip.n_unstamped, 0);
    assert_int_equal(clip.frame_us, 40000);
    assert_true(clip.has_video);
    load_clip_fini(&clip);
}

static void test_walk_gives_time_without_gap_or_step_back_over_rounds(void **state)
{
    struct load_clip_cursor cursor = {0};
    uint32_t last_ms[2] = {0, 0}, last_any_ms = 0;
    unsigned n[2] = {0, 0};
    struct load_clip clip;

    (void)state;
    make_clip(&clip, true, true, true);
    assert_int_equal(clip.length_ms, 2000);
    for (size_t i = 0; i < 3 + 5 * (N_VIDEO + N_AUDIO); i++) {
        uint32_t time_ms;
        const struct load_clip_message *m = load_clip_peek(&clip, &cursor, &time_ms);
        unsigned track = m->type_id == FLV_TAG_VIDEO;
        unsigned frame = load_clip_body(&clip, m)[m->size_bytes - 1];

        assert_true(time_ms >= last_any_ms);
        last_any_ms = time_ms;
        load_clip_advance(&clip, &cursor);
        if (i < 3)
            continue;
        assert_int_equal(frame, n[track] % (track ? N_VIDEO : N_AUDIO));
        if (n[track]++) /* audio is 3 ms shorter than video: those are its whole gap */
            assert_in_range(time_ms - last_ms[track], track ? 40 : 23, track ? 40 : 27);
        last_ms[track] = time_ms;
    }
    assert_int_equal(n[1], 5 * N_VIDEO);
    assert_int_equal(n[0], 5 * N_AUDIO);
    load_clip_fini(&clip);
}

static void test_init_gives_every_frame_room_for_a_stamp(void **state)
{
    struct load_clip clip;

    (void)state;
    make_clip(&clip, true, true, true);
    for (size_t i = clip.n_init; i < clip.n_messages; i++) {
        struct load_clip_message *m = &clip.messages[i];
        struct media_frame_info info = {0};
        struct buf_view body = buf_view_of(load_clip_body(&clip, m), m->size_bytes);
        const char *why;
        int64_t got_us = 0;

        assert_int_equal(flv_parse_body(m->type_id, body, &info, &why), E_OK);
        stamp_put_time(load_clip_body(&clip, m) + m->stamp_at, (int64_t)i);
        assert_true(stamp_read(&info, body, &got_us));
        assert_int_equal(got_us, i);
    }
    load_clip_fini(&clip);
}

static void test_init_leaves_bodies_as_they_are_without_stamps(void **state)
{
    struct load_clip clip;

    (void)state;
    make_clip(&clip, true, true, false);
    for (size_t i = clip.n_init; i < clip.n_messages; i++) {
        assert_int_equal(clip.messages[i].stamp_at, 0);
        assert_int_equal(clip.messages[i].size_bytes,
                         clip.messages[i].type_id == FLV_TAG_VIDEO ? 11 : 4);
    }
    load_clip_fini(&clip);
}

/* avcC with lengths of two bytes: what looks like a four-byte length there is something else. */
static void test_init_stamps_only_audio_when_nal_lengths_are_short(void **state)
{
    static const uint8_t k_config[] = {0x17, 0, 0, 0, 0, 1, 0x42, 0xc0, 0x1e, 0xfd};
    static const uint8_t k_frame[] = {0x17, 1, 0, 0, 0, 0, 0, 0, 2, 0x65, 0xee};
    static const uint8_t k_sound[] = {0xaf, 1, 0x21, 0x10};
    struct load_clip clip;
    struct buf_writer w;
    const char *why = "";

    (void)state;
    buf_writer_init(&w, 1024);
    flv_write_file_header(&w, true, true);
    write_body(&w, FLV_TAG_VIDEO, 0, k_config, sizeof k_config);
    write_body(&w, FLV_TAG_VIDEO, 0, k_frame, sizeof k_frame);
    write_body(&w, FLV_TAG_AUDIO, 0, k_sound, sizeof k_sound);
    assert_int_equal(load_clip_init(&clip, buf_writer_view(&w), true, &why), E_OK);
    assert_int_equal(clip.n_messages, 3);
    assert_int_equal(clip.messages[1].stamp_at, 0);
    assert_int_not_equal(clip.messages[2].stamp_at, 0);
    assert_int_equal(clip.n_unstamped, 1);
    load_clip_fini(&clip);
    buf_writer_fini(&w);
}

static void test_init_knows_clips_without_video(void **state)
{
    struct load_clip clip;

    (void)state;
    make_clip(&clip, false, true, true);
    assert_false(clip.has_video);
    assert_in_range(clip.frame_us, 23000, 23400);
    assert_int_equal(clip.length_ms, audio_ms(N_AUDIO - 1) + 23);
    load_clip_fini(&clip);
}

static void test_init_gives_why_when_there_is_nothing_to_send(void **state)
{
    static const uint8_t k_text[] = "This is no FLV file.";
    struct load_clip clip;
    struct buf_writer w;
    const char *why = NULL;

    (void)state;
    assert_int_equal(load_clip_init(&clip, buf_view_of(k_text, sizeof k_text), true, &why),
                     E_PROTO);
    assert_string_equal(why, "is not FLV");
    buf_writer_init(&w, 1024);
    flv_write_file_header(&w, true, true);
    assert_int_equal(load_clip_init(&clip, buf_writer_view(&w), true, &why), E_NOT_FOUND);
    assert_string_equal(why, "has no frames");
    buf_writer_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init_puts_metadata_and_headers_in_front),
        cmocka_unit_test(test_walk_gives_time_without_gap_or_step_back_over_rounds),
        cmocka_unit_test(test_init_gives_every_frame_room_for_a_stamp),
        cmocka_unit_test(test_init_leaves_bodies_as_they_are_without_stamps),
        cmocka_unit_test(test_init_stamps_only_audio_when_nal_lengths_are_short),
        cmocka_unit_test(test_init_knows_clips_without_video),
        cmocka_unit_test(test_init_gives_why_when_there_is_nothing_to_send),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
