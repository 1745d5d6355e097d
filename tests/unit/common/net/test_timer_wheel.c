/* timer_wheel.c with a clock of the test's own: every distance, spreading of lists, far deadlines,
 * starting and stopping in between, and a random comparison with the plain rule. */
#include "common/net/timer_wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define SLOT TIMER_WHEEL_SLOT_US
#define BEGIN_US (INT64_C(86400) * 1000000 + 1234) /* a day of uptime, not on a slot */

static struct timer_wheel wheel;

static int setup(void **state)
{
    (void)state;
    timer_wheel_init(&wheel, BEGIN_US);
    return 0;
}

/* One turn at now_us; returns how many entries were ready. */
static unsigned turn(int64_t now_us)
{
    unsigned n = 0;

    timer_wheel_begin_turn(&wheel);
    timer_wheel_advance(&wheel, now_us);
    while (timer_wheel_pop(&wheel))
        n++;
    return n;
}

/* Turns whenever the wheel asks for it, until entry has run. Returns the time, and counts turns. */
static int64_t run_until(const struct wheel_entry *entry, unsigned *n_turns)
{
    int64_t now_us = -1;

    *n_turns = 0;
    while (timer_wheel_is_armed(entry)) {
        int64_t next_us = timer_wheel_next_us(&wheel);

        assert_true(next_us != INT64_MAX && next_us > now_us);
        now_us = next_us;
        turn(now_us);
        ++*n_turns;
    }
    return now_us;
}

static int64_t round_up(int64_t us)
{
    return (us + SLOT - 1) / SLOT * SLOT;
}

/* --- when --- */

static void test_start_is_due_at_its_slot_and_not_before_for_every_distance(void **state)
{
    struct wheel_entry e = {0};

    (void)state;
    for (int64_t n = 1; n < 64 * 64 + 200; n++) { /* three levels */
        int64_t now_us = BEGIN_US + n * 7 * SLOT; /* and from every place of now */
        int64_t due_us = round_up(now_us) + n * SLOT;

        turn(now_us);
        timer_wheel_start(&wheel, &e, due_us);
        assert_int_equal(turn(due_us - 1), 0);
        assert_int_equal(turn(due_us), 1);
        assert_false(timer_wheel_is_armed(&e));
        timer_wheel_init(&wheel, now_us);
    }
}

static void test_start_rounds_up_to_a_slot(void **state)
{
    struct wheel_entry e = {0};
    int64_t slot_us = round_up(BEGIN_US) + 10 * SLOT;

    (void)state;
    for (int64_t early_us = 0; early_us < SLOT; early_us += 37) {
        timer_wheel_start(&wheel, &e, slot_us - early_us);
        assert_int_equal(timer_wheel_next_us(&wheel), slot_us);
    }
    timer_wheel_start(&wheel, &e, slot_us + 1);
    assert_int_equal(timer_wheel_next_us(&wheel), slot_us + SLOT);
}

static void test_start_reaches_far_deadlines_in_few_turns(void **state)
{
    static const int64_t k_delays_us[] = {INT64_C(1000) * 1000, INT64_C(3600) * 1000000,
                                          INT64_C(86400) * 1000000, INT64_C(365) * 86400 * 1000000,
                                          INT64_C(36500) * 86400000000LL};
    unsigned n_turns;

    (void)state;
    for (size_t i = 0; i < sizeof k_delays_us / sizeof k_delays_us[0]; i++) {
        struct wheel_entry e = {0};
        int64_t due_us = BEGIN_US + k_delays_us[i];

        timer_wheel_init(&wheel, BEGIN_US);
        timer_wheel_start(&wheel, &e, due_us);
        assert_int_equal(run_until(&e, &n_turns), round_up(due_us));
        assert_in_range(n_turns, 1, TIMER_WHEEL_LEVELS);
    }
}

static void test_start_keeps_what_is_beyond_the_last_slot(void **state)
{
    struct wheel_entry e = {0};

    (void)state;
    timer_wheel_start(&wheel, &e, INT64_MAX);
    assert_int_equal(turn(BEGIN_US + INT64_C(36500) * 86400000000LL), 0);
    assert_true(timer_wheel_is_armed(&e));
    timer_wheel_stop(&wheel, &e);
    assert_int_equal(timer_wheel_next_us(&wheel), INT64_MAX);
}

static void test_advance_costs_nothing_after_a_long_gap(void **state)
{
    struct wheel_entry e = {0};
    int64_t now_us = BEGIN_US + INT64_C(3600) * 1000000;
    unsigned n_turns;

    (void)state;
    assert_int_equal(turn(now_us), 0); /* an hour with nothing armed */
    timer_wheel_start(&wheel, &e, now_us + 8000);
    assert_int_equal(run_until(&e, &n_turns), round_up(now_us + 8000));
    assert_in_range(n_turns, 1, 2); /* two when a list had to be spread */
    /* Started before the wheel knows how late it is: right all the same. */
    now_us += INT64_C(3600) * 1000000;
    timer_wheel_start(&wheel, &e, now_us + 8000);
    assert_int_equal(turn(now_us), 0);
    assert_int_equal(turn(now_us + 7999), 0);
    assert_int_equal(turn(round_up(now_us + 8000)), 1);
}

static void test_advance_gives_all_missed_in_order_of_their_slots(void **state)
{
    static const unsigned k_slots[] = {5000, 3, 64, 1, 700, 65, 4096, 63, 2, 300000};
    struct wheel_entry e[sizeof k_slots / sizeof k_slots[0]] = {0};
    uint64_t last_slot = 0;

    (void)state;
    for (size_t i = 0; i < sizeof k_slots / sizeof k_slots[0]; i++)
        timer_wheel_start(&wheel, &e[i], BEGIN_US + (int64_t)k_slots[i] * SLOT);
    timer_wheel_advance(&wheel, BEGIN_US + INT64_C(400000) * SLOT);
    for (size_t i = 0; i < sizeof k_slots / sizeof k_slots[0]; i++) {
        const struct wheel_entry *next = timer_wheel_pop(&wheel);

        assert_non_null(next);
        assert_true(next->due_slot > last_slot);
        last_slot = next->due_slot;
    }
    assert_null(timer_wheel_pop(&wheel));
    assert_int_equal(timer_wheel_next_us(&wheel), INT64_MAX);
}

static void test_advance_ignores_a_clock_that_goes_back(void **state)
{
    struct wheel_entry e = {0};

    (void)state;
    turn(BEGIN_US + 100 * SLOT);
    assert_int_equal(turn(BEGIN_US), 0);
    timer_wheel_start(&wheel, &e, BEGIN_US + 101 * SLOT);
    assert_int_equal(turn(BEGIN_US + 100 * SLOT), 0);
    assert_int_equal(turn(BEGIN_US + 102 * SLOT), 1);
}

/* --- without delay --- */

static void test_start_without_delay_waits_for_the_next_turn_only(void **state)
{
    struct wheel_entry e = {0};

    (void)state;
    timer_wheel_start(&wheel, &e, 0);
    assert_true(timer_wheel_is_armed(&e));
    assert_int_equal(timer_wheel_next_us(&wheel), 0);
    timer_wheel_advance(&wheel, BEGIN_US); /* no new turn yet */
    assert_null(timer_wheel_pop(&wheel));
    assert_int_equal(turn(BEGIN_US), 1); /* the clock did not even move */
    assert_int_equal(timer_wheel_next_us(&wheel), INT64_MAX);
}

static void test_pop_ends_although_an_entry_starts_itself_again(void **state)
{
    struct wheel_entry e = {0};
    unsigned n = 0;

    (void)state;
    timer_wheel_start(&wheel, &e, 0);
    timer_wheel_begin_turn(&wheel);
    timer_wheel_advance(&wheel, BEGIN_US);
    while (timer_wheel_pop(&wheel)) {
        timer_wheel_start(&wheel, &e, n % 2 ? 0 : BEGIN_US);
        n++;
    }
    assert_int_equal(n, 1);
    assert_true(timer_wheel_is_armed(&e));
}

/* --- stop and restart --- */

static void test_stop_takes_an_entry_off_every_level(void **state)
{
    struct wheel_entry e = {0}, neighbour = {0};

    (void)state;
    timer_wheel_stop(&wheel, &e); /* zeroed */
    for (int64_t n = 1; n < INT64_C(1) << 40; n *= 3) {
        timer_wheel_start(&wheel, &e, BEGIN_US + n * SLOT);
        timer_wheel_start(&wheel, &neighbour, BEGIN_US + n * SLOT);
        timer_wheel_stop(&wheel, &e);
        assert_false(timer_wheel_is_armed(&e));
        assert_true(timer_wheel_next_us(&wheel) != INT64_MAX); /* the same list still has one */
        timer_wheel_stop(&wheel, &neighbour);
        timer_wheel_stop(&wheel, &neighbour);
        assert_int_equal(timer_wheel_next_us(&wheel), INT64_MAX);
    }
}

static void test_stop_finds_the_list_after_now_has_moved(void **state)
{
    (void)state;
    for (int64_t n = 2; n < 64 * 64 * 8; n += 61) {
        struct wheel_entry e = {0};

        timer_wheel_init(&wheel, BEGIN_US);
        timer_wheel_start(&wheel, &e, BEGIN_US + n * SLOT);
        assert_int_equal(turn(BEGIN_US + n * SLOT / 2), 0);
        assert_int_equal(turn(BEGIN_US + (n - 1) * SLOT), 0);
        timer_wheel_stop(&wheel, &e);
        assert_int_equal(timer_wheel_next_us(&wheel), INT64_MAX);
    }
}

static void test_start_moves_an_armed_entry(void **state)
{
    struct wheel_entry e = {0};

    (void)state;
    timer_wheel_start(&wheel, &e, BEGIN_US + 3 * SLOT);
    timer_wheel_start(&wheel, &e, BEGIN_US + 900 * SLOT);
    assert_int_equal(turn(BEGIN_US + 800 * SLOT), 0);
    timer_wheel_start(&wheel, &e, BEGIN_US + 801 * SLOT);
    assert_int_equal(turn(BEGIN_US + 802 * SLOT), 1);
    assert_int_equal(turn(BEGIN_US + 2000 * SLOT), 0);
}

static void test_stop_and_start_work_on_entries_that_are_ready(void **state)
{
    struct wheel_entry e[4] = {0};

    (void)state;
    for (int i = 0; i < 4; i++)
        timer_wheel_start(&wheel, &e[i], BEGIN_US + 5 * SLOT);
    timer_wheel_advance(&wheel, BEGIN_US + 6 * SLOT);
    assert_ptr_equal(timer_wheel_pop(&wheel), &e[0]);
    timer_wheel_stop(&wheel, &e[1]);
    timer_wheel_start(&wheel, &e[2], BEGIN_US + 50 * SLOT);
    timer_wheel_start(&wheel, &e[0], BEGIN_US + 5 * SLOT); /* again, and past already */
    assert_ptr_equal(timer_wheel_pop(&wheel), &e[3]);
    assert_null(timer_wheel_pop(&wheel));
    assert_int_equal(turn(BEGIN_US + 7 * SLOT), 1); /* e[0] */
    assert_false(timer_wheel_is_armed(&e[1]));
    assert_int_equal(turn(BEGIN_US + 51 * SLOT), 1); /* e[2] */
}

static void test_fini_disarms_everything(void **state)
{
    struct wheel_entry e[3] = {0};

    (void)state;
    timer_wheel_start(&wheel, &e[0], 0);
    timer_wheel_start(&wheel, &e[1], BEGIN_US + SLOT);
    timer_wheel_start(&wheel, &e[2], BEGIN_US + 100000 * (int64_t)SLOT);
    timer_wheel_fini(&wheel);
    memset(&wheel, 0xff, sizeof wheel); /* nobody may look there any more */
    for (int i = 0; i < 3; i++) {
        assert_false(timer_wheel_is_armed(&e[i]));
        timer_wheel_stop(&wheel, &e[i]);
    }
}

/* --- against the plain rule: due when its slot has come --- */

#define N_ENTRIES 150

static struct {
    struct wheel_entry entry;
    int64_t due_us; /* -1 = not armed */
} model[N_ENTRIES];

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void) /* xorshift64 */
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Any order of magnitude up to 2^bits - 1 is as likely as any other. */
static int64_t random_us(unsigned bits)
{
    return (int64_t)(next_random() >> (64 - 1 - next_random() % bits));
}

static void start_or_stop(int64_t now_us)
{
    size_t at = next_random() % N_ENTRIES;

    if (next_random() % 4 == 0) {
        timer_wheel_stop(&wheel, &model[at].entry);
        model[at].due_us = -1;
    } else {
        model[at].due_us = now_us + random_us(44);
        timer_wheel_start(&wheel, &model[at].entry, model[at].due_us);
    }
}

static void check_pops(int64_t now_us)
{
    struct wheel_entry *entry;
    int64_t soonest_us = INT64_MAX;

    timer_wheel_begin_turn(&wheel);
    timer_wheel_advance(&wheel, now_us);
    while ((entry = timer_wheel_pop(&wheel)) != NULL) {
        size_t at = (size_t)((char *)entry - (char *)model) / sizeof model[0];

        assert_true(model[at].due_us >= 0 && model[at].due_us <= now_us);
        model[at].due_us = -1;
        if (next_random() % 8 == 0) /* inside the callback, as it were */
            start_or_stop(now_us);
    }
    for (size_t i = 0; i < N_ENTRIES; i++) {
        int64_t due_us = model[i].due_us < 0 ? INT64_MAX : round_up(model[i].due_us);

        assert_int_equal(timer_wheel_is_armed(&model[i].entry), model[i].due_us >= 0);
        if (due_us / SLOT > now_us / SLOT) /* the others are for the next turn */
            soonest_us = due_us < soonest_us ? due_us : soonest_us;
        else
            assert_true(timer_wheel_next_us(&wheel) == 0);
    }
    assert_true(timer_wheel_next_us(&wheel) <= soonest_us);
}

static void test_wheel_agrees_with_the_plain_rule_on_random_use(void **state)
{
    int64_t now_us = BEGIN_US;

    (void)state;
    for (size_t i = 0; i < N_ENTRIES; i++)
        model[i].due_us = -1;
    for (int round = 0; round < 20000; round++) {
        for (uint64_t n = next_random() % 6; n > 0; n--)
            start_or_stop(now_us);
        if (next_random() % 2 == 0) /* what a loop does: sleeps until the wheel asks */
            now_us =
                timer_wheel_next_us(&wheel) > now_us && timer_wheel_next_us(&wheel) != INT64_MAX
                    ? timer_wheel_next_us(&wheel)
                    : now_us;
        else
            now_us += random_us(38);
        check_pops(now_us);
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
    const struct CMUnitTest tests[] = {
        T(test_start_is_due_at_its_slot_and_not_before_for_every_distance),
        T(test_start_rounds_up_to_a_slot),
        T(test_start_reaches_far_deadlines_in_few_turns),
        T(test_start_keeps_what_is_beyond_the_last_slot),
        T(test_advance_costs_nothing_after_a_long_gap),
        T(test_advance_gives_all_missed_in_order_of_their_slots),
        T(test_advance_ignores_a_clock_that_goes_back),
        T(test_start_without_delay_waits_for_the_next_turn_only),
        T(test_pop_ends_although_an_entry_starts_itself_again),
        T(test_stop_takes_an_entry_off_every_level),
        T(test_stop_finds_the_list_after_now_has_moved),
        T(test_start_moves_an_armed_entry),
        T(test_stop_and_start_work_on_entries_that_are_ready),
        T(test_fini_disarms_everything),
        T(test_wheel_agrees_with_the_plain_rule_on_random_use),
    };
#undef T

    return cmocka_run_group_tests(tests, NULL, NULL);
}
