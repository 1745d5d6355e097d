/* Real frames of every codec through the muxer. FFmpeg encodes them to MP4, then decodes our
 * transport stream: without one message, to the same pictures and samples. Stamps are compared to
 * the tick. Left out where ffmpeg or the encoder is not installed. */
#include "tests/unit/proto/ts/mp4_test.h"

enum { MAX_LINES = 1000 };

#define X265_QUIET "-x265-params log-level=error:keyint=20:bframes=3 -tag:v hvc1 "

static const struct movie_case {
    const char *name, *arguments;  /* of ffmpeg, in front of "-t 2 out.mp4" */
    enum media_codec video, audio; /* CODEC_NONE = none */
    bool ffmpeg_reads_it;          /* 5.1 does not know AV1 in TS */
} k_cases[] = {
    {"H.264 with B-frames and AAC",
     TEST_VIDEO TEST_AUDIO "-c:v libx264 -preset veryfast -bf 3 -g 20 -c:a aac -ac 2", CODEC_H264,
     CODEC_AAC, true},
    {"H.264, slices and delimiters of its own, and MP3",
     TEST_VIDEO TEST_AUDIO "-c:v libx264 -x264-params slices=4:aud=1:keyint=10 -c:a libmp3lame",
     CODEC_H264, CODEC_MP3, true},
    {"HEVC with B-frames and AC-3",
     TEST_VIDEO TEST_AUDIO "-c:v libx265 -preset ultrafast " X265_QUIET "-c:a ac3 -ac 6",
     CODEC_HEVC, CODEC_AC3, true},
    {"H.264 and E-AC-3",
     TEST_VIDEO TEST_AUDIO "-c:v libx264 -preset ultrafast -g 30 -c:a eac3 -ac 6", CODEC_H264,
     CODEC_EAC3, true},
    {"Opus alone", TEST_AUDIO "-c:a libopus -ac 2", CODEC_NONE, CODEC_OPUS, true},
    {"Opus 5.1 alone", TEST_AUDIO "-c:a libopus -ac 6 -mapping_family 1", CODEC_NONE, CODEC_OPUS,
     true},
    {"AAC 5.1 alone", TEST_AUDIO "-c:a aac -ac 6", CODEC_NONE, CODEC_AAC, true},
    {"AAC at 8 kHz alone", TEST_AUDIO "-c:a aac -ac 1 -ar 8000", CODEC_NONE, CODEC_AAC, true},
    {"H.264 at 5 frames a second", TEST_VIDEO "-r 5 -c:v libx264 -preset ultrafast -g 5",
     CODEC_H264, CODEC_NONE, true},
    {"AV1 and Opus",
     TEST_VIDEO TEST_AUDIO
     "-c:v libaom-av1 -pix_fmt yuv420p -usage realtime -cpu-used 8 -g 20 -c:a libopus",
     CODEC_AV1, CODEC_OPUS, false},
};

struct job {
    struct ffmpeg_job files;
    struct ts_reading reading;
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

/* --- muxing --- */

static void params_of(struct mp4_track *t, enum media_codec codec, struct codec_params *params)
{
    static uint8_t s_head[64];
    struct buf_view config = t->config;
    const char *why = NULL;
    enum err e;

    if (codec == CODEC_OPUS)
        config = buf_view_of(s_head, opus_head(t->config, s_head));
    else if (codec == CODEC_AAC)
        config = esds_config(t->config);
    e = codec_has_config(codec) ? codec_params_from_config(codec, config, params, &why)
                                : codec_params_from_frame(codec, t->samples[0].es, params, &why);
    if (e != E_OK)
        fail_msg("%s", why);
}

static enum media_codec codec_of(const struct movie_case *c, const struct mp4_track *t)
{
    return t->kind == MEDIA_VIDEO ? c->video : c->audio;
}

/* Frames of both tracks in the order of their dts. */
static void mux(const struct movie_case *c, struct mp4_file *movie, struct buf_writer *out)
{
    struct ts_capture capture;
    struct ts_mux ts;
    size_t next[MAX_MP4_TRACKS] = {0};
    const char *why = NULL;

    capture_init(&capture);
    ts_mux_init(&ts);
    for (size_t i = 0; i < movie->n_tracks; i++) {
        struct codec_params params;

        params_of(&movie->tracks[i], codec_of(c, &movie->tracks[i]), &params);
        assert_int_equal(ts_mux_set_track(&ts, 0, &params, &why), E_OK);
    }
    for (;;) {
        struct mp4_track *first = NULL;

        for (size_t i = 0; i < movie->n_tracks; i++) {
            struct mp4_track *t = &movie->tracks[i];

            if (next[i] < t->n_samples &&
                (!first ||
                 t->samples[next[i]].dts_us < first->samples[next[first - movie->tracks]].dts_us))
                first = t;
        }
        if (!first)
            break;
        struct mp4_sample *s = &first->samples[next[first - movie->tracks]++];
        struct ts_frame frame = {.kind = first->kind,
                                 .codec = codec_of(c, first),
                                 .key = s->key,
                                 .entry = s->key,
                                 .dts_us = s->dts_us,
                                 .pts_us = s->pts_us,
                                 .es = s->es};

        assert_int_equal(ts_mux_write(&ts, &capture.sink, &frame, &why), E_OK);
    }
    ts_mux_fini(&ts);
    *out = capture.bytes;
}

/* --- comparing --- */

static uint64_t ticks_of(int64_t time_us)
{
    return (uint64_t)((time_us * 9 + 50) / 100) & 0x1ffffffff;
}

/* One PES packet a frame, in order, with the stamps of the file. */
static void compare_stamps(const struct mp4_file *movie, const struct ts_reading *r)
{
    size_t next[MAX_MP4_TRACKS] = {0};

    for (size_t i = 0; i < r->n_pes; i++) {
        const struct read_pes *p = &r->pes[i];
        enum media_kind kind = p->pid < TS_PID_AUDIO ? MEDIA_VIDEO : MEDIA_AUDIO;
        size_t track = movie->tracks[0].kind == kind ? 0 : 1;
        const struct mp4_sample *s = &movie->tracks[track].samples[next[track]++];

        assert_int_equal(p->dts, ticks_of(s->dts_us));
        assert_int_equal(p->pts, ticks_of(s->pts_us));
        if (kind == MEDIA_VIDEO)
            assert_int_equal(p->random_access, s->key);
    }
    for (size_t i = 0; i < movie->n_tracks; i++)
        assert_int_equal(next[i], movie->tracks[i].n_samples);
}

/* Every PCR is before the stamps of what follows it, and never further than a frame and the delay.
 */
static void compare_clock(const struct ts_reading *r)
{
    size_t pcr = 0;

    assert_pcr_steps(r);
    assert_true(r->n_pcr > 0);
    for (size_t i = 0; i < r->n_pes; i++) {
        uint64_t ahead;

        while (pcr + 1 < r->n_pcr && r->pcr_packet[pcr + 1] <= r->pes[i].packet)
            pcr++;
        ahead = (r->pes[i].dts - r->pcr[pcr] / 300) & 0x1ffffffff;
        assert_in_range(ahead, 1, (TS_PCR_DELAY_US + TS_PCR_INTERVAL_US) / 100 * 9);
    }
}

/* AV1: without start codes and emulation prevention each access unit is the frame of the file, but
 * for a temporal delimiter. */
static void compare_obus(struct mp4_file *movie, const struct ts_reading *r)
{
    const struct mp4_track *t = &movie->tracks[movie->tracks[0].kind == MEDIA_VIDEO ? 0 : 1];
    size_t n = 0;

    for (size_t i = 0; i < r->n_pes; i++) {
        struct buf_view got = pes_payload(r, i), want;
        uint8_t plain[1 << 16];
        size_t size = 0, n_zeros = 0;

        if (r->pes[i].pid >= TS_PID_AUDIO)
            continue;
        want = t->samples[n++].es;
        assert_true(got.size_bytes < sizeof plain);
        for (size_t at = 0; at < got.size_bytes; at++) {
            uint8_t byte = got.data[at];

            if (n_zeros >= 2 && byte == 1) {
                size -= 2; /* the zeros of a start code */
            } else if (n_zeros < 2 || byte != 3) {
                plain[size++] = byte;
            }
            n_zeros = byte ? 0 : n_zeros + 1;
        }
        if (want.data[0] == 0x12) /* temporal delimiter, size 0 */
            want = buf_view_of(want.data + 2, want.size_bytes - 2);
        assert_int_equal(size, want.size_bytes);
        assert_memory_equal(plain, want.data, size);
    }
    assert_int_equal(n, t->n_samples);
}

/* MD5 of each decoded frame, one a line, as ffmpeg says; any other line is a complaint. */
static size_t decode(const char *path, const char *input, const char *map,
                     char lines[MAX_LINES][40])
{
    char command[512], line[512];
    size_t n = 0;
    FILE *pipe;

    (void)snprintf(command, sizeof command,
                   "ffmpeg -v warning -xerror -flags2 +skip_manual %s -i %s -map %s -fps_mode "
                   "passthrough -f framemd5 - 2>&1",
                   input, path, map);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    while (fgets(line, sizeof line, pipe)) {
        char *md5 = strrchr(line, ' ');

        if (line[0] == '#')
            continue;
        if (line[0] != '0' || !md5)
            fail_msg("%s: %s", path, line);
        assert_true(n < MAX_LINES);
        (void)snprintf(lines[n++], 40, "%s", md5 + 1);
    }
    assert_int_equal(pclose(pipe), 0);
    return n;
}

static void compare_decoded(const struct movie_case *c, const char *map)
{
    static char s_want[MAX_LINES][40], s_got[MAX_LINES][40];
    size_t n_want = decode(s_job->files.mp4, "", map, s_want);
    size_t n_got = decode(s_job->files.ts, "", map, s_got);

    print_message("  %s: %zu frames\n", map, n_got);
    assert_true(n_want > 5);
    assert_int_equal(n_got, n_want);
    for (size_t i = 0; i < n_got; i++)
        if (strcmp(s_got[i], s_want[i]) != 0)
            fail_msg("%s, %s: frame %zu differs", c->name, map, i);
}

static void save(struct buf_view bytes, const char *path)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes.data, 1, bytes.size_bytes, f), bytes.size_bytes);
    assert_int_equal(fclose(f), 0);
}

static void check_case(const struct movie_case *c)
{
    struct buf_writer ts;

    mp4_open(&s_job->files.movie, s_job->files.mp4);
    mux(c, &s_job->files.movie, &ts);
    save(buf_writer_view(&ts), s_job->files.ts);
    reading_init(&s_job->reading);
    read_ts(&s_job->reading, buf_writer_view(&ts));
    read_end(&s_job->reading);
    compare_stamps(&s_job->files.movie, &s_job->reading);
    compare_clock(&s_job->reading);
    if (c->ffmpeg_reads_it && c->video != CODEC_NONE)
        compare_decoded(c, "0:v");
    if (c->video == CODEC_AV1)
        compare_obus(&s_job->files.movie, &s_job->reading);
    if (c->audio != CODEC_NONE)
        compare_decoded(c, "0:a");
    reading_fini(&s_job->reading);
    buf_writer_fini(&ts);
    mp4_close(&s_job->files.movie);
}

static void test_write_gives_a_stream_that_ffmpeg_decodes_to_the_same(void **state)
{
    size_t n_checked = 0;

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_cases); i++) {
        if (!ffmpeg_encode(&s_job->files, k_cases[i].arguments)) {
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_write_gives_a_stream_that_ffmpeg_decodes_to_the_same,
                                        setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
