/* What a target gets, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/tools/relay_gate.h"

static struct media_tag tag_of(enum media_kind kind, unsigned flags, int64_t dts_us)
{
    static const uint8_t k_body[] = {1, 2, 3};

    return (struct media_tag){.type_id = kind == MEDIA_VIDEO ? 9 : 8,
                              .dts_us = dts_us,
                              .body = {k_body, sizeof k_body},
                              .info = {.kind = kind, .flags = (uint16_t)flags}};
}

static enum relay_verdict judge(struct relay_gate *gate, const struct relay_heads *heads,
                                enum media_kind kind, unsigned flags, bool is_behind)
{
    struct media_tag tag = tag_of(kind, flags, 0);

    return relay_gate_judge(gate, heads, &tag, is_behind);
}

static void test_gate_opens_at_a_key_frame_when_there_is_video(void **state)
{
    struct relay_heads heads = {.has_video = true};
    struct relay_gate gate = {0};

    (void)state;
    assert_int_equal(judge(&gate, &heads, MEDIA_VIDEO, FRAME_CONFIG, false), RELAY_DROP);
    assert_int_equal(judge(&gate, &heads, MEDIA_AUDIO, 0, false), RELAY_DROP);
    assert_int_equal(judge(&gate, &heads, MEDIA_VIDEO, 0, false), RELAY_DROP);
    assert_int_equal(judge(&gate, &heads, MEDIA_VIDEO, FRAME_KEY, false), RELAY_BEGIN);
    assert_int_equal(judge(&gate, &heads, MEDIA_VIDEO, 0, false), RELAY_PASS);
    assert_int_equal(judge(&gate, &heads, MEDIA_VIDEO, FRAME_CONFIG, false), RELAY_PASS);
    assert_int_equal(gate.n_dropped, 0); /* nothing was missed yet */
}

static void test_gate_opens_at_any_sound_when_there_is_no_video(void **state)
{
    struct relay_heads heads = {.has_video = false};
    struct relay_gate gate = {0};

    (void)state;
    assert_int_equal(judge(&gate, &heads, MEDIA_DATA, FRAME_METADATA, false), RELAY_DROP);
    assert_int_equal(judge(&gate, &heads, MEDIA_AUDIO, 0, false), RELAY_BEGIN);
}

static void test_gate_shuts_until_a_key_frame_when_the_target_is_behind(void **state)
{
    struct relay_heads heads = {.has_video = true};
    struct relay_gate gate = {0};

    (void)state;
    assert_int_equal(judge(&gate, &heads, MEDIA_VIDEO, FRAME_KEY, false), RELAY_BEGIN);
    assert_int_equal(judge(&gate, &heads, MEDIA_VIDEO, 0, true), RELAY_DROP);
    assert_int_equal(judge(&gate, &heads, MEDIA_VIDEO, 0, false), RELAY_DROP);
    assert_int_equal(judge(&gate, &heads, MEDIA_VIDEO, FRAME_CONFIG, false), RELAY_DROP);
    assert_int_equal(gate.n_dropped, 2);
    assert_int_equal(judge(&gate, &heads, MEDIA_VIDEO, FRAME_KEY, false), RELAY_BEGIN);
}

static void test_heads_keep_the_newest_of_each_track(void **state)
{
    struct relay_heads heads = {0};
    struct media_tag tag = tag_of(MEDIA_VIDEO, FRAME_CONFIG, 0);

    (void)state;
    assert_int_equal(relay_heads_note(&heads, &tag), E_OK);
    tag.body.size_bytes = 2;
    assert_int_equal(relay_heads_note(&heads, &tag), E_OK);
    assert_int_equal(heads.n, 1);
    assert_int_equal(heads.each[0].body.used_bytes, 2);
    tag.info.track_id = 1;
    assert_int_equal(relay_heads_note(&heads, &tag), E_OK);
    tag = tag_of(MEDIA_AUDIO, 0, 0); /* a frame is none */
    assert_int_equal(relay_heads_note(&heads, &tag), E_OK);
    assert_int_equal(heads.n, 2);
    assert_true(heads.has_video);
    for (unsigned i = 0; i < 100; i++) { /* too many tracks: left out */
        tag = tag_of(MEDIA_VIDEO, FRAME_CONFIG, 0);
        tag.info.track_id = (uint8_t)i;
        assert_int_equal(relay_heads_note(&heads, &tag), E_OK);
    }
    assert_int_equal(heads.n, RELAY_MAX_HEADS);
    relay_heads_fini(&heads);
}

static int64_t told(struct relay_clock *clock, int64_t dts_us, int64_t wall_us)
{
    struct media_tag tag = tag_of(MEDIA_VIDEO, 0, dts_us);

    return relay_clock_time(clock, &tag, wall_us);
}

static void test_clock_goes_on_when_the_source_begins_again(void **state)
{
    struct relay_clock clock = {0};
    struct media_tag head = tag_of(MEDIA_VIDEO, FRAME_CONFIG, 77);

    (void)state;
    relay_clock_begin(&clock);
    assert_int_equal(relay_clock_time(&clock, &head, 0), 0);
    assert_int_equal(told(&clock, 5000000, 100), 0);
    assert_int_equal(told(&clock, 5040000, 40100), 40000);
    assert_int_equal(told(&clock, 5020000, 40200), 20000); /* of another track */
    relay_clock_begin(&clock);
    assert_int_equal(relay_clock_time(&clock, &head, 1000000), 40000);
    assert_int_equal(told(&clock, 0, 3040100), 40000 + 3000000); /* 3 s without any */
    assert_int_equal(told(&clock, 40000, 3080100), 80000 + 3000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gate_opens_at_a_key_frame_when_there_is_video),
        cmocka_unit_test(test_gate_opens_at_any_sound_when_there_is_no_video),
        cmocka_unit_test(test_gate_shuts_until_a_key_frame_when_the_target_is_behind),
        cmocka_unit_test(test_heads_keep_the_newest_of_each_track),
        cmocka_unit_test(test_clock_goes_on_when_the_source_begins_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
