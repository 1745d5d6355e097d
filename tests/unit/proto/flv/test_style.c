/* Bodies as players of several ages take them. */
#include "vectors.h"

struct style_vector {
    const char *name;
    enum flv_style style;
    uint8_t type_id, size_bytes;
    uint8_t bytes[24];
    uint8_t out_bytes; /* 0 = the style has no place for it */
    uint8_t out[24];
};

/* clang-format off */
static const struct style_vector k_vectors[] = {
    {"ModEx stays in what is whole", FLV_STYLE_WHOLE, FLV_TAG_VIDEO, 11,
     {0x97, 0x02, 0, 0x03, 0xe8, 0x03, 'h', 'v', 'c', '1', 0x26},
     11, {0x97, 0x02, 0, 0x03, 0xe8, 0x03, 'h', 'v', 'c', '1', 0x26}},
    {"ModEx goes", FLV_STYLE_ENHANCED, FLV_TAG_VIDEO, 11,
     {0x97, 0x02, 0, 0x03, 0xe8, 0x03, 'h', 'v', 'c', '1', 0x26},
     6, {0x93, 'h', 'v', 'c', '1', 0x26}},
    {"enhanced headers stay", FLV_STYLE_ENHANCED, FLV_TAG_AUDIO, 6,
     {0x91, 'O', 'p', 'u', 's', 1}, 6, {0x91, 'O', 'p', 'u', 's', 1}},
    {"H.264, sequence start", FLV_STYLE_CLASSIC, FLV_TAG_VIDEO, 6,
     {0x90, 'a', 'v', 'c', '1', 1}, 6, {0x17, 0, 0, 0, 0, 1}},
    {"H.264, a key frame shown 40 ms later", FLV_STYLE_CLASSIC, FLV_TAG_VIDEO, 9,
     {0x91, 'a', 'v', 'c', '1', 0, 0, 40, 0x65}, 6, {0x17, 1, 0, 0, 40, 0x65}},
    {"H.264, shown 1 ms earlier", FLV_STYLE_CLASSIC, FLV_TAG_VIDEO, 9,
     {0xa1, 'a', 'v', 'c', '1', 0xff, 0xff, 0xff, 0x41}, 6, {0x27, 1, 0xff, 0xff, 0xff, 0x41}},
    {"H.264, disposable", FLV_STYLE_CLASSIC, FLV_TAG_VIDEO, 6,
     {0xb3, 'a', 'v', 'c', '1', 0x01}, 6, {0x37, 1, 0, 0, 0, 0x01}},
    {"H.264, end", FLV_STYLE_CLASSIC, FLV_TAG_VIDEO, 5,
     {0x92, 'a', 'v', 'c', '1'}, 5, {0x17, 2, 0, 0, 0}},
    {"H.264 as it came", FLV_STYLE_CLASSIC, FLV_TAG_VIDEO, 6,
     {0x17, 1, 0, 0, 0, 0x65}, 6, {0x17, 1, 0, 0, 0, 0x65}},
    {"HEVC has no place", FLV_STYLE_CLASSIC, FLV_TAG_VIDEO, 6, {0x93, 'h', 'v', 'c', '1', 0x26}, 0, {0}},
    {"HEVC as codec id 12", FLV_STYLE_CLASSIC_HEVC, FLV_TAG_VIDEO, 6,
     {0x93, 'h', 'v', 'c', '1', 0x26}, 6, {0x1c, 1, 0, 0, 0, 0x26}},
    {"HDR colour has no place", FLV_STYLE_CLASSIC_HEVC, FLV_TAG_VIDEO, 6,
     {0x94, 'h', 'v', 'c', '1', 0x02}, 0, {0}},
    {"AAC, sequence start", FLV_STYLE_CLASSIC, FLV_TAG_AUDIO, 7,
     {0x90, 'm', 'p', '4', 'a', 0x12, 0x10}, 4, {0xaf, 0, 0x12, 0x10}},
    {"AAC", FLV_STYLE_CLASSIC, FLV_TAG_AUDIO, 6, {0x91, 'm', 'p', '4', 'a', 0x21}, 3, {0xaf, 1, 0x21}},
    {"MP3", FLV_STYLE_CLASSIC, FLV_TAG_AUDIO, 6, {0x91, '.', 'm', 'p', '3', 0xff}, 2, {0x2f, 0xff}},
    {"MP3, sequence start without anything", FLV_STYLE_CLASSIC, FLV_TAG_AUDIO, 5,
     {0x90, '.', 'm', 'p', '3'}, 0, {0}},
    {"Opus has no place", FLV_STYLE_CLASSIC, FLV_TAG_AUDIO, 6, {0x91, 'O', 'p', 'u', 's', 1}, 0, {0}},
    {"another track has no place", FLV_STYLE_CLASSIC, FLV_TAG_VIDEO, 8,
     {0x96, 0x03, 'a', 'v', 'c', '1', 1, 0x65}, 0, {0}},
};
/* clang-format on */

static void test_shape_body_gives_what_the_style_has(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_vectors); i++) {
        const struct style_vector *v = &k_vectors[i];
        struct buf_view body = buf_view_of(v->bytes, v->size_bytes);
        struct media_frame_info info = {0};
        struct flv_shape shape = {0};
        const char *why = NULL;
        uint8_t out[64];

        assert_int_equal(flv_parse_body(v->type_id, body, &info, &why), E_OK);
        if (flv_shape_body(v->style, &info, body, &shape) != (v->out_bytes > 0))
            fail_msg("%s: place or none", v->name);
        if (!v->out_bytes)
            continue;
        memcpy(out, shape.head, shape.head_bytes);
        if (shape.rest.size_bytes)
            memcpy(out + shape.head_bytes, shape.rest.data, shape.rest.size_bytes);
        if (shape.head_bytes + shape.rest.size_bytes != v->out_bytes ||
            memcmp(out, v->out, v->out_bytes) != 0)
            fail_msg("%s: other bytes", v->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape_body_gives_what_the_style_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
