/* onMetaData in the room that is kept for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "proto/flv/flv.h"
#include "proto/flv/seek.h"

static void test_meta_is_as_long_with_any_number_of_keys(void **state)
{
    static const size_t k_numbers[] = {0, 1, 2, 100, 860, 871, 872, 5000, 100000};

    (void)state;
    for (size_t i = 0; i < sizeof k_numbers / sizeof k_numbers[0]; i++) {
        struct flv_seek_facts facts = {.codecs = {CODEC_AAC, CODEC_HEVC},
                                       .width = 1920,
                                       .height = 1080,
                                       .sample_rate_hz = 48000,
                                       .channels = 2};
        struct buf_writer w;

        buf_writer_init(&w, 1 << 20);
        for (size_t k = 0; k < k_numbers[i]; k++)
            assert_true(flv_seek_add_key(&facts, (uint32_t)k * 1000, k * 100000 + 16400));
        assert_int_equal(flv_seek_write_meta(&w, &facts, UINT64_C(1) << 40), E_OK);
        assert_int_equal(w.used_bytes, FLV_SEEK_META_BYTES);
        buf_writer_fini(&w);
        free(facts.keys);
    }
}

static void test_meta_is_one_whole_tag_when_nothing_is_known(void **state)
{
    static const uint8_t k_header[] = {FLV_TAG_SCRIPT, 0, 0x3f, 0xf1, 0, 0, 0, 0, 0, 0, 0};
    struct flv_seek_facts facts = {.codecs = {CODEC_NONE, CODEC_NONE}};
    struct buf_writer w;
    struct buf_reader end;

    (void)state;
    buf_writer_init(&w, 1 << 20);
    assert_int_equal(flv_seek_write_meta(&w, &facts, 0), E_OK);
    assert_int_equal(w.used_bytes, FLV_SEEK_META_BYTES);
    assert_memory_equal(w.data, k_header, sizeof k_header);
    end = buf_reader_from(buf_view_of(w.data + w.used_bytes - 4, 4));
    assert_int_equal(buf_read_u32be(&end), FLV_SEEK_META_BYTES - 4);
    buf_writer_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meta_is_as_long_with_any_number_of_keys),
        cmocka_unit_test(test_meta_is_one_whole_tag_when_nothing_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
