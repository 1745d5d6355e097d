/* Heartbeats: full reports, parts, deltas, conflicts of ownership, and what is wrong in them. */
#include "tests/unit/scheduler/registry_world.h"

static void test_heartbeat_wants_full_when_a_report_is_missing(void **state)
{
    struct world *w = *state;
    struct beat b = beat_of("o1", 1, 5);

    b.m.full = false;
    assert_int_equal(send_beat(w, &b), E_OK);
    assert_true(b.reply.want_full); /* not known */
    report(w, "o1", 1, 6, NULL, 0);
    b.m.seq = 7;
    assert_int_equal(send_beat(w, &b), E_OK);
    assert_false(b.reply.want_full);
    b.m.seq = 9;
    assert_int_equal(send_beat(w, &b), E_OK);
    assert_true(b.reply.want_full);
    b.m.seq = 10;
    assert_int_equal(send_beat(w, &b), E_OK);
    assert_true(b.reply.want_full); /* until it comes */
    report(w, "o1", 1, 11, NULL, 0);
    drop_beat(&b);
}

static void test_heartbeat_is_refused_when_sequence_is_from_the_past(void **state)
{
    struct world *w = *state;
    struct cluster_stream s = owned("/live/x", 10);
    struct beat old = beat_of("o1", 1, 4);

    report(w, "o1", 1, 5, NULL, 0);
    old.m.streams = &s;
    old.m.n_streams = 1;
    assert_int_equal(send_beat(w, &old), E_STALE);
    assert_string_equal(old.error, "seq: 4 is older than 5");
    assert_null(registry_stream(&w->r, "live/x"));
}

/* A report that was given up may still arrive, behind the one that took its place. */
static void test_heartbeat_wants_full_when_a_full_report_is_repeated(void **state)
{
    struct world *w = *state;
    struct beat b = beat_of("o1", 1, 5);

    b.m.full = true;
    assert_int_equal(send_beat(w, &b), E_OK);
    assert_false(b.reply.want_full);
    assert_int_equal(send_beat(w, &b), E_OK);
    assert_true(b.reply.want_full);
    b.m.seq = 6;
    assert_int_equal(send_beat(w, &b), E_OK);
    assert_false(b.reply.want_full);
    drop_beat(&b);
}

static void test_heartbeat_says_that_parts_are_understood(void **state)
{
    struct world *w = *state;
    struct beat b = beat_of("o1", 1, 1);

    assert_int_equal(send_beat(w, &b), E_OK);
    assert_true(b.reply.parts);
    drop_beat(&b);
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

/* n owned streams live/0, live/1, ... */
static struct cluster_stream *many(size_t n)
{
    struct cluster_stream *streams = calloc(n, sizeof *streams);

    assert_non_null(streams);
    for (size_t i = 0; i < n; i++) {
        char path[24];

        snprintf(path, sizeof path, "/live/%zu", i);
        streams[i] = owned(path, 10);
    }
    return streams;
}

static void test_full_report_that_drops_many_streams_is_followed_in_slices(void **state)
{
    struct world *w = *state;
    struct cluster_stream *streams = many(1000);

    w->r.conf.max_streams = 1000;
    report(w, "o1", 1, 1, streams, 1000);
    report(w, "o1", 1, 2, streams, 100);
    assert_int_equal(w->r.streams.n_entries, 800);
    assert_true(registry_has_leftovers(&w->r));
    assert_false(registry_reap(&w->r, w->now_us, 300));
    assert_int_equal(w->r.streams.n_entries, 500);
    report(w, "o1", 1, 3, &streams[550], 450); /* what was to go is named again, most of it */
    assert_int_equal(w->r.streams.n_entries, 450);
    assert_false(registry_has_leftovers(&w->r));
    report(w, "o1", 1, 4, NULL, 0);
    assert_int_equal(w->r.streams.n_entries, 250);
    while (!registry_reap(&w->r, w->now_us, 100))
        ;
    assert_int_equal(w->r.streams.n_entries, 0);
    free(streams);
}

/* Part number `part` of a full report, with one owned stream. */
static void send_part(struct world *w, struct beat *b, uint32_t part, bool more, const char *path)
{
    struct cluster_stream s = owned(path, 10);

    b->m.seq++;
    b->m.full = true;
    b->m.part = part;
    b->m.more = more;
    b->m.streams = &s;
    b->m.n_streams = 1;
    assert_int_equal(send_beat(w, b), E_OK);
}

static void test_parts_drop_what_none_of_them_names_with_the_last(void **state)
{
    struct world *w = *state;
    struct cluster_stream old[] = {owned("/live/old", 10), owned("/live/2", 10)};
    struct beat b = beat_of("o1", 1, 1);

    report(w, "o1", 1, 1, old, 2);
    send_part(w, &b, 0, true, "/live/1");
    send_part(w, &b, 1, true, "/live/2");
    assert_false(b.reply.want_full);
    assert_string_equal(owner_of(w, "live/old"), "o1");
    send_part(w, &b, 2, false, "/live/3");
    assert_false(b.reply.want_full);
    assert_string_equal(owner_of(w, "live/old"), "");
    assert_string_equal(owner_of(w, "live/1"), "o1");
    assert_string_equal(owner_of(w, "live/2"), "o1");
    assert_string_equal(owner_of(w, "live/3"), "o1");
    drop_beat(&b);
}

static void test_parts_are_asked_for_again_when_one_is_missing(void **state)
{
    struct world *w = *state;
    struct cluster_stream old = owned("/live/old", 10);
    struct beat b = beat_of("o1", 1, 1);

    report(w, "o1", 1, 1, &old, 1);
    send_part(w, &b, 0, true, "/live/1");
    send_part(w, &b, 2, false, "/live/3");
    assert_true(b.reply.want_full);
    assert_string_equal(owner_of(w, "live/old"), "o1");
    assert_string_equal(owner_of(w, "live/3"), "o1"); /* what it says is true all the same */
    send_part(w, &b, 0, true, "/live/1");
    assert_false(b.reply.want_full);
    b.m.seq++; /* one was lost on the way */
    send_part(w, &b, 1, false, "/live/2");
    assert_true(b.reply.want_full);
    assert_string_equal(owner_of(w, "live/old"), "o1");
    drop_beat(&b);
}

static void test_parts_are_asked_for_again_when_a_delta_comes_between(void **state)
{
    struct world *w = *state;
    struct beat b = beat_of("o1", 1, 1), delta;

    report(w, "o1", 1, 1, NULL, 0);
    send_part(w, &b, 0, true, "/live/1");
    delta = beat_of("o1", 1, b.m.seq + 1);
    delta.m.full = false;
    assert_int_equal(send_beat(w, &delta), E_OK);
    assert_true(delta.reply.want_full);
    b.m.seq++;
    send_part(w, &b, 1, false, "/live/2");
    assert_true(b.reply.want_full);
    drop_beat(&b);
    drop_beat(&delta);
}

static void test_parts_begin_anew_when_all_is_wanted_again(void **state)
{
    struct world *w = *state;
    struct beat b = beat_of("o1", 1, 0);

    send_part(w, &b, 0, true, "/live/1");
    registry_want_full(&w->r); /* Redis was emptied: what was written of part 0 is lost */
    send_part(w, &b, 1, false, "/live/2");
    assert_true(b.reply.want_full);
    drop_beat(&b);
}

static void test_delta_adds_and_removes(void **state)
{
    struct world *w = *state;
    struct cluster_stream first[] = {owned("/live/x", 10), carried("/live/y", 3, "o2")};
    struct cluster_stream gone[] = {owned("/live/x", 10), carried("/live/y", 3, "o2"),
                                    owned("/live/z", 12)};
    struct beat delta = beat_of("o1", 1, 2);

    report(w, "o1", 1, 1, first, 2);
    gone[0].removed = gone[1].removed = true;
    w->said[0] = '\0';
    delta.m.full = false;
    delta.m.streams = gone;
    delta.m.n_streams = 3;
    assert_int_equal(send_beat(w, &delta), E_OK);
    assert_said(w, "ended:live/x:o1 owner:live/z:o1");
    assert_null(registry_stream(&w->r, "live/y"));
    drop_beat(&delta);
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

static void test_report_with_the_epoch_before_a_grant_changes_nothing(void **state)
{
    struct world *w = *state;
    struct cluster_stream old = owned("/live/x", 20), gone = old;
    struct beat end = beat_of("o1", 1, 3);

    report(w, "o1", 1, 1, NULL, 0);
    grant(w, "/live/x", "o1", 20);
    grant(w, "/live/x", "o1", 21); /* the same node publishes again */
    report(w, "o1", 1, 2, &old, 1);
    assert_true(registry_stream(&w->r, "live/x")->epoch == 21);
    gone.removed = true; /* the end of the first publish arrives late */
    end.m.full = false;
    end.m.streams = &gone;
    end.m.n_streams = 1;
    assert_int_equal(send_beat(w, &end), E_OK);
    assert_string_equal(owner_of(w, "live/x"), "o1");
    drop_beat(&end);
}

/* The answer was lost, and the node published with a lower epoch of its own. Others have heard of
 * the grant, or carry the stream. */
static void test_grant_that_nobody_uses_stands_in_nobodys_way(void **state)
{
    struct world *w = *state;
    struct cluster_stream below = carried("/live/x", 20, "o1"), own = owned("/live/x", 25);

    report(w, "o1", 1, 1, NULL, 0);
    grant(w, "/live/x", "o1", 40);
    report(w, "e1", 1, 1, &below, 1);
    for (uint64_t seq = 2; seq < 9; seq++) {
        struct beat b = beat_of("o1", 1, seq);

        b.m.streams = &own;
        b.m.n_streams = 1;
        w->now_us += SECOND;
        assert_int_equal(send_beat(w, &b), E_OK);
        assert_int_equal(b.reply.n_fenced, 0);
        drop_beat(&b);
        sweep(w);
    }
    assert_string_equal(owner_of(w, "live/x"), "o1");
    assert_true(registry_stream(&w->r, "live/x")->epoch == 25);
    assert_true(w->r.highest_epoch == 40);
}

/* A full report that says the stream is its own. */
static struct beat claim_of(const char *node, uint64_t seq, struct cluster_stream *stream)
{
    struct beat b = beat_of(node, 1, seq);

    b.m.streams = stream;
    b.m.n_streams = 1;
    return b;
}

static void test_owner_with_the_lower_epoch_is_fenced(void **state)
{
    struct world *w = *state;
    struct cluster_stream s = owned("/live/x", 20);
    struct beat late = claim_of("o1", 2, &s);

    report(w, "o1", 1, 1, &s, 1);
    report(w, "o2", 1, 1, NULL, 0);
    grant(w, "/live/x", "o2", 30); /* taken over */
    assert_said(w, "owner:live/x:o1 moved:live/x:o2");
    assert_int_equal(send_beat(w, &late), E_OK);
    assert_int_equal(late.reply.n_fenced, 1);
    assert_string_equal(late.reply.fenced[0].name.text, "live/x");
    assert_string_equal(late.reply.fenced[0].owner, "o2");
    assert_string_equal(owner_of(w, "live/x"), "o2");
    drop_beat(&late);
}

static void test_report_cannot_steal_a_granted_stream_when_alone(void **state)
{
    struct world *w = *state;
    struct cluster_stream lie = owned("/live/x", (uint64_t)WALL_US + 5);
    struct beat b = claim_of("o2", 1, &lie);

    report(w, "o1", 1, 1, NULL, 0);
    grant(w, "/live/x", "o1", 30);
    assert_int_equal(send_beat(w, &b), E_OK);
    assert_int_equal(b.reply.n_fenced, 1);
    assert_string_equal(owner_of(w, "live/x"), "o1");
    assert_true(w->r.highest_epoch == (uint64_t)WALL_US + 5); /* later grants are above it */
    drop_beat(&b);
}

static void test_report_with_higher_epoch_asks_the_store_for_a_lease_when_shared(void **state)
{
    struct world *w = *state;
    struct cluster_stream claim = owned("/live/x", 40);
    struct beat b = claim_of("o2", 1, &claim);

    w->r.trust = REGISTRY_SHARED;
    report(w, "o1", 1, 1, NULL, 0);
    grant(w, "/live/x", "o1", 30);
    w->said[0] = '\0';
    assert_int_equal(send_beat(w, &b), E_OK);
    assert_int_equal(b.reply.n_fenced, 0);
    assert_true(b.reply.want_full); /* or it would not say it again */
    assert_said(w, "dispute:live/x:o2");
    w->now_us += w->r.conf.lease_us;
    report(w, "o1", 1, 2, NULL, 0);
    grant(w, "/live/x", "o1", 30);
    w->said[0] = '\0';
    b.m.seq = 2;
    assert_int_equal(send_beat(w, &b), E_OK);
    assert_int_equal(b.reply.n_fenced, 0);
    assert_said(w, "dispute:live/x:o2");
    w->now_us++;
    b.m.seq = 3;
    assert_int_equal(send_beat(w, &b), E_OK);
    assert_int_equal(b.reply.n_fenced, 1); /* the store did not confirm it */
    assert_said(w, "");
    drop_beat(&b);
}

static void test_report_with_higher_epoch_wins_when_degraded_or_owner_lapsed(void **state)
{
    struct world *w = *state;
    struct cluster_stream claim = owned("/live/x", 40);

    report(w, "o1", 1, 1, NULL, 0);
    grant(w, "/live/x", "o1", 30);
    w->r.trust = REGISTRY_DEGRADED;
    report(w, "o2", 1, 1, &claim, 1);
    assert_string_equal(owner_of(w, "live/x"), "o2");
    w->r.trust = REGISTRY_ALONE;
    grant(w, "/live/x", "o1", 50);
    w->now_us += 6 * SECOND;
    claim.epoch = 60;
    report(w, "o2", 1, 2, &claim, 1);
    assert_string_equal(owner_of(w, "live/x"), "o2");
}

static void test_report_of_a_node_at_the_owners_address_is_not_believed(void **state)
{
    struct world *w = *state;
    struct cluster_stream s = owned("/live/x", 30), more = owned("/live/x", 40);
    struct beat one = claim_of("o1", 1, &s), copy = claim_of("o2", 1, &more);

    strcpy(one.m.internal_urls.http, "http://10.0.0.1:8080");
    strcpy(copy.m.internal_urls.http, "http://10.0.0.1:8080");
    w->r.trust = REGISTRY_DEGRADED; /* else the higher epoch wins */
    assert_int_equal(send_beat(w, &one), E_OK);
    assert_int_equal(send_beat(w, &copy), E_OK);
    assert_said(w, "owner:live/x:o1 shared:o2:o1");
    assert_int_equal(copy.reply.n_fenced, 1);
    one.m.seq++;
    copy.m.seq++;
    assert_int_equal(send_beat(w, &one), E_OK);
    assert_int_equal(send_beat(w, &copy), E_OK);
    assert_said(w, ""); /* told once */
    assert_string_equal(owner_of(w, "live/x"), "o1");
    w->now_us += 6 * SECOND; /* until the first is gone */
    copy.m.seq++;
    assert_int_equal(send_beat(w, &copy), E_OK);
    assert_string_equal(owner_of(w, "live/x"), "o2");
    drop_beat(&one);
    drop_beat(&copy);
}

static void test_equal_epochs_are_won_by_the_higher_id(void **state)
{
    struct world *w = *state;
    struct cluster_stream s = owned("/live/x", 40);
    struct beat low = claim_of("o1", 2, &s);

    report(w, "o1", 1, 1, &s, 1);
    report(w, "o2", 1, 1, &s, 1);
    assert_string_equal(owner_of(w, "live/x"), "o2");
    assert_int_equal(send_beat(w, &low), E_OK);
    assert_int_equal(low.reply.n_fenced, 1);
    drop_beat(&low);
}

static void test_heartbeat_refuses_epochs_that_nobody_was_given(void **state)
{
    struct world *w = *state;
    struct cluster_stream s = owned("/live/x", UINT64_MAX);
    struct beat b = claim_of("o1", 1, &s);

    assert_int_equal(send_beat(w, &b), E_INVAL);
    assert_string_equal(b.error,
                        "streams[0].epoch: 18446744073709551615 was never given to anybody");
    assert_null(registry_node(&w->r, "o1"));
}

/* One node says the very last epoch that is plausible: what is given to others lies above it. */
static void test_heartbeat_believes_what_was_given_above_the_last_plausible_epoch(void **state)
{
    struct world *w = *state;
    uint64_t last = (uint64_t)WALL_US + 100ull * 366 * 86400 * SECOND - 1;
    struct beat liar = beat_of("o1", 1, 1);
    struct cluster_stream s = owned("/live/x", last + 5);

    liar.m.highest_epoch = last;
    assert_int_equal(send_beat(w, &liar), E_OK);
    report(w, "o2", 1, 1, NULL, 0);
    grant(w, "/live/x", "o2", last + 5);
    report(w, "o2", 1, 2, &s, 1);
    assert_string_equal(owner_of(w, "live/x"), "o2");
    liar.m.seq = 2;
    liar.m.highest_epoch = last + 6; /* nobody can push them on */
    assert_int_equal(send_beat(w, &liar), E_INVAL);
    drop_beat(&liar);
}

static void test_heartbeat_counts_as_life_when_streams_do_not_fit(void **state)
{
    struct world *w = *state;
    struct cluster_stream s[9];
    struct beat many = beat_of("n1", 1, 1), next = beat_of("n1", 1, 2);

    for (int i = 0; i < 9; i++) {
        char path[24];

        snprintf(path, sizeof path, "/live/%d", i);
        s[i] = owned(path, 10);
    }
    many.m.streams = s;
    many.m.n_streams = 9;
    assert_int_equal(send_beat(w, &many), E_OK);
    assert_false(many.reply.want_full); /* it would be the same again */
    assert_true(w->r.n_left_out == 1);
    assert_true(registry_is_live(registry_node(&w->r, "n1"), w->now_us));
    assert_int_equal(w->r.streams.n_entries, 8);
    assert_int_equal(registry_release(&w->r, "live/0", "n1", 1, 10), E_OK);
    sweep(w); /* there is room now */
    next.m.full = false;
    assert_int_equal(send_beat(w, &next), E_OK);
    assert_true(next.reply.want_full);
    drop_beat(&many);
    drop_beat(&next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_heartbeat_wants_full_when_a_report_is_missing),
        CASE(test_heartbeat_is_refused_when_sequence_is_from_the_past),
        CASE(test_heartbeat_wants_full_when_a_full_report_is_repeated),
        CASE(test_heartbeat_says_that_parts_are_understood),
        CASE(test_full_report_drops_what_it_does_not_name),
        CASE(test_full_report_that_drops_many_streams_is_followed_in_slices),
        CASE(test_parts_drop_what_none_of_them_names_with_the_last),
        CASE(test_parts_are_asked_for_again_when_one_is_missing),
        CASE(test_parts_are_asked_for_again_when_a_delta_comes_between),
        CASE(test_parts_begin_anew_when_all_is_wanted_again),
        CASE(test_delta_adds_and_removes),
        CASE(test_full_report_keeps_a_grant_that_is_on_its_way),
        CASE(test_report_with_the_epoch_before_a_grant_changes_nothing),
        CASE(test_grant_that_nobody_uses_stands_in_nobodys_way),
        CASE(test_owner_with_the_lower_epoch_is_fenced),
        CASE(test_report_cannot_steal_a_granted_stream_when_alone),
        CASE(test_report_with_higher_epoch_asks_the_store_for_a_lease_when_shared),
        CASE(test_report_with_higher_epoch_wins_when_degraded_or_owner_lapsed),
        CASE(test_report_of_a_node_at_the_owners_address_is_not_believed),
        CASE(test_equal_epochs_are_won_by_the_higher_id),
        CASE(test_heartbeat_refuses_epochs_that_nobody_was_given),
        CASE(test_heartbeat_believes_what_was_given_above_the_last_plausible_epoch),
        CASE(test_heartbeat_counts_as_life_when_streams_do_not_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
