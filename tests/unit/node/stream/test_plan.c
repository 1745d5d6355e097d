/* How runs are cut: who decides, when, and what is told. */
#include "node/stream/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct stream_plan_conf k_conf = {.segment_us = 2000000, .part_us = 200000};

/* Frames of 40 ms, GOPs of n_frames, n_gops of them. */
static void count_gops(struct stream_planner *p, uint64_t run, uint64_t first_gop, unsigned n_gops,
                       unsigned n_frames, int64_t start_us)
{
    for (unsigned i = 0; i < n_gops * n_frames; i++)
        stream_planner_count(p, &k_conf, run, first_gop + i / n_frames, start_us + 40000 * i);
}

static void test_count_waits_one_part_when_there_is_no_past(void **state)
{
    struct stream_planner p = {.run = 0};

    (void)state;
    stream_planner_count(&p, &k_conf, 5, 1, 0);
    stream_planner_count(&p, &k_conf, 5, 1, 199999);
    assert_int_equal(p.plan.run, 0);
    stream_planner_count(&p, &k_conf, 5, 1, 200000);
    assert_int_equal(p.plan.run, 5);
    assert_int_equal(p.plan.first_msn, 0);
    assert_int_equal(p.plan.gops_per_segment, 0);
    assert_int_equal(p.plan.discontinuities, 0);
}

static void test_count_decides_gops_at_the_end_of_the_first_one(void **state)
{
    struct stream_planner p = {.run = 0};

    (void)state;
    count_gops(&p, 5, 1, 1, 25, 0);
    assert_int_equal(p.plan.gops_per_segment, 0);
    stream_planner_count(&p, &k_conf, 5, 2, 1000000);
    assert_int_equal(p.plan.gops_per_segment, 2);
    assert_int_equal(p.last_msn, 0);
    stream_planner_count(&p, &k_conf, 5, 3, 2000000);
    assert_int_equal(p.last_msn, 1);
}

static void test_count_goes_on_behind_the_last_run(void **state)
{
    struct stream_planner p = {.run = 0};

    (void)state;
    count_gops(&p, 5, 1, 7, 25, 0); /* segments of 2: the last one is 3 */
    stream_planner_count(&p, &k_conf, 6, 8, 9000000);
    assert_int_equal(p.plan.run, 6); /* at once */
    assert_int_equal(p.plan.first_gop, 8);
    assert_int_equal(p.plan.first_msn, 4);
    assert_int_equal(p.plan.discontinuities, 1);
    assert_int_equal(p.plan.gops_per_segment, 0);
}

static void test_count_goes_on_behind_what_it_was_told(void **state)
{
    struct stream_planner p = {.run = 0};

    (void)state;
    stream_planner_count(&p, &k_conf, 5, 1, 0);
    stream_planner_tell(&p, 41, 2);
    stream_planner_tell(&p, 40, 7); /* one that is behind */
    stream_planner_count(&p, &k_conf, 5, 1, 40000);
    assert_int_equal(p.plan.first_msn, 42);
    assert_int_equal(p.plan.discontinuities, 3);
    stream_planner_tell(&p, 99, 9); /* too late */
    stream_planner_count(&p, &k_conf, 5, 2, 1000000);
    assert_int_equal(p.plan.first_msn, 42);
}

/* Segments of two GOPs, as k_conf wants them. */
static void test_count_puts_borders_at_multiples_of_segments_in_the_time_of_the_source(void **state)
{
    static const struct {
        int64_t first_us; /* of a source */
        unsigned skipped, msn;
    } k_cases[] = {{0, 0, 0},       {80000, 0, 0},   {1000000, 1, 0}, {3000000, 1, 1},
                   {4000000, 0, 2}, {3980000, 0, 2}, {4080000, 0, 2}, {-40000, 0, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        struct stream_planner p = {.to_source_us = k_cases[i].first_us - 7000000};

        count_gops(&p, 5, 9, 4, 25, 7000000);
        assert_int_equal(p.plan.gops_per_segment, 2);
        assert_int_equal(p.plan.skipped_gops, k_cases[i].skipped);
        assert_int_equal(p.plan.first_msn, k_cases[i].msn);
        assert_int_equal(p.last_msn, k_cases[i].msn + (3 + k_cases[i].skipped) / 2);
    }
}

static void test_count_keeps_borders_where_numbers_go_on(void **state)
{
    struct stream_planner p = {.run = 0};

    (void)state;
    count_gops(&p, 5, 1, 4, 25, 0);
    p.to_source_us = 5000000 - 9000000;
    count_gops(&p, 6, 5, 3, 25, 9000000);
    assert_int_equal(p.plan.first_msn, 2);
    assert_int_equal(p.plan.skipped_gops, 1);
    assert_int_equal(p.last_msn, 3);
}

static void test_count_begins_a_segment_with_the_gop_behind_a_change(void **state)
{
    struct stream_planner p = {.run = 0};

    (void)state;
    stream_planner_note_change(&p, true); /* headers come before the run's first GOP */
    count_gops(&p, 5, 1, 5, 25, 0);       /* segments of 2: GOP 5 begins 2 */
    assert_int_equal(p.plan.first_gop, 1);
    stream_planner_note_change(&p, true);
    stream_planner_count(&p, &k_conf, 5, 5, 4960000);
    assert_int_equal(p.last_msn, 2);
    count_gops(&p, 5, 6, 3, 25, 5000000); /* 6 begins 3, and 7 the next one: borders stay even */
    assert_int_equal(p.plan.first_gop, 6);
    assert_int_equal(p.plan.first_msn, 3);
    assert_int_equal(p.plan.skipped_gops, 1);
    assert_int_equal(p.plan.discontinuities, 1);
    assert_int_equal(p.last_msn, 4);
    stream_planner_note_change(&p, false); /* a border alone */
    count_gops(&p, 5, 9, 1, 25, 8000000);
    assert_int_equal(p.plan.first_msn, 5);
    assert_int_equal(p.plan.discontinuities, 1);
    count_gops(&p, 6, 10, 1, 25, 9000000);
    assert_int_equal(p.plan.first_msn, 6);
    assert_int_equal(p.plan.discontinuities, 2);
}

static void test_set_takes_over_where_a_run_is_cut_anew(void **state)
{
    struct stream_plan plan = {
        .run = 9, .first_gop = 10, .first_msn = 5, .gops_per_segment = 2, .segment_ms = 2000};
    struct stream_plan old = plan;
    struct stream_planner p = {.plan = {.run = 4, .first_gop = 1, .gops_per_segment = 1},
                               .last_msn = 7};

    (void)state;
    stream_planner_set(&p, &plan, 10); /* moved behind 7 */
    assert_int_equal(p.plan.first_msn, 8);
    plan.first_gop = 13;
    plan.first_msn = 7;
    plan.discontinuities = 2;
    stream_planner_set(&p, &plan, 13);
    assert_int_equal(p.plan.first_gop, 13);
    assert_int_equal(p.plan.first_msn, 10);
    assert_int_equal(p.plan.shift, 3);
    assert_int_equal(p.plan.discontinuities, 2);
    assert_int_equal(p.last_msn, 10);
    stream_planner_set(&p, &old, 14); /* by who has not heard of it */
    assert_int_equal(p.plan.first_gop, 13);
    assert_int_equal(p.plan.first_msn, 10);
}

static void test_set_is_what_a_later_run_follows(void **state)
{
    struct stream_plan told = {
        .run = 9, .first_gop = 100, .first_msn = 50, .gops_per_segment = 4, .segment_ms = 2000};
    struct stream_planner p = {.run = 0};

    (void)state;
    stream_planner_set(&p, &told, 109);
    assert_int_equal(p.last_msn, 52);
    stream_planner_count(&p, &k_conf, 10, 110, 0); /* the encoder comes to this node */
    assert_int_equal(p.plan.first_msn, 53);
    assert_int_equal(p.plan.discontinuities, 1);
}

static void test_is_settled_gives_true_when_the_gop_was_counted_and_its_run_has_a_plan(void **state)
{
    struct stream_planner p = {0};

    (void)state;
    stream_planner_count(&p, &k_conf, 5, 1, 0);
    assert_false(stream_planner_is_settled(&p, 5, 1)); /* the plan is open */
    stream_planner_count(&p, &k_conf, 5, 1, 200000);
    assert_true(stream_planner_is_settled(&p, 5, 1));
    assert_false(stream_planner_is_settled(&p, 5, 2));
    stream_planner_count(&p, &k_conf, 5, 2, 1000000);
    assert_true(stream_planner_is_settled(&p, 5, 2));
    assert_false(stream_planner_is_settled(&p, 6, 2));
}

static void test_follow_gives_the_last_segment_of_the_plan_that_was_set(void **state)
{
    struct stream_plan told = {
        .run = 9, .first_gop = 100, .first_msn = 50, .gops_per_segment = 2, .segment_ms = 2000};
    struct stream_planner p = {0};

    (void)state;
    stream_planner_set(&p, &told, 101);
    assert_int_equal(p.last_msn, 50);
    assert_true(stream_planner_is_settled(&p, 9, 101));
    stream_planner_follow(&p, 9, 104);
    assert_int_equal(p.last_msn, 52);
    assert_true(stream_planner_is_settled(&p, 9, 104));
    stream_planner_follow(&p, 10, 110); /* of that nothing was said */
    assert_int_equal(p.last_msn, 52);
}

static void test_set_begins_behind_what_was_had_when_a_run_comes_back(void **state)
{
    struct stream_plan first = {
        .run = 9, .first_gop = 1, .gops_per_segment = 2, .segment_ms = 2000};
    struct stream_plan other = {.run = 10, .first_gop = 1, .first_msn = 5, .segment_ms = 2000};
    struct stream_planner p = {.run = 0};

    (void)state;
    other.gops_per_segment = 2;
    other.discontinuities = 1;
    stream_planner_set(&p, &first, 9);
    assert_int_equal(p.last_msn, 4);
    stream_planner_set(&p, &other, 21);
    assert_int_equal(p.plan.shift, 0);
    assert_int_equal(p.last_msn, 15);
    stream_planner_set(&p, &first, 13); /* 6, as its node goes on counting */
    assert_int_equal(p.last_msn, 16);
    assert_int_equal(p.plan.shift, 10);
    assert_int_equal(p.plan.first_msn, 10);
    assert_int_equal(p.plan.discontinuities, 2);
    stream_planner_set(&p, &first, 15); /* said again */
    assert_int_equal(p.last_msn, 17);
    assert_int_equal(p.plan.shift, 10);
    assert_int_equal(p.plan.discontinuities, 2);
}

static void test_set_goes_on_when_the_first_gop_has_ended(void **state)
{
    struct stream_plan plan = {.run = 9, .first_gop = 1, .first_msn = 7, .segment_ms = 2000};
    struct stream_planner p = {.run = 0};

    (void)state;
    stream_planner_set(&p, &plan, 1);
    plan.gops_per_segment = 4;
    stream_planner_set(&p, &plan, 5);
    assert_int_equal(p.plan.gops_per_segment, 4);
    assert_int_equal(p.last_msn, 8);
}

static void test_read_gives_what_write_wrote(void **state)
{
    struct stream_plan plan = {.run = 3,
                               .first_gop = 1u << 30,
                               .first_msn = 77,
                               .gops_per_segment = 8,
                               .segment_ms = 6000,
                               .part_ms = 0,
                               .discontinuities = 12,
                               .shift = 5,
                               .skipped_gops = 3};
    struct stream_plan got;
    char text[STREAM_PLAN_TEXT_SIZE], again[STREAM_PLAN_TEXT_SIZE];

    (void)state;
    stream_plan_write(&plan, text);
    assert_int_equal(stream_plan_read(buf_view_str(text), &got), E_OK);
    assert_int_equal(got.run, 0);
    assert_int_equal(got.first_gop, plan.first_gop);
    assert_int_equal(got.segment_ms, plan.segment_ms);
    assert_int_equal(got.skipped_gops, plan.skipped_gops);
    stream_plan_write(&got, again);
    assert_string_equal(again, text);
}

static void test_read_refuses_what_is_broken(void **state)
{
    static const char *const k_broken[] = {
        "",
        "1,2,3,4,5,6",
        "1,2,3,4,5,6,7",
        "1,2,3,4,5,6,7,3",
        "1,2,3,4,5,6,7,0,0",
        "1,2,3,0,5,6,0,0",
        "1,2,3,4,5,-6,0,0",
        "1,2,,4,5,6,0,0",
        "1,2,99999,4,5,6,0,0",
        "99999999999999999999,2,3,4,5,6,0,0",
        "18446744073709551615,2,3,4,5,6,0,0",
        "1,2,3,4,5,6,0,0 ",
    };
    struct stream_plan got = {.run = 1};

    (void)state;
    for (size_t i = 0; i < sizeof k_broken / sizeof k_broken[0]; i++)
        assert_int_equal(stream_plan_read(buf_view_str(k_broken[i]), &got), E_PROTO);
    assert_int_equal(got.run, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count_waits_one_part_when_there_is_no_past),
        cmocka_unit_test(test_count_decides_gops_at_the_end_of_the_first_one),
        cmocka_unit_test(test_count_goes_on_behind_the_last_run),
        cmocka_unit_test(test_count_goes_on_behind_what_it_was_told),
        cmocka_unit_test(
            test_count_puts_borders_at_multiples_of_segments_in_the_time_of_the_source),
        cmocka_unit_test(test_count_keeps_borders_where_numbers_go_on),
        cmocka_unit_test(test_count_begins_a_segment_with_the_gop_behind_a_change),
        cmocka_unit_test(test_set_takes_over_where_a_run_is_cut_anew),
        cmocka_unit_test(test_set_is_what_a_later_run_follows),
        cmocka_unit_test(
            test_is_settled_gives_true_when_the_gop_was_counted_and_its_run_has_a_plan),
        cmocka_unit_test(test_follow_gives_the_last_segment_of_the_plan_that_was_set),
        cmocka_unit_test(test_set_begins_behind_what_was_had_when_a_run_comes_back),
        cmocka_unit_test(test_set_goes_on_when_the_first_gop_has_ended),
        cmocka_unit_test(test_read_gives_what_write_wrote),
        cmocka_unit_test(test_read_refuses_what_is_broken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
