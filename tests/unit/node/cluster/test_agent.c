/* node/cluster/agent: heartbeats, what they say and what their answers change. */
#include "tests/unit/node/cluster/agent_test.h"

static void test_start_gives_full_heartbeat_then_deltas(void **state)
{
    (void)state;
    publish_a(7);
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->n_beats == 1);
    assert_true(rig->beat.full);
    assert_int_equal(rig->beat.seq, 1);
    assert_int_equal(rig->beat.instance, 42);
    assert_int_equal(rig->beat.state, CLUSTER_NODE_ACTIVE);
    assert_string_equal(rig->beat.internal_urls.http, "http://127.0.0.1:8080");
    assert_string_equal(rig->beat.internal_urls.rtmp, "");
    assert_int_equal(rig->beat.n_streams, 1);
    assert_string_equal(rig->beat.streams[0].name.text, "live/a");
    assert_int_equal(rig->beat.streams[0].kind, CLUSTER_STREAM_OWNED);
    assert_int_equal(rig->beat.streams[0].epoch, 7);
    TURN_UNTIL(agent_is_connected(rig->node.agent));
    TURN_UNTIL(rig->n_beats == 2);
    assert_false(rig->beat.full);
    assert_int_equal(rig->beat.seq, 2);
    assert_int_equal(rig->beat.n_streams, 0);
    assert_int_equal(rig->beat.highest_epoch, 7);
}

static void test_heartbeat_gives_full_report_when_the_scheduler_wants_it(void **state)
{
    (void)state;
    rig->beat_reply.want_full = true;
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->n_beats == 2);
    assert_true(rig->beat.full);
}

static void test_heartbeat_gives_disconnected_when_refused_and_recovers(void **state)
{
    (void)state;
    rig->beat_status = 401;
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->n_beats == 1);
    TURN_UNTIL(rig->n_beats == 2);
    assert_false(agent_is_connected(rig->node.agent));
    rig->beat_status = 200;
    TURN_UNTIL(agent_is_connected(rig->node.agent));
    assert_true(rig->beat.full);
}

static void test_heartbeat_says_what_the_node_is(void **state)
{
    (void)state;
    rig->node.replaces = 41;
    rig->node.conf.cluster_weight = 250;
    rig->node.conf.limits_viewers = 1000;
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->n_beats == 1);
    assert_int_equal(rig->beat.replaces, 41);
    assert_int_equal(rig->beat.weight, 250);
    assert_int_equal(rig->beat.max_viewers, 1000);
}

static void test_heartbeat_gives_stream_as_carried_at_an_edge(void **state)
{
    (void)state;
    rig->node.conf.cluster_role = CLUSTER_EDGE; /* what is published there is forwarded */
    publish_a(7);
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->n_beats == 1);
    assert_int_equal(rig->beat.streams[0].kind, CLUSTER_STREAM_CARRIED);
    assert_int_equal(rig->beat.streams[0].epoch, 7);
    assert_int_equal(rig->beat.streams[0].depth, 1);
    assert_string_equal(rig->beat.streams[0].upstream, "");
}

/* One publisher each, of streams that nobody looks at closer. */
static struct source *publish_many(unsigned n)
{
    struct source *sources = calloc(n, sizeof *sources);

    assert_non_null(sources);
    for (unsigned i = 0; i < n; i++) {
        struct source_offer offer = {.epoch = i + 1};
        struct stream_name name;
        struct stream *stream;
        const char *why;
        char path[32];

        snprintf(path, sizeof path, "/many/%u", i);
        assert_int_equal(stream_name_from_path(&name, buf_view_str(path), &why), E_OK);
        stream = registry_get(rig->node.registry, &name);
        loop_turn(rig->media_loop, false);
        sources[i].kind = SOURCE_PUBLISHER;
        sources[i].protocol = "rtmp";
        sources[i].session_id = sources[i].upstream = "";
        sources[i].on_evict = on_evict;
        assert_int_equal(stream_attach(stream, &sources[i], &offer), E_OK);
        stream_unref(&stream);
    }
    return sources;
}

static void
test_heartbeat_gives_long_full_report_in_parts_when_the_scheduler_takes_them(void **state)
{
    const unsigned n = CLUSTER_PART_STREAMS + 200;
    struct source *sources;

    (void)state;
    rig->beat_reply.parts = true;
    rig->beat_reply.want_full = true;
    agent_start(rig->node.agent);
    TURN_UNTIL(agent_is_connected(rig->node.agent));
    sources = publish_many(n);
    rig->beat_reply.want_full = true;
    TURN_UNTIL(rig->n_parts == 2);
    assert_int_equal(rig->n_in_parts, n);
    assert_false(rig->beat.more);
    TURN_UNTIL(!rig->beat.full);
    assert_int_equal(rig->beat.n_streams, 0);
    for (unsigned i = 0; i < n; i++)
        stream_detach(&sources[i]);
    free(sources);
}

/* It is refused, not unreachable: to publish all the same would be past the scheduler's rules. */
static void test_heartbeat_gives_refused_node_with_the_reason_until_it_is_taken(void **state)
{
    unsigned n_done = 0;
    struct agent_ask ask = make_ask(AGENT_ASK_PUBLISH, &n_done), again = ask;
    char reason[AGENT_REFUSAL_SIZE];

    (void)state;
    rig->beat_status = 409;
    agent_start(rig->node.agent);
    TURN_UNTIL(agent_is_refused(rig->node.agent, reason));
    assert_string_equal(reason, "status 409: not today");
    assert_false(agent_is_connected(rig->node.agent));
    agent_ask(rig->node.agent, &ask);
    TURN_UNTIL(n_done == 1);
    assert_int_equal(ask.publish_reply.decision, CLUSTER_PUBLISH_REFUSED);
    assert_non_null(strstr(ask.publish_reply.reason, "409"));
    assert_string_equal(rig->calls, ""); /* nobody was asked in vain */
    rig->beat_status = 200;
    TURN_UNTIL(agent_is_connected(rig->node.agent));
    assert_false(agent_is_refused(rig->node.agent, reason));
    agent_ask(rig->node.agent, &again);
    TURN_UNTIL(n_done == 2);
    assert_int_equal(again.publish_reply.decision, CLUSTER_PUBLISH_GRANTED);
}

static void test_set_token_is_what_heartbeats_bear(void **state)
{
    (void)state;
    agent_start(rig->node.agent);
    TURN_UNTIL(agent_is_connected(rig->node.agent));
    TURN_UNTIL(!agent_is_busy(rig->node.agent));
    rig->token = "second";
    agent_set_token(rig->node.agent, "second");
    TURN_UNTIL(rig->n_beats == 3);
}

static void test_heartbeat_reply_tells_what_has_moved(void **state)
{
    struct cluster_fenced *moved = calloc(1, sizeof *moved);

    (void)state;
    assert_non_null(moved);
    publish_a(7);
    moved->name = name_a();
    moved->epoch = 9;
    strcpy(moved->owner, "n2");
    rig->beat_reply.moved = moved;
    rig->beat_reply.n_moved = 1;
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->published_epoch == 9);
}

static void test_heartbeat_reply_drains_the_node(void **state)
{
    (void)state;
    rig->beat_reply.drain = true;
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->n_drains == 1);
}

static void test_poke_gives_heartbeat_before_its_time(void **state)
{
    int64_t begin_us;

    (void)state;
    rig->beat_reply.interval_ms = 10000;
    agent_start(rig->node.agent);
    TURN_UNTIL(agent_is_connected(rig->node.agent));
    begin_us = clock_mono_us();
    agent_poke(rig->node.agent);
    agent_poke(rig->node.agent);
    TURN_UNTIL(rig->n_beats == 2);
    assert_true(clock_mono_us() - begin_us < 5000000);
}

static void test_drain_gives_heartbeat_that_says_so(void **state)
{
    (void)state;
    rig->beat_reply.interval_ms = 10000;
    agent_start(rig->node.agent);
    TURN_UNTIL(agent_is_connected(rig->node.agent));
    assert_false(agent_drain_is_known(rig->node.agent));
    atomic_store(&rig->node.draining, true);
    agent_drain(rig->node.agent);
    TURN_UNTIL(rig->beat.state == CLUSTER_NODE_DRAINING);
    TURN_UNTIL(agent_drain_is_known(rig->node.agent));
}

static void test_heartbeat_reply_closes_publisher_that_is_fenced(void **state)
{
    struct cluster_fenced *fenced = calloc(1, sizeof *fenced);

    (void)state;
    assert_non_null(fenced);
    publish_a(7);
    fenced->name = name_a();
    fenced->epoch = 9;
    strcpy(fenced->owner, "n2");
    rig->beat_reply.fenced = fenced;
    rig->beat_reply.n_fenced = 1;
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->evicted != E_OK);
    assert_int_equal(rig->evicted, E_STALE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_start_gives_full_heartbeat_then_deltas),
        TEST(test_heartbeat_gives_full_report_when_the_scheduler_wants_it),
        TEST(test_heartbeat_gives_disconnected_when_refused_and_recovers),
        TEST(test_heartbeat_says_what_the_node_is),
        TEST(test_heartbeat_gives_stream_as_carried_at_an_edge),
        TEST(test_heartbeat_gives_long_full_report_in_parts_when_the_scheduler_takes_them),
        TEST(test_heartbeat_gives_refused_node_with_the_reason_until_it_is_taken),
        TEST(test_set_token_is_what_heartbeats_bear),
        TEST(test_heartbeat_reply_tells_what_has_moved),
        TEST(test_heartbeat_reply_drains_the_node),
        TEST(test_poke_gives_heartbeat_before_its_time),
        TEST(test_drain_gives_heartbeat_that_says_so),
        TEST(test_heartbeat_reply_closes_publisher_that_is_fenced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
