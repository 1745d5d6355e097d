/* ADTS headers; AudioSpecificConfig beyond the vectors of test_params.c. */
#include "tests/unit/proto/codec/codec_test.h"

#include "proto/codec/aac.h"

static struct aac_config config_of(const uint8_t *bytes, size_t size_bytes)
{
    struct buf_view copy = heap_copy(bytes, size_bytes);
    struct aac_config config;
    const char *why = NULL;

    assert_int_equal(aac_parse_config(copy, &config, &why), E_OK);
    heap_free(copy);
    return config;
}

static void test_put_adts_gives_the_header_of_ffmpeg(void **state)
{
    static const uint8_t k_config[] = {0x12, 0x10}; /* LC, 44.1 kHz, stereo */
    static const uint8_t k_header[] = {0xff, 0xf1, 0x50, 0x80, 0x2e, 0x7f, 0xfc};
    struct aac_config config = config_of(k_config, sizeof k_config);
    uint8_t header[AAC_ADTS_BYTES];
    const char *why;

    (void)state;
    assert_int_equal(aac_put_adts(&config, 371 - AAC_ADTS_BYTES, header, &why), E_OK);
    assert_memory_equal(header, k_header, sizeof header);
}

static void test_put_adts_gives_the_core_for_he_aac(void **state)
{
    static const uint8_t k_config[] = {0x2b, 0x11, 0x88, 0x00}; /* 24 kHz, SBR to 48 */
    struct aac_config config = config_of(k_config, sizeof k_config);
    uint8_t header[AAC_ADTS_BYTES];
    const char *why;

    (void)state;
    assert_int_equal(aac_put_adts(&config, 1, header, &why), E_OK);
    assert_int_equal(header[2] >> 6, 1);       /* profile: LC */
    assert_int_equal(header[2] >> 2 & 0xf, 6); /* 24 kHz */
}

static void test_put_adts_refuses_what_it_cannot_say(void **state)
{
    static const uint8_t k_eld[] = {0xf8, 0xe6, 0x20};                  /* object type 39 */
    static const uint8_t k_own_rate[] = {0x17, 0x80, 0x55, 0xf0, 0x90}; /* 43,999 Hz */
    static const uint8_t k_71[] = {0x11, 0xe0}; /* channel configuration 12 */
    struct aac_config configs[] = {config_of(k_eld, sizeof k_eld),
                                   config_of(k_own_rate, sizeof k_own_rate),
                                   config_of(k_71, sizeof k_71)};
    uint8_t header[AAC_ADTS_BYTES];
    const char *why;

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(configs); i++) {
        why = NULL;
        assert_int_equal(aac_put_adts(&configs[i], 100, header, &why), E_UNSUPPORTED);
        assert_non_null(why);
    }
    assert_int_equal(configs[0].object_type, 39);
    assert_int_equal(configs[0].samples_per_frame, 512);
    assert_int_equal(configs[2].channels, 8);
}

static void test_put_adts_gives_too_big_above_13_bits(void **state)
{
    static const uint8_t k_config[] = {0x12, 0x10};
    struct aac_config config = config_of(k_config, sizeof k_config);
    uint8_t header[AAC_ADTS_BYTES];
    const char *why = NULL;

    (void)state;
    assert_int_equal(aac_put_adts(&config, AAC_ADTS_MAX_FRAME_BYTES, header, &why), E_OK);
    assert_int_equal(aac_put_adts(&config, AAC_ADTS_MAX_FRAME_BYTES + 1, header, &why), E_TOO_BIG);
    assert_int_equal(aac_put_adts(&config, SIZE_MAX, header, &why), E_TOO_BIG);
}

static void test_parse_config_counts_channels_of_a_program_config(void **state)
{
    static const uint8_t k_config[] = {
        0x11, 0x80, /* object type 2, 48 kHz, channel configuration 0 */
        0x04, 0xc8, /* tag 0, type 1, rate 3, front 2 */
        0x05, 0x00, /* side 0, back 1, LFE 1, data 0, coupling 0, no mono mixdown */
        0x20, 0x18, /* nor the others; front: a pair with tag 0, a single one with tag 1 */
        0x80,       /* back: a pair with tag 1 */
    };
    struct aac_config config = config_of(k_config, sizeof k_config);

    (void)state;
    assert_int_equal(config.channel_config, 0);
    assert_int_equal(config.channels, 6);
}

static void test_skip_adts_gives_the_raw_frame(void **state)
{
    static const uint8_t k_plain[] = {0xff, 0xf1, 0x50, 0x80, 0x01, 0x3f, 0xfc, 0x21, 0x10};
    static const uint8_t k_crc[] = {0xff, 0xf0, 0x50, 0x80, 0x01, 0x5f, 0xfc, 0xaa, 0xbb, 0x21};
    static const uint8_t k_other_size[] = {0xff, 0xf1, 0x50, 0x80, 0x01, 0x5f, 0xfc, 0x21, 0x10};
    static const uint8_t k_raw[] = {0x21, 0x10, 0x05};
    struct buf_view got = aac_skip_adts(VIEW(k_plain));

    (void)state;
    assert_int_equal(got.size_bytes, 2);
    assert_int_equal(got.data[0], 0x21);
    got = aac_skip_adts(VIEW(k_crc));
    assert_int_equal(got.size_bytes, 1);
    assert_int_equal(aac_skip_adts(VIEW(k_other_size)).size_bytes, sizeof k_other_size);
    assert_int_equal(aac_skip_adts(VIEW(k_raw)).size_bytes, sizeof k_raw);
    assert_int_equal(aac_skip_adts(buf_view_of(NULL, 0)).size_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put_adts_gives_the_header_of_ffmpeg),
        cmocka_unit_test(test_put_adts_gives_the_core_for_he_aac),
        cmocka_unit_test(test_put_adts_refuses_what_it_cannot_say),
        cmocka_unit_test(test_put_adts_gives_too_big_above_13_bits),
        cmocka_unit_test(test_parse_config_counts_channels_of_a_program_config),
        cmocka_unit_test(test_skip_adts_gives_the_raw_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
