/* Configurations to parameters: records that real encoders wrote (x264, x265, libaom, SVT-AV1,
 * libvpx, FFmpeg's aac and flac, libopus), and what FFmpeg says they are. */
#include "tests/unit/proto/codec/codec_test.h"

#include <stdio.h>

#include "proto/codec/codec.h"
#include "proto/codec/nal.h"

struct vector {
    const char *name;
    enum media_codec codec;
    uint8_t size_bytes;
    uint8_t config[128];
    const char *text; /* as describe() says it */
};

/* clang-format off */
static const struct vector k_vectors[] = {
    {"h264 high, VUI with colour and frame rate", CODEC_H264, 48,
    {
     0x01, 0x64, 0x00, 0x0d, 0xff, 0xe1, 0x00, 0x1b, 0x67, 0x64, 0x00, 0x0d, 0xac, 0xd9,
     0x41, 0x41, 0x9f, 0x9f, 0x01, 0x6a, 0x02, 0x02, 0x02, 0x80, 0x00, 0x01, 0xf4, 0x80,
     0x00, 0x75, 0x30, 0x07, 0x8a, 0x14, 0xcb, 0x01, 0x00, 0x06, 0x68, 0xeb, 0xe3, 0xcb,
     0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00,
     },
     "avc1.64000d 320x180 sar 1:1 fps 30000/1001 bits 8 chroma 1 colour 1/1/1 tv nal 4 sets SPS PPS"},
    {"h264 baseline, 1080 lines cut from 1088", CODEC_H264, 40,
    {
     0x01, 0x42, 0xc0, 0x28, 0xff, 0xe1, 0x00, 0x19, 0x67, 0x42, 0xc0, 0x28, 0xda, 0x01,
     0xe0, 0x08, 0x9f, 0x97, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03,
     0x03, 0x20, 0xf1, 0x83, 0x2a, 0x01, 0x00, 0x04, 0x68, 0xce, 0x0f, 0xc8,
     },
     "avc1.42c028 1920x1080 sar 1:1 fps 25/1 bits 8 chroma 1 colour 2/2/2 tv nal 4 sets SPS PPS"},
    {"h264 4:2:2 10 bit, interlaced, wide samples", CODEC_H264, 51,
    {
     0x01, 0x7a, 0x00, 0x1e, 0xff, 0xe1, 0x00, 0x1e, 0x67, 0x7a, 0x00, 0x1e, 0xb6, 0xcd,
     0x94, 0x0b, 0x42, 0x4d, 0xff, 0x80, 0x20, 0x00, 0x16, 0x88, 0x00, 0x00, 0x03, 0x00,
     0x08, 0x00, 0x00, 0x03, 0x01, 0x90, 0xf8, 0xa1, 0x4c, 0xb0, 0x01, 0x00, 0x06, 0x68,
     0xfb, 0xa3, 0xcb, 0x22, 0xc0, 0xfe, 0xfa, 0xfa, 0x00,
     },
     "avc1.7a001e 720x576 sar 64:45 fps 25/1 bits 10 chroma 2 colour 2/2/2 tv nal 4 sets SPS PPS"},
    {"hevc main, odd size cropped, full range", CODEC_HEVC, 115,
    {
     0x01, 0x01, 0x60, 0x00, 0x00, 0x00, 0x90, 0x00, 0x00, 0x00, 0x00, 0x00, 0x3c, 0xf0,
     0x00, 0xfc, 0xfd, 0xf8, 0xf8, 0x00, 0x00, 0x0f, 0x03, 0xa0, 0x00, 0x01, 0x00, 0x18,
     0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00,
     0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x3c, 0x95, 0x98, 0x09, 0xa1, 0x00, 0x01, 0x00,
     0x2e, 0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03,
     0x00, 0x00, 0x03, 0x00, 0x3c, 0xa0, 0x0a, 0x48, 0x0b, 0x9c, 0x95, 0x96, 0x56, 0x69,
     0x24, 0xca, 0xff, 0xf0, 0x00, 0xd0, 0x00, 0x76, 0xc0, 0x80, 0x00, 0x00, 0x03, 0x00,
     0x80, 0x00, 0x00, 0x0c, 0x04, 0xa2, 0x00, 0x01, 0x00, 0x07, 0x44, 0x01, 0xc1, 0x72,
     0xb4, 0x62, 0x40,
     },
     "hvc1.1.6.L60.90 322x182 sar 13:7 fps 24/1 bits 8 chroma 1 colour 2/2/2 pc nal 4 sets VPS SPS PPS"},
    {"hevc main 10, scaling lists, HDR", CODEC_HEVC, 115,
    {
     0x01, 0x02, 0x20, 0x00, 0x00, 0x00, 0x90, 0x00, 0x00, 0x00, 0x00, 0x00, 0x5a, 0xf0,
     0x00, 0xfc, 0xfd, 0xfa, 0xfa, 0x00, 0x00, 0x0f, 0x03, 0xa0, 0x00, 0x01, 0x00, 0x18,
     0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x02, 0x20, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00,
     0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x5a, 0x95, 0x98, 0x09, 0xa1, 0x00, 0x01, 0x00,
     0x2e, 0x42, 0x01, 0x01, 0x02, 0x20, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03,
     0x00, 0x00, 0x03, 0x00, 0x5a, 0xa0, 0x05, 0x02, 0x01, 0x69, 0x36, 0x59, 0x59, 0xa4,
     0x93, 0x95, 0xe0, 0x2d, 0x42, 0x44, 0x02, 0x41, 0x00, 0x00, 0x03, 0x00, 0x01, 0x00,
     0x00, 0x03, 0x00, 0x3c, 0x08, 0xa2, 0x00, 0x01, 0x00, 0x07, 0x44, 0x01, 0xc1, 0x72,
     0xb4, 0x62, 0x40,
     },
     "hvc1.2.4.L90.90 640x360 sar 1:1 fps 60/1 bits 10 chroma 1 colour 9/16/9 tv nal 4 sets VPS SPS PPS"},
    {"h264 main, interlaced, 1080 lines cut from 1088", CODEC_H264, 40,
    {
     0x01, 0x4d, 0x40, 0x28, 0xff, 0xe1, 0x00, 0x19, 0x67, 0x4d, 0x40, 0x28, 0xf4, 0x03,
     0xc0, 0x22, 0x7e, 0xf0, 0x11, 0x00, 0x00, 0x03, 0x00, 0x01, 0x00, 0x00, 0x03, 0x00,
     0x32, 0x1f, 0x16, 0x2e, 0xa0, 0x01, 0x00, 0x04, 0x68, 0xde, 0x0f, 0xc8,
     },
     "avc1.4d4028 1920x1080 sar 1:1 fps 25/1 bits 8 chroma 1 colour 2/2/2 tv nal 4 sets SPS PPS"},
    {"hevc, made by hand: predicted and long-term reference sets before the VUI", CODEC_HEVC, 74,
    {
     0x01, 0x01, 0x60, 0x00, 0x00, 0x00, 0x90, 0x00, 0x00, 0x00, 0x00, 0x00, 0x5d, 0xf0,
     0x00, 0xfc, 0xfd, 0xf8, 0xf8, 0x00, 0x00, 0x03, 0x01, 0x21, 0x00, 0x01, 0x00, 0x2e,
     0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00,
     0x00, 0x03, 0x00, 0x5d, 0xa0, 0x02, 0x80, 0x80, 0x2d, 0x16, 0x59, 0x79, 0x24, 0xc0,
     0x8d, 0x6b, 0xfa, 0x65, 0xca, 0x05, 0xf8, 0x11, 0xc7, 0xe0, 0x00, 0x00, 0x7d, 0x20,
     0x00, 0x1d, 0x4c, 0x10,
     },
     "hvc1.1.6.L93.90 1280x720 sar 12:11 fps 60000/1001 bits 8 chroma 1 colour 2/2/2 tv nal 4 sets SPS"},
    {"hevc, one frame in two seconds", CODEC_HEVC, 23,
    {
     0x01, 0x01, 0x60, 0x00, 0x00, 0x00, 0x90, 0x00, 0x00, 0x00, 0x00, 0x00, 0x5d, 0xf0,
     0x00, 0xfc, 0xfd, 0xf8, 0xf8, 0x00, 0x80, 0x03, 0x00,
     },
     "hvc1.1.6.L93.90 0x0 sar 1:1 fps 1/2 bits 8 chroma 1 colour 2/2/2 tv nal 4 sets"},
    {"av1, made by hand: decoder model, two operating points, high tier", CODEC_AV1, 41,
    {
     0x81, 0x0c, 0x80, 0x00, 0x0a, 0x23, 0x04, 0x00, 0x00, 0x0f, 0xa4, 0x00, 0x01, 0xd4,
     0xc3, 0xa4, 0x00, 0x00, 0x00, 0x04, 0x63, 0x84, 0x40, 0x59, 0x80, 0xa0, 0x32, 0x60,
     0x00, 0x52, 0xef, 0xbf, 0xe1, 0xbe, 0xa8, 0x04, 0x78, 0x10, 0x10, 0xd0, 0x08,
     },
     "av01.0.12H.08.0.000.01.13.00.1 3840x2160 sar 1:1 fps 30000/1001 bits 8 chroma 3 colour 1/13/0 pc nal 0 sets"},
    {"av1 8 bit", CODEC_AV1, 17,
    {
     0x81, 0x00, 0x0c, 0x00, 0x0a, 0x0b, 0x00, 0x00, 0x00, 0x04, 0x3c, 0xfe, 0xcc, 0xda,
     0xf9, 0x00, 0x40,
     },
     "av01.0.00M.08 320x180 sar 1:1 fps 0/0 bits 8 chroma 1 colour 2/2/2 tv nal 0 sets"},
    {"av1 10 bit, HDR", CODEC_AV1, 20,
    {
     0x81, 0x00, 0x4c, 0x00, 0x0a, 0x0e, 0x00, 0x00, 0x00, 0x04, 0x3c, 0xfe, 0xcc, 0x02,
     0xf8, 0x50, 0x91, 0x00, 0x90, 0x40,
     },
     "av01.0.00M.10.0.110.09.16.09.0 320x180 sar 1:1 fps 0/0 bits 10 chroma 1 colour 9/16/9 tv nal 0 sets"},
    {"vp9, vpcC with version and flags", CODEC_VP9, 12,
    {
     0x01, 0x00, 0x00, 0x00, 0x00, 0x0b, 0x82, 0x02, 0x02, 0x02, 0x00, 0x00,
     },
     "vp09.00.11.08 0x0 sar 1:1 fps 0/0 bits 8 chroma 1 colour 2/2/2 tv nal 0 sets"},
    {"vp9, bare vpcC, profile 2, 10 bit", CODEC_VP9, 8,
    {
     0x02, 0x1f, 0xa3, 0x09, 0x10, 0x09, 0x00, 0x00,
     },
     "vp09.02.31.10 0x0 sar 1:1 fps 0/0 bits 10 chroma 1 colour 9/16/9 pc nal 0 sets"},
    {"aac lc", CODEC_AAC, 2,
    {
     0x12, 0x10,
     },
     "mp4a.40.2 44100 Hz (44100 out) 2 channels 1024 samples"},
    {"aac lc 5.1, SBR said to be absent", CODEC_AAC, 5,
    {
     0x11, 0xb0, 0x56, 0xe5, 0x00,
     },
     "mp4a.40.2 48000 Hz (48000 out) 6 channels 1024 samples"},
    {"he-aac, explicit hierarchical", CODEC_AAC, 4,
    {
     0x2b, 0x11, 0x88, 0x00,
     },
     "mp4a.40.5 24000 Hz (48000 out) 2 channels 1024 samples"},
    {"he-aac, explicit backward compatible", CODEC_AAC, 5,
    {
     0x13, 0x90, 0x56, 0xe5, 0xa0,
     },
     "mp4a.40.5 22050 Hz (44100 out) 2 channels 1024 samples"},
    {"he-aac v2, explicit hierarchical", CODEC_AAC, 4,
    {
     0xeb, 0x09, 0x88, 0x00,
     },
     "mp4a.40.29 24000 Hz (48000 out) 1 channels 1024 samples"},
    {"opus stereo", CODEC_OPUS, 19,
    {
     0x4f, 0x70, 0x75, 0x73, 0x48, 0x65, 0x61, 0x64, 0x01, 0x02, 0x38, 0x01, 0x80, 0xbb,
     0x00, 0x00, 0x00, 0x00, 0x00,
     },
     "opus 48000 Hz (48000 out) 2 channels 960 samples"},
    {"opus 5.1", CODEC_OPUS, 27,
    {
     0x4f, 0x70, 0x75, 0x73, 0x48, 0x65, 0x61, 0x64, 0x01, 0x06, 0x38, 0x01, 0x80, 0xbb,
     0x00, 0x00, 0x00, 0x00, 0x01, 0x04, 0x02, 0x00, 0x04, 0x01, 0x02, 0x03, 0x05,
     },
     "opus 48000 Hz (48000 out) 6 channels 960 samples"},
    {"flac", CODEC_FLAC, 42,
    {
     0x66, 0x4c, 0x61, 0x43, 0x80, 0x00, 0x00, 0x22, 0x12, 0x00, 0x12, 0x00, 0x00, 0x00,
     0xfc, 0x00, 0x05, 0x11, 0x0b, 0xb8, 0x02, 0xf0, 0x00, 0x00, 0x38, 0x40, 0xe5, 0xf0,
     0x51, 0xc1, 0x28, 0xe8, 0x49, 0x92, 0xc0, 0xcb, 0xa9, 0x97, 0x24, 0x09, 0x2b, 0x51,
     },
     "flac 48000 Hz (48000 out) 2 channels 4608 samples"},
};
/* clang-format on */

static void describe_video(const struct codec_params *p, char *text, size_t size)
{
    static const char *const k_names[] = {
        [NAL_VPS] = " VPS", [NAL_SPS] = " SPS", [NAL_PPS] = " PPS", [NAL_SEI] = " SEI"};
    const struct codec_video *v = &p->video;
    int n = snprintf(
        text, size, "%s %ux%u sar %u:%u fps %u/%u bits %u chroma %u colour %u/%u/%u %s nal %u sets",
        p->rfc6381, v->width, v->height, v->sar_num, v->sar_den, v->fps_num, v->fps_den,
        v->bit_depth, v->chroma, v->colour.primaries, v->colour.transfer, v->colour.matrix,
        v->colour.full_range ? "pc" : "tv", v->nal_length_bytes);

    for (unsigned i = 0; i < v->n_sets; i++)
        n += snprintf(text + n, size - (size_t)n, "%s", k_names[nal_kind_of(p->codec, v->sets[i])]);
}

static void describe(const struct codec_params *p, char *text, size_t size)
{
    if (p->kind == MEDIA_VIDEO)
        describe_video(p, text, size);
    else
        (void)snprintf(text, size, "%s %u Hz (%u out) %u channels %u samples", p->rfc6381,
                       p->audio.sample_rate_hz, p->audio.output_rate_hz, p->audio.channels,
                       p->audio.samples_per_frame);
}

static void test_from_config_gives_parameters_for_real_encoders(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_vectors); i++) {
        const struct vector *v = &k_vectors[i];
        struct codec_params p;
        const char *why = NULL;
        char text[256];

        print_message("%s\n", v->name);
        assert_int_equal(
            codec_params_from_config(v->codec, buf_view_of(v->config, v->size_bytes), &p, &why),
            E_OK);
        assert_int_equal(p.codec, v->codec);
        describe(&p, text, sizeof text);
        assert_string_equal(text, v->text);
    }
}

/* A cut record is an error or says less; it is never read past its end, and *out is not touched on
 * an error. */
static void test_from_config_gives_proto_or_less_when_cut_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_vectors); i++) {
        const struct vector *v = &k_vectors[i];

        for (size_t size = 0; size < v->size_bytes; size++) {
            struct buf_view cut = heap_copy(v->config, size);
            struct codec_params p = {.codec = CODEC_UNKNOWN};
            const char *why = NULL;
            enum err e = codec_params_from_config(v->codec, cut, &p, &why);

            assert_true(e == E_OK || (e == E_PROTO && why && p.codec == CODEC_UNKNOWN));
            assert_true(e != E_OK || size >= 2);
            heap_free(cut);
        }
    }
}

/* One wrong byte may change what is said, never how much is read. */
static void test_from_config_survives_when_any_byte_is_wrong(void **state)
{
    static const uint8_t k_masks[] = {0xff, 0x01, 0x80, 0x7f};

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_vectors); i++) {
        const struct vector *v = &k_vectors[i];

        for (size_t at = 0; at < v->size_bytes * N_ELEMENTS(k_masks); at++) {
            uint8_t bytes[128];
            struct buf_view copy;
            struct codec_params p;
            const char *why = NULL;
            enum err e;

            memcpy(bytes, v->config, v->size_bytes);
            bytes[at / N_ELEMENTS(k_masks)] ^= k_masks[at % N_ELEMENTS(k_masks)];
            copy = heap_copy(bytes, v->size_bytes);
            e = codec_params_from_config(v->codec, copy, &p, &why);
            assert_true(e == E_OK || (e == E_PROTO && why));
            heap_free(copy);
        }
    }
}

static void test_from_config_gives_the_record_that_mp4_carries(void **state)
{
    static const size_t k_skipped[CODEC_COUNT] = {[CODEC_OPUS] = 8, [CODEC_FLAC] = 4};

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_vectors); i++) {
        const struct vector *v = &k_vectors[i];
        size_t skipped = v->config[0] == 1 && v->codec == CODEC_VP9 ? 4 : k_skipped[v->codec];
        struct codec_params p;
        const char *why;

        assert_int_equal(
            codec_params_from_config(v->codec, buf_view_of(v->config, v->size_bytes), &p, &why),
            E_OK);
        assert_ptr_equal(p.record.data, v->config + skipped);
        assert_int_equal(p.record.size_bytes, v->size_bytes - skipped);
    }
}

static void test_from_config_gives_sets_in_decoding_order_when_arrays_are_not(void **state)
{
    static const uint8_t k_config[] = {
        0x01, 0x01, 0x60, 0,    0,    0,    0x90, 0,    0,    0,    0,
        0,    0x5d, 0xf0, 0,    0xfc, 0xfd, 0xf8, 0xf8, 0x1e, 0x00, /* avgFrameRate: 7680 in 256 s
                                                                     */
        0x03,                                                 /* NAL unit lengths of 4 bytes */
        0x04,                                                 /* arrays */
        0x27, 0,    2,    0,    4,    0x4e, 0x01, 0x05, 0xff, /* SEI: user data, left out */
        0,    4,    0x4e, 0x01, 0x89, 0x18,                   /* and mastering display, kept */
        0x22, 0,    1,    0,    3,    0x44, 0x01, 0xc1,       /* PPS */
        0x21, 0,    1,    0,    3,    0x42, 0x01, 0x01,       /* SPS, cut short: nothing is known */
        0x20, 0,    1,    0,    3,    0x40, 0x01, 0x0c,       /* VPS */
    };
    struct codec_params p;
    const char *why;
    char text[256];

    (void)state;
    assert_int_equal(codec_params_from_config(CODEC_HEVC, VIEW(k_config), &p, &why), E_OK);
    describe(&p, text, sizeof text);
    assert_string_equal(text, "hvc1.1.6.L93.90 0x0 sar 1:1 fps 30/1 bits 8 chroma 1 colour 2/2/2 "
                              "tv nal 4 sets VPS SPS PPS SEI");
}

static void test_from_config_gives_too_big_above_32_parameter_sets(void **state)
{
    uint8_t config[7 + 33 * 3 + 1] = {0x01, 0x42, 0x00, 0x1e, 0xff, 0xe0, 33};
    struct codec_params p;
    const char *why = NULL;

    (void)state;
    for (size_t i = 0; i < 33; i++) {
        config[7 + i * 3 + 1] = 1;
        config[7 + i * 3 + 2] = 0x68;
    }
    assert_int_equal(codec_params_from_config(CODEC_H264, VIEW(config), &p, &why), E_TOO_BIG);
    assert_non_null(why);
    config[6] = 32;
    assert_int_equal(codec_params_from_config(CODEC_H264, VIEW(config), &p, &why), E_OK);
    assert_int_equal(p.video.n_sets, 32);
}

static void test_from_config_gives_ok_for_avcc_without_parameter_sets(void **state)
{
    static const uint8_t k_config[] = {0x01, 0x64, 0x00, 0x1f, 0xfc, 0xe0, 0x00};
    struct codec_params p;
    const char *why;

    (void)state;
    assert_int_equal(codec_params_from_config(CODEC_H264, VIEW(k_config), &p, &why), E_OK);
    assert_string_equal(p.rfc6381, "avc1.64001f");
    assert_int_equal(p.video.nal_length_bytes, 1);
    assert_int_equal(p.video.width, 0);
}

/* clang-format off */
static const struct {
    const char *why;
    enum media_codec codec;
    uint8_t size_bytes;
    uint8_t config[24];
} k_broken[] = {
    {"avcC: cut off, or not version 1", CODEC_H264, 7, {2, 0x64, 0, 0x1f, 0xff, 0xe0, 0}},
    {"avcC: NAL unit lengths of 3 bytes", CODEC_H264, 7, {1, 0x64, 0, 0x1f, 0xfe, 0xe0, 0}},
    {"avcC: a parameter set reaches over the end", CODEC_H264, 9,
     {1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 2, 0x67}},
    {"avcC: the number of parameter sets is cut off", CODEC_H264, 6, {1, 0x64, 0, 0x1f, 0xff, 0xe0}},
    {"hvcC: cut off, or not version 1", CODEC_HEVC, 4, {1, 1, 0, 0}},
    {"av1C: cut off, or not version 1", CODEC_AV1, 4, {0x01, 0, 0x0c, 0}},
    {"AV1 sequence header is cut off", CODEC_AV1, 7, {0x81, 0, 0x0c, 0, 0x0a, 0x01, 0x00}},
    {"OBU size reaches over the end", CODEC_AV1, 6, {0x81, 0, 0x0c, 0, 0x0a, 0x0b}},
    {"vpcC is cut off", CODEC_VP9, 7, {0, 10, 0x82, 2, 2, 2, 0}},
    {"vpcC: impossible profile, bit depth or chroma", CODEC_VP9, 8, {0, 10, 0x02, 2, 2, 2, 0, 0}},
    {"AudioSpecificConfig is cut off", CODEC_AAC, 1, {0x12}},
    {"AudioSpecificConfig: object type 0", CODEC_AAC, 2, {0x02, 0x10}},
    {"AudioSpecificConfig: reserved sampling rate", CODEC_AAC, 2, {0x16, 0x90}},
    {"AudioSpecificConfig: reserved channel configuration", CODEC_AAC, 2, {0x12, 0x40}},
    {"no OpusHead of 19 bytes or more", CODEC_OPUS, 19, {'O', 'p', 'u', 's', 'T', 'a', 'g', 's', 1, 2}},
    {"OpusHead: unknown version or no channel", CODEC_OPUS, 19,
     {'O', 'p', 'u', 's', 'H', 'e', 'a', 'd', 1, 0}},
    {"OpusHead: mapping family 0 with more than 2 channels", CODEC_OPUS, 19,
     {'O', 'p', 'u', 's', 'H', 'e', 'a', 'd', 1, 3}},
    {"OpusHead: channel mapping is cut off", CODEC_OPUS, 21,
     {'O', 'p', 'u', 's', 'H', 'e', 'a', 'd', 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1}},
    {"no fLaC with STREAMINFO", CODEC_FLAC, 8, {'f', 'L', 'a', 'C', 0x80, 0, 0, 34}},
};
/* clang-format on */

static void test_from_config_gives_proto_with_the_reason_when_broken(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_broken); i++) {
        struct buf_view config = heap_copy(k_broken[i].config, k_broken[i].size_bytes);
        struct codec_params p;
        const char *why = "";

        assert_int_equal(codec_params_from_config(k_broken[i].codec, config, &p, &why), E_PROTO);
        assert_string_equal(why, k_broken[i].why);
        heap_free(config);
    }
}

static void test_from_config_gives_unsupported_for_codecs_without_one(void **state)
{
    static const enum media_codec k_codecs[] = {CODEC_NONE, CODEC_MP3,  CODEC_AC3,
                                                CODEC_EAC3, CODEC_H263, CODEC_UNKNOWN};
    struct codec_params p;

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_codecs); i++) {
        const char *why = NULL;

        assert_false(codec_has_config(k_codecs[i]));
        assert_int_equal(codec_params_from_config(k_codecs[i], buf_view_of("x", 1), &p, &why),
                         E_UNSUPPORTED);
        assert_non_null(why);
    }
}

/* --- frames that describe the track --- */

static void test_from_frame_gives_unsupported_when_frames_say_nothing(void **state)
{
    struct codec_params p;
    const char *why = NULL;

    (void)state;
    assert_int_equal(codec_params_from_frame(CODEC_H264, buf_view_of("x", 1), &p, &why),
                     E_UNSUPPORTED);
    assert_non_null(why);
}

static void test_from_frame_gives_parameters_for_opus_without_configuration(void **state)
{
    static const uint8_t k_packet[] = {0xfc, 0x01}; /* CELT 20 ms, stereo, one frame */
    struct codec_params p;
    const char *why;
    char text[256];

    (void)state;
    assert_int_equal(codec_params_from_frame(CODEC_OPUS, VIEW(k_packet), &p, &why), E_OK);
    describe(&p, text, sizeof text);
    assert_string_equal(text, "opus 48000 Hz (48000 out) 2 channels 960 samples");
    assert_int_equal(p.audio.opus.n_coupled, 1);
    assert_int_equal(codec_params_from_frame(CODEC_OPUS, buf_view_of(NULL, 0), &p, &why), E_PROTO);
}

/* --- key frames that say more --- */

struct key_frame {
    enum media_codec codec;
    uint8_t size_bytes;
    uint8_t bytes[20];
};

static const struct key_frame k_key_frames[] = {
    {CODEC_VP8, 10, {0x10, 0x62, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00}},
    {CODEC_VP9, 10, {0x82, 0x49, 0x83, 0x42, 0x00, 0x13, 0xf0, 0x0b, 0x30, 0x00}},
    {CODEC_AV1, 13, {0x0a, 0x0b, 0, 0, 0, 0x04, 0x3c, 0xfe, 0xcc, 0xda, 0xf9, 0x00, 0x40}},
};

static void test_add_key_frame_gives_the_size_of_the_picture(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_key_frames); i++) {
        const struct key_frame *f = &k_key_frames[i];
        struct codec_params p = {.codec = f->codec, .kind = MEDIA_VIDEO};
        const char *why = NULL;

        assert_int_equal(codec_params_add_key_frame(&p, buf_view_of(f->bytes, f->size_bytes), &why),
                         E_OK);
        assert_int_equal(p.video.width, 320);
        assert_int_equal(p.video.height, 180);
    }
}

static void test_add_key_frame_gives_proto_when_cut_or_not_a_key_frame(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_key_frames); i++) {
        const struct key_frame *f = &k_key_frames[i];
        struct codec_params p = {.codec = f->codec, .kind = MEDIA_VIDEO};
        uint8_t inter = f->bytes[0] | (f->codec == CODEC_VP8 ? 0x01 : 0x04); /* AV1: extended */
        const char *why = NULL;

        for (size_t size = 0; size + 1 < f->size_bytes; size++) {
            struct buf_view cut = heap_copy(f->bytes, size);

            assert_int_equal(codec_params_add_key_frame(&p, cut, &why), E_PROTO);
            assert_int_equal(p.video.width, 0);
            heap_free(cut);
        }
        assert_int_equal(codec_params_add_key_frame(&p, buf_view_of(&inter, 1), &why), E_PROTO);
    }
}

static void test_add_key_frame_does_nothing_for_other_codecs(void **state)
{
    struct codec_params p = {.codec = CODEC_H264, .kind = MEDIA_VIDEO};
    const char *why = NULL;

    (void)state;
    assert_int_equal(codec_params_add_key_frame(&p, buf_view_of(NULL, 0), &why), E_OK);
}

static void test_frame_samples_gives_what_a_flac_frame_says(void **state)
{
    static const struct {
        uint8_t bytes[8];
        uint32_t samples;
    } k_frames[] = {
        {{0xff, 0xf8, 0x1a, 0x18, 0x00}, 192},
        {{0xff, 0xf8, 0x59, 0x18, 0x00}, 4608},
        {{0xff, 0xf8, 0xc9, 0x18, 0xc3, 0xa9}, 4096}, /* frame number of two bytes */
        {{0xff, 0xf8, 0x69, 0x18, 0x00, 0x0f}, 16},
        {{0xff, 0xf8, 0x79, 0x18, 0xe1, 0x80, 0x80, 0x12}, 0}, /* cut inside the size */
        {{0xff, 0xf8, 0x79, 0x18, 0x05, 0x12, 0x34}, 0x1235},
        {{0xfe, 0xf8, 0x1a, 0x18, 0x00}, 0}, /* no sync code */
    };
    struct codec_params p = {.codec = CODEC_FLAC, .kind = MEDIA_AUDIO};

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_frames); i++)
        assert_int_equal(codec_frame_samples(&p, VIEW(k_frames[i].bytes)), k_frames[i].samples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_config_gives_parameters_for_real_encoders),
        cmocka_unit_test(test_from_config_gives_proto_or_less_when_cut_anywhere),
        cmocka_unit_test(test_from_config_survives_when_any_byte_is_wrong),
        cmocka_unit_test(test_from_config_gives_the_record_that_mp4_carries),
        cmocka_unit_test(test_from_config_gives_sets_in_decoding_order_when_arrays_are_not),
        cmocka_unit_test(test_from_config_gives_too_big_above_32_parameter_sets),
        cmocka_unit_test(test_from_config_gives_ok_for_avcc_without_parameter_sets),
        cmocka_unit_test(test_from_config_gives_proto_with_the_reason_when_broken),
        cmocka_unit_test(test_from_config_gives_unsupported_for_codecs_without_one),
        cmocka_unit_test(test_from_frame_gives_unsupported_when_frames_say_nothing),
        cmocka_unit_test(test_from_frame_gives_parameters_for_opus_without_configuration),
        cmocka_unit_test(test_add_key_frame_gives_the_size_of_the_picture),
        cmocka_unit_test(test_add_key_frame_gives_proto_when_cut_or_not_a_key_frame),
        cmocka_unit_test(test_add_key_frame_does_nothing_for_other_codecs),
        cmocka_unit_test(test_frame_samples_gives_what_a_flac_frame_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
