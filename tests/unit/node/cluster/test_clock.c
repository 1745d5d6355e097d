/* node/cluster/clock against simulated clocks and networks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "node/cluster/clock.h"

#define SECOND_US INT64_C(1000000)

/* Another machine: its clock is apart_us ahead of ours at our 0, and runs drift_ppm faster. */
struct machine {
    int64_t apart_us, drift_ppm;
};

static int64_t offset_at(const struct machine *m, int64_t our_us)
{
    return m->apart_us + our_us * m->drift_ppm / 1000000;
}

/* Asked at sent_us; the question takes there_us, the answer back_us. */
static void ask(struct clock_offset *c, const struct machine *m, int64_t sent_us, int64_t there_us,
                int64_t back_us)
{
    int64_t read_us = sent_us + there_us;

    assert_true(clock_offset_add(c, sent_us, read_us + offset_at(m, read_us), read_us + back_us));
}

/* What is said holds; gives the uncertainty. */
static int64_t assert_holds(const struct clock_offset *c, const struct machine *m, int64_t now_us)
{
    int64_t offset_us, unc_us, wrong_us;

    assert_true(clock_offset_read(c, now_us, &offset_us, &unc_us));
    wrong_us = offset_us - offset_at(m, now_us);
    if (wrong_us > unc_us || -wrong_us > unc_us)
        fail_msg("wrong by %lld us, said to be at most %lld", (long long)wrong_us,
                 (long long)unc_us);
    return unc_us;
}

static void test_read_gives_false_before_any_answer(void **state)
{
    struct clock_offset c = {0};
    int64_t offset_us = 77, unc_us = 77;

    (void)state;
    assert_false(clock_offset_read(&c, SECOND_US, &offset_us, &unc_us));
    assert_int_equal(offset_us, 77);
    assert_int_equal(unc_us, 77);
}

static void test_read_is_wrong_by_half_the_round_trip_at_most_whatever_each_way_takes(void **state)
{
    static const int64_t k_ways[][2] = {{0, 0},    {100, 100}, {0, 5000},
                                        {5000, 0}, {1, 0},     {7, 90000}};
    static const int64_t k_apart[] = {0, 1, -900 * SECOND_US, 86400 * SECOND_US};

    (void)state;
    for (size_t i = 0; i < sizeof k_ways / sizeof k_ways[0]; i++) {
        for (size_t k = 0; k < sizeof k_apart / sizeof k_apart[0]; k++) {
            struct machine m = {k_apart[k], 0};
            struct clock_offset c = {0};
            int64_t trip_us = k_ways[i][0] + k_ways[i][1];

            ask(&c, &m, 1000 * SECOND_US, k_ways[i][0], k_ways[i][1]);
            assert_in_range(assert_holds(&c, &m, 1000 * SECOND_US + trip_us), trip_us / 2,
                            trip_us / 2 + 8); /* they may drift meanwhile */
        }
    }
}

static void test_read_takes_the_quickest_answer(void **state)
{
    struct machine m = {12345, 0};
    struct clock_offset c = {0};

    (void)state;
    ask(&c, &m, 1 * SECOND_US, 40000, 2000);
    ask(&c, &m, 2 * SECOND_US, 150, 50);
    ask(&c, &m, 3 * SECOND_US, 300, 30000);
    assert_in_range(assert_holds(&c, &m, 3 * SECOND_US), 100, 200);
}

static void test_read_takes_a_slower_answer_when_the_quickest_is_old(void **state)
{
    struct machine m = {-5 * SECOND_US, 50};
    struct clock_offset c = {0};

    (void)state;
    ask(&c, &m, 10 * SECOND_US, 10, 10); /* by now the clocks may be 5 ms apart */
    ask(&c, &m, 110 * SECOND_US, 0, 2000);
    assert_in_range(assert_holds(&c, &m, 110 * SECOND_US), 1000, 1100);
}

/* 1 ms at most, but one way in four: 65 ms. */
static int64_t next_way_us(uint32_t *random)
{
    *random = *random * 1664525u + 1013904223u;
    return *random >> 30 ? *random >> 22 : *random >> 14;
}

static void test_read_holds_at_every_moment_while_clocks_drift(void **state)
{
    static const int64_t k_drifts[] = {-50, -10, 0, 10, 50};

    (void)state;
    for (size_t i = 0; i < sizeof k_drifts / sizeof k_drifts[0]; i++) {
        struct machine m = {987654321, k_drifts[i]};
        struct clock_offset c = {0};
        uint32_t random = 7;

        for (int64_t at_us = SECOND_US; at_us < 1000 * SECOND_US; at_us += 10 * SECOND_US) {
            ask(&c, &m, at_us, next_way_us(&random), next_way_us(&random));
            for (int64_t later_us = SECOND_US; later_us < 10 * SECOND_US; later_us += SECOND_US)
                (void)assert_holds(&c, &m, at_us + later_us);
        }
    }
}

static void test_read_gives_false_when_the_last_answer_is_too_old(void **state)
{
    struct machine m = {5, 0};
    struct clock_offset c = {0};
    int64_t offset_us, unc_us;

    (void)state;
    ask(&c, &m, SECOND_US, 10, 10);
    (void)assert_holds(&c, &m, SECOND_US + CLOCK_KEEP_US);
    assert_false(clock_offset_read(&c, SECOND_US + CLOCK_KEEP_US + 11, &offset_us, &unc_us));
}

static void test_add_forgets_what_was_known_when_the_clock_was_set(void **state)
{
    struct machine before = {50 * SECOND_US, 0}, after = {-3 * SECOND_US, 0};
    struct clock_offset c = {0};

    (void)state;
    for (unsigned i = 1; i < CLOCK_SAMPLES; i++)
        ask(&c, &before, i * SECOND_US, 10, 10);
    ask(&c, &after, 30 * SECOND_US, 4000, 4000); /* slower than all before */
    assert_in_range(assert_holds(&c, &after, 30 * SECOND_US + 8000), 4000, 4001);
    ask(&c, &before, 31 * SECOND_US, 10, 10); /* and back */
    assert_in_range(assert_holds(&c, &before, 31 * SECOND_US), 10, 11);
}

static void test_add_keeps_the_latest_when_there_are_many(void **state)
{
    struct machine m = {33, 0};
    struct clock_offset c = {0};
    int64_t at_us = SECOND_US;

    (void)state;
    ask(&c, &m, at_us, 1, 1);
    for (unsigned i = 0; i < CLOCK_SAMPLES; i++)
        ask(&c, &m, at_us += 1000, 500, 500);
    assert_in_range(assert_holds(&c, &m, at_us), 500, 502); /* the quickest is gone */
}

static void test_add_refuses_what_no_clock_says(void **state)
{
    static const struct {
        int64_t sent_us, theirs_us, received_us;
    } k_bad[] = {
        {100, 5, 99},
        {100, -1, 200},
        {100, INT64_MIN, 200},
        {100, INT64_MAX, 200},
        {100, CLOCK_MAX_US + 1, 200},
        {-1, 5, 200},
    };
    struct clock_offset c = {0};
    int64_t offset_us, unc_us;

    (void)state;
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++)
        assert_false(
            clock_offset_add(&c, k_bad[i].sent_us, k_bad[i].theirs_us, k_bad[i].received_us));
    assert_false(clock_offset_read(&c, 150, &offset_us, &unc_us));
}

static enum err read_answer(const char *json, int64_t *theirs_us)
{
    return clock_answer_read(buf_view_str(json), theirs_us);
}

static void test_answer_read_gives_the_reading_whatever_else_is_said(void **state)
{
    int64_t theirs_us = 0;

    (void)state;
    assert_int_equal(read_answer("{\"v\":1,\"mono_us\":123}", &theirs_us), E_OK);
    assert_int_equal(theirs_us, 123);
    assert_int_equal(read_answer("{\"mono_us\":0,\"new\":[{}]}", &theirs_us), E_OK);
    assert_int_equal(theirs_us, 0);
    assert_int_equal(read_answer("{\"mono_us\":9007199254740992}", &theirs_us), E_OK);
    assert_int_equal(theirs_us, CLOCK_MAX_US);
}

static void test_answer_read_refuses_what_is_no_reading(void **state)
{
    static const char *const k_bad[] = {
        "",
        "{",
        "5",
        "[]",
        "{}",
        "{\"mono_us\":null}",
        "{\"mono_us\":\"5\"}",
        "{\"mono_us\":5.0}",
        "{\"mono_us\":-1}",
        "{\"mono_us\":9007199254740993}",
        "{\"mono_us\":9223372036854775808}",
        "{\"mono_us\":5} {}",
    };
    int64_t theirs_us = 77;

    (void)state;
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++)
        assert_int_equal(read_answer(k_bad[i], &theirs_us), E_PROTO);
    assert_int_equal(clock_answer_read(buf_view_of(NULL, 0), &theirs_us), E_PROTO);
    assert_int_equal(theirs_us, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_gives_false_before_any_answer),
        cmocka_unit_test(test_read_is_wrong_by_half_the_round_trip_at_most_whatever_each_way_takes),
        cmocka_unit_test(test_read_takes_the_quickest_answer),
        cmocka_unit_test(test_read_takes_a_slower_answer_when_the_quickest_is_old),
        cmocka_unit_test(test_read_holds_at_every_moment_while_clocks_drift),
        cmocka_unit_test(test_read_gives_false_when_the_last_answer_is_too_old),
        cmocka_unit_test(test_add_forgets_what_was_known_when_the_clock_was_set),
        cmocka_unit_test(test_add_keeps_the_latest_when_there_are_many),
        cmocka_unit_test(test_add_refuses_what_no_clock_says),
        cmocka_unit_test(test_answer_read_gives_the_reading_whatever_else_is_said),
        cmocka_unit_test(test_answer_read_refuses_what_is_no_reading),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
