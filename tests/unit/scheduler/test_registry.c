/* Leases, instances, epochs and reports, under a simulated clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scheduler/registry.h"

#define SECOND 1000000ll
#define WALL_US 1700000000000000ll

struct world {
    struct registry r;
    int64_t now_us;
    char said[512]; /* what the watch heard, in order */
    unsigned n_lapses;
};

static void say(struct world *w, const char *what, const char *stream, const char *node)
{
    size_t used = strlen(w->said);

    snprintf(w->said + used, sizeof w->said - used, "%s%s:%s:%s", used ? " " : "", what, stream,
             node);
}

static void on_owner(void *arg, const struct registry_stream *s, const char *old)
{
    say(arg, *old ? "moved" : "owner", s->name.text, s->owner->id);
}

static void on_ended(void *arg, const struct registry_stream *s, const struct registry_node *old)
{
    say(arg, "ended", s->name.text, old->id);
}

static void on_dropped(void *arg, const struct registry_stream *s, const struct registry_node *old)
{
    say(arg, "dropped", s->name.text, old->id);
}

static void on_dispute(void *arg, const struct registry_stream *s, const char *node)
{
    say(arg, "dispute", s->name.text, node);
}

static void on_lapse(void *arg, const struct registry_node *node)
{
    (void)node;
    ((struct world *)arg)->n_lapses++;
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    const struct registry_conf conf = {5 * SECOND, SECOND, 4, 8};
    const struct registry_watch watch = {on_owner, on_ended, on_dropped, on_dispute, w};

    w->now_us = 100 * SECOND;
    registry_init(&w->r, &conf, &watch);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    registry_fini(&w->r);
    free(w);
    return 0;
}

static void assert_said(struct world *w, const char *expected)
{
    assert_string_equal(w->said, expected);
    w->said[0] = '\0';
}

static struct stream_name name_of(const char *path)
{
    struct stream_name name;
    const char *why;

    assert_int_equal(stream_name_from_path(&name, buf_view_str(path), &why), E_OK);
    return name;
}

static struct cluster_stream owned(const char *path, uint64_t epoch)
{
    return (struct cluster_stream){.name = name_of(path), .epoch = epoch};
}

static struct cluster_stream carried(const char *path, uint64_t epoch, const char *upstream)
{
    struct cluster_stream s = {
        .name = name_of(path), .epoch = epoch, .kind = CLUSTER_STREAM_CARRIED, .depth = 1};

    snprintf(s.upstream, sizeof s.upstream, "%s", upstream);
    return s;
}

struct beat { /* a heartbeat, and what came of it */
    const char *node;
    uint64_t instance, seq;
    bool full;
    struct cluster_stream *streams;
    size_t n_streams;
    /* out */
    bool want_full;
    size_t n_fenced;
    char fenced[STREAM_NAME_SIZE], owner[CLUSTER_ID_SIZE];
    char error[160];
};

static enum err beat(struct world *w, struct beat *b)
{
    struct cluster_heartbeat m = {
        .instance = b->instance,
        .seq = b->seq,
        .full = b->full,
        .role = CLUSTER_BOTH,
        .state = CLUSTER_NODE_ACTIVE,
        .streams = b->streams,
        .n_streams = b->n_streams,
    };
    struct cluster_heartbeat_reply reply = {0};
    struct cluster_error error = {""};
    enum err e;

    snprintf(m.node, sizeof m.node, "%s", b->node);
    e = registry_heartbeat(&w->r, &m, w->now_us, WALL_US, &reply, &error);
    b->want_full = reply.want_full;
    b->n_fenced = reply.n_fenced;
    if (reply.n_fenced) {
        memcpy(b->fenced, reply.fenced[0].name.text, sizeof b->fenced);
        memcpy(b->owner, reply.fenced[0].owner, sizeof b->owner);
    }
    memcpy(b->error, error.text, sizeof b->error);
    cluster_heartbeat_reply_fini(&reply);
    return e;
}

/* A full report that must be accepted. */
static void report(struct world *w, const char *node, uint64_t instance, uint64_t seq,
                   struct cluster_stream *streams, size_t n)
{
    struct beat b = {node, instance, seq, true, streams, n, .error = ""};

    assert_int_equal(beat(w, &b), E_OK);
    assert_false(b.want_full);
}

static void grant(struct world *w, const char *path, const char *node, uint64_t epoch)
{
    struct stream_name name = name_of(path);

    assert_int_equal(registry_grant(&w->r, &name, registry_node(&w->r, node), epoch, w->now_us),
                     E_OK);
}

static const char *owner_of(struct world *w, const char *name)
{
    const struct registry_stream *s = registry_stream(&w->r, name);

    return s && s->owner ? s->owner->id : "";
}

static void test_heartbeat_wants_full_when_a_report_is_missing(void **state)
{
    struct world *w = *state;
    struct beat unknown = {"o1", 1, 5, .error = ""}, next = {"o1", 1, 7, .error = ""};
    struct beat gap = {"o1", 1, 9, .error = ""}, again = {"o1", 1, 10, .error = ""};

    assert_int_equal(beat(w, &unknown), E_OK);
    assert_true(unknown.want_full);
    report(w, "o1", 1, 6, NULL, 0);
    assert_int_equal(beat(w, &next), E_OK);
    assert_false(next.want_full);
    assert_int_equal(beat(w, &gap), E_OK);
    assert_true(gap.want_full);
    assert_int_equal(beat(w, &again), E_OK);
    assert_true(again.want_full); /* until it comes */
    report(w, "o1", 1, 11, NULL, 0);
}

static void test_heartbeat_is_refused_when_sequence_is_from_the_past(void **state)
{
    struct world *w = *state;
    struct cluster_stream s = owned("/live/x", 10);
    struct beat old = {"o1", 1, 4, true, &s, 1, .error = ""};

    report(w, "o1", 1, 5, NULL, 0);
    assert_int_equal(beat(w, &old), E_STALE);
    assert_string_equal(old.error, "seq: 4 is older than 5");
    assert_null(registry_stream(&w->r, "live/x"));
}

static void test_heartbeat_of_a_new_instance_drops_streams_of_the_old_one(void **state)
{
    struct world *w = *state;
    struct cluster_stream s[] = {owned("/live/x", 10), carried("/live/y", 3, "o2")};
    struct beat old = {"o1", 1, 6, true, s, 2, .error = ""};

    report(w, "o1", 1, 5, s, 2);
    assert_said(w, "owner:live/x:o1");
    report(w, "o1", 2, 1, NULL, 0);
    assert_said(w, "dropped:live/x:o1");
    assert_null(registry_stream(&w->r, "live/x"));
    assert_null(registry_stream(&w->r, "live/y"));
    assert_int_equal(beat(w, &old), E_STALE);
    assert_string_equal(old.error, "instance 1 of node o1 was replaced by instance 2");
    assert_string_equal(owner_of(w, "live/x"), "");
}

static void test_lease_lapses_when_heartbeats_stop_and_returns_with_them(void **state)
{
    struct world *w = *state;
    struct cluster_stream s = owned("/live/x", 10);

    report(w, "o1", 1, 1, &s, 1);
    w->now_us += 3 * SECOND;
    assert_false(registry_is_suspect(&w->r, registry_node(&w->r, "o1"), w->now_us));
    w->now_us += 1;
    assert_true(registry_is_suspect(&w->r, registry_node(&w->r, "o1"), w->now_us));
    assert_true(registry_is_live(registry_node(&w->r, "o1"), w->now_us));
    w->now_us += 2 * SECOND;
    assert_false(registry_is_live(registry_node(&w->r, "o1"), w->now_us));
    registry_sweep(&w->r, w->now_us, on_lapse, w);
    registry_sweep(&w->r, w->now_us, on_lapse, w);
    assert_int_equal(w->n_lapses, 1);
    assert_string_equal(owner_of(w, "live/x"), "o1"); /* it may come back */
    report(w, "o1", 1, 2, &s, 1);
    assert_true(registry_is_live(registry_node(&w->r, "o1"), w->now_us));
    assert_said(w, "owner:live/x:o1");
    w->now_us += 70 * SECOND;
    registry_sweep(&w->r, w->now_us, NULL, NULL);
    assert_null(registry_node(&w->r, "o1"));
    assert_said(w, "dropped:live/x:o1");
}

static void test_suspicion_ends_with_the_next_heartbeat(void **state)
{
    struct world *w = *state;

    report(w, "o1", 1, 1, NULL, 0);
    w->now_us += 1000;
    registry_suspect(registry_node(&w->r, "o1"), w->now_us);
    assert_true(registry_is_suspect(&w->r, registry_node(&w->r, "o1"), w->now_us));
    w->now_us += 1000;
    report(w, "o1", 1, 2, NULL, 0);
    assert_false(registry_is_suspect(&w->r, registry_node(&w->r, "o1"), w->now_us));
}

static void test_full_report_drops_what_it_does_not_name(void **state)
{
    struct world *w = *state;
    struct cluster_stream s[] = {owned("/live/x", 10), owned("/live/z", 11),
                                 carried("/live/y", 3, "o2")};

    report(w, "o1", 1, 1, s, 3);
    assert_said(w, "owner:live/x:o1 owner:live/z:o1");
    report(w, "o1", 1, 2, &s[1], 1);
    assert_said(w, "ended:live/x:o1");
    assert_null(registry_stream(&w->r, "live/y"));
    assert_string_equal(owner_of(w, "live/z"), "o1");
}

static void test_delta_adds_and_removes(void **state)
{
    struct world *w = *state;
    struct cluster_stream first[] = {owned("/live/x", 10), carried("/live/y", 3, "o2")};
    struct cluster_stream gone[] = {owned("/live/x", 10), carried("/live/y", 3, "o2"),
                                    owned("/live/z", 12)};
    struct beat delta = {"o1", 1, 2, false, gone, 3, .error = ""};

    report(w, "o1", 1, 1, first, 2);
    gone[0].removed = gone[1].removed = true;
    w->said[0] = '\0';
    assert_int_equal(beat(w, &delta), E_OK);
    assert_said(w, "ended:live/x:o1 owner:live/z:o1");
    assert_null(registry_stream(&w->r, "live/y"));
}

static void test_full_report_keeps_a_grant_that_is_on_its_way(void **state)
{
    struct world *w = *state;

    report(w, "o1", 1, 1, NULL, 0);
    grant(w, "/live/x", "o1", 20);
    report(w, "o1", 1, 2, NULL, 0); /* made before the grant arrived */
    assert_string_equal(owner_of(w, "live/x"), "o1");
    w->now_us += 6 * SECOND;
    report(w, "o1", 1, 3, NULL, 0); /* a lease later it never came to be */
    assert_string_equal(owner_of(w, "live/x"), "");
}

static void test_sweep_ends_a_grant_that_deltas_never_report(void **state)
{
    struct world *w = *state;
    struct beat delta = {"o1", 1, 2, .error = ""};

    report(w, "o1", 1, 1, NULL, 0);
    grant(w, "/live/x", "o1", 20);
    w->now_us += 4 * SECOND;
    assert_int_equal(beat(w, &delta), E_OK);
    registry_sweep(&w->r, w->now_us, NULL, NULL);
    assert_string_equal(owner_of(w, "live/x"), "o1");
    w->now_us += 2 * SECOND;
    registry_sweep(&w->r, w->now_us, NULL, NULL);
    assert_said(w, "owner:live/x:o1 ended:live/x:o1");
}

static void test_sweep_keeps_a_grant_when_the_full_report_is_still_to_come(void **state)
{
    struct world *w = *state;
    struct cluster_stream s = owned("/live/x", 20);
    struct cluster_heartbeat elsewhere = {.node = "o1", .instance = 1, .role = CLUSTER_BOTH};
    struct beat delta = {"o1", 1, 9, .error = ""};

    registry_merge_node(&w->r, &elsewhere, w->now_us);
    grant(w, "/live/x", "o1", 20); /* by another scheduler, which o1 reports to */
    w->now_us += 4 * SECOND;
    registry_merge_node(&w->r, &elsewhere, w->now_us);
    w->now_us += 4 * SECOND;
    assert_int_equal(beat(w, &delta), E_OK); /* that one died: a delta comes here */
    assert_true(delta.want_full);
    registry_sweep(&w->r, w->now_us, NULL, NULL);
    assert_said(w, "owner:live/x:o1");
    report(w, "o1", 1, 10, &s, 1);
    registry_sweep(&w->r, w->now_us, NULL, NULL);
    assert_string_equal(owner_of(w, "live/x"), "o1");
}

static void test_report_with_the_epoch_before_a_grant_changes_nothing(void **state)
{
    struct world *w = *state;
    struct cluster_stream old = owned("/live/x", 20), gone = old;
    struct beat end = {"o1", 1, 3, false, &gone, 1, .error = ""};

    report(w, "o1", 1, 1, NULL, 0);
    grant(w, "/live/x", "o1", 20);
    grant(w, "/live/x", "o1", 21); /* the same node publishes again */
    report(w, "o1", 1, 2, &old, 1);
    assert_true(registry_stream(&w->r, "live/x")->epoch == 21);
    gone.removed = true; /* the end of the first publish arrives late */
    assert_int_equal(beat(w, &end), E_OK);
    assert_string_equal(owner_of(w, "live/x"), "o1");
}

static void test_owner_with_the_lower_epoch_is_fenced(void **state)
{
    struct world *w = *state;
    struct cluster_stream s = owned("/live/x", 20);
    struct beat late = {"o1", 1, 2, true, &s, 1, .error = ""};

    report(w, "o1", 1, 1, &s, 1);
    report(w, "o2", 9, 1, NULL, 0);
    grant(w, "/live/x", "o2", 30); /* taken over */
    assert_said(w, "owner:live/x:o1 moved:live/x:o2");
    assert_int_equal(beat(w, &late), E_OK);
    assert_int_equal(late.n_fenced, 1);
    assert_string_equal(late.fenced, "live/x");
    assert_string_equal(late.owner, "o2");
    assert_string_equal(owner_of(w, "live/x"), "o2");
}

static void test_report_cannot_steal_a_granted_stream_when_alone(void **state)
{
    struct world *w = *state;
    struct cluster_stream lie = owned("/live/x", (uint64_t)WALL_US + 5);
    struct beat b = {"o2", 9, 1, true, &lie, 1, .error = ""};

    report(w, "o1", 1, 1, NULL, 0);
    grant(w, "/live/x", "o1", 30);
    assert_int_equal(beat(w, &b), E_OK);
    assert_int_equal(b.n_fenced, 1);
    assert_string_equal(owner_of(w, "live/x"), "o1");
    assert_true(w->r.highest_epoch == (uint64_t)WALL_US + 5); /* later grants are above it */
}

static void test_report_with_higher_epoch_asks_the_store_once_when_shared(void **state)
{
    struct world *w = *state;
    struct cluster_stream claim = owned("/live/x", 40);
    struct beat first = {"o2", 9, 1, true, &claim, 1, .error = ""}, second = first;

    w->r.trust = REGISTRY_SHARED;
    report(w, "o1", 1, 1, NULL, 0);
    grant(w, "/live/x", "o1", 30);
    w->said[0] = '\0';
    assert_int_equal(beat(w, &first), E_OK);
    assert_int_equal(first.n_fenced, 0);
    assert_said(w, "dispute:live/x:o2");
    second.seq = 2;
    assert_int_equal(beat(w, &second), E_OK);
    assert_int_equal(second.n_fenced, 1); /* the store did not confirm it */
    assert_said(w, "");
}

static void test_report_with_higher_epoch_wins_when_degraded_or_owner_lapsed(void **state)
{
    struct world *w = *state;
    struct cluster_stream claim = owned("/live/x", 40);

    report(w, "o1", 1, 1, NULL, 0);
    grant(w, "/live/x", "o1", 30);
    w->r.trust = REGISTRY_DEGRADED;
    report(w, "o2", 9, 1, &claim, 1);
    assert_string_equal(owner_of(w, "live/x"), "o2");
    w->r.trust = REGISTRY_ALONE;
    grant(w, "/live/x", "o1", 50);
    w->now_us += 6 * SECOND;
    claim.epoch = 60;
    report(w, "o2", 9, 2, &claim, 1);
    assert_string_equal(owner_of(w, "live/x"), "o2");
}

static void test_equal_epochs_are_won_by_the_higher_id(void **state)
{
    struct world *w = *state;
    struct cluster_stream s = owned("/live/x", 40);
    struct beat low = {"o1", 1, 2, true, &s, 1, .error = ""};

    report(w, "o1", 1, 1, &s, 1);
    report(w, "o2", 9, 1, &s, 1);
    assert_string_equal(owner_of(w, "live/x"), "o2");
    assert_int_equal(beat(w, &low), E_OK);
    assert_int_equal(low.n_fenced, 1);
}

static void test_heartbeat_refuses_epochs_that_nobody_was_given(void **state)
{
    struct world *w = *state;
    struct cluster_stream s = owned("/live/x", UINT64_MAX);
    struct beat b = {"o1", 1, 1, true, &s, 1, .error = ""};

    assert_int_equal(beat(w, &b), E_INVAL);
    assert_string_equal(b.error,
                        "streams[0].epoch: 18446744073709551615 was never given to anybody");
    assert_null(registry_node(&w->r, "o1"));
}

static void test_heartbeat_gives_limit_when_there_are_too_many(void **state)
{
    struct world *w = *state;
    struct cluster_stream s[9];
    struct beat many = {"n1", 1, 1, true, s, 9, .error = ""};
    struct beat fifth = {"n5", 1, 1, true, NULL, 0, .error = ""};

    for (int i = 0; i < 9; i++) {
        char path[24];

        snprintf(path, sizeof path, "/live/%d", i);
        s[i] = owned(path, 10);
    }
    assert_int_equal(beat(w, &many), E_LIMIT);
    assert_string_equal(many.error, "limits.streams reached: 8");
    report(w, "n2", 1, 1, NULL, 0);
    report(w, "n3", 1, 1, NULL, 0);
    report(w, "n4", 1, 1, NULL, 0);
    assert_int_equal(beat(w, &fifth), E_LIMIT);
    assert_string_equal(fifth.error, "limits.nodes reached: 4");
}

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

static void test_merge_does_not_touch_a_node_that_reports_here(void **state)
{
    struct world *w = *state;
    struct cluster_heartbeat echo = {
        .node = "o1", .instance = 7, .role = CLUSTER_EDGE, .state = CLUSTER_NODE_DRAINING};
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

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_heartbeat_wants_full_when_a_report_is_missing),
        CASE(test_heartbeat_is_refused_when_sequence_is_from_the_past),
        CASE(test_heartbeat_of_a_new_instance_drops_streams_of_the_old_one),
        CASE(test_lease_lapses_when_heartbeats_stop_and_returns_with_them),
        CASE(test_suspicion_ends_with_the_next_heartbeat),
        CASE(test_full_report_drops_what_it_does_not_name),
        CASE(test_delta_adds_and_removes),
        CASE(test_full_report_keeps_a_grant_that_is_on_its_way),
        CASE(test_sweep_ends_a_grant_that_deltas_never_report),
        CASE(test_sweep_keeps_a_grant_when_the_full_report_is_still_to_come),
        CASE(test_report_with_the_epoch_before_a_grant_changes_nothing),
        CASE(test_owner_with_the_lower_epoch_is_fenced),
        CASE(test_report_cannot_steal_a_granted_stream_when_alone),
        CASE(test_report_with_higher_epoch_asks_the_store_once_when_shared),
        CASE(test_report_with_higher_epoch_wins_when_degraded_or_owner_lapsed),
        CASE(test_equal_epochs_are_won_by_the_higher_id),
        CASE(test_heartbeat_refuses_epochs_that_nobody_was_given),
        CASE(test_heartbeat_gives_limit_when_there_are_too_many),
        CASE(test_release_is_stale_for_anybody_but_the_owner),
        CASE(test_merge_does_not_touch_a_node_that_reports_here),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
