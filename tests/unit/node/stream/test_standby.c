/* Publishers held ready: whose turn it is, and when. */
#include "tests/unit/node/stream/stream_test.h"

struct spare {
    struct standby standby;
    struct source source;
    struct stream *stream; /* borrowed */
    unsigned n_turns;
    uint64_t epoch;
    bool attaches; /* when it has its turn */
    bool had_ended;
};

static void on_turn(struct standby *standby, uint64_t epoch)
{
    struct spare *spare = list_entry(standby, struct spare, standby);
    struct source_offer offer = {.epoch = epoch, .run = 5, .numbers_gops = true};

    spare->n_turns++;
    spare->epoch = epoch;
    spare->had_ended = stream_has_ended(spare->stream);
    if (spare->attaches)
        assert_int_equal(stream_attach(spare->stream, &spare->source, &offer), E_OK);
}

static void spare_init(struct spare *spare, struct rig *r, bool attaches)
{
    *spare = (struct spare){.standby = {.on_turn = on_turn},
                            .source = {.kind = SOURCE_PUBLISHER,
                                       .protocol = "test",
                                       .session_id = "t-2",
                                       .upstream = ""},
                            .stream = r->stream,
                            .attaches = attaches};
    list_init(&spare->standby.node);
    assert_int_equal(stream_add_standby(r->stream, &spare->standby), E_OK);
}

static void rig_open_published(struct rig *r)
{
    struct stream_conf conf = small_conf();

    rig_init(r, 1, &conf);
    rig_publish(r);
}

static uint32_t n_standbys(const struct stream *stream)
{
    struct stream_info info;

    stream_get_info(stream, &info);
    return info.n_standbys;
}

static void test_detach_gives_the_first_standby_its_turn(void **state)
{
    struct spare first, second;
    struct rig r;

    (void)state;
    rig_open_published(&r);
    spare_init(&first, &r, true);
    spare_init(&second, &r, true);
    assert_int_equal(n_standbys(r.stream), 2);
    stream_detach(&r.source);
    assert_int_equal(first.n_turns, 1);
    assert_int_equal(first.epoch, 0);
    assert_int_equal(second.n_turns, 0);
    assert_ptr_equal(r.stream->source, &first.source);
    assert_int_equal(n_standbys(r.stream), 1);
    stream_detach(&first.source);
    assert_ptr_equal(r.stream->source, &second.source);
    stream_detach(&second.source);
    rig_fini(&r);
}

static void test_silence_gives_the_standby_its_turn_and_viewers_stay(void **state)
{
    struct stream_conf conf = small_conf();
    struct spare spare;
    struct player p;
    struct rig r;

    (void)state;
    conf.publish_stall_ms = 150;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    push_configs(&r, 0);
    player_join(&p, &r, 0, 0);
    push_gop(&r, 0, 5, 100);
    player_drain(&p, &r);
    spare_init(&spare, &r, true);
    RIG_UNTIL(&r, r.evicted);
    assert_int_equal(r.evicted_why, E_TIMEOUT);
    assert_ptr_equal(r.stream->source, &spare.source);
    r.source = spare.source; /* the rig pushes by this one */
    r.stream->source = &r.source;
    push_configs(&r, 0);
    push_gop(&r, 0, 5, 100);
    player_drain(&p, &r);
    assert_false(p.ended);
    assert_int_equal(count_type(&p, FLV_TAG_VIDEO, false), 10);
    assert_time_grows(&p);
    player_close(&p);
    rig_fini(&r);
}

static void test_promote_gives_the_turn_with_the_epoch(void **state)
{
    struct stream_conf conf = small_conf();
    struct spare spare;
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    r.stream = registry_get(r.registry, &r.name);
    rig_settle(&r);
    assert_false(stream_promote(r.stream, 9));
    spare_init(&spare, &r, true);
    assert_true(stream_promote(r.stream, 9));
    assert_int_equal(spare.epoch, 9);
    assert_int_equal(stream_epoch(r.stream), 9);
    stream_detach(&spare.source);
    rig_fini(&r);
}

static void test_removed_standby_gets_no_turn(void **state)
{
    struct spare spare;
    struct rig r;

    (void)state;
    rig_open_published(&r);
    spare_init(&spare, &r, true);
    stream_remove_standby(&spare.standby);
    stream_remove_standby(&spare.standby); /* fine in no list */
    stream_detach(&r.source);
    assert_int_equal(spare.n_turns, 0);
    rig_fini(&r);
}

static void test_fence_and_takeover_give_no_turn(void **state)
{
    struct source_offer offer = {.numbers_gops = true, .takes_over = true};
    struct source other = {
        .kind = SOURCE_PUBLISHER, .protocol = "t", .session_id = "t", .upstream = ""};
    struct spare spare;
    struct rig r;

    (void)state;
    rig_open_published(&r);
    spare_init(&spare, &r, false);
    assert_int_equal(stream_attach(r.stream, &other, &offer), E_OK);
    assert_int_equal(spare.n_turns, 0);
    stream_detach(&other);
    assert_int_equal(spare.n_turns, 1);
    rig_publish(&r);
    spare_init(&spare, &r, false);
    stream_fence(r.stream);
    r.stream->detached_us -= 60000000; /* a minute ago */
    stream_housekeeping(r.stream, loop_now_us(r.ml[0].loop));
    assert_int_equal(spare.n_turns, 0);
    assert_int_equal(r.stream->state, STREAM_GRACE); /* somebody waits */
    stream_remove_standby(&spare.standby);
    rig_fini(&r);
}

static void test_lost_pull_gives_no_turn(void **state)
{
    struct stream_conf conf = small_conf();
    struct spare spare;
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    assert_int_equal(rig_attach(&r, SOURCE_PULL), E_OK);
    spare_init(&spare, &r, false);
    stream_detach(&r.source);
    r.stream->detached_us -= 60000000;
    stream_housekeeping(r.stream, loop_now_us(r.ml[0].loop));
    assert_int_equal(spare.n_turns, 0);
    assert_int_equal(n_standbys(r.stream), 1);
    stream_remove_standby(&spare.standby);
    rig_fini(&r);
}

static void test_next_standby_has_its_turn_when_the_first_did_not_attach(void **state)
{
    struct stream_conf conf = small_conf();
    struct spare first, second;
    struct rig r;

    (void)state;
    conf.publisher_grace_ms = 0;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    spare_init(&first, &r, false); /* it hung up */
    spare_init(&second, &r, true);
    stream_detach(&r.source);
    stream_housekeeping(r.stream, loop_now_us(r.ml[0].loop));
    assert_int_equal(second.n_turns, 0); /* the first one may be waiting for an answer */
    stream_housekeeping(r.stream, loop_now_us(r.ml[0].loop) + 2000000);
    assert_int_equal(second.n_turns, 1);
    assert_ptr_equal(r.stream->source, &second.source);
    stream_detach(&second.source);
    rig_fini(&r);
}

static void test_stream_lives_while_a_standby_waits_and_ends_after(void **state)
{
    struct stream_conf conf = small_conf();
    struct spare spare;
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    r.stream = registry_get(r.registry, &r.name);
    rig_settle(&r);
    spare_init(&spare, &r, false);
    stream_housekeeping(r.stream, loop_now_us(r.ml[0].loop) + 60000000);
    assert_false(stream_has_ended(r.stream));
    stream_remove_standby(&spare.standby);
    stream_housekeeping(r.stream, loop_now_us(r.ml[0].loop) + 60000000);
    assert_true(stream_has_ended(r.stream));
    assert_int_equal(stream_add_standby(r.stream, &spare.standby), E_STALE);
    rig_fini(&r);
}

static void test_kick_tells_standbys_that_it_is_over(void **state)
{
    struct spare first, second;
    struct rig r;

    (void)state;
    rig_open_published(&r);
    spare_init(&first, &r, false);
    spare_init(&second, &r, false);
    stream_kick(r.stream);
    assert_int_equal(first.n_turns, 1);
    assert_int_equal(second.n_turns, 1);
    assert_true(first.had_ended && second.had_ended);
    rig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_detach_gives_the_first_standby_its_turn),
        cmocka_unit_test(test_silence_gives_the_standby_its_turn_and_viewers_stay),
        cmocka_unit_test(test_promote_gives_the_turn_with_the_epoch),
        cmocka_unit_test(test_removed_standby_gets_no_turn),
        cmocka_unit_test(test_fence_and_takeover_give_no_turn),
        cmocka_unit_test(test_lost_pull_gives_no_turn),
        cmocka_unit_test(test_next_standby_has_its_turn_when_the_first_did_not_attach),
        cmocka_unit_test(test_stream_lives_while_a_standby_waits_and_ends_after),
        cmocka_unit_test(test_kick_tells_standbys_that_it_is_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
