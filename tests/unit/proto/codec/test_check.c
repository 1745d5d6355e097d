/* Frames that no decoder takes. */
#include "codec_test.h"

#include "proto/codec/codec.h"

struct check_vector {
    const char *name;
    enum media_codec codec;
    unsigned nal_length_bytes;
    uint8_t size_bytes;
    uint8_t bytes[16];
    bool good;
};

/* clang-format off */
static const struct check_vector k_vectors[] = {
    {"one NAL unit", CODEC_H264, 4, 6, {0, 0, 0, 2, 0x65, 1}, true},
    {"two of two bytes' length", CODEC_HEVC, 2, 7, {0, 2, 0x26, 1, 0, 1, 0x02}, true},
    {"an empty one between", CODEC_H264, 1, 5, {1, 0x65, 0, 1, 0x41}, true},
    {"length over the end", CODEC_H264, 4, 6, {0, 0, 0, 3, 0x65, 1}, false},
    {"length of 4 GB", CODEC_H264, 4, 6, {0xff, 0xff, 0xff, 0xff, 0x65, 1}, false},
    {"length cut short", CODEC_HEVC, 4, 8, {0, 0, 0, 1, 0x26, 0, 0, 1}, false},
    {"first bit set", CODEC_H264, 4, 6, {0, 0, 0, 2, 0xe5, 1}, false},
    {"lengths of unknown size are not looked at", CODEC_H264, 0, 4, {0xff, 0xff, 0xff, 0xff}, true},
    {"no data: H.264", CODEC_H264, 4, 0, {0}, false},
    {"no data: AV1", CODEC_AV1, 0, 0, {0}, false},
    {"no data: a codec of old", CODEC_VP6, 0, 0, {0}, true},
    {"raw AAC", CODEC_AAC, 0, 7, {0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c, 0}, true},
    {"ADTS", CODEC_AAC, 0, 9, {0xff, 0xf1, 0x50, 0x80, 0x01, 0x3f, 0xfc, 0x21, 0x10}, false},
    {"ADTS of MPEG-2 with a check sum", CODEC_AAC, 0, 9, {0xff, 0xf8, 0x50, 0x80, 0x01, 0x3f, 0xfc, 1, 2}, false},
    {"MP3 begins with as many bits", CODEC_MP3, 0, 7, {0xff, 0xfb, 0x90, 0, 0, 0, 0}, true},
};
/* clang-format on */

static void test_check_frame_tells_broken_frames(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_vectors / sizeof k_vectors[0]; i++) {
        const struct check_vector *v = &k_vectors[i];
        uint8_t *copy = malloc(v->size_bytes ? v->size_bytes : 1);
        const char *why = NULL;
        enum err e;

        assert_non_null(copy);
        memcpy(copy, v->bytes, v->size_bytes);
        e = codec_check_frame(v->codec, v->nal_length_bytes, buf_view_of(copy, v->size_bytes),
                              &why);
        free(copy);
        if (e != (v->good ? E_OK : E_PROTO))
            fail_msg("%s: %s", v->name, err_name(e));
        if (!v->good)
            assert_non_null(why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_frame_tells_broken_frames),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
