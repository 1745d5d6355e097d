/* The trail of an @hw tag. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "proto/flv/flv.h"

#define LONGEST_ID "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._"
#define MAX_US 9007199254740992

static const struct flv_hop k_hops[FLV_MAX_HOPS] = {
    {"origin-1", 7, 0, 0},
    {"Edge_1.eu", UINT64_MAX, -250, 300},
    {"e", 0, 123456, -1},
    {LONGEST_ID, UINT64_MAX, -MAX_US, MAX_US},
};

/* From memory of exactly that size. */
static enum err parse(const char *text, size_t size, struct flv_hop hops[FLV_MAX_HOPS], unsigned *n)
{
    char *copy = malloc(size ? size : 1);
    enum err e;

    assert_non_null(copy);
    memcpy(copy, text, size);
    e = flv_parse_trail(buf_view_of(copy, size), hops, n);
    free(copy);
    return e;
}

static void write_all(char trail[FLV_TRAIL_SIZE])
{
    trail[0] = '\0';
    for (unsigned i = 0; i < FLV_MAX_HOPS; i++)
        assert_true(flv_append_hop(trail, &k_hops[i]));
}

static void assert_same(const struct flv_hop *a, const struct flv_hop *b)
{
    assert_string_equal(a->id, b->id);
    assert_true(a->epoch == b->epoch);
    assert_true(a->lag_us == b->lag_us);
    assert_true(a->unc_us == b->unc_us);
}

static void test_parse_gives_the_hops_that_were_appended(void **state)
{
    char trail[FLV_TRAIL_SIZE] = "";
    struct flv_hop got[FLV_MAX_HOPS];
    unsigned n = 99;

    (void)state;
    assert_int_equal(parse("", 0, got, &n), E_OK);
    assert_int_equal(n, 0);
    for (unsigned i = 0; i < FLV_MAX_HOPS; i++) {
        assert_true(flv_append_hop(trail, &k_hops[i]));
        assert_int_equal(parse(trail, strlen(trail), got, &n), E_OK);
        assert_int_equal(n, i + 1);
        for (unsigned k = 0; k < n; k++)
            assert_same(&got[k], &k_hops[k]);
    }
}

static void test_append_gives_false_when_there_is_no_room(void **state)
{
    char trail[FLV_TRAIL_SIZE], before[FLV_TRAIL_SIZE];

    (void)state;
    write_all(trail);
    strcpy(before, trail);
    assert_false(flv_append_hop(trail, &k_hops[0]));
    assert_string_equal(trail, before);
    memset(trail, 'x', FLV_TRAIL_SIZE - 10);
    trail[FLV_TRAIL_SIZE - 10] = '\0';
    strcpy(before, trail);
    assert_false(flv_append_hop(trail, &k_hops[0]));
    assert_string_equal(trail, before);
}

static void test_parse_gives_proto_when_cut_but_behind_a_number(void **state)
{
    static const char k_text[] = "a,1,20,30;b,2,-5,-1";
    struct flv_hop got[FLV_MAX_HOPS];
    unsigned n = 99;

    (void)state;
    for (size_t size = 1; size < sizeof k_text - 1; size++) {
        bool is_whole = size == 8 || size == 9; /* "a,1,20,3" and "a,1,20,30" */

        if (parse(k_text, size, got, &n) != (is_whole ? E_OK : E_PROTO))
            fail_msg("%.*s", (int)size, k_text);
    }
    assert_int_equal(n, 1);
}

static void test_parse_gives_proto_for_what_is_no_trail(void **state)
{
    static const char *const k_bad[] = {
        ";",
        "a",
        "a,1,2",
        ",1,2,3",
        "a,,2,3",
        "a,1,,3",
        "a,1,2,",
        "a,1,2,3,4",
        "a,1,2,3;",
        ";a,1,2,3",
        "a,1,2,3;;b,1,2,3",
        "a b,1,2,3",
        "a\xc3\xa9,1,2,3",
        "a/b,1,2,3",
        LONGEST_ID "-x,1,2,3",
        "a,-1,2,3",
        "a,18446744073709551616,2,3",
        "a,99999999999999999999999,2,3",
        "a,1,+2,3",
        "a,1,--2,3",
        "a,1,2-,3",
        "a,1, 2,3",
        "a,1,9007199254740993,3",
        "a,1,-9007199254740993,3",
        "a,1,2,-2",
        "a,1,2,3x",
        "a,1,2,3;b,1,2,3;c,1,2,3;d,1,2,3;e,1,2,3",
    };
    struct flv_hop got[FLV_MAX_HOPS];
    unsigned n = 99;

    (void)state;
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++)
        if (parse(k_bad[i], strlen(k_bad[i]), got, &n) != E_PROTO)
            fail_msg("%s", k_bad[i]);
    assert_int_equal(parse("a\0b,1,2,3", 9, got, &n), E_PROTO);
    assert_int_equal(n, 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_gives_the_hops_that_were_appended),
        cmocka_unit_test(test_append_gives_false_when_there_is_no_room),
        cmocka_unit_test(test_parse_gives_proto_when_cut_but_behind_a_number),
        cmocka_unit_test(test_parse_gives_proto_for_what_is_no_trail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
