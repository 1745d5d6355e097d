/* Routes out of the registry: upstreams, redirects, and what was just given away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "scheduler/route.h"

#define SECOND 1000000ll

static int64_t g_now_us;
static struct registry g_registry;
static struct router g_router;

static void ignore_change(void *arg, const struct registry_stream *s,
                          const struct registry_node *old)
{
    (void)arg, (void)s, (void)old;
}

static int set_up(void **state)
{
    const struct registry_conf conf = {
        .lease_us = 5 * SECOND, .interval_us = SECOND, .max_nodes = 2000, .max_streams = 100};
    const struct registry_watch watch = {
        .on_owner = ignore_change, .on_ended = ignore_change, .on_dropped = ignore_change};

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

struct said { /* by a node in its full report */
    const char *id;
    enum cluster_role role;
    const char *upstream; /* "" owns live/x, NULL has nothing */
    uint32_t depth;
    const char *zone;
    uint32_t n_viewers, max_viewers;
};

static uint64_t say_epoch = 9;

static void say(const struct said *said)
{
    static uint64_t seq;
    struct cluster_stream stream = {
        .name = name_of("/live/x"), .epoch = say_epoch, .depth = said->depth};
    struct cluster_heartbeat m = {.instance = 1,
                                  .seq = ++seq,
                                  .full = true,
                                  .role = said->role,
                                  .state = CLUSTER_NODE_ACTIVE,
                                  .load.n_viewers = said->n_viewers,
                                  .max_viewers = said->max_viewers,
                                  .streams = &stream,
                                  .n_streams = said->upstream ? 1 : 0};
    struct cluster_heartbeat_reply reply = {0};
    struct cluster_error error;

    snprintf(m.node, sizeof m.node, "%s", said->id);
    snprintf(m.zone, sizeof m.zone, "%s", said->zone ? said->zone : "");
    snprintf(m.public_urls.http, CLUSTER_URL_SIZE, "http://%s.example:8080", said->id);
    snprintf(m.internal_urls.http, CLUSTER_URL_SIZE, "http://%s:8080", said->id);
    snprintf(m.internal_urls.rtmp, CLUSTER_URL_SIZE, "rtmp://%s:1935", said->id);
    if (said->upstream && *said->upstream) {
        stream.kind = CLUSTER_STREAM_CARRIED;
        snprintf(stream.upstream, sizeof stream.upstream, "%s", said->upstream);
    }
    assert_int_equal(registry_heartbeat(&g_registry, &m, g_now_us, SECOND, &reply, &error), E_OK);
    cluster_heartbeat_reply_fini(&reply);
}

static void report(const char *id, enum cluster_role role, const char *upstream, uint32_t depth)
{
    say(&(struct said){id, role, upstream, depth, .zone = NULL});
}

static struct cluster_route ask(enum cluster_intent intent, const char *node, bool explain)
{
    struct cluster_route_query q = {
        .name = name_of("/live/x"), .protocol = "flv", .intent = intent, .explain = explain};
    struct cluster_route route;

    snprintf(q.node, sizeof q.node, "%s", node);
    assert_int_equal(router_ask(&g_router, &q, g_now_us, &route), E_OK);
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

/* One that takes TLS, and one that does not. */
static void report_with_tls(const char *id, enum cluster_role role, const char *upstream,
                            bool has_tls)
{
    struct registry_node *node;

    report(id, role, upstream, *upstream ? 1 : 0);
    node = registry_node(&g_registry, id);
    if (!has_tls)
        return;
    snprintf(node->public_urls.https, CLUSTER_URL_SIZE, "https://%s.example", id);
    snprintf(node->public_urls.rtmps, CLUSTER_URL_SIZE, "rtmps://%s.example", id);
    snprintf(node->internal_urls.https, CLUSTER_URL_SIZE, "https://%s:8443", id);
}

static struct cluster_route ask_tls(enum cluster_intent intent, const char *node,
                                    const char *protocol)
{
    struct cluster_route_query q = {.name = name_of("/live/x"), .intent = intent, .tls = true};
    struct cluster_route route;

    snprintf(q.node, sizeof q.node, "%s", node);
    snprintf(q.protocol, sizeof q.protocol, "%s", protocol);
    assert_int_equal(router_ask(&g_router, &q, g_now_us, &route), E_OK);
    return route;
}

static void test_ask_gives_sources_by_https_to_who_can_use_it(void **state)
{
    struct cluster_route route;

    (void)state;
    report_with_tls("o1", CLUSTER_ORIGIN, "", true);
    report_with_tls("e1", CLUSTER_EDGE, "o1", false);
    report("e2", CLUSTER_EDGE, NULL, 0);
    route = ask_tls(CLUSTER_INTENT_SOURCE, "e2", "");
    assert_int_equal(route.n_upstreams, 2);
    assert_string_equal(route.upstreams[0].url, "https://o1:8443");
    assert_string_equal(route.upstreams[1].url, "http://e1:8080"); /* better than none */
    route = ask(CLUSTER_INTENT_SOURCE, "e2", false); /* a node of the release before */
    assert_string_equal(route.upstreams[0].url, "http://o1:8080");
}

static void test_ask_keeps_people_on_tls(void **state)
{
    struct cluster_route route;

    (void)state;
    report_with_tls("o1", CLUSTER_ORIGIN, "", true);
    report_with_tls("e1", CLUSTER_EDGE, "o1", false);
    report_with_tls("e2", CLUSTER_EDGE, "o1", true);
    for (int i = 0; i < 8; i++) {
        route = ask_tls(CLUSTER_INTENT_PLAY, "", i % 2 ? "ts" : "rtmp");
        assert_int_equal(route.decision, CLUSTER_REDIRECT);
        assert_string_equal(route.redirect_url,
                            i % 2 ? "https://e2.example/live/x.ts" : "rtmps://e2.example/live/x");
    }
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
    g_now_us += 2 * SECOND; /* two intervals: they may still come */
    report("o1", CLUSTER_ORIGIN, "", 0);
    assert_string_not_equal(ask(CLUSTER_INTENT_SOURCE, "e5", true).upstreams[0].node, "o1");
    g_now_us++; /* nobody reported them: they did not come */
    assert_string_equal(ask(CLUSTER_INTENT_SOURCE, "e5", true).upstreams[0].node, "o1");
}

static void test_ask_chains_edges_that_ask_in_the_same_moment(void **state)
{
    unsigned n_children[15] = {0}, depth[15] = {0}; /* [0]: of the owner; [n]: of edge n */

    (void)state;
    report("e0", CLUSTER_ORIGIN, "", 0);
    for (unsigned i = 1; i < 15; i++) {
        char id[8];

        snprintf(id, sizeof id, "e%u", i);
        report(id, CLUSTER_EDGE, NULL, 0);
    }
    for (unsigned i = 1; i < 15; i++) { /* 2 + 4 + 8: all that a tree of depth 3 has room for */
        char id[8];
        unsigned up;

        snprintf(id, sizeof id, "e%u", i);
        up = (unsigned)atoi(ask(CLUSTER_INTENT_SOURCE, id, false).upstreams[0].node + 1);
        assert_true(up < i);
        n_children[up]++;
        depth[i] = depth[up] + 1;
        assert_in_range(depth[i], 1, 3);
    }
    for (unsigned i = 0; i < 15; i++)
        assert_in_range(n_children[i], 0, 2);
}

static void test_ask_moves_carriers_of_a_lost_owner_as_a_tree(void **state)
{
    unsigned n_from_owner = 0;

    (void)state;
    for (unsigned i = 1; i < 7; i++) {
        char id[8];

        snprintf(id, sizeof id, "e%u", i);
        report(id, CLUSTER_EDGE, "o1", 1); /* at epoch 9 */
    }
    say_epoch = 10;
    report("o2", CLUSTER_ORIGIN, "", 0);
    say_epoch = 9;
    for (unsigned i = 1; i < 7; i++) {
        char id[8];

        snprintf(id, sizeof id, "e%u", i);
        n_from_owner += !strcmp(ask(CLUSTER_INTENT_SOURCE, id, false).upstreams[0].node, "o2");
    }
    assert_int_equal(n_from_owner, 2);
}

static void test_ask_forgets_who_was_sent_and_did_not_come(void **state)
{
    (void)state;
    report("o1", CLUSTER_ORIGIN, "", 0);
    report("e1", CLUSTER_EDGE, NULL, 0);
    report("e2", CLUSTER_EDGE, NULL, 0);
    assert_int_equal(ask(CLUSTER_INTENT_SOURCE, "e1", false).n_upstreams, 1);
    assert_int_equal(ask(CLUSTER_INTENT_SOURCE, "e2", false).n_upstreams, 2);
    g_now_us += 2 * SECOND + 1;
    report("o1", CLUSTER_ORIGIN, "", 0);
    (void)registry_sweep(&g_registry, g_now_us, UINT32_MAX);
    assert_int_equal(ask(CLUSTER_INTENT_SOURCE, "e3", false).n_upstreams, 1);
}

static void test_ask_believes_the_report_of_who_was_sent(void **state)
{
    struct cluster_route route;

    (void)state;
    report("o1", CLUSTER_ORIGIN, "", 0);
    report("e1", CLUSTER_EDGE, NULL, 0);
    report("e2", CLUSTER_EDGE, NULL, 0);
    (void)ask(CLUSTER_INTENT_SOURCE, "e1", false);
    g_now_us += SECOND;
    report("e1", CLUSTER_EDGE, "o1", 1);
    g_now_us += 3 * SECOND;
    report("o1", CLUSTER_ORIGIN, "", 0);
    report("e1", CLUSTER_EDGE, "o1", 1);
    (void)registry_sweep(&g_registry, g_now_us, UINT32_MAX);
    route = ask(CLUSTER_INTENT_SOURCE, "e2", false);
    assert_int_equal(route.n_upstreams, 2);
    assert_true(route.upstreams[1].epoch == 9);
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
    assert_in_range(n_first, 37, 63); /* none has more than 125 % of the mean, and one */
}

static void test_ask_denies_people_when_every_edge_is_at_its_limit(void **state)
{
    (void)state;
    report("o1", CLUSTER_ORIGIN, "", 0);
    say(&(struct said){"e1", CLUSTER_EDGE, NULL, 0, NULL, .n_viewers = 1, .max_viewers = 2});
    assert_int_equal(ask(CLUSTER_INTENT_PLAY, "", false).decision, CLUSTER_REDIRECT);
    assert_int_equal(ask(CLUSTER_INTENT_PLAY, "", false).decision, CLUSTER_DENY);
    say(&(struct said){"e1", CLUSTER_EDGE, NULL, 0, NULL, .n_viewers = 1, .max_viewers = 2});
    assert_int_equal(ask(CLUSTER_INTENT_PLAY, "", false).decision, CLUSTER_REDIRECT);
}

static void test_ask_sends_people_on_from_an_edge_that_is_full(void **state)
{
    (void)state;
    report("o1", CLUSTER_ORIGIN, "", 0);
    report("e2", CLUSTER_EDGE, NULL, 0);
    say(&(struct said){"e1", CLUSTER_EDGE, "o1", 1, NULL, .n_viewers = 2, .max_viewers = 2});
    assert_string_equal(ask(CLUSTER_INTENT_PLAY, "e1", false).redirect_url,
                        "http://e2.example:8080/live/x.flv");
    assert_int_equal(ask(CLUSTER_INTENT_SOURCE, "e1", false).decision, CLUSTER_PULL);
}

static void report_many(const char *prefix, int n, enum cluster_role role, const char *upstream)
{
    for (int i = 0; i < n; i++) {
        char id[16];

        snprintf(id, sizeof id, "%s%d", prefix, i);
        report(id, role, upstream, 1);
    }
}

static void test_ask_looks_at_a_few_of_many_edges_and_stays_with_them(void **state)
{
    char first[2 * CLUSTER_URL_SIZE];

    (void)state;
    report_many("e", 1000, CLUSTER_EDGE, NULL);
    snprintf(first, sizeof first, "%s", ask(CLUSTER_INTENT_PLAY, "", false).redirect_url);
    assert_in_range(g_router.n_candidates, 1, 32);
    for (int i = 0; i < 40; i++)
        assert_string_equal(ask(CLUSTER_INTENT_PLAY, "", false).redirect_url, first);
}

static void test_ask_looks_at_a_few_of_many_carriers(void **state)
{
    char first[2 * CLUSTER_URL_SIZE];

    (void)state;
    report("o1", CLUSTER_ORIGIN, "", 0);
    report_many("e", 1000, CLUSTER_EDGE, "o1");
    snprintf(first, sizeof first, "%s", ask(CLUSTER_INTENT_PLAY, "", false).redirect_url);
    assert_in_range(g_router.n_candidates, 2, 64);
    assert_string_equal(ask(CLUSTER_INTENT_PLAY, "", false).redirect_url, first);
    assert_int_equal(ask(CLUSTER_INTENT_SOURCE, "e999", false).n_upstreams, 4);
    assert_in_range(g_router.n_candidates, 2, 64);
}

static void test_ask_finds_the_edge_that_has_room_among_many_that_are_above_the_bound(void **state)
{
    (void)state;
    g_router.load_slack = 0;
    for (int i = 0; i < 300; i++) {
        char id[16];

        snprintf(id, sizeof id, "e%d", i);
        say(&(struct said){id, CLUSTER_EDGE, NULL, 0, NULL, .n_viewers = i == 7 ? 10 : 100});
    }
    g_router.load_factor_percent = 100;
    assert_string_equal(ask(CLUSTER_INTENT_PLAY, "", false).redirect_url,
                        "http://e7.example:8080/live/x.flv");
}

static void test_ask_finds_a_source_of_low_depth_through_the_parents_of_others(void **state)
{
    struct cluster_route route;

    (void)state;
    g_router.max_children = 400;
    report("o1", CLUSTER_ORIGIN, "", 0);
    report("p1", CLUSTER_EDGE, "o1", 1);
    for (int i = 0; i < 300; i++) {
        char id[16];

        snprintf(id, sizeof id, "e%d", i);
        report(id, CLUSTER_EDGE, "p1", 2);
    }
    route = ask(CLUSTER_INTENT_SOURCE, "new", false);
    assert_string_equal(route.upstreams[0].node, "o1");
    assert_string_equal(route.upstreams[1].node, "p1"); /* one of 301, but parent of all */
    assert_int_equal(route.upstreams[2].depth, 2);
}

static void test_ask_prefers_the_zone_of_a_node_however_many_others_there_are(void **state)
{
    (void)state;
    report_many("o", 300, CLUSTER_ORIGIN, NULL);
    say(&(struct said){"near", CLUSTER_ORIGIN, NULL, 0, .zone = "east"});
    say(&(struct said){"e1", CLUSTER_EDGE, NULL, 0, .zone = "east"});
    assert_string_equal(ask(CLUSTER_INTENT_PUBLISH, "e1", false).redirect_url,
                        "rtmp://near:1935/live/x");
}

/* What the explanation says of the node under the key, or NULL. */
static json_t *explained(json_t *list, const char *node, const char *key)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *one = json_array_get(list, i);

        if (strcmp(json_string_value(json_object_get(one, "node")), node) == 0)
            return json_object_get(one, key);
    }
    return NULL;
}

static void test_ask_explains_every_node_and_counts_nothing(void **state)
{
    struct cluster_route route;
    json_t *list;

    (void)state;
    report("o1", CLUSTER_ORIGIN, "", 0);
    say(&(struct said){"e1", CLUSTER_EDGE, "o1", 1, .zone = "a \"zone\"", .n_viewers = 3});
    report("e2", CLUSTER_EDGE, NULL, 0);
    for (int i = 0; i < 5; i++)
        route = ask(CLUSTER_INTENT_SOURCE, "e2", true);
    assert_string_equal(route.upstreams[0].node, "o1");
    list = json_loadb((const char *)route.candidates_json.data, route.candidates_json.size_bytes, 0,
                      NULL);
    assert_int_equal(json_array_size(list), 3);
    assert_string_equal(json_string_value(explained(list, "o1", "why")), "taken");
    assert_int_equal(json_integer_value(explained(list, "o1", "order")), 1);
    assert_string_equal(json_string_value(explained(list, "o1", "epoch")), "9");
    assert_true(json_is_true(explained(list, "e1", "taken")));
    assert_int_equal(json_integer_value(explained(list, "e1", "viewers")), 3);
    assert_string_equal(json_string_value(explained(list, "e1", "zone")), "a \"zone\"");
    assert_int_equal(json_integer_value(explained(list, "e1", "depth")), 1);
    assert_string_equal(json_string_value(explained(list, "e2", "why")),
                        "does not carry the stream");
    json_decref(list);
    assert_int_equal(registry_recent_count(
                         &g_registry, &registry_stream(&g_registry, "live/x")->recent, g_now_us),
                     0);
}

static void test_ask_explains_that_most_of_many_were_not_looked_at(void **state)
{
    struct cluster_route route;
    unsigned n_unseen = 0;
    json_t *list;

    (void)state;
    report_many("e", 1000, CLUSTER_EDGE, NULL);
    route = ask(CLUSTER_INTENT_PLAY, "", true);
    list = json_loadb((const char *)route.candidates_json.data, route.candidates_json.size_bytes, 0,
                      NULL);
    assert_int_equal(json_array_size(list), 500);
    for (size_t i = 0; i < 500; i++)
        if (strcmp(json_string_value(json_object_get(json_array_get(list, i), "why")),
                   placement_why_text(PLACEMENT_UNSEEN)) == 0)
            n_unseen++;
    assert_int_equal(n_unseen, 500 - 16);
    json_decref(list);
}

static const char *pick(const char *edge, uint64_t run, const char *avoid)
{
    struct cluster_publish request = {.name = name_of("/live/x"), .run = run};
    struct registry_node *origin;

    if (*avoid)
        memcpy(request.avoid.id[request.avoid.n++], avoid, strlen(avoid) + 1);
    origin = router_pick_origin(&g_router, registry_node(&g_registry, edge), &request, g_now_us);
    return origin ? origin->id : "";
}

static void test_pick_origin_gives_the_owner_first_then_the_least_loaded(void **state)
{
    (void)state;
    report("o1", CLUSTER_ORIGIN, "", 0);
    report("o2", CLUSTER_ORIGIN, NULL, 0);
    report("e1", CLUSTER_EDGE, NULL, 0);
    for (int i = 0; i < 3; i++)
        assert_string_equal(pick("e1", 5, ""), "o1");
    assert_int_equal(registry_release(&g_registry, "live/x", "o1", 1, 9), E_OK);
    assert_string_equal(pick("e1", 5, ""), "o1");
    assert_string_equal(pick("e1", 5, ""), "o2");
    g_now_us += 6 * SECOND;
    assert_string_equal(pick("e1", 5, ""), "");
}

static void test_pick_origin_goes_beside_the_owner_of_another_encoder(void **state)
{
    (void)state;
    report("o1", CLUSTER_ORIGIN, "", 0);
    report("e1", CLUSTER_EDGE, NULL, 0);
    registry_stream(&g_registry, "live/x")->run = 7;
    assert_string_equal(pick("e1", 8, ""), "o1"); /* there is no other: it decides itself */
    report("o2", CLUSTER_ORIGIN, NULL, 0);
    assert_string_equal(pick("e1", 8, ""), "o2");
    assert_string_equal(pick("e1", 7, ""), "o1");
    assert_string_equal(pick("e1", 0, ""), "o1"); /* it may be the same */
}

static void test_pick_origin_leaves_out_what_just_failed(void **state)
{
    (void)state;
    report("o1", CLUSTER_ORIGIN, "", 0);
    report("o2", CLUSTER_ORIGIN, NULL, 0);
    report("e1", CLUSTER_EDGE, NULL, 0);
    assert_string_equal(pick("e1", 7, "o1"), "o2");
    registry_suspect(registry_node(&g_registry, "o1"), g_now_us + 1);
    assert_string_equal(pick("e1", 7, ""), "o2");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_ask_gives_the_owner_then_carriers_to_a_node),
        CASE(test_ask_gives_sources_by_https_to_who_can_use_it),
        CASE(test_ask_keeps_people_on_tls),
        CASE(test_ask_counts_what_it_gave_away_until_reports_show_it),
        CASE(test_ask_chains_edges_that_ask_in_the_same_moment),
        CASE(test_ask_moves_carriers_of_a_lost_owner_as_a_tree),
        CASE(test_ask_forgets_who_was_sent_and_did_not_come),
        CASE(test_ask_believes_the_report_of_who_was_sent),
        CASE(test_ask_never_gives_a_node_its_own_child),
        CASE(test_ask_redirects_people_with_the_whole_url),
        CASE(test_ask_spreads_a_burst_over_edges_when_slack_is_used_up),
        CASE(test_ask_denies_people_when_every_edge_is_at_its_limit),
        CASE(test_ask_sends_people_on_from_an_edge_that_is_full),
        CASE(test_ask_looks_at_a_few_of_many_edges_and_stays_with_them),
        CASE(test_ask_looks_at_a_few_of_many_carriers),
        CASE(test_ask_finds_the_edge_that_has_room_among_many_that_are_above_the_bound),
        CASE(test_ask_finds_a_source_of_low_depth_through_the_parents_of_others),
        CASE(test_ask_prefers_the_zone_of_a_node_however_many_others_there_are),
        CASE(test_ask_explains_every_node_and_counts_nothing),
        CASE(test_ask_explains_that_most_of_many_were_not_looked_at),
        CASE(test_pick_origin_gives_the_owner_first_then_the_least_loaded),
        CASE(test_pick_origin_goes_beside_the_owner_of_another_encoder),
        CASE(test_pick_origin_leaves_out_what_just_failed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
