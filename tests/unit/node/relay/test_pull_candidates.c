/* Where to try: order, whom to avoid, and beginning again with what is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "node/relay/pull_private.h"

#define NOW_US 100000000

static void add(struct pull_candidates *c, const char *node, uint32_t depth)
{
    struct pull_candidate like = {.depth = depth};
    char base[64];

    snprintf(like.node, sizeof like.node, "%s", node);
    snprintf(base, sizeof base, "http://%s:8080", node);
    pull_candidates_add(c, &like, base, "live/a", ".flv");
}

/* Nodes in the order in which they would be tried. */
static const char *order(struct pull_candidates *c, int64_t now_us)
{
    static char text[256];
    const struct pull_candidate *to;

    text[0] = '\0';
    while ((to = pull_candidates_next(c, now_us))) {
        strncat(text, *text ? " " : "", sizeof text - strlen(text) - 1);
        strncat(text, to->node, sizeof text - strlen(text) - 1);
    }
    return text;
}

static void test_add_gives_the_whole_url_and_drops_what_does_not_fit(void **state)
{
    static const struct pull_candidate k_foreign;
    struct pull_candidates c = {0};
    char base[600];

    (void)state;
    add(&c, "o1", 0);
    assert_string_equal(c.all[0].url, "http://o1:8080/live/a.flv");
    assert_true(pull_candidates_hold(&c, "http://o1:8080/live/a.flv"));
    assert_false(pull_candidates_hold(&c, "http://o1:8080/live/a"));
    pull_candidates_add(&c, &k_foreign, "rtmp://far/live/b?key=1", "live/a", NULL);
    assert_string_equal(c.all[1].url, "rtmp://far/live/b?key=1");
    memset(base, 'x', sizeof base - 1);
    base[sizeof base - 1] = '\0';
    pull_candidates_add(&c, &k_foreign, base, "live/a", ".flv");
    assert_int_equal(c.n, 2);
    for (unsigned i = 0; i < 2 * PULL_MAX_CANDIDATES; i++)
        add(&c, "more", 1);
    assert_int_equal(c.n, PULL_MAX_CANDIDATES);
}

static void test_next_gives_as_many_as_the_search_began_with(void **state)
{
    struct pull_candidates c = {0};

    (void)state;
    add(&c, "a", 0);
    add(&c, "b", 1);
    add(&c, "c", 2);
    assert_string_equal(order(&c, NOW_US), "");
    pull_candidates_begin(&c, 2);
    assert_string_equal(order(&c, NOW_US), "a b");
    pull_candidates_begin(&c, 9);
    assert_string_equal(order(&c, NOW_US), "a b c");
    pull_candidates_clear(&c, NOW_US);
    pull_candidates_begin(&c, 9);
    assert_string_equal(order(&c, NOW_US), "");
}

static void test_next_leaves_out_whom_to_avoid_while_it_lasts(void **state)
{
    struct pull_candidates c = {0};
    struct cluster_ids ids;

    (void)state;
    add(&c, "a", 0);
    add(&c, "b", 0);
    pull_candidates_avoid(&c, "a", NOW_US + 10);
    pull_candidates_begin(&c, 9);
    assert_string_equal(order(&c, NOW_US), "b");
    pull_candidates_avoided(&c, NOW_US, &ids);
    assert_int_equal(ids.n, 1);
    assert_string_equal(ids.id[0], "a");
    pull_candidates_begin(&c, 9);
    assert_string_equal(order(&c, NOW_US + 10), "a b");
    pull_candidates_avoided(&c, NOW_US + 10, &ids);
    assert_int_equal(ids.n, 0);
}

static void test_avoid_keeps_the_longer_time_and_the_latest_nodes(void **state)
{
    struct pull_candidates c = {0};
    struct cluster_ids ids;
    char node[16];

    (void)state;
    pull_candidates_avoid(&c, "a", NOW_US + 100);
    pull_candidates_avoid(&c, "a", NOW_US + 10);
    pull_candidates_avoided(&c, NOW_US + 50, &ids);
    assert_int_equal(ids.n, 1);
    pull_candidates_avoid(&c, "", NOW_US + 100);                /* foreign */
    pull_candidates_avoid(&c, PULL_UNKNOWN_NODE, NOW_US + 100); /* the scheduler knows it no more */
    pull_candidates_avoided(&c, NOW_US + 50, &ids);
    assert_int_equal(ids.n, 1);
    for (unsigned i = 0; i < CLUSTER_MAX_UPSTREAMS; i++) {
        snprintf(node, sizeof node, "n%u", i);
        pull_candidates_avoid(&c, node, NOW_US + 100);
    }
    pull_candidates_avoided(&c, NOW_US, &ids);
    assert_int_equal(ids.n, CLUSTER_MAX_UPSTREAMS);
    assert_false(cluster_ids_hold(&ids, "a"));
    assert_true(cluster_ids_hold(&ids, "n0"));
}

static void test_begin_again_gives_any_of_the_equally_good_first(void **state)
{
    unsigned n_b = 0, n_c = 0;

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        struct pull_candidates c = {0};
        const char *got;

        pull_candidates_clear(&c, NOW_US);
        add(&c, "dead", 1);
        add(&c, "b", 1);
        add(&c, "c", 1);
        add(&c, "d", 2);
        pull_candidates_avoid(&c, "dead", NOW_US + 2000000);
        pull_candidates_begin_again(&c, NOW_US + 1000000);
        got = order(&c, NOW_US + 1000000);
        if (!strcmp(got, "b c d"))
            n_b++;
        else if (!strcmp(got, "c b d"))
            n_c++;
        else
            fail_msg("%s", got);
    }
    assert_true(n_b > 20 && n_c > 20);
}

static void test_begin_again_gives_the_nearest_first_when_it_is_alone(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 50; i++) {
        struct pull_candidates c = {0};

        pull_candidates_clear(&c, NOW_US);
        add(&c, "o", 0);
        add(&c, "b", 1);
        add(&c, "c", 1);
        pull_candidates_begin_again(&c, NOW_US);
        assert_string_equal(order(&c, NOW_US), "o b c");
    }
}

static void test_begin_again_gives_nothing_when_the_list_is_old(void **state)
{
    struct pull_candidates c = {0};

    (void)state;
    pull_candidates_clear(&c, NOW_US);
    add(&c, "a", 0);
    pull_candidates_begin_again(&c, NOW_US + 61000000);
    assert_string_equal(order(&c, NOW_US), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_gives_the_whole_url_and_drops_what_does_not_fit),
        cmocka_unit_test(test_next_gives_as_many_as_the_search_began_with),
        cmocka_unit_test(test_next_leaves_out_whom_to_avoid_while_it_lasts),
        cmocka_unit_test(test_avoid_keeps_the_longer_time_and_the_latest_nodes),
        cmocka_unit_test(test_begin_again_gives_any_of_the_equally_good_first),
        cmocka_unit_test(test_begin_again_gives_the_nearest_first_when_it_is_alone),
        cmocka_unit_test(test_begin_again_gives_nothing_when_the_list_is_old),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
