/* Leases, suspicion and what is done once a second, under a simulated clock. */
#include "tests/unit/scheduler/registry_world.h"

static void test_lease_lapses_when_heartbeats_stop_and_returns_with_them(void **state)
{
    struct world *w = *state;
    struct cluster_stream s = owned("/live/x", 10);

    report(w, "o1", 1, 1, &s, 1);
    assert_said(w, "owner:live/x:o1");
    w->now_us += 3 * SECOND;
    assert_false(registry_is_suspect(&w->r, registry_node(&w->r, "o1"), w->now_us));
    w->now_us += 1;
    assert_true(registry_is_suspect(&w->r, registry_node(&w->r, "o1"), w->now_us));
    assert_true(registry_is_live(registry_node(&w->r, "o1"), w->now_us));
    w->now_us += 2 * SECOND;
    assert_false(registry_is_live(registry_node(&w->r, "o1"), w->now_us));
    sweep(w);
    sweep(w);
    assert_said(w, "lapse:o1:");                      /* once */
    assert_string_equal(owner_of(w, "live/x"), "o1"); /* it may come back */
    report(w, "o1", 1, 2, &s, 1);
    assert_true(registry_is_live(registry_node(&w->r, "o1"), w->now_us));
    assert_said(w, "");
    w->now_us += 70 * SECOND;
    sweep(w);
    reap(w);
    assert_null(registry_node(&w->r, "o1"));
    assert_said(w, "dropped:live/x:o1");
}

static void test_suspicion_ends_with_the_next_heartbeat_or_answer(void **state)
{
    struct world *w = *state;
    struct registry_node *o1;

    report(w, "o1", 1, 1, NULL, 0);
    o1 = registry_node(&w->r, "o1");
    w->now_us += 1000;
    registry_suspect(o1, w->now_us);
    assert_true(registry_is_suspect(&w->r, o1, w->now_us));
    w->now_us += 1000;
    report(w, "o1", 1, 2, NULL, 0);
    assert_false(registry_is_suspect(&w->r, o1, w->now_us));
    w->now_us += 4 * SECOND; /* late */
    assert_true(registry_is_suspect(&w->r, o1, w->now_us));
    registry_answered(o1, w->now_us);
    assert_false(registry_is_suspect(&w->r, o1, w->now_us));
    registry_suspect(o1, w->now_us + 1);
    assert_true(registry_is_suspect(&w->r, o1, w->now_us + 1));
}

static void test_lost_node_is_gone_until_its_next_heartbeat(void **state)
{
    struct world *w = *state;
    struct registry_node *o1;

    report(w, "o1", 1, 1, NULL, 0);
    o1 = registry_node(&w->r, "o1");
    registry_lost(&w->r, o1);
    assert_false(registry_is_live(o1, w->now_us));
    sweep(w);
    assert_int_equal(w->r.counts.n_lapsed, 1);
    w->now_us += SECOND;
    report(w, "o1", 1, 2, NULL, 0);
    assert_true(registry_is_live(o1, w->now_us));
    sweep(w);
    assert_int_equal(w->r.counts.n_by_state[CLUSTER_NODE_ACTIVE], 1);
}

static void test_sweep_tells_of_suspect_nodes_in_each_round(void **state)
{
    struct world *w = *state;

    report(w, "o1", 1, 1, NULL, 0);
    report(w, "o2", 1, 1, NULL, 0);
    registry_suspect(registry_node(&w->r, "o2"), w->now_us + 1);
    w->now_us += 2;
    sweep(w);
    sweep(w);
    assert_said(w, "suspect:o2: suspect:o2:");
}

static void test_sweep_goes_on_where_its_last_slice_ended(void **state)
{
    struct world *w = *state;
    int64_t n_live;

    for (int i = 0; i < 8; i++) {
        char id[16];

        snprintf(id, sizeof id, "n%d", i);
        report(w, id, 1, 1, NULL, 0);
    }
    assert_false(registry_sweep(&w->r, w->now_us, 3));
    assert_false(registry_sweep(&w->r, w->now_us, 3));
    assert_int_equal(w->r.counts.n_by_state[CLUSTER_NODE_ACTIVE], 0); /* of no whole round yet */
    assert_true(registry_sweep(&w->r, w->now_us, 3));
    n_live = w->r.counts.n_by_state[CLUSTER_NODE_ACTIVE];
    assert_int_equal(n_live, 8);
    w->now_us += 80 * SECOND; /* all are forgotten, slice by slice */
    while (!registry_sweep(&w->r, w->now_us, 3))
        ;
    assert_int_equal(w->r.nodes.n_entries, 0);
}

static void test_sweep_ends_a_grant_that_deltas_never_report(void **state)
{
    struct world *w = *state;
    struct beat delta = beat_of("o1", 1, 2);

    report(w, "o1", 1, 1, NULL, 0);
    grant(w, "/live/x", "o1", 20);
    w->now_us += 4 * SECOND;
    delta.m.full = false;
    assert_int_equal(send_beat(w, &delta), E_OK);
    sweep(w);
    assert_string_equal(owner_of(w, "live/x"), "o1");
    w->now_us += 2 * SECOND;
    sweep(w);
    assert_said(w, "owner:live/x:o1 ended:live/x:o1");
    drop_beat(&delta);
}

static void test_sweep_keeps_a_grant_when_the_full_report_is_still_to_come(void **state)
{
    struct world *w = *state;
    struct cluster_stream s = owned("/live/x", 20);
    struct beat delta = beat_of("o1", 1, 9);
    struct cluster_heartbeat elsewhere = {
        .node = "o1", .instance = 1, .seq = 7, .role = CLUSTER_BOTH};

    registry_merge_node(&w->r, &elsewhere, w->now_us);
    grant(w, "/live/x", "o1", 20); /* by another scheduler, which o1 reports to */
    w->now_us += 4 * SECOND;
    elsewhere.seq = 8;
    registry_merge_node(&w->r, &elsewhere, w->now_us);
    w->now_us += 4 * SECOND;
    delta.m.full = false;
    assert_int_equal(send_beat(w, &delta), E_OK); /* that one died: a delta comes here */
    assert_true(delta.reply.want_full);
    sweep(w);
    assert_said(w, "owner:live/x:o1");
    report(w, "o1", 1, 10, &s, 1);
    w->now_us += 6 * SECOND;
    sweep(w);
    assert_string_equal(owner_of(w, "live/x"), "o1");
    drop_beat(&delta);
}

static void test_reap_drops_streams_slice_by_slice(void **state)
{
    struct world *w = *state;
    struct cluster_stream s[] = {owned("/live/1", 10), owned("/live/2", 10), owned("/live/3", 10),
                                 carried("/live/4", 3, "o9")};

    report(w, "o1", 1, 1, s, 4);
    report(w, "o1", 2, 1, NULL, 0); /* a new instance */
    w->said[0] = '\0';
    assert_false(registry_reap(&w->r, w->now_us, 2));
    assert_said(w, "dropped:live/1:o1 dropped:live/2:o1");
    assert_string_equal(owner_of(w, "live/3"), "o1"); /* of the instance that is taken apart */
    assert_false(registry_is_live(registry_stream(&w->r, "live/3")->owner, w->now_us));
    assert_true(registry_reap(&w->r, w->now_us, 2));
    assert_said(w, "dropped:live/3:o1");
    assert_int_equal(w->r.streams.n_entries, 0);
}

static void test_slept_moves_leases_by_the_time_that_nobody_ran(void **state)
{
    struct world *w = *state;

    report(w, "o1", 1, 1, NULL, 0);
    w->now_us += 300 * SECOND;
    registry_slept(&w->r, 300 * SECOND);
    assert_true(registry_is_live(registry_node(&w->r, "o1"), w->now_us));
    assert_false(registry_is_suspect(&w->r, registry_node(&w->r, "o1"), w->now_us));
    sweep(w);
    assert_said(w, "");
    w->now_us += 6 * SECOND;
    sweep(w);
    assert_said(w, "lapse:o1:");
}

static void test_slept_moves_grants_that_nobody_could_report(void **state)
{
    struct world *w = *state;

    report(w, "o1", 1, 1, NULL, 0);
    grant(w, "/live/x", "o1", 20);
    w->now_us += 300 * SECOND;
    registry_slept(&w->r, 300 * SECOND);
    sweep(w);
    assert_string_equal(owner_of(w, "live/x"), "o1");
}

static void test_want_full_asks_some_nodes_at_a_time(void **state)
{
    struct world *w = *state;
    struct beat beats[4];
    int n_asked = 0;

    w->r.conf.max_full_reports = 2;
    for (int i = 0; i < 4; i++) {
        char id[16];

        snprintf(id, sizeof id, "n%d", i);
        report(w, id, 1, 1, NULL, 0);
        beats[i] = beat_of(id, 1, 2);
        beats[i].m.full = false;
    }
    registry_want_full(&w->r);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(send_beat(w, &beats[i]), E_OK);
        n_asked += beats[i].reply.want_full;
    }
    assert_int_equal(n_asked, 2);
    assert_true(beats[0].reply.want_full && beats[1].reply.want_full);
    report(w, "n0", 1, 3, NULL, 0); /* one place is free */
    for (int i = 2; i < 4; i++) {
        beats[i].m.seq++;
        assert_int_equal(send_beat(w, &beats[i]), E_OK);
    }
    assert_true(beats[2].reply.want_full);
    assert_false(beats[3].reply.want_full);
    w->now_us += 6 * SECOND; /* n1 and n2 never sent theirs: others have their turn */
    beats[1].m.seq++;
    assert_int_equal(send_beat(w, &beats[1]), E_OK); /* it lives, but does not send it */
    sweep(w);
    assert_int_equal(w->r.n_asked_full, 0);
    beats[3].m.seq++;
    assert_int_equal(send_beat(w, &beats[3]), E_OK);
    assert_true(beats[3].reply.want_full);
    for (int i = 0; i < 4; i++)
        drop_beat(&beats[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_lease_lapses_when_heartbeats_stop_and_returns_with_them),
        CASE(test_suspicion_ends_with_the_next_heartbeat_or_answer),
        CASE(test_lost_node_is_gone_until_its_next_heartbeat),
        CASE(test_sweep_tells_of_suspect_nodes_in_each_round),
        CASE(test_sweep_goes_on_where_its_last_slice_ended),
        CASE(test_sweep_ends_a_grant_that_deltas_never_report),
        CASE(test_sweep_keeps_a_grant_when_the_full_report_is_still_to_come),
        CASE(test_reap_drops_streams_slice_by_slice),
        CASE(test_slept_moves_leases_by_the_time_that_nobody_ran),
        CASE(test_slept_moves_grants_that_nobody_could_report),
        CASE(test_want_full_asks_some_nodes_at_a_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
