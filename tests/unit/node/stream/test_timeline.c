/* Stream time: never back, whoever feeds it and whatever clock he has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "node/stream/timeline.h"

#define MS INT64_C(1000)

static int64_t map_ms(struct timeline *t, enum media_kind kind, int64_t src_ms)
{
    return timeline_map(t, kind, false, src_ms * MS) / MS;
}

static int64_t map_config_ms(struct timeline *t, enum media_kind kind, int64_t src_ms)
{
    return timeline_map(t, kind, true, src_ms * MS) / MS;
}

static void test_map_keeps_the_times_of_the_first_source(void **state)
{
    struct timeline t;

    (void)state;
    timeline_init(&t);
    assert_int_equal(map_ms(&t, MEDIA_VIDEO, 5000), 5000);
    assert_int_equal(map_ms(&t, MEDIA_AUDIO, 4990), 4990);
    assert_int_equal(map_ms(&t, MEDIA_VIDEO, 5040), 5040);
    assert_int_equal(t.n_rebased, 0);
    assert_int_equal(t.n_clamped, 0);
}

static void test_map_goes_on_after_the_end_when_the_source_is_new(void **state)
{
    struct timeline t;

    (void)state;
    timeline_init(&t);
    (void)map_ms(&t, MEDIA_VIDEO, 1000);
    (void)map_ms(&t, MEDIA_AUDIO, 1030);
    timeline_new_source(&t);
    assert_int_equal(map_ms(&t, MEDIA_AUDIO, 0), 1030 + TIMELINE_GAP_US / MS);
    assert_int_equal(map_ms(&t, MEDIA_VIDEO, 10), 1040 + TIMELINE_GAP_US / MS);
    assert_int_equal(t.n_rebased, 1);
}

static void test_anchor_puts_a_source_with_another_clock_where_the_last_one_was(void **state)
{
    struct timeline t;

    (void)state;
    timeline_init(&t);
    (void)map_ms(&t, MEDIA_VIDEO, 1000);
    (void)map_ms(&t, MEDIA_AUDIO, 1030);
    timeline_new_source(&t);
    timeline_anchor(&t, 500 * MS, 1000 * MS); /* the picture that was at 1000 is at 500 here */
    assert_int_equal(map_ms(&t, MEDIA_VIDEO, 540), 1040);
    assert_int_equal(map_ms(&t, MEDIA_AUDIO, 553), 1053);
    assert_int_equal(t.n_rebased, 0);
    assert_int_equal(t.n_clamped, 0);
}

static void test_new_source_goes_on_after_the_end_when_it_was_anchored_before(void **state)
{
    struct timeline t;

    (void)state;
    timeline_init(&t);
    timeline_anchor(&t, 0, 9000 * MS);
    assert_int_equal(map_ms(&t, MEDIA_VIDEO, 0), 9000);
    timeline_new_source(&t);
    assert_int_equal(map_ms(&t, MEDIA_VIDEO, 0), 9000 + TIMELINE_GAP_US / MS);
}

static void test_map_clamps_a_small_step_back(void **state)
{
    struct timeline t;

    (void)state;
    timeline_init(&t);
    (void)map_ms(&t, MEDIA_AUDIO, 5000);
    assert_int_equal(map_ms(&t, MEDIA_AUDIO, 4500), 5000);
    assert_int_equal(t.n_clamped, 1);
    assert_int_equal(map_ms(&t, MEDIA_AUDIO, 5010), 5010); /* the constant is the same */
}

static void test_map_takes_a_large_step_back_as_a_new_clock(void **state)
{
    struct timeline t;

    (void)state;
    timeline_init(&t);
    (void)map_ms(&t, MEDIA_VIDEO, 100000);
    assert_int_equal(map_ms(&t, MEDIA_VIDEO, 0), 100000 + TIMELINE_GAP_US / MS);
    assert_int_equal(map_ms(&t, MEDIA_VIDEO, 40), 100040 + TIMELINE_GAP_US / MS);
    assert_int_equal(t.n_rebased, 1);
}

static void test_map_takes_an_absurd_leap_forward_as_a_new_clock(void **state)
{
    struct timeline t;

    (void)state;
    timeline_init(&t);
    (void)map_ms(&t, MEDIA_VIDEO, 1000);
    assert_int_equal(map_ms(&t, MEDIA_VIDEO, 31000), 31000); /* 30 s: a pause */
    assert_int_equal(map_ms(&t, MEDIA_VIDEO, 62000), 31000 + TIMELINE_GAP_US / MS);
}

static void test_map_of_configuration_never_moves_the_clock(void **state)
{
    struct timeline t;

    (void)state;
    timeline_init(&t);
    assert_int_equal(map_config_ms(&t, MEDIA_VIDEO, 900000), 0); /* before anything */
    assert_int_equal(map_ms(&t, MEDIA_VIDEO, 5000), 5000);
    timeline_new_source(&t);
    assert_int_equal(map_config_ms(&t, MEDIA_AUDIO, 0), 5000);
    assert_int_equal(map_ms(&t, MEDIA_VIDEO, 0), 5000 + TIMELINE_GAP_US / MS);
}

/* An encoder that repeats its header with time 0 while audio is ahead of video. */
static void test_map_of_configuration_puts_no_later_frame_of_its_kind_back(void **state)
{
    struct timeline t;
    int64_t config_ms;

    (void)state;
    timeline_init(&t);
    (void)map_ms(&t, MEDIA_VIDEO, 960);
    (void)map_ms(&t, MEDIA_AUDIO, 1040);
    config_ms = map_config_ms(&t, MEDIA_VIDEO, 0);
    assert_true(config_ms >= 960);
    assert_true(config_ms <= map_ms(&t, MEDIA_VIDEO, 1000));
    config_ms = map_config_ms(&t, MEDIA_VIDEO, 500000);
    assert_true(config_ms >= 1000);
    assert_true(config_ms <= map_ms(&t, MEDIA_VIDEO, 1001));
}

static void test_map_puts_config_of_a_kind_that_has_not_begun_at_the_end(void **state)
{
    struct timeline t;

    (void)state;
    timeline_init(&t);
    (void)map_ms(&t, MEDIA_VIDEO, 1000);
    assert_int_equal(map_config_ms(&t, MEDIA_AUDIO, 500000), 1000);
    assert_int_equal(map_config_ms(&t, MEDIA_AUDIO, -1), 1000);
}

static void test_map_of_data_never_goes_back(void **state)
{
    static const int64_t k_src_ms[] = {0, 999999, 1010, 0, 1020, 990};
    struct timeline t;
    int64_t last_ms = 0;

    (void)state;
    timeline_init(&t);
    (void)map_ms(&t, MEDIA_VIDEO, 1000);
    (void)map_ms(&t, MEDIA_AUDIO, 1040);
    for (size_t i = 0; i < sizeof k_src_ms / sizeof k_src_ms[0]; i++) {
        int64_t ms = map_ms(&t, MEDIA_DATA, k_src_ms[i]);

        assert_true(ms >= last_ms);
        assert_true(ms <= 1040);
        last_ms = ms;
    }
}

/* Whatever a source sends: per kind, time grows. */
static void test_map_never_goes_back_for_any_input(void **state)
{
    struct timeline t;
    int64_t last_us[MEDIA_N_KINDS] = {0};
    uint32_t seed = 12345;

    (void)state;
    timeline_init(&t);
    for (unsigned i = 0; i < 100000; i++) {
        enum media_kind kind;
        int64_t us;

        seed = seed * 1664525u + 1013904223u;
        kind = (enum media_kind)((seed >> 8) % MEDIA_N_KINDS);
        if ((seed >> 24) == 7)
            timeline_new_source(&t);
        us = timeline_map(&t, kind, false, (int64_t)(seed >> ((seed >> 3) % 20)) * MS);
        assert_true(us >= last_us[kind]);
        last_us[kind] = us;
    }
}

static void test_unwrap_goes_on_over_the_32_bit_wrap(void **state)
{
    struct ts_unwrap u = {0};

    (void)state;
    assert_int_equal(ts_unwrap_us(&u, 0xfffffff0u), INT64_C(0xfffffff0) * MS);
    assert_int_equal(ts_unwrap_us(&u, 0x10u), INT64_C(0x100000010) * MS);
    assert_int_equal(ts_unwrap_us(&u, 0xfffffff8u), INT64_C(0xfffffff8) * MS); /* a step back */
}

/* Steps of 24 days a frame: microseconds do not overflow. */
static void test_unwrap_stays_in_range_whatever_comes(void **state)
{
    struct ts_unwrap u = {0};
    uint32_t ms = 0;

    (void)state;
    for (unsigned i = 0; i < 2000000; i++) {
        int64_t us = ts_unwrap_us(&u, ms);

        assert_true(us < INT64_MAX / 4 && us > INT64_MIN / 4);
        ms += 0x7fffffffu;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map_keeps_the_times_of_the_first_source),
        cmocka_unit_test(test_map_goes_on_after_the_end_when_the_source_is_new),
        cmocka_unit_test(test_anchor_puts_a_source_with_another_clock_where_the_last_one_was),
        cmocka_unit_test(test_new_source_goes_on_after_the_end_when_it_was_anchored_before),
        cmocka_unit_test(test_map_clamps_a_small_step_back),
        cmocka_unit_test(test_map_takes_a_large_step_back_as_a_new_clock),
        cmocka_unit_test(test_map_takes_an_absurd_leap_forward_as_a_new_clock),
        cmocka_unit_test(test_map_of_configuration_never_moves_the_clock),
        cmocka_unit_test(test_map_of_configuration_puts_no_later_frame_of_its_kind_back),
        cmocka_unit_test(test_map_puts_config_of_a_kind_that_has_not_begun_at_the_end),
        cmocka_unit_test(test_map_of_data_never_goes_back),
        cmocka_unit_test(test_map_never_goes_back_for_any_input),
        cmocka_unit_test(test_unwrap_goes_on_over_the_32_bit_wrap),
        cmocka_unit_test(test_unwrap_stays_in_range_whatever_comes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
