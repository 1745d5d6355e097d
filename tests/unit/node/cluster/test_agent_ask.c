/* node/cluster/agent: questions for a publisher's lease and for routes, with and without a
 * scheduler that answers. */
#include "tests/unit/node/cluster/agent_test.h"

/* --- publish --- */

static void test_ask_publish_gives_the_grant(void **state)
{
    unsigned n_done = 0;
    struct agent_ask ask = make_ask(AGENT_ASK_PUBLISH, &n_done);

    (void)state;
    agent_start(rig->node.agent);
    agent_ask(rig->node.agent, &ask);
    TURN_UNTIL(n_done == 1);
    assert_int_equal(ask.publish_reply.decision, CLUSTER_PUBLISH_GRANTED);
    assert_int_equal(ask.publish_reply.epoch, GRANTED_EPOCH);
    assert_false(ask.degraded);
}

/* A scheduler that has not heard of this node, or of this process of it, would refuse. */
static void test_ask_publish_waits_for_the_first_heartbeat(void **state)
{
    unsigned n_done = 0;
    struct agent_ask ask = make_ask(AGENT_ASK_PUBLISH, &n_done);

    (void)state;
    agent_ask(rig->node.agent, &ask);
    for (int i = 0; i < 10; i++) {
        loop_turn(rig->control, false);
        loop_turn(rig->media_loop, false);
    }
    assert_string_equal(rig->calls, "");
    agent_start(rig->node.agent);
    TURN_UNTIL(n_done == 1);
    assert_int_equal(ask.publish_reply.decision, CLUSTER_PUBLISH_GRANTED);
    assert_false(ask.degraded);
    assert_int_equal(rig->n_beats, 1);
}

static void test_ask_publish_gives_own_epoch_when_no_scheduler_answers(void **state)
{
    unsigned n_done = 0;
    struct agent_ask ask = make_ask(AGENT_ASK_PUBLISH, &n_done), again = ask;
    uint64_t now = (uint64_t)clock_wall_us();

    (void)state;
    scheduler_close();
    agent_start(rig->node.agent);
    agent_ask(rig->node.agent, &ask);
    TURN_UNTIL(n_done == 1);
    assert_int_equal(ask.publish_reply.decision, CLUSTER_PUBLISH_GRANTED);
    assert_true(ask.degraded);
    assert_true(ask.publish_reply.epoch >= now);
    agent_ask(rig->node.agent, &again);
    TURN_UNTIL(n_done == 2);
    assert_true(again.publish_reply.epoch > ask.publish_reply.epoch);
}

static void test_ask_publish_gives_refused_when_the_scheduler_answers_4xx(void **state)
{
    unsigned n_done = 0;
    struct agent_ask ask = make_ask(AGENT_ASK_PUBLISH, &n_done), other = ask;

    (void)state;
    agent_start(rig->node.agent);
    rig->publish_status = 401;
    agent_ask(rig->node.agent, &ask);
    TURN_UNTIL(n_done == 1);
    assert_int_equal(ask.publish_reply.decision, CLUSTER_PUBLISH_REFUSED);
    assert_non_null(strstr(ask.publish_reply.reason, "401"));
    assert_false(ask.degraded);
    rig->publish_status = 500; /* that is a broken scheduler, not a no */
    agent_ask(rig->node.agent, &other);
    TURN_UNTIL(n_done == 2);
    assert_int_equal(other.publish_reply.decision, CLUSTER_PUBLISH_GRANTED);
    assert_true(other.degraded);
}

static void test_release_reaches_the_scheduler_before_the_next_publish(void **state)
{
    unsigned n_done = 0;
    struct agent_ask ask = make_ask(AGENT_ASK_PUBLISH, &n_done), again = ask;
    struct stream_name name = name_a();

    (void)state;
    agent_start(rig->node.agent);
    agent_ask(rig->node.agent, &ask);
    agent_release(rig->node.agent, &name, GRANTED_EPOCH);
    agent_ask(rig->node.agent, &again);
    agent_release(rig->node.agent, &name, GRANTED_EPOCH);
    TURN_UNTIL(strlen(rig->calls) == 4);
    assert_string_equal(rig->calls, "PRPR");
    assert_int_equal(n_done, 2);
}

/* --- routes --- */

static void test_ask_route_gives_one_answer_to_all_who_ask_the_same(void **state)
{
    unsigned n_done = 0;
    struct agent_ask asks[3];

    (void)state;
    rig->hold_routes = true;
    agent_start(rig->node.agent);
    TURN_UNTIL(agent_is_connected(rig->node.agent));
    for (int i = 0; i < 3; i++) {
        asks[i] = make_ask(AGENT_ASK_ROUTE, &n_done);
        agent_ask(rig->node.agent, &asks[i]);
    }
    TURN_UNTIL(rig->n_held == 1);
    answer_route(rig->held[0]);
    TURN_UNTIL(n_done == 3);
    assert_int_equal(rig->n_routes, 1);
    for (int i = 0; i < 3; i++)
        assert_string_equal(asks[i].route_reply.upstreams[0].node, "o1");

    asks[0] = make_ask(AGENT_ASK_ROUTE, &n_done); /* from the cache */
    agent_ask(rig->node.agent, &asks[0]);
    TURN_UNTIL(n_done == 4);
    assert_int_equal(rig->n_routes, 1);
}

/* Viewers that a full node turns away: one question while it is under way, but no answer is kept.
 */
static void test_ask_route_elsewhere_is_shared_and_not_cached(void **state)
{
    unsigned n_done = 0;
    struct agent_ask asks[3];

    (void)state;
    rig->hold_routes = true;
    agent_start(rig->node.agent);
    TURN_UNTIL(agent_is_connected(rig->node.agent));
    for (int i = 0; i < 3; i++) {
        asks[i] = make_ask(AGENT_ASK_ROUTE, &n_done);
        asks[i].route.intent = CLUSTER_INTENT_PLAY;
        strcpy(asks[i].route.avoid.id[0], "n1");
        asks[i].route.avoid.n = 1;
        agent_ask(rig->node.agent, &asks[i]);
    }
    TURN_UNTIL(rig->n_held == 1);
    answer_route(rig->held[0]);
    TURN_UNTIL(n_done == 3);
    assert_int_equal(rig->n_routes, 1);
    agent_ask(rig->node.agent, &asks[0]);
    TURN_UNTIL(rig->n_held == 2);
    answer_route(rig->held[1]);
    TURN_UNTIL(n_done == 4);
}

static void test_ask_route_asks_again_when_an_upstream_is_to_be_avoided(void **state)
{
    unsigned n_done = 0;
    struct agent_ask ask = make_ask(AGENT_ASK_ROUTE, &n_done), again = ask;

    (void)state;
    agent_start(rig->node.agent);
    TURN_UNTIL(agent_is_connected(rig->node.agent));
    agent_ask(rig->node.agent, &ask);
    TURN_UNTIL(n_done == 1);
    strcpy(again.route.avoid.id[0], "o2");
    again.route.avoid.n = 1;
    agent_ask(rig->node.agent, &again);
    TURN_UNTIL(n_done == 2);
    assert_int_equal(rig->n_routes, 2);
}

static void test_ask_route_gives_last_known_route_when_no_scheduler_answers(void **state)
{
    unsigned n_done = 0;
    struct agent_ask ask = make_ask(AGENT_ASK_ROUTE, &n_done), again = ask;

    (void)state;
    agent_start(rig->node.agent);
    TURN_UNTIL(agent_is_connected(rig->node.agent));
    agent_ask(rig->node.agent, &ask);
    TURN_UNTIL(n_done == 1);
    scheduler_close();
    TURN_UNTIL(!agent_is_connected(rig->node.agent));
    agent_ask(rig->node.agent, &again);
    TURN_UNTIL(n_done == 2);
    assert_true(again.degraded);
    assert_int_equal(again.route_reply.decision, CLUSTER_PULL);
    assert_string_equal(again.route_reply.upstreams[0].node, "o1");
}

static void test_ask_route_gives_degraded_answer_when_the_scheduler_hangs(void **state)
{
    unsigned n_done = 0;
    struct agent_ask ask = make_ask(AGENT_ASK_ROUTE, &n_done);

    (void)state;
    rig->hold_routes = true;
    agent_start(rig->node.agent);
    TURN_UNTIL(agent_is_connected(rig->node.agent));
    agent_ask(rig->node.agent, &ask);
    TURN_UNTIL(n_done == 1);
    assert_true(ask.degraded);
    assert_int_equal(ask.route_reply.decision, CLUSTER_WAIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ask_publish_gives_the_grant),
        TEST(test_ask_publish_waits_for_the_first_heartbeat),
        TEST(test_ask_publish_gives_own_epoch_when_no_scheduler_answers),
        TEST(test_ask_publish_gives_refused_when_the_scheduler_answers_4xx),
        TEST(test_release_reaches_the_scheduler_before_the_next_publish),
        TEST(test_ask_route_gives_one_answer_to_all_who_ask_the_same),
        TEST(test_ask_route_elsewhere_is_shared_and_not_cached),
        TEST(test_ask_route_asks_again_when_an_upstream_is_to_be_avoided),
        TEST(test_ask_route_gives_last_known_route_when_no_scheduler_answers),
        TEST(test_ask_route_gives_degraded_answer_when_the_scheduler_hangs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
