/* Placement by tables of snapshots: one row a node, one character a property. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "scheduler/placement.h"

#define MAX_ROWS 8
static const struct cluster_urls k_public = {.rtmp = "rtmp://p:1935", .http = "http://p:8080"};
static const struct cluster_urls k_internal = {.rtmp = "rtmp://i:1935", .http = "http://i:8080"};
static const struct cluster_urls k_no_urls;

struct row {
    const char *id;
    /* O origin, E edge, B both; then any of: d draining, s starting, l lapsed, g gone, ? suspect,
     * * owner, + carries, o carries an older epoch, n no addresses */
    const char *what;
    const char *zone, *parent;
    uint32_t depth, n_children, load; /* viewers of an edge, publishers of an origin */
    uint32_t weight, max_viewers;     /* weight 0 = the default */
    uint64_t out_bps, capacity_bps;
};

struct snapshot {
    struct placement_node nodes[MAX_ROWS];
    struct placement_candidate candidates[MAX_ROWS];
    int n;
};

static void fill_candidate(struct snapshot *s, const struct row *row)
{
    struct placement_node *node = &s->nodes[s->n];
    struct placement_candidate *c = &s->candidates[s->n];
    bool has_urls = !strchr(row->what, 'n');

    *node = (struct placement_node){
        .id = row->id,
        .zone = row->zone ? row->zone : "",
        .public_urls = has_urls ? &k_public : &k_no_urls,
        .internal_urls = has_urls ? &k_internal : &k_no_urls,
        .hash = placement_hash(row->id),
        .role = row->what[0] == 'O'   ? CLUSTER_ORIGIN
                : row->what[0] == 'E' ? CLUSTER_EDGE
                                      : CLUSTER_BOTH,
        .state = strchr(row->what, 'd')   ? CLUSTER_NODE_DRAINING
                 : strchr(row->what, 's') ? CLUSTER_NODE_STARTING
                                          : CLUSTER_NODE_ACTIVE,
        .n_viewers = row->load,
        .n_publishers = row->load,
        .weight = row->weight ? row->weight : CLUSTER_WEIGHT_DEFAULT,
        .max_viewers = row->max_viewers,
        .out_bps = row->out_bps,
        .capacity_bps = row->capacity_bps,
    };
    *c = (struct placement_candidate){
        .node = node,
        .live = !strpbrk(row->what, "lg"),
        .gone = strchr(row->what, 'g'),
        .suspect = strchr(row->what, '?'),
        .is_owner = strchr(row->what, '*'),
        .carries = strpbrk(row->what, "*+o"),
        .epoch = strchr(row->what, 'o') ? 6 : 7,
        .depth = row->depth,
        .n_children = row->n_children,
        .parent = -1,
    };
    for (int i = 0; row->parent && i < s->n; i++)
        if (strcmp(s->nodes[i].id, row->parent) == 0)
            c->parent = i;
    s->n++;
}

static void fill(struct snapshot *s, const struct row *rows)
{
    memset(s, 0, sizeof *s);
    for (int i = 0; i < MAX_ROWS && rows[i].id; i++)
        fill_candidate(s, &rows[i]);
}

static int index_of(const struct snapshot *s, const char *id)
{
    for (int i = 0; i < s->n; i++)
        if (strcmp(s->nodes[i].id, id) == 0)
            return i;
    fail_msg("no node %s", id);
    return -1;
}

struct scenario {
    const char *name;
    enum cluster_intent intent;
    const char *asker, *avoid;
    struct row rows[MAX_ROWS];
    enum cluster_decision decision;
    const char *picks;           /* ids in order, separated by spaces */
    const char *left;            /* a node that is left, or NULL */
    enum placement_why why_left; /* and why */
};

#define PLAY CLUSTER_INTENT_PLAY
#define SOURCE CLUSTER_INTENT_SOURCE
#define PUBLISH CLUSTER_INTENT_PUBLISH

/* clang-format off */
static const struct scenario k_scenarios[] = {
    {"people go to the edge that carries the stream", PLAY, NULL, "",
     {{"o1", .what = "O*"}, {"e1", .what = "E"}, {"e2", .what = "E+"}, {"e3", .what = "E"}},
     CLUSTER_REDIRECT, "e2", "e1", PLACEMENT_RANKED},
    {"people do not go to an origin while there is an edge", PLAY, NULL, "",
     {{"o1", .what = "O*"}, {"e1", .what = "E"}}, CLUSTER_REDIRECT, "e1", "o1", PLACEMENT_RANKED},
    {"people go to an origin where there is no edge", PLAY, NULL, "",
     {{"o1", .what = "O*"}}, CLUSTER_REDIRECT, "o1", NULL, 0},
    {"a node with both roles is an edge", PLAY, NULL, "",
     {{"o1", .what = "O*"}, {"b1", .what = "B"}}, CLUSTER_REDIRECT, "b1", NULL, 0},
    {"a full carrier is left for an emptier edge", PLAY, NULL, "",
     {{"e1", .what = "E+", .load = 100}, {"e2", .what = "E", .load = 99}}, CLUSTER_REDIRECT, "e2", "e1", PLACEMENT_RANKED},
    {"when all are full the least loaded serves", PLAY, NULL, "",
     {{"e1", .what = "E", .load = 300}, {"e2", .what = "E", .load = 200}, {"e3", .what = "E", .load = 201}},
     CLUSTER_REDIRECT, "e2", NULL, 0},
    {"draining edges never", PLAY, NULL, "",
     {{"e1", .what = "Ed+"}, {"e2", .what = "E"}}, CLUSTER_REDIRECT, "e2", "e1", PLACEMENT_DRAINING},
    {"suspect edges never", PLAY, NULL, "",
     {{"e1", .what = "E?+"}, {"e2", .what = "E"}}, CLUSTER_REDIRECT, "e2", "e1", PLACEMENT_SUSPECT},
    {"lapsed edges never", PLAY, NULL, "",
     {{"e1", .what = "El+"}, {"e2", .what = "E"}}, CLUSTER_REDIRECT, "e2", "e1", PLACEMENT_LAPSED},
    {"starting edges never", PLAY, NULL, "",
     {{"e1", .what = "Es+"}, {"e2", .what = "E"}}, CLUSTER_REDIRECT, "e2", "e1", PLACEMENT_STARTING},
    {"avoided edges never", PLAY, NULL, "e1",
     {{"e1", .what = "E+"}, {"e2", .what = "E"}}, CLUSTER_REDIRECT, "e2", "e1", PLACEMENT_AVOIDED},
    {"an edge without a public address never", PLAY, NULL, "",
     {{"e1", .what = "En+"}, {"e2", .what = "E"}}, CLUSTER_REDIRECT, "e2", "e1", PLACEMENT_NO_URL},
    {"edges that were asked and did not answer never", PLAY, NULL, "",
     {{"e1", .what = "Eg+"}, {"e2", .what = "E"}}, CLUSTER_REDIRECT, "e2", "e1", PLACEMENT_GONE},
    {"an edge with all the viewers it admits never", PLAY, NULL, "",
     {{"e1", .what = "E+", .load = 10, .max_viewers = 10}, {"e2", .what = "E", .load = 500}},
     CLUSTER_REDIRECT, "e2", "e1", PLACEMENT_AT_LIMIT},
    {"an edge that sends all it can never", PLAY, NULL, "",
     {{"e1", .what = "E+", .out_bps = 1000, .capacity_bps = 1000}, {"e2", .what = "E", .load = 500}},
     CLUSTER_REDIRECT, "e2", "e1", PLACEMENT_AT_LIMIT},
    {"all at their limit: nobody", PLAY, NULL, "",
     {{"e1", .what = "E+", .load = 9, .max_viewers = 9}, {"e2", .what = "E", .load = 5, .max_viewers = 5}},
     CLUSTER_DENY, "", "e2", PLACEMENT_AT_LIMIT},
    {"the load bound goes with the weight", PLAY, NULL, "",
     {{"e1", .what = "E+", .load = 150, .weight = 200}, {"e2", .what = "E", .load = 10}},
     CLUSTER_REDIRECT, "e1", NULL, 0},
    {"so does the load above it", PLAY, NULL, "",
     {{"e1", .what = "E+", .load = 420, .weight = 400}, {"e2", .what = "E+", .load = 110}},
     CLUSTER_REDIRECT, "e1", NULL, 0},
    {"an edge at its limit sends people on", PLAY, "e1", "",
     {{"o1", .what = "O*"}, {"e1", .what = "E+", .load = 9, .max_viewers = 9}, {"e2", .what = "E"}},
     CLUSTER_REDIRECT, "e2", "e1", PLACEMENT_AT_LIMIT},
    {"so does one that names itself", PLAY, "e1", "e1",
     {{"o1", .what = "O*"}, {"e1", .what = "E+"}, {"e2", .what = "E"}}, CLUSTER_REDIRECT, "e2", "e1", PLACEMENT_AVOIDED},
    {"no edge at all", PLAY, NULL, "", {{"e1", .what = "Ed"}}, CLUSTER_DENY, "", "e1", PLACEMENT_DRAINING},
    {"nobody at all", PLAY, NULL, "", {{.id = NULL}}, CLUSTER_DENY, "", NULL, 0},
    {"a node that carries the stream serves it", PLAY, "e1", "",
     {{"o1", .what = "O*"}, {"e1", .what = "E+"}}, CLUSTER_SERVE, "", NULL, 0},
    {"an edge that is asked pulls", PLAY, "e1", "",
     {{"o1", .what = "O*"}, {"e1", .what = "E"}}, CLUSTER_PULL, "o1", NULL, 0},
    {"an origin that is asked for another's stream sends people to an edge", PLAY, "o2", "",
     {{"o1", .what = "O*"}, {"o2", .what = "O"}, {"e1", .what = "E"}}, CLUSTER_REDIRECT, "e1", NULL, 0},

    {"a source is the owner first, then carriers", SOURCE, "e1", "",
     {{"o1", .what = "O*"}, {"e1", .what = "E"}, {"e2", .what = "E+", .depth = 1}}, CLUSTER_PULL, "o1 e2", "e1", PLACEMENT_NO_STREAM},
    {"an owner with max_children gives way to its children", SOURCE, "e1", "",
     {{"o1", .what = "O*", .n_children = 4}, {"e2", .what = "E+", .depth = 1, .parent = "o1"}, {"e1", .what = "E"}},
     CLUSTER_PULL, "e2 o1", NULL, 0},
    {"near the owner comes before far", SOURCE, "e1", "",
     {{"o1", .what = "O*", .n_children = 4}, {"e2", .what = "E+", .depth = 2}, {"e3", .what = "E+", .depth = 1}, {"e1", .what = "E"}},
     CLUSTER_PULL, "e3 e2 o1", NULL, 0},
    {"depth three is the end", SOURCE, "e1", "",
     {{"o1", .what = "O*", .n_children = 4}, {"e2", .what = "E+", .depth = 3}, {"e1", .what = "E"}},
     CLUSTER_PULL, "o1", "e2", PLACEMENT_TOO_DEEP},
    {"no cycles: what pulls from the asker is no source", SOURCE, "e1", "o1",
     {{"o1", .what = "O*"}, {"e1", .what = "E+", .parent = "o1", .depth = 1}, {"e2", .what = "E+", .parent = "e1", .depth = 2},
      {"e3", .what = "E+", .parent = "e2", .depth = 2}, {"e4", .what = "E+", .parent = "o1", .depth = 1}},
     CLUSTER_PULL, "e4", "e3", PLACEMENT_CYCLE},
    {"the owner that just failed is avoided", SOURCE, "e1", "o1",
     {{"o1", .what = "O*"}, {"e1", .what = "E"}, {"e2", .what = "E+", .depth = 1}}, CLUSTER_PULL, "e2", "o1", PLACEMENT_AVOIDED},
    {"a suspect owner comes last", SOURCE, "e1", "",
     {{"o1", .what = "O*?"}, {"e1", .what = "E"}, {"e2", .what = "E+", .depth = 1}}, CLUSTER_PULL, "e2 o1", NULL, 0},
    {"a draining owner has the only copy", SOURCE, "e1", "",
     {{"o1", .what = "O*d"}, {"e1", .what = "E"}}, CLUSTER_PULL, "o1", NULL, 0},
    {"children of a draining owner stay with it, not with each other", SOURCE, "e1", "",
     {{"o1", .what = "O*d"}, {"e1", .what = "E+", .parent = "o1", .depth = 1}, {"e2", .what = "E+", .parent = "o1", .depth = 1}},
     CLUSTER_PULL, "o1 e2", NULL, 0},
    {"whose parent died comes after who has a parent", SOURCE, "e1", "p1",
     {{"o1", .what = "O*", .n_children = 4}, {"p1", .what = "E+", .parent = "o1", .depth = 1},
      {"p2", .what = "E+", .parent = "o1", .depth = 1, .n_children = 3}, {"e1", .what = "E+", .parent = "p1", .depth = 2},
      {"e2", .what = "E+", .parent = "p1", .depth = 2}}, CLUSTER_PULL, "p2 o1 e2", "p1", PLACEMENT_AVOIDED},
    {"but is all there is when the way to the owner is broken", SOURCE, "e1", "o1",
     {{"o1", .what = "O*"}, {"e1", .what = "E"}, {"e2", .what = "E+", .parent = "o1", .depth = 1}},
     CLUSTER_PULL, "e2", "o1", PLACEMENT_AVOIDED},
    {"a draining carrier is left alone", SOURCE, "e1", "",
     {{"o1", .what = "O*"}, {"e1", .what = "E"}, {"e2", .what = "E+d", .depth = 1}}, CLUSTER_PULL, "o1", "e2", PLACEMENT_DRAINING},
    {"a carrier of the stream before the last takeover is no source", SOURCE, "e1", "",
     {{"o1", .what = "O*"}, {"e1", .what = "E"}, {"e2", .what = "Eo", .depth = 1}}, CLUSTER_PULL, "o1", "e2", PLACEMENT_OLD_EPOCH},
    {"a lapsed owner is none", SOURCE, "e1", "",
     {{"o1", .what = "O*l"}, {"e1", .what = "E"}}, CLUSTER_WAIT, "", "o1", PLACEMENT_LAPSED},
    {"nobody has it: wait", SOURCE, "e1", "", {{"e1", .what = "E"}}, CLUSTER_WAIT, "", NULL, 0},
    {"the owner asks for its own stream", SOURCE, "o1", "", {{"o1", .what = "O*"}}, CLUSTER_SERVE, "", NULL, 0},
    {"the same zone comes first among carriers", SOURCE, "e1", "",
     {{"o1", .what = "O*", .zone = "a", .n_children = 4}, {"e1", .what = "E", .zone = "b"}, {"e2", .what = "E+", .zone = "a", .depth = 1},
      {"e3", .what = "E+", .zone = "b", .depth = 1}}, CLUSTER_PULL, "e3 e2 o1", NULL, 0},

    {"a publish goes to the least loaded origin", PUBLISH, "e1", "",
     {{"o1", .what = "O", .load = 5}, {"o2", .what = "O", .load = 4}, {"b1", .what = "B", .load = 9}, {"e1", .what = "E"}},
     CLUSTER_REDIRECT, "o2", "e1", PLACEMENT_ROLE},
    {"an origin of the asker's zone comes first", PUBLISH, "e1", "",
     {{"o1", .what = "O", .zone = "a", .load = 5}, {"o2", .what = "O", .zone = "b", .load = 4}, {"e1", .what = "E", .zone = "a"}},
     CLUSTER_REDIRECT, "o1", NULL, 0},
    {"publishers go with the weight", PUBLISH, "e1", "",
     {{"o1", .what = "O", .load = 5, .weight = 200}, {"o2", .what = "O", .load = 3}, {"e1", .what = "E"}},
     CLUSTER_REDIRECT, "o1", NULL, 0},
    {"who names one that failed is sent to another", PUBLISH, "b1", "o1",
     {{"o1", .what = "O"}, {"o2", .what = "O", .load = 9}, {"b1", .what = "B"}}, CLUSTER_REDIRECT, "o2", "b1", PLACEMENT_ASKER},
    {"a suspect origin only where there is no other", PUBLISH, "e1", "",
     {{"o1", .what = "O?"}, {"o2", .what = "O", .load = 9, .zone = "b"}, {"e1", .what = "E", .zone = "a"}}, CLUSTER_REDIRECT, "o2", "o1", PLACEMENT_RANKED},
    {"but there", PUBLISH, "e1", "", {{"o1", .what = "O?"}, {"o2", .what = "Od"}, {"e1", .what = "E"}}, CLUSTER_REDIRECT, "o1", "o2", PLACEMENT_DRAINING},
    {"an origin takes a publish itself", PUBLISH, "o1", "", {{"o1", .what = "O"}}, CLUSTER_SERVE, "", NULL, 0},
    {"a draining origin sends it on", PUBLISH, "o1", "",
     {{"o1", .what = "Od"}, {"o2", .what = "O"}}, CLUSTER_REDIRECT, "o2", "o1", PLACEMENT_ASKER},
    {"no origin", PUBLISH, "e1", "", {{"e1", .what = "E"}}, CLUSTER_DENY, "", "e1", PLACEMENT_ROLE},
};
/* clang-format on */

static void decide(const struct scenario *sc, struct snapshot *s, struct placement_decision *d)
{
    struct cluster_ids avoid = {.n = *sc->avoid ? 1 : 0};
    struct placement_request request = {
        .stream_hash = placement_hash("live/x"),
        .protocol = "flv",
        .intent = sc->intent,
        .avoid = &avoid,
        .owner_epoch = 7,
        .max_children = 4,
        .load_bound = 100,
    };

    fill(s, sc->rows);
    snprintf(avoid.id[0], sizeof avoid.id[0], "%s", sc->avoid);
    if (sc->asker)
        request.asker = &s->nodes[index_of(s, sc->asker)];
    placement_decide(&request, s->candidates, s->n, d);
}

static void test_decide_gives_the_expected_nodes_for_each_scenario(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_scenarios / sizeof k_scenarios[0]; i++) {
        const struct scenario *sc = &k_scenarios[i];
        struct placement_decision d;
        struct snapshot s;
        char picks[256] = "";

        decide(sc, &s, &d);
        for (unsigned p = 0; p < d.n_picks; p++) {
            size_t used = strlen(picks);

            snprintf(picks + used, sizeof picks - used, "%s%s", p ? " " : "",
                     s.nodes[d.picks[p]].id);
        }
        if (d.decision != sc->decision || strcmp(picks, sc->picks) != 0)
            fail_msg("%s: %s [%s], expected %s [%s]", sc->name, k_cluster_decisions[d.decision],
                     picks, k_cluster_decisions[sc->decision], sc->picks);
        if (sc->left && s.candidates[index_of(&s, sc->left)].why != sc->why_left)
            fail_msg("%s: %s was left because %s", sc->name, sc->left,
                     placement_why_text(s.candidates[index_of(&s, sc->left)].why));
    }
}

/* Picks for many streams over n edges that all carry them; counts by edge. */
static void spread(int n_edges, int n_streams, unsigned counts[MAX_ROWS], char owners[][MAX_ROWS])
{
    static const char *const k_ids[] = {"e1", "e2", "e3", "e4", "e5"};
    struct snapshot s = {0};

    for (int i = 0; i < n_edges; i++)
        fill_candidate(&s, &(struct row){.id = k_ids[i], .what = "E+"});
    for (int i = 0; i < n_streams; i++) {
        char name[32];
        struct placement_request request = {
            .protocol = "flv", .max_children = 4, .load_bound = 100};
        struct placement_decision d;

        snprintf(name, sizeof name, "live/%d", i);
        request.stream_hash = placement_hash(name);
        placement_decide(&request, s.candidates, s.n, &d);
        assert_int_equal(d.n_picks, 1);
        counts[d.picks[0]]++;
        snprintf(owners[i], MAX_ROWS, "%s", s.nodes[d.picks[0]].id);
    }
}

static void test_decide_moves_only_its_share_when_an_edge_leaves(void **state)
{
    static char before[1000][MAX_ROWS], after[1000][MAX_ROWS];
    unsigned counts[MAX_ROWS] = {0}, fewer[MAX_ROWS] = {0};

    (void)state;
    spread(5, 1000, counts, before);
    spread(4, 1000, fewer, after);
    for (int i = 0; i < 5; i++)
        assert_in_range(counts[i], 140, 260); /* 200 each, give or take */
    for (int i = 0; i < 1000; i++)
        if (strcmp(before[i], "e5") != 0)
            assert_string_equal(before[i], after[i]);
}

static void test_decide_gives_at_most_four_upstreams_when_many_carry(void **state)
{
    const struct scenario sc = {.intent = SOURCE,
                                .avoid = "",
                                .rows = {{"o1", .what = "O*"},
                                         {"e1", .what = "E+"},
                                         {"e2", .what = "E+"},
                                         {"e3", .what = "E+"},
                                         {"e4", .what = "E+"},
                                         {"e5", .what = "E+"}}};
    struct placement_decision d;
    struct snapshot s;

    (void)state;
    decide(&sc, &s, &d);
    assert_int_equal(d.n_picks, CLUSTER_MAX_UPSTREAMS);
}

static void
test_decide_leaves_out_carriers_that_are_cut_off_when_nobody_owns_the_stream(void **state)
{
    static const struct row k_rows[MAX_ROWS] = {{"e1", .what = "E+", .depth = 1},
                                                {"e2", .what = "E+", .parent = "e1", .depth = 2},
                                                {"e3", .what = "E+", .depth = 1},
                                                {"o1", .what = "O"}};
    struct placement_request request = {
        .protocol = "flv", .intent = CLUSTER_INTENT_SOURCE, .max_children = 4};
    struct placement_decision d;
    struct snapshot s;

    (void)state;
    fill(&s, k_rows);
    request.asker = &s.nodes[3];
    s.candidates[0].is_orphan = true; /* pulled from o1, which lost its publisher and asks now */
    placement_decide(&request, s.candidates, s.n, &d);
    assert_int_equal(d.decision, CLUSTER_PULL); /* e3 pulls from a foreign server */
    assert_int_equal(d.n_picks, 1);
    assert_int_equal(d.picks[0], 2);
    assert_int_equal(s.candidates[0].why, PLACEMENT_ORPHAN);
    assert_int_equal(s.candidates[1].why, PLACEMENT_ORPHAN);
    s.candidates[2].is_orphan = true;
    placement_decide(&request, s.candidates, s.n, &d);
    assert_int_equal(d.decision, CLUSTER_WAIT);
    request.owner_epoch = 7; /* the owner is known, only not to this scheduler's snapshot */
    placement_decide(&request, s.candidates, s.n, &d);
    assert_int_equal(d.decision, CLUSTER_PULL);
}

static void test_decide_ends_when_reported_parents_form_a_ring(void **state)
{
    const struct scenario sc = {
        .intent = SOURCE,
        .avoid = "",
        .rows = {{"e1", .what = "E+", .depth = 1}, {"e2", .what = "E+", .depth = 1}}};
    struct placement_request request = {.protocol = "flv", .intent = SOURCE, .max_children = 4};
    struct placement_decision d;
    struct snapshot s;

    (void)state;
    fill(&s, sc.rows);
    s.candidates[0].parent = 1;
    s.candidates[1].parent = 0;
    placement_decide(&request, s.candidates, s.n, &d);
    assert_int_equal(d.decision, CLUSTER_WAIT);
    assert_int_equal(s.candidates[0].why, PLACEMENT_CYCLE);
}

/* Streams that each of two edges is first choice for. */
static void share_by_weight(uint32_t weight, unsigned counts[2])
{
    struct snapshot s = {0};

    fill_candidate(&s, &(struct row){.id = "e1", .what = "E", .weight = weight});
    fill_candidate(&s, &(struct row){.id = "e2", .what = "E"});
    for (int i = 0; i < 4000; i++) {
        char name[32];
        struct placement_request request = {.protocol = "flv", .load_bound = 100};
        struct placement_decision d;

        snprintf(name, sizeof name, "live/%d", i);
        request.stream_hash = placement_hash(name);
        placement_decide(&request, s.candidates, s.n, &d);
        counts[d.picks[0]]++;
    }
}

static void test_decide_shares_streams_by_weight(void **state)
{
    unsigned even[2] = {0}, threefold[2] = {0}, tenth[2] = {0};

    (void)state;
    share_by_weight(100, even);
    assert_in_range(even[0], 1900, 2100);
    share_by_weight(300, threefold);
    assert_in_range(threefold[0], 2900, 3100); /* three of four */
    share_by_weight(10, tenth);
    assert_in_range(tenth[0], 300, 430); /* one of eleven */
}

static void test_decide_spreads_orphaned_children_over_the_survivors(void **state)
{
    static const char *const k_parents[] = {"p1", "p2", "p3", "p4"};
    unsigned counts[MAX_ROWS] = {0};
    struct snapshot s = {0};
    struct placement_node askers[100];
    char ids[100][16];

    (void)state;
    for (int i = 0; i < 4; i++)
        fill_candidate(&s, &(struct row){.id = k_parents[i], .what = "E+", .depth = 1});
    for (int i = 0; i < 100; i++) { /* all at once: nobody's count has changed yet */
        struct placement_request request = {.stream_hash = placement_hash("live/x"),
                                            .intent = SOURCE,
                                            .owner_epoch = 7,
                                            .max_children = 400,
                                            .asker = &askers[i]};
        struct placement_decision d;

        snprintf(ids[i], sizeof ids[i], "c%d", i);
        askers[i] = (struct placement_node){
            .id = ids[i], .zone = "", .hash = placement_hash(ids[i]), .role = CLUSTER_EDGE};
        placement_decide(&request, s.candidates, s.n, &d);
        assert_int_equal(d.n_picks, 4);
        counts[d.picks[0]]++;
    }
    for (int i = 0; i < 4; i++)
        assert_in_range(counts[i], 15, 38); /* 25 each, give or take */
}

static void test_decide_keeps_people_off_origins_while_edges_are_only_full(void **state)
{
    struct placement_request request = {.protocol = "flv", .load_bound = 100, .edges_only = true};
    struct placement_decision d;
    struct snapshot s = {0};

    (void)state;
    fill_candidate(&s, &(struct row){.id = "o1", .what = "O*"});
    placement_decide(&request, s.candidates, s.n, &d);
    assert_int_equal(d.decision, CLUSTER_DENY);
    assert_int_equal(s.candidates[0].why, PLACEMENT_ROLE);
    request.edges_only = false;
    placement_decide(&request, s.candidates, s.n, &d);
    assert_int_equal(d.decision, CLUSTER_REDIRECT);
    assert_int_equal(d.level, PLACEMENT_LAST_RESORT);
}

static void test_decide_gives_the_level_of_its_best_pick(void **state)
{
    static const struct {
        const char *what;
        uint32_t load;
        enum placement_level level;
    } k_cases[] = {
        {"E+", 0, PLACEMENT_SETTLED},       {"E", 0, PLACEMENT_HAS_ROOM},
        {"E+", 100, PLACEMENT_LAST_RESORT}, {"O*", 0, PLACEMENT_LAST_RESORT},
        {"Ed+", 0, PLACEMENT_LAST_RESORT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        struct placement_request request = {.protocol = "flv", .load_bound = 100};
        struct placement_decision d;
        struct snapshot s = {0};

        fill_candidate(&s,
                       &(struct row){.id = "n", .what = k_cases[i].what, .load = k_cases[i].load});
        placement_decide(&request, s.candidates, s.n, &d);
        assert_int_equal(d.level, k_cases[i].level);
    }
}

static void test_decide_lets_an_edge_have_the_slack_whatever_the_bound_is(void **state)
{
    struct placement_request request = {.protocol = "flv", .load_bound = 1, .load_slack = 10};
    struct placement_decision d;
    struct snapshot s = {0};

    (void)state;
    fill_candidate(&s, &(struct row){.id = "e1", .what = "E+", .load = 9});
    placement_decide(&request, s.candidates, s.n, &d);
    assert_int_equal(d.level, PLACEMENT_SETTLED);
    s.nodes[0].n_viewers = 10;
    placement_decide(&request, s.candidates, s.n, &d);
    assert_int_equal(d.level, PLACEMENT_LAST_RESORT);
}

static void test_judge_unseen_picks_none(void **state)
{
    struct placement_request request = {.protocol = "flv", .load_bound = 100};
    struct placement_decision d;
    struct snapshot s = {0};

    (void)state;
    fill_candidate(&s, &(struct row){.id = "e1", .what = "E+"});
    fill_candidate(&s, &(struct row){.id = "e2", .what = "E"});
    fill_candidate(&s, &(struct row){.id = "e3", .what = "Ed"});
    placement_decide(&request, s.candidates, 1, &d);
    placement_judge_unseen(&request, s.candidates, 1, 3);
    assert_int_equal(s.candidates[0].why, PLACEMENT_TAKEN);
    assert_int_equal(s.candidates[1].why, PLACEMENT_UNSEEN);
    assert_int_equal(s.candidates[2].why, PLACEMENT_DRAINING);
}

static void test_hash_gives_the_same_on_every_machine(void **state)
{
    (void)state;
    assert_true(placement_hash("edge-1") == placement_hash("edge-1"));
    assert_true(placement_hash("") == 0xefd01f60ba992926ull);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decide_gives_the_expected_nodes_for_each_scenario),
        cmocka_unit_test(test_decide_moves_only_its_share_when_an_edge_leaves),
        cmocka_unit_test(test_decide_gives_at_most_four_upstreams_when_many_carry),
        cmocka_unit_test(
            test_decide_leaves_out_carriers_that_are_cut_off_when_nobody_owns_the_stream),
        cmocka_unit_test(test_decide_ends_when_reported_parents_form_a_ring),
        cmocka_unit_test(test_decide_shares_streams_by_weight),
        cmocka_unit_test(test_decide_spreads_orphaned_children_over_the_survivors),
        cmocka_unit_test(test_decide_keeps_people_off_origins_while_edges_are_only_full),
        cmocka_unit_test(test_decide_gives_the_level_of_its_best_pick),
        cmocka_unit_test(test_decide_lets_an_edge_have_the_slack_whatever_the_bound_is),
        cmocka_unit_test(test_judge_unseen_picks_none),
        cmocka_unit_test(test_hash_gives_the_same_on_every_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
