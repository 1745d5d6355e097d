/* Flush policy: when written units become visible. Pages are looked at from the outside, time is
 * the loop's. */
#include "tests/unit/node/stream/stream_test.h"

struct flush_rig {
    struct stream_conf conf;
    struct registry *registry;
    struct media_loop ml;
    struct feed *feed;
    const struct media_frame *video, *audio;
};

static void setup(struct flush_rig *f, enum latency_policy latency, enum feed_format_id format)
{
    struct stream_hooks hooks = {0};
    struct gop_cache none = {0};

    memset(f, 0, sizeof *f);
    f->conf = small_conf();
    f->conf.latency = latency;
    f->registry = registry_create(&f->conf, &hooks);
    assert_int_equal(media_loop_init(&f->ml, loop_create("test", 0), f->registry), E_OK);
    f->feed = feed_create(&f->ml, &(struct feed_key){.format = format}, &f->conf);
    assert_non_null(f->feed);
    f->video = make_frame(BODY_AVC_INTER, 1, 0, 100);
    f->audio = make_frame(BODY_AAC, 2, 0, 100);
    feed_fill(f->feed, &none); /* the first publication: distances count from here */
}

static void teardown(struct flush_rig *f)
{
    feed_close(&f->feed);
    media_frame_unref(&f->video);
    media_frame_unref(&f->audio);
    media_loop_fini(&f->ml);
    loop_destroy(&f->ml.loop);
    registry_destroy(&f->registry);
}

static uint32_t visible_bytes(const struct flush_rig *f)
{
    struct feed_page *next;

    return page_published(f->feed->window, &next);
}

/* Moves what is due into the future, so that a busy machine does not make it due at once. */
#define SLACK_US 300000

/* Turns until what was written is visible. */
static void turn_until_visible(struct flush_rig *f)
{
    int64_t start_us = clock_mono_us();

    while (visible_bytes(f) != f->feed->window->written_bytes) {
        loop_turn(f->ml.loop, true);
        if (clock_mono_us() - start_us > DEADLINE_US)
            fail_msg("never published");
    }
}

static void test_realtime_publishes_at_the_end_of_the_turn(void **state)
{
    struct flush_rig f;

    (void)state;
    setup(&f, LATENCY_REALTIME, FORMAT_FLV);
    feed_append(f.feed, f.audio, false);
    assert_int_equal(visible_bytes(&f), 0); /* not before */
    loop_turn(f.ml.loop, false);
    assert_true(visible_bytes(&f) > 100);
    teardown(&f);
}

static void test_balanced_holds_audio_back_but_not_for_long(void **state)
{
    struct flush_rig f;
    int64_t start_us = clock_mono_us();

    (void)state;
    setup(&f, LATENCY_BALANCED, FORMAT_FLV);
    feed_append(f.feed, f.audio, false);
    f.feed->pending_us += SLACK_US;
    loop_turn(f.ml.loop, false);
    assert_int_equal(visible_bytes(&f), 0);
    turn_until_visible(&f);
    assert_true(clock_mono_us() - start_us > SLACK_US);
    teardown(&f);
}

/* Goes back to the time when the last flush was long ago. */
static void age_last_flush(struct flush_rig *f)
{
    f->feed->published_us = f->feed->video_us = loop_now_us(f->ml.loop) - 50000;
}

static void test_balanced_publishes_with_a_video_frame_and_audio_rides_along(void **state)
{
    struct flush_rig f;

    (void)state;
    setup(&f, LATENCY_BALANCED, FORMAT_FLV);
    age_last_flush(&f);
    feed_append(f.feed, f.audio, false);
    f.feed->pending_us += SLACK_US;
    loop_turn(f.ml.loop, false);
    assert_int_equal(visible_bytes(&f), 0);
    feed_append(f.feed, f.video, false);
    loop_turn(f.ml.loop, false);
    assert_int_equal(visible_bytes(&f), f.feed->window->written_bytes);
    teardown(&f);
}

static void test_balanced_keeps_a_distance_between_flushes(void **state)
{
    struct flush_rig f;
    uint32_t first;

    (void)state;
    setup(&f, LATENCY_BALANCED, FORMAT_FLV);
    age_last_flush(&f);
    feed_append(f.feed, f.video, false);
    loop_turn(f.ml.loop, false);
    first = visible_bytes(&f);
    assert_true(first > 0);
    feed_append(f.feed, f.video, false); /* at once again, as 60 frames a second nearly do */
    f.feed->pending_us += SLACK_US;
    f.feed->video_us += SLACK_US;
    loop_turn(f.ml.loop, false);
    assert_int_equal(visible_bytes(&f), first);
    turn_until_visible(&f);
    teardown(&f);
}

/* A flush of sound, a moment before, does not hold the picture back. */
static void test_balanced_counts_the_distance_from_the_last_picture(void **state)
{
    struct flush_rig f;

    (void)state;
    setup(&f, LATENCY_BALANCED, FORMAT_FLV);
    age_last_flush(&f);
    feed_append(f.feed, f.audio, false);
    f.feed->pending_us -= 40000;
    loop_turn(f.ml.loop, false);
    assert_int_equal(visible_bytes(&f), f.feed->window->written_bytes);
    feed_append(f.feed, f.video, false);
    loop_turn(f.ml.loop, false);
    assert_int_equal(visible_bytes(&f), f.feed->window->written_bytes);
    teardown(&f);
}

/* The grid stays: wake-ups that come late do not add up. */
static void test_efficient_keeps_its_distance_when_a_turn_comes_late(void **state)
{
    struct flush_rig f;
    int64_t last_us;

    (void)state;
    setup(&f, LATENCY_EFFICIENT, FORMAT_FLV);
    last_us = f.feed->published_us -= 400000;
    feed_append(f.feed, f.video, false);
    loop_turn(f.ml.loop, false);
    assert_int_equal(visible_bytes(&f), f.feed->window->written_bytes);
    assert_int_equal(f.feed->published_us, last_us + 350000);
    teardown(&f);
}

static void test_efficient_merges_for_350_ms(void **state)
{
    struct flush_rig f;
    int64_t start_us = clock_mono_us();

    (void)state;
    setup(&f, LATENCY_EFFICIENT, FORMAT_FLV);
    age_last_flush(&f);
    feed_append(f.feed, f.video, false);
    loop_turn(f.ml.loop, false);
    feed_append(f.feed, f.video, false);
    turn_until_visible(&f);
    assert_true(clock_mono_us() - start_us > 300000); /* 350 ms, less a slot */
    teardown(&f);
}

static void test_relay_ignores_the_policy(void **state)
{
    struct flush_rig f;

    (void)state;
    setup(&f, LATENCY_EFFICIENT, FORMAT_RELAY);
    feed_append(f.feed, f.audio, false);
    loop_turn(f.ml.loop, false);
    assert_int_equal(visible_bytes(&f), f.feed->window->written_bytes);
    teardown(&f);
}

/* The end of a stream does not wait for the policy, and is not seen before the bytes. */
static void test_flags_are_published_at_once_and_after_the_bytes(void **state)
{
    struct flush_rig f;

    (void)state;
    setup(&f, LATENCY_EFFICIENT, FORMAT_FLV);
    feed_append(f.feed, f.video, false);
    feed_set_flags(f.feed, FEED_ENDED);
    assert_int_equal(atomic_load(&f.feed->flags), 0);
    assert_int_equal(visible_bytes(&f), 0);
    loop_turn(f.ml.loop, false);
    assert_int_equal(atomic_load(&f.feed->flags), FEED_ENDED);
    assert_int_equal(visible_bytes(&f), f.feed->window->written_bytes);
    teardown(&f);
}

static void test_append_gives_nothing_after_the_end(void **state)
{
    struct flush_rig f;

    (void)state;
    setup(&f, LATENCY_REALTIME, FORMAT_FLV);
    feed_set_flags(f.feed, FEED_ENDED);
    feed_append(f.feed, f.video, false); /* in the same turn: the flag is not published yet */
    loop_turn(f.ml.loop, false);
    assert_int_equal(visible_bytes(&f), 0);
    teardown(&f);
}

static void test_forget_leaves_no_timer_work_behind(void **state)
{
    struct flush_rig f;

    (void)state;
    setup(&f, LATENCY_EFFICIENT, FORMAT_FLV);
    feed_append(f.feed, f.video, false);
    loop_turn(f.ml.loop, false);
    assert_true(timer_is_armed(&f.feed->flush_timer));
    feed_close(&f.feed); /* a use after free in a later turn would show */
    loop_turn(f.ml.loop, true);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_realtime_publishes_at_the_end_of_the_turn),
        cmocka_unit_test(test_balanced_holds_audio_back_but_not_for_long),
        cmocka_unit_test(test_balanced_publishes_with_a_video_frame_and_audio_rides_along),
        cmocka_unit_test(test_balanced_keeps_a_distance_between_flushes),
        cmocka_unit_test(test_balanced_counts_the_distance_from_the_last_picture),
        cmocka_unit_test(test_efficient_keeps_its_distance_when_a_turn_comes_late),
        cmocka_unit_test(test_efficient_merges_for_350_ms),
        cmocka_unit_test(test_relay_ignores_the_policy),
        cmocka_unit_test(test_flags_are_published_at_once_and_after_the_bytes),
        cmocka_unit_test(test_append_gives_nothing_after_the_end),
        cmocka_unit_test(test_forget_leaves_no_timer_work_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
