/* Delivery directives: bis 6.2.5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/hls/hls.h"

static const struct {
    const char *query;
    enum err e;
    struct hls_directives want;
} k_queries[] = {
    {"", E_OK, {false, false, false, 0, 0}},
    {"token=x&_HLS_msn=7", E_OK, {true, false, false, 7, 0}},
    {"_HLS_part=3&_HLS_msn=7&_HLS_skip=YES", E_OK, {true, true, true, 7, 3}},
    {"_HLS_skip=v2", E_OK, {false, false, true, 0, 0}},
    {"_HLS_skip=NO", E_OK, {false, false, false, 0, 0}},
    {"_HLS_skip=a-long-text-of-no-meaning", E_OK, {false, false, false, 0, 0}},
    {"_HLS_push=1&_HLS_report=x", E_OK, {false, false, false, 0, 0}},
    {"_HLS_msn=18446744073709551615", E_OK, {true, false, false, UINT64_MAX, 0}},
    {"_HLS_msn=00000000000000000007", E_OK, {true, false, false, 7, 0}},
    {"_HLS_msn=1&_HLS_part=4294967295", E_OK, {true, true, false, 1, UINT32_MAX}},
    {"_HLS_msn=18446744073709551616", E_INVAL, {.msn = 0}},
    {"_HLS_msn=000000000000000000007", E_INVAL, {.msn = 0}},
    {"_HLS_msn=1&_HLS_part=4294967296", E_INVAL, {.msn = 0}},
    {"_HLS_msn=", E_INVAL, {.msn = 0}},
    {"_HLS_msn", E_INVAL, {.msn = 0}},
    {"_HLS_msn=-1", E_INVAL, {.msn = 0}},
    {"_HLS_msn=+1", E_INVAL, {.msn = 0}}, /* a space, decoded */
    {"_HLS_msn=0x7", E_INVAL, {.msn = 0}},
    {"_HLS_msn=7%00", E_INVAL, {.msn = 0}},
    {"_HLS_msn=7%zz", E_INVAL, {.msn = 0}},
    {"_HLS_part=1", E_INVAL, {.msn = 0}},
    {"_HLS_msn=1&_HLS_part=x", E_INVAL, {.msn = 0}},
};

static void test_parse_directives_gives_numbers_or_the_rule_that_is_broken(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_queries / sizeof k_queries[0]; i++) {
        const struct hls_directives *want = &k_queries[i].want;
        struct hls_directives got = {.msn = 99};
        const char *why = "";
        enum err e = hls_parse_directives(buf_view_str(k_queries[i].query), &got, &why);

        if (e != k_queries[i].e)
            fail_msg("%s gives %s", k_queries[i].query, err_name(e));
        assert_true((why != NULL) == (e != E_OK));
        if (e == E_OK)
            assert_true(got.has_msn == want->has_msn && got.has_part == want->has_part &&
                        got.skip == want->skip && got.msn == want->msn && got.part == want->part);
        else
            assert_int_equal(got.msn, 99);
    }
}

/* Segments up to 9 are complete, 9 has 5 parts; of 10 two parts are there. Parts of 200 ms: up to
 * 15 more may be asked for. */
static const struct hls_edge k_edge = {10, 2, 5, 200000, false};

static const struct {
    bool has_part;
    uint64_t msn;
    uint32_t part;
    enum hls_answer answer;
} k_wanted[] = {
    {false, 0, 0, HLS_ANSWER_NOW},
    {false, 9, 0, HLS_ANSWER_NOW},
    {false, 10, 0, HLS_ANSWER_LATER},
    {false, 11, 0, HLS_ANSWER_LATER},
    {false, 12, 0, HLS_ANSWER_REFUSE},
    {false, UINT64_MAX, 0, HLS_ANSWER_REFUSE},
    {true, 0, UINT32_MAX, HLS_ANSWER_NOW},
    {true, 8, 99, HLS_ANSWER_NOW},
    {true, 9, 4, HLS_ANSWER_NOW},
    {true, 9, 5, HLS_ANSWER_NOW}, /* the same as part 0 of 10 */
    {true, 10, 1, HLS_ANSWER_NOW},
    {true, 10, 2, HLS_ANSWER_LATER},
    {true, 10, 16, HLS_ANSWER_LATER},
    {true, 10, 17, HLS_ANSWER_REFUSE},
    {true, 11, 0, HLS_ANSWER_LATER},
    {true, 11, 15, HLS_ANSWER_REFUSE},
    {true, 12, 0, HLS_ANSWER_REFUSE},
};

static void test_judge_answers_waits_or_refuses_by_distance_from_the_edge(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_wanted / sizeof k_wanted[0]; i++) {
        struct hls_directives want = {true, k_wanted[i].has_part, false, k_wanted[i].msn,
                                      k_wanted[i].part};
        enum hls_answer answer = hls_judge(&want, &k_edge);

        if (answer != k_wanted[i].answer)
            fail_msg("row %zu: %d", i, (int)answer);
    }
}

static void test_judge_waits_for_the_next_segment_when_the_last_had_fewer_parts(void **state)
{
    struct hls_directives want = {true, true, false, 9, 5};
    struct hls_edge edge = k_edge;

    (void)state;
    edge.n_parts = 0;
    assert_int_equal(hls_judge(&want, &edge), HLS_ANSWER_LATER);
    want.part = 4;
    assert_int_equal(hls_judge(&want, &edge), HLS_ANSWER_NOW);
}

static void test_judge_ignores_parts_where_there_are_none(void **state)
{
    struct hls_directives want = {true, true, false, 10, 0};
    struct hls_edge edge = k_edge;

    (void)state;
    edge.part_target_us = 0;
    assert_int_equal(hls_judge(&want, &edge), HLS_ANSWER_LATER);
    want.msn = 9;
    want.part = 99;
    assert_int_equal(hls_judge(&want, &edge), HLS_ANSWER_NOW);
}

static void test_judge_answers_at_once_when_nothing_will_come_or_nothing_is_asked(void **state)
{
    struct hls_directives want = {true, false, false, 1000, 0};
    struct hls_edge edge = k_edge;

    (void)state;
    edge.ended = true;
    assert_int_equal(hls_judge(&want, &edge), HLS_ANSWER_NOW);
    want.has_msn = false;
    assert_int_equal(hls_judge(&want, &k_edge), HLS_ANSWER_NOW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_directives_gives_numbers_or_the_rule_that_is_broken),
        cmocka_unit_test(test_judge_answers_waits_or_refuses_by_distance_from_the_edge),
        cmocka_unit_test(test_judge_waits_for_the_next_segment_when_the_last_had_fewer_parts),
        cmocka_unit_test(test_judge_ignores_parts_where_there_are_none),
        cmocka_unit_test(test_judge_answers_at_once_when_nothing_will_come_or_nothing_is_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
