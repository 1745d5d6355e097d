/* gate_cache.c */
#include "node/hooks/gate_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct gate_cache cache;
static const struct gate_answer k_allow = {.verdict = GATE_ALLOW, .options = {.duplicate = -1}};
static const struct gate_answer k_options = {.verdict = GATE_ALLOW,
                                             .options = {.duplicate = -1, .ingress_bps = 9}};
static const struct gate_answer k_deny = {.verdict = GATE_DENY, .status = 404, .reason = "gone"};

static int open_cache(void **state)
{
    (void)state;
    gate_cache_init(&cache);
    return 0;
}

static int close_cache(void **state)
{
    (void)state;
    gate_cache_fini(&cache);
    return 0;
}

static void test_get_gives_what_was_put_until_its_time(void **state)
{
    struct gate_answer got;

    (void)state;
    assert_false(gate_cache_get(&cache, "a", 0, &got));
    gate_cache_put(&cache, "a", &k_deny, 100);
    gate_cache_put(&cache, "b", &k_allow, 200);
    assert_true(gate_cache_get(&cache, "a", 99, &got));
    assert_memory_equal(&got, &k_deny, sizeof got);
    assert_true(gate_cache_get(&cache, "b", 199, &got));
    assert_memory_equal(&got, &k_allow, sizeof got);
    gate_cache_put(&cache, "b", &k_options, 200);
    assert_true(gate_cache_get(&cache, "b", 199, &got));
    assert_memory_equal(&got, &k_options, sizeof got);
    assert_false(gate_cache_get(&cache, "a", 100, &got));
    assert_int_equal(cache.map.n_entries, 1);
}

static void test_put_replaces_when_key_is_there(void **state)
{
    struct gate_answer got;

    (void)state;
    gate_cache_put(&cache, "a", &k_deny, 100);
    gate_cache_put(&cache, "a", &k_allow, 300);
    assert_true(gate_cache_get(&cache, "a", 200, &got));
    assert_int_equal(got.verdict, GATE_ALLOW);
    assert_int_equal(cache.map.n_entries, 1);
}

static void test_put_drops_least_used_when_full(void **state)
{
    struct gate_answer got;
    char key[32];

    (void)state;
    for (unsigned i = 0; i <= GATE_CACHE_MAX; i++) {
        snprintf(key, sizeof key, "%u", i);
        gate_cache_put(&cache, key, &k_allow, 100);
        assert_true(gate_cache_get(&cache, "0", 0, &got)); /* used each time */
    }
    assert_int_equal(cache.map.n_entries, GATE_CACHE_MAX);
    assert_false(gate_cache_get(&cache, "1", 0, &got));
    assert_true(gate_cache_get(&cache, "2", 0, &got));
}

static void test_put_keeps_bytes_bounded_when_keys_are_long(void **state)
{
    static char key[16000];

    (void)state;
    memset(key, 'x', sizeof key - 1);
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(key, 8, "%07u", i);
        key[7] = 'x';
        gate_cache_put(&cache, key, &k_deny, 100);
        assert_true(cache.bytes <= GATE_CACHE_MAX_BYTES);
    }
    assert_true(cache.map.n_entries < 2000);
    assert_true(cache.map.n_entries > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_get_gives_what_was_put_until_its_time, open_cache,
                                        close_cache),
        cmocka_unit_test_setup_teardown(test_put_replaces_when_key_is_there, open_cache,
                                        close_cache),
        cmocka_unit_test_setup_teardown(test_put_drops_least_used_when_full, open_cache,
                                        close_cache),
        cmocka_unit_test_setup_teardown(test_put_keeps_bytes_bounded_when_keys_are_long, open_cache,
                                        close_cache),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
