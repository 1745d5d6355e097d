/* common/base/date: against the C library, a day at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>

#include "common/base/date.h"

#define DAY_US INT64_C(86400000000)

static void test_text_is_the_c_librarys_for_every_day_to_9999(void **state)
{
    char text[DATE_SIZE], expected[DATE_SIZE];
    time_t s;
    struct tm tm;

    (void)state;
    for (int64_t us = 5025678000; us < INT64_C(253402300800000000); us += DAY_US) {
        s = (time_t)(us / 1000000);
        assert_non_null(gmtime_r(&s, &tm));
        assert_int_not_equal(strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S.678Z", &tm), 0);
        assert_string_equal(date_format(us, text), expected);
    }
}

static void test_text_is_1970_for_times_before(void **state)
{
    char text[DATE_SIZE];

    (void)state;
    assert_string_equal(date_format(INT64_MIN, text), "1970-01-01T00:00:00.000Z");
    assert_string_equal(date_format(-1, text), "1970-01-01T00:00:00.000Z");
}

static void test_text_has_its_length_at_the_end_of_time(void **state)
{
    char text[DATE_SIZE];

    (void)state;
    assert_string_equal(date_format(INT64_MAX, text), "4247-01-10T04:00:54.775Z"); /* 294247 */
}

static void test_text_ends_days_and_years_in_time(void **state)
{
    char text[DATE_SIZE];

    (void)state;
    assert_string_equal(date_format(INT64_C(1709251199999999), text), "2024-02-29T23:59:59.999Z");
    assert_string_equal(date_format(INT64_C(1735689599999999), text), "2024-12-31T23:59:59.999Z");
    assert_string_equal(date_format(INT64_C(1735689600000000), text), "2025-01-01T00:00:00.000Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_is_the_c_librarys_for_every_day_to_9999),
        cmocka_unit_test(test_text_is_1970_for_times_before),
        cmocka_unit_test(test_text_has_its_length_at_the_end_of_time),
        cmocka_unit_test(test_text_ends_days_and_years_in_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
