/* node/cluster/route_cache: freshness, events, limits, and the answers without scheduler. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "node/cluster/route_cache.h"

#define SECOND 1000000

static struct cluster_route_query question(const char *name, const char *protocol)
{
    struct cluster_route_query q = {.intent = CLUSTER_INTENT_SOURCE};
    const char *why = "";
    char path[64];

    snprintf(path, sizeof path, "/%s", name);
    assert_int_equal(stream_name_from_path(&q.name, buf_view_str(path), &why), E_OK);
    snprintf(q.protocol, sizeof q.protocol, "%s", protocol);
    return q;
}

static struct cluster_route pull_from(const char *first, const char *second, uint32_t ttl_ms)
{
    struct cluster_route r = {.decision = CLUSTER_PULL, .ttl_ms = ttl_ms, .n_upstreams = 2};

    snprintf(r.upstreams[0].node, sizeof r.upstreams[0].node, "%s", first);
    snprintf(r.upstreams[1].node, sizeof r.upstreams[1].node, "%s", second);
    r.upstreams[0].epoch = r.upstreams[1].epoch = 7;
    r.upstreams[1].depth = 1;
    return r;
}

static void test_fresh_gives_route_until_its_ttl(void **state)
{
    struct cluster_route_query q = question("live/a", "flv");
    struct cluster_route r = pull_from("o1", "e1", 2000);
    struct route_cache cache;
    struct route_entry *entry;

    (void)state;
    route_cache_init(&cache, 10);
    entry = route_cache_get(&cache, &q, 0);
    assert_null(route_entry_fresh(entry, 0, 0));
    route_entry_store(entry, &r, 10 * SECOND);
    assert_ptr_equal(route_cache_get(&cache, &q, 0), entry);
    assert_non_null(route_entry_fresh(entry, 0, 12 * SECOND - 1));
    assert_null(route_entry_fresh(entry, 0, 12 * SECOND));
    route_cache_fini(&cache);
}

static void test_fresh_gives_nothing_older_than_the_asker_has(void **state)
{
    struct cluster_route_query q = question("live/a", "flv");
    struct cluster_route r = pull_from("o1", "e1", 2000);
    struct route_cache cache;
    struct route_entry *entry;

    (void)state;
    route_cache_init(&cache, 10);
    entry = route_cache_get(&cache, &q, 0);
    route_entry_store(entry, &r, 0);
    assert_non_null(route_entry_fresh(entry, 7, 1));
    assert_null(route_entry_fresh(entry, 8, 1));
    route_cache_fini(&cache);
}

static void test_get_keeps_intents_protocols_and_tls_apart(void **state)
{
    struct cluster_route_query q = question("live/a", "flv"), rtmp = question("live/a", "rtmp"),
                               play = q, tls = q;
    struct route_cache cache;
    struct route_entry *first, *second, *third;

    (void)state;
    tls.tls = true;
    play.intent = CLUSTER_INTENT_PLAY;
    route_cache_init(&cache, 1); /* all of them belong to one stream */
    first = route_cache_get(&cache, &q, 0);
    second = route_cache_get(&cache, &rtmp, 0);
    third = route_cache_get(&cache, &play, 0);
    assert_true(first && second && third && first != second && second != third && first != third);
    assert_ptr_equal(route_cache_get(&cache, &q, 0), first);
    assert_ptr_equal(route_cache_get(&cache, &rtmp, 0), second);
    assert_ptr_equal(route_cache_get(&cache, &play, 0), third);
    assert_ptr_not_equal(route_cache_get(&cache, &tls, 0), first);
    assert_ptr_equal(route_cache_get(&cache, &tls, 0), route_cache_get(&cache, &tls, 0));
    route_cache_fini(&cache);
}

static void test_expire_keeps_route_for_bad_times_and_forget_does_not(void **state)
{
    struct cluster_route_query q = question("live/a", "flv");
    struct cluster_route r = pull_from("o1", "e1", 60000);
    struct route_cache cache;
    struct route_entry *entry;

    (void)state;
    route_cache_init(&cache, 10);
    entry = route_cache_get(&cache, &q, 0);
    route_entry_store(entry, &r, 0);
    route_cache_expire(&cache, "live/b");
    assert_non_null(route_entry_fresh(entry, 0, 1));
    route_cache_expire(&cache, "live/a");
    assert_null(route_entry_fresh(entry, 0, 1));
    assert_true(entry->has_route);
    route_entry_store(entry, &r, 0);
    route_cache_expire_all(&cache);
    assert_null(route_entry_fresh(entry, 0, 1));
    entry->flight = &cache; /* in use: only emptied */
    route_cache_forget(&cache, "live/a");
    assert_false(entry->has_route);
    entry->flight = NULL;
    route_cache_forget(&cache, "live/a");
    assert_int_equal(cache.streams.n_entries, 0);
    route_cache_fini(&cache);
}

static void test_get_drops_idle_entries_when_full_but_none_in_flight(void **state)
{
    struct cluster_route_query a = question("live/a", ""), b = question("live/b", ""),
                               c = question("live/c", "");
    struct route_cache cache;
    struct route_entry *entry;

    (void)state;
    route_cache_init(&cache, 2);
    entry = route_cache_get(&cache, &a, 0);
    entry->flight = &cache;
    assert_non_null(route_cache_get(&cache, &b, 0));
    assert_non_null(route_cache_get(&cache, &c, 0));
    assert_int_equal(cache.streams.n_entries, 2);
    assert_ptr_equal(route_cache_get(&cache, &a, 0), entry);
    route_cache_get(&cache, &c, 0)->flight = &cache;
    assert_null(route_cache_get(&cache, &b, 0));
    route_cache_fini(&cache);
}

static void test_sweep_drops_what_was_not_used_for_long(void **state)
{
    struct cluster_route_query a = question("live/a", ""), b = question("live/b", ""),
                               none = question("live/none", "");
    struct cluster_route r = pull_from("o1", "e1", 1);
    struct route_cache cache;

    (void)state;
    route_cache_init(&cache, 10);
    route_entry_store(route_cache_get(&cache, &a, 0), &r, 0);
    route_entry_store(route_cache_get(&cache, &b, 1), &r, 1);
    assert_non_null(route_cache_get(&cache, &none, 0)); /* no place to pull from */
    route_cache_sweep(&cache, ROUTE_CACHE_KEEP_EMPTY_US);
    assert_int_equal(cache.streams.n_entries, 2);
    route_cache_sweep(&cache, ROUTE_CACHE_KEEP_US);
    assert_int_equal(cache.streams.n_entries, 1);
    route_cache_sweep(&cache, ROUTE_CACHE_KEEP_US + 1);
    assert_int_equal(cache.streams.n_entries, 0);
    route_cache_fini(&cache);
}

static void test_depth_gives_one_more_than_the_upstream(void **state)
{
    struct cluster_route_query q = question("live/a", "");
    struct cluster_route r = pull_from("o1", "e1", 1);
    struct route_cache cache;

    (void)state;
    route_cache_init(&cache, 10);
    route_entry_store(route_cache_get(&cache, &q, 0), &r, 0);
    assert_int_equal(route_cache_depth(&cache, "live/a", "o1"), 1);
    assert_int_equal(route_cache_depth(&cache, "live/a", "e1"), 2);
    assert_int_equal(route_cache_depth(&cache, "live/a", "unknown"), 1);
    assert_int_equal(route_cache_depth(&cache, "live/b", "o1"), 1);
    route_cache_fini(&cache);
}

static char k_own[] = "http://10.0.0.1:80", k_other[] = "http://10.0.0.2:80";
static char *k_origins[] = {k_own, k_other};
static const struct conf_list k_two = {k_origins, 2}, k_none = {NULL, 0};
static const struct cluster_urls k_own_urls = {.http = "http://10.0.0.1:80",
                                               .https = "https://one.example"};

static void test_degraded_leaves_out_itself_by_either_address(void **state)
{
    static char tls[] = "https://one.example";
    static char *items[] = {k_own, tls, k_other};
    struct conf_list three = {items, 3};
    struct cluster_route_query q = question("live/a", "");
    struct route_fallback fallback = {&three, &k_own_urls};
    struct cluster_route out;

    (void)state;
    route_degraded(&q, NULL, &fallback, &out);
    assert_int_equal(out.n_upstreams, 1);
    assert_string_equal(out.upstreams[0].url, k_other);
}

static void test_degraded_gives_cached_upstreams_but_not_avoided_ones(void **state)
{
    struct cluster_route_query q = question("live/a", "");
    struct cluster_route cached = pull_from("o1", "e1", 1), out;
    struct route_fallback fallback = {&k_two, &k_own_urls};

    (void)state;
    route_degraded(&q, &cached, &fallback, &out);
    assert_int_equal(out.decision, CLUSTER_PULL);
    assert_int_equal(out.n_upstreams, 2);
    strcpy(q.avoid.id[0], "o1");
    q.avoid.n = 1;
    route_degraded(&q, &cached, &fallback, &out);
    assert_int_equal(out.n_upstreams, 1);
    assert_string_equal(out.upstreams[0].node, "e1");
    assert_int_equal(out.upstreams[0].depth, 1);
}

static void test_degraded_gives_other_fallback_origins_when_nothing_is_cached(void **state)
{
    struct cluster_route_query q = question("live/a", "");
    struct route_fallback fallback = {&k_two, &k_own_urls};
    struct cluster_route out;

    (void)state;
    route_degraded(&q, NULL, &fallback, &out);
    assert_int_equal(out.decision, CLUSTER_PULL);
    assert_int_equal(out.n_upstreams, 1);
    assert_string_equal(out.upstreams[0].url, k_other);
    assert_string_equal(out.upstreams[0].node, "");
    assert_true(out.ttl_ms > 0);
}

static void test_degraded_gives_wait_with_reason_when_nothing_is_known(void **state)
{
    struct cluster_route_query q = question("live/a", "");
    struct route_fallback fallback = {&k_none, &k_own_urls};
    struct cluster_route out;

    (void)state;
    route_degraded(&q, NULL, &fallback, &out);
    assert_int_equal(out.decision, CLUSTER_WAIT);
    assert_true(strlen(out.reason) > 0);
    q.intent = CLUSTER_INTENT_PLAY;
    route_degraded(&q, NULL, &fallback, &out);
    assert_int_equal(out.decision, CLUSTER_SERVE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fresh_gives_route_until_its_ttl),
        cmocka_unit_test(test_fresh_gives_nothing_older_than_the_asker_has),
        cmocka_unit_test(test_get_keeps_intents_protocols_and_tls_apart),
        cmocka_unit_test(test_expire_keeps_route_for_bad_times_and_forget_does_not),
        cmocka_unit_test(test_get_drops_idle_entries_when_full_but_none_in_flight),
        cmocka_unit_test(test_sweep_drops_what_was_not_used_for_long),
        cmocka_unit_test(test_depth_gives_one_more_than_the_upstream),
        cmocka_unit_test(test_degraded_leaves_out_itself_by_either_address),
        cmocka_unit_test(test_degraded_gives_cached_upstreams_but_not_avoided_ones),
        cmocka_unit_test(test_degraded_gives_other_fallback_origins_when_nothing_is_cached),
        cmocka_unit_test(test_degraded_gives_wait_with_reason_when_nothing_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
