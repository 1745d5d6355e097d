/* Bodies taken apart: one track each, in today's form. */
#include "vectors.h"

#define MAX_PARTS 4

struct part_vector {
    const char *name;
    uint8_t type_id, size_bytes;
    uint8_t bytes[60];
    unsigned n_parts; /* what comes out, one behind the other */
    struct {
        uint8_t size_bytes;
        uint8_t bytes[60];
    } parts[MAX_PARTS];
};

/* clang-format off */
static const struct part_vector k_vectors[] = {
    {"a plain body as it is", FLV_TAG_VIDEO, 6, {0x91, 'a', 'v', '0', '1', 0x12},
     1, {{6, {0x91, 'a', 'v', '0', '1', 0x12}}}},
    {"AVC as it is", FLV_TAG_VIDEO, 6, {0x17, 1, 0, 0, 0, 9}, 1, {{6, {0x17, 1, 0, 0, 0, 9}}}},
    {"one track that is the default one", FLV_TAG_VIDEO, 8,
     {0x96, 0x00, 'h', 'v', 'c', '1', 0x00, 0x77}, /* OneTrack, SequenceStart, track 0 */
     1, {{6, {0x90, 'h', 'v', 'c', '1', 0x77}}}},
    {"one track beside it", FLV_TAG_AUDIO, 8,
     {0x95, 0x01, 'O', 'p', 'u', 's', 0x03, 0x77},
     1, {{8, {0x95, 0x01, 'O', 'p', 'u', 's', 0x03, 0x77}}}},
    {"many tracks of one codec", FLV_TAG_VIDEO, 17,
     {0xa6, 0x13, 'h', 'v', 'c', '1',        /* ManyTracks, CodedFramesX */
      0x00, 0, 0, 1, 0x11, 0x02, 0, 0, 2, 0x22, 0x23},
     2, {{6, {0xa3, 'h', 'v', 'c', '1', 0x11}},
         {9, {0xa6, 0x03, 'h', 'v', 'c', '1', 0x02, 0x22, 0x23}}}},
    {"many tracks of many codecs", FLV_TAG_AUDIO, 20,
     {0x95, 0x21,                            /* ManyTracksManyCodecs, CodedFrames */
      'm', 'p', '4', 'a', 0x00, 0, 0, 1, 0x11, 'a', 'c', '-', '3', 0x01, 0, 0, 1, 0x22},
     2, {{6, {0x91, 'm', 'p', '4', 'a', 0x11}},
         {8, {0x95, 0x01, 'a', 'c', '-', '3', 0x01, 0x22}}}},
    {"ModEx goes with each", FLV_TAG_VIDEO, 20,
     {0x97, 0x02, 0x00, 0x03, 0xe8, 0x06, 0x13, 'v', 'p', '0', '9',
      0x00, 0, 0, 1, 0x11, 0x01, 0, 0, 0},
     2, {{11, {0x97, 0x02, 0x00, 0x03, 0xe8, 0x03, 'v', 'p', '0', '9', 0x11}},
         {12, {0x97, 0x02, 0x00, 0x03, 0xe8, 0x06, 0x03, 'v', 'p', '0', '9', 0x01}}}},
    {"a multitrack type of later days as it is", FLV_TAG_VIDEO, 4, {0x96, 0x31, 1, 2},
     1, {{4, {0x96, 0x31, 1, 2}}}},
    {"HEVC of codec id 12: sequence header", FLV_TAG_VIDEO, 6, {0x1c, 0, 0, 0, 0, 0x01},
     1, {{6, {0x90, 'h', 'v', 'c', '1', 0x01}}}},
    {"HEVC of codec id 12: frame", FLV_TAG_VIDEO, 6, {0x2c, 1, 0, 0, 0, 0x02},
     1, {{6, {0xa3, 'h', 'v', 'c', '1', 0x02}}}},
    {"HEVC of codec id 12: frame shown later", FLV_TAG_VIDEO, 6, {0x1c, 1, 0, 0, 40, 0x26},
     1, {{9, {0x91, 'h', 'v', 'c', '1', 0, 0, 40, 0x26}}}},
    {"HEVC of codec id 12: end", FLV_TAG_VIDEO, 5, {0x1c, 2, 0, 0, 0},
     1, {{5, {0x92, 'h', 'v', 'c', '1'}}}},
    {"Opus of sound format 13", FLV_TAG_AUDIO, 3, {0xdf, 0xfc, 0x01},
     1, {{7, {0x91, 'O', 'p', 'u', 's', 0xfc, 0x01}}}},
    {"FLAC with a bare STREAMINFO", FLV_TAG_AUDIO, 39, {0x90, 'f', 'L', 'a', 'C', 0x12},
     1, {{47, {0x90, 'f', 'L', 'a', 'C', 'f', 'L', 'a', 'C', 0x80, 0, 0, 34, 0x12}}}},
    {"script data as it is", FLV_TAG_SCRIPT, 2, {0x96, 0x00}, 1, {{2, {0x96, 0x00}}}},
    {"metadata without its wrapper", FLV_TAG_SCRIPT, 29,
     {2, 0, 13, '@', 's', 'e', 't', 'D', 'a', 't', 'a', 'F', 'r', 'a', 'm', 'e',
      2, 0, 10, 'o', 'n', 'M', 'e', 't', 'a', 'D', 'a', 't', 'a'},
     1, {{13, {2, 0, 10, 'o', 'n', 'M', 'e', 't', 'a', 'D', 'a', 't', 'a'}}}},
};

static const struct part_vector k_broken[] = {
    {"a size over the end", FLV_TAG_VIDEO, 10, {0x96, 0x13, 'h', 'v', 'c', '1', 0, 0, 0, 1}, 0, {{0}}},
    {"a codec cut short", FLV_TAG_VIDEO, 4, {0x96, 0x03, 'h', 'v'}, 0, {{0}}},
    {"multitrack in multitrack", FLV_TAG_AUDIO, 7, {0x95, 0x05, 'O', 'p', 'u', 's', 0}, 0, {{0}}},
    {"ModEx over the end", FLV_TAG_VIDEO, 4, {0x97, 0x09, 0, 0}, 0, {{0}}},
};
/* clang-format on */

/* A heap copy, so that a read past the end is seen. */
static struct buf_view copy_of(const struct part_vector *v)
{
    uint8_t *copy = malloc(v->size_bytes);

    assert_non_null(copy);
    memcpy(copy, v->bytes, v->size_bytes);
    return buf_view_of(copy, v->size_bytes);
}

static void test_parts_next_gives_one_track_a_part(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_vectors); i++) {
        const struct part_vector *v = &k_vectors[i];
        struct buf_view body = copy_of(v), part;
        struct buf_writer scratch;
        struct flv_parts parts;
        const char *why = NULL;

        buf_writer_init(&scratch, 1024);
        flv_parts_begin(&parts, v->type_id, body);
        for (unsigned n = 0; n < v->n_parts; n++) {
            assert_int_equal(flv_parts_next(&parts, &scratch, &part, &why), E_OK);
            if (part.size_bytes != v->parts[n].size_bytes ||
                memcmp(part.data, v->parts[n].bytes, part.size_bytes) != 0)
                fail_msg("%s: part %u of %zu bytes", v->name, n, part.size_bytes);
        }
        assert_int_equal(flv_parts_next(&parts, &scratch, &part, &why), E_END);
        buf_writer_fini(&scratch);
        free((void *)(uintptr_t)body.data);
    }
}

/* Frames, which nearly all messages are. */
static const struct part_vector k_whole[] = {
    {"AVC", FLV_TAG_VIDEO, 6, {0x17, 1, 0, 0, 0, 9}, 1, {{0}}},
    {"AAC", FLV_TAG_AUDIO, 3, {0xaf, 1, 9}, 1, {{0}}},
    {"AV1", FLV_TAG_VIDEO, 6, {0x91, 'a', 'v', '0', '1', 0x12}, 1, {{0}}},
    {"HEVC", FLV_TAG_VIDEO, 6, {0xa3, 'h', 'v', 'c', '1', 0x12}, 1, {{0}}},
    {"FLAC", FLV_TAG_AUDIO, 6, {0x91, 'f', 'L', 'a', 'C', 0xff}, 1, {{0}}},
};

static void test_is_one_part_gives_true_when_the_body_is_a_frame_of_one_track(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_whole); i++)
        if (!flv_is_one_part(k_whole[i].type_id,
                             buf_view_of(k_whole[i].bytes, k_whole[i].size_bytes)))
            fail_msg("%s: to be taken apart", k_whole[i].name);
}

static void test_is_one_part_gives_false_when_parts_are_not_the_body(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_vectors); i++) {
        const struct part_vector *v = &k_vectors[i];
        bool is_same = v->n_parts == 1 && v->parts[0].size_bytes == v->size_bytes &&
                       memcmp(v->parts[0].bytes, v->bytes, v->size_bytes) == 0;

        if (flv_is_one_part(v->type_id, buf_view_of(v->bytes, v->size_bytes)) && !is_same)
            fail_msg("%s: one part", v->name);
    }
    for (size_t i = 0; i < N_ELEMENTS(k_broken); i++)
        assert_false(flv_is_one_part(k_broken[i].type_id,
                                     buf_view_of(k_broken[i].bytes, k_broken[i].size_bytes)));
}

static void test_parts_next_gives_proto_when_a_track_comes_twice(void **state)
{
    static const uint8_t k_body[] = {0x96, 0x13, 'h', 'v', 'c',  '1',  0xff, 0, 0, 1,   0x11,
                                     0x3f, 0,    0,   1,   0x22, 0xff, 0,    0, 1, 0x33};
    struct buf_writer scratch;
    struct flv_parts parts;
    struct buf_view part;
    const char *why = "";

    (void)state;
    buf_writer_init(&scratch, 1024);
    flv_parts_begin(&parts, FLV_TAG_VIDEO, buf_view_of(k_body, sizeof k_body));
    assert_int_equal(flv_parts_next(&parts, &scratch, &part, &why), E_OK);
    assert_int_equal(flv_parts_next(&parts, &scratch, &part, &why), E_OK);
    assert_int_equal(flv_parts_next(&parts, &scratch, &part, &why), E_PROTO);
    assert_string_equal(why, "a track twice in one message");
    buf_writer_fini(&scratch);
}

static void test_parts_next_gives_proto_and_why_when_the_body_is_broken(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_broken); i++) {
        struct buf_view body = copy_of(&k_broken[i]), part;
        struct buf_writer scratch;
        struct flv_parts parts;
        const char *why = NULL;

        buf_writer_init(&scratch, 1024);
        flv_parts_begin(&parts, k_broken[i].type_id, body);
        if (flv_parts_next(&parts, &scratch, &part, &why) != E_PROTO)
            fail_msg("%s: taken", k_broken[i].name);
        assert_non_null(why);
        buf_writer_fini(&scratch);
        free((void *)(uintptr_t)body.data);
    }
}

static void test_parts_next_gives_an_empty_body_as_it_is(void **state)
{
    struct flv_parts parts;
    struct buf_writer scratch;
    struct buf_view part;
    const char *why = NULL;

    (void)state;
    buf_writer_init(&scratch, 16);
    flv_parts_begin(&parts, FLV_TAG_AUDIO, buf_view_of(NULL, 0));
    assert_int_equal(flv_parts_next(&parts, &scratch, &part, &why), E_OK);
    assert_int_equal(part.size_bytes, 0);
    assert_int_equal(flv_parts_next(&parts, &scratch, &part, &why), E_END);
}

static void test_parts_next_gives_script_data_when_scratch_failed_before(void **state)
{
    struct flv_parts parts;
    struct buf_writer scratch;
    struct buf_view part;
    const char *why = NULL;

    (void)state;
    buf_writer_init(&scratch, 4);
    buf_write_str(&scratch, "too much");
    flv_parts_begin(&parts, FLV_TAG_SCRIPT, buf_view_str("x"));
    assert_int_equal(flv_parts_next(&parts, &scratch, &part, &why), E_OK);
    assert_int_equal(part.size_bytes, 1);
    buf_writer_fini(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_next_gives_one_track_a_part),
        cmocka_unit_test(test_parts_next_gives_proto_when_a_track_comes_twice),
        cmocka_unit_test(test_parts_next_gives_proto_and_why_when_the_body_is_broken),
        cmocka_unit_test(test_parts_next_gives_an_empty_body_as_it_is),
        cmocka_unit_test(test_parts_next_gives_script_data_when_scratch_failed_before),
        cmocka_unit_test(test_is_one_part_gives_true_when_the_body_is_a_frame_of_one_track),
        cmocka_unit_test(test_is_one_part_gives_false_when_parts_are_not_the_body),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
