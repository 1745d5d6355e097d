/* The muxer packet by packet, read by the reader of ts_test.h. */
#include "tests/unit/proto/ts/ts_test.h"

static const uint8_t k_avcc[] = {
    0x01, 0x64, 0x00, 0x0d, 0xff, 0xe1, 0x00, 0x1b, 0x67, 0x64, 0x00, 0x0d, 0xac, 0xd9, 0x41, 0x41,
    0x9f, 0x9f, 0x01, 0x6a, 0x02, 0x02, 0x02, 0x80, 0x00, 0x01, 0xf4, 0x80, 0x00, 0x75, 0x30, 0x07,
    0x8a, 0x14, 0xcb, 0x01, 0x00, 0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00,
};
static const uint8_t k_asc[] = {0x12, 0x10};

struct bench {
    struct ts_mux mux;
    struct ts_capture out;
    struct ts_reading *read;
    const char *why;
};

static void bench_init(struct bench *b)
{
    ts_mux_init(&b->mux);
    capture_init(&b->out);
    b->read = malloc(sizeof *b->read);
    assert_non_null(b->read);
    reading_init(b->read);
    b->why = NULL;
}

static void bench_fini(struct bench *b)
{
    ts_mux_fini(&b->mux);
    buf_writer_fini(&b->out.bytes);
    reading_fini(b->read);
    free(b->read);
}

/* Reads all that has been written. */
static void read_all(struct bench *b)
{
    read_ts(b->read, buf_writer_view(&b->out.bytes));
    read_end(b->read);
    assert_pcr_steps(b->read);
    buf_writer_clear(&b->out.bytes);
}

static enum err set(struct bench *b, enum media_codec codec, uint8_t track_id,
                    struct buf_view bytes)
{
    struct codec_params params;
    enum err e = codec_has_config(codec) ? codec_params_from_config(codec, bytes, &params, &b->why)
                                         : codec_params_from_frame(codec, bytes, &params, &b->why);

    assert_int_equal(e, E_OK);
    return ts_mux_set_track(&b->mux, track_id, &params, &b->why);
}

static void set_av(struct bench *b)
{
    assert_int_equal(set(b, CODEC_H264, 0, VIEW(k_avcc)), E_OK);
    assert_int_equal(set(b, CODEC_AAC, 0, VIEW(k_asc)), E_OK);
}

static enum err put_frame(struct bench *b, const struct ts_frame *frame)
{
    b->why = NULL;
    return ts_mux_write(&b->mux, &b->out.sink, frame, &b->why);
}

/* One slice of size_bytes, counted without its NAL unit length. */
static enum err put_video(struct bench *b, int64_t dts_us, int64_t cts_us, bool key,
                          size_t size_bytes)
{
    uint8_t *es = malloc(4 + size_bytes);
    struct ts_frame frame = {.kind = MEDIA_VIDEO,
                             .codec = CODEC_H264,
                             .key = key,
                             .entry = key,
                             .dts_us = dts_us,
                             .pts_us = dts_us + cts_us,
                             .es = buf_view_of(es, 4 + size_bytes)};
    enum err e;

    assert_non_null(es);
    for (unsigned i = 0; i < 4; i++)
        es[i] = (uint8_t)(size_bytes >> (24 - i * 8));
    memset(es + 4, 0x5a, size_bytes);
    es[4] = key ? 0x65 : 0x41;
    e = put_frame(b, &frame);
    free(es);
    return e;
}

static enum err put_audio(struct bench *b, int64_t dts_us, size_t size_bytes)
{
    uint8_t es[8192] = {0x21};
    struct ts_frame frame = {.kind = MEDIA_AUDIO,
                             .codec = CODEC_AAC,
                             .dts_us = dts_us,
                             .pts_us = dts_us,
                             .es = buf_view_of(es, size_bytes)};

    return put_frame(b, &frame);
}

/* --- tables --- */

static void test_write_puts_pat_and_pmt_before_the_first_frame(void **state)
{
    struct bench b;

    (void)state;
    bench_init(&b);
    set_av(&b);
    assert_int_equal(put_audio(&b, 0, 100), E_OK);
    read_all(&b);
    assert_int_equal(b.read->n_pat, 1);
    assert_int_equal(b.read->n_pmt, 1);
    assert_int_equal(b.read->pes[0].psi_packets, 2);
    assert_int_equal(b.read->pcr_pid, TS_PID_VIDEO);
    assert_int_equal(b.read->n_streams, 2);
    assert_int_equal(b.read->streams[0].type, 0x1b);
    assert_int_equal(b.read->streams[0].pid, TS_PID_VIDEO);
    assert_int_equal(b.read->streams[1].type, 0x0f);
    assert_int_equal(b.read->streams[1].pid, TS_PID_AUDIO);
    bench_fini(&b);
}

static void test_write_repeats_tables_at_entries_and_within_half_a_second(void **state)
{
    struct bench b;

    (void)state;
    bench_init(&b);
    set_av(&b);
    for (int64_t i = 0; i <= 50; i++) /* 2 s, key frames every 1 s */
        assert_int_equal(put_video(&b, i * 40000, 0, i % 25 == 0, 300), E_OK);
    read_all(&b);
    assert_int_equal(b.read->n_pat, 7); /* 0, 0.4, 0.8, 1, 1.4, 1.8, 2 s */
    assert_int_equal(b.read->n_pmt, 7);
    assert_int_equal(b.read->n_versions, 1);
    bench_fini(&b);
}

static void test_set_track_grows_the_version_when_a_track_comes_late(void **state)
{
    struct bench b;
    int version;

    (void)state;
    bench_init(&b);
    assert_int_equal(set(&b, CODEC_AAC, 0, VIEW(k_asc)), E_OK);
    assert_int_equal(put_audio(&b, 0, 100), E_OK);
    read_all(&b);
    assert_int_equal(b.read->pcr_pid, TS_PID_AUDIO);
    version = b.read->version;
    assert_int_equal(set(&b, CODEC_H264, 0, VIEW(k_avcc)), E_OK);
    assert_int_equal(put_audio(&b, 23000, 100), E_OK);
    assert_int_equal(put_video(&b, 30000, 0, true, 500), E_OK);
    read_all(&b);
    assert_int_equal(b.read->version, version + 1);
    assert_int_equal(b.read->pcr_pid, TS_PID_VIDEO);
    assert_int_equal(b.read->n_streams, 2);
    assert_int_equal(b.read->pes[1].psi_packets, 4); /* said before the next frame */
    bench_fini(&b);
}

static void test_set_track_keeps_the_version_when_nothing_is_new(void **state)
{
    struct bench b;
    uint8_t version;

    (void)state;
    bench_init(&b);
    set_av(&b);
    version = b.mux.version;
    set_av(&b);
    assert_int_equal(b.mux.version, version);
    bench_fini(&b);
}

static void test_set_track_changes_the_type_on_the_same_pid(void **state)
{
    static const uint8_t k_mp3[] = {0xff, 0xfb, 0x92, 0x64};
    static const uint8_t k_mp3_low[] = {0xff, 0xf3, 0x84, 0x00};
    struct bench b;

    (void)state;
    bench_init(&b);
    set_av(&b);
    assert_int_equal(put_audio(&b, 0, 100), E_OK);
    assert_int_equal(set(&b, CODEC_MP3, 0, VIEW(k_mp3)), E_OK);
    assert_int_equal(put_audio(&b, 23000, 100), E_NOT_FOUND); /* still AAC */
    assert_non_null(b.why);
    assert_int_equal(put_video(&b, 30000, 0, true, 500), E_OK);
    read_all(&b);
    assert_int_equal(b.read->streams[1].type, 0x03);
    assert_int_equal(b.read->streams[1].pid, TS_PID_AUDIO);
    assert_int_equal(set(&b, CODEC_MP3, 0, VIEW(k_mp3_low)), E_OK);
    assert_int_equal(put_video(&b, 70000, 0, true, 500), E_OK);
    read_all(&b);
    assert_int_equal(b.read->streams[1].type, 0x04);
    bench_fini(&b);
}

static void test_set_track_removes_a_track_that_ts_cannot_carry(void **state)
{
    static const uint8_t k_vpcc[] = {0, 10, 0x82, 2, 2, 2, 0, 0};
    struct bench b;

    (void)state;
    bench_init(&b);
    set_av(&b);
    assert_int_equal(set(&b, CODEC_VP9, 0, VIEW(k_vpcc)), E_UNSUPPORTED);
    assert_string_equal(b.why, "TS has no mapping for this codec");
    assert_false(ts_mux_has_track(&b.mux, MEDIA_VIDEO, 0));
    assert_true(ts_mux_has_track(&b.mux, MEDIA_AUDIO, 0));
    assert_int_equal(put_audio(&b, 0, 100), E_OK);
    read_all(&b);
    assert_int_equal(b.read->n_streams, 1);
    assert_int_equal(b.read->pcr_pid, TS_PID_AUDIO);
    ts_mux_remove_track(&b.mux, MEDIA_AUDIO, 7); /* not there */
    ts_mux_remove_track(&b.mux, MEDIA_AUDIO, 0);
    assert_int_equal(b.mux.pcr_pid, 0x1fff);
    bench_fini(&b);
}

static void test_set_track_counts_on_when_a_track_comes_back(void **state)
{
    struct bench b;

    (void)state;
    bench_init(&b);
    set_av(&b);
    for (int64_t i = 0; i < 20; i++) {
        assert_int_equal(put_video(&b, i * 40000, 0, true, 100), E_OK);
        assert_int_equal(put_audio(&b, i * 40000, 100), E_OK);
        ts_mux_remove_track(&b.mux, MEDIA_AUDIO, 0);
        assert_int_equal(put_audio(&b, i * 40000, 100), E_NOT_FOUND);
        assert_int_equal(put_video(&b, i * 40000 + 20000, 0, false, 100), E_OK);
        set_av(&b);
    }
    read_all(&b); /* checks the counters */
    assert_int_equal(b.read->n_versions, 40);
    bench_fini(&b);
}

static void test_set_track_gives_limit_above_8_tracks(void **state)
{
    static const uint8_t k_opus[] = {'O',  'p', 'u',  's',  'H', 'e', 'a', 'd', 1, 2,
                                     0x38, 1,   0x80, 0xbb, 0,   0,   0,   0,   0};
    struct bench b;

    (void)state;
    bench_init(&b);
    for (uint8_t i = 8; i > 0; i--) /* in any order */
        assert_int_equal(set(&b, CODEC_OPUS, i, VIEW(k_opus)), E_OK);
    assert_int_equal(set(&b, CODEC_H264, 0, VIEW(k_avcc)), E_LIMIT);
    assert_non_null(b.why);
    ts_mux_write_psi(&b.mux, &b.out.sink);
    read_all(&b);
    assert_int_equal(b.read->n_streams, 8);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(b.read->streams[i].pid, TS_PID_AUDIO + 1 + i);
    bench_fini(&b);
}

static void test_write_psi_is_followed_by_the_next_tables(void **state)
{
    struct bench b;

    (void)state;
    bench_init(&b);
    set_av(&b);
    for (int64_t i = 0; i < 40; i++) { /* the counters wrap */
        ts_mux_write_psi(&b.mux, &b.out.sink);
        assert_int_equal(put_video(&b, i * 40000, 0, true, 100), E_OK);
        reading_fini(b.read);
        reading_init(b.read); /* who joins here */
        read_all(&b);
        assert_int_equal(b.read->n_pat, 2);
    }
    bench_fini(&b);
}

/* --- time --- */

static uint64_t ticks_of(int64_t time_us)
{
    return (uint64_t)((time_us * 9 + (time_us < 0 ? -50 : 50)) / 100) & 0x1ffffffff;
}

static void test_write_gives_stamps_to_the_nearest_tick(void **state)
{
    static const int64_t k_times_us[] = {
        0,      1,           5,           6,           33333,       33367,
        40000,  1000001,     99,          100,         -1,          -100000,
        -33367, 86400000000, 95443717677, 95443717690, 95443717688, INT64_C(3155760000000000)};
    struct bench b;

    (void)state;
    bench_init(&b);
    set_av(&b);
    for (size_t i = 0; i < N_ELEMENTS(k_times_us); i++) {
        assert_int_equal(put_video(&b, k_times_us[i], 80000, false, 100), E_OK);
        read_all(&b);
        assert_int_equal(b.read->pes[i].dts, ticks_of(k_times_us[i]));
        assert_int_equal(b.read->pes[i].pts, ticks_of(k_times_us[i] + 80000));
    }
    bench_fini(&b);
}

static void test_write_survives_times_at_the_ends_of_64_bits(void **state)
{
    static const int64_t k_times_us[] = {INT64_MAX, INT64_MIN, 0, INT64_MAX, INT64_MIN + 50000};
    struct bench b;

    (void)state;
    bench_init(&b);
    set_av(&b);
    for (size_t i = 0; i < N_ELEMENTS(k_times_us); i++)
        assert_int_equal(put_video(&b, k_times_us[i], 0, false, 100), E_OK);
    read_all(&b);
    assert_int_equal(b.read->n_pes, N_ELEMENTS(k_times_us));
    for (size_t i = 1; i < b.read->n_pcr; i++)
        assert_true(b.read->pcr_jump[i]);
    bench_fini(&b);
}

static void test_write_omits_dts_when_it_equals_pts(void **state)
{
    struct bench b;

    (void)state;
    bench_init(&b);
    set_av(&b);
    assert_int_equal(put_video(&b, 40000, 0, true, 100), E_OK);
    read_all(&b);
    assert_int_equal(b.read->pes[0].pts, 3600);
    assert_int_equal(b.read->pes[0].dts, 3600);
    bench_fini(&b);
}

/* The wrap of 33 bits is after 26.5 hours; dts and PCR step over it evenly. */
static void test_write_wraps_stamps_at_33_bits(void **state)
{
    const int64_t wrap_us = (INT64_C(1) << 33) * 100 / 9;
    struct bench b;

    (void)state;
    bench_init(&b);
    set_av(&b);
    for (int64_t i = 0; i < 10; i++)
        assert_int_equal(put_video(&b, wrap_us - 200000 + i * 40000, 0, i == 0, 100), E_OK);
    read_all(&b);
    for (size_t i = 1; i < b.read->n_pes; i++)
        assert_in_range((b.read->pes[i].dts - b.read->pes[i - 1].dts) & 0x1ffffffff, 3599, 3601);
    assert_true(b.read->pes[9].dts < b.read->pes[0].dts);
    for (size_t i = 0; i < b.read->n_pcr; i++)
        assert_false(b.read->pcr_jump[i]);
    bench_fini(&b);
}

/* PCR is the dts less the delay, to 27 MHz: no jitter at all. */
static void test_write_gives_a_pcr_with_every_video_frame(void **state)
{
    struct bench b;

    (void)state;
    bench_init(&b);
    set_av(&b);
    for (int64_t i = 1; i < 100; i++)
        assert_int_equal(put_video(&b, i * 33367, 0, i == 1, 2000), E_OK);
    read_all(&b);
    assert_int_equal(b.read->n_pcr, 99);
    for (size_t i = 0; i < b.read->n_pcr; i++) {
        int64_t pcr_us = ((int64_t)i + 1) * 33367 - TS_PCR_DELAY_US;

        assert_int_equal(b.read->pcr[i],
                         (uint64_t)(pcr_us * 27 + (INT64_C(300) << 33)) % (UINT64_C(300) << 33));
        assert_int_equal(b.read->pcr_packet[i], b.read->pes[i].packet);
    }
    assert_int_equal(b.read->n_adaptation_only, 0);
    bench_fini(&b);
}

static void test_write_fills_gaps_of_the_clock_when_frames_are_rare(void **state)
{
    struct bench b;

    (void)state;
    bench_init(&b);
    set_av(&b);
    for (int64_t i = 0; i < 4; i++) /* one frame a second */
        assert_int_equal(put_video(&b, i * 1000000, 0, true, 100), E_OK);
    read_all(&b);
    assert_int_equal(b.read->n_pcr, 1 + 3 * 25);
    assert_int_equal(b.read->n_adaptation_only, 3 * 24);
    bench_fini(&b);
}

static void test_write_keeps_the_clock_on_video_while_only_audio_comes(void **state)
{
    struct bench b;

    (void)state;
    bench_init(&b);
    set_av(&b);
    assert_int_equal(put_video(&b, 0, 0, true, 100), E_OK);
    for (int64_t i = 0; i < 50; i++)
        assert_int_equal(put_audio(&b, i * 23220, 100), E_OK);
    read_all(&b); /* read_pcr() checks the PID */
    assert_int_equal(b.read->n_pcr, 1 + 49 * 23220 / 40000);
    bench_fini(&b);
}

static void test_write_keeps_the_clock_on_audio_when_there_is_no_video(void **state)
{
    struct bench b;

    (void)state;
    bench_init(&b);
    assert_int_equal(set(&b, CODEC_AAC, 0, VIEW(k_asc)), E_OK);
    for (int64_t i = 0; i < 50; i++)
        assert_int_equal(put_audio(&b, i * 128000, 100), E_OK); /* 8 kHz */
    read_all(&b);
    assert_int_equal(b.read->pcr_pid, TS_PID_AUDIO);
    assert_true(b.read->n_pcr >= 49 * 128 / 40);
    bench_fini(&b);
}

/* Audio that lags a little must not turn the clock back, nor come before it. */
static void test_write_never_turns_the_clock_back_for_frames_out_of_order(void **state)
{
    struct bench b;

    (void)state;
    bench_init(&b);
    set_av(&b);
    for (int64_t i = 0; i < 100; i++) {
        assert_int_equal(put_video(&b, i * 40000, 80000, i % 25 == 0, 1000), E_OK);
        assert_int_equal(put_audio(&b, i * 40000 - 60000, 100), E_OK);
    }
    read_all(&b);
    for (size_t i = 0; i < b.read->n_pcr; i++)
        assert_false(b.read->pcr_jump[i]);
    bench_fini(&b);
}

static void test_write_says_discontinuity_when_time_jumps(void **state)
{
    static const int64_t k_starts_us[] = {0, 3600000000, 0, 20000000};
    struct bench b;
    size_t n_jumps = 0;

    (void)state;
    bench_init(&b);
    set_av(&b);
    for (size_t j = 0; j < N_ELEMENTS(k_starts_us); j++)
        for (int64_t i = 0; i < 10; i++) {
            assert_int_equal(put_video(&b, k_starts_us[j] + i * 40000, 0, i == 0, 100), E_OK);
            assert_int_equal(put_audio(&b, k_starts_us[j] + i * 40000, 100), E_OK);
        }
    read_all(&b);
    for (size_t i = 0; i < b.read->n_pcr; i++)
        n_jumps += b.read->pcr_jump[i];
    assert_int_equal(n_jumps, 3);
    bench_fini(&b);
}

/* --- packets --- */

/* Sizes around each place where a packet is just full, with one or two bytes of stuffing. */
static void test_write_gives_back_every_size_of_frame(void **state)
{
    struct bench b;

    (void)state;
    bench_init(&b);
    set_av(&b);
    for (size_t size = 1; size < 600; size++) {
        size_t n = b.read->n_pes;
        struct buf_view got;

        assert_int_equal(put_video(&b, (int64_t)size * 40000, size % 2 ? 0 : 40000, false, size),
                         E_OK);
        assert_int_equal(put_audio(&b, (int64_t)size * 40000, size), E_OK);
        read_all(&b);
        got = pes_payload(b.read, n);
        assert_int_equal(got.size_bytes, 6 + 4 + size); /* delimiter, start code */
        assert_int_equal(got.data[6 + 4], 0x41);
        for (size_t i = 1; i < size; i++)
            assert_int_equal(got.data[6 + 4 + i], 0x5a);
        got = pes_payload(b.read, n + 1);
        assert_int_equal(got.size_bytes, 7 + size);
        assert_int_equal(got.data[7], 0x21);
    }
    bench_fini(&b);
}

static void test_write_gives_few_large_pieces_to_the_sink(void **state)
{
    struct bench b;

    (void)state;
    bench_init(&b);
    set_av(&b);
    assert_int_equal(put_video(&b, 0, 0, true, 1 << 20), E_OK);
    assert_true(b.out.n_puts < 200);
    read_all(&b);
    assert_int_equal(b.read->pes[0].length, 0);
    assert_true(b.read->pes[0].size_bytes > 1 << 20);
    bench_fini(&b);
}

static void test_write_marks_random_access_points(void **state)
{
    struct bench b;

    (void)state;
    bench_init(&b);
    set_av(&b);
    assert_int_equal(put_video(&b, 0, 0, true, 100), E_OK);
    assert_int_equal(put_video(&b, 40000, 0, false, 100), E_OK);
    assert_int_equal(put_audio(&b, 40000, 100), E_OK);
    read_all(&b);
    assert_true(b.read->pes[0].random_access && b.read->pes[0].aligned);
    assert_false(b.read->pes[1].random_access);
    assert_false(b.read->pes[2].random_access);
    bench_fini(&b);
}

static void test_write_refuses_without_a_trace(void **state)
{
    static const uint8_t k_broken[] = {0, 0, 0, 9, 0x41};
    struct ts_frame broken = {.kind = MEDIA_VIDEO, .codec = CODEC_H264, .es = VIEW(k_broken)};
    struct ts_frame unknown = {.kind = MEDIA_VIDEO, .codec = CODEC_H264, .track_id = 3};
    struct ts_frame empty = {.kind = MEDIA_AUDIO, .codec = CODEC_AAC};
    struct bench b;

    (void)state;
    bench_init(&b);
    set_av(&b);
    assert_int_equal(put_frame(&b, &broken), E_PROTO);
    assert_string_equal(b.why, "NAL unit length reaches over the end of the frame");
    assert_int_equal(put_frame(&b, &unknown), E_NOT_FOUND);
    assert_non_null(b.why);
    assert_int_equal(put_frame(&b, &empty), E_PROTO);
    assert_string_equal(b.why, "empty audio frame");
    assert_int_equal(put_audio(&b, 0, 8185), E_TOO_BIG);
    assert_non_null(b.why);
    assert_int_equal(b.out.bytes.used_bytes, 0);
    assert_int_equal(put_audio(&b, 0, 8184), E_OK);
    read_all(&b);
    assert_int_equal(b.read->n_pes, 1);
    bench_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_puts_pat_and_pmt_before_the_first_frame),
        cmocka_unit_test(test_write_repeats_tables_at_entries_and_within_half_a_second),
        cmocka_unit_test(test_set_track_grows_the_version_when_a_track_comes_late),
        cmocka_unit_test(test_set_track_keeps_the_version_when_nothing_is_new),
        cmocka_unit_test(test_set_track_changes_the_type_on_the_same_pid),
        cmocka_unit_test(test_set_track_removes_a_track_that_ts_cannot_carry),
        cmocka_unit_test(test_set_track_counts_on_when_a_track_comes_back),
        cmocka_unit_test(test_set_track_gives_limit_above_8_tracks),
        cmocka_unit_test(test_write_psi_is_followed_by_the_next_tables),
        cmocka_unit_test(test_write_gives_stamps_to_the_nearest_tick),
        cmocka_unit_test(test_write_survives_times_at_the_ends_of_64_bits),
        cmocka_unit_test(test_write_omits_dts_when_it_equals_pts),
        cmocka_unit_test(test_write_wraps_stamps_at_33_bits),
        cmocka_unit_test(test_write_gives_a_pcr_with_every_video_frame),
        cmocka_unit_test(test_write_fills_gaps_of_the_clock_when_frames_are_rare),
        cmocka_unit_test(test_write_keeps_the_clock_on_video_while_only_audio_comes),
        cmocka_unit_test(test_write_keeps_the_clock_on_audio_when_there_is_no_video),
        cmocka_unit_test(test_write_never_turns_the_clock_back_for_frames_out_of_order),
        cmocka_unit_test(test_write_says_discontinuity_when_time_jumps),
        cmocka_unit_test(test_write_gives_back_every_size_of_frame),
        cmocka_unit_test(test_write_gives_few_large_pieces_to_the_sink),
        cmocka_unit_test(test_write_marks_random_access_points),
        cmocka_unit_test(test_write_refuses_without_a_trace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
