/* Fragments: times without drift, flags, places of the frames. */
#include "mp4_test.h"

static const uint8_t k_record[] = {1, 2, 3, 4, 5, 6, 7, 8};

static const struct codec_params k_video = {.codec = CODEC_H264,
                                            .kind = MEDIA_VIDEO,
                                            .record = {k_record, sizeof k_record},
                                            .video = {.width = 64, .height = 64}};
static const struct codec_params k_audio = {
    .codec = CODEC_AAC,
    .kind = MEDIA_AUDIO,
    .record = {k_record, 2},
    .audio = {.sample_rate_hz = 44100, .channels = 2, .samples_per_frame = 1024}};
static const struct codec_params *const k_tracks[] = {&k_video, &k_audio};

/* Init section and fragments as a player gets them. */
struct movie {
    struct mp4_mux mux;
    struct buf_writer w;
    uint8_t next_byte; /* frames are filled with a byte of their own */
};

static void start(struct movie *m, const struct codec_params *const *tracks, unsigned n_tracks)
{
    const char *why;

    buf_writer_init(&m->w, 1 << 24);
    m->next_byte = 0;
    assert_int_equal(mp4_write_init(&m->w, tracks, n_tracks, &why), E_OK);
    mp4_mux_init(&m->mux, tracks, n_tracks);
}

static void push(struct movie *m, const struct mp4_fragment *f)
{
    assert_int_equal(mp4_write_fragment(&m->w, &m->mux, f), E_OK);
    for (size_t i = 0; i < f->n_samples; i++, m->next_byte++)
        for (uint32_t k = 0; k < f->samples[i].size_bytes; k++)
            buf_write_u8(&m->w, m->next_byte);
    assert_int_equal(buf_writer_status(&m->w), E_OK);
}

static void assert_data(const struct read_sample *s, size_t size_bytes, uint8_t byte)
{
    assert_int_equal(s->data.size_bytes, size_bytes);
    for (size_t i = 0; i < size_bytes; i++)
        assert_int_equal(s->data.data[i], byte);
}

static void test_write_fragment_places_the_frames_of_both_tracks(void **state)
{
    static const struct mp4_sample k_samples[] = {
        {0, 1000000, 80000, 11, 0, true, false}, {0, 1040000, 160000, 7, 0, false, false},
        {1, 1000000, 0, 5, 1024, false, false},  {1, 1023220, 0, 6, 1024, false, false},
        {0, 1080000, 0, 3, 0, false, true},      {1, 1046440, 0, 0, 1024, false, false},
    };
    static const struct {
        size_t size_bytes, at; /* where in k_samples */
        int64_t dts, pts;
        uint32_t duration, flags;
    } k_want[] = {
        {11, 0, 90000, 97200, 3600, 0x02000000}, {7, 1, 93600, 108000, 3600, 0x01010000},
        {3, 4, 97200, 97200, 3600, 0x01810000},  {5, 2, 44100, 44100, 1024, 0x02000000},
        {6, 3, 45124, 45124, 1024, 0x02000000},  {0, 5, 46148, 46148, 1024, 0x02000000},
    };
    struct mp4_fragment f = {k_samples, N_ELEMENTS(k_samples), {1120000, 0}};
    struct movie m;
    struct read_movie *got;

    (void)state;
    start(&m, k_tracks, 2);
    push(&m, &f);
    got = read_movie(buf_writer_view(&m.w));
    assert_int_equal(got->n_samples, N_ELEMENTS(k_want));
    for (size_t i = 0; i < N_ELEMENTS(k_want); i++) {
        const struct read_sample *s = &got->samples[i];

        assert_int_equal(s->track, i >= 3);
        assert_data(s, k_want[i].size_bytes, (uint8_t)k_want[i].at);
        assert_int_equal(s->dts, k_want[i].dts);
        assert_int_equal(s->pts, k_want[i].pts);
        assert_int_equal(s->duration, k_want[i].duration);
        assert_int_equal(s->flags, k_want[i].flags);
    }
    free(got);
    buf_writer_fini(&m.w);
}

/* 30000/1001 frames a second for 4 hours from 13 days on, in fragments of n frames: each frame is
 * where it is to be. */
static void assert_no_drift(size_t n, bool next_known)
{
    struct movie m;
    struct mp4_sample samples[8];
    int64_t frame = 33700000;

    start(&m, k_tracks, 1);
    for (unsigned step = 0; step < 100; step++, frame += 4320) {
        struct mp4_fragment f = {samples, n, {0, 0}};
        struct read_movie *got;

        for (size_t i = 0; i <= n; i++) {
            int64_t dts_us = (frame + (int64_t)i) * 1001000000 / 30000;

            if (i < n)
                samples[i] = (struct mp4_sample){.dts_us = dts_us, .cts_us = 33367};
            else if (next_known)
                f.next_dts_us[0] = dts_us;
        }
        push(&m, &f);
        got = read_movie(buf_writer_view(&m.w));
        assert_int_equal(got->n_samples, (step + 1) * n);
        for (size_t i = 0; i < n; i++) {
            const struct read_sample *s = &got->samples[step * n + i];
            int64_t want = (frame + (int64_t)i) * 3003;

            assert_true(llabs(s->dts - want) <= 1); /* dts_us is cut off to microseconds */
            assert_true(llabs(s->pts - want - 3003) <= 1);
            assert_true(s->duration >= 3002 && s->duration <= 3004);
        }
        free(got);
        frame += (int64_t)n;
    }
    buf_writer_fini(&m.w);
}

static void test_write_fragment_does_not_drift_over_days(void **state)
{
    (void)state;
    assert_no_drift(1, true);
    assert_no_drift(3, true);
    assert_no_drift(8, false);
}

static void test_write_fragment_guesses_the_last_duration(void **state)
{
    static const struct mp4_sample k_two[] = {{.dts_us = 0, .key = true}, {.dts_us = 20000}};
    static const struct mp4_sample k_one[] = {{.dts_us = 40000}};
    static const struct mp4_sample k_sound[] = {{.track = 1, .dts_us = 0}};
    static const struct mp4_sample k_short_sound[] = {
        {.track = 1, .dts_us = 23000, .n_sound = 960}};
    static const struct mp4_sample k_more_sound[] = {{.track = 1, .dts_us = 46000}};
    static const uint32_t k_want[] = {3600, 1800, 1800, 1800, 1024, 960, 960};
    const struct mp4_fragment fragments[] = {
        {k_one, 1, {0, 0}},   {k_two, 2, {20000, 0}},     {k_one, 1, {0, 0}},
        {k_sound, 1, {0, 0}}, {k_short_sound, 1, {0, 0}}, {k_more_sound, 1, {0, 0}},
    };
    struct movie m;
    struct read_movie *got;

    (void)state;
    start(&m, k_tracks, 2); /* nothing known of the video: 25 frames a second */
    for (size_t i = 0; i < N_ELEMENTS(fragments); i++)
        push(&m, &fragments[i]);
    got = read_movie(buf_writer_view(&m.w));
    assert_int_equal(got->n_samples, N_ELEMENTS(k_want));
    assert_int_equal(got->n_fragments, N_ELEMENTS(fragments));
    assert_int_equal(got->last_sequence, N_ELEMENTS(fragments));
    for (size_t i = 0; i < N_ELEMENTS(k_want); i++)
        assert_int_equal(got->samples[i].duration, k_want[i]);
    free(got);
    buf_writer_fini(&m.w);
}

static void test_mux_init_takes_the_frame_rate_that_the_stream_promises(void **state)
{
    struct codec_params p = k_video;
    const struct codec_params *track = &p;
    struct mp4_mux mux;

    (void)state;
    p.video.fps_num = 30000;
    p.video.fps_den = 1001;
    mp4_mux_init(&mux, &track, 1);
    assert_int_equal(mux.tracks[0].last_duration, 3003);
}

static void test_write_fragment_keeps_presentation_times_when_decode_times_go_back(void **state)
{
    static const struct mp4_sample k_samples[] = {
        {.dts_us = 100000, .cts_us = 40000, .key = true},
        {.dts_us = 60000, .cts_us = 0},
        {.dts_us = 60000, .cts_us = 100000},
        {.dts_us = 200000, .cts_us = -20000},
    };
    static const struct mp4_sample k_negative[] = {{.dts_us = -40000, .cts_us = 60000}};
    static const int64_t k_dts[] = {9000, 9000, 9000, 18000, 0};
    static const int64_t k_pts[] = {12600, 5400, 14400, 16200, 1800};
    struct mp4_fragment f = {k_samples, N_ELEMENTS(k_samples), {0, 0}};
    struct mp4_fragment negative = {k_negative, 1, {0, 0}};
    struct movie m;
    struct read_movie *got;

    (void)state;
    start(&m, k_tracks, 1);
    push(&m, &f);
    push(&m, &negative);
    got = read_movie(buf_writer_view(&m.w));
    for (size_t i = 0; i < N_ELEMENTS(k_dts); i++) {
        assert_int_equal(got->samples[i].dts, k_dts[i]);
        assert_int_equal(got->samples[i].pts, k_pts[i]);
    }
    free(got);
    buf_writer_fini(&m.w);
}

static void test_write_fragment_refuses_what_a_moof_cannot_say(void **state)
{
    static struct mp4_sample samples[MP4_MAX_SAMPLES + 1];
    struct mp4_fragment f = {samples, 0, {0, 0}};
    struct mp4_mux mux;
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 1 << 20);
    mp4_mux_init(&mux, k_tracks, 1);
    assert_int_equal(mp4_write_fragment(&w, &mux, &f), E_INVAL);
    f.n_samples = MP4_MAX_SAMPLES + 1;
    assert_int_equal(mp4_write_fragment(&w, &mux, &f), E_INVAL);
    f.n_samples = 2;
    samples[0].size_bytes = samples[1].size_bytes = 1 << 30;
    assert_int_equal(mp4_write_fragment(&w, &mux, &f), E_TOO_BIG);
    assert_int_equal(w.used_bytes, 0);
    assert_int_equal(mux.sequence, 0);
    samples[0].size_bytes = samples[1].size_bytes = UINT32_MAX;
    assert_int_equal(mp4_write_fragment(&w, &mux, &f), E_TOO_BIG);
    f.n_samples = MP4_MAX_SAMPLES;
    samples[0].size_bytes = samples[1].size_bytes = 0;
    assert_int_equal(mp4_write_fragment(&w, &mux, &f), E_OK);
    assert_int_equal(buf_writer_status(&w), E_OK);
    buf_writer_fini(&w);
}

static void test_write_styp_gives_a_media_segment(void **state)
{
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 64);
    mp4_write_styp(&w);
    assert_int_equal(w.used_bytes, 20);
    assert_memory_equal(w.data, "\0\0\0\x14stypmsdh\0\0\0\0msdh", 20);
    buf_writer_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_fragment_places_the_frames_of_both_tracks),
        cmocka_unit_test(test_write_fragment_does_not_drift_over_days),
        cmocka_unit_test(test_write_fragment_guesses_the_last_duration),
        cmocka_unit_test(test_mux_init_takes_the_frame_rate_that_the_stream_promises),
        cmocka_unit_test(test_write_fragment_keeps_presentation_times_when_decode_times_go_back),
        cmocka_unit_test(test_write_fragment_refuses_what_a_moof_cannot_say),
        cmocka_unit_test(test_write_styp_gives_a_media_segment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
