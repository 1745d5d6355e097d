/* How publishers are read: at once, by tick when they are many, slowly while nobody watches. */
#include "tests/unit/node/stream/stream_test.h"

#define MANY 1000u /* publishers that the loop is told it has beside the one under test */

static enum conn_pace told;
static unsigned n_told;

static void on_pace(struct source *source, enum conn_pace pace)
{
    assert_int_equal(source->pace, pace);
    told = pace;
    n_told++;
}

static void setup(struct rig *r, enum latency_policy latency, unsigned n_others)
{
    struct source_offer offer = {.numbers_gops = true};
    struct stream_conf conf = small_conf();

    conf.latency = latency;
    rig_init(r, 1, &conf);
    r->ml[0].n_publishers = n_others;
    r->stream = registry_get(r->registry, &r->name);
    rig_settle(r);
    r->source = (struct source){.kind = SOURCE_PUBLISHER,
                                .protocol = "test",
                                .session_id = "t-1",
                                .upstream = "",
                                .on_evict = rig_on_evict,
                                .set_pace = on_pace};
    told = CONN_AT_ONCE;
    n_told = 0;
    assert_int_equal(stream_attach(r->stream, &r->source, &offer), E_OK);
    push_configs(r, 0);
    push_gop(r, 0, 5, 500);
}

/* The next housekeeping looks at the rate as if a second had passed. */
static void pass_a_second(struct rig *r)
{
    r->stream->rate_since_us -= 1000000;
    RIG_UNTIL(r, r->stream->rate_since_us > loop_now_us(r->ml[0].loop) - 900000);
}

static void teardown(struct rig *r)
{
    if (r->source.stream)
        stream_detach(&r->source);
    r->ml[0].n_publishers = 0;
    rig_fini(r);
}

static void test_few_publishers_are_read_at_once_watched_or_not(void **state)
{
    struct rig r;

    (void)state;
    setup(&r, LATENCY_BALANCED, 3);
    pass_a_second(&r);
    assert_int_equal(n_told, 0);
    teardown(&r);
}

static void test_many_publishers_are_read_by_tick_when_watched(void **state)
{
    static const enum conn_pace k_expected[] = {
        [LATENCY_REALTIME] = CONN_AT_ONCE,
        [LATENCY_BALANCED] = CONN_TICK,
        [LATENCY_EFFICIENT] = CONN_TICK,
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_expected / sizeof k_expected[0]; i++) {
        struct player p;
        struct rig r;

        setup(&r, (enum latency_policy)i, MANY);
        player_join(&p, &r, 0, 0);
        rig_settle(&r);
        pass_a_second(&r);
        assert_int_equal(r.source.pace, k_expected[i]);
        assert_int_equal(told, k_expected[i]);
        player_close(&p);
        teardown(&r);
    }
}

static void test_unwatched_stream_is_read_slowly_until_somebody_joins(void **state)
{
    struct player p;
    struct rig r;

    (void)state;
    setup(&r, LATENCY_REALTIME, MANY);
    assert_int_equal(n_told, 0); /* not before its rate is known */
    pass_a_second(&r);
    assert_int_equal(told, CONN_SLOW_TICK);
    player_join(&p, &r, 0, 0);
    rig_settle(&r); /* no housekeeping in between */
    assert_int_equal(told, CONN_AT_ONCE);
    player_close(&p);
    RIG_UNTIL(&r, told == CONN_SLOW_TICK); /* and again when the last one has left */
    teardown(&r);
}

static void test_unwatched_stream_of_many_bytes_is_not_read_slowly(void **state)
{
    struct rig r;

    (void)state;
    setup(&r, LATENCY_REALTIME, MANY);
    push_gop(&r, 1000, 30, 20000); /* 600 KB */
    pass_a_second(&r);
    assert_int_equal(n_told, 0);
    teardown(&r);
}

static void test_detach_gives_the_connection_back_as_it_was(void **state)
{
    struct rig r;

    (void)state;
    setup(&r, LATENCY_BALANCED, MANY);
    RIG_UNTIL(&r, told == CONN_TICK);
    stream_detach(&r.source);
    assert_int_equal(told, CONN_AT_ONCE);
    assert_int_equal(r.ml[0].n_publishers, MANY);
    teardown(&r);
}

static void test_number_that_wavers_at_the_limit_does_not_switch_all(void **state)
{
    struct media_loop *ml;
    struct rig r;

    (void)state;
    setup(&r, LATENCY_BALANCED, 200);
    ml = &r.ml[0];
    RIG_UNTIL(&r, ml->many_publishers);
    ml->n_publishers -= 40;
    pass_a_second(&r);
    assert_true(ml->many_publishers);
    ml->n_publishers -= 40;
    RIG_UNTIL(&r, !ml->many_publishers);
    ml->n_publishers += 80;
    teardown(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_publishers_are_read_at_once_watched_or_not),
        cmocka_unit_test(test_many_publishers_are_read_by_tick_when_watched),
        cmocka_unit_test(test_unwatched_stream_is_read_slowly_until_somebody_joins),
        cmocka_unit_test(test_unwatched_stream_of_many_bytes_is_not_read_slowly),
        cmocka_unit_test(test_detach_gives_the_connection_back_as_it_was),
        cmocka_unit_test(test_number_that_wavers_at_the_limit_does_not_switch_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
