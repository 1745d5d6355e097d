/* Which part of a representation is asked for, and entity tags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/http/http.h"

static const struct {
    const char *value;
    uint64_t whole_bytes;
    enum http_range_kind kind;
    uint64_t first, size_bytes;
} k_ranges[] = {
    {"bytes=0-499", 10000, HTTP_RANGE_PART, 0, 500},
    {"bytes=500-999", 10000, HTTP_RANGE_PART, 500, 500},
    {"bytes=9500-", 10000, HTTP_RANGE_PART, 9500, 500},
    {"bytes=-500", 10000, HTTP_RANGE_PART, 9500, 500},
    {"bytes=-1", 10000, HTTP_RANGE_PART, 9999, 1},
    {"bytes=0-0", 10000, HTTP_RANGE_PART, 0, 1},
    {"bytes=0-", 10000, HTTP_RANGE_PART, 0, 10000},
    {"BYTES=9999-", 10000, HTTP_RANGE_PART, 9999, 1},
    {"bytes= 0-9 ,, ", 10000, HTTP_RANGE_PART, 0, 10},
    /* beyond the end is cut */
    {"bytes=9990-20000", 10000, HTTP_RANGE_PART, 9990, 10},
    {"bytes=-20000", 10000, HTTP_RANGE_PART, 0, 10000},
    {"bytes=1-99999999999999999999999", 10000, HTTP_RANGE_PART, 1, 9999},
    {"bytes=-99999999999999999999999", 10000, HTTP_RANGE_PART, 0, 10000},
    {"bytes=18446744073709551614-", UINT64_MAX, HTTP_RANGE_PART, UINT64_MAX - 1, 1},
    /* behind the end */
    {"bytes=10000-", 10000, HTTP_RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=10000-10001", 10000, HTTP_RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=99999999999999999999999-", 10000, HTTP_RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=-0", 10000, HTTP_RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=0-0", 0, HTTP_RANGE_UNSATISFIABLE, 0, 0},
    /* everything: several, malformed, another unit */
    {"bytes=0-1,5-6", 10000, HTTP_RANGE_WHOLE, 0, 0},
    {"bytes=-500", 0, HTTP_RANGE_WHOLE, 0, 0},
    {"bytes=5-4", 10000, HTTP_RANGE_WHOLE, 0, 0},
    {"bytes=99999999999999999999999-5", 10000, HTTP_RANGE_WHOLE, 0, 0},
    {"bytes=-", 10000, HTTP_RANGE_WHOLE, 0, 0},
    {"bytes=", 10000, HTTP_RANGE_WHOLE, 0, 0},
    {"bytes=,", 10000, HTTP_RANGE_WHOLE, 0, 0},
    {"bytes", 10000, HTTP_RANGE_WHOLE, 0, 0},
    {"", 10000, HTTP_RANGE_WHOLE, 0, 0},
    {"bytes=5", 10000, HTTP_RANGE_WHOLE, 0, 0},
    {"bytes=+1-5", 10000, HTTP_RANGE_WHOLE, 0, 0},
    {"bytes=0x1-5", 10000, HTTP_RANGE_WHOLE, 0, 0},
    {"bytes=1 -5", 10000, HTTP_RANGE_WHOLE, 0, 0},
    {"bytes=1--5", 10000, HTTP_RANGE_WHOLE, 0, 0},
    {"bytes =0-5", 10000, HTTP_RANGE_WHOLE, 0, 0},
    {"lines=0-5", 10000, HTTP_RANGE_WHOLE, 0, 0},
};

static void test_parse_range_gives_the_part_or_why_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_ranges / sizeof k_ranges[0]; i++) {
        struct http_range range = {0, 0};
        enum http_range_kind kind =
            http_parse_range(buf_view_str(k_ranges[i].value), k_ranges[i].whole_bytes, &range);

        if (kind != k_ranges[i].kind ||
            (kind == HTTP_RANGE_PART &&
             (range.first != k_ranges[i].first || range.size_bytes != k_ranges[i].size_bytes)))
            fail_msg("\"%s\": kind %u, %llu bytes from %llu", k_ranges[i].value, (unsigned)kind,
                     (unsigned long long)range.size_bytes, (unsigned long long)range.first);
    }
}

static const struct {
    const char *list;
    const char *etag;
    bool is_in;
} k_tags[] = {
    {"\"a\"", "\"a\"", true},
    {"*", "\"a\"", true},
    {"W/\"a\"", "\"a\"", true},
    {"\"a\"", "W/\"a\"", true},
    {"\"b\", \"a\"", "\"a\"", true},
    {",, W/\"b\" ,\t\"a\"", "\"a\"", true},
    {"\"x,\", \"a\"", "\"a\"", true},
    {"\"\"", "\"\"", true},
    {"\"b\"", "\"a\"", false},
    {"\"ab\"", "\"a\"", false},
    {"\"x, \"a\"\"", "\"a\"", false},
    {"a", "\"a\"", false},
    {"\"a", "\"a\"", false},
    {"W/", "\"a\"", false},
    {"w/\"a\"", "\"a\"", false},
    {"", "\"a\"", false},
    {"\"b\" x, \"a\"", "\"a\"", false},
};

static void test_etag_is_in_compares_weakly(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_tags / sizeof k_tags[0]; i++)
        if (http_etag_is_in(buf_view_str(k_tags[i].list), k_tags[i].etag) != k_tags[i].is_in)
            fail_msg("%s in %s", k_tags[i].etag, k_tags[i].list);
}

static void test_if_range_holds_for_the_same_strong_tag_only(void **state)
{
    (void)state;
    assert_true(http_if_range_holds(buf_view_str("\"a\""), "\"a\""));
    assert_false(http_if_range_holds(buf_view_str("\"b\""), "\"a\""));
    assert_false(http_if_range_holds(buf_view_str("W/\"a\""), "W/\"a\""));
    assert_false(http_if_range_holds(buf_view_str("W/\"a\""), "\"a\""));
    assert_false(http_if_range_holds(buf_view_str("Sun, 06 Nov 1994 08:49:37 GMT"), "\"a\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_range_gives_the_part_or_why_not),
        cmocka_unit_test(test_etag_is_in_compares_weakly),
        cmocka_unit_test(test_if_range_holds_for_the_same_strong_tag_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
