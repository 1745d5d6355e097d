/* CPU that a process may use, as its cgroup says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>

#include "node/control/cores.h"

static void test_parse_quota_gives_thousandths_of_a_core(void **state)
{
    static const struct {
        const char *text;
        uint32_t milli; /* 0: refused */
    } k_texts[] = {
        {"200000 100000\n", 2000},
        {"50000 100000\n", 500},
        {"150000 100000", 1500},
        {"1 100000\n", 1},
        {"max 100000\n", 0},
        {"", 0},
        {"\n", 0},
        {"100000\n", 0},
        {"-1 100000\n", 0},
        {"100000 0\n", 0},
        {"0 100000\n", 0},
        {"100000 100000x\n", 0},
        {" 1 1\n", 0},
        {"18446744073709551615 1\n", 0},
        {"18446744073709551 1\n", 10000000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_texts / sizeof k_texts[0]; i++) {
        uint32_t milli = 0;

        assert_int_equal(cores_parse_quota(k_texts[i].text, &milli), k_texts[i].milli != 0);
        assert_int_equal(milli, k_texts[i].milli);
    }
}

static void test_allowed_is_no_more_than_the_cores_it_may_run_on(void **state)
{
    cpu_set_t all, one;
    size_t first = 0;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    assert_in_range(cores_allowed_milli(), 1, (uint32_t)CPU_COUNT(&all) * 1000);
    while (!CPU_ISSET(first, &all))
        first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_in_range(cores_allowed_milli(), 1, 1000);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_quota_gives_thousandths_of_a_core),
        cmocka_unit_test(test_allowed_is_no_more_than_the_cores_it_may_run_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
