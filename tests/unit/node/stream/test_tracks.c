/* Track sets: the latest configuration of each track, in the order in which they first came. */
#include "tests/unit/node/stream/stream_test.h"

static const struct media_frame *config_of(enum media_kind kind, uint8_t track_id, uint16_t flags,
                                           const char *text)
{
    struct media_frame_info info = {
        .kind = kind, .track_id = track_id, .flags = (uint16_t)(FRAME_CONFIG | flags)};
    const struct media_frame *frame = media_frame_create(&info, buf_view_str(text));

    assert_non_null(frame);
    return frame;
}

static bool apply(struct track_set *set, enum media_kind kind, uint8_t track_id, uint16_t flags,
                  const char *text)
{
    const struct media_frame *frame = config_of(kind, track_id, flags, text);
    bool changed = track_set_apply(set, frame);

    media_frame_unref(&frame);
    return changed;
}

static void test_apply_ignores_frames_that_carry_pictures_and_sound(void **state)
{
    const struct media_frame *key = make_frame(BODY_AVC_KEY, 1, 0, 40);
    struct track_set set;

    (void)state;
    track_set_init(&set);
    assert_false(track_set_apply(&set, key));
    assert_int_equal(set.version, 0);
    assert_int_equal(set.n_configs, 0);
    media_frame_unref(&key);
    track_set_fini(&set);
}

static void test_apply_replaces_the_same_track_and_raises_the_version(void **state)
{
    struct track_set set;

    (void)state;
    track_set_init(&set);
    assert_true(apply(&set, MEDIA_VIDEO, 0, 0, "one"));
    assert_true(apply(&set, MEDIA_AUDIO, 0, 0, "sound"));
    assert_int_equal(set.version, 2);
    assert_true(apply(&set, MEDIA_VIDEO, 0, 0, "two"));
    assert_int_equal(set.version, 3);
    assert_int_equal(set.n_configs, 2);
    assert_memory_equal(set.configs[0]->body, "two", 3); /* video keeps its place */
    track_set_fini(&set);
}

static void test_apply_gives_no_change_for_a_repeated_header(void **state)
{
    struct track_set set;

    (void)state;
    track_set_init(&set);
    assert_true(apply(&set, MEDIA_VIDEO, 0, 0, "same"));
    assert_false(apply(&set, MEDIA_VIDEO, 0, 0, "same"));
    assert_int_equal(set.version, 1);
    track_set_fini(&set);
}

static bool holds(const struct track_set *set, enum media_kind kind, uint8_t track_id,
                  uint16_t flags, const char *text)
{
    struct media_frame_info info = {.kind = kind, .track_id = track_id, .flags = flags};

    return track_set_holds(set, &info, buf_view_str(text));
}

static void test_holds_gives_true_for_what_would_change_nothing(void **state)
{
    struct track_set set;

    (void)state;
    track_set_init(&set);
    assert_false(holds(&set, MEDIA_VIDEO, 0, FRAME_CONFIG, "one"));
    assert_false(holds(&set, MEDIA_DATA, 0, FRAME_METADATA, "one"));
    assert_true(apply(&set, MEDIA_VIDEO, 0, 0, "one"));
    assert_true(apply(&set, MEDIA_DATA, 0, FRAME_METADATA, "title"));
    assert_true(holds(&set, MEDIA_VIDEO, 0, FRAME_CONFIG, "one"));
    assert_false(holds(&set, MEDIA_VIDEO, 0, FRAME_CONFIG, "two"));
    assert_false(holds(&set, MEDIA_VIDEO, 1, FRAME_CONFIG, "one"));
    assert_false(holds(&set, MEDIA_AUDIO, 0, FRAME_CONFIG, "one"));
    assert_false(holds(&set, MEDIA_VIDEO, 0, FRAME_CONFIG | FRAME_MULTITRACK, "one"));
    assert_true(holds(&set, MEDIA_DATA, 0, FRAME_METADATA, "title"));
    track_set_fini(&set);
}

static void test_apply_keeps_tracks_and_message_forms_apart(void **state)
{
    struct track_set set;

    (void)state;
    track_set_init(&set);
    assert_true(apply(&set, MEDIA_VIDEO, 0, 0, "a"));
    assert_true(apply(&set, MEDIA_VIDEO, 1, 0, "a"));
    assert_true(apply(&set, MEDIA_VIDEO, 1, FRAME_MULTITRACK, "a"));
    assert_true(apply(&set, MEDIA_AUDIO, 1, 0, "a"));
    assert_int_equal(set.n_configs, 4);
    track_set_fini(&set);
}

static void test_apply_keeps_metadata_beside_configs(void **state)
{
    struct media_frame_info info = {.kind = MEDIA_DATA, .flags = FRAME_METADATA};
    const struct media_frame *one = media_frame_create(&info, buf_view_str("1"));
    const struct media_frame *two = media_frame_create(&info, buf_view_str("2"));
    struct track_set set;

    (void)state;
    track_set_init(&set);
    assert_true(track_set_apply(&set, one));
    assert_true(track_set_apply(&set, two));
    assert_false(track_set_apply(&set, two));
    assert_ptr_equal(set.metadata, two);
    assert_int_equal(set.n_configs, 0);
    track_set_fini(&set);
    media_frame_unref(&one);
    media_frame_unref(&two);
}

static void test_apply_ignores_tracks_above_the_limit(void **state)
{
    struct track_set set;

    (void)state;
    track_set_init(&set);
    for (unsigned i = 0; i < TRACK_SET_MAX; i++)
        assert_true(apply(&set, MEDIA_AUDIO, (uint8_t)i, 0, "a"));
    assert_false(apply(&set, MEDIA_AUDIO, TRACK_SET_MAX, 0, "a"));
    assert_int_equal(set.n_configs, TRACK_SET_MAX);
    assert_int_equal(set.version, TRACK_SET_MAX);
    track_set_fini(&set);
}

/* Each entry point carries a copy: what a publisher may put there has an end. */
static void test_apply_ignores_what_does_not_fit_into_the_byte_limit(void **state)
{
    const struct media_frame *big = make_frame(BODY_AVC_CONFIG, 1, 0, TRACK_SET_MAX_BYTES - 100);
    const struct media_frame *small = make_frame(BODY_AAC_CONFIG, 1, 0, 100);
    const struct media_frame *more = make_frame(BODY_AAC_CONFIG, 2, 0, 101);
    struct track_set set;

    (void)state;
    track_set_init(&set);
    assert_true(track_set_apply(&set, big));
    assert_true(track_set_apply(&set, small));
    assert_false(track_set_apply(&set, more)); /* in place of small: one byte too many */
    assert_ptr_equal(set.configs[1], small);
    track_set_fini(&set);
    media_frame_unref(&big);
    media_frame_unref(&small);
    media_frame_unref(&more);
}

static void test_clear_forgets_all_and_raises_the_version(void **state)
{
    struct track_set set;

    (void)state;
    track_set_init(&set);
    apply(&set, MEDIA_VIDEO, 0, 0, "a");
    track_set_clear(&set);
    assert_int_equal(set.n_configs, 0);
    assert_int_equal(set.version, 2);
    assert_true(apply(&set, MEDIA_VIDEO, 0, 0, "a"));
    assert_int_equal(set.version, 3);
    track_set_fini(&set);
}

static void test_copy_shares_frames_and_outlives_the_original(void **state)
{
    struct track_set set, copy;

    (void)state;
    track_set_init(&set);
    track_set_init(&copy);
    apply(&set, MEDIA_VIDEO, 0, 0, "kept");
    apply(&copy, MEDIA_AUDIO, 0, 0, "replaced");
    track_set_copy(&copy, &set);
    track_set_fini(&set);
    assert_int_equal(copy.n_configs, 1);
    assert_int_equal(copy.version, 1);
    assert_null(copy.metadata);
    assert_memory_equal(copy.configs[0]->body, "kept", 4);
    track_set_fini(&copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_apply_ignores_frames_that_carry_pictures_and_sound),
        cmocka_unit_test(test_apply_replaces_the_same_track_and_raises_the_version),
        cmocka_unit_test(test_apply_gives_no_change_for_a_repeated_header),
        cmocka_unit_test(test_holds_gives_true_for_what_would_change_nothing),
        cmocka_unit_test(test_apply_keeps_tracks_and_message_forms_apart),
        cmocka_unit_test(test_apply_keeps_metadata_beside_configs),
        cmocka_unit_test(test_apply_ignores_tracks_above_the_limit),
        cmocka_unit_test(test_apply_ignores_what_does_not_fit_into_the_byte_limit),
        cmocka_unit_test(test_clear_forgets_all_and_raises_the_version),
        cmocka_unit_test(test_copy_shares_frames_and_outlives_the_original),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
