/* Who may publish, and who follows: every case of the rules. */
#include "scheduler/publish.h"

#include "tests/unit/scheduler/registry_world.h"

enum owner { NOBODY, SELF, OTHER };

#define REFUSE CLUSTER_DUPLICATE_REFUSE
#define TAKEOVER CLUSTER_DUPLICATE_TAKEOVER
#define STANDBY CLUSTER_DUPLICATE_STANDBY

/* clang-format off */
static const struct {
    enum cluster_role role;
    enum owner owner;
    bool is_live, is_suspect, is_leaving;
    enum cluster_duplicate duplicate;
    uint64_t run; /* the owner's is 7 */
    unsigned n_avoid;
    enum publish_verdict verdict;
} k_cases[] = {
    /* role          owner   live   suspect leaving policy  run avoid */
    {CLUSTER_ORIGIN, NOBODY, false, false, false, REFUSE,   0, 0, PUBLISH_GRANT},
    {CLUSTER_BOTH,   NOBODY, false, false, false, REFUSE,   0, 0, PUBLISH_GRANT},
    {CLUSTER_ORIGIN, SELF,   true,  false, false, REFUSE,   0, 0, PUBLISH_GRANT},
    {CLUSTER_ORIGIN, SELF,   true,  false, false, STANDBY,  0, 0, PUBLISH_GRANT},
    /* edges, and who wants another origin */
    {CLUSTER_EDGE,   NOBODY, false, false, false, REFUSE,   0, 0, PUBLISH_FORWARD},
    {CLUSTER_EDGE,   OTHER,  true,  false, false, TAKEOVER, 0, 0, PUBLISH_FORWARD},
    {CLUSTER_EDGE,   OTHER,  true,  true,  false, REFUSE,   7, 0, PUBLISH_FORWARD},
    {CLUSTER_BOTH,   OTHER,  true,  true,  false, REFUSE,   7, 1, PUBLISH_FORWARD},
    /* an owner that lives */
    {CLUSTER_ORIGIN, OTHER,  true,  false, false, REFUSE,   0, 0, PUBLISH_REFUSE},
    {CLUSTER_ORIGIN, OTHER,  true,  false, false, REFUSE,   8, 0, PUBLISH_REFUSE},
    {CLUSTER_ORIGIN, OTHER,  true,  false, false, TAKEOVER, 8, 0, PUBLISH_GRANT},
    {CLUSTER_ORIGIN, OTHER,  true,  false, false, STANDBY,  8, 0, PUBLISH_STANDBY},
    /* one that may be gone is asked; not where it makes no difference */
    {CLUSTER_ORIGIN, OTHER,  true,  true,  false, REFUSE,   8, 0, PUBLISH_ASK_OWNER},
    {CLUSTER_ORIGIN, OTHER,  true,  true,  false, STANDBY,  8, 0, PUBLISH_ASK_OWNER},
    {CLUSTER_ORIGIN, OTHER,  true,  true,  false, TAKEOVER, 8, 0, PUBLISH_GRANT},
    {CLUSTER_ORIGIN, OTHER,  false, true,  false, REFUSE,   8, 0, PUBLISH_GRANT},
    {CLUSTER_ORIGIN, OTHER,  false, true,  false, STANDBY,  8, 0, PUBLISH_GRANT},
    /* the same encoder by another way, whatever the policy */
    {CLUSTER_ORIGIN, OTHER,  true,  false, false, REFUSE,   7, 0, PUBLISH_MOVE},
    {CLUSTER_ORIGIN, OTHER,  true,  true,  false, STANDBY,  7, 0, PUBLISH_MOVE},
    {CLUSTER_ORIGIN, OTHER,  true,  false, false, TAKEOVER, 7, 0, PUBLISH_MOVE},
    /* an owner that leaves sent its encoder away */
    {CLUSTER_ORIGIN, OTHER,  true,  false, true,  REFUSE,   8, 0, PUBLISH_GRANT},
    {CLUSTER_ORIGIN, OTHER,  true,  true,  true,  STANDBY,  8, 0, PUBLISH_GRANT},
};
/* clang-format on */

static void test_decide_gives_the_rule_for_each_case(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        struct registry_node self = {.place.role = k_cases[i].role};
        struct registry_node other = {.place.role = CLUSTER_ORIGIN};
        struct registry_stream stream = {.run = 7,
                                         .owner = k_cases[i].owner == SELF    ? &self
                                                  : k_cases[i].owner == OTHER ? &other
                                                                              : NULL};
        struct publish_view view = {.asker = &self,
                                    .stream = &stream,
                                    .is_live = k_cases[i].is_live,
                                    .is_suspect = k_cases[i].is_suspect,
                                    .is_leaving = k_cases[i].is_leaving};
        struct cluster_publish request = {.duplicate = k_cases[i].duplicate,
                                          .run = k_cases[i].run,
                                          .avoid.n = k_cases[i].n_avoid};

        if (publish_decide(&view, &request) != k_cases[i].verdict)
            fail_msg("case %zu: %d", i, publish_decide(&view, &request));
    }
}

static void test_decide_gives_grant_when_the_stream_is_unknown(void **state)
{
    struct registry_node self = {.place.role = CLUSTER_ORIGIN};
    struct publish_view view = {.asker = &self};

    (void)state;
    assert_int_equal(publish_decide(&view, &(struct cluster_publish){.run = 7}), PUBLISH_GRANT);
}

static void test_look_gives_what_is_known_of_the_owner(void **state)
{
    struct world *w = *state;
    struct publish_view view;

    report(w, "o1", 1, 1, NULL, 0);
    publish_look(&view, &w->r, "live/x", registry_node(&w->r, "o1"), w->now_us);
    assert_null(view.stream);
    assert_false(view.is_live);
    grant(w, "/live/x", "o1", 30);
    publish_look(&view, &w->r, "live/x", NULL, w->now_us);
    assert_true(view.is_live && !view.is_suspect);
    publish_look(&view, &w->r, "live/x", NULL, w->now_us + 4 * SECOND);
    assert_true(view.is_live && view.is_suspect);
    registry_lost(&w->r, registry_node(&w->r, "o1"));
    publish_look(&view, &w->r, "live/x", NULL, w->now_us);
    assert_false(view.is_live);
}

static void test_look_says_that_the_encoder_was_sent_away(void **state)
{
    struct world *w = *state;
    struct cluster_stream forwarded = carried("/live/x", 30, "");
    struct beat edge = beat_of("e1", 1, 1);
    struct publish_view view;

    report(w, "o1", 1, 1, NULL, 0);
    grant(w, "/live/x", "o1", 30);
    edge.m.streams = &forwarded;
    edge.m.n_streams = 1;
    assert_int_equal(send_beat(w, &edge), E_OK);
    publish_look(&view, &w->r, "live/x", NULL, w->now_us);
    assert_false(view.is_leaving);
    edge.m.state = CLUSTER_NODE_DRAINING;
    edge.m.seq++;
    assert_int_equal(send_beat(w, &edge), E_OK);
    publish_look(&view, &w->r, "live/x", NULL, w->now_us);
    assert_true(view.is_leaving);
    grant(w, "/live/x", "o1", 31); /* the encoder has come back by another edge */
    publish_look(&view, &w->r, "live/x", NULL, w->now_us);
    assert_false(view.is_leaving);
    edge.m.streams = NULL;
    drop_beat(&edge);
}

static const char *standby_of(struct world *w, const char *name)
{
    const struct registry_standby *standby =
        publish_pick_standby(&w->r, registry_stream(&w->r, name), w->now_us);

    return standby ? standby->node->id : "";
}

static void test_pick_standby_gives_who_waits_longest_at_a_node_that_stays(void **state)
{
    struct world *w = *state;

    for (int i = 1; i <= 4; i++) {
        char id[16];

        snprintf(id, sizeof id, "o%d", i);
        report(w, id, 1, 1, NULL, 0);
    }
    grant(w, "/live/x", "o1", 30);
    assert_string_equal(standby_of(w, "live/x"), "");
    hold(w, "/live/x", "o2");
    hold(w, "/live/x", "o3");
    hold(w, "/live/x", "o4");
    assert_string_equal(standby_of(w, "live/x"), "o2");
    registry_drain(&w->r, registry_node(&w->r, "o2"), true);
    assert_string_equal(standby_of(w, "live/x"), "o3");
    registry_suspect(registry_node(&w->r, "o3"), w->now_us + 1);
    assert_string_equal(standby_of(w, "live/x"), "o4");
    registry_lost(&w->r, registry_node(&w->r, "o4"));
    assert_string_equal(standby_of(w, "live/x"), "o2"); /* better than nobody */
    registry_lost(&w->r, registry_node(&w->r, "o2"));
    registry_lost(&w->r, registry_node(&w->r, "o3"));
    assert_string_equal(standby_of(w, "live/x"), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decide_gives_the_rule_for_each_case),
        cmocka_unit_test(test_decide_gives_grant_when_the_stream_is_unknown),
        CASE(test_look_gives_what_is_known_of_the_owner),
        CASE(test_look_says_that_the_encoder_was_sent_away),
        CASE(test_pick_standby_gives_who_waits_longest_at_a_node_that_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
