/* Frames gathered to fragments, and the file around them. */
#include "mp4_test.h"
#include "proto/mp4/gather.h"

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

static unsigned g_n_released;

static void release(const void *owner)
{
    assert_ptr_equal(owner, k_record);
    g_n_released++;
}

static void add(struct mp4_gather *g, unsigned track, int64_t dts_us, struct buf_view es)
{
    const struct mp4_sample sample = {.track = track,
                                      .dts_us = dts_us,
                                      .size_bytes = (uint32_t)es.size_bytes,
                                      .n_sound = track ? 1024 : 0,
                                      .key = !track};

    assert_int_equal(mp4_gather_add(g, &sample, es, k_record), E_OK);
}

static void test_gather_is_due_at_an_entry_and_after_2_s_and_4_mb(void **state)
{
    static const uint8_t k_big[5 << 20];
    struct mp4_gather g;

    (void)state;
    mp4_gather_init(&g, k_tracks, 2, release);
    assert_false(mp4_gather_is_due(&g, 0, true)); /* nothing is held */
    add(&g, 0, 1000, buf_view_str("picture"));
    assert_true(mp4_gather_is_due(&g, 1001, true));
    assert_false(mp4_gather_is_due(&g, 2000999, false));
    assert_true(mp4_gather_is_due(&g, 2001000, false));
    add(&g, 0, 2000, buf_view_of(k_big, sizeof k_big));
    assert_true(mp4_gather_is_due(&g, 3000, false));
    g_n_released = 0;
    mp4_gather_fini(&g);
    assert_int_equal(g_n_released, 2);
}

static void test_write_gives_head_and_fragment_with_video_in_front(void **state)
{
    struct read_movie *movie;
    struct buf_writer w;
    struct mp4_gather g;
    uint32_t ftyp_bytes = 0;
    const char *why;

    (void)state;
    buf_writer_init(&w, 1 << 20);
    assert_int_equal(mp4_write_file_head(&w, k_tracks, 2, &ftyp_bytes, &why), E_OK);
    assert_memory_equal(w.data + ftyp_bytes,
                        "\0\0\0\x10"
                        "free",
                        8);
    mp4_gather_init(&g, k_tracks, 2, release);
    add(&g, 1, 0, buf_view_str("sound"));
    add(&g, 0, 0, buf_view_str("picture"));
    g_n_released = 0;
    assert_int_equal(mp4_gather_write(&g, &w, 0, 40000), E_OK);
    assert_int_equal(g_n_released, 2);
    assert_memory_equal(w.data + w.used_bytes - 12, "picturesound", 12);
    movie = read_movie(buf_writer_view(&w));
    assert_int_equal(movie->n_samples, 2);
    assert_int_equal(movie->samples[0].duration, 3600);     /* to the picture that follows */
    assert_int_equal(mp4_gather_write(&g, &w, 0, 0), E_OK); /* nothing is held */
    mp4_gather_fini(&g);
    buf_writer_fini(&w);
    free(movie);
}

static void test_put_hold_gives_an_mdat_of_64_bits(void **state)
{
    static const uint8_t k_want[] = {0, 0, 0, 1, 'm', 'd', 'a', 't', 1, 2, 3, 4, 5, 6, 7, 8};
    uint8_t got[MP4_HOLD_BYTES];

    (void)state;
    mp4_put_hold(got, UINT64_C(0x0102030405060708));
    assert_memory_equal(got, k_want, sizeof k_want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gather_is_due_at_an_entry_and_after_2_s_and_4_mb),
        cmocka_unit_test(test_write_gives_head_and_fragment_with_video_in_front),
        cmocka_unit_test(test_put_hold_gives_an_mdat_of_64_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
