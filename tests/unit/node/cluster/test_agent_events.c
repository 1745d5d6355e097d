/* node/cluster/agent: what each event of the scheduler does at the node. */
#include "tests/unit/node/cluster/agent_test.h"

static void send_event(enum cluster_event_type type, const struct stream_name *name, uint64_t epoch,
                       const char *node)
{
    struct cluster_event event = {.type = type, .name = *name, .epoch = epoch};
    struct buf_writer out;

    snprintf(event.node, sizeof event.node, "%s", node);
    buf_writer_init(&out, 4096);
    assert_int_equal(cluster_event_encode(&event, &out), E_OK);
    assert_int_equal(http_stream_write(rig->events, buf_writer_view(&out)), E_OK);
    buf_writer_fini(&out);
}

static void test_event_reaches_the_stream_on_its_home_loop(void **state)
{
    struct stream_name name = name_a();

    (void)state;
    publish_a(7);
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->events);
    send_event(CLUSTER_EVENT_PUBLISHED, &name, 8, "n2");
    TURN_UNTIL(rig->published_epoch == 8);
    send_event(CLUSTER_EVENT_FENCED, &name, 7, "n2"); /* not above ours: ours goes on */
    send_event(CLUSTER_EVENT_PUBLISHED, &name, 9, "n2");
    TURN_UNTIL(rig->published_epoch == 9);
    assert_int_equal(rig->evicted, E_OK);
    send_event(CLUSTER_EVENT_FENCED, &name, 8, "n2");
    TURN_UNTIL(rig->evicted != E_OK);
    assert_int_equal(rig->evicted, E_STALE);
}

static void test_event_kick_ends_the_stream(void **state)
{
    struct stream_name name = name_a();

    (void)state;
    publish_a(7);
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->events);
    send_event(CLUSTER_EVENT_KICK, &name, 0, "");
    TURN_UNTIL(rig->evicted != E_OK);
    assert_int_equal(rig->evicted, E_DENIED);
}

static void on_turn(struct standby *standby, uint64_t epoch)
{
    (void)standby;
    rig->promoted_epoch = epoch;
}

static void test_event_promote_gives_the_standby_its_turn(void **state)
{
    struct stream_name name = name_a();
    struct stream *stream;

    (void)state;
    publish_a(7);
    stream = registry_get(rig->node.registry, &name);
    rig->standby.on_turn = on_turn;
    assert_int_equal(stream_add_standby(stream, &rig->standby), E_OK);
    stream_unref(&stream);
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->events);
    assert_int_equal(rig->beat.n_standbys, 1);
    assert_string_equal(rig->beat.standbys[0].name.text, "live/a");
    send_event(CLUSTER_EVENT_PROMOTE, &name, 8, "n2"); /* not us */
    send_event(CLUSTER_EVENT_PROMOTE, &name, 9, "n1");
    TURN_UNTIL(rig->promoted_epoch);
    assert_int_equal(rig->promoted_epoch, 9);
}

static void test_event_promote_gives_the_stream_back_when_nobody_stands_by(void **state)
{
    struct stream_name name = name_a();

    (void)state;
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->events);
    send_event(CLUSTER_EVENT_PROMOTE, &name, GRANTED_EPOCH, "n1"); /* not even the stream is here */
    TURN_UNTIL(strlen(rig->calls) == 1);
    publish_a(7);
    send_event(CLUSTER_EVENT_PROMOTE, &name, GRANTED_EPOCH, "n1");
    TURN_UNTIL(strlen(rig->calls) == 2);
    assert_string_equal(rig->calls, "RR");
}

static void test_event_leaving_reaches_pulls_and_pushes(void **state)
{
    struct stream_name none = {.text = ""};

    (void)state;
    publish_a(7);
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->events);
    send_event(CLUSTER_EVENT_LEAVING, &none, 0, "n1"); /* that is us: nothing to do */
    send_event(CLUSTER_EVENT_LEAVING, &none, 0, "n2");
    TURN_UNTIL(rig->left[1][0]);
    assert_string_equal(rig->left[0], "n2");
    assert_string_equal(rig->left[1], "n2");
}

static void test_event_drain_and_resume_are_for_the_node_that_they_name(void **state)
{
    struct stream_name none = {.text = ""};

    (void)state;
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->events);
    send_event(CLUSTER_EVENT_DRAIN, &none, 0, "n2");
    send_event(CLUSTER_EVENT_RESUME, &none, 0, "n2");
    send_event(CLUSTER_EVENT_DRAIN, &none, 0, "n1");
    send_event(CLUSTER_EVENT_RESUME, &none, 0, "n1");
    TURN_UNTIL(rig->n_resumes);
    assert_int_equal(rig->n_drains, 1);
    assert_int_equal(rig->n_resumes, 1);
}

static void test_event_published_makes_the_cached_route_old(void **state)
{
    unsigned n_done = 0;
    struct agent_ask ask = make_ask(AGENT_ASK_ROUTE, &n_done), again = ask;
    struct stream_name name = name_a();

    (void)state;
    publish_a(7); /* so that the event can be seen to arrive */
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->events);
    agent_ask(rig->node.agent, &ask);
    TURN_UNTIL(n_done == 1);
    send_event(CLUSTER_EVENT_PUBLISHED, &name, 8, "n2");
    TURN_UNTIL(rig->published_epoch == 8);
    agent_ask(rig->node.agent, &again);
    TURN_UNTIL(n_done == 2);
    assert_int_equal(rig->n_routes, 2);
}

static void test_events_connection_comes_back_when_it_was_closed(void **state)
{
    struct http_exchange *first;

    (void)state;
    agent_start(rig->node.agent);
    TURN_UNTIL(rig->events);
    first = rig->events;
    rig->events = NULL;
    http_stream_end(first);
    TURN_UNTIL(rig->events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_event_reaches_the_stream_on_its_home_loop),
        TEST(test_event_kick_ends_the_stream),
        TEST(test_event_promote_gives_the_standby_its_turn),
        TEST(test_event_promote_gives_the_stream_back_when_nobody_stands_by),
        TEST(test_event_leaving_reaches_pulls_and_pushes),
        TEST(test_event_drain_and_resume_are_for_the_node_that_they_name),
        TEST(test_event_published_makes_the_cached_route_old),
        TEST(test_events_connection_comes_back_when_it_was_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
