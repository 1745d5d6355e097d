/* Routes out of the registry: upstreams, redirects, and what was just given away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "scheduler/route.h"

#define SECOND 1000000ll

static int64_t g_now_us;
static struct registry g_registry;
static struct router g_router;

static void ignore_owner(void *arg, const struct registry_stream *s, const char *old)
{
    (void)arg, (void)s, (void)old;
}
static void ignore_end(void *arg, const struct registry_stream *s, const struct registry_node *old)
{
    (void)arg, (void)s, (void)old;
}

static int set_up(void **state)
{
    const struct registry_conf conf = {5 * SECOND, SECOND, 100, 100};
    const struct registry_watch watch = {ignore_owner, ignore_end, ignore_end, ignore_owner, NULL};

    (void)state;
    g_now_us = 50 * SECOND;
    registry_init(&g_registry, &conf, &watch);
    router_init(&g_router, &g_registry);
    g_router.max_children = 2;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    router_fini(&g_router);
    registry_fini(&g_registry);
    return 0;
}

static struct stream_name name_of(const char *path)
{
    struct stream_name name;
    const char *why;

    assert_int_equal(stream_name_from_path(&name, buf_view_str(path), &why), E_OK);
    return name;
}

/* A full report; upstream "" owns live/x, NULL has nothing. */
static void report(const char *id, enum cluster_role role, const char *upstream, uint32_t depth)
{
    static uint64_t seq;
    struct cluster_stream stream = {.name = name_of("/live/x"), .epoch = 9, .depth = depth};
    struct cluster_heartbeat m = {.instance = 1,
                                  .seq = ++seq,
                                  .full = true,
                                  .role = role,
                                  .state = CLUSTER_NODE_ACTIVE,
                                  .streams = &stream,
                                  .n_streams = upstream ? 1 : 0};
    struct cluster_heartbeat_reply reply = {0};
    struct cluster_error error;

    snprintf(m.node, sizeof m.node, "%s", id);
    snprintf(m.public_urls.http, CLUSTER_URL_SIZE, "http://%s.example:8080", id);
    snprintf(m.internal_urls.http, CLUSTER_URL_SIZE, "http://%s:8080", id);
    snprintf(m.internal_urls.rtmp, CLUSTER_URL_SIZE, "rtmp://%s:1935", id);
    if (upstream && *upstream) {
        stream.kind = CLUSTER_STREAM_CARRIED;
        snprintf(stream.upstream, sizeof stream.upstream, "%s", upstream);
    }
    assert_int_equal(registry_heartbeat(&g_registry, &m, g_now_us, SECOND, &reply, &error), E_OK);
    cluster_heartbeat_reply_fini(&reply);
}

static struct cluster_route ask(enum cluster_intent intent, const char *node, bool explain)
{
    struct cluster_route_query q = {
        .name = name_of("/live/x"), .protocol = "flv", .intent = intent};
    struct cluster_route route;

    snprintf(q.node, sizeof q.node, "%s", node);
    assert_int_equal(router_ask(&g_router, &q, explain, g_now_us, &route), E_OK);
    return route;
}

static void test_ask_gives_the_owner_then_carriers_to_a_node(void **state)
{
    struct cluster_route route;

    (void)state;
    report("o1", CLUSTER_ORIGIN, "", 0);
    report("e1", CLUSTER_EDGE, "o1", 1);
    report("e2", CLUSTER_EDGE, NULL, 0);
    route = ask(CLUSTER_INTENT_SOURCE, "e2", false);
    assert_int_equal(route.decision, CLUSTER_PULL);
    assert_int_equal(route.n_upstreams, 2);
    assert_string_equal(route.upstreams[0].node, "o1");
    assert_string_equal(route.upstreams[0].url, "http://o1:8080");
    assert_true(route.upstreams[0].epoch == 9);
    assert_string_equal(route.upstreams[1].node, "e1");
    assert_int_equal(route.upstreams[1].depth, 1);
    assert_true(route.ttl_ms > 0);
}

static void test_ask_counts_what_it_gave_away_until_reports_show_it(void **state)
{
    (void)state;
    report("o1", CLUSTER_ORIGIN, "", 0);
    report("e1", CLUSTER_EDGE, "o1", 1);
    report("e2", CLUSTER_EDGE, NULL, 0);
    /* room for two: the third goes below e1 */
    assert_string_equal(ask(CLUSTER_INTENT_SOURCE, "e2", false).upstreams[0].node, "o1");
    assert_string_equal(ask(CLUSTER_INTENT_SOURCE, "e3", false).upstreams[0].node, "o1");
    assert_string_equal(ask(CLUSTER_INTENT_SOURCE, "e4", false).upstreams[0].node, "e1");
    g_now_us += 3 * SECOND - 1; /* nobody reported them: they did not come */
    report("o1", CLUSTER_ORIGIN, "", 0);
    assert_string_equal(ask(CLUSTER_INTENT_SOURCE, "e5", false).upstreams[0].node, "o1");
}

static void test_ask_never_gives_a_node_its_own_child(void **state)
{
    struct cluster_route route;

    (void)state;
    report("o1", CLUSTER_ORIGIN, "", 0);
    report("e1", CLUSTER_EDGE, "o1", 1);
    report("e2", CLUSTER_EDGE, "e1", 2);
    route = ask(CLUSTER_INTENT_SOURCE, "e1", false);
    assert_int_equal(route.n_upstreams, 1);
    assert_string_equal(route.upstreams[0].node, "o1");
}

static void test_ask_redirects_people_with_the_whole_url(void **state)
{
    (void)state;
    report("o1", CLUSTER_ORIGIN, "", 0);
    assert_string_equal(ask(CLUSTER_INTENT_PLAY, "", false).redirect_url,
                        "http://o1.example:8080/live/x.flv");
    report("e1", CLUSTER_EDGE, NULL, 0);
    assert_string_equal(ask(CLUSTER_INTENT_PLAY, "", false).redirect_url,
                        "http://e1.example:8080/live/x.flv");
}

static void test_ask_spreads_a_burst_over_edges_when_slack_is_used_up(void **state)
{
    unsigned n_first = 0;

    (void)state;
    g_router.load_slack = 10;
    report("e1", CLUSTER_EDGE, NULL, 0);
    report("e2", CLUSTER_EDGE, NULL, 0);
    for (int i = 0; i < 100; i++)
        if (strcmp(ask(CLUSTER_INTENT_PLAY, "", false).redirect_url,
                   "http://e1.example:8080/live/x.flv") == 0)
            n_first++;
    assert_in_range(n_first, 45, 55);
}

static void test_ask_explains_every_node_and_counts_nothing(void **state)
{
    (void)state;
    report("o1", CLUSTER_ORIGIN, "", 0);
    report("e1", CLUSTER_EDGE, "o1", 1);
    report("e2", CLUSTER_EDGE, NULL, 0);
    for (int i = 0; i < 5; i++)
        assert_string_equal(ask(CLUSTER_INTENT_SOURCE, "e2", true).upstreams[0].node, "o1");
    assert_int_equal(g_router.n_candidates, 3);
}

static void test_pick_origin_gives_the_owner_first_then_the_least_loaded(void **state)
{
    struct registry_node *edge;

    (void)state;
    report("o1", CLUSTER_ORIGIN, "", 0);
    report("o2", CLUSTER_ORIGIN, NULL, 0);
    report("e1", CLUSTER_EDGE, NULL, 0);
    edge = registry_node(&g_registry, "e1");
    for (int i = 0; i < 3; i++)
        assert_string_equal(
            router_pick_origin(&g_router, edge, registry_stream(&g_registry, "live/x"), g_now_us)
                ->id,
            "o1");
    assert_string_equal(router_pick_origin(&g_router, edge, NULL, g_now_us)->id, "o1");
    assert_string_equal(router_pick_origin(&g_router, edge, NULL, g_now_us)->id, "o2");
    g_now_us += 6 * SECOND;
    assert_null(router_pick_origin(&g_router, edge, NULL, g_now_us));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_ask_gives_the_owner_then_carriers_to_a_node),
        CASE(test_ask_counts_what_it_gave_away_until_reports_show_it),
        CASE(test_ask_never_gives_a_node_its_own_child),
        CASE(test_ask_redirects_people_with_the_whole_url),
        CASE(test_ask_spreads_a_burst_over_edges_when_slack_is_used_up),
        CASE(test_ask_explains_every_node_and_counts_nothing),
        CASE(test_pick_origin_gives_the_owner_first_then_the_least_loaded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
