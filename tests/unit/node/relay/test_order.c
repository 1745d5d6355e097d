/* Which place of a relay is tried when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "node/relay/order.h"

#define START_US 1000000000
#define NO_CHANCE 0.5 /* the middle of what jitter makes */

static struct relay_order order_of(unsigned n, uint64_t max_rounds)
{
    struct relay_order o;

    relay_order_init(&o, n, max_rounds);
    return o;
}

/* All places in vain, at one moment. */
static void fail_round(struct relay_order *o, int64_t now_us)
{
    for (unsigned i = 0; i < o->n; i++) {
        assert_int_equal(relay_order_next(o, now_us), i);
        relay_order_failed(o, now_us, NO_CHANCE);
    }
}

static void test_next_gives_each_place_once_a_round(void **state)
{
    struct relay_order o = order_of(3, 0);

    (void)state;
    fail_round(&o, START_US);
    assert_int_equal(relay_order_next(&o, START_US), -1);
    assert_int_equal(o.due_us, START_US + RELAY_ORDER_MIN_US);
    assert_int_equal(relay_order_next(&o, o.due_us - 1), -1);
    assert_int_equal(relay_order_next(&o, o.due_us), 0);
}

static void test_failed_doubles_the_pause_up_to_a_bound(void **state)
{
    struct relay_order o = order_of(2, 0);
    int64_t now_us = START_US, pause_us = RELAY_ORDER_MIN_US;

    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        fail_round(&o, now_us);
        assert_int_equal(o.due_us - now_us, pause_us);
        now_us = o.due_us;
        pause_us = pause_us * 2 < RELAY_ORDER_MAX_US ? pause_us * 2 : RELAY_ORDER_MAX_US;
    }
    assert_int_equal(pause_us, RELAY_ORDER_MAX_US);
}

static void test_failed_gives_a_jittered_pause(void **state)
{
    struct relay_order least = order_of(1, 0), most = order_of(1, 0);

    (void)state;
    relay_order_failed(&least, START_US, 0);
    relay_order_failed(&most, START_US, 0.999);
    assert_true(least.due_us - START_US >= RELAY_ORDER_MIN_US * 7 / 10);
    assert_true(most.due_us - START_US <= RELAY_ORDER_MIN_US * 13 / 10);
    assert_true(most.due_us - least.due_us > RELAY_ORDER_MIN_US / 2);
}

static void test_lost_begins_with_the_first_place_at_once_after_a_steady_run(void **state)
{
    struct relay_order o = order_of(3, 0);
    int64_t lost_us = START_US + RELAY_ORDER_STEADY_US;

    (void)state;
    relay_order_failed(&o, START_US, NO_CHANCE);
    relay_order_runs(&o, 1, START_US);
    relay_order_lost(&o, lost_us, 0);
    assert_int_equal(relay_order_next(&o, lost_us), 0);
    fail_round(&o, lost_us);
    assert_int_equal(o.due_us, lost_us + RELAY_ORDER_MIN_US);
}

static void test_lost_counts_as_failed_after_a_short_run(void **state)
{
    struct relay_order o = order_of(2, 0);

    (void)state;
    relay_order_runs(&o, 0, START_US);
    relay_order_lost(&o, START_US + 1000, NO_CHANCE);
    assert_int_equal(relay_order_next(&o, START_US + 1000), 1);
    relay_order_runs(&o, 1, START_US + 1000);
    relay_order_lost(&o, START_US + 2000, NO_CHANCE);
    assert_int_equal(relay_order_next(&o, START_US + 2000), -1);
    assert_int_equal(o.due_us, START_US + 2000 + RELAY_ORDER_MIN_US);
}

static void test_gave_up_is_true_after_so_many_rounds_in_vain(void **state)
{
    struct relay_order o = order_of(2, 2), forever = order_of(1, 0);

    (void)state;
    fail_round(&o, START_US);
    assert_false(relay_order_gave_up(&o));
    fail_round(&o, o.due_us);
    assert_true(relay_order_gave_up(&o));
    assert_int_equal(relay_order_next(&o, INT64_MAX), -1);
    for (unsigned i = 0; i < 1000; i++)
        relay_order_failed(&forever, START_US, NO_CHANCE);
    assert_false(relay_order_gave_up(&forever));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next_gives_each_place_once_a_round),
        cmocka_unit_test(test_failed_doubles_the_pause_up_to_a_bound),
        cmocka_unit_test(test_failed_gives_a_jittered_pause),
        cmocka_unit_test(test_lost_begins_with_the_first_place_at_once_after_a_steady_run),
        cmocka_unit_test(test_lost_counts_as_failed_after_a_short_run),
        cmocka_unit_test(test_gave_up_is_true_after_so_many_rounds_in_vain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
