/* The demuxer against FFmpeg's muxer: frames of every codec, remuxed from MP4, come out as they are
 * in the MP4 file, however the bytes are split. */
#include "tests/unit/proto/ts/mp4_test.h"

#include "proto/codec/annexb.h"
#include "proto/codec/nal.h"
#include "proto/ts/ts_demux.h"

/* In a file with pictures, sound begins with a gap, which is lost where PES packets have more. */
#define ONE_FRAME "-pes_payload_size 0 "
#define MAX_UNITS 1000
#define MAX_FRAME_BYTES (1u << 20)
#define TICK_US 12

static const struct demux_case {
    const char *name, *arguments, *muxer;
    enum media_codec video, audio;
} k_cases[] = {
    {"H.264 with B-frames and AAC",
     TEST_VIDEO TEST_AUDIO "-c:v libx264 -preset veryfast -bf 3 -g 20 -c:a aac -ac 2", ONE_FRAME,
     CODEC_H264, CODEC_AAC},
    {"H.264 with delimiters, and AAC in LATM",
     TEST_VIDEO TEST_AUDIO "-c:v libx264 -x264-params slices=4:aud=1:keyint=10 -c:a aac -ac 2",
     ONE_FRAME "-mpegts_flags latm", CODEC_H264, CODEC_AAC},
    {"HEVC with B-frames and AC-3",
     TEST_VIDEO TEST_AUDIO
     "-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=20:bframes=3 "
     "-tag:v hvc1 -c:a ac3 -ac 6",
     ONE_FRAME, CODEC_HEVC, CODEC_AC3},
    {"H.264 and E-AC-3, as DVB has them",
     TEST_VIDEO TEST_AUDIO "-c:v libx264 -preset ultrafast -g 30 -c:a eac3 -ac 6",
     ONE_FRAME "-mpegts_flags system_b", CODEC_H264, CODEC_EAC3},
    {"Opus alone", TEST_AUDIO "-c:a libopus -ac 2", "", CODEC_NONE, CODEC_OPUS},
    {"Opus 5.1 alone", TEST_AUDIO "-c:a libopus -ac 6 -mapping_family 1", "", CODEC_NONE,
     CODEC_OPUS},
    {"MP3 alone", TEST_AUDIO "-c:a libmp3lame", "", CODEC_NONE, CODEC_MP3},
    {"AAC 5.1 alone", TEST_AUDIO "-c:a aac -ac 6", "", CODEC_NONE, CODEC_AAC},
};

struct kept_unit {
    struct ts_unit unit;
    size_t at; /* of its bytes */
};

struct reading {
    struct kept_unit units[MAX_UNITS];
    size_t n_units;
    struct buf_writer bytes;
    struct ts_demux_counts counts;
};

static void keep(struct reading *r, const struct ts_unit *unit)
{
    assert_true(r->n_units < MAX_UNITS);
    r->units[r->n_units].unit = *unit;
    r->units[r->n_units++].at = r->bytes.used_bytes;
    buf_write_view(&r->bytes, unit->es);
    assert_int_equal(buf_writer_status(&r->bytes), E_OK);
}

/* In pieces of so many bytes. */
static void read_in_pieces(struct buf_view ts, size_t piece_bytes, struct reading *r)
{
    struct ts_demux *demux = ts_demux_create(MAX_FRAME_BYTES);
    struct buf_reader all = buf_reader_from(ts);
    struct ts_unit unit;

    assert_non_null(demux);
    memset(r, 0, sizeof *r);
    buf_writer_init(&r->bytes, 64u << 20);
    while (all.left_bytes) {
        size_t n = all.left_bytes < piece_bytes ? all.left_bytes : piece_bytes;
        struct buf_reader in = buf_reader_from(buf_take(&all, n));
        enum err e;

        while ((e = ts_demux_next(demux, &in, &unit)) == E_OK)
            keep(r, &unit);
        assert_int_equal(e, E_AGAIN);
        assert_int_equal(in.left_bytes, 0);
    }
    while (ts_demux_end(demux, &unit) == E_OK)
        keep(r, &unit);
    ts_demux_get_counts(demux, &r->counts);
    ts_demux_destroy(&demux);
}

static struct buf_view bytes_of(const struct reading *r, size_t i)
{
    return buf_view_of(r->bytes.data + r->units[i].at, r->units[i].unit.es.size_bytes);
}

static void assert_same(const struct reading *a, const struct reading *b)
{
    assert_int_equal(a->n_units, b->n_units);
    assert_int_equal(a->bytes.used_bytes, b->bytes.used_bytes);
    assert_memory_equal(a->bytes.data, b->bytes.data, a->bytes.used_bytes);
    for (size_t i = 0; i < a->n_units; i++) {
        assert_int_equal(a->units[i].unit.dts_us, b->units[i].unit.dts_us);
        assert_int_equal(a->units[i].unit.pts_us, b->units[i].unit.pts_us);
        assert_int_equal(a->units[i].unit.config, b->units[i].unit.config);
    }
}

/* --- what ffmpeg makes -------------------------------------------------------------------------
 */

struct job {
    struct ffmpeg_job files;
    struct reading reading, other;
};
static struct job *s_job;

static int setup(void **state)
{
    (void)state;
    s_job = calloc(1, sizeof *s_job);
    return s_job ? ffmpeg_job_begin(&s_job->files) : -1;
}

static int teardown(void **state)
{
    (void)state;
    ffmpeg_job_end(&s_job->files);
    free(s_job);
    return 0;
}

static bool make(const struct demux_case *c)
{
    char command[1024];

    (void)snprintf(command, sizeof command,
                   "ffmpeg -v error -y -i %s -map 0 -c copy -flush_packets 0 %s -f mpegts %s "
                   ">/dev/null 2>&1",
                   s_job->files.mp4, c->muxer, s_job->files.ts);
    return ffmpeg_encode(&s_job->files, c->arguments) && system(command) == 0;
}

static void load(const char *path, struct buf_writer *out)
{
    FILE *f = fopen(path, "rb");
    uint8_t piece[4096];
    size_t n;

    assert_non_null(f);
    buf_writer_init(out, 64u << 20);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        buf_write(out, piece, n);
    assert_int_equal(fclose(f), 0);
}

/* The NAL units of a frame, but for those that the demuxer leaves out, and SEI: FFmpeg adds what
 * the configuration has of it. */
static void write_essence(enum media_codec codec, struct buf_view es, struct buf_writer *out)
{
    const unsigned left_out = 1u << NAL_VPS | 1u << NAL_SPS | 1u << NAL_PPS | 1u << NAL_AUD |
                              1u << NAL_FILLER | 1u << NAL_END | 1u << NAL_SEI;
    struct nal_reader r = nal_reader_from(es, 4);
    struct buf_view nal;
    const char *why;

    buf_writer_clear(out);
    if (codec != CODEC_H264 && codec != CODEC_HEVC) {
        buf_write_view(out, es);
        return;
    }
    while (nal_next(&r, &nal, &why) == E_OK) {
        if (1u << nal_kind_of(codec, nal) & left_out)
            continue;
        buf_write_u32be(out, (uint32_t)nal.size_bytes);
        buf_write_view(out, nal);
    }
}

static void compare_track(const struct demux_case *c, const struct mp4_track *t)
{
    enum media_codec codec = t->kind == MEDIA_VIDEO ? c->video : c->audio;
    const struct reading *r = &s_job->reading;
    int64_t first_us = INT64_MIN;
    struct buf_writer want, got;
    size_t n = 0;

    buf_writer_init(&want, MAX_FRAME_BYTES);
    buf_writer_init(&got, MAX_FRAME_BYTES);
    for (size_t i = 0; i < r->n_units; i++) {
        const struct ts_unit *u = &r->units[i].unit;
        const struct mp4_sample *s = &t->samples[n];

        if (u->kind != t->kind || u->config)
            continue;
        assert_true(n++ < t->n_samples);
        if (first_us == INT64_MIN)
            first_us = u->dts_us - s->dts_us;
        assert_int_equal(u->codec, codec);
        assert_in_range(u->dts_us - first_us - s->dts_us + TICK_US, 0, 2 * TICK_US);
        assert_in_range(u->pts_us - first_us - s->pts_us + TICK_US, 0, 2 * TICK_US);
        if (t->kind == MEDIA_VIDEO)
            assert_int_equal(u->key, s->key);
        write_essence(codec, s->es, &want);
        write_essence(codec, bytes_of(r, i), &got);
        assert_int_equal(got.used_bytes, want.used_bytes);
        assert_memory_equal(got.data, want.data, want.used_bytes);
    }
    print_message("  %s: %zu of %zu frames\n", media_codec_name(codec), n, t->n_samples);
    assert_int_equal(n, t->n_samples);
    buf_writer_fini(&want);
    buf_writer_fini(&got);
}

/* One configuration a track, of which the parser makes what the source was. */
static void check_configs(const struct demux_case *c)
{
    const struct reading *r = &s_job->reading;
    size_t n = 0;

    for (size_t i = 0; i < r->n_units; i++) {
        struct codec_params params;
        const char *why = "";

        if (!r->units[i].unit.config)
            continue;
        n++;
        if (codec_params_from_config(r->units[i].unit.codec, bytes_of(r, i), &params, &why) != E_OK)
            fail_msg("%s", why);
        if (params.kind == MEDIA_VIDEO) {
            assert_int_equal(params.video.width, 320);
            assert_int_equal(params.video.height, 180);
        } else {
            assert_int_equal(params.audio.sample_rate_hz, 48000);
        }
    }
    assert_int_equal(n, (c->video != CODEC_NONE) +
                            (c->audio != CODEC_NONE && codec_has_config(c->audio)));
}

static void check_case(const struct demux_case *c)
{
    static const size_t k_pieces[] = {1, 7, 187, 188, 189, 1316};
    struct buf_writer ts;

    mp4_open(&s_job->files.movie, s_job->files.mp4);
    load(s_job->files.ts, &ts);
    read_in_pieces(buf_writer_view(&ts), ts.used_bytes, &s_job->reading);
    assert_int_equal(s_job->reading.counts.n_lost, 0);
    assert_int_equal(s_job->reading.counts.n_broken, 0);
    assert_int_equal(s_job->reading.counts.n_resyncs, 0);
    for (size_t i = 0; i < s_job->files.movie.n_tracks; i++)
        compare_track(c, &s_job->files.movie.tracks[i]);
    check_configs(c);
    for (size_t i = 0; i < N_ELEMENTS(k_pieces); i++) {
        read_in_pieces(buf_writer_view(&ts), k_pieces[i], &s_job->other);
        assert_same(&s_job->reading, &s_job->other);
        buf_writer_fini(&s_job->other.bytes);
    }
    buf_writer_fini(&s_job->reading.bytes);
    buf_writer_fini(&ts);
    mp4_close(&s_job->files.movie);
}

static void test_demux_gives_the_frames_that_ffmpeg_muxed(void **state)
{
    size_t n_checked = 0;

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_cases); i++) {
        if (!make(&k_cases[i])) {
            print_message("%s: left out, cannot be encoded here\n", k_cases[i].name);
            continue;
        }
        print_message("%s\n", k_cases[i].name);
        check_case(&k_cases[i]);
        n_checked++;
    }
    if (n_checked == 0)
        skip();
}

/* --- what is wrong with bytes ------------------------------------------------------------------
 */

struct capture_sink {
    struct ts_sink sink;
    struct buf_writer bytes;
};

static void put_to_writer(struct ts_sink *sink, struct buf_view bytes)
{
    buf_write_view(&((struct capture_sink *)sink)->bytes, bytes);
}

#define N_FRAMES 50
#define STEP_US 40000

/* MP3 of one byte values: 50 frames of 417 bytes, three packets each, 40 ms apart. */
static void mux_mp3(struct capture_sink *c, int64_t from_us)
{
    uint8_t frame[417] = {0xff, 0xfb, 0x90, 0x00};
    struct codec_params params;
    struct ts_mux mux;
    const char *why;

    c->sink.put = put_to_writer;
    buf_writer_init(&c->bytes, 1u << 20);
    ts_mux_init(&mux);
    assert_int_equal(
        codec_params_from_frame(CODEC_MP3, buf_view_of(frame, sizeof frame), &params, &why), E_OK);
    assert_int_equal(ts_mux_set_track(&mux, 0, &params, &why), E_OK);
    for (int i = 0; i < N_FRAMES; i++) {
        struct ts_frame f = {.kind = MEDIA_AUDIO,
                             .codec = CODEC_MP3,
                             .key = true,
                             .entry = i == 0,
                             .dts_us = from_us + (int64_t)i * STEP_US,
                             .pts_us = from_us + (int64_t)i * STEP_US,
                             .es = buf_view_of(frame, sizeof frame)};

        memset(frame + 4, i + 1, sizeof frame - 4);
        assert_int_equal(ts_mux_write(&mux, &c->sink, &f, &why), E_OK);
    }
    ts_mux_fini(&mux);
}

static void test_demux_goes_on_over_the_33_bit_wrap(void **state)
{
    int64_t wrap_us = (INT64_C(1) << 33) * 100 / 9;
    struct capture_sink c;
    struct reading *r = calloc(1, sizeof *r);

    (void)state;
    assert_non_null(r);
    mux_mp3(&c, wrap_us - N_FRAMES / 2 * STEP_US);
    read_in_pieces(buf_writer_view(&c.bytes), 1000, r);
    assert_int_equal(r->n_units, N_FRAMES);
    for (size_t i = 1; i < r->n_units; i++)
        assert_in_range(r->units[i].unit.dts_us - r->units[i - 1].unit.dts_us, STEP_US - TICK_US,
                        STEP_US + TICK_US);
    buf_writer_fini(&r->bytes);
    buf_writer_fini(&c.bytes);
    free(r);
}

static void test_demux_leaves_out_frames_with_a_lost_packet_and_says_so(void **state)
{
    struct capture_sink c;
    struct buf_writer holed;
    struct reading *r = calloc(1, sizeof *r);
    size_t n_lost = 0;

    (void)state;
    assert_non_null(r);
    mux_mp3(&c, 0);
    buf_writer_init(&holed, 1u << 20);
    for (size_t at = 0; at < c.bytes.used_bytes; at += TS_PACKET_BYTES) {
        const uint8_t *p = c.bytes.data + at;
        bool is_second = (p[1] & 0x5f) == 0x02 && p[2] == 0x00 && (p[3] & 0x0f) == 7;

        if (is_second)
            n_lost++;
        else
            buf_write(&holed, p, TS_PACKET_BYTES);
    }
    assert_in_range(n_lost, 5, 15);
    read_in_pieces(buf_writer_view(&holed), 500, r);
    assert_int_equal(r->counts.n_lost, n_lost);
    assert_in_range(r->n_units, N_FRAMES - n_lost, N_FRAMES);
    for (size_t i = 0; i < r->n_units; i++) {
        struct buf_view es = bytes_of(r, i);

        assert_int_equal(es.size_bytes, 417);
        for (size_t k = 5; k < es.size_bytes; k++)
            assert_int_equal(es.data[k], es.data[4]); /* never of two frames */
    }
    buf_writer_fini(&r->bytes);
    buf_writer_fini(&holed);
    buf_writer_fini(&c.bytes);
    free(r);
}

static void test_demux_finds_packets_behind_and_between_noise(void **state)
{
    struct capture_sink c;
    struct buf_writer noisy;
    struct reading *r = calloc(1, sizeof *r);
    uint8_t noise[301];

    (void)state;
    assert_non_null(r);
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = i % 50 == 3 ? 0x47 : (uint8_t)(i * 7 % 64); /* false beginnings, too */
    mux_mp3(&c, 0);
    buf_writer_init(&noisy, 1u << 20);
    buf_write(&noisy, noise, sizeof noise);
    buf_write(&noisy, c.bytes.data, 100 * TS_PACKET_BYTES);
    buf_write(&noisy, noise, sizeof noise);
    buf_write(&noisy, c.bytes.data + 100 * TS_PACKET_BYTES,
              c.bytes.used_bytes - 100 * TS_PACKET_BYTES);
    read_in_pieces(buf_writer_view(&noisy), 333, r);
    assert_int_equal(r->counts.n_resyncs, 1);
    assert_in_range(r->n_units, N_FRAMES - 3, N_FRAMES);
    buf_writer_fini(&r->bytes);
    buf_writer_fini(&noisy);
    buf_writer_fini(&c.bytes);
    free(r);
}

static void test_demux_gives_up_on_what_is_no_transport_stream(void **state)
{
    struct ts_demux *demux = ts_demux_create(MAX_FRAME_BYTES);
    uint8_t text[1000];
    struct ts_unit unit;
    enum err e = E_AGAIN;

    (void)state;
    memset(text, 'a', sizeof text);
    for (unsigned i = 0; e == E_AGAIN && i < 100; i++) {
        struct buf_reader in = buf_reader_from(buf_view_of(text, sizeof text));

        e = ts_demux_next(demux, &in, &unit);
    }
    assert_int_equal(e, E_PROTO);
    ts_demux_destroy(&demux);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_demux_gives_the_frames_that_ffmpeg_muxed, setup,
                                        teardown),
        cmocka_unit_test(test_demux_goes_on_over_the_33_bit_wrap),
        cmocka_unit_test(test_demux_leaves_out_frames_with_a_lost_packet_and_says_so),
        cmocka_unit_test(test_demux_finds_packets_behind_and_between_noise),
        cmocka_unit_test(test_demux_gives_up_on_what_is_no_transport_stream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
