/* A node whose streams are known wrongly is asked again, here and elsewhere. */
#include "tests/unit/scheduler/registry_world.h"

static uint64_t sum_of(const struct cluster_stream *streams, size_t n)
{
    uint64_t sum = CLUSTER_SUM_OF_NONE;

    for (size_t i = 0; i < n; i++)
        sum = cluster_sum_toggle(sum, &streams[i].name, streams[i].epoch);
    return sum;
}

/* Its report went to another scheduler, which wrote it to the store. */
static void merge(struct world *w, uint64_t seq, uint64_t owned_sum)
{
    struct cluster_heartbeat m = {
        .node = "o1", .instance = 1, .seq = seq, .role = CLUSTER_BOTH, .owned_sum = owned_sum};

    w->now_us += SECOND;
    registry_merge_node(&w->r, &m, w->now_us);
}

static void test_sum_follows_what_the_node_owns(void **state)
{
    struct world *w = *state;
    struct cluster_stream both[] = {owned("/live/a", 5), owned("/live/b", 6)};

    report(w, "o1", 1, 1, both, 2);
    assert_true(registry_node(&w->r, "o1")->owned_sum == sum_of(both, 2));
    both[0].epoch = 9;
    grant(w, "/live/a", "o1", 9);
    assert_true(registry_node(&w->r, "o1")->owned_sum == sum_of(both, 2));
    assert_int_equal(registry_release(&w->r, "live/a", "o1", 1, 9), E_OK);
    assert_true(registry_node(&w->r, "o1")->owned_sum == sum_of(both + 1, 1));
    assert_int_equal(registry_release(&w->r, "live/b", "o1", 1, 6), E_OK);
    assert_true(registry_node(&w->r, "o1")->owned_sum == CLUSTER_SUM_OF_NONE);
}

static void test_heartbeat_asks_for_a_full_report_when_sums_differ_for_three(void **state)
{
    struct world *w = *state;
    struct cluster_stream stream = owned("/live/a", 5);
    struct beat b = beat_of("o1", 1, 1);

    report(w, "o1", 1, 1, &stream, 1);
    b.m.full = false;
    b.m.owned_sum = CLUSTER_SUM_OF_NONE; /* it has lost the stream, and nobody said so */
    for (int i = 0; i < 3; i++) {
        b.m.seq++;
        assert_int_equal(send_beat(w, &b), E_OK);
        assert_int_equal(b.reply.want_full, i == 2);
    }
    b.m.seq++;
    b.m.full = true;
    assert_int_equal(send_beat(w, &b), E_OK);
    assert_null(registry_stream(&w->r, "live/a"));
    drop_beat(&b);
}

static void test_heartbeat_asks_nothing_when_a_node_of_before_says_no_sum(void **state)
{
    struct world *w = *state;
    struct cluster_stream stream = owned("/live/a", 5);
    struct beat b = beat_of("o1", 1, 1);

    report(w, "o1", 1, 1, &stream, 1);
    b.m.full = false;
    for (int i = 0; i < 10; i++) {
        b.m.seq++;
        assert_int_equal(send_beat(w, &b), E_OK);
        assert_false(b.reply.want_full);
    }
    drop_beat(&b);
}

static void test_merge_forgets_what_was_not_said_again(void **state)
{
    struct world *w = *state;
    struct cluster_stream left = owned("/live/a", 5);

    merge(w, 1, CLUSTER_SUM_OF_NONE);
    grant(w, "/live/a", "o1", 5);
    grant(w, "/live/b", "o1", 6);
    w->said[0] = '\0';
    merge(w, 2, sum_of(&left, 1));
    assert_said(w, "");
    merge(w, 3, sum_of(&left, 1));
    assert_said(w, "differs:o1:");
    w->now_us += SECOND / 2;
    assert_true(registry_confirm(registry_stream(&w->r, "live/a"), "o1", 1, 5, w->now_us));
    merge(w, 4, sum_of(&left, 1));
    merge(w, 5, sum_of(&left, 1));
    merge(w, 6, sum_of(&left, 1));
    assert_said(w, "ended:live/b:o1");
    assert_non_null(registry_stream(&w->r, "live/a"));
    for (uint64_t seq = 7; seq < 17; seq++)
        merge(w, seq, sum_of(&left, 1));
    assert_said(w, "");
}

static void test_merge_asks_nothing_while_the_node_changes_all_the_time(void **state)
{
    struct world *w = *state;
    struct cluster_stream stream = owned("/live/a", 5);

    merge(w, 1, CLUSTER_SUM_OF_NONE);
    for (uint64_t seq = 2; seq < 20; seq++) {
        stream.epoch++;
        merge(w, seq, sum_of(&stream, 1)); /* its events are on their way */
    }
    assert_said(w, "");
}

static void test_confirm_gives_false_when_it_is_another_owner_or_epoch(void **state)
{
    struct world *w = *state;
    struct registry_stream *s;

    merge(w, 1, CLUSTER_SUM_OF_NONE);
    grant(w, "/live/a", "o1", 5);
    s = registry_stream(&w->r, "live/a");
    assert_false(registry_confirm(s, "o1", 1, 6, w->now_us));
    assert_false(registry_confirm(s, "o1", 2, 5, w->now_us));
    assert_false(registry_confirm(s, "o2", 1, 5, w->now_us));
    assert_true(registry_confirm(s, "o1", 1, 5, w->now_us));
}

/* Whose publish was answered too late goes on with a lower epoch of its own. */
static void test_report_of_a_lower_epoch_counts_when_the_grant_was_never_used(void **state)
{
    struct world *w = *state;
    struct cluster_stream stream = owned("/live/a", 7);

    report(w, "o1", 1, 1, NULL, 0);
    grant(w, "/live/a", "o1", 9);
    report(w, "o1", 1, 2, &stream, 1); /* the answer may be on its way */
    assert_true(registry_stream(&w->r, "live/a")->epoch == 9);
    for (uint64_t seq = 3; seq < 9; seq++) {
        w->now_us += SECOND;
        report(w, "o1", 1, seq, &stream, 1);
    }
    assert_true(registry_stream(&w->r, "live/a")->epoch == 7);
    assert_string_equal(registry_stream(&w->r, "live/a")->owner->id, "o1");
}

/* A stale echo of the store put an earlier instance in its place. */
static void test_replaced_instance_is_back_when_its_successor_is_not_heard_of(void **state)
{
    struct world *w = *state;
    struct beat b = beat_of("o1", 2, 1);

    report(w, "o1", 1, 1, NULL, 0);
    report(w, "o1", 2, 1, NULL, 0);
    b.m.instance = 1;
    b.m.seq = 2;
    assert_int_equal(send_beat(w, &b), E_STALE);
    w->now_us += 6 * SECOND;
    assert_int_equal(send_beat(w, &b), E_OK);
    assert_true(registry_node(&w->r, "o1")->instance == 1);
    drop_beat(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_sum_follows_what_the_node_owns),
        CASE(test_heartbeat_asks_for_a_full_report_when_sums_differ_for_three),
        CASE(test_heartbeat_asks_nothing_when_a_node_of_before_says_no_sum),
        CASE(test_merge_forgets_what_was_not_said_again),
        CASE(test_merge_asks_nothing_while_the_node_changes_all_the_time),
        CASE(test_confirm_gives_false_when_it_is_another_owner_or_epoch),
        CASE(test_report_of_a_lower_epoch_counts_when_the_grant_was_never_used),
        CASE(test_replaced_instance_is_back_when_its_successor_is_not_heard_of),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
