/* Instances of a node id: restarts, replacements, duplicates, drains, echoes from the store. */
#include "tests/unit/scheduler/registry_world.h"

static void at_address(struct beat *b, const char *http)
{
    snprintf(b->m.internal_urls.http, sizeof b->m.internal_urls.http, "%s", http);
}

static void test_new_instance_drops_streams_of_the_old_one(void **state)
{
    struct world *w = *state;
    struct cluster_stream s[] = {owned("/live/x", 10), carried("/live/y", 3, "o2")};
    struct beat old = beat_of("o1", 1, 6);

    report(w, "o1", 1, 5, s, 2);
    assert_said(w, "owner:live/x:o1");
    report(w, "o1", 2, 1, NULL, 0);
    reap(w);
    assert_said(w, "dropped:live/x:o1");
    assert_null(registry_stream(&w->r, "live/x"));
    assert_null(registry_stream(&w->r, "live/y"));
    assert_int_equal(send_beat(w, &old), E_STALE);
    assert_string_equal(old.error, "instance 1 of node o1 was replaced by instance 2");
    assert_string_equal(owner_of(w, "live/x"), "");
    assert_true(registry_is_new_refusal(&w->r, "o1", 1));
    assert_false(registry_is_new_refusal(&w->r, "o1", 1)); /* told once */
}

static void test_new_instance_takes_its_stream_from_the_old_one_at_once(void **state)
{
    struct world *w = *state;
    struct cluster_stream s = owned("/live/x", 30), again = owned("/live/x", 40);

    report(w, "o1", 1, 1, NULL, 0);
    grant(w, "/live/x", "o1", 30);
    report(w, "o1", 1, 2, &s, 1);
    w->said[0] = '\0';
    report(w, "o1", 2, 1, &again, 1); /* its epoch is its own: it could ask nobody */
    assert_said(w, "dropped:live/x:o1 owner:live/x:o1");
    assert_true(registry_stream(&w->r, "live/x")->owner->instance == 2);
    reap(w);
    assert_said(w, "");
    assert_string_equal(owner_of(w, "live/x"), "o1");
}

static void test_new_instance_is_fenced_when_its_epoch_is_below_the_old_ones(void **state)
{
    struct world *w = *state;
    struct cluster_stream s = owned("/live/x", 30);
    struct beat again = beat_of("o1", 2, 1);

    report(w, "o1", 1, 1, &s, 1);
    s.epoch = 20;
    again.m.streams = &s;
    again.m.n_streams = 1;
    assert_int_equal(send_beat(w, &again), E_OK);
    assert_int_equal(again.reply.n_fenced, 1);
    assert_true(again.reply.fenced[0].epoch == 30);
    assert_string_equal(again.reply.fenced[0].owner, "");
    drop_beat(&again);
}

/* Before the old instance's streams are dropped one by one. */
static void test_standby_is_called_for_when_the_fenced_instance_was_the_owner(void **state)
{
    struct world *w = *state;
    struct cluster_stream s = owned("/live/x", 30);
    struct beat again = beat_of("o1", 2, 1);

    report(w, "o1", 1, 1, &s, 1);
    report(w, "o2", 1, 1, NULL, 0);
    hold(w, "/live/x", "o2");
    w->said[0] = '\0';
    s.epoch = 20;
    again.m.streams = &s;
    again.m.n_streams = 1;
    assert_int_equal(send_beat(w, &again), E_OK);
    assert_int_equal(again.reply.n_fenced, 1);
    assert_said(w, "dropped:live/x:o1 orphan:live/x:-");
    drop_beat(&again);
}

static void test_named_instance_drains_beside_its_successor(void **state)
{
    struct world *w = *state;
    struct cluster_stream s = owned("/live/x", 10);
    struct beat new = beat_of("o1", 2, 1), old = beat_of("o1", 1, 6);

    report(w, "o1", 1, 5, &s, 1);
    w->said[0] = '\0';
    new.m.replaces = 1;
    assert_int_equal(send_beat(w, &new), E_OK);
    assert_said(w, "leaving:o1:1");
    assert_true(registry_node(&w->r, "o1")->instance == 2);
    assert_int_equal(registry_instance(&w->r, "o1", 1)->place.state, CLUSTER_NODE_DRAINING);
    assert_true(registry_stream(&w->r, "live/x")->owner->instance == 1);
    old.m.streams = &s;
    old.m.n_streams = 1;
    w->now_us += 3 * SECOND;
    new.m.seq++;
    assert_int_equal(send_beat(w, &new), E_OK);
    assert_int_equal(send_beat(w, &old), E_OK); /* not 409 */
    w->now_us += 4 * SECOND;
    new.m.seq++;
    assert_int_equal(send_beat(w, &new), E_OK);
    sweep(w);
    assert_non_null(registry_instance(&w->r, "o1", 1)); /* its lease runs */
    w->now_us += 2 * SECOND;
    sweep(w);
    reap(w);
    assert_null(registry_instance(&w->r, "o1", 1)); /* it is gone */
    assert_said(w, "dropped:live/x:o1");
    old.m.seq++;
    assert_int_equal(send_beat(w, &old), E_STALE);
    drop_beat(&new);
    drop_beat(&old);
}

static void test_named_instance_is_known_when_its_successor_was_heard_first(void **state)
{
    struct world *w = *state;
    struct cluster_stream s = owned("/live/x", 10);
    struct beat new = beat_of("o1", 2, 7), old = beat_of("o1", 1, 90);

    new.m.replaces = 1;
    assert_int_equal(send_beat(w, &new), E_OK); /* to a scheduler that was just started */
    old.m.streams = &s;
    old.m.n_streams = 1;
    assert_int_equal(send_beat(w, &old), E_OK);
    assert_true(registry_node(&w->r, "o1")->instance == 2);
    assert_true(registry_stream(&w->r, "live/x")->owner->instance == 1);
    assert_said(w, "leaving:o1:1 owner:live/x:o1");
    drop_beat(&new);
    drop_beat(&old);
}

static void test_named_instance_lives_with_its_successor_when_it_reports_elsewhere(void **state)
{
    struct world *w = *state;
    struct cluster_heartbeat old = {.node = "o1", .instance = 1, .seq = 5, .role = CLUSTER_BOTH};
    struct cluster_heartbeat new = {
        .node = "o1", .instance = 2, .seq = 1, .replaces = 1, .role = CLUSTER_BOTH};

    registry_merge_node(&w->r, &old, w->now_us);
    grant(w, "/live/x", "o1", 20);
    for (int i = 0; i < 10; i++) {
        registry_merge_node(&w->r, &new, w->now_us);
        sweep(w);
        new.seq++;
        w->now_us += SECOND;
    }
    assert_non_null(registry_instance(&w->r, "o1", 1));
    assert_int_equal(registry_release(&w->r, "live/x", "o1", 1, 20), E_OK);
    sweep(w);
    assert_null(registry_instance(&w->r, "o1", 1)); /* with its last stream */
}

static void
test_successor_that_reports_elsewhere_is_known_beside_one_that_reports_here(void **state)
{
    struct world *w = *state;
    struct cluster_heartbeat echo = {.node = "o1", .instance = 2, .seq = 1, .role = CLUSTER_BOTH};
    struct cluster_stream s = owned("/live/x", 10);

    report(w, "o1", 1, 1, &s, 1);
    registry_merge_node(&w->r, &echo, w->now_us);
    assert_true(registry_node(&w->r, "o1")->instance == 1); /* it may be one from before */
    echo.replaces = 1;
    registry_merge_node(&w->r, &echo, w->now_us);
    assert_true(registry_node(&w->r, "o1")->instance == 2);
    assert_true(registry_stream(&w->r, "live/x")->owner->instance == 1);
    report(w, "o1", 1, 2, &s, 1);
    assert_true(registry_node(&w->r, "o1")->instance == 2);
}

static void test_only_so_many_instances_drain_side_by_side(void **state)
{
    struct world *w = *state;
    struct beat b = beat_of("o1", 1, 1);

    for (uint64_t i = 1; i <= 7; i++) {
        b.m.instance = i;
        b.m.replaces = i - 1;
        assert_int_equal(send_beat(w, &b), E_OK);
    }
    assert_non_null(registry_instance(&w->r, "o1", 7));
    assert_non_null(registry_instance(&w->r, "o1", 3));
    assert_null(registry_instance(&w->r, "o1", 2));
    reap(w);
    drop_beat(&b);
}

static void test_second_instance_at_another_address_is_told_once(void **state)
{
    struct world *w = *state;
    struct beat one = beat_of("o1", 1, 1), two = beat_of("o1", 2, 1), third = beat_of("o1", 3, 1);

    at_address(&one, "http://10.0.0.1:8080");
    at_address(&two, "http://10.0.0.2:8080");
    at_address(&third, "http://10.0.0.2:8080");
    assert_int_equal(send_beat(w, &one), E_OK);
    assert_int_equal(send_beat(w, &two), E_OK);
    assert_said(w, "second:o1:http://10.0.0.2:8080");
    one.m.seq++;
    assert_int_equal(send_beat(w, &one), E_STALE);
    assert_int_equal(send_beat(w, &third), E_OK); /* a restart is none */
    assert_said(w, "");
    drop_beat(&two);
    drop_beat(&third);
}

static void test_drain_makes_a_node_leave_once(void **state)
{
    struct world *w = *state;
    struct beat b = beat_of("o1", 1, 1);

    assert_int_equal(send_beat(w, &b), E_OK);
    assert_false(b.reply.drain);
    registry_drain(&w->r, registry_node(&w->r, "o1"), true);
    registry_drain(&w->r, registry_node(&w->r, "o1"), true);
    assert_said(w, "leaving:o1:1");
    b.m.seq++;
    assert_int_equal(send_beat(w, &b), E_OK); /* it says active still */
    assert_true(b.reply.drain);
    assert_int_equal(registry_node(&w->r, "o1")->place.state, CLUSTER_NODE_DRAINING);
    b.m.seq++;
    b.m.state = CLUSTER_NODE_DRAINING;
    assert_int_equal(send_beat(w, &b), E_OK);
    registry_drain(&w->r, registry_node(&w->r, "o1"), false);
    assert_int_equal(registry_node(&w->r, "o1")->place.state,
                     CLUSTER_NODE_DRAINING); /* it says so */
    b.m.seq++;
    b.m.state = CLUSTER_NODE_ACTIVE;
    assert_int_equal(send_beat(w, &b), E_OK);
    assert_false(b.reply.drain);
    assert_int_equal(registry_node(&w->r, "o1")->place.state, CLUSTER_NODE_ACTIVE);
    assert_said(w, "");
    drop_beat(&b);
}

static void test_drain_is_of_the_instance_that_was_meant(void **state)
{
    struct world *w = *state;

    report(w, "o1", 1, 1, NULL, 0);
    registry_drain(&w->r, registry_node(&w->r, "o1"), true);
    report(w, "o1", 2, 1, NULL, 0); /* restarted */
    assert_int_equal(registry_node(&w->r, "o1")->place.state, CLUSTER_NODE_ACTIVE);
}

static void test_merge_does_not_touch_a_node_that_reports_here(void **state)
{
    struct world *w = *state;
    struct cluster_heartbeat echo = {.node = "o1",
                                     .instance = 7,
                                     .seq = 3,
                                     .role = CLUSTER_EDGE,
                                     .state = CLUSTER_NODE_DRAINING};
    struct cluster_stream carries = carried("/live/y", 3, "o2");

    report(w, "o1", 1, 1, &carries, 1);
    registry_merge_node(&w->r, &echo, w->now_us);
    assert_true(registry_node(&w->r, "o1")->instance == 1);
    w->now_us += 6 * SECOND; /* it reports elsewhere now */
    echo.instance = 1;
    registry_merge_node(&w->r, &echo, w->now_us);
    assert_null(registry_stream(&w->r, "live/y")); /* not followed here any more */
    echo.instance = 7;
    registry_merge_node(&w->r, &echo, w->now_us);
    assert_true(registry_node(&w->r, "o1")->instance == 7);
    assert_int_equal(registry_node(&w->r, "o1")->place.role, CLUSTER_EDGE);
    assert_true(registry_is_live(registry_node(&w->r, "o1"), w->now_us));
}

static void test_merge_of_a_later_report_is_a_sign_of_life_from_elsewhere(void **state)
{
    struct world *w = *state;
    struct cluster_heartbeat other = {.node = "o1", .instance = 1, .seq = 2, .role = CLUSTER_BOTH};

    report(w, "o1", 1, 2, NULL, 0);
    for (int i = 0; i < 10; i++) {
        w->now_us += SECOND;
        registry_merge_node(&w->r, &other, w->now_us);
        if (i == 0) /* an echo, or the same one once more, since its answer was lost */
            assert_true(registry_node(&w->r, "o1")->heard_us < w->now_us);
        else
            assert_true(registry_node(&w->r, "o1")->heard_us == w->now_us);
        other.seq++;
        sweep(w);
    }
    assert_said(w, "");
    assert_false(registry_is_suspect(&w->r, registry_node(&w->r, "o1"), w->now_us));
}

static void test_merge_of_the_same_report_again_is_no_sign_of_life(void **state)
{
    struct world *w = *state;
    struct cluster_heartbeat echo = {.node = "o1", .instance = 1, .seq = 3, .role = CLUSTER_BOTH};

    registry_merge_node(&w->r, &echo, w->now_us);
    for (int i = 0; i < 5; i++) {
        w->now_us += SECOND;
        registry_merge_node(&w->r, &echo, w->now_us);
    }
    assert_false(registry_is_live(registry_node(&w->r, "o1"), w->now_us));
    echo.seq++;
    registry_merge_node(&w->r, &echo, w->now_us);
    assert_true(registry_is_live(registry_node(&w->r, "o1"), w->now_us));
}

static void test_admit_gives_a_node_without_a_heartbeat_one_lease(void **state)
{
    struct world *w = *state;
    struct registry_node *node;

    assert_int_equal(registry_admit(&w->r, "o1", 4, w->now_us, &node), E_OK);
    assert_true(registry_is_live(node, w->now_us));
    assert_int_equal(node->place.state, CLUSTER_NODE_ACTIVE);
    assert_int_equal(w->r.rings[REGISTRY_EDGES].n, 0);
    w->now_us += 5 * SECOND;
    assert_false(registry_is_live(node, w->now_us));
}

static void test_heartbeat_gives_limit_when_there_are_too_many_nodes(void **state)
{
    struct world *w = *state;
    struct beat ninth = beat_of("n9", 1, 1);

    for (int i = 0; i < 8; i++) {
        char id[16];

        snprintf(id, sizeof id, "n%d", i);
        report(w, id, 1, 1, NULL, 0);
    }
    assert_int_equal(send_beat(w, &ninth), E_LIMIT);
    assert_string_equal(ninth.error, "limits.nodes reached: 8");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_new_instance_drops_streams_of_the_old_one),
        CASE(test_new_instance_takes_its_stream_from_the_old_one_at_once),
        CASE(test_new_instance_is_fenced_when_its_epoch_is_below_the_old_ones),
        CASE(test_standby_is_called_for_when_the_fenced_instance_was_the_owner),
        CASE(test_named_instance_drains_beside_its_successor),
        CASE(test_named_instance_is_known_when_its_successor_was_heard_first),
        CASE(test_named_instance_lives_with_its_successor_when_it_reports_elsewhere),
        CASE(test_successor_that_reports_elsewhere_is_known_beside_one_that_reports_here),
        CASE(test_only_so_many_instances_drain_side_by_side),
        CASE(test_second_instance_at_another_address_is_told_once),
        CASE(test_drain_makes_a_node_leave_once),
        CASE(test_drain_is_of_the_instance_that_was_meant),
        CASE(test_merge_does_not_touch_a_node_that_reports_here),
        CASE(test_merge_of_a_later_report_is_a_sign_of_life_from_elsewhere),
        CASE(test_merge_of_the_same_report_again_is_no_sign_of_life),
        CASE(test_admit_gives_a_node_without_a_heartbeat_one_lease),
        CASE(test_heartbeat_gives_limit_when_there_are_too_many_nodes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
