/* Metadata and the @hw tag. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "proto/amf/amf.h"
#include "proto/flv/flv.h"

#define TWO_53 9007199254740992ll

/* clang-format off */
static const uint8_t k_wrapped[] = {
    0x02, 0x00, 0x0d, '@', 's', 'e', 't', 'D', 'a', 't', 'a', 'F', 'r', 'a', 'm', 'e',
    0x02, 0x00, 0x0a, 'o', 'n', 'M', 'e', 't', 'a', 'D', 'a', 't', 'a',
    0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x09, /* ECMA array, no members */
};
static const uint8_t k_hw_minimal[] = {
    0x02, 0x00, 0x03, '@', 'h', 'w',                /* name */
    0x08, 0x00, 0x00, 0x00, 0x02,                   /* ECMA array of 2 */
    0x00, 0x01, 'v',                                /* v: */
    0x00, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0,             /* 1 */
    0x00, 0x05, 'e', 'p', 'o', 'c', 'h',            /* epoch: a decimal string */
    0x02, 0x00, 0x14, '1', '8', '4', '4', '6', '7', '4', '4', '0', '7', '3', '7', '0', '9', '5',
    '5', '1', '6', '1', '5',                        /* 2^64 - 1 */
    0x00, 0x00, 0x09,
};
/* clang-format on */
enum { WRAPPER_BYTES = 16 };

static void test_is_metadata_gives_body_without_the_wrapper(void **state)
{
    struct buf_view inner;

    (void)state;
    assert_true(flv_is_metadata(buf_view_of(k_wrapped, sizeof k_wrapped), &inner));
    assert_ptr_equal(inner.data, k_wrapped + WRAPPER_BYTES);
    assert_int_equal(inner.size_bytes, sizeof k_wrapped - WRAPPER_BYTES);
}

static void test_is_metadata_gives_the_same_body_when_there_is_no_wrapper(void **state)
{
    struct buf_view body = buf_view_of(k_wrapped + WRAPPER_BYTES, sizeof k_wrapped - WRAPPER_BYTES);
    struct buf_view inner;

    (void)state;
    assert_true(flv_is_metadata(body, &inner));
    assert_ptr_equal(inner.data, body.data);
    assert_int_equal(inner.size_bytes, body.size_bytes);
}

static void test_is_metadata_gives_false_when_cut_inside_the_names(void **state)
{
    (void)state;
    for (size_t size_bytes = 0; size_bytes < WRAPPER_BYTES + 13; size_bytes++) {
        uint8_t *copy = malloc(size_bytes ? size_bytes : 1);
        struct buf_view inner = {NULL, 77};

        assert_non_null(copy);
        memcpy(copy, k_wrapped, size_bytes);
        assert_false(flv_is_metadata(buf_view_of(copy, size_bytes), &inner));
        assert_int_equal(inner.size_bytes, 77);
        free(copy);
    }
}

/* --- @hw ----------------------------------------------------------------------------------------
 */

static enum err parse_written(struct buf_writer *w, struct flv_hw *out)
{
    uint8_t *copy = malloc(w->used_bytes);
    enum err e;

    assert_int_equal(buf_writer_status(w), E_OK);
    assert_non_null(copy);
    memcpy(copy, w->data, w->used_bytes);
    e = flv_parse_hw_body(buf_view_of(copy, w->used_bytes), out);
    free(copy);
    return e;
}

static void assert_hw_equal(const struct flv_hw *a, const struct flv_hw *b)
{
    assert_true(a->v == b->v);
    assert_true(a->epoch == b->epoch);
    assert_true(a->gop == b->gop);
    assert_true(a->ingest_us == b->ingest_us);
    assert_true(a->wall_us == b->wall_us);
    assert_true(a->end == b->end);
    assert_true(a->run == b->run);
    assert_true(a->has_clock == b->has_clock);
    assert_true(a->clock_us == b->clock_us);
    assert_true(a->unc_us == b->unc_us);
}

static void test_parse_hw_gives_what_was_written(void **state)
{
    static const struct flv_hw k_cases[] = {
        {.v = FLV_HW_VERSION,
         .epoch = 1700000000000000,
         .gop = 42,
         .ingest_us = 123456789,
         .wall_us = 1700000000123456,
         .run = 77,
         .has_clock = true,
         .clock_us = -98765,
         .unc_us = 432},
        {.v = 0},
        {.v = UINT32_MAX,
         .epoch = UINT64_MAX,
         .gop = UINT64_MAX - 1,
         .ingest_us = TWO_53,
         .wall_us = -TWO_53,
         .end = true,
         .run = UINT64_MAX,
         .has_clock = true,
         .clock_us = -TWO_53,
         .unc_us = TWO_53},
        {.v = 1,
         .epoch = TWO_53,
         .gop = TWO_53 + 1,
         .ingest_us = -TWO_53,
         .wall_us = -TWO_53 + 1,
         .end = true,
         .run = TWO_53 + 1,
         .has_clock = true,
         .unc_us = -1},
        {.v = 1,
         .epoch = TWO_53 - 1,
         .gop = 1,
         .ingest_us = -1,
         .wall_us = TWO_53 - 1,
         .run = TWO_53 - 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        struct flv_hw hw = {.v = 9, .epoch = 9, .gop = 9, .end = true, .run = 9, .has_clock = true};
        struct buf_writer w;

        buf_writer_init(&w, 1024);
        flv_write_hw_body(&w, &k_cases[i]);
        assert_int_equal(parse_written(&w, &hw), E_OK);
        assert_hw_equal(&hw, &k_cases[i]);
        buf_writer_fini(&w);
    }
}

static void test_parse_hw_gives_zero_for_missing_members(void **state)
{
    struct flv_hw hw = {.v = 9, .epoch = 9, .gop = 9, .end = true, .run = 9};
    const struct flv_hw expected = {.v = 1, .epoch = UINT64_MAX};

    (void)state;
    assert_int_equal(flv_parse_hw_body(buf_view_of(k_hw_minimal, sizeof k_hw_minimal), &hw), E_OK);
    assert_hw_equal(&hw, &expected);
    assert_null(hw.path.data);
    assert_null(hw.trail.data);
}

static void test_parse_hw_gives_the_plan_that_was_written(void **state)
{
    const struct flv_hw out = {.v = FLV_HW_VERSION, .plan = buf_view_str("1,2,3,4,5,6")};
    struct buf_writer w;
    struct flv_hw hw;

    (void)state;
    buf_writer_init(&w, 1024);
    flv_write_hw_body(&w, &out);
    assert_int_equal(flv_parse_hw_body(buf_writer_view(&w), &hw), E_OK);
    assert_true(buf_view_equals(hw.plan, "1,2,3,4,5,6"));
    assert_null(hw.trail.data);
    buf_writer_fini(&w);
}

static void assert_text(struct buf_view got, const char *expected)
{
    if (*expected == '-')
        assert_null(got.data);
    else
        assert_true(got.data && buf_view_equals(got, expected));
}

/* What a body with this path and trail is read as; "-" = not said. */
static void assert_texts(struct buf_view path, struct buf_view trail, const char *expected_path,
                         const char *expected_trail)
{
    const struct flv_hw out = {.v = FLV_HW_VERSION, .path = path, .trail = trail};
    struct flv_hw hw;
    struct buf_writer w;

    buf_writer_init(&w, 1024);
    flv_write_hw_body(&w, &out);
    assert_int_equal(buf_writer_status(&w), E_OK);
    assert_int_equal(flv_parse_hw_body(buf_writer_view(&w), &hw), E_OK);
    assert_text(hw.path, expected_path);
    assert_text(hw.trail, expected_trail);
    buf_writer_fini(&w);
}

static void test_parse_hw_tells_an_empty_text_from_one_that_was_not_said(void **state)
{
    const struct buf_view none = {NULL, 0};

    (void)state;
    assert_texts(buf_view_str("e1,o1"), none, "e1,o1", "-");
    assert_texts(buf_view_str(""), buf_view_str("o1,7,0,0;e1,7,5,2"), "", "o1,7,0,0;e1,7,5,2");
    assert_texts(none, buf_view_str(""), "-", "");
    assert_texts(none, none, "-", "-");
}

static void test_parse_hw_ignores_what_a_later_version_adds(void **state)
{
    const struct flv_hw expected = {.v = 7, .gop = 5};
    struct flv_hw hw;
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 1024);
    amf_write_cstr(&w, "@hw");
    amf_write_ecma_array(&w, 4);
    amf_write_member_number(&w, "v", 7);
    amf_write_name(&w, "tracks");
    amf_write_object(&w);
    amf_write_member_cstr(&w, "0", "h264");
    amf_write_end(&w);
    amf_write_member_boolean(&w, "sealed", true);
    amf_write_member_number(&w, "gop", 5);
    amf_write_end(&w);
    amf_write_number(&w, 1); /* a second value behind the array */
    assert_int_equal(parse_written(&w, &hw), E_OK);
    assert_hw_equal(&hw, &expected);
    buf_writer_fini(&w);
}

static void test_parse_hw_gives_not_found_for_other_scripts(void **state)
{
    static const uint8_t k_longer[] = {0x02, 0x00, 0x04, '@', 'h', 'w', 'x', 0x05};
    static const uint8_t k_number[] = {0x00, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0};
    struct flv_hw hw = {.gop = 9};

    (void)state;
    assert_int_equal(flv_parse_hw_body(buf_view_of(k_wrapped, sizeof k_wrapped), &hw), E_NOT_FOUND);
    assert_int_equal(flv_parse_hw_body(buf_view_of(k_longer, sizeof k_longer), &hw), E_NOT_FOUND);
    assert_int_equal(flv_parse_hw_body(buf_view_of(k_number, sizeof k_number), &hw), E_NOT_FOUND);
    assert_int_equal(flv_parse_hw_body(buf_view_of(NULL, 0), &hw), E_NOT_FOUND);
    assert_int_equal(hw.gop, 9);
}

/* An array that ends between two members is whole to AMF readers (some FLV tools write no end
 * mark); the members that are not there count as 0. */
static enum err expected_when_cut(size_t size_bytes)
{
    if (size_bytes < 6)
        return E_NOT_FOUND; /* inside the name */
    return size_bytes == 11 || size_bytes == 23 || size_bytes == 53 ? E_OK : E_PROTO;
}

static void test_parse_hw_gives_proto_when_cut_inside_a_member(void **state)
{
    (void)state;
    for (size_t size_bytes = 0; size_bytes < sizeof k_hw_minimal; size_bytes++) {
        uint8_t *copy = malloc(size_bytes ? size_bytes : 1);
        struct flv_hw hw = {.gop = 9};

        assert_non_null(copy);
        memcpy(copy, k_hw_minimal, size_bytes);
        assert_int_equal(flv_parse_hw_body(buf_view_of(copy, size_bytes), &hw),
                         expected_when_cut(size_bytes));
        assert_int_equal(hw.gop, expected_when_cut(size_bytes) == E_OK ? 0 : 9);
        free(copy);
    }
}

static void write_hw_with_number(struct buf_writer *w, const char *name, double value)
{
    amf_write_cstr(w, "@hw");
    amf_write_ecma_array(w, 1);
    amf_write_member_number(w, name, value);
    amf_write_end(w);
}

static void test_parse_hw_gives_proto_for_numbers_that_are_no_integers(void **state)
{
    static const struct {
        const char *name;
        double value;
    } k_cases[] = {
        {"epoch", -1},
        {"epoch", 0.5},
        {"gop", 1e300},
        {"ingest_us", -1e300},
        {"v", 4294967296.0},
        {"wall_us", 1.25},
        {"gop", (double)TWO_53 * 2},
        {"gop", 0.0 / 0.0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        struct flv_hw hw;
        struct buf_writer w;

        buf_writer_init(&w, 1024);
        write_hw_with_number(&w, k_cases[i].name, k_cases[i].value);
        if (parse_written(&w, &hw) != E_PROTO)
            fail_msg("%s %g accepted", k_cases[i].name, k_cases[i].value);
        buf_writer_fini(&w);
    }
}

static void test_parse_hw_gives_proto_for_strings_that_are_no_integers(void **state)
{
    static const struct {
        const char *name;
        const char *text;
    } k_cases[] = {
        {"epoch", ""},
        {"epoch", "-"},
        {"epoch", "12a"},
        {"epoch", " 1"},
        {"epoch", "+1"},
        {"epoch", "-1"},
        {"run", "1e3"},
        {"gop", "0x10"},
        {"epoch", "18446744073709551616"},
        {"ingest_us", "9223372036854775808"},
        {"wall_us", "-9223372036854775809"},
        {"ingest_us", "9007199254740993"}, /* numbers, but the sum of a few would not fit */
        {"wall_us", "-9223372036854775808"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        struct flv_hw hw;
        struct buf_writer w;

        buf_writer_init(&w, 1024);
        amf_write_cstr(&w, "@hw");
        amf_write_ecma_array(&w, 1);
        amf_write_member_cstr(&w, k_cases[i].name, k_cases[i].text);
        amf_write_end(&w);
        if (parse_written(&w, &hw) != E_PROTO)
            fail_msg("%s \"%s\" accepted", k_cases[i].name, k_cases[i].text);
        buf_writer_fini(&w);
    }
}

static void test_parse_hw_gives_proto_for_members_of_another_type(void **state)
{
    struct flv_hw hw;
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 1024);
    amf_write_cstr(&w, "@hw");
    amf_write_null(&w); /* no array */
    assert_int_equal(parse_written(&w, &hw), E_PROTO);
    buf_writer_clear(&w);
    amf_write_cstr(&w, "@hw");
    amf_write_ecma_array(&w, 1);
    amf_write_member_boolean(&w, "epoch", true);
    amf_write_end(&w);
    assert_int_equal(parse_written(&w, &hw), E_PROTO);
    buf_writer_clear(&w);
    write_hw_with_number(&w, "path", 1);
    assert_int_equal(parse_written(&w, &hw), E_PROTO);
    buf_writer_clear(&w);
    write_hw_with_number(&w, "trail", 1);
    assert_int_equal(parse_written(&w, &hw), E_PROTO);
    buf_writer_fini(&w);
}

static void test_parse_hw_gives_proto_for_clocks_out_of_bounds(void **state)
{
    static const struct flv_hw k_cases[] = {
        {.has_clock = true, .clock_us = TWO_53 + 1}, {.has_clock = true, .clock_us = -TWO_53 - 1},
        {.has_clock = true, .clock_us = INT64_MIN},  {.has_clock = true, .unc_us = TWO_53 + 1},
        {.has_clock = true, .unc_us = -2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        struct flv_hw hw;
        struct buf_writer w;

        buf_writer_init(&w, 1024);
        flv_write_hw_body(&w, &k_cases[i]);
        assert_int_equal(parse_written(&w, &hw), E_PROTO);
        buf_writer_fini(&w);
    }
}

static void test_parse_hw_gives_no_clock_when_half_of_it_is_missing(void **state)
{
    struct flv_hw hw = {.has_clock = true};
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 1024);
    write_hw_with_number(&w, "clock_us", 5);
    assert_int_equal(parse_written(&w, &hw), E_OK);
    assert_false(hw.has_clock);
    buf_writer_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_metadata_gives_body_without_the_wrapper),
        cmocka_unit_test(test_is_metadata_gives_the_same_body_when_there_is_no_wrapper),
        cmocka_unit_test(test_is_metadata_gives_false_when_cut_inside_the_names),
        cmocka_unit_test(test_parse_hw_gives_what_was_written),
        cmocka_unit_test(test_parse_hw_gives_zero_for_missing_members),
        cmocka_unit_test(test_parse_hw_gives_the_plan_that_was_written),
        cmocka_unit_test(test_parse_hw_tells_an_empty_text_from_one_that_was_not_said),
        cmocka_unit_test(test_parse_hw_ignores_what_a_later_version_adds),
        cmocka_unit_test(test_parse_hw_gives_not_found_for_other_scripts),
        cmocka_unit_test(test_parse_hw_gives_proto_when_cut_inside_a_member),
        cmocka_unit_test(test_parse_hw_gives_proto_for_numbers_that_are_no_integers),
        cmocka_unit_test(test_parse_hw_gives_proto_for_strings_that_are_no_integers),
        cmocka_unit_test(test_parse_hw_gives_proto_for_members_of_another_type),
        cmocka_unit_test(test_parse_hw_gives_proto_for_clocks_out_of_bounds),
        cmocka_unit_test(test_parse_hw_gives_no_clock_when_half_of_it_is_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
