/* Init sections: boxes and sample entries of each codec, byte for byte. */
#include "mp4_test.h"

static const uint8_t k_avcc[] = {1, 0x64, 0, 0x1f, 0xff, 0xe0, 0};
static const uint8_t k_vpcc[] = {0, 31, 0x80, 2, 2, 2, 0, 0};
static const uint8_t k_asc[] = {0x12, 0x10};
static const uint8_t k_streaminfo[38] = {0x00, 0, 0, 34, 0x10, 0x00, 0x10, 0x00};

static struct codec_params video(enum media_codec codec, const void *record, size_t size_bytes)
{
    struct codec_params p = {
        .codec = codec,
        .kind = MEDIA_VIDEO,
        .record = buf_view_of(record, size_bytes),
        .video = {
            .width = 1280, .height = 720, .sar_num = 1, .sar_den = 1, .colour = {2, 2, 2, false}}};
    return p;
}

static struct codec_params audio(enum media_codec codec, const void *record, size_t size_bytes)
{
    struct codec_params p = {.codec = codec,
                             .kind = MEDIA_AUDIO,
                             .record = buf_view_of(record, size_bytes),
                             .audio = {.sample_rate_hz = 48000,
                                       .output_rate_hz = 48000,
                                       .channels = 2,
                                       .bits = 16,
                                       .mpeg_version = 1}};
    return p;
}

/* The init section of one track; the caller ends the writer. */
static struct buf_writer init_of(const struct codec_params *p)
{
    struct buf_writer w;
    const char *why = "";

    buf_writer_init(&w, 1 << 16);
    assert_int_equal(mp4_write_init(&w, &p, 1, &why), E_OK);
    assert_null(why);
    assert_int_equal(buf_writer_status(&w), E_OK);
    return w;
}

static void assert_view(struct buf_view view, const void *bytes, size_t size_bytes)
{
    assert_int_equal(view.size_bytes, size_bytes);
    assert_memory_equal(view.data, bytes, size_bytes);
}

static void test_write_init_gives_the_boxes_of_a_fragmented_movie(void **state)
{
    struct codec_params v = video(CODEC_H264, k_avcc, sizeof k_avcc);
    struct codec_params a = audio(CODEC_AAC, k_asc, sizeof k_asc);
    const struct codec_params *tracks[] = {&v, &a};
    struct buf_writer w;
    struct read_movie *m;
    struct buf_view file;
    const char *why;

    (void)state;
    buf_writer_init(&w, 1 << 16);
    assert_int_equal(mp4_write_init(&w, tracks, 2, &why), E_OK);
    file = buf_writer_view(&w);
    m = read_movie(file);
    assert_int_equal(m->n_tracks, 2);
    assert_int_equal(m->timescale[0], 90000);
    assert_int_equal(m->timescale[1], 48000);
    assert_memory_equal(m->entry[0].data + 4, "avc1", 4);
    assert_memory_equal(m->entry[1].data + 4, "mp4a", 4);
    assert_view(find_box(file, "ftyp"), "iso6\0\0\0\0iso6mp41", 16);
    assert_int_equal(find_box(file, "moov/mvhd").size_bytes, 100);
    assert_int_equal(find_box(file, "moov/mvhd").data[99], 3); /* next_track_ID */
    assert_view(find_box(file, "moov/trak/mdia/minf/dinf/dref"),
                "\0\0\0\0\0\0\0\1\0\0\0\14url \0\0\0\1", 20);
    assert_view(find_box(file, "moov/trak/mdia/minf/stbl/stsz"), "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
    free(m);
    buf_writer_fini(&w);
}

static void test_write_init_gives_size_and_configuration_of_video(void **state)
{
    static const struct {
        enum media_codec codec;
        const char *entry, *config;
        bool full_box;
    } k_rows[] = {
        {CODEC_H264, "avc1", "avcC", false}, {CODEC_HEVC, "hvc1", "hvcC", false},
        {CODEC_AV1, "av01", "av1C", false},  {CODEC_VP9, "vp09", "vpcC", true},
        {CODEC_VP8, "vp08", "vpcC", true},
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_rows); i++) {
        struct codec_params p = video(k_rows[i].codec, k_vpcc, sizeof k_vpcc);
        struct buf_writer w = init_of(&p);
        struct read_movie *m = read_movie(buf_writer_view(&w));
        struct buf_view boxes = entry_boxes(m->entry[0], MEDIA_VIDEO);
        struct buf_view config = find_box(boxes, k_rows[i].config);

        assert_memory_equal(m->entry[0].data + 4, k_rows[i].entry, 4);
        assert_memory_equal(m->entry[0].data + 32, "\5\0\2\xd0", 4); /* 1280 x 720 */
        if (k_rows[i].full_box) {
            assert_memory_equal(config.data, "\1\0\0\0", 4);
            config = skip_bytes(config, 4);
        }
        assert_view(config, k_vpcc, sizeof k_vpcc);
        free(m);
        buf_writer_fini(&w);
    }
}

static void test_write_init_says_aspect_and_colour_only_when_known(void **state)
{
    struct codec_params p = video(CODEC_H264, k_avcc, sizeof k_avcc);
    size_t plain_bytes;
    struct buf_writer w = init_of(&p);
    struct buf_view file, boxes;
    struct read_movie *m;

    (void)state;
    plain_bytes = w.used_bytes;
    buf_writer_fini(&w);
    p.video.colour = (struct codec_colour){0, 0, 0, true}; /* reserved values */
    w = init_of(&p);
    assert_int_equal(w.used_bytes, plain_bytes);
    buf_writer_fini(&w);
    p.video.colour = (struct codec_colour){9, 16, 9, true}; /* BT.2020, PQ */
    p.video.sar_num = 4;
    p.video.sar_den = 3;
    w = init_of(&p);
    file = buf_writer_view(&w);
    m = read_movie(file);
    boxes = entry_boxes(m->entry[0], MEDIA_VIDEO);
    assert_view(find_box(boxes, "colr"), "nclx\0\x09\0\x10\0\x09\x80", 11);
    assert_view(find_box(boxes, "pasp"), "\0\0\0\4\0\0\0\3", 8);
    assert_memory_equal(find_box(file, "moov/trak/tkhd").data + 76, "\6\xaa\xaa\xaa\2\xd0\0\0", 8);
    free(m);
    buf_writer_fini(&w);
}

static const uint8_t k_aac_esds[] = {
    0,    0,    0,    0,                         /* version, flags */
    0x03, 0x80, 0x80, 0x80, 0x22, 0,    0,    0, /* ES descriptor, 34 bytes; ES_ID 0, no flags */
    0x04, 0x80, 0x80, 0x80, 0x14,                /* decoder config, 20 bytes */
    0x40, 0x15,                                  /* MPEG-4 audio, audio stream */
    0,    0,    0,    0,    0,    0,    0,    0, 0, 0, 0, /* buffer, rates */
    0x05, 0x80, 0x80, 0x80, 0x02, 0x12, 0x10,             /* AudioSpecificConfig */
    0x06, 0x80, 0x80, 0x80, 0x01, 0x02,                   /* SL config: MP4 */
};
static const uint8_t k_mp3_esds[] = {
    0,    0, 0, 0, 0x03, 0x80, 0x80, 0x80, 0x1b, 0, 0, 0, 0x04, 0x80, 0x80, 0x80, 0x0d, 0x6b,
    0x15, 0, 0, 0, 0,    0,    0,    0,    0,    0, 0, 0, 0x06, 0x80, 0x80, 0x80, 0x01, 0x02,
};
static const uint8_t k_opus_dops[] = {0, 2, 0x01, 0x38, 0, 0, 0xbb, 0x80, 0xff, 0x00, 0};
static const uint8_t k_surround_dops[] = {0, 6, 0x01, 0x38, 0, 0, 0xbb, 0x80, 0xff, 0x00,
                                          1, 4, 2,    0,    4, 1, 2,    3,    5};
static const uint8_t k_dac3[] = {0x10, 0x3d, 0xe0}; /* 48 kHz, bsid 8, acmod 7, LFE, 448 kb/s */
static const uint8_t k_dec3[] = {0x06, 0x00, 0x20, 0x0f, 0x00};
static const uint8_t k_dec3_dependent[] = {0x06, 0x00, 0x20, 0x0f, 0x02, 0x02};

static void fill_ac3(struct codec_params *p)
{
    p->audio.ac3 = (struct ac3_info){.bsid = 8, .acmod = 7, .lfeon = 1, .bit_rate_code = 15};
}

static void fill_eac3(struct codec_params *p)
{
    p->audio.ac3 = (struct ac3_info){
        .enhanced = true, .bsid = 16, .acmod = 7, .lfeon = 1, .rate_kbps = 192, .n_independent = 1};
}

static void fill_eac3_dependent(struct codec_params *p)
{
    fill_eac3(p);
    p->audio.ac3.n_dependent = 1;
    p->audio.ac3.chan_loc = 2; /* Lrs/Rrs pair */
}

static void fill_opus(struct codec_params *p)
{
    p->audio.opus = (struct codec_opus){.pre_skip = 312, .input_rate_hz = 48000, .gain = -256};
}

static void fill_surround(struct codec_params *p)
{
    fill_opus(p);
    p->audio.channels = 6;
    p->audio.opus.mapping_family = 1;
    p->audio.opus.n_streams = 4;
    p->audio.opus.n_coupled = 2;
    memcpy(p->audio.opus.mapping, "\0\4\1\2\3\5", 6);
}

static const struct {
    enum media_codec codec;
    const char *entry, *config;
    void (*fill)(struct codec_params *p);
    const uint8_t *bytes;
    size_t size_bytes;
} k_audio[] = {
    {CODEC_AAC, "mp4a", "esds", NULL, k_aac_esds, sizeof k_aac_esds},
    {CODEC_MP3, "mp4a", "esds", NULL, k_mp3_esds, sizeof k_mp3_esds},
    {CODEC_OPUS, "Opus", "dOps", fill_opus, k_opus_dops, sizeof k_opus_dops},
    {CODEC_OPUS, "Opus", "dOps", fill_surround, k_surround_dops, sizeof k_surround_dops},
    {CODEC_AC3, "ac-3", "dac3", fill_ac3, k_dac3, sizeof k_dac3},
    {CODEC_EAC3, "ec-3", "dec3", fill_eac3, k_dec3, sizeof k_dec3},
    {CODEC_EAC3, "ec-3", "dec3", fill_eac3_dependent, k_dec3_dependent, sizeof k_dec3_dependent},
};

static void test_write_init_gives_the_configuration_of_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_audio); i++) {
        bool aac = k_audio[i].codec == CODEC_AAC;
        struct codec_params p = audio(k_audio[i].codec, k_asc, aac ? sizeof k_asc : 0);
        struct buf_writer w;
        struct read_movie *m;
        struct buf_view config;

        if (k_audio[i].fill)
            k_audio[i].fill(&p);
        w = init_of(&p);
        m = read_movie(buf_writer_view(&w));
        config = find_box(entry_boxes(m->entry[0], MEDIA_AUDIO), k_audio[i].config);
        assert_memory_equal(m->entry[0].data + 4, k_audio[i].entry, 4);
        assert_int_equal(m->entry[0].data[25], p.audio.channels);
        assert_memory_equal(m->entry[0].data + 32, "\xbb\x80\0\0", 4); /* 48000 Hz, 16.16 */
        if (config.size_bytes != k_audio[i].size_bytes ||
            memcmp(config.data, k_audio[i].bytes, config.size_bytes) != 0)
            fail_msg("row %zu differs, %zu bytes", i, config.size_bytes);
        free(m);
        buf_writer_fini(&w);
    }
}

static void test_write_init_says_half_the_rate_where_it_does_not_fit(void **state)
{
    struct codec_params p = audio(CODEC_FLAC, k_streaminfo, sizeof k_streaminfo);
    struct buf_writer w;
    struct read_movie *m;
    struct buf_view dfla;

    (void)state;
    p.audio.sample_rate_hz = 176400;
    w = init_of(&p);
    m = read_movie(buf_writer_view(&w));
    assert_int_equal(m->timescale[0], 176400);
    assert_memory_equal(m->entry[0].data + 32, "\xac\x44\0\0", 4); /* 44100 */
    dfla = find_box(entry_boxes(m->entry[0], MEDIA_AUDIO), "dfLa");
    assert_int_equal(dfla.size_bytes, 4 + sizeof k_streaminfo);
    assert_int_equal(dfla.data[4], 0x80); /* the last block */
    assert_memory_equal(dfla.data + 5, k_streaminfo + 1, sizeof k_streaminfo - 1);
    free(m);
    buf_writer_fini(&w);
}

static void test_write_init_refuses_what_is_not_known_or_not_carried(void **state)
{
    struct codec_params bad[] = {
        video(CODEC_H264, NULL, 0),   video(CODEC_VP9, k_vpcc, sizeof k_vpcc),
        audio(CODEC_AAC, k_asc, 1),   audio(CODEC_AC3, NULL, 0),
        video(CODEC_H263, k_vpcc, 1), audio(CODEC_SPEEX, k_asc, 2),
        video(CODEC_AAC, k_asc, 2),   audio(CODEC_FLAC, k_streaminfo, 37),
    };
    static const enum err k_errors[] = {E_INVAL,       E_INVAL,       E_INVAL,       E_INVAL,
                                        E_UNSUPPORTED, E_UNSUPPORTED, E_UNSUPPORTED, E_INVAL};

    (void)state;
    bad[1].video.width = 0;
    bad[3].audio.channels = 0;
    for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
        const struct codec_params *p = &bad[i];
        struct buf_writer w;
        const char *why = NULL;

        buf_writer_init(&w, 1 << 16);
        assert_int_equal(mp4_write_init(&w, &p, 1, &why), k_errors[i]);
        assert_non_null(why);
        assert_int_equal(w.used_bytes, 0);
        buf_writer_fini(&w);
    }
}

static void test_carries_gives_true_for_each_codec_with_a_sample_entry(void **state)
{
    static const enum media_codec k_carried[] = {
        CODEC_H264, CODEC_HEVC, CODEC_AV1,  CODEC_VP8, CODEC_VP9,  CODEC_AAC,
        CODEC_MP3,  CODEC_OPUS, CODEC_FLAC, CODEC_AC3, CODEC_EAC3,
    };
    unsigned n = 0;

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_carried); i++)
        assert_true(mp4_carries(k_carried[i]));
    for (unsigned codec = 0; codec < CODEC_COUNT; codec++)
        n += mp4_carries((enum media_codec)codec);
    assert_int_equal(n, N_ELEMENTS(k_carried));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_init_gives_the_boxes_of_a_fragmented_movie),
        cmocka_unit_test(test_write_init_gives_size_and_configuration_of_video),
        cmocka_unit_test(test_write_init_says_aspect_and_colour_only_when_known),
        cmocka_unit_test(test_write_init_gives_the_configuration_of_sound),
        cmocka_unit_test(test_write_init_says_half_the_rate_where_it_does_not_fit),
        cmocka_unit_test(test_write_init_refuses_what_is_not_known_or_not_carried),
        cmocka_unit_test(test_carries_gives_true_for_each_codec_with_a_sample_entry),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
