/* How late a stream is: node/stream/lag, and what a stream makes of it. */
#include "tests/unit/node/stream/stream_test.h"

#define UPSTREAM "o1,7,0,0"

static struct stream_upstream said(int64_t ingest_us, int64_t clock_us, int64_t unc_us)
{
    return (struct stream_upstream){.epoch = 7,
                                    .run = 5,
                                    .gop = 1,
                                    .ingest_us = ingest_us,
                                    .is_timed = true,
                                    .clock = {true, clock_us, unc_us},
                                    .trail = buf_view_str(UPSTREAM)};
}

/* Asserts what is known of the lag; unc_us -1 = nothing. */
static void assert_lag(const struct stream_lag *lag, int64_t lag_us, int64_t unc_us)
{
    int64_t got_lag_us = 0, got_unc_us = -1;

    assert_true(stream_lag_get(lag, &got_lag_us, &got_unc_us) == (unc_us >= 0));
    assert_int_equal(got_lag_us, lag_us);
    assert_int_equal(got_unc_us, unc_us);
}

static void assert_says(const struct stream_lag *lag, int64_t clock_us, int64_t unc_us,
                        const char *expected)
{
    struct flv_hw hw = {.epoch = 9};
    char trail[FLV_TRAIL_SIZE];

    stream_lag_say(lag, &hw, trail);
    assert_true(hw.has_clock);
    assert_int_equal(hw.clock_us, clock_us);
    assert_int_equal(hw.unc_us, unc_us);
    assert_true(buf_view_equals(hw.trail, expected));
}

static void test_get_gives_no_lag_at_the_node_that_takes_the_stream_in(void **state)
{
    struct stream_lag lag = {.node_id = "o1", .trail = "x"};

    (void)state;
    stream_lag_begin(&lag, true);
    assert_lag(&lag, 0, 0);
    assert_says(&lag, 0, 0, "o1,9,0,0");
}

static void test_get_gives_nothing_before_a_frame_was_measured(void **state)
{
    struct stream_upstream up = said(1000, 50, 3);
    struct stream_lag lag = {.node_id = "e1"};

    (void)state;
    stream_lag_begin(&lag, false);
    assert_lag(&lag, 0, -1);
    assert_says(&lag, 0, -1, "e1,9,0,-1");
    stream_lag_hear(&lag, &up);
    assert_lag(&lag, 0, -1);
    assert_says(&lag, 50, 3, UPSTREAM ";e1,9,0,-1");
}

/* Our clock is an hour ahead; the frame was 2.5 ms on its way. */
static void test_measure_gives_the_way_without_the_difference_of_clocks(void **state)
{
    const int64_t hour_us = INT64_C(3600000000);
    struct stream_upstream up = said(70000000, hour_us, 300);
    struct stream_lag lag = {.node_id = "e1"};

    (void)state;
    stream_lag_begin(&lag, false);
    stream_lag_hear(&lag, &up);
    stream_lag_measure(&lag, 70000000 + hour_us + 2500, 70000000);
    assert_lag(&lag, 2500, 300);
    assert_says(&lag, hour_us, 300, UPSTREAM ";e1,9,2500,300");
    stream_lag_measure(&lag, 70000000 + hour_us - 100, 70000000); /* within the uncertainty */
    assert_lag(&lag, -100, 300);
}

static void test_hear_forgets_the_lag_when_the_clock_is_not_known_any_more(void **state)
{
    struct stream_upstream up = said(1000, 0, 3);
    struct stream_lag lag = {.node_id = NULL};

    (void)state;
    stream_lag_begin(&lag, false);
    stream_lag_hear(&lag, &up);
    stream_lag_measure(&lag, 1500, 1000);
    assert_lag(&lag, 500, 3);
    up.clock.is_known = false;
    stream_lag_hear(&lag, &up);
    assert_lag(&lag, 0, -1);
    stream_lag_measure(&lag, 1500, 1000);
    assert_lag(&lag, 0, -1);
}

static void test_measure_gives_nothing_for_times_that_no_clock_has(void **state)
{
    static const int64_t k_ingests_us[] = {INT64_MIN, INT64_MAX, -FLV_HW_MAX_US, FLV_HW_MAX_US * 3};
    struct stream_lag lag = {.node_id = NULL};
    struct stream_upstream up;

    (void)state;
    for (size_t i = 0; i < sizeof k_ingests_us / sizeof k_ingests_us[0]; i++) {
        up = said(k_ingests_us[i], -FLV_HW_MAX_US, 3);
        stream_lag_begin(&lag, false);
        stream_lag_hear(&lag, &up);
        stream_lag_measure(&lag, 1500, up.ingest_us);
        assert_false(lag.is_measured);
    }
    up = said(1000, FLV_HW_MAX_US + 1, 3);
    stream_lag_hear(&lag, &up);
    assert_false(lag.has_clock);
}

static void test_hear_drops_a_broken_trail(void **state)
{
    struct stream_upstream up = said(1000, 0, 3);
    struct stream_lag lag = {.node_id = "e1"};

    (void)state;
    stream_lag_begin(&lag, false);
    stream_lag_hear(&lag, &up);
    assert_string_equal(lag.trail, UPSTREAM);
    up.trail = buf_view_str("o1,7,0,0\r\nx");
    stream_lag_hear(&lag, &up);
    assert_string_equal(lag.trail, "");
    up.trail = buf_view_of(NULL, 0);
    stream_lag_hear(&lag, &up);
    assert_says(&lag, 0, 3, "e1,9,0,-1");
}

static void test_say_leaves_itself_out_when_the_trail_is_full(void **state)
{
    static const char k_full[] = "a,1,0,0;b,1,0,0;c,1,0,0;d,1,0,0";
    struct stream_lag lag = {.node_id = "e1", .has_clock = true};

    (void)state;
    strcpy(lag.trail, k_full);
    assert_says(&lag, 0, 0, k_full);
}

/* --- a stream ----------------------------------------------------------------------------------
 */

static int64_t g_at_most_us;

static void attach_relay(struct rig *r, uint64_t run)
{
    struct source_offer offer = {.epoch = 7, .run = run};

    if (!r->stream) {
        r->stream = registry_get(r->registry, &r->name);
        assert_non_null(r->stream);
        rig_settle(r);
    }
    r->source = (struct source){.kind = SOURCE_PULL,
                                .protocol = "relay",
                                .session_id = "t-1",
                                .upstream = "o1",
                                .on_evict = rig_on_evict};
    assert_int_equal(stream_attach(r->stream, &r->source, &offer), E_OK);
}

static struct stream_info info_of(const struct rig *r)
{
    struct stream_info info;

    stream_get_info(r->stream, &info);
    return info;
}

/* A frame that left its node way_us ago, behind its @hw. */
static void push_timed(struct rig *r, enum body_kind kind, int64_t dts_ms, int64_t way_us)
{
    struct stream_upstream up = said(clock_mono_us() - way_us, 0, 30);

    stream_set_upstream(&r->source, &up);
    push(r, kind, dts_ms);
    g_at_most_us = clock_mono_us() - up.ingest_us;
}

/* The frame pushed last was way_us late, and as much more as it took to push it. */
static void assert_late(const struct rig *r, int64_t way_us)
{
    struct stream_info info = info_of(r);

    assert_int_equal(info.lag_unc_us, 30);
    assert_in_range(info.lag_us, way_us, g_at_most_us);
}

static void test_stream_is_as_late_as_the_frame_behind_the_hw_tag(void **state)
{
    struct stream_conf conf = small_conf();
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    attach_relay(&r, 5);
    assert_int_equal(info_of(&r).lag_unc_us, -1);
    push_timed(&r, BODY_AVC_KEY, 0, 7000);
    push(&r, BODY_AVC_INTER, 40);
    assert_late(&r, 7000);
    assert_string_equal(stream_trail(r.stream), UPSTREAM);
    stream_detach(&r.source);
    assert_int_equal(info_of(&r).lag_unc_us, -1);
    assert_string_equal(stream_trail(r.stream), "");
    rig_fini(&r);
}

static void test_stream_keeps_its_lag_when_a_tag_tells_no_time(void **state)
{
    struct stream_conf conf = small_conf();
    struct stream_upstream idle;
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    attach_relay(&r, 5);
    push_timed(&r, BODY_AVC_KEY, 0, 7000);
    idle = (struct stream_upstream){
        .epoch = 7, .run = 5, .gop = 1, .ingest_us = clock_mono_us() - 400000};
    stream_set_upstream(&r.source, &idle);
    push(&r, BODY_AVC_INTER, 40);
    assert_late(&r, 7000);
    assert_string_equal(stream_trail(r.stream), UPSTREAM);
    rig_fini(&r);
}

/* What a new upstream repeats is old: it says nothing of how late the stream is. */
static void test_stream_is_not_measured_by_frames_that_it_has(void **state)
{
    struct stream_conf conf = small_conf();
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    attach_relay(&r, 5);
    push_timed(&r, BODY_AVC_KEY, 0, 1000);
    attach_relay(&r, 5);
    push_timed(&r, BODY_AVC_KEY, 0, 900000);
    assert_int_equal(info_of(&r).lag_unc_us, -1);
    push_timed(&r, BODY_AVC_INTER, 40, 2000);
    assert_late(&r, 2000);
    rig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get_gives_no_lag_at_the_node_that_takes_the_stream_in),
        cmocka_unit_test(test_get_gives_nothing_before_a_frame_was_measured),
        cmocka_unit_test(test_measure_gives_the_way_without_the_difference_of_clocks),
        cmocka_unit_test(test_hear_forgets_the_lag_when_the_clock_is_not_known_any_more),
        cmocka_unit_test(test_measure_gives_nothing_for_times_that_no_clock_has),
        cmocka_unit_test(test_hear_drops_a_broken_trail),
        cmocka_unit_test(test_say_leaves_itself_out_when_the_trail_is_full),
        cmocka_unit_test(test_stream_is_as_late_as_the_frame_behind_the_hw_tag),
        cmocka_unit_test(test_stream_keeps_its_lag_when_a_tag_tells_no_time),
        cmocka_unit_test(test_stream_is_not_measured_by_frames_that_it_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
