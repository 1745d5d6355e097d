/* Advice, call by call. What becomes of it over time: test_autoscale_curves.c. */
#include "tests/unit/scheduler/autoscale_fleet.h"

static const struct autoscale_conf k_conf = {.min = 2,
                                             .max = 20,
                                             .target_percent = 50,
                                             .hysteresis_percent = 10,
                                             .start_us = 60 * SECOND,
                                             .scale_in_delay_us = 300 * SECOND};

struct world {
    struct autoscale a;
    struct autoscale_sums sums;
    int64_t now_us;
};

static void add(struct world *w, const char *id, bool takes_work, uint32_t n_viewers)
{
    struct autoscale_node node = {.id = id,
                                  .takes_work = takes_work,
                                  .n_viewers = n_viewers,
                                  .max_viewers = 100,
                                  .n_clients = n_viewers,
                                  .cpu_permille = 10};

    autoscale_add(&w->sums, &node);
}

/* So many seconds with the same nodes. */
static uint32_t pass(struct world *w, int64_t n_s, bool is_whole)
{
    for (; n_s > 0; n_s--) {
        w->now_us += SECOND;
        autoscale_tick(&w->a, &k_conf, &w->sums, is_whole, w->now_us, WALL_US + w->now_us);
    }
    return w->a.advice.wanted;
}

static void forget(struct world *w)
{
    memset(&w->sums, 0, sizeof w->sums);
}

static void test_tick_gives_load_over_target(void **state)
{
    struct world w = {.now_us = 0};
    char reason[256];

    (void)state;
    for (int i = 0; i < 4; i++)
        add(&w, "n", true, 70);
    assert_int_equal(pass(&w, 1, true), 6); /* 2.8 full ones over 0.5 */
    assert_int_equal(w.a.advice.why, AUTOSCALE_LOAD);
    assert_int_equal(w.a.advice.tight, AUTOSCALE_VIEWERS);
    assert_true(fabs(w.a.advice.utilisation - 0.7) < 1e-9);
    assert_true(w.a.advice.headroom == 120);
    autoscale_reason(&w.a, &k_conf, reason, sizeof reason);
    assert_string_equal(reason, "viewers at 70% of 4 nodes, target 50%");
}

/* What leaves has load that others get, and no room for it. */
static void test_nodes_that_drain_are_load_and_no_room(void **state)
{
    struct world w = {.now_us = 0};

    (void)state;
    add(&w, "a", true, 50);
    add(&w, "b", true, 50);
    add(&w, "c", false, 50);
    assert_int_equal(pass(&w, 1, true), 3);
    assert_int_equal(w.a.advice.n_nodes, 2);
    assert_true(fabs(w.a.advice.utilisation - 0.75) < 1e-9);
}

static void test_emptiest_names_those_that_drain_then_the_emptier(void **state)
{
    static const char *const k_order[] = {"leaves", "b", "c", "a"};
    struct world w = {.now_us = 0};

    (void)state;
    add(&w, "a", true, 30);
    add(&w, "c", true, 10);
    add(&w, "leaves", false, 90);
    add(&w, "b", true, 10);
    (void)pass(&w, 1, true);
    assert_int_equal(w.a.n_emptiest, 4);
    for (unsigned i = 0; i < 4; i++)
        assert_string_equal(w.a.emptiest[i].id, k_order[i]);
}

static void test_emptiest_keeps_the_first_of_many(void **state)
{
    struct world w = {.now_us = 0};
    char id[16];

    (void)state;
    for (uint32_t i = 0; i < 3 * AUTOSCALE_N_EMPTIEST; i++) {
        snprintf(id, sizeof id, "n%u", i);
        add(&w, id, true, (i * 7919) % 1000);
    }
    assert_int_equal(w.sums.n_emptiest, AUTOSCALE_N_EMPTIEST);
    for (unsigned i = 1; i < AUTOSCALE_N_EMPTIEST; i++)
        assert_true(w.sums.emptiest[i - 1].n_clients <= w.sums.emptiest[i].n_clients);
}

static void test_no_advice_before_all_are_heard(void **state)
{
    struct world w = {.now_us = 0};

    (void)state;
    add(&w, "a", true, 90);
    (void)pass(&w, 5, false);
    assert_int_equal(w.a.advice.why, AUTOSCALE_UNKNOWN);
}

/* A scheduler that was started again, with nobody to tell it what was before. */
static void test_restart_asks_for_no_fewer_than_there_are_until_the_delay_is_over(void **state)
{
    struct world w = {.now_us = 0};

    (void)state;
    for (int i = 0; i < 8; i++)
        add(&w, "n", true, 10);
    (void)pass(&w, 7, false);
    assert_int_equal(pass(&w, 1, true), 8);
    assert_int_equal(pass(&w, 290, true), 8);
    assert_int_equal(w.a.advice.why, AUTOSCALE_DELAY);
    assert_int_equal(pass(&w, 25, true), 2);
}

/* The same with a store that kept it: what it would say had it not been started again. */
static void test_restart_says_what_the_others_say_when_the_past_was_kept(void **state)
{
    static struct world old, fresh;

    (void)state;
    for (int i = 0; i < 8; i++)
        add(&old, "n", true, 30);
    assert_int_equal(pass(&old, 350, true), 6); /* 5 are enough, 6 not too many */
    forget(&old);
    for (int i = 0; i < 8; i++)
        add(&old, "n", true, 10);
    assert_int_equal(pass(&old, 100, true), 6);
    fresh = (struct world){.now_us = old.now_us, .sums = old.sums};
    assert_true(autoscale_past_merge(&fresh.a.past, &old.a.past, WALL_US + fresh.now_us));
    for (int i = 0; i < 300; i++)
        assert_int_equal(pass(&fresh, 1, true), pass(&old, 1, true));
    assert_int_equal(old.a.advice.wanted, 2);
}

/* Each sees what the other does not; both say the higher, in whichever order they hear of it. */
static void test_two_that_share_what_was_needed_agree(void **state)
{
    static struct world one, two;

    (void)state;
    add(&one, "a", true, 90);
    add(&one, "b", true, 90);
    add(&two, "a", true, 10);
    add(&two, "b", true, 10);
    assert_int_equal(pass(&one, 1, true), 4);
    assert_int_equal(pass(&two, 1, true), 2);
    (void)autoscale_past_merge(&two.a.past, &one.a.past, WALL_US + two.now_us);
    (void)autoscale_past_merge(&one.a.past, &two.a.past, WALL_US + one.now_us);
    assert_int_equal(pass(&one, 1, true), pass(&two, 1, true));
    assert_false(autoscale_past_merge(&one.a.past, &two.a.past, WALL_US + one.now_us));
}

static void test_advice_is_held_while_nodes_are_not_heard(void **state)
{
    struct world w = {.now_us = 0};

    (void)state;
    for (int i = 0; i < 4; i++)
        add(&w, "n", true, 70);
    assert_int_equal(pass(&w, 10, true), 6);
    forget(&w);
    add(&w, "n", true, 20); /* the store is away: the others report elsewhere */
    assert_int_equal(pass(&w, 1000, false), 6);
    assert_int_equal(w.a.advice.why, AUTOSCALE_HELD);
    assert_int_equal(pass(&w, 290, true), 6); /* and as long after */
    assert_int_equal(pass(&w, 25, true), 2);
}

static void test_held_advice_still_rises(void **state)
{
    struct world w = {.now_us = 0};

    (void)state;
    add(&w, "n", true, 10);
    (void)pass(&w, 10, true);
    forget(&w);
    for (int i = 0; i < 4; i++)
        add(&w, "n", true, 100);
    assert_int_equal(pass(&w, 1, false), 8);
}

static void test_bounds_are_kept_and_named(void **state)
{
    struct world w = {.now_us = 0};
    char reason[256];

    (void)state;
    assert_int_equal(pass(&w, 1, true), 2); /* no node at all */
    assert_int_equal(w.a.advice.why, AUTOSCALE_MIN);
    assert_true(w.a.advice.headroom < 0);
    for (int i = 0; i < 15; i++)
        add(&w, "n", true, 100);
    assert_int_equal(pass(&w, 1, true), 20);
    autoscale_reason(&w.a, &k_conf, reason, sizeof reason);
    assert_string_equal(reason,
                        "viewers at 100% of 15 nodes, target 50%: the maximum, 30 would be needed");
}

/* What is asked for is never less than the minimum, nor is what is said to be enough. */
static void test_reason_names_what_may_be_asked_for(void **state)
{
    struct world w = {.now_us = 0};
    char reason[256];

    (void)state;
    for (int i = 0; i < 15; i++)
        add(&w, "n", true, 100);
    (void)pass(&w, 1, true); /* 30 are needed */
    forget(&w);
    for (int i = 0; i < 15; i++)
        add(&w, "n", true, 0);
    assert_int_equal(pass(&w, 120, true), 20);
    assert_int_equal(w.a.advice.needed, 1); /* of which CPU takes 1% */
    autoscale_reason(&w.a, &k_conf, reason, sizeof reason);
    assert_string_equal(reason, "cpu at 1% of 15 nodes, target 50%: 2 are enough, but were not all "
                                "through the last 300 s");
}

static void test_cpu_alone_tells_where_no_limit_is_known(void **state)
{
    struct world w = {.now_us = 0};
    struct autoscale_node node = {
        .id = "a", .takes_work = true, .n_clients = 5, .out_bps = 1, .cpu_permille = 900};

    (void)state;
    autoscale_add(&w.sums, &node);
    autoscale_add(&w.sums, &node);
    assert_int_equal(pass(&w, 1, true), 4);
    assert_int_equal(w.a.advice.tight, AUTOSCALE_CPU);
}

static void test_past_forgets_what_is_older_than_it_holds(void **state)
{
    static struct autoscale_past past;
    int64_t slot = WALL_US / AUTOSCALE_SLOT_US;

    (void)state;
    autoscale_past_raise(&past, slot, 7);
    autoscale_past_raise(&past, slot, 3); /* the most of a slot counts */
    assert_int_equal(autoscale_past_most(&past, 0, INT64_MAX), 7);
    autoscale_past_raise(&past, slot + 5, 4);
    assert_int_equal(autoscale_past_most(&past, (slot + 1) * AUTOSCALE_SLOT_US, INT64_MAX), 4);
    assert_int_equal(autoscale_past_most(&past, 0, (slot + 4) * AUTOSCALE_SLOT_US), 7);
    autoscale_past_raise(&past, slot + AUTOSCALE_N_SLOTS, 1);
    assert_int_equal(autoscale_past_most(&past, 0, INT64_MAX), 4);
    autoscale_past_raise(&past, slot, 9); /* too late */
    assert_int_equal(autoscale_past_most(&past, 0, INT64_MAX), 4);
    autoscale_past_raise(&past, slot + 100000, 2);
    assert_int_equal(autoscale_past_most(&past, 0, INT64_MAX), 2);
}

/* A clock that is hours ahead would hold what it said for hours. */
static void test_merge_leaves_out_what_the_clock_has_not_come_to(void **state)
{
    static struct autoscale_past past, ahead;
    int64_t slot = WALL_US / AUTOSCALE_SLOT_US;

    (void)state;
    autoscale_past_raise(&ahead, slot, 3);
    autoscale_past_raise(&ahead, slot + 100, 9);
    assert_true(autoscale_past_merge(&past, &ahead, WALL_US));
    assert_int_equal(past.newest, slot);
    assert_int_equal(autoscale_past_most(&past, 0, INT64_MAX), 3);
}

/* Else nothing would be known of any moment until the clock has caught up: the advice would be min.
 */
static void test_tick_forgets_what_a_clock_said_that_was_ahead(void **state)
{
    static const int64_t k_back_us[] = {60000000, 3600000000, INT64_C(86400000000)};

    (void)state;
    for (size_t i = 0; i < sizeof k_back_us / sizeof k_back_us[0]; i++) {
        struct world w = {.now_us = 0};
        struct autoscale_past ahead;
        int64_t wall_us;

        add(&w, "a", true, 90);
        add(&w, "b", true, 90);
        assert_int_equal(pass(&w, 30, true), 4);
        ahead = w.a.past;
        w.now_us += SECOND;
        wall_us = WALL_US + w.now_us - k_back_us[i];
        autoscale_tick(&w.a, &k_conf, &w.sums, true, w.now_us, wall_us);
        assert_int_equal(w.a.advice.wanted, 4);
        assert_int_equal(w.a.advice.why, AUTOSCALE_LOAD);
        (void)autoscale_past_merge(&ahead, &w.a.past, wall_us);
        assert_false(autoscale_past_merge(&ahead, &w.a.past, wall_us));
    }
}

static void test_read_gives_what_was_written(void **state)
{
    static struct autoscale_past past[AUTOSCALE_N_ROLES], read[AUTOSCALE_N_ROLES];
    struct buf_writer json;

    (void)state;
    for (int64_t i = 0; i < 500; i++)
        autoscale_past_raise(&past[AUTOSCALE_EDGE], 1700000 + i, (uint32_t)(i % 17));
    autoscale_past_raise(&past[AUTOSCALE_ORIGIN], 1700000, 3);
    buf_writer_init(&json, 65536);
    autoscale_past_write(past, &json);
    assert_int_equal(buf_writer_status(&json), E_OK);
    assert_int_equal(autoscale_past_read(buf_writer_view(&json), read), E_OK);
    assert_memory_equal(read, past, sizeof past);
    buf_writer_fini(&json);
}

static void test_read_refuses_what_is_no_past(void **state)
{
    static const char *const k_bad[] = {
        "",
        "[]",
        "{}",
        "{\"v\":1,\"edge\":{\"newest\":1,\"needed\":[1]}}",
        "{\"edge\":{\"newest\":\"1\",\"needed\":[]},\"origin\":{\"newest\":1,\"needed\":[]}}",
        "{\"edge\":{\"newest\":-1,\"needed\":[]},\"origin\":{\"newest\":1,\"needed\":[]}}",
        "{\"edge\":{\"newest\":1,\"needed\":[-1]},\"origin\":{\"newest\":1,\"needed\":[]}}",
        "{\"edge\":{\"newest\":1,\"needed\":[1e99]},\"origin\":{\"newest\":1,\"needed\":[]}}",
        ("{\"edge\":{\"newest\":9223372036854775807,\"needed\":[1]},"
         "\"origin\":{\"newest\":1,\"needed\":[]}}"),
    };
    static struct autoscale_past past[AUTOSCALE_N_ROLES];

    (void)state;
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++)
        assert_int_equal(autoscale_past_read(buf_view_str(k_bad[i]), past), E_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tick_gives_load_over_target),
        cmocka_unit_test(test_nodes_that_drain_are_load_and_no_room),
        cmocka_unit_test(test_emptiest_names_those_that_drain_then_the_emptier),
        cmocka_unit_test(test_emptiest_keeps_the_first_of_many),
        cmocka_unit_test(test_no_advice_before_all_are_heard),
        cmocka_unit_test(test_restart_asks_for_no_fewer_than_there_are_until_the_delay_is_over),
        cmocka_unit_test(test_restart_says_what_the_others_say_when_the_past_was_kept),
        cmocka_unit_test(test_two_that_share_what_was_needed_agree),
        cmocka_unit_test(test_advice_is_held_while_nodes_are_not_heard),
        cmocka_unit_test(test_held_advice_still_rises),
        cmocka_unit_test(test_bounds_are_kept_and_named),
        cmocka_unit_test(test_reason_names_what_may_be_asked_for),
        cmocka_unit_test(test_cpu_alone_tells_where_no_limit_is_known),
        cmocka_unit_test(test_past_forgets_what_is_older_than_it_holds),
        cmocka_unit_test(test_merge_leaves_out_what_the_clock_has_not_come_to),
        cmocka_unit_test(test_tick_forgets_what_a_clock_said_that_was_ahead),
        cmocka_unit_test(test_read_gives_what_was_written),
        cmocka_unit_test(test_read_refuses_what_is_no_past),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
