/* Owners, carriers behind them, and publishers held ready. */
#include "tests/unit/scheduler/registry_world.h"

static void test_release_is_stale_for_anybody_but_the_owner(void **state)
{
    struct world *w = *state;

    report(w, "o1", 1, 1, NULL, 0);
    grant(w, "/live/x", "o1", 30);
    assert_int_equal(registry_release(&w->r, "live/x", "o2", 1, 30), E_STALE);
    assert_int_equal(registry_release(&w->r, "live/x", "o1", 2, 30), E_STALE);
    assert_int_equal(registry_release(&w->r, "live/x", "o1", 1, 29), E_STALE);
    assert_int_equal(registry_release(&w->r, "live/x", "o1", 1, 30), E_OK);
    assert_int_equal(registry_release(&w->r, "live/x", "o1", 1, 30), E_NOT_FOUND);
    assert_null(registry_stream(&w->r, "live/x"));
}

static void test_grant_is_stale_when_a_later_one_is_known(void **state)
{
    struct world *w = *state;
    struct stream_name name = name_of("/live/x");
    struct registry_lease late = {.name = &name, .epoch = 29};

    report(w, "o1", 1, 1, NULL, 0);
    report(w, "o2", 1, 1, NULL, 0);
    grant(w, "/live/x", "o1", 30);
    late.node = registry_node(&w->r, "o2");
    assert_int_equal(registry_grant(&w->r, &late, w->now_us), E_STALE);
    assert_string_equal(owner_of(w, "live/x"), "o1");
}

static void test_run_is_kept_with_the_owner_and_comes_back_with_its_report(void **state)
{
    struct world *w = *state;
    struct cluster_stream s = owned("/live/x", 30);

    report(w, "o1", 1, 1, NULL, 0);
    grant_run(w, "/live/x", "o1", 30, 77);
    assert_true(registry_stream(&w->r, "live/x")->run == 77);
    report(w, "o1", 1, 2, &s, 1); /* of a release that does not say it */
    assert_true(registry_stream(&w->r, "live/x")->run == 77);
    s.run = 78;
    report(w, "o2", 1, 1, NULL, 0);
    report(w, "o1", 1, 3, &s, 1);
    assert_true(registry_stream(&w->r, "live/x")->run == 78);
    grant(w, "/live/x", "o2", 40);
    assert_true(registry_stream(&w->r, "live/x")->run == 0);
}

/* What the next answer to the node tells of moved streams: "name@epoch" each. */
static void assert_moved(struct world *w, const char *node, uint64_t seq, const char *expected)
{
    struct beat b = beat_of(node, 1, seq);
    char told[1024] = "";

    b.m.full = false;
    assert_int_equal(send_beat(w, &b), E_OK);
    for (size_t i = 0; i < b.reply.n_moved; i++) {
        size_t used = strlen(told);

        snprintf(told + used, sizeof told - used, "%s%s@%llu:%s", used ? " " : "",
                 b.reply.moved[i].name.text, (unsigned long long)b.reply.moved[i].epoch,
                 b.reply.moved[i].owner);
    }
    assert_string_equal(told, expected);
    drop_beat(&b);
}

static void test_carriers_hear_of_a_move_until_they_report_the_new_epoch(void **state)
{
    struct world *w = *state;
    struct cluster_stream s[] = {carried("/live/x", 30, "o1"), carried("/live/y", 0, "")};

    report(w, "o1", 1, 1, NULL, 0);
    report(w, "o2", 1, 1, NULL, 0);
    grant(w, "/live/x", "o1", 30);
    grant(w, "/live/y", "o1", 31); /* e1 pulls a foreign one of this name */
    report(w, "e1", 1, 1, s, 2);
    assert_moved(w, "e1", 2, "");
    grant(w, "/live/x", "o2", 40);
    assert_moved(w, "e1", 3, "live/x@40:o2");
    assert_moved(w, "e1", 4, "live/x@40:o2"); /* again, since an answer may be lost */
    s[0].epoch = 40;
    report(w, "e1", 1, 5, s, 2);
    assert_moved(w, "e1", 6, "");
    s[0].epoch = 50; /* it heard of a grant that this scheduler has not heard of */
    report(w, "e1", 1, 7, s, 2);
    assert_moved(w, "e1", 8, "");
}

static void test_carriers_hear_of_no_move_when_nobody_owns_the_stream(void **state)
{
    struct world *w = *state;
    struct cluster_stream s = carried("/live/x", 30, "o1");

    report(w, "o1", 1, 1, NULL, 0);
    grant(w, "/live/x", "o1", 40);
    report(w, "e1", 1, 1, &s, 1);
    assert_moved(w, "e1", 2, "live/x@40:o1");
    assert_int_equal(registry_release(&w->r, "live/x", "o1", 1, 40), E_OK);
    assert_moved(w, "e1", 3, "");
    grant(w, "/live/x", "e1", 50); /* it publishes itself */
    assert_moved(w, "e1", 4, "");
}

static void test_standby_is_called_for_when_the_owner_releases(void **state)
{
    struct world *w = *state;

    report(w, "o1", 1, 1, NULL, 0);
    report(w, "o2", 1, 1, NULL, 0);
    grant(w, "/live/x", "o1", 30);
    hold(w, "/live/x", "o2");
    w->said[0] = '\0';
    assert_int_equal(registry_release(&w->r, "live/x", "o1", 1, 30), E_OK);
    assert_said(w, "ended:live/x:o1 orphan:live/x:-");
    assert_non_null(registry_stream(&w->r, "live/x")); /* the standby keeps it known */
    grant(w, "/live/x", "o2", 40);
    assert_int_equal(w->r.n_standbys, 0);
    assert_int_equal(registry_release(&w->r, "live/x", "o2", 1, 40), E_OK);
    assert_null(registry_stream(&w->r, "live/x"));
}

static void test_standby_is_called_for_when_the_owner_is_lost_lapses_or_restarts(void **state)
{
    struct world *w = *state;
    struct beat o2 = beat_of("o2", 1, 2);

    report(w, "o1", 1, 1, NULL, 0);
    report(w, "o2", 1, 1, NULL, 0);
    grant(w, "/live/x", "o1", 30);
    hold(w, "/live/x", "o2");
    assert_true(registry_has_standbys(registry_node(&w->r, "o1")));
    assert_false(registry_has_standbys(registry_node(&w->r, "o2")));
    w->said[0] = '\0';
    registry_lost(&w->r, registry_node(&w->r, "o1"));
    registry_lost(&w->r, registry_node(&w->r, "o1"));
    assert_said(w, "orphan:live/x:o1");
    o2.m.n_standbys = 1;
    o2.standbys[0].name = name_of("/live/x");
    w->now_us += 4 * SECOND;
    assert_int_equal(send_beat(w, &o2), E_OK);
    w->now_us += 2 * SECOND;
    sweep(w);
    assert_said(w, "lapse:o1: orphan:live/x:o1");
    report(w, "o1", 2, 1, NULL, 0);
    reap(w);
    assert_said(w, "dropped:live/x:o1 orphan:live/x:-");
    drop_beat(&o2);
}

static void test_standby_is_called_for_again_while_it_waits_for_nobody(void **state)
{
    struct world *w = *state;
    struct beat o2 = beat_of("o2", 1, 1);

    o2.m.n_standbys = 1;
    o2.standbys[0].name = name_of("/live/x");
    for (int i = 0; i <= 5; i++) { /* for a lease its owner may still report itself */
        assert_int_equal(send_beat(w, &o2), E_OK);
        o2.m.seq++;
        w->now_us += SECOND;
    }
    assert_said(w, "");
    assert_int_equal(send_beat(w, &o2), E_OK);
    assert_said(w, "orphan:live/x:-");
    drop_beat(&o2);
}

static void test_standby_ends_when_a_report_does_not_name_it(void **state)
{
    struct world *w = *state;
    struct beat o2 = beat_of("o2", 1, 2);

    report(w, "o1", 1, 1, NULL, 0);
    report(w, "o2", 1, 1, NULL, 0);
    grant(w, "/live/x", "o1", 30);
    hold(w, "/live/x", "o2");
    assert_int_equal(send_beat(w, &o2), E_OK); /* written before the answer came */
    assert_int_equal(w->r.n_standbys, 1);
    o2.m.seq++;
    o2.m.n_standbys = 1;
    o2.standbys[0].name = name_of("/live/x");
    assert_int_equal(send_beat(w, &o2), E_OK);
    o2.m.seq++;
    o2.m.n_standbys = 0;
    assert_int_equal(send_beat(w, &o2), E_OK);
    assert_int_equal(w->r.n_standbys, 0);
    assert_false(registry_has_standbys(registry_node(&w->r, "o1")));
    hold(w, "/live/x", "o2");
    w->now_us += 6 * SECOND; /* the answer never came */
    o2.m.seq++;
    assert_int_equal(send_beat(w, &o2), E_OK);
    assert_int_equal(w->r.n_standbys, 0);
    drop_beat(&o2);
}

static void test_standby_behind_its_own_publisher_is_the_nodes_own_matter(void **state)
{
    struct world *w = *state;
    struct cluster_stream s = owned("/live/x", 30);
    struct beat o1 = beat_of("o1", 1, 1);

    o1.m.streams = &s;
    o1.m.n_streams = o1.m.n_standbys = 1;
    o1.standbys[0].name = name_of("/live/x");
    assert_int_equal(send_beat(w, &o1), E_OK);
    assert_int_equal(w->r.n_standbys, 0);
    drop_beat(&o1);
}

static void test_standby_at_an_edge_is_the_edges_own_matter(void **state)
{
    struct world *w = *state;
    struct beat e1 = beat_of("e1", 1, 1);

    e1.m.role = CLUSTER_EDGE;
    e1.m.n_standbys = 1;
    e1.standbys[0].name = name_of("/live/x");
    assert_int_equal(send_beat(w, &e1), E_OK);
    assert_int_equal(w->r.n_standbys, 0);
    assert_null(registry_stream(&w->r, "live/x"));
    drop_beat(&e1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_standby_at_an_edge_is_the_edges_own_matter),
        CASE(test_release_is_stale_for_anybody_but_the_owner),
        CASE(test_grant_is_stale_when_a_later_one_is_known),
        CASE(test_run_is_kept_with_the_owner_and_comes_back_with_its_report),
        CASE(test_carriers_hear_of_a_move_until_they_report_the_new_epoch),
        CASE(test_carriers_hear_of_no_move_when_nobody_owns_the_stream),
        CASE(test_standby_is_called_for_when_the_owner_releases),
        CASE(test_standby_is_called_for_when_the_owner_is_lost_lapses_or_restarts),
        CASE(test_standby_is_called_for_again_while_it_waits_for_nobody),
        CASE(test_standby_ends_when_a_report_does_not_name_it),
        CASE(test_standby_behind_its_own_publisher_is_the_nodes_own_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
