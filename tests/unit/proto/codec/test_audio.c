/* Frames that describe themselves: MPEG audio, AC-3, E-AC-3, Opus packets. */
#include "tests/unit/proto/codec/codec_test.h"

#include "proto/codec/ac3.h"
#include "proto/codec/codec.h"
#include "proto/codec/mpa.h"
#include "proto/codec/opus.h"

/* --- MPEG audio --- */

static void test_mpa_parse_gives_what_the_header_says(void **state)
{
    static const struct {
        uint8_t header[4];
        struct mpa_info info; /* version, layer, channels, kbit/s, Hz, samples, bytes */
    } k_rows[] = {
        {{0xff, 0xfb, 0x50, 0x00}, {1, 3, 2, 64, 44100, 1152, 208}},
        {{0xff, 0xfb, 0x92, 0x64}, {1, 3, 2, 128, 44100, 1152, 418}}, /* padded */
        {{0xff, 0xfb, 0x90, 0xc4}, {1, 3, 1, 128, 44100, 1152, 417}},
        {{0xff, 0xfd, 0xc4, 0x00}, {1, 2, 2, 256, 48000, 1152, 768}},
        {{0xff, 0xff, 0xc8, 0x00}, {1, 1, 2, 384, 32000, 384, 576}},
        {{0xff, 0xf3, 0x84, 0x00}, {2, 3, 2, 64, 24000, 576, 192}},
        {{0xff, 0xe3, 0x88, 0xc0}, {3, 3, 1, 64, 8000, 576, 576}},
        {{0xff, 0xfb, 0x00, 0x00}, {1, 3, 2, 0, 44100, 1152, 0}}, /* free format */
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_rows); i++) {
        const struct mpa_info *want = &k_rows[i].info;
        struct mpa_info got;
        const char *why = NULL;

        assert_int_equal(mpa_parse(VIEW(k_rows[i].header), &got, &why), E_OK);
        assert_int_equal(got.version, want->version);
        assert_int_equal(got.layer, want->layer);
        assert_int_equal(got.channels, want->channels);
        assert_int_equal(got.rate_kbps, want->rate_kbps);
        assert_int_equal(got.sample_rate_hz, want->sample_rate_hz);
        assert_int_equal(got.samples, want->samples);
        assert_int_equal(got.frame_bytes, want->frame_bytes);
    }
}

static void test_mpa_parse_gives_proto_when_reserved_or_cut(void **state)
{
    static const uint8_t k_broken[][4] = {
        {0xff, 0xdb, 0x90, 0x00}, /* sync word of 10 bits */
        {0xff, 0xeb, 0x90, 0x00}, /* reserved version */
        {0xff, 0xf9, 0x90, 0x00}, /* reserved layer: ADTS looks like this */
        {0xff, 0xfb, 0xf0, 0x00}, /* rate 15 */
        {0xff, 0xfb, 0x9c, 0x00}, /* sampling rate 3 */
    };
    static const uint8_t k_good[] = {0xff, 0xfb, 0x90, 0x00};
    struct mpa_info info;
    const char *why;

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_broken); i++) {
        why = NULL;
        assert_int_equal(mpa_parse(VIEW(k_broken[i]), &info, &why), E_PROTO);
        assert_non_null(why);
    }
    for (size_t size = 0; size < sizeof k_good; size++) {
        struct buf_view cut = heap_copy(k_good, size);

        assert_int_equal(mpa_parse(cut, &info, &why), E_PROTO);
        heap_free(cut);
    }
}

static void test_from_frame_gives_mp3_parameters(void **state)
{
    static const uint8_t k_v1[] = {0xff, 0xfb, 0x92, 0x64};
    static const uint8_t k_v2[] = {0xff, 0xf3, 0x84, 0x00};
    struct codec_params p;
    const char *why;

    (void)state;
    assert_int_equal(codec_params_from_frame(CODEC_MP3, VIEW(k_v1), &p, &why), E_OK);
    assert_string_equal(p.rfc6381, "mp4a.40.34");
    assert_int_equal(p.audio.mpeg_version, 1);
    assert_int_equal(p.audio.samples_per_frame, 1152);
    assert_int_equal(codec_params_from_frame(CODEC_MP3, VIEW(k_v2), &p, &why), E_OK);
    assert_int_equal(p.audio.mpeg_version, 2);
    assert_int_equal(codec_frame_samples(&p, VIEW(k_v2)), 576);
}

/* --- AC-3 and E-AC-3: the heads of frames that FFmpeg wrote --- */

static const uint8_t k_ac3_head[] = {0x0b, 0x77, 0xb5, 0x0b, 0x1e, 0x40, 0xeb, 0xf8};
static const uint8_t k_eac3_head[] = {0x0b, 0x77, 0x03, 0x7f, 0x3f, 0x87, 0xc0, 0x00};
enum { AC3_BYTES = 1792, EAC3_BYTES = 1792 }; /* 448 kbit/s, 48 kHz */

static struct buf_view frame_of(const uint8_t head[8], size_t size_bytes)
{
    uint8_t bytes[4096] = {0};

    memcpy(bytes, head, 8);
    return heap_copy(bytes, size_bytes);
}

static void test_ac3_parse_gives_what_an_ac3_frame_says(void **state)
{
    struct buf_view frame = frame_of(k_ac3_head, AC3_BYTES);
    struct ac3_info info;
    struct codec_params p;
    const char *why = NULL;

    (void)state;
    assert_int_equal(ac3_parse(frame, &info, &why), E_OK);
    assert_false(info.enhanced);
    assert_int_equal(info.fscod, 0);
    assert_int_equal(info.bsid, 8);
    assert_int_equal(info.acmod, 7);
    assert_int_equal(info.lfeon, 1);
    assert_int_equal(info.bit_rate_code, 15);
    assert_int_equal(info.channels, 6);
    assert_int_equal(info.sample_rate_hz, 48000);
    assert_int_equal(info.rate_kbps, 448);
    assert_int_equal(info.samples, 1536);
    assert_int_equal(info.first_bytes, AC3_BYTES);
    assert_int_equal(codec_params_from_frame(CODEC_AC3, frame, &p, &why), E_OK);
    assert_string_equal(p.rfc6381, "ac-3");
    assert_int_equal(codec_params_from_frame(CODEC_EAC3, frame, &p, &why), E_PROTO);
    heap_free(frame);
}

static void test_ac3_parse_gives_frame_sizes_of_table_4_13(void **state)
{
    static const struct {
        uint8_t rates; /* fscod:2, frmsizecod:6 */
        uint32_t size_bytes;
    } k_rows[] = {
        {0x00, 128},  {0x1c, 1536}, {0x25, 2560}, {0x40, 138}, {0x41, 140},
        {0x5e, 1950}, {0x5f, 1952}, {0x65, 2788}, {0x80, 192}, {0xa5, 3840},
    };
    uint8_t bytes[4096] = {0x0b, 0x77, 0, 0, 0, 0x40, 0x40};

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_rows); i++) {
        struct ac3_info info;
        const char *why = NULL;

        bytes[4] = k_rows[i].rates;
        assert_int_equal(ac3_parse(VIEW(bytes), &info, &why), E_OK);
        assert_int_equal(info.first_bytes, k_rows[i].size_bytes);
    }
}

static void test_ac3_parse_gives_what_an_eac3_frame_says(void **state)
{
    struct buf_view frame = frame_of(k_eac3_head, EAC3_BYTES);
    struct ac3_info info;
    struct codec_params p;
    const char *why = NULL;

    (void)state;
    assert_int_equal(ac3_parse(frame, &info, &why), E_OK);
    assert_true(info.enhanced);
    assert_int_equal(info.bsid, 16);
    assert_int_equal(info.acmod, 7);
    assert_int_equal(info.lfeon, 1);
    assert_int_equal(info.n_independent, 1);
    assert_int_equal(info.n_dependent, 0);
    assert_int_equal(info.rate_kbps, 448);
    assert_int_equal(info.samples, 1536);
    assert_int_equal(info.first_bytes, EAC3_BYTES);
    assert_int_equal(codec_params_from_frame(CODEC_EAC3, frame, &p, &why), E_OK);
    assert_string_equal(p.rfc6381, "ec-3");
    assert_int_equal(p.audio.channels, 6);
    heap_free(frame);
}

/* 5.1 and a dependent substream that adds Lrs and Rrs: 7.1. */
static void test_ac3_parse_counts_dependent_substreams(void **state)
{
    uint8_t unit[64] = {0x0b, 0x77, 0x00, 0x0f, 0x3f, 0x87, 0xc0, 0x00}; /* 32 bytes */
    static const uint8_t k_dependent[] = {
        0x0b, 0x77, 0x40, 0x0f,       /* dependent, id 0, 32 bytes */
        0x34, 0x80, 0x50, 0x20, 0x00, /* 2/0, bsid 16; chanmape, chanmap 0200: Lrs/Rrs */
    };
    struct ac3_info info;
    const char *why = NULL;

    (void)state;
    memcpy(unit + 32, k_dependent, sizeof k_dependent);
    assert_int_equal(ac3_parse(VIEW(unit), &info, &why), E_OK);
    assert_int_equal(info.n_independent, 1);
    assert_int_equal(info.n_dependent, 1);
    assert_int_equal(info.chan_loc, 1u << 1);
    assert_int_equal(info.first_bytes, 32);
    assert_int_equal(info.rate_kbps, 16);
}

static void test_ac3_parse_gives_proto_when_cut_or_reserved(void **state)
{
    static const struct {
        const uint8_t *head;
        size_t size_bytes;
    } k_frames[] = {{k_ac3_head, AC3_BYTES}, {k_eac3_head, EAC3_BYTES}};
    uint8_t bytes[AC3_BYTES] = {0};
    struct ac3_info info;
    const char *why;

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_frames); i++) {
        for (size_t size = 0; size < k_frames[i].size_bytes; size += size < 16 ? 1 : 111) {
            struct buf_view cut = frame_of(k_frames[i].head, size);

            why = NULL;
            assert_int_equal(ac3_parse(cut, &info, &why), E_PROTO);
            assert_non_null(why);
            heap_free(cut);
        }
    }
    memcpy(bytes, k_ac3_head, sizeof k_ac3_head);
    bytes[4] = 0xc0; /* fscod 3 */
    assert_int_equal(ac3_parse(VIEW(bytes), &info, &why), E_PROTO);
    bytes[4] = 0x26; /* frmsizecod 38 */
    assert_int_equal(ac3_parse(VIEW(bytes), &info, &why), E_PROTO);
    bytes[5] = 0x98; /* bsid 19 */
    assert_int_equal(ac3_parse(VIEW(bytes), &info, &why), E_PROTO);
}

/* --- Opus --- */

static void test_opus_packet_samples_gives_durations_of_rfc_6716(void **state)
{
    static const struct {
        uint8_t bytes[2];
        uint8_t size_bytes;
        uint32_t samples;
        unsigned channels;
    } k_rows[] = {
        {{0x00}, 1, 480, 1},        /* SILK 10 ms */
        {{0x18}, 1, 2880, 1},       /* SILK 60 ms */
        {{0x64}, 1, 480, 2},        /* hybrid 10 ms, stereo */
        {{0x68}, 1, 960, 1},        /* hybrid 20 ms */
        {{0x80}, 1, 120, 1},        /* CELT 2.5 ms */
        {{0xfc}, 1, 960, 2},        /* CELT 20 ms, stereo */
        {{0xfd}, 1, 1920, 2},       /* two frames */
        {{0xfe}, 1, 1920, 2},       /* two frames of different sizes */
        {{0xff, 0x03}, 2, 2880, 2}, /* three */
        {{0xff, 0x86}, 2, 5760, 2}, /* six: 120 ms */
        {{0xff, 0x07}, 2, 0, 2},    /* 140 ms */
        {{0xff, 0x00}, 2, 0, 2},    /* none */
        {{0xff}, 1, 0, 2},          /* count cut off */
        {{0}, 0, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_rows); i++) {
        struct buf_view packet = heap_copy(k_rows[i].bytes, k_rows[i].size_bytes);

        assert_int_equal(opus_packet_samples(packet), k_rows[i].samples);
        assert_int_equal(opus_packet_channels(packet), k_rows[i].channels);
        heap_free(packet);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mpa_parse_gives_what_the_header_says),
        cmocka_unit_test(test_mpa_parse_gives_proto_when_reserved_or_cut),
        cmocka_unit_test(test_from_frame_gives_mp3_parameters),
        cmocka_unit_test(test_ac3_parse_gives_what_an_ac3_frame_says),
        cmocka_unit_test(test_ac3_parse_gives_frame_sizes_of_table_4_13),
        cmocka_unit_test(test_ac3_parse_gives_what_an_eac3_frame_says),
        cmocka_unit_test(test_ac3_parse_counts_dependent_substreams),
        cmocka_unit_test(test_ac3_parse_gives_proto_when_cut_or_reserved),
        cmocka_unit_test(test_opus_packet_samples_gives_durations_of_rfc_6716),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
