/* Time scales of the tables; what the tables say is compared with FFmpeg and played elsewhere. */
#include "mp4_test.h"
#include "proto/mp4/gather.h"
#include "proto/mp4/movie.h"

#define STEP_US INT64_C(10000000)
#define SOUND_US 500023 /* 22051 of its ticks */

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

static void take(struct mp4_movie *movie, struct mp4_mux *mux, const struct mp4_sample *samples,
                 unsigned n)
{
    const struct mp4_fragment fragment = {
        .samples = samples, .n_samples = n, .next_dts_us = {INT64_MIN, INT64_MIN}};
    struct buf_writer w;

    buf_writer_init(&w, 1 << 16);
    assert_int_equal(mp4_write_fragment(&w, mux, &fragment), E_OK);
    assert_int_equal(mp4_movie_take_fragment(movie, buf_view_of(w.data, w.used_bytes - 8), 1000, n),
                     E_OK);
    buf_writer_fini(&w);
}

/* Of a picture every ten seconds, and one frame of sound that begins later. */
static void put_moov(struct buf_writer *out, unsigned n_pictures)
{
    struct mp4_sample samples[2] = {
        {.track = 0, .size_bytes = 1, .key = true},
        {.track = 1, .dts_us = SOUND_US, .size_bytes = 1, .n_sound = 1024}};
    struct mp4_movie *movie = mp4_movie_create();
    uint32_t ftyp_bytes = 0;
    struct buf_writer head;
    struct mp4_mux mux;
    const char *why;

    assert_non_null(movie);
    buf_writer_init(&head, 1 << 16);
    assert_int_equal(mp4_write_file_head(&head, k_tracks, 2, &ftyp_bytes, &why), E_OK);
    assert_int_equal(
        mp4_movie_take_init(movie, buf_view_of(head.data + ftyp_bytes + MP4_HOLD_BYTES,
                                               head.used_bytes - ftyp_bytes - MP4_HOLD_BYTES)),
        E_OK);
    mp4_mux_init(&mux, k_tracks, 2);
    for (unsigned i = 0; i < n_pictures; i++) {
        samples[0].dts_us = i * STEP_US;
        take(movie, &mux, samples, i ? 1 : 2);
    }
    mp4_movie_write(movie, out);
    assert_int_equal(buf_writer_status(out), E_OK);
    mp4_movie_destroy(&movie);
    buf_writer_fini(&head);
}

/* The number of 32 bits so many bytes behind the type of the last such box. */
static uint32_t number_in(const struct buf_writer *w, const char *type, size_t behind)
{
    struct buf_reader in = {NULL, 0, false};

    for (size_t at = 0; at + 4 + behind < w->used_bytes; at++)
        if (!memcmp(w->data + at, type, 4))
            in = buf_reader_from(
                buf_view_of(w->data + at + 4 + behind, w->used_bytes - at - 4 - behind));
    assert_non_null(in.at);
    return buf_read_u32be(&in);
}

static void test_write_begins_a_track_to_the_tick_unless_the_movie_is_too_long(void **state)
{
    static const struct {
        unsigned n_pictures;
        uint32_t timescale, pause, duration;
    } k_cases[] = {{3, 90000, 45002, 2 * 900000 + 3600}, /* the last one is guessed */
                   {4773, 90000, 45002, 4772u * 900000 + 3600},
                   {4774, 1000, 500, 4773 * 10000 + 40}}; /* 32 bits do not hold more */

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_cases); i++) {
        struct buf_writer w;

        buf_writer_init(&w, 1 << 20);
        put_moov(&w, k_cases[i].n_pictures);
        assert_int_equal(number_in(&w, "mvhd", 12), k_cases[i].timescale);
        assert_int_equal(number_in(&w, "mvhd", 16), k_cases[i].duration);
        assert_int_equal(number_in(&w, "elst", 8), k_cases[i].pause);
        buf_writer_fini(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_begins_a_track_to_the_tick_unless_the_movie_is_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
