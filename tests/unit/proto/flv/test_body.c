/* Legacy codec headers and the script bodies: FLV 10.1 E.4.2 to E.4.4. */
#include "vectors.h"

/* clang-format off */
static const struct body_vector k_video[] = {
    /* name, type, size, bytes, codec, flags, track, es_offset, cts_us */
    {"avc sequence header", FLV_TAG_VIDEO, 7,
     {0x17, 0x00, 0x00, 0x00, 0x00, /* key, AVC; packet type 0; composition time 0 */
      0x01, 0x64},                  /* AVCDecoderConfigurationRecord */
     CODEC_H264, FRAME_CONFIG, 0, 5, 0},
    {"avc key frame, composition time 80 ms", FLV_TAG_VIDEO, 6,
     {0x17, 0x01, 0x00, 0x00, 0x50, 0x65},
     CODEC_H264, FRAME_KEY, 0, 5, 80000},
    {"avc inter frame, composition time -40 ms", FLV_TAG_VIDEO, 6,
     {0x27, 0x01, 0xff, 0xff, 0xd8, 0x41},
     CODEC_H264, 0, 0, 5, -40000},
    {"avc inter frame, lowest composition time", FLV_TAG_VIDEO, 5,
     {0x27, 0x01, 0x80, 0x00, 0x00},
     CODEC_H264, 0, 0, 5, -8388608000},
    {"avc inter frame, highest composition time", FLV_TAG_VIDEO, 5,
     {0x27, 0x01, 0x7f, 0xff, 0xff},
     CODEC_H264, 0, 0, 5, 8388607000},
    {"avc disposable frame", FLV_TAG_VIDEO, 6,
     {0x37, 0x01, 0x00, 0x00, 0x00, 0x01},
     CODEC_H264, FRAME_DISPOSABLE, 0, 5, 0},
    {"avc generated key frame", FLV_TAG_VIDEO, 6,
     {0x47, 0x01, 0x00, 0x00, 0x00, 0x65},
     CODEC_H264, 0, 0, 5, 0},
    {"avc end of sequence", FLV_TAG_VIDEO, 5,
     {0x17, 0x02, 0x00, 0x00, 0x00},
     CODEC_H264, FRAME_SEQ_END, 0, 5, 0},
    {"avc packet type without a meaning", FLV_TAG_VIDEO, 5,
     {0x17, 0x03, 0x00, 0x00, 0x50},
     CODEC_H264, 0, 0, 5, 0},
    {"avc sequence header marked as disposable", FLV_TAG_VIDEO, 6,
     {0x37, 0x00, 0x00, 0x00, 0x00, 0x01},
     CODEC_H264, FRAME_CONFIG, 0, 5, 0},
    {"hevc id 12 sequence header", FLV_TAG_VIDEO, 6,
     {0x1c, 0x00, 0x00, 0x00, 0x00, 0x01},
     CODEC_HEVC, FRAME_CONFIG, 0, 5, 0},
    {"hevc id 12 key frame", FLV_TAG_VIDEO, 6,
     {0x1c, 0x01, 0x00, 0x00, 0x21, 0x26},
     CODEC_HEVC, FRAME_KEY, 0, 5, 33000},
    {"h263 key frame", FLV_TAG_VIDEO, 2, {0x12, 0x00}, CODEC_H263, FRAME_KEY, 0, 1, 0},
    {"h263 disposable frame", FLV_TAG_VIDEO, 2, {0x32, 0x00}, CODEC_H263, FRAME_DISPOSABLE, 0, 1, 0},
    {"screen key frame", FLV_TAG_VIDEO, 2, {0x13, 0x00}, CODEC_SCREEN, FRAME_KEY, 0, 1, 0},
    {"screen 2 inter frame", FLV_TAG_VIDEO, 2, {0x26, 0x00}, CODEC_SCREEN, 0, 0, 1, 0},
    {"vp6 key frame", FLV_TAG_VIDEO, 3,
     {0x14, 0x42, 0x78}, /* adjustment: 4 columns, 2 rows */
     CODEC_VP6, FRAME_KEY, 0, 2, 0},
    {"vp6 with alpha", FLV_TAG_VIDEO, 6,
     {0x25, 0x00, 0x00, 0x00, 0x10, 0x78}, /* offset of the alpha part is data */
     CODEC_VP6, 0, 0, 2, 0},
    {"reserved codec id", FLV_TAG_VIDEO, 2, {0x18, 0xaa}, CODEC_UNKNOWN, FRAME_KEY, 0, 1, 0},
    {"command frame: seek starts", FLV_TAG_VIDEO, 2, {0x57, 0x00}, CODEC_UNKNOWN, 0, 0, 2, 0},
    {"command frame: seek ends", FLV_TAG_VIDEO, 2, {0x52, 0x01}, CODEC_UNKNOWN, 0, 0, 2, 0},
};

static const struct body_vector k_audio[] = {
    {"aac sequence header", FLV_TAG_AUDIO, 4,
     {0xaf, 0x00,  /* AAC, 44 kHz 16 bit stereo (constant); packet type 0 */
      0x12, 0x10}, /* AudioSpecificConfig */
     CODEC_AAC, FRAME_CONFIG, 0, 2, 0},
    {"aac frame", FLV_TAG_AUDIO, 3, {0xaf, 0x01, 0x21}, CODEC_AAC, 0, 0, 2, 0},
    {"aac packet type without a meaning", FLV_TAG_AUDIO, 2, {0xaf, 0x05}, CODEC_AAC, 0, 0, 2, 0},
    {"pcm, platform endian", FLV_TAG_AUDIO, 2, {0x0f, 0x00}, CODEC_PCM, 0, 0, 1, 0},
    {"adpcm", FLV_TAG_AUDIO, 2, {0x1e, 0x00}, CODEC_ADPCM, 0, 0, 1, 0},
    {"mp3, second byte 0 is no packet type", FLV_TAG_AUDIO, 2, {0x2f, 0x00}, CODEC_MP3, 0, 0, 1, 0},
    {"pcm, little endian", FLV_TAG_AUDIO, 2, {0x3f, 0x00}, CODEC_PCM, 0, 0, 1, 0},
    {"nellymoser 16 kHz", FLV_TAG_AUDIO, 2, {0x42, 0x00}, CODEC_NELLYMOSER, 0, 0, 1, 0},
    {"nellymoser 8 kHz", FLV_TAG_AUDIO, 2, {0x52, 0x00}, CODEC_NELLYMOSER, 0, 0, 1, 0},
    {"nellymoser", FLV_TAG_AUDIO, 2, {0x6a, 0x00}, CODEC_NELLYMOSER, 0, 0, 1, 0},
    {"g.711 a-law", FLV_TAG_AUDIO, 2, {0x72, 0xd5}, CODEC_PCMA, 0, 0, 1, 0},
    {"g.711 mu-law", FLV_TAG_AUDIO, 2, {0x82, 0xff}, CODEC_PCMU, 0, 0, 1, 0},
    {"speex", FLV_TAG_AUDIO, 2, {0xb2, 0x00}, CODEC_SPEEX, 0, 0, 1, 0},
    {"reserved sound format 12", FLV_TAG_AUDIO, 2, {0xcf, 0x00}, CODEC_UNKNOWN, 0, 0, 1, 0},
    {"opus as WebRTC gateways send it", FLV_TAG_AUDIO, 2, {0xdf, 0x00}, CODEC_OPUS, 0, 0, 1, 0},
    {"mp3 8 kHz", FLV_TAG_AUDIO, 2, {0xee, 0xff}, CODEC_MP3, 0, 0, 1, 0},
    {"device specific", FLV_TAG_AUDIO, 2, {0xff, 0x00}, CODEC_UNKNOWN, 0, 0, 1, 0},
};

static const struct body_vector k_script[] = {
    {"onMetaData", FLV_TAG_SCRIPT, 14,
     {0x02, 0x00, 0x0a, 'o', 'n', 'M', 'e', 't', 'a', 'D', 'a', 't', 'a',
      0x05}, /* null instead of the ECMA array */
     CODEC_SCRIPT, FRAME_METADATA, 0, 0, 0},
    {"@setDataFrame, onMetaData", FLV_TAG_SCRIPT, 30,
     {0x02, 0x00, 0x0d, '@', 's', 'e', 't', 'D', 'a', 't', 'a', 'F', 'r', 'a', 'm', 'e',
      0x02, 0x00, 0x0a, 'o', 'n', 'M', 'e', 't', 'a', 'D', 'a', 't', 'a',
      0x05},
     CODEC_SCRIPT, FRAME_METADATA, 0, 16, 0},
    {"another event", FLV_TAG_SCRIPT, 11,
     {0x02, 0x00, 0x08, 'o', 'n', 'C', 'u', 'e', 'P', 'n', 't'},
     CODEC_SCRIPT, 0, 0, 0, 0},
    {"no name at all", FLV_TAG_SCRIPT, 1, {0x05}, CODEC_SCRIPT, 0, 0, 0, 0},
};
/* clang-format on */

static void assert_vectors(const struct body_vector *vectors, size_t n_vectors)
{
    for (size_t i = 0; i < n_vectors; i++)
        assert_vector(&vectors[i]);
}

static void test_parse_body_gives_codec_and_flags_for_legacy_video(void **state)
{
    (void)state;
    assert_vectors(k_video, N_ELEMENTS(k_video));
}

static void test_parse_body_gives_codec_and_flags_for_legacy_audio(void **state)
{
    (void)state;
    assert_vectors(k_audio, N_ELEMENTS(k_audio));
}

static void test_parse_body_gives_metadata_flag_for_script(void **state)
{
    (void)state;
    assert_vectors(k_script, N_ELEMENTS(k_script));
}

static void test_parse_body_gives_proto_when_cut_inside_a_header(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_video); i++)
        assert_truncations_fail(&k_video[i], k_video[i].es_offset);
    for (size_t i = 0; i < N_ELEMENTS(k_audio); i++)
        assert_truncations_fail(&k_audio[i], k_audio[i].es_offset);
    assert_truncations_fail(&k_script[0], 1); /* the empty body alone */
}

static void test_parse_body_gives_ok_when_nothing_follows_the_header(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_video); i++) {
        struct body_vector v = k_video[i];

        v.size_bytes = (uint8_t)v.es_offset;
        assert_vector(&v);
    }
}

static void test_parse_body_gives_proto_for_another_message_type(void **state)
{
    static const uint8_t k_aggregate[] = {0x17, 0x01, 0x00, 0x00, 0x00};
    static const uint8_t k_types[] = {0, 7, 10, 15, 20, 22, 255};
    struct media_frame_info info = {0};

    (void)state;
    for (size_t i = 0; i < sizeof k_types; i++) {
        const char *why = NULL;

        assert_int_equal(parse_copy(k_types[i], k_aggregate, sizeof k_aggregate, &info, &why),
                         E_PROTO);
        assert_non_null(why);
    }
}

/* All 256 first bytes, all second ones: never key and configuration at once, never past the end. */
static void test_parse_body_keeps_its_promises_for_every_first_byte(void **state)
{
    static const uint8_t k_types[] = {FLV_TAG_AUDIO, FLV_TAG_VIDEO, FLV_TAG_SCRIPT};

    (void)state;
    for (unsigned i = 0; i < 3 * 65536; i++) {
        uint8_t bytes[12] = {(uint8_t)(i >> 8), (uint8_t)i, 'a', 'v', 'c', '1'};
        struct media_frame_info info;
        const char *why;

        if (flv_parse_body(k_types[i >> 16], buf_view_of(bytes, sizeof bytes), &info, &why) != E_OK)
            continue;
        assert_true(info.es_offset <= sizeof bytes);
        assert_int_not_equal(info.flags & (FRAME_KEY | FRAME_CONFIG), FRAME_KEY | FRAME_CONFIG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_body_gives_codec_and_flags_for_legacy_video),
        cmocka_unit_test(test_parse_body_gives_codec_and_flags_for_legacy_audio),
        cmocka_unit_test(test_parse_body_gives_metadata_flag_for_script),
        cmocka_unit_test(test_parse_body_gives_proto_when_cut_inside_a_header),
        cmocka_unit_test(test_parse_body_gives_ok_when_nothing_follows_the_header),
        cmocka_unit_test(test_parse_body_gives_proto_for_another_message_type),
        cmocka_unit_test(test_parse_body_keeps_its_promises_for_every_first_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
