/* proto/flv compose.c: bodies that the parser reads as what they were made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proto/flv/flv.h"

static const struct {
    enum media_kind kind;
    enum media_codec codec;
    bool has_config, has_cts;
} k_codecs[] = {
    {MEDIA_VIDEO, CODEC_H264, true, true},  {MEDIA_VIDEO, CODEC_HEVC, true, true},
    {MEDIA_VIDEO, CODEC_AV1, true, false},  {MEDIA_VIDEO, CODEC_VP9, true, false},
    {MEDIA_AUDIO, CODEC_AAC, true, false},  {MEDIA_AUDIO, CODEC_MP3, false, false},
    {MEDIA_AUDIO, CODEC_AC3, false, false}, {MEDIA_AUDIO, CODEC_EAC3, false, false},
    {MEDIA_AUDIO, CODEC_OPUS, true, false}, {MEDIA_AUDIO, CODEC_FLAC, true, false},
};

static void check(const struct flv_es *es)
{
    struct media_frame_info info = {0};
    struct buf_writer w;
    const char *why;

    buf_writer_init(&w, 1000);
    flv_write_body(&w, es);
    assert_int_equal(flv_parse_body(flv_tag_type_of(es->kind), buf_writer_view(&w), &info, &why),
                     E_OK);
    assert_int_equal(info.kind, es->kind);
    assert_int_equal(info.codec, es->codec);
    assert_int_equal(!!(info.flags & FRAME_CONFIG), es->config);
    assert_int_equal(w.used_bytes - info.es_offset, es->es.size_bytes);
    assert_memory_equal(w.data + info.es_offset, es->es.data, es->es.size_bytes);
    assert_int_equal(info.cts_us, es->config ? 0 : es->cts_us);
    if (es->kind == MEDIA_VIDEO && !es->config)
        assert_int_equal(!!(info.flags & FRAME_KEY), es->key);
    buf_writer_fini(&w);
}

static void test_write_body_gives_what_the_parser_reads(void **state)
{
    static const uint8_t k_bytes[] = {0x65, 1, 2, 3, 4, 5, 6, 7, 8};
    static const int64_t k_cts_us[] = {0, 40000, -40000, 8388607000};

    (void)state;
    for (size_t i = 0; i < sizeof k_codecs / sizeof k_codecs[0]; i++) {
        for (unsigned how = 0; how < 8; how++) {
            struct flv_es es = {.kind = k_codecs[i].kind,
                                .codec = k_codecs[i].codec,
                                .config = how == 0 && k_codecs[i].has_config,
                                .key = how & 1,
                                .cts_us = k_codecs[i].has_cts ? k_cts_us[how / 2] : 0,
                                .es = buf_view_of(k_bytes, sizeof k_bytes)};

            check(&es);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_body_gives_what_the_parser_reads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
