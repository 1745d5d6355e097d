/* An FLV stream in every split: FLV 10.1 E.2, E.3, E.4.1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "proto/flv/flv.h"

enum { MAX_TAG_BYTES = 4096 };

struct expected_tag {
    uint8_t type_id;
    uint32_t dts_ms;
    size_t body_bytes;
};

static const struct expected_tag k_tags[] = {
    {FLV_TAG_SCRIPT, 0, 60},
    {FLV_TAG_VIDEO, 0, 16},
    {FLV_TAG_AUDIO, 0, 4},
    {FLV_TAG_VIDEO, 40, 700},
    {FLV_TAG_AUDIO, 0xffffff, 1},    /* the last one in 24 bits */
    {FLV_TAG_VIDEO, 0x1000000, 300}, /* 4.66 hours: TimestampExtended begins */
    {FLV_TAG_AUDIO, 5000, 0},        /* empty: silence */
    {31, 0x80000000, 3},             /* a type without a meaning */
    {FLV_TAG_VIDEO, UINT32_MAX, 9},  /* then the clock wraps */
    {FLV_TAG_VIDEO, 0, 2},
};
#define N_TAGS (sizeof k_tags / sizeof k_tags[0])

/* Body bytes that differ from tag to tag and along each. */
static uint8_t body_byte(size_t tag, size_t at)
{
    return (uint8_t)(tag * 31 + at * 7 + (at >> 8));
}

static struct buf_writer make_stream(void)
{
    struct buf_writer w;

    buf_writer_init(&w, 1 << 20);
    flv_write_file_header(&w, true, true);
    for (size_t i = 0; i < N_TAGS; i++) {
        uint8_t body[1024];

        for (size_t at = 0; at < k_tags[i].body_bytes; at++)
            body[at] = body_byte(i, at);
        flv_write_tag(&w, k_tags[i].type_id, k_tags[i].dts_ms,
                      buf_view_of(body, k_tags[i].body_bytes));
    }
    assert_int_equal(buf_writer_status(&w), E_OK);
    return w;
}

static void assert_tag(const struct flv_tag *tag, size_t i)
{
    assert_true(i < N_TAGS);
    assert_int_equal(tag->header.type_id, k_tags[i].type_id);
    assert_int_equal(tag->header.dts_ms, k_tags[i].dts_ms);
    assert_int_equal(tag->header.data_bytes, k_tags[i].body_bytes);
    assert_int_equal(tag->body.size_bytes, k_tags[i].body_bytes);
    for (size_t at = 0; at < tag->body.size_bytes; at++)
        if (tag->body.data[at] != body_byte(i, at))
            fail_msg("tag %zu differs at byte %zu", i, at);
}

/* Feeds one piece from its own heap block; counts the tags of k_tags that came out. */
static enum err feed_piece(struct flv_decoder *dec, const uint8_t *data, size_t size_bytes,
                           size_t *n_tags)
{
    uint8_t *copy = malloc(size_bytes ? size_bytes : 1);
    struct buf_reader in;
    struct flv_tag tag;
    enum err e;

    assert_non_null(copy);
    if (size_bytes)
        memcpy(copy, data, size_bytes);
    in = buf_reader_from(buf_view_of(copy, size_bytes));
    while ((e = flv_decoder_feed(dec, &in, &tag)) == E_OK)
        assert_tag(&tag, (*n_tags)++);
    if (e == E_AGAIN)
        assert_int_equal(in.left_bytes, 0);
    free(copy);
    return e;
}

static void test_feed_gives_same_tags_for_every_split(void **state)
{
    struct buf_writer stream = make_stream();

    (void)state;
    for (size_t step = 1; step <= stream.used_bytes; step++) {
        struct flv_decoder *dec = flv_decoder_create(MAX_TAG_BYTES);
        size_t n_tags = 0;

        for (size_t at = 0; at < stream.used_bytes; at += step) {
            size_t left = stream.used_bytes - at;

            assert_int_equal(feed_piece(dec, stream.data + at, left < step ? left : step, &n_tags),
                             E_AGAIN);
        }
        assert_int_equal(n_tags, N_TAGS);
        flv_decoder_destroy(&dec);
        assert_null(dec);
    }
    buf_writer_fini(&stream);
}

static void test_feed_gives_same_tags_for_every_cut_in_two(void **state)
{
    struct buf_writer stream = make_stream();

    (void)state;
    for (size_t cut = 0; cut <= stream.used_bytes; cut++) {
        struct flv_decoder *dec = flv_decoder_create(MAX_TAG_BYTES);
        size_t n_tags = 0;

        assert_int_equal(feed_piece(dec, stream.data, cut, &n_tags), E_AGAIN);
        assert_int_equal(feed_piece(dec, stream.data + cut, stream.used_bytes - cut, &n_tags),
                         E_AGAIN);
        assert_int_equal(n_tags, N_TAGS);
        flv_decoder_destroy(&dec);
    }
    buf_writer_fini(&stream);
}

static void test_feed_gives_tag_before_its_trailer_came(void **state)
{
    struct buf_writer stream = make_stream();
    struct flv_decoder *dec = flv_decoder_create(MAX_TAG_BYTES);
    size_t n_tags = 0;

    (void)state;
    assert_int_equal(feed_piece(dec, stream.data, 13 + 11 + k_tags[0].body_bytes, &n_tags),
                     E_AGAIN);
    assert_int_equal(n_tags, 1);
    flv_decoder_destroy(&dec);
    buf_writer_fini(&stream);
}

static void test_feed_lends_body_from_the_input_when_it_is_whole(void **state)
{
    struct buf_writer stream = make_stream();
    struct buf_reader in = buf_reader_from(buf_writer_view(&stream));
    struct flv_decoder *dec = flv_decoder_create(MAX_TAG_BYTES);
    struct flv_tag tag;

    (void)state;
    assert_int_equal(flv_decoder_feed(dec, &in, &tag), E_OK);
    assert_ptr_equal(tag.body.data, stream.data + 13 + 11);
    flv_decoder_destroy(&dec);
    buf_writer_fini(&stream);
}

static void test_header_gives_false_until_it_is_read(void **state)
{
    static const uint8_t k_video_only[] = {'F', 'L', 'V', 1, 0x01, 0, 0, 0, 9};
    struct flv_decoder *dec = flv_decoder_create(MAX_TAG_BYTES);
    bool has_audio = true, has_video = false;
    size_t n_tags = 0;

    (void)state;
    assert_int_equal(feed_piece(dec, k_video_only, 8, &n_tags), E_AGAIN);
    assert_false(flv_decoder_header(dec, &has_audio, &has_video));
    assert_int_equal(feed_piece(dec, k_video_only + 8, 1, &n_tags), E_AGAIN);
    assert_true(flv_decoder_header(dec, &has_audio, &has_video));
    assert_false(has_audio);
    assert_true(has_video);
    flv_decoder_destroy(&dec);
}

/* --- streams by hand ---------------------------------------------------------------------------
 */

struct stream_case {
    const char *name;
    enum err expected; /* of the call that ends the stream */
    size_t n_tags;     /* before that */
    const char *detail;
    uint8_t size_bytes;
    uint8_t bytes[64];
};

/* clang-format off */
static const struct stream_case k_streams[] = {
    {"PreviousTagSize 0 behind a tag", E_AGAIN, 1, "", 31,
     {'F', 'L', 'V', 1, 5, 0, 0, 0, 9, 0, 0, 0, 0,
      8, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xaf,
      0, 0, 0, 0,
      9, 0}},
    {"longer file header", E_AGAIN, 1, "", 28,
     {'F', 'L', 'V', 1, 5, 0, 0, 0, 12, 0xaa, 0xbb, 0xcc, 0, 0, 0, 0,
      8, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xaf}},
    {"stream id is ignored", E_AGAIN, 1, "", 25,
     {'F', 'L', 'V', 1, 5, 0, 0, 0, 9, 0, 0, 0, 0,
      8, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0xaf}},
    {"wrong PreviousTagSize", E_PROTO, 1, "PreviousTagSize 13 behind a tag of 12 bytes", 29,
     {'F', 'L', 'V', 1, 5, 0, 0, 0, 9, 0, 0, 0, 0,
      8, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xaf,
      0, 0, 0, 13}},
    {"wrong PreviousTagSize0", E_PROTO, 0, "PreviousTagSize 1 behind a tag of 0 bytes", 13,
     {'F', 'L', 'V', 1, 5, 0, 0, 0, 9, 0, 0, 0, 1}},
    {"not FLV", E_PROTO, 0, "not FLV version 1", 9, {'F', 'L', 'X', 1, 5, 0, 0, 0, 9}},
    {"an HTTP answer", E_PROTO, 0, "not FLV version 1", 9, {'H', 'T', 'T', 'P', '/', '1', '.', '1', ' '}},
    {"another version", E_PROTO, 0, "not FLV version 1", 9, {'F', 'L', 'V', 2, 5, 0, 0, 0, 9}},
    {"DataOffset inside the header", E_PROTO, 0, "DataOffset 8 below 9", 9,
     {'F', 'L', 'V', 1, 5, 0, 0, 0, 8}},
    {"DataOffset without end", E_TOO_BIG, 0, "DataOffset 4294967295 > limit 1024", 9,
     {'F', 'L', 'V', 1, 5, 0xff, 0xff, 0xff, 0xff}},
    {"encrypted tag", E_PROTO, 0, "tag type 9 is encrypted", 24,
     {'F', 'L', 'V', 1, 5, 0, 0, 0, 9, 0, 0, 0, 0,
      0x29, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}},
    {"tag above the limit", E_TOO_BIG, 0, "tag type 9: 4097 bytes > limit 4096", 24,
     {'F', 'L', 'V', 1, 5, 0, 0, 0, 9, 0, 0, 0, 0,
      9, 0, 0x10, 0x01, 0, 0, 0, 0, 0, 0, 0}},
    {"tag at the limit is waited for", E_AGAIN, 0, "", 24,
     {'F', 'L', 'V', 1, 5, 0, 0, 0, 9, 0, 0, 0, 0,
      9, 0, 0x10, 0x00, 0, 0, 0, 0, 0, 0, 0}},
};
/* clang-format on */

static enum err run_case(struct flv_decoder *dec, const struct stream_case *c, size_t step,
                         size_t *n_tags)
{
    enum err e = E_AGAIN;

    for (size_t at = 0; at < c->size_bytes && e == E_AGAIN; at += step) {
        size_t left = c->size_bytes - at;
        struct buf_reader in =
            buf_reader_from(buf_view_of(c->bytes + at, left < step ? left : step));
        struct flv_tag tag;

        while ((e = flv_decoder_feed(dec, &in, &tag)) == E_OK)
            (*n_tags)++;
    }
    return e;
}

static void test_feed_gives_the_right_end_for_hand_made_streams(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_streams / sizeof k_streams[0]; i++) {
        const struct stream_case *c = &k_streams[i];

        for (size_t step = 1; step <= c->size_bytes; step++) {
            struct flv_decoder *dec = flv_decoder_create(MAX_TAG_BYTES);
            size_t n_tags = 0;
            enum err e = run_case(dec, c, step, &n_tags);

            if (e != c->expected || n_tags != c->n_tags)
                fail_msg("%s, step %zu: %s after %zu tags", c->name, step, err_name(e), n_tags);
            assert_string_equal(flv_decoder_error(dec), c->detail);
            flv_decoder_destroy(&dec);
        }
    }
}

static void test_destroy_accepts_null(void **state)
{
    struct flv_decoder *dec = NULL;

    (void)state;
    flv_decoder_destroy(&dec);
    assert_null(dec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_feed_gives_same_tags_for_every_split),
        cmocka_unit_test(test_feed_gives_same_tags_for_every_cut_in_two),
        cmocka_unit_test(test_feed_gives_tag_before_its_trailer_came),
        cmocka_unit_test(test_feed_lends_body_from_the_input_when_it_is_whole),
        cmocka_unit_test(test_header_gives_false_until_it_is_read),
        cmocka_unit_test(test_feed_gives_the_right_end_for_hand_made_streams),
        cmocka_unit_test(test_destroy_accepts_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
