/* Nodes in the order of their hashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "scheduler/node_ring.h"

#define N 100

static struct placement_node g_nodes[N];
static char g_ids[N][16];

static void fill(struct node_ring *ring)
{
    for (int i = 0; i < N; i++) {
        snprintf(g_ids[i], sizeof g_ids[i], "n%d", i);
        /* some hashes twice */
        g_nodes[i] = (struct placement_node){.id = g_ids[i], .hash = (uint64_t)(i * 37 % 50) << 32};
        assert_int_equal(node_ring_add(ring, &g_nodes[i]), E_OK);
    }
}

static void assert_is_in_order(const struct node_ring *ring)
{
    for (size_t i = 1; i < ring->n; i++)
        assert_true(ring->nodes[i - 1]->hash <= ring->nodes[i]->hash);
}

static void test_ring_stays_in_order_when_nodes_come_and_go(void **state)
{
    struct node_ring ring = {0};

    (void)state;
    fill(&ring);
    assert_int_equal(ring.n, N);
    assert_is_in_order(&ring);
    for (int i = 0; i < N; i += 3)
        node_ring_remove(&ring, &g_nodes[i]);
    assert_int_equal(ring.n, N - 34);
    assert_is_in_order(&ring);
    for (int i = 0; i < N; i += 3)
        assert_int_equal(node_ring_add(&ring, &g_nodes[i]), E_OK);
    assert_is_in_order(&ring);
    node_ring_fini(&ring);
}

static void test_at_gives_the_first_node_from_a_hash_on_and_around(void **state)
{
    struct node_ring ring = {0};

    (void)state;
    assert_int_equal(node_ring_at(&ring, 7), 0);
    fill(&ring);
    assert_int_equal(node_ring_at(&ring, 0), 0);
    assert_int_equal(node_ring_at(&ring, (10ull << 32) - 1), 20); /* two of each hash */
    assert_int_equal(node_ring_at(&ring, 10ull << 32), 20);
    assert_int_equal(node_ring_at(&ring, UINT64_MAX), 0);
    node_ring_fini(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring_stays_in_order_when_nodes_come_and_go),
        cmocka_unit_test(test_at_gives_the_first_node_from_a_hash_on_and_around),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
