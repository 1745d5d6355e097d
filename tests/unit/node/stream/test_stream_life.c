/* The life of a stream: waiting, live, grace, end; who may feed it and what its viewers see. */
#include "tests/unit/node/stream/stream_test.h"

static void start_playing(struct rig *r, struct player *p, const struct stream_conf *conf,
                          unsigned n_loops)
{
    rig_init(r, n_loops, conf);
    rig_publish(r);
    push_configs(r, 0);
    player_join(p, r, n_loops - 1, 0);
    push_gop(r, 0, 5, 100);
    player_drain(p, r);
    assert_int_equal(p->viewer.state, VIEWER_LIVE);
}

/* --- the end
 * --------------------------------------------------------------------------------------- */

static void test_end_gives_all_bytes_then_end_to_live_viewers(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;

    (void)state;
    conf.latency = LATENCY_EFFICIENT;
    start_playing(&r, &p, &conf, 2);
    push_gop(&r, 200, 5, 40000);
    stream_end(r.stream, 0);
    rig_turn(&r, false);
    player_drain(&p, &r);
    RIG_UNTIL(&r, (player_read(&p, SIZE_MAX), p.ended));
    player_drain(&p, &r);
    assert_int_equal(p.why, E_END);
    assert_int_equal(p.n_tags, 2 + 20);
    assert_no_gap(&p, 2);
    player_close(&p);
    rig_fini(&r);
}

static void test_kick_ends_viewers_and_source_with_denied(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;

    (void)state;
    start_playing(&r, &p, &conf, 2);
    stream_kick(r.stream);
    assert_true(r.evicted);
    assert_int_equal(r.evicted_why, E_DENIED);
    RIG_UNTIL(&r, p.ended);
    assert_int_equal(p.why, E_DENIED);
    assert_null(registry_find(r.registry, r.name.text));
    player_close(&p);
    rig_fini(&r);
}

static void test_kick_leaves_whole_units_in_a_slow_connection(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    push_configs(&r, 0);
    player_join(&p, &r, 0, 4096);
    push_sized(&r, BODY_AVC_KEY, 0, 100000);
    push_sized(&r, BODY_AVC_INTER, 40, 100000);
    rig_settle(&r);
    assert_int_equal(p.viewer.state, VIEWER_BEHIND);
    stream_kick(r.stream);
    RIG_UNTIL(&r, p.ended);
    player_drain(&p, &r); /* what the owner writes now is between units */
    assert_int_equal(p.n_tags, 3);
    assert_int_equal(p.tags[2].size_bytes, 100000);
    player_close(&p);
    rig_fini(&r);
}

static void test_join_after_the_end_gets_the_next_stream_of_that_name(void **state)
{
    struct stream_conf conf = small_conf();
    struct player slow, fresh;
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    push_configs(&r, 0);
    player_join(&slow, &r, 0, 4096);
    push_gop(&r, 0, 5, 50000);
    rig_settle(&r);
    stream_end(r.stream, 0);
    rig_settle(&r);
    assert_int_equal(slow.viewer.state, VIEWER_BEHIND); /* its tap lives on with the old stream */
    rig_publish(&r);
    push_configs(&r, 0);
    push_gop(&r, 0, 5, 100);
    player_join(&fresh, &r, 0, 0);
    player_drain(&fresh, &r);
    assert_true(fresh.started && !fresh.ended);
    assert_int_equal(count_type(&fresh, FLV_TAG_VIDEO, false), 5);
    player_drain(&slow, &r);
    assert_true(slow.ended);
    assert_int_equal(slow.why, E_END);
    assert_int_equal(slow.n_tags, 2 + 10);
    player_close(&slow);
    player_close(&fresh);
    rig_fini(&r);
}

static void test_stream_of_a_name_that_nobody_wants_is_forgotten(void **state)
{
    struct stream_conf conf = small_conf();
    struct stream *s;
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    s = registry_get(r.registry, &r.name);
    rig_settle(&r);
    s->idle_since_us -= 10000000; /* ten seconds ago */
    RIG_UNTIL(&r, s->state == STREAM_ENDED);
    assert_null(registry_find(r.registry, r.name.text));
    assert_int_equal(atomic_load(&r.ml[0].n_streams), 0);
    stream_unref(&s);
    rig_fini(&r);
}

/* --- parking
 * --------------------------------------------------------------------------------------- */

static void test_parked_viewer_gets_not_found_after_play_wait(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;

    (void)state;
    conf.play_wait_ms = 1000;
    rig_init(&r, 1, &conf);
    player_join(&p, &r, 0, 0);
    rig_settle(&r);
    assert_false(p.ended);
    assert_int_equal(r.ml[0].n_parked, 1);
    RIG_UNTIL(&r, p.ended);
    assert_int_equal(p.why, E_NOT_FOUND);
    assert_false(p.started);
    assert_int_equal(p.n_bytes, 0);
    assert_int_equal(r.ml[0].n_parked, 0);
    assert_true(r.n_asked >= 1); /* a source was asked for meanwhile */
    assert_int_equal(r.n_not_found, 1);
    rig_settle(&r);
    assert_int_equal(r.n_idle, 0); /* there was nothing to play */
    player_close(&p);
    rig_fini(&r);
}

static void test_parked_viewer_starts_when_the_stream_comes(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;

    (void)state;
    rig_init(&r, 2, &conf);
    player_join(&p, &r, 1, 0);
    rig_settle(&r);
    rig_publish(&r);
    push_configs(&r, 0);
    push_gop(&r, 0, 5, 100);
    player_drain(&p, &r);
    assert_int_equal(p.n_tags, 12);
    assert_no_gap(&p, 2);
    assert_int_equal(r.n_not_found, 0);
    player_close(&p);
    rig_fini(&r);
}

static void test_not_found_is_asked_again_until_it_is_sure(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;

    (void)state;
    conf.play_wait_ms = 3000;
    rig_init(&r, 1, &conf);
    r.n_unsure = 2;
    player_join(&p, &r, 0, 0);
    RIG_UNTIL(&r, p.ended);
    assert_int_equal(r.n_not_found, 2);
    assert_true(r.n_asked > 3); /* it was asked for further on */
    player_close(&p);
    rig_fini(&r);
}

static void test_idle_is_told_once_when_the_last_viewer_leaves(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p, q;
    struct rig r;

    (void)state;
    start_playing(&r, &p, &conf, 2);
    player_join(&q, &r, 0, 0);
    rig_settle(&r);
    player_close(&p);
    for (unsigned i = 0; i < 4; i++) /* some of these wait for housekeeping */
        rig_turn(&r, true);
    assert_int_equal(r.n_idle, 0);
    player_close(&q);
    RIG_UNTIL(&r, r.n_idle == 1);
    for (unsigned i = 0; i < 4; i++)
        rig_turn(&r, true);
    assert_int_equal(r.n_idle, 1);
    rig_fini(&r);
}

static void test_idle_is_told_of_a_viewer_who_left_between_two_looks(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    rig_turn(&r, true);
    player_join(&p, &r, 0, 0);
    player_close(&p);
    rig_settle(&r);
    RIG_UNTIL(&r, r.n_idle == 1);
    rig_fini(&r);
}

static void test_join_gives_limit_when_too_many_wait(void **state)
{
    struct viewer_join how = {.format = FORMAT_FLV};
    struct stream_conf conf = small_conf();
    struct player a, b;
    struct rig r;

    (void)state;
    conf.max_parked = 1;
    rig_init(&r, 1, &conf);
    player_join(&a, &r, 0, 0);
    player_open(&b, &r.ml[0], 0);
    assert_int_equal(player_join_as(&b, &r, &r.ml[0], &how), E_LIMIT);
    player_close(&a);
    assert_int_equal(player_join_as(&b, &r, &r.ml[0], &how), E_OK);
    player_close(&b);
    rig_fini(&r);
}

static void test_start_that_fails_ends_the_viewer_with_its_reason(void **state)
{
    struct stream_conf conf = small_conf();
    struct player good, bad;
    struct rig r;

    (void)state;
    start_playing(&r, &good, &conf, 1);
    player_join(&bad, &r, 0, 0);
    bad.start_answer = E_TOO_BIG;
    rig_settle(&r);
    assert_true(bad.ended);
    assert_int_equal(bad.why, E_TOO_BIG);
    assert_false(good.ended);
    player_close(&good);
    player_close(&bad);
    rig_fini(&r);
}

/* --- sources
 * --------------------------------------------------------------------------------------- */

static void test_republish_keeps_viewers_and_time_goes_on(void **state)
{
    struct stream_conf conf = small_conf();
    uint32_t last_ms;
    struct player p;
    struct rig r;

    (void)state;
    start_playing(&r, &p, &conf, 2);
    last_ms = p.tags[p.n_tags - 1].dts_ms;
    stream_detach(&r.source);
    rig_settle(&r);
    assert_false(p.ended);
    rig_publish(&r); /* the same encoder again: other headers, its clock at zero */
    push_configs(&r, 0);
    push(&r, BODY_AVC_INTER, 0); /* the tail of an old GOP: left out */
    push_gop(&r, 40, 5, 100);
    player_drain(&p, &r);
    assert_int_equal(count_type(&p, FLV_TAG_VIDEO, false), 10);
    assert_int_equal(count_type(&p, FLV_TAG_VIDEO, true), 2);
    assert_time_grows(&p);
    assert_true(p.tags[p.n_tags - 1].dts_ms > last_ms);
    player_close(&p);
    rig_fini(&r);
}

static void test_late_joiner_after_republish_gets_nothing_of_the_old_source(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p, late;
    uint32_t first;
    struct rig r;

    (void)state;
    conf.gop.max_gops = 3;
    start_playing(&r, &p, &conf, 1);
    stream_detach(&r.source);
    rig_settle(&r);
    first = r.next_number;
    rig_publish(&r);
    push(&r, BODY_AVC_CONFIG, 0); /* video alone this time */
    push(&r, BODY_AVC_KEY, 0);
    RIG_UNTIL(&r, r.stream->ready);
    player_close(&p); /* the next viewer makes a new feed from the cache */
    rig_settle(&r);
    player_join(&late, &r, 0, 0);
    player_drain(&late, &r);
    assert_int_equal(late.n_tags, 2);
    assert_true(late.tags[0].number == first && late.tags[0].config);
    assert_true(late.has_video && !late.has_audio);
    player_close(&late);
    rig_fini(&r);
}

static void test_grace_ends_the_stream_when_nobody_returns(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;

    (void)state;
    conf.publisher_grace_ms = 400;
    start_playing(&r, &p, &conf, 1);
    stream_detach(&r.source);
    rig_settle(&r);
    assert_false(p.ended);
    RIG_UNTIL(&r, p.ended);
    assert_int_equal(p.why, E_END);
    player_close(&p);
    rig_fini(&r);
}

static void test_silent_publisher_is_evicted_and_its_viewers_stay(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;

    (void)state;
    conf.publish_stall_ms = 150;
    start_playing(&r, &p, &conf, 1);
    RIG_UNTIL(&r, r.evicted);
    assert_int_equal(r.evicted_why, E_TIMEOUT);
    assert_int_equal(r.n_stalled, 1);
    assert_false(p.ended);
    assert_int_equal(r.stream->state, STREAM_GRACE);
    player_close(&p);
    rig_fini(&r);
}

static struct source *second_source(void)
{
    static struct source s;

    s = (struct source){.kind = SOURCE_PUBLISHER,
                        .protocol = "test",
                        .session_id = "t-2",
                        .upstream = "",
                        .on_evict = NULL};
    return &s;
}

static void test_attach_gives_busy_to_a_second_publisher(void **state)
{
    struct source_offer offer = {.numbers_gops = true};
    struct stream_conf conf = small_conf();
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    assert_int_equal(stream_can_publish(r.stream), E_BUSY);
    assert_int_equal(stream_attach(r.stream, second_source(), &offer), E_BUSY);
    assert_false(r.evicted);
    rig_fini(&r);
}

static void test_attach_evicts_a_publisher_whose_node_leaves(void **state)
{
    struct source_offer offer = {.numbers_gops = true};
    struct source *second = second_source();
    struct stream_conf conf = small_conf();
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    r.source.upstream = "edge-1";
    stream_node_leaves(r.stream, "edge-2");
    assert_int_equal(stream_can_publish(r.stream), E_BUSY);
    stream_node_leaves(r.stream, "edge-1");
    assert_false(r.evicted); /* not before the next one comes */
    assert_int_equal(stream_can_publish(r.stream), E_OK);
    assert_int_equal(stream_attach(r.stream, second, &offer), E_OK);
    assert_true(r.evicted);
    assert_int_equal(stream_can_publish(r.stream), E_BUSY);
    stream_detach(second);
    rig_fini(&r);
}

static void test_attach_evicts_the_first_publisher_when_the_second_takes_over(void **state)
{
    struct source_offer offer = {.numbers_gops = true, .takes_over = true};
    struct stream_conf conf = small_conf();
    struct source *second = second_source();
    struct player p;
    struct rig r;

    (void)state;
    start_playing(&r, &p, &conf, 1);
    assert_int_equal(stream_attach(r.stream, second, &offer), E_OK);
    assert_true(r.evicted);
    assert_int_equal(r.evicted_why, E_BUSY);
    rig_settle(&r);
    assert_false(p.ended);
    stream_detach(second);
    player_close(&p);
    rig_fini(&r);
}

static void test_attach_of_a_publisher_replaces_a_pull_but_not_the_other_way(void **state)
{
    struct source_offer offer = {.numbers_gops = true};
    struct source *second = second_source();
    struct stream_conf conf = small_conf();
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    assert_int_equal(rig_attach(&r, SOURCE_PULL), E_OK);
    assert_int_equal(stream_can_publish(r.stream), E_OK);
    assert_int_equal(stream_attach(r.stream, second, &offer), E_OK);
    assert_int_equal(r.evicted_why, E_BUSY);
    offer.takes_over = true; /* is for publishers */
    assert_int_equal(stream_attach(r.stream, &r.source, &offer), E_BUSY);
    stream_detach(second);
    rig_fini(&r);
}

static void test_attach_of_a_pull_replaces_a_pull(void **state)
{
    struct source_offer offer = {.epoch = 9};
    struct source *second = second_source();
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    assert_int_equal(rig_attach(&r, SOURCE_PULL), E_OK);
    push_configs(&r, 0);
    player_join(&p, &r, 0, 0);
    push_gop(&r, 0, 3, 100);
    player_drain(&p, &r);
    second->kind = SOURCE_PULL;
    assert_int_equal(stream_attach(r.stream, second, &offer), E_OK);
    assert_int_equal(r.evicted_why, E_BUSY);
    rig_settle(&r);
    assert_false(p.ended);
    assert_true(stream_has_source(r.stream));
    assert_int_equal(stream_epoch(r.stream), 9);
    stream_detach(second);
    player_close(&p);
    rig_fini(&r);
}

static void test_attach_gives_stale_when_the_stream_has_ended(void **state)
{
    struct source_offer offer = {.numbers_gops = true, .takes_over = true};
    struct stream_conf conf = small_conf();
    struct rig r;

    (void)state;
    rig_init(&r, 1, &conf);
    rig_publish(&r);
    stream_kick(r.stream);
    assert_int_equal(stream_can_publish(r.stream), E_STALE);
    assert_int_equal(stream_attach(r.stream, second_source(), &offer), E_STALE);
    rig_fini(&r);
}

static void test_fence_evicts_the_publisher_and_keeps_the_viewers(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p;
    struct rig r;

    (void)state;
    start_playing(&r, &p, &conf, 1);
    stream_fence(r.stream);
    assert_int_equal(r.evicted_why, E_STALE);
    RIG_UNTIL(&r, r.n_asked > 0); /* viewers are there: somebody has to bring it */
    assert_false(p.ended);
    player_close(&p);
    rig_fini(&r);
}

/* --- hooks that free the source
 * -------------------------------------------------------------------- */

struct heap_pull {
    struct source source;
    struct stream *stream;
    bool *gone;
};

static void free_pull(struct heap_pull *pull)
{
    *pull->gone = true;
    free(pull);
}

static void on_pull_evict(struct source *source, enum err why)
{
    struct heap_pull *pull = list_entry(source, struct heap_pull, source);

    (void)why;
    stream_set_puller(pull->stream, NULL);
    free_pull(pull);
}

/* What the relay room does: a pull that nobody wants and that feeds nothing goes. */
static void free_unwanted_pull(void *arg, struct stream *stream)
{
    struct heap_pull *pull = stream_puller(stream);

    (void)arg;
    if (!pull || pull->source.stream || stream_is_wanted(stream))
        return;
    stream_set_puller(stream, NULL);
    free_pull(pull);
}

static void test_idle_pull_is_freed_once_whoever_hears_first(void **state)
{
    struct stream_hooks hooks = {.changed = free_unwanted_pull};
    struct source_offer offer = {.epoch = 1};
    struct heap_pull *pull = calloc(1, sizeof *pull);
    struct stream_conf conf = small_conf();
    struct registry *registry;
    struct media_loop ml;
    struct stream_name name;
    struct stream *s;
    bool gone = false;
    const char *why;

    (void)state;
    conf.pull_idle_ms = 0;
    registry = registry_create(&conf, &hooks);
    assert_int_equal(media_loop_init(&ml, loop_create("test", 0), registry), E_OK);
    assert_int_equal(stream_name_make(&name, buf_view_str("a"), buf_view_str("b"), &why), E_OK);
    s = registry_get(registry, &name);
    loop_turn(ml.loop, false);
    pull->gone = &gone;
    pull->stream = s;
    pull->source = (struct source){.kind = SOURCE_PULL,
                                   .protocol = "test",
                                   .session_id = "t",
                                   .upstream = "",
                                   .on_evict = on_pull_evict};
    assert_int_equal(stream_attach(s, &pull->source, &offer), E_OK);
    stream_set_puller(s, pull);
    while (!gone)
        loop_turn(ml.loop, true);
    assert_int_equal(s->state, STREAM_ENDED);
    stream_unref(&s);
    media_loop_fini(&ml);
    loop_destroy(&ml.loop);
    registry_destroy(&registry);
}

/* --- the loop stops
 * --------------------------------------------------------------------------------- */

static void test_fini_frees_taps_and_streams_whose_messages_never_arrived(void **state)
{
    struct stream_conf conf = small_conf();
    struct player p[4];
    struct rig r;

    (void)state;
    for (unsigned n_turns = 0; n_turns < 6; n_turns++) {
        rig_init(&r, 2, &conf);
        for (unsigned i = 0; i < 4; i++) {
            player_join(&p[i], &r, i % 2, 0);
            if (i == 1)
                for (unsigned t = 0; t < n_turns; t++)
                    loop_turn(r.ml[t % 2].loop, false);
        }
        for (unsigned i = 0; i < 4; i++)
            player_close(&p[i]);
        for (unsigned i = 0; i < 2; i++) { /* no settling: messages are under way */
            media_loop_fini(&r.ml[i]);
            loop_destroy(&r.ml[i].loop);
        }
        registry_destroy(&r.registry);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_end_gives_all_bytes_then_end_to_live_viewers),
        cmocka_unit_test(test_kick_ends_viewers_and_source_with_denied),
        cmocka_unit_test(test_kick_leaves_whole_units_in_a_slow_connection),
        cmocka_unit_test(test_join_after_the_end_gets_the_next_stream_of_that_name),
        cmocka_unit_test(test_stream_of_a_name_that_nobody_wants_is_forgotten),
        cmocka_unit_test(test_parked_viewer_gets_not_found_after_play_wait),
        cmocka_unit_test(test_parked_viewer_starts_when_the_stream_comes),
        cmocka_unit_test(test_not_found_is_asked_again_until_it_is_sure),
        cmocka_unit_test(test_idle_is_told_once_when_the_last_viewer_leaves),
        cmocka_unit_test(test_idle_is_told_of_a_viewer_who_left_between_two_looks),
        cmocka_unit_test(test_join_gives_limit_when_too_many_wait),
        cmocka_unit_test(test_start_that_fails_ends_the_viewer_with_its_reason),
        cmocka_unit_test(test_republish_keeps_viewers_and_time_goes_on),
        cmocka_unit_test(test_late_joiner_after_republish_gets_nothing_of_the_old_source),
        cmocka_unit_test(test_grace_ends_the_stream_when_nobody_returns),
        cmocka_unit_test(test_silent_publisher_is_evicted_and_its_viewers_stay),
        cmocka_unit_test(test_attach_gives_busy_to_a_second_publisher),
        cmocka_unit_test(test_attach_evicts_a_publisher_whose_node_leaves),
        cmocka_unit_test(test_attach_evicts_the_first_publisher_when_the_second_takes_over),
        cmocka_unit_test(test_attach_of_a_publisher_replaces_a_pull_but_not_the_other_way),
        cmocka_unit_test(test_attach_of_a_pull_replaces_a_pull),
        cmocka_unit_test(test_attach_gives_stale_when_the_stream_has_ended),
        cmocka_unit_test(test_fence_evicts_the_publisher_and_keeps_the_viewers),
        cmocka_unit_test(test_idle_pull_is_freed_once_whoever_hears_first),
        cmocka_unit_test(test_fini_frees_taps_and_streams_whose_messages_never_arrived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
