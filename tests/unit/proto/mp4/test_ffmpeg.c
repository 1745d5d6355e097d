/* A second opinion: what FFmpeg encodes is taken out of its own MP4, muxed here, and read back with
 * ffprobe (every frame, its bytes and times) and decoded with ffmpeg, which must not complain.
 * Skipped where the programs or an encoder are not there. */
#include "mp4_test.h"

#include <sys/stat.h>
#include <unistd.h>

#define VIDEO "-f lavfi -i testsrc2=s=128x96:r=25:d=1.2 "
#define SOUND_AT(rate) "-f lavfi -i sine=440:r=" rate ":d=1.2 -ac 2 "

static const struct source {
    const char *name, *args;
    enum media_codec codecs[MP4_MAX_TRACKS];
    const char *same_box; /* of the first track: as FFmpeg writes it */
} k_sources[] = {
    {"h264 with B-frames and aac",
     VIDEO SOUND_AT("44100") "-c:v libx264 -bf 3 -g 10 -pix_fmt yuv420p -c:a aac",
     {CODEC_H264, CODEC_AAC},
     "avcC"},
    {"hevc and aac",
     VIDEO SOUND_AT("48000") "-c:v libx265 -x265-params log-level=none:keyint=10 -tag:v hvc1 "
                             "-preset ultrafast -c:a aac",
     {CODEC_HEVC, CODEC_AAC},
     "hvcC"},
    {"av1 and opus",
     VIDEO SOUND_AT("48000") "-c:v libaom-av1 -cpu-used 8 -usage realtime -g 10 -pix_fmt yuv420p "
                             "-c:a libopus",
     {CODEC_AV1, CODEC_OPUS},
     "av1C"},
    {"vp9 and flac",
     VIDEO SOUND_AT("44100") "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 10 "
                             "-pix_fmt yuv420p -c:a flac -strict -2",
     {CODEC_VP9, CODEC_FLAC},
     "vpcC"},
    {"opus", SOUND_AT("48000") "-c:a libopus", {CODEC_OPUS}, "dOps"},
    {"flac of 96 kHz", SOUND_AT("96000") "-c:a flac -strict -2", {CODEC_FLAC}, "dfLa"},
    {"ac3", SOUND_AT("48000") "-c:a ac3", {CODEC_AC3}, "dac3"},
    {"eac3", SOUND_AT("48000") "-c:a eac3", {CODEC_EAC3}, "dec3"},
    {"mp3", SOUND_AT("44100") "-c:a libmp3lame", {CODEC_MP3}, NULL},
    {"mp3 of 22050 Hz", SOUND_AT("22050") "-c:a libmp3lame", {CODEC_MP3}, NULL},
};

static char dir[] = "/tmp/headwater_mp4_XXXXXX";

/* Runs a command in the folder of the test; true when it ends well and says nothing. */
static bool run_silently(const char *command)
{
    char line[1024], said[256];
    FILE *out;
    size_t n;

    snprintf(line, sizeof line, "cd %s && %s 2>&1", dir, command);
    out = popen(line, "r");
    assert_non_null(out);
    n = fread(said, 1, sizeof said - 1, out);
    said[n] = '\0';
    while (fgetc(out) != EOF)
        continue;
    if (pclose(out) == 0 && n == 0)
        return true;
    print_message("%s: %s\n", command, said);
    return false;
}

static struct buf_view read_file(const char *name)
{
    char path[128];
    struct stat st;
    uint8_t *data;
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &st), 0);
    data = malloc((size_t)st.st_size);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)st.st_size, f), st.st_size);
    fclose(f);
    return buf_view_of(data, (size_t)st.st_size);
}

static void free_view(struct buf_view view)
{
    free((void *)(uintptr_t)view.data);
}

static void write_file(const char *name, struct buf_view bytes)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes.data, 1, bytes.size_bytes, f), bytes.size_bytes);
    assert_int_equal(fclose(f), 0);
}

/* --- FFmpeg's sample entries as Enhanced RTMP would carry them --- */

/* The AudioSpecificConfig in an esds: descriptors 3, 4, 5, each with a size of 1 to 4 bytes. */
static void put_asc(struct buf_writer *w, struct buf_view esds)
{
    static const uint8_t k_fixed[] = {3, 13, 0}; /* bytes in front of what is nested */
    struct buf_reader r = buf_reader_from(skip_bytes(esds, 4));

    for (unsigned i = 0; i < 3; i++) {
        size_t size_bytes = 0;
        uint8_t byte;

        assert_int_equal(buf_read_u8(&r), 3 + i);
        do {
            byte = buf_read_u8(&r);
            size_bytes = size_bytes << 7 | (byte & 0x7f);
        } while (byte & 0x80);
        r = buf_reader_from(buf_take(&r, size_bytes));
        (void)buf_take(&r, k_fixed[i]);
    }
    assert_false(r.overrun);
    buf_write_view(w, buf_rest(&r));
}

/* dOps is big endian and of version 0, OpusHead little endian and of version 1. */
static void put_opus_head(struct buf_writer *w, struct buf_view dops)
{
    struct buf_reader r = buf_reader_from(dops);

    (void)buf_read_u8(&r);
    buf_write_str(w, "OpusHead");
    buf_write_u8(w, 1);
    buf_write_u8(w, buf_read_u8(&r));
    buf_write_u16be(w, __builtin_bswap16(buf_read_u16be(&r)));
    buf_write_u32be(w, __builtin_bswap32(buf_read_u32be(&r)));
    buf_write_u16be(w, __builtin_bswap16(buf_read_u16be(&r)));
    buf_write_view(w, buf_rest(&r));
}

static void put_flac(struct buf_writer *w, struct buf_view dfla)
{
    buf_write_str(w, "fLaC");
    buf_write_view(w, skip_bytes(dfla, 4));
}

static const struct {
    const char *box; /* NULL = the codec has no configuration */
    void (*put)(struct buf_writer *w, struct buf_view box);
} k_configs[CODEC_COUNT] = {
    [CODEC_H264] = {"avcC", buf_write_view}, [CODEC_HEVC] = {"hvcC", buf_write_view},
    [CODEC_AV1] = {"av1C", buf_write_view},  [CODEC_VP9] = {"vpcC", buf_write_view},
    [CODEC_AAC] = {"esds", put_asc},         [CODEC_OPUS] = {"dOps", put_opus_head},
    [CODEC_FLAC] = {"dfLa", put_flac},
};

static const struct read_sample *first_sample(const struct read_movie *m, unsigned track)
{
    size_t i = 0;

    while (m->samples[i].track != track)
        i++;
    return &m->samples[i];
}

/* config keeps the bytes that params borrows. */
static void read_params(const struct read_movie *m, unsigned track, enum media_codec codec,
                        struct buf_writer *config, struct codec_params *params)
{
    enum media_kind kind;
    struct buf_view frame = first_sample(m, track)->data;
    const char *why = "";
    enum err e;

    buf_writer_init(config, 1 << 16);
    if (k_configs[codec].box) {
        kind = strstr("avcC hvcC av1C vpcC", k_configs[codec].box) ? MEDIA_VIDEO : MEDIA_AUDIO;
        k_configs[codec].put(config,
                             find_box(entry_boxes(m->entry[track], kind), k_configs[codec].box));
        e = codec_params_from_config(codec, buf_writer_view(config), params, &why);
        if (e == E_OK)
            e = codec_params_add_key_frame(params, frame, &why);
    } else {
        e = codec_params_from_frame(codec, frame, params, &why);
    }
    if (e != E_OK)
        fail_msg("codec %s: %s", media_codec_name(codec), why);
}

/* --- muxing --- */

static int64_t ticks_to_us(int64_t ticks, uint32_t timescale)
{
    return (ticks * 2000000 + timescale) / (2 * (int64_t)timescale);
}

static struct mp4_sample to_sample(const struct read_movie *m, const struct read_sample *s,
                                   const struct codec_params *params)
{
    int64_t dts_us = ticks_to_us(s->dts, m->timescale[s->track]);

    return (struct mp4_sample){.track = s->track,
                               .dts_us = dts_us,
                               .cts_us = ticks_to_us(s->pts, m->timescale[s->track]) - dts_us,
                               .size_bytes = (uint32_t)s->data.size_bytes,
                               .n_sound = codec_frame_samples(&params[s->track], s->data),
                               .key = !(s->flags & 0x10000)};
}

/* All samples again, in fragments of n. */
static void mux(struct buf_writer *w, const struct read_movie *m, const struct codec_params *params,
                size_t n)
{
    const struct codec_params *tracks[MP4_MAX_TRACKS] = {&params[0], &params[1]};
    struct mp4_sample samples[64];
    struct mp4_mux muxer;
    const char *why = "";

    assert_true(n <= N_ELEMENTS(samples));
    if (mp4_write_init(w, tracks, m->n_tracks, &why) != E_OK)
        fail_msg("%s", why);
    mp4_mux_init(&muxer, tracks, m->n_tracks);
    for (size_t from = 0; from < m->n_samples; from += n) {
        struct mp4_fragment f = {samples, m->n_samples - from, {0, 0}};

        if (f.n_samples > n)
            f.n_samples = n;
        for (size_t i = 0; i < f.n_samples; i++)
            samples[i] = to_sample(m, &m->samples[from + i], params);
        assert_int_equal(mp4_write_fragment(w, &muxer, &f), E_OK);
        for (size_t i = 0; i < f.n_samples; i++)
            buf_write_view(w, m->samples[from + i].data);
    }
    assert_int_equal(buf_writer_status(w), E_OK);
}

/* --- checks --- */

static uint32_t adler32(struct buf_view data) /* RFC 1950, started at 0 as FFmpeg's is */
{
    uint32_t a = 1, b = 0;

    for (size_t i = 0; i < data.size_bytes; i++) {
        a = (a + data.data[i]) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

static const char *value_of(const char *line, const char *key)
{
    const char *at = strstr(line, key);

    if (!at)
        fail_msg("no %s in %s", key, line);
    return at + strlen(key);
}

/* Is the packet of this ffprobe line that sample? Its times are those of the nearest tick, and
 * ffprobe's of the nearest microsecond. */
static void assert_packet(const char *line, const struct read_movie *m, const struct read_sample *s,
                          const struct codec_params *track)
{
    bool video = track->kind == MEDIA_VIDEO;
    double slack_us = 5e5 / (video ? MP4_VIDEO_TIMESCALE : track->audio.sample_rate_hz) + 1;
    double dts_us = atof(value_of(line, "|dts_time=")) * 1e6;
    double pts_us = atof(value_of(line, "|pts_time=")) * 1e6;
    double dts_off = dts_us - (double)ticks_to_us(s->dts, m->timescale[s->track]);
    double pts_off = pts_us - (double)ticks_to_us(s->pts, m->timescale[s->track]);

    if (dts_off > slack_us || dts_off < -slack_us || pts_off > slack_us || pts_off < -slack_us)
        fail_msg("off by %f, %f us: %s", dts_off, pts_off, line);
    assert_int_equal(atoi(value_of(line, "|size=")), s->data.size_bytes);
    if (video)
        assert_int_equal(*value_of(line, "|flags=") == 'K', !(s->flags & 0x10000));
    assert_int_equal(strtoul(value_of(line, "|data_hash=adler32:"), NULL, 16), adler32(s->data));
}

static void assert_packets(const struct read_movie *m, const struct codec_params *params)
{
    size_t at[MP4_MAX_TRACKS] = {0, 0}, n = 0;
    char command[256], line[512];
    FILE *out;

    snprintf(command, sizeof command,
             "ffprobe -v error -show_packets -show_data_hash adler32 -of compact=p=0 %s/out.mp4",
             dir);
    out = popen(command, "r");
    assert_non_null(out);
    while (fgets(line, sizeof line, out)) {
        const char *index = strstr(line, "stream_index=");
        unsigned track;

        if (!index) /* side data has lines of its own */
            continue;
        track = (unsigned)atoi(index + 13);
        assert_true(track < m->n_tracks);
        while (at[track] < m->n_samples && m->samples[at[track]].track != track)
            at[track]++;
        assert_true(at[track] < m->n_samples);
        assert_packet(line, m, &m->samples[at[track]++], &params[track]);
        n++;
    }
    assert_int_equal(pclose(out), 0);
    assert_int_equal(n, m->n_samples);
}

/* The boxes that FFmpeg writes from the same facts are the same bytes. */
static void assert_same_box(const struct read_movie *m, struct buf_view ours, const char *type,
                            enum media_kind kind)
{
    struct read_movie *o = read_movie(ours);
    struct buf_view want = find_box(entry_boxes(m->entry[0], kind), type);
    struct buf_view got = find_box(entry_boxes(o->entry[0], kind), type);

    assert_int_equal(got.size_bytes, want.size_bytes);
    assert_memory_equal(got.data, want.data, got.size_bytes);
    free(o);
}

static void check_source(const struct source *source)
{
    static const size_t k_sizes[] = {1, 7, 64};
    char command[512];
    struct buf_view file;
    struct read_movie *m;
    struct buf_writer configs[MP4_MAX_TRACKS];
    struct codec_params params[MP4_MAX_TRACKS] = {{.codec = CODEC_NONE}};

    snprintf(command, sizeof command,
             "ffmpeg -nostdin -v error -y %s -movflags frag_keyframe+delay_moov+default_base_moof "
             "src.mp4",
             source->args);
    if (!run_silently(command)) {
        print_message("[  SKIPPED ] %s: no such encoder here\n", source->name);
        return;
    }
    file = read_file("src.mp4");
    m = read_movie(file);
    for (unsigned i = 0; i < m->n_tracks; i++)
        read_params(m, i, source->codecs[i], &configs[i], &params[i]);
    for (size_t i = 0; i < N_ELEMENTS(k_sizes); i++) {
        struct buf_writer w;

        buf_writer_init(&w, 1 << 24);
        mux(&w, m, params, k_sizes[i]);
        write_file("out.mp4", buf_writer_view(&w));
        assert_packets(m, params);
        if (!run_silently("ffmpeg -nostdin -v warning -xerror -i out.mp4 -f null -"))
            fail_msg("%s, %zu frames a fragment", source->name, k_sizes[i]);
        if (source->same_box)
            assert_same_box(m, buf_writer_view(&w), source->same_box, params[0].kind);
        buf_writer_fini(&w);
    }
    for (unsigned i = 0; i < m->n_tracks; i++)
        buf_writer_fini(&configs[i]);
    free(m);
    free_view(file);
}

static void test_fragments_are_what_ffmpeg_put_in(void **state)
{
    (void)state;
    if (system("ffmpeg -version > /dev/null 2>&1 && ffprobe -version > /dev/null 2>&1") != 0)
        skip();
    for (size_t i = 0; i < N_ELEMENTS(k_sources); i++) {
        print_message("%s\n", k_sources[i].name);
        check_source(&k_sources[i]);
    }
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    static const char *const k_files[] = {"src.mp4", "out.mp4"};
    char path[128];

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_files); i++) {
        snprintf(path, sizeof path, "%s/%s", dir, k_files[i]);
        unlink(path);
    }
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fragments_are_what_ffmpeg_put_in),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
