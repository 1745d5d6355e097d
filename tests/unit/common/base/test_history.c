/* common/base/history: a ring of samples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/history.h"

static const char *const k_names[] = {"up", "down", NULL};

static json_int_t value_at(const json_t *json, const char *series, size_t at)
{
    const json_t *values = json_object_get(json_object_get(json, "series"), series);

    return json_integer_value(json_array_get(values, at));
}

static size_t length_of(const json_t *json)
{
    return json_array_size(json_object_get(json_object_get(json, "series"), "up"));
}

static void add(struct history *h, int64_t n)
{
    const int64_t values[] = {n, -n};

    history_add(h, values);
}

static void test_json_gives_empty_series_before_the_first_sample(void **state)
{
    struct history h;
    json_t *json;

    (void)state;
    assert_int_equal(history_init(&h, k_names), E_OK);
    json = history_json(&h);
    assert_int_equal(length_of(json), 0);
    assert_int_equal(json_integer_value(json_object_get(json, "step_ms")), HISTORY_STEP_MS);
    json_decref(json);
    history_fini(&h);
}

static void test_json_gives_the_oldest_first(void **state)
{
    struct history h;
    json_t *json;

    (void)state;
    assert_int_equal(history_init(&h, k_names), E_OK);
    for (int64_t i = 1; i <= 3; i++)
        add(&h, i);
    json = history_json(&h);
    assert_int_equal(length_of(json), 3);
    assert_int_equal(value_at(json, "up", 0), 1);
    assert_int_equal(value_at(json, "up", 2), 3);
    assert_int_equal(value_at(json, "down", 2), -3);
    json_decref(json);
    history_fini(&h);
}

static void test_json_gives_the_last_hour_when_more_was_added(void **state)
{
    struct history h;
    json_t *json;

    (void)state;
    assert_int_equal(history_init(&h, k_names), E_OK);
    for (int64_t i = 1; i <= HISTORY_SAMPLES + 7; i++)
        add(&h, i);
    json = history_json(&h);
    assert_int_equal(length_of(json), HISTORY_SAMPLES);
    assert_int_equal(value_at(json, "up", 0), 8);
    assert_int_equal(value_at(json, "down", HISTORY_SAMPLES - 1), -(HISTORY_SAMPLES + 7));
    json_decref(json);
    history_fini(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_gives_empty_series_before_the_first_sample),
        cmocka_unit_test(test_json_gives_the_oldest_first),
        cmocka_unit_test(test_json_gives_the_last_hour_when_more_was_added),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
