/* Hop lists: a relay that would be a loop is seen from either end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/stream/hops.h"

#include <stdio.h>
#include <string.h>

static void test_hold_gives_whole_ids_only(void **state)
{
    unsigned n = 0;

    (void)state;
    assert_true(hops_hold("e1,e2, o1", "o1", &n));
    assert_int_equal(n, 3);
    assert_false(hops_hold("e10,e2", "e1", &n));
    assert_false(hops_hold("e1", "e10", NULL));
    assert_false(hops_hold("", "e1", &n));
    assert_int_equal(n, 0);
    assert_true(hops_hold(" ,,e1,, ", "e1", &n));
    assert_int_equal(n, 1);
}

/* A child that gets the stream from here, which it may. */
static void feed(struct hops *h, struct hops_child *child, const char *ids)
{
    assert_true(hops_add_child(h, child, ids));
    hops_feed_child(h, child);
}

static void test_set_upstream_gives_false_when_it_pulls_from_here(void **state)
{
    struct hops_child direct, below;
    struct hops h;

    (void)state;
    hops_init(&h);
    feed(&h, &direct, "e1");
    feed(&h, &below, "e2,e3");
    assert_false(hops_set_upstream(&h, 0, "e1"));
    assert_false(hops_set_upstream(&h, 0, "e3"));
    assert_true(hops_set_upstream(&h, 0, "o1"));
    hops_remove_child(&h, &below);
    assert_true(hops_set_upstream(&h, 0, "e3"));
    hops_remove_child(&h, &direct);
    hops_fini(&h);
}

static void test_set_upstream_gives_true_when_it_only_waits_here(void **state)
{
    struct hops_child child;
    char out[HOPS_SIZE];
    struct hops h;

    (void)state;
    hops_init(&h);
    assert_true(hops_add_child(&h, &child, "e1,e2"));
    assert_true(hops_set_upstream(&h, 0, "e1"));
    hops_write(&h, "me", out);
    assert_string_equal(out, "me");
    hops_feed_child(&h, &child);
    assert_false(hops_set_upstream(&h, 0, "e1"));
    hops_write(&h, "me", out);
    assert_string_equal(out, "me,e1,e2");
    hops_remove_child(&h, &child);
    hops_fini(&h);
}

static void test_add_child_gives_false_when_we_pull_from_it(void **state)
{
    struct hops_child child;
    struct hops h;

    (void)state;
    hops_init(&h);
    assert_true(hops_set_upstream(&h, 0, "o1"));
    assert_false(hops_add_child(&h, &child, "e2,o1"));
    hops_remove_child(&h, &child); /* fine though it was refused */
    assert_true(hops_set_upstream(&h, 0, ""));
    assert_true(hops_add_child(&h, &child, "e2,o1"));
    hops_remove_child(&h, &child);
    hops_fini(&h);
}

/* Whether a relay with this hop list is let in. */
static bool lets_in(struct hops *h, const char *ids)
{
    struct hops_child child;
    bool ok = hops_add_child(h, &child, ids);

    hops_remove_child(h, &child);
    return ok;
}

static void test_add_child_gives_false_when_one_of_two_upstreams_is_it(void **state)
{
    struct hops h;

    (void)state;
    hops_init(&h);
    assert_true(hops_set_upstream(&h, 0, "e1")); /* the one that we have */
    assert_true(hops_set_upstream(&h, 1, "e2")); /* the one that we try */
    assert_false(lets_in(&h, "e1"));
    assert_false(lets_in(&h, "e2"));
    assert_true(hops_set_upstream(&h, 0, ""));
    assert_true(lets_in(&h, "e1"));
    assert_false(lets_in(&h, "e2"));
    hops_fini(&h);
}

static void test_add_child_gives_false_when_it_is_above_us_at_any_height(void **state)
{
    struct hops h;

    (void)state;
    hops_init(&h);
    assert_true(hops_set_path(&h, "e9,o1"));
    assert_false(lets_in(&h, "e9"));
    assert_false(lets_in(&h, "o1"));
    assert_false(lets_in(&h, "e3,o1"));
    assert_true(lets_in(&h, "o"));
    assert_true(hops_set_path(&h, ""));
    assert_true(lets_in(&h, "o1"));
    hops_fini(&h);
}

static void test_add_child_gives_false_when_it_would_be_too_deep(void **state)
{
    struct hops h;

    (void)state;
    hops_init(&h);
    (void)hops_set_path(&h, "e2,o1");
    assert_true(lets_in(&h, "e3")); /* three nodes above it */
    (void)hops_set_path(&h, "e2,e1,o1");
    assert_false(lets_in(&h, "e3"));
    hops_fini(&h);
}

static void test_set_path_gives_true_when_it_is_a_change(void **state)
{
    char out[HOPS_ID_SIZE + HOPS_PATH_SIZE];
    struct hops h;

    (void)state;
    hops_init(&h);
    assert_false(hops_set_path(&h, ""));
    hops_write_path(&h, "o1", out);
    assert_string_equal(out, "o1");
    assert_true(hops_set_path(&h, "e1,o1"));
    assert_false(hops_set_path(&h, "e1,o1"));
    hops_write_path(&h, "e2", out);
    assert_string_equal(out, "e2,e1,o1");
    hops_fini(&h);
}

static void test_write_gives_each_id_once_and_no_more_than_the_limit(void **state)
{
    struct hops_child children[HOPS_MAX + 2];
    char out[HOPS_SIZE], ids[64];
    unsigned n = 0;
    struct hops h;

    (void)state;
    hops_init(&h);
    hops_write(&h, "me", out);
    assert_string_equal(out, "me");
    feed(&h, &children[0], "e1,e2");
    feed(&h, &children[1], "e2,e3");
    hops_write(&h, "me", out);
    assert_string_equal(out, "me,e1,e2,e3");
    for (unsigned i = 2; i < HOPS_MAX + 2; i++) {
        snprintf(ids, sizeof ids, "more-%u", i);
        feed(&h, &children[i], ids);
    }
    hops_write(&h, "me", out);
    assert_true(hops_hold(out, "me", &n));
    assert_int_equal(n, HOPS_MAX);
    for (unsigned i = 0; i < HOPS_MAX + 2; i++)
        hops_remove_child(&h, &children[i]);
    hops_fini(&h);
}

static void test_write_fits_with_the_longest_ids(void **state)
{
    struct hops_child children[HOPS_MAX];
    char out[HOPS_SIZE], id[HOPS_ID_SIZE];
    struct hops h;

    (void)state;
    hops_init(&h);
    for (unsigned i = 0; i < HOPS_MAX; i++) {
        memset(id, 'a' + (int)i, sizeof id - 1);
        id[sizeof id - 1] = '\0';
        feed(&h, &children[i], id);
    }
    memset(id, 'z', sizeof id - 1);
    hops_write(&h, id, out);
    assert_true(strlen(out) < sizeof out);
    assert_true(hops_hold(out, id, NULL));
    for (unsigned i = 0; i < HOPS_MAX; i++)
        hops_remove_child(&h, &children[i]);
    hops_fini(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hold_gives_whole_ids_only),
        cmocka_unit_test(test_set_upstream_gives_false_when_it_pulls_from_here),
        cmocka_unit_test(test_set_upstream_gives_true_when_it_only_waits_here),
        cmocka_unit_test(test_add_child_gives_false_when_we_pull_from_it),
        cmocka_unit_test(test_add_child_gives_false_when_one_of_two_upstreams_is_it),
        cmocka_unit_test(test_add_child_gives_false_when_it_is_above_us_at_any_height),
        cmocka_unit_test(test_add_child_gives_false_when_it_would_be_too_deep),
        cmocka_unit_test(test_set_path_gives_true_when_it_is_a_change),
        cmocka_unit_test(test_write_gives_each_id_once_and_no_more_than_the_limit),
        cmocka_unit_test(test_write_fits_with_the_longest_ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
