/* Epochs only grow, whatever the clock does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/cluster/epoch.h"

#define NOW_US 1700000000000000ll

static void test_next_gives_clock_when_it_is_ahead(void **state)
{
    (void)state;
    assert_true(epoch_next(NOW_US, 5) == (uint64_t)NOW_US);
}

static void test_next_gives_one_more_when_clock_is_behind(void **state)
{
    (void)state;
    assert_true(epoch_next(NOW_US, (uint64_t)NOW_US) == (uint64_t)NOW_US + 1);
    assert_true(epoch_next(0, (uint64_t)NOW_US) == (uint64_t)NOW_US + 1);
    assert_true(epoch_next(-5, 0) == 1);
}

static void test_next_never_repeats_when_clock_steps_at_random(void **state)
{
    uint64_t highest = 0, seed = 42;

    (void)state;
    for (int i = 0; i < 10000; i++) {
        uint64_t next;

        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        next = epoch_next((int64_t)(seed >> 12), highest);
        assert_true(next > highest);
        highest = next;
    }
}

/* Two that cannot hear of each other start from the same highest epoch and see each other's grants
 * now and then: never the same number. */
static void test_apart_never_repeats_when_two_histories_mix(void **state)
{
    enum { N_GRANTS = 500 };
    static uint64_t given[2 * N_GRANTS];
    uint64_t highest[2] = {(uint64_t)NOW_US, (uint64_t)NOW_US}, seed = 7;

    (void)state;
    for (size_t i = 0; i < 2 * N_GRANTS; i++) {
        size_t side = i & 1;

        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        highest[side] = given[i] = epoch_apart(0, highest[side], seed >> 20);
        if (seed >> 63)
            highest[!side] = highest[side] > highest[!side] ? highest[side] : highest[!side];
        for (size_t k = 0; k < i; k++)
            assert_true(given[k] != given[i]);
    }
}

static void test_leap_passes_what_a_failover_loses_and_stays_below_a_minute(void **state)
{
    (void)state;
    assert_true(epoch_leap(0) >= 16 * 1000000);
    assert_true(epoch_leap(UINT64_MAX) < 60 * 1000000);
    assert_true(epoch_leap(1) != epoch_leap(2));
    assert_true(epoch_apart(NOW_US, 5, 3) == (uint64_t)NOW_US + epoch_leap(3));
    assert_true(epoch_apart(-1, 5, 3) == 6 + epoch_leap(3));
}

static void test_is_plausible_gives_false_when_a_century_ahead(void **state)
{
    (void)state;
    assert_true(epoch_is_plausible(0, NOW_US));
    assert_true(epoch_is_plausible((uint64_t)NOW_US, 0)); /* a clock that starts at 1970 */
    assert_false(epoch_is_plausible(UINT64_MAX, NOW_US));
    assert_false(epoch_is_plausible((uint64_t)NOW_US * 3, NOW_US));
}

static void test_wins_gives_higher_epoch_then_higher_id(void **state)
{
    (void)state;
    assert_true(epoch_wins(2, "a", 1, "b"));
    assert_false(epoch_wins(1, "b", 2, "a"));
    assert_true(epoch_wins(2, "b", 2, "a"));
    assert_false(epoch_wins(2, "a", 2, "b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next_gives_clock_when_it_is_ahead),
        cmocka_unit_test(test_next_gives_one_more_when_clock_is_behind),
        cmocka_unit_test(test_next_never_repeats_when_clock_steps_at_random),
        cmocka_unit_test(test_apart_never_repeats_when_two_histories_mix),
        cmocka_unit_test(test_leap_passes_what_a_failover_loses_and_stays_below_a_minute),
        cmocka_unit_test(test_is_plausible_gives_false_when_a_century_ahead),
        cmocka_unit_test(test_wins_gives_higher_epoch_then_higher_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
