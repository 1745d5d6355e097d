/* Enhanced headers: Enhanced RTMP v2, sections Enhanced Audio and Enhanced Video. */
#include "vectors.h"

/* clang-format off */
static const struct body_vector k_video[] = {
    /* name, type, size, bytes, codec, flags, track, es_offset, cts_us */
    {"hvc1 sequence start", FLV_TAG_VIDEO, 6,
     {0x90, 'h', 'v', 'c', '1', 0x01}, /* ex, key frame, SequenceStart */
     CODEC_HEVC, FRAME_CONFIG, 0, 5, 0},
    {"hvc1 coded frames, key, composition time 40 ms", FLV_TAG_VIDEO, 9,
     {0x91, 'h', 'v', 'c', '1', 0x00, 0x00, 0x28, 0x26},
     CODEC_HEVC, FRAME_KEY, 0, 8, 40000},
    {"avc1 coded frames, composition time -1 ms", FLV_TAG_VIDEO, 9,
     {0xa1, 'a', 'v', 'c', '1', 0xff, 0xff, 0xff, 0x41},
     CODEC_H264, 0, 0, 8, -1000},
    {"hvc1 coded frames x", FLV_TAG_VIDEO, 6,
     {0xa3, 'h', 'v', 'c', '1', 0x02},
     CODEC_HEVC, 0, 0, 5, 0},
    {"avc1 coded frames x, key", FLV_TAG_VIDEO, 6,
     {0x93, 'a', 'v', 'c', '1', 0x65},
     CODEC_H264, FRAME_KEY, 0, 5, 0},
    {"avc1 disposable", FLV_TAG_VIDEO, 6,
     {0xb3, 'a', 'v', 'c', '1', 0x01},
     CODEC_H264, FRAME_DISPOSABLE, 0, 5, 0},
    {"hvc1 sequence end", FLV_TAG_VIDEO, 5,
     {0x92, 'h', 'v', 'c', '1'},
     CODEC_HEVC, FRAME_SEQ_END, 0, 5, 0},
    {"av01 sequence start", FLV_TAG_VIDEO, 6,
     {0x90, 'a', 'v', '0', '1', 0x81},
     CODEC_AV1, FRAME_CONFIG, 0, 5, 0},
    {"av01 coded frames have no composition time", FLV_TAG_VIDEO, 9,
     {0x91, 'a', 'v', '0', '1', 0x12, 0x00, 0x0a, 0x0b},
     CODEC_AV1, FRAME_KEY, 0, 5, 0},
    {"av01 mpeg-2 ts sequence start", FLV_TAG_VIDEO, 7,
     {0x95, 'a', 'v', '0', '1', 0x80, 0x04},
     CODEC_AV1, FRAME_CONFIG, 0, 5, 0},
    {"vp09 key frame", FLV_TAG_VIDEO, 6,
     {0x91, 'v', 'p', '0', '9', 0x82},
     CODEC_VP9, FRAME_KEY, 0, 5, 0},
    {"vp08 sequence start", FLV_TAG_VIDEO, 6,
     {0x90, 'v', 'p', '0', '8', 0x01},
     CODEC_VP8, FRAME_CONFIG, 0, 5, 0},
    {"vvc1 key frame passes", FLV_TAG_VIDEO, 6,
     {0x91, 'v', 'v', 'c', '1', 0x00},
     CODEC_UNKNOWN, FRAME_KEY, 0, 5, 0},
    {"vvc1 sequence start passes", FLV_TAG_VIDEO, 6,
     {0x90, 'v', 'v', 'c', '1', 0x00},
     CODEC_UNKNOWN, FRAME_CONFIG, 0, 5, 0},
    {"metadata: colorInfo, frame type ignored", FLV_TAG_VIDEO, 17,
     {0x94, 'h', 'v', 'c', '1', 0x02, 0x00, 0x09, 'c', 'o', 'l', 'o', 'r', 'I', 'n', 'f', 'o'},
     CODEC_HEVC, FRAME_EXTRA, 0, 5, 0},
    {"metadata under frame type 5 is no command", FLV_TAG_VIDEO, 6,
     {0xd4, 'h', 'v', 'c', '1', 0x02},
     CODEC_HEVC, FRAME_EXTRA, 0, 5, 0},
    {"reserved packet type 8", FLV_TAG_VIDEO, 6,
     {0x98, 'h', 'v', 'c', '1', 0x02},
     CODEC_HEVC, 0, 0, 5, 0},
    {"command frame has no FourCC", FLV_TAG_VIDEO, 2,
     {0xd1, 0x00},
     CODEC_UNKNOWN, 0, 0, 2, 0},
    {"modex: 999,999 ns, then coded frames x", FLV_TAG_VIDEO, 11,
     {0x97,             /* ModEx */
      0x02,             /* size 3 */
      0x0f, 0x42, 0x3f, /* 999,999 */
      0x03,             /* type 0, CodedFramesX */
      'h', 'v', 'c', '1', 0x26},
     CODEC_HEVC, FRAME_KEY | FRAME_MOD_EX, 0, 10, 999},
    {"modex adds to the composition time", FLV_TAG_VIDEO, 14,
     {0x97, 0x02, 0x03, 0x0d, 0x40, /* 200,000 ns */
      0x01,                         /* type 0, CodedFrames */
      'a', 'v', 'c', '1', 0xff, 0xff, 0xff, 0x65},
     CODEC_H264, FRAME_KEY | FRAME_MOD_EX, 0, 13, -800},
    {"modex of an unknown type is skipped", FLV_TAG_VIDEO, 9,
     {0x97, 0x00, 0xee, /* size 1 */
      0xf3,             /* type 15, CodedFramesX */
      'h', 'v', 'c', '1', 0x26},
     CODEC_HEVC, FRAME_KEY | FRAME_MOD_EX, 0, 8, 0},
    {"modex chain", FLV_TAG_VIDEO, 14,
     {0x97, 0x00, 0xee, 0x17,       /* type 1, another ModEx */
      0x02, 0x00, 0x03, 0xe8, 0x03, /* 1,000 ns, CodedFramesX */
      'h', 'v', 'c', '1', 0x26},
     CODEC_HEVC, FRAME_KEY | FRAME_MOD_EX, 0, 13, 1},
    {"modex in the 16-bit form", FLV_TAG_VIDEO, 13,
     {0x97, 0xff,       /* 256: look at the next two bytes */
      0x00, 0x02,       /* size 3 */
      0x00, 0x07, 0xd0, /* 2,000 ns */
      0x03, 'h', 'v', 'c', '1', 0x26},
     CODEC_HEVC, FRAME_KEY | FRAME_MOD_EX, 0, 12, 2},
    {"modex, then a command", FLV_TAG_VIDEO, 5,
     {0xd7, 0x00, 0xee, 0xf3, 0x01},
     CODEC_UNKNOWN, FRAME_MOD_EX, 0, 5, 0},
    {"multitrack: one track", FLV_TAG_VIDEO, 8,
     {0x96,                /* Multitrack */
      0x00,                /* OneTrack, SequenceStart */
      'a', 'v', '0', '1',
      0x03,                /* track id */
      0x81},
     CODEC_AV1, FRAME_CONFIG | FRAME_MULTITRACK, 3, 7, 0},
    {"multitrack: one track, composition time", FLV_TAG_VIDEO, 11,
     {0xa6, 0x01, 'h', 'v', 'c', '1', 0x01, 0x00, 0x00, 0x0a, 0x02},
     CODEC_HEVC, FRAME_MULTITRACK, 1, 10, 10000},
    {"multitrack: many tracks", FLV_TAG_VIDEO, 21,
     {0x96, 0x11, 'h', 'v', 'c', '1', /* ManyTracks, CodedFrames */
      0x02, 0x00, 0x00, 0x04,         /* track 2, 4 bytes */
      0x00, 0x00, 0x14, 0x26,         /* composition time 20 ms, data */
      0x05, 0x00, 0x00, 0x03,         /* track 5, 3 bytes */
      0x00, 0x00, 0x15},
     CODEC_HEVC, FRAME_KEY | FRAME_MULTITRACK, 2, 13, 20000},
    {"multitrack: many tracks and codecs", FLV_TAG_VIDEO, 19,
     {0x96, 0x23,                             /* ManyTracksManyCodecs, CodedFramesX */
      'a', 'v', '0', '1', 0x00, 0x00, 0x00, 0x01, 0x12,
      'h', 'v', 'c', '1', 0x01, 0x00, 0x00, 0x00},
     CODEC_AV1, FRAME_KEY | FRAME_MULTITRACK, 0, 10, 0},
    {"multitrack of a reserved kind passes", FLV_TAG_VIDEO, 3,
     {0x96, 0x33, 0xaa},
     CODEC_UNKNOWN, FRAME_MULTITRACK, 0, 2, 0},
    {"modex, then multitrack", FLV_TAG_VIDEO, 13,
     {0xa7, 0x02, 0x00, 0x0b, 0xb8, 0x06, /* 3,000 ns, Multitrack */
      0x03, 'v', 'p', '0', '9', 0x07, 0x82},
     CODEC_VP9, FRAME_MULTITRACK | FRAME_MOD_EX, 7, 12, 3},
};

static const struct body_vector k_audio[] = {
    {"opus sequence start", FLV_TAG_AUDIO, 13,
     {0x90, 'O', 'p', 'u', 's', 'O', 'p', 'u', 's', 'H', 'e', 'a', 'd'},
     CODEC_OPUS, FRAME_CONFIG, 0, 5, 0},
    {"opus coded frames", FLV_TAG_AUDIO, 6, {0x91, 'O', 'p', 'u', 's', 0xfc}, CODEC_OPUS, 0, 0, 5, 0},
    {"flac sequence start", FLV_TAG_AUDIO, 9,
     {0x90, 'f', 'L', 'a', 'C', 'f', 'L', 'a', 'C'},
     CODEC_FLAC, FRAME_CONFIG, 0, 5, 0},
    {"mp4a sequence start", FLV_TAG_AUDIO, 7,
     {0x90, 'm', 'p', '4', 'a', 0x12, 0x10},
     CODEC_AAC, FRAME_CONFIG, 0, 5, 0},
    {"mp4a coded frames", FLV_TAG_AUDIO, 6, {0x91, 'm', 'p', '4', 'a', 0x21}, CODEC_AAC, 0, 0, 5, 0},
    {"ac-3", FLV_TAG_AUDIO, 7, {0x91, 'a', 'c', '-', '3', 0x0b, 0x77}, CODEC_AC3, 0, 0, 5, 0},
    {"ac-3 has no configuration", FLV_TAG_AUDIO, 5, {0x90, 'a', 'c', '-', '3'}, CODEC_AC3, 0, 0, 5, 0},
    {"ec-3", FLV_TAG_AUDIO, 7, {0x91, 'e', 'c', '-', '3', 0x0b, 0x77}, CODEC_EAC3, 0, 0, 5, 0},
    {".mp3", FLV_TAG_AUDIO, 7, {0x91, '.', 'm', 'p', '3', 0xff, 0xfb}, CODEC_MP3, 0, 0, 5, 0},
    {".mp3 has no configuration", FLV_TAG_AUDIO, 5, {0x90, '.', 'm', 'p', '3'}, CODEC_MP3, 0, 0, 5, 0},
    {"sequence end", FLV_TAG_AUDIO, 5, {0x92, 'O', 'p', 'u', 's'}, CODEC_OPUS, FRAME_SEQ_END, 0, 5, 0},
    {"multichannel config adds to the sequence start", FLV_TAG_AUDIO, 11,
     {0x94, 'O', 'p', 'u', 's', 0x01, 0x06, 0x00, 0x00, 0x00, 0x3f},
     CODEC_OPUS, FRAME_EXTRA, 0, 5, 0},
    {"reserved packet type 3", FLV_TAG_AUDIO, 5, {0x93, 'O', 'p', 'u', 's'}, CODEC_OPUS, 0, 0, 5, 0},
    {"packet type 6 is no multitrack in audio", FLV_TAG_AUDIO, 5,
     {0x96, 'O', 'p', 'u', 's'},
     CODEC_OPUS, 0, 0, 5, 0},
    {"unknown FourCC", FLV_TAG_AUDIO, 6, {0x91, 'd', 't', 's', 'c', 0x7f}, CODEC_UNKNOWN, 0, 0, 5, 0},
    {"modex: 500,000 ns", FLV_TAG_AUDIO, 11,
     {0x97, 0x02, 0x07, 0xa1, 0x20, 0x01, 'O', 'p', 'u', 's', 0xfc},
     CODEC_OPUS, FRAME_MOD_EX, 0, 10, 500},
    {"multitrack: one track", FLV_TAG_AUDIO, 8,
     {0x95, 0x00, 'm', 'p', '4', 'a', 0x02, 0x12},
     CODEC_AAC, FRAME_CONFIG | FRAME_MULTITRACK, 2, 7, 0},
    {"multitrack: many tracks and codecs", FLV_TAG_AUDIO, 21,
     {0x95, 0x21,
      'O', 'p', 'u', 's', 0x09, 0x00, 0x00, 0x01, 0xfc,
      'm', 'p', '4', 'a', 0x01, 0x00, 0x00, 0x02, 0x21, 0x22},
     CODEC_OPUS, FRAME_MULTITRACK, 9, 10, 0},
};

/* Each size or order that must not be believed. */
static const struct body_vector k_broken[] = {
    {.name = "multitrack inside multitrack", .type_id = FLV_TAG_VIDEO, .size_bytes = 8,
     .bytes = {0x96, 0x06, 'a', 'v', '0', '1', 0x00, 0x00}},
    {.name = "audio multitrack inside multitrack", .type_id = FLV_TAG_AUDIO, .size_bytes = 8,
     .bytes = {0x95, 0x05, 'O', 'p', 'u', 's', 0x00, 0x00}},
    {.name = "nanosecond offset of 2 bytes", .type_id = FLV_TAG_VIDEO, .size_bytes = 10,
     .bytes = {0x97, 0x01, 0x00, 0x01, 0x03, 'h', 'v', 'c', '1', 0x26}},
    {.name = "modex longer than the body", .type_id = FLV_TAG_VIDEO, .size_bytes = 10,
     .bytes = {0x97, 0xff, 0xff, 0xff, 0x03, 'h', 'v', 'c', '1', 0x26}},
    {.name = "track size past the end", .type_id = FLV_TAG_VIDEO, .size_bytes = 11,
     .bytes = {0x96, 0x13, 'h', 'v', 'c', '1', 0x00, 0xff, 0xff, 0xff, 0x26}},
    {.name = "second track past the end", .type_id = FLV_TAG_AUDIO, .size_bytes = 16,
     .bytes = {0x95, 0x11, 'O', 'p', 'u', 's', 0x00, 0x00, 0x00, 0x01, 0xfc,
               0x01, 0x00, 0x00, 0x02, 0xfc}},
    {.name = "track too short for its composition time", .type_id = FLV_TAG_VIDEO, .size_bytes = 17,
     .bytes = {0x96, 0x11, 'h', 'v', 'c', '1', 0x00, 0x00, 0x00, 0x02, 0x00, 0x00,
               0x01, 0x00, 0x00, 0x01, 0x00}},
    {.name = "many tracks, none there", .type_id = FLV_TAG_VIDEO, .size_bytes = 6,
     .bytes = {0x96, 0x13, 'h', 'v', 'c', '1'}},
};
/* clang-format on */

static void test_parse_body_gives_codec_and_flags_for_enhanced_video(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_video); i++)
        assert_vector(&k_video[i]);
}

static void test_parse_body_gives_codec_and_flags_for_enhanced_audio(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_audio); i++)
        assert_vector(&k_audio[i]);
}

static void test_parse_body_gives_proto_when_cut_inside_a_header(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_video); i++)
        assert_truncations_fail(&k_video[i], k_video[i].es_offset);
    for (size_t i = 0; i < N_ELEMENTS(k_audio); i++)
        assert_truncations_fail(&k_audio[i], k_audio[i].es_offset);
}

static void test_parse_body_gives_proto_when_sizes_do_not_fit(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_broken); i++) {
        const struct body_vector *v = &k_broken[i];
        struct media_frame_info info;
        const char *why = NULL;

        if (parse_copy(v->type_id, v->bytes, v->size_bytes, &info, &why) != E_PROTO)
            fail_msg("%s: accepted", v->name);
        assert_non_null(why);
    }
}

/* The largest ModEx: 65,536 bytes, far more than any known one. */
static void test_parse_body_skips_modex_of_the_largest_size(void **state)
{
    enum { DATA_BYTES = 65536, BODY_BYTES = 4 + DATA_BYTES + 1 + 4 };
    uint8_t *body = calloc(1, BODY_BYTES);
    struct media_frame_info info;
    const char *why;

    (void)state;
    assert_non_null(body);
    memcpy(body, "\x97\xff\xff\xff", 4);
    memcpy(body + 4, "\x00\x27\x10", 3); /* 10,000 ns; the rest is ignored */
    memcpy(body + 4 + DATA_BYTES, "\x03hvc1", 5);
    assert_int_equal(flv_parse_body(FLV_TAG_VIDEO, buf_view_of(body, BODY_BYTES), &info, &why),
                     E_OK);
    assert_int_equal(info.codec, CODEC_HEVC);
    assert_int_equal(info.es_offset, BODY_BYTES);
    assert_int_equal(info.cts_us, 10);
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_body_gives_codec_and_flags_for_enhanced_video),
        cmocka_unit_test(test_parse_body_gives_codec_and_flags_for_enhanced_audio),
        cmocka_unit_test(test_parse_body_gives_proto_when_cut_inside_a_header),
        cmocka_unit_test(test_parse_body_gives_proto_when_sizes_do_not_fit),
        cmocka_unit_test(test_parse_body_skips_modex_of_the_largest_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
