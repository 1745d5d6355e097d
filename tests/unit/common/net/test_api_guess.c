/* common/net/api_guess: how long wrong tokens wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/net/api_guess.h"

#define NOW_US INT64_C(1000000000)

static struct api_guesses guesses;

static int setup(void **state)
{
    (void)state;
    memset(&guesses, 0, sizeof guesses);
    return 0;
}

static int64_t wrong(const char *from, int64_t now_us)
{
    struct addr peer;

    assert_int_equal(addr_parse(&peer, from), E_OK);
    return api_guess_wrong(&guesses, &peer, now_us);
}

static void test_wrong_gives_longer_waits_up_to_the_longest(void **state)
{
    int64_t now_us = NOW_US, before = 0;

    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        int64_t ms = wrong("10.0.0.1:5", now_us);

        assert_true(ms >= before && ms <= API_GUESS_LONGEST_MS);
        assert_true(i > 6 || ms == (int64_t)API_GUESS_FIRST_MS << i);
        before = ms;
        now_us += ms * 1000;
    }
    assert_int_equal(before, API_GUESS_LONGEST_MS);
}

static void test_wrong_gives_each_of_many_at_once_its_turn_and_then_a_refusal(void **state)
{
    int64_t before = 0, ms;
    unsigned n = 0;

    (void)state;
    while ((ms = wrong("10.0.0.1:5", NOW_US)) >= 0) {
        assert_true(ms > before);
        before = ms;
        assert_true(++n < 100);
    }
    assert_true(n > 5 && before <= API_GUESS_AHEAD_MS);
    assert_int_equal(wrong("10.0.0.1:9", NOW_US), -1);       /* another port is no other address */
    assert_true(wrong("10.0.0.1:5", NOW_US + 20000000) > 0); /* some had their turn */
}

static void test_wrong_counts_addresses_for_themselves(void **state)
{
    (void)state;
    assert_int_equal(wrong("10.0.0.1:5", NOW_US), API_GUESS_FIRST_MS);
    assert_true(wrong("10.0.0.1:5", NOW_US) > API_GUESS_FIRST_MS);
    assert_int_equal(wrong("10.0.0.2:5", NOW_US), API_GUESS_FIRST_MS);
    assert_true(wrong("[::ffff:10.0.0.2]:5", NOW_US) > API_GUESS_FIRST_MS);
    assert_int_equal(wrong("[2001:db8:1::1]:5", NOW_US), API_GUESS_FIRST_MS);
    assert_true(wrong("[2001:db8:1::2]:5", NOW_US) > API_GUESS_FIRST_MS); /* one network */
    assert_int_equal(wrong("[2001:db8:1:1::1]:5", NOW_US), API_GUESS_FIRST_MS);
}

static void test_wrong_forgets_after_a_while(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5; i++)
        (void)wrong("10.0.0.1:5", NOW_US);
    assert_true(wrong("10.0.0.1:5", NOW_US + API_GUESS_FORGET_US) > API_GUESS_FIRST_MS);
    assert_int_equal(wrong("10.0.0.1:5", NOW_US + 3 * API_GUESS_FORGET_US), API_GUESS_FIRST_MS);
}

/* Its memory is what it is; who guesses from everywhere pushes out others like it. */
static void test_wrong_serves_any_number_of_addresses(void **state)
{
    char from[32];

    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        snprintf(from, sizeof from, "10.%u.%u.%u:5", i >> 16, i >> 8 & 255, i & 255);
        assert_int_equal(wrong(from, NOW_US + i), API_GUESS_FIRST_MS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_wrong_gives_longer_waits_up_to_the_longest, setup),
        cmocka_unit_test_setup(test_wrong_gives_each_of_many_at_once_its_turn_and_then_a_refusal,
                               setup),
        cmocka_unit_test_setup(test_wrong_counts_addresses_for_themselves, setup),
        cmocka_unit_test_setup(test_wrong_forgets_after_a_while, setup),
        cmocka_unit_test_setup(test_wrong_serves_any_number_of_addresses, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
