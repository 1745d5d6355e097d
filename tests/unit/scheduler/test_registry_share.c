/* What nodes say of themselves: load that cannot be, limits, zones, the rings and sums of all. */
#include "tests/unit/scheduler/registry_world.h"

static void with_urls(struct beat *b)
{
    snprintf(b->m.public_urls.http, CLUSTER_URL_SIZE, "http://%s.example", b->m.node);
    snprintf(b->m.internal_urls.http, CLUSTER_URL_SIZE, "http://%s:8080", b->m.node);
}

static struct beat edge_of(const char *node, uint64_t seq)
{
    struct beat b = beat_of(node, 1, seq);

    b.m.role = CLUSTER_EDGE;
    with_urls(&b);
    return b;
}

static size_t n_in_ring(const struct world *w, enum registry_ring ring)
{
    return w->r.rings[ring].n;
}

static void test_load_is_cut_to_what_can_be(void **state)
{
    struct world *w = *state;
    struct beat b = edge_of("e1", 1);
    const struct registry_node *node;

    b.m.load = (struct cluster_load){.n_viewers = UINT32_MAX,
                                     .n_publishers = UINT32_MAX,
                                     .out_bps = UINT64_MAX,
                                     .cpu_permille = 4000};
    b.m.weight = UINT32_MAX;
    assert_int_equal(send_beat(w, &b), E_OK);
    assert_said(w, "load:e1:");
    node = registry_node(&w->r, "e1");
    assert_int_equal(node->load.n_viewers, 1000000);
    assert_int_equal(node->load.n_publishers, 1000000);
    assert_int_equal(node->load.cpu_permille, 1000);
    assert_true(node->load.out_bps == 1600000000000ull);
    assert_int_equal(node->place.weight, 10000);
    assert_true(w->r.n_viewers == 1000000);
    b.m.seq++;
    assert_int_equal(send_beat(w, &b), E_OK);
    assert_said(w, ""); /* told once */
    b.m.seq++;
    b.m.load = (struct cluster_load){.n_viewers = 3};
    assert_int_equal(send_beat(w, &b), E_OK);
    assert_true(w->r.n_viewers == 3);
    drop_beat(&b);
}

static void test_viewers_above_the_nodes_own_limit_do_not_draw_the_mean(void **state)
{
    struct world *w = *state;
    struct beat b = edge_of("e1", 1);

    b.m.max_viewers = 100;
    b.m.load.n_viewers = 900000;
    assert_int_equal(send_beat(w, &b), E_OK);
    assert_true(w->r.n_viewers == 100);
    assert_int_equal(w->r.n_edges_at_limit, 1);
    assert_int_equal(n_in_ring(w, REGISTRY_EDGES), 0);
    drop_beat(&b);
}

static void test_one_that_says_too_much_does_not_draw_the_mean(void **state)
{
    struct world *w = *state;
    struct beat one = edge_of("e1", 1), two = edge_of("e2", 1), liar = edge_of("e3", 1);

    one.m.load.n_viewers = two.m.load.n_viewers = 2000;
    liar.m.load.n_viewers = 1000000;
    assert_int_equal(send_beat(w, &one), E_OK);
    assert_int_equal(send_beat(w, &two), E_OK);
    assert_int_equal(send_beat(w, &liar), E_OK);
    assert_true(w->r.n_viewers == 4000 + 4 * 2000 + 1000);
    assert_int_equal(registry_node(&w->r, "e3")->place.n_viewers, 1000000); /* it gets no more */
    liar.m.seq++;
    liar.m.load.n_viewers = 5000;
    assert_int_equal(send_beat(w, &liar), E_OK);
    assert_true(w->r.n_viewers == 9000);
    drop_beat(&one);
    drop_beat(&two);
    drop_beat(&liar);
}

static void test_mean_follows_when_all_edges_fill_up(void **state)
{
    struct world *w = *state;
    struct beat b[] = {edge_of("e1", 1), edge_of("e2", 1), edge_of("e3", 1)};

    for (uint32_t n = 0; n <= 3; n++) /* from nothing to 50,000 each, a report at a time */
        for (int i = 0; i < 3; i++) {
            b[i].m.seq = n + 1;
            b[i].m.load.n_viewers = n ? 50000 : 0;
            assert_int_equal(send_beat(w, &b[i]), E_OK);
        }
    assert_true(w->r.n_viewers == 150000);
    for (int i = 0; i < 3; i++)
        drop_beat(&b[i]);
}

static void test_node_is_in_the_rings_of_its_role_while_it_may_be_given_work(void **state)
{
    struct world *w = *state;
    struct beat b = edge_of("b1", 1);

    b.m.role = CLUSTER_BOTH;
    assert_int_equal(send_beat(w, &b), E_OK);
    assert_int_equal(n_in_ring(w, REGISTRY_EDGES), 1);
    assert_int_equal(n_in_ring(w, REGISTRY_ORIGINS), 1);
    b.m.seq++;
    b.m.role = CLUSTER_ORIGIN;
    assert_int_equal(send_beat(w, &b), E_OK);
    assert_int_equal(n_in_ring(w, REGISTRY_EDGES), 0);
    assert_int_equal(w->r.n_edges, 0);
    b.m.seq++;
    b.m.role = CLUSTER_EDGE;
    b.m.max_viewers = 2;
    assert_int_equal(send_beat(w, &b), E_OK);
    assert_int_equal(n_in_ring(w, REGISTRY_EDGES), 1);
    assert_int_equal(n_in_ring(w, REGISTRY_ORIGINS), 0);
    registry_sent_viewer(&w->r, registry_node(&w->r, "b1"));
    assert_int_equal(n_in_ring(w, REGISTRY_EDGES), 1);
    registry_sent_viewer(&w->r, registry_node(&w->r, "b1"));
    assert_int_equal(n_in_ring(w, REGISTRY_EDGES), 0); /* full until its next report */
    b.m.seq++;
    assert_int_equal(send_beat(w, &b), E_OK);
    assert_int_equal(n_in_ring(w, REGISTRY_EDGES), 1);
    registry_drain(&w->r, registry_node(&w->r, "b1"), true);
    assert_int_equal(n_in_ring(w, REGISTRY_EDGES), 0);
    registry_drain(&w->r, registry_node(&w->r, "b1"), false);
    assert_int_equal(n_in_ring(w, REGISTRY_EDGES), 1);
    w->now_us += 6 * SECOND;
    sweep(w);
    assert_int_equal(n_in_ring(w, REGISTRY_EDGES), 0);
    assert_true(w->r.n_edges == 0 && w->r.weight == 0);
    drop_beat(&b);
}

static void test_sums_are_of_edges_that_live(void **state)
{
    struct world *w = *state;
    struct beat one = edge_of("e1", 1), two = edge_of("e2", 1), origin = edge_of("o1", 1);

    one.m.load.n_viewers = 10;
    one.m.weight = 300;
    two.m.load.n_viewers = 5;
    origin.m.role = CLUSTER_ORIGIN;
    origin.m.load.n_viewers = 1000;
    assert_int_equal(send_beat(w, &one), E_OK);
    assert_int_equal(send_beat(w, &two), E_OK);
    assert_int_equal(send_beat(w, &origin), E_OK);
    assert_true(w->r.n_viewers == 15 && w->r.weight == 400 && w->r.n_edges == 2);
    registry_lost(&w->r, registry_node(&w->r, "e1"));
    assert_true(w->r.n_viewers == 5 && w->r.weight == 100 && w->r.n_edges == 1);
    one.m.seq++;
    assert_int_equal(send_beat(w, &one), E_OK);
    assert_true(w->r.n_viewers == 15 && w->r.weight == 400 && w->r.n_edges == 2);
    drop_beat(&one);
    drop_beat(&two);
    drop_beat(&origin);
}

static void test_zone_has_rings_of_its_own_while_it_has_nodes(void **state)
{
    struct world *w = *state;
    struct beat b = edge_of("e1", 1);
    const struct registry_zone *zone;

    strcpy(b.m.zone, "east");
    assert_int_equal(send_beat(w, &b), E_OK);
    zone = map_get(&w->r.zones, "east");
    assert_non_null(zone);
    assert_int_equal(zone->rings[REGISTRY_EDGES].n, 1);
    b.m.seq++;
    strcpy(b.m.zone, "west");
    assert_int_equal(send_beat(w, &b), E_OK);
    assert_null(map_get(&w->r.zones, "east"));
    zone = map_get(&w->r.zones, "west");
    assert_non_null(zone);
    assert_int_equal(zone->rings[REGISTRY_EDGES].n, 1);
    assert_int_equal(n_in_ring(w, REGISTRY_EDGES), 1);
    w->now_us += 70 * SECOND;
    sweep(w);
    assert_int_equal(w->r.zones.n_entries, 0);
    drop_beat(&b);
}

static void test_address_is_free_when_its_first_node_is_gone_or_moves(void **state)
{
    struct world *w = *state;
    struct beat one = edge_of("e1", 1), two = edge_of("e2", 1), three = edge_of("e3", 1);

    strcpy(two.m.internal_urls.http, one.m.internal_urls.http);
    strcpy(three.m.internal_urls.http, one.m.internal_urls.http);
    assert_int_equal(send_beat(w, &one), E_OK);
    w->now_us += 6 * SECOND;
    assert_int_equal(send_beat(w, &two), E_OK); /* another id on the same machine, later */
    assert_said(w, "");
    one.m.seq++;
    assert_int_equal(send_beat(w, &one), E_OK);
    assert_said(w, "shared:e1:e2");
    one.m.seq++;
    strcpy(one.m.internal_urls.http, "http://elsewhere:8080");
    assert_int_equal(send_beat(w, &one), E_OK);
    assert_int_equal(send_beat(w, &three), E_OK);
    assert_said(w, "shared:e3:e2"); /* e1 has left what was not its own any more */
    two.m.seq++;
    assert_int_equal(send_beat(w, &two), E_OK);
    assert_said(w, "");
    drop_beat(&one);
    drop_beat(&two);
    drop_beat(&three);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_load_is_cut_to_what_can_be),
        CASE(test_viewers_above_the_nodes_own_limit_do_not_draw_the_mean),
        CASE(test_one_that_says_too_much_does_not_draw_the_mean),
        CASE(test_mean_follows_when_all_edges_fill_up),
        CASE(test_node_is_in_the_rings_of_its_role_while_it_may_be_given_work),
        CASE(test_sums_are_of_edges_that_live),
        CASE(test_zone_has_rings_of_its_own_while_it_has_nodes),
        CASE(test_address_is_free_when_its_first_node_is_gone_or_moves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
