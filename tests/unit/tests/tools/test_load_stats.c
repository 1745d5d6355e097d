/* The histogram against sorted values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/tools/load_stats.h"

static int by_value(const void *a, const void *b)
{
    int64_t l = *(const int64_t *)a, m = *(const int64_t *)b;

    return (l > m) - (l < m);
}

static void test_quantile_is_within_2_percent_for_every_magnitude(void **state)
{
    struct load_hist hist;

    (void)state;
    for (int64_t value = 1; value < INT64_C(1) << LOAD_HIST_MAX_BITS; value += value / 7 + 1) {
        int64_t got, off;

        hist = (struct load_hist){0};
        load_hist_add(&hist, value);
        load_hist_add(&hist, INT64_C(1) << LOAD_HIST_MAX_BITS); /* so that max does not help */
        got = load_hist_quantile_us(&hist, 0.5);
        off = got > value ? got - value : value - got;
        assert_true(off * 100 <= value * 2);
    }
}

static void test_quantile_agrees_with_sorted_values(void **state)
{
    static const double k_shares[] = {0.01, 0.25, 0.5, 0.9, 0.99, 1};
    static struct load_hist hist;
    static int64_t values[10000];
    uint64_t seed = 1;

    (void)state;
    for (size_t i = 0; i < 10000; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        values[i] = (int64_t)((seed >> 33) % (i % 2 ? 100000 : 3000)) + 100;
        load_hist_add(&hist, values[i]);
    }
    qsort(values, 10000, sizeof values[0], by_value);
    for (size_t i = 0; i < sizeof k_shares / sizeof k_shares[0]; i++) {
        int64_t exact = values[(size_t)(k_shares[i] * 10000) - 1];
        int64_t got = load_hist_quantile_us(&hist, k_shares[i]);

        assert_true(llabs(got - exact) * 100 <= exact * 2);
    }
}

static void test_quantile_is_never_above_the_largest_value(void **state)
{
    struct load_hist hist = {0};

    (void)state;
    load_hist_add(&hist, 1000000);
    load_hist_add(&hist, 1000001);
    assert_int_equal(load_hist_quantile_us(&hist, 1), 1000001);
    assert_true(load_hist_quantile_us(&hist, 0.99) <= 1000001);
}

static void test_add_takes_values_outside_of_the_scale(void **state)
{
    struct load_hist hist = {0};

    (void)state;
    load_hist_add(&hist, -5);
    assert_int_equal(load_hist_quantile_us(&hist, 1), 0);
    load_hist_add(&hist, INT64_MAX);
    assert_int_equal(hist.n, 2);
    assert_true(hist.max_us == INT64_MAX);
    assert_true(load_hist_quantile_us(&hist, 1) > INT64_C(1) << (LOAD_HIST_MAX_BITS - 1));
}

static void test_json_gives_null_without_values(void **state)
{
    struct load_hist hist = {0};
    json_t *json = load_hist_json(&hist);

    (void)state;
    assert_true(json_is_null(json_object_get(json, "p50")));
    assert_true(json_is_null(json_object_get(json, "p99")));
    assert_true(json_is_null(json_object_get(json, "max")));
    assert_int_equal(json_integer_value(json_object_get(json, "n")), 0);
    json_decref(json);
}

static void test_json_gives_milliseconds(void **state)
{
    struct load_hist hist = {0};
    json_t *json;

    (void)state;
    load_hist_add(&hist, 1500);
    json = load_hist_json(&hist);
    assert_true(json_real_value(json_object_get(json, "max")) == 1.5);
    assert_true(json_real_value(json_object_get(json, "p50")) > 1.47);
    assert_true(json_real_value(json_object_get(json, "p50")) <= 1.5);
    assert_int_equal(json_integer_value(json_object_get(json, "n")), 1);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantile_is_within_2_percent_for_every_magnitude),
        cmocka_unit_test(test_quantile_agrees_with_sorted_values),
        cmocka_unit_test(test_quantile_is_never_above_the_largest_value),
        cmocka_unit_test(test_add_takes_values_outside_of_the_scale),
        cmocka_unit_test(test_json_gives_null_without_values),
        cmocka_unit_test(test_json_gives_milliseconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
