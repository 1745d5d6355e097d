/* Things in the order of a rank: against a plain sort. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scheduler/rank_index.h"

#define N 5000

static struct rank_entry g_entries[N];

static uint64_t scatter(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static int compare(const void *a_, const void *b_)
{
    const struct rank_entry *const *a = a_, *const *b = b_;

    return (*a)->rank < (*b)->rank ? -1 : (*a)->rank > (*b)->rank;
}

/* Every entry whose number is not divisible by `left_out` (0 = all) is there, in order. */
static void assert_holds(const struct rank_index *index, unsigned left_out)
{
    static const struct rank_entry *sorted[N];
    const struct rank_entry *at = rank_index_at(index, 0);
    size_t n = 0;

    for (unsigned i = 0; i < N; i++)
        if (!left_out || i % left_out)
            sorted[n++] = &g_entries[i];
    qsort(sorted, n, sizeof sorted[0], compare);
    for (size_t i = 0; i < n; i++, at = at->next[0]) {
        assert_non_null(at);
        assert_true(at->rank == sorted[i]->rank);
        assert_ptr_equal(rank_index_at(index, sorted[i]->rank), at);
    }
    assert_null(at);
}

static void test_index_stays_in_order_when_entries_come_and_go(void **state)
{
    struct rank_index index = {{NULL}};

    (void)state;
    for (unsigned i = 0; i < N; i++) {
        g_entries[i].rank = scatter(i + 1);
        rank_index_insert(&index, &g_entries[i]);
    }
    assert_holds(&index, 0);
    for (unsigned i = 0; i < N; i += 3)
        rank_index_remove(&index, &g_entries[i]);
    assert_holds(&index, 3);
    for (unsigned i = 0; i < N; i += 3)
        rank_index_insert(&index, &g_entries[i]);
    assert_holds(&index, 0);
    for (unsigned i = 0; i < N; i++)
        rank_index_remove(&index, &g_entries[i]);
    assert_null(rank_index_at(&index, 0));
}

static void test_at_gives_the_first_at_or_above_a_rank(void **state)
{
    struct rank_index index = {{NULL}};
    struct rank_entry low = {.rank = 10}, high = {.rank = 20};

    (void)state;
    assert_null(rank_index_at(&index, 0));
    rank_index_insert(&index, &high);
    rank_index_insert(&index, &low);
    assert_ptr_equal(rank_index_at(&index, 0), &low);
    assert_ptr_equal(rank_index_at(&index, 10), &low);
    assert_ptr_equal(rank_index_at(&index, 11), &high);
    assert_null(rank_index_at(&index, 21));
}

static void test_remove_takes_the_one_meant_among_equal_ranks(void **state)
{
    struct rank_index index = {{NULL}};
    struct rank_entry same[20];

    (void)state;
    for (int i = 0; i < 20; i++) {
        same[i].rank = 8 * 8 * 8; /* as high as entries get */
        rank_index_insert(&index, &same[i]);
    }
    for (int i = 0; i < 20; i += 2)
        rank_index_remove(&index, &same[i]);
    for (int i = 1; i < 20; i += 2) {
        assert_ptr_equal(rank_index_at(&index, 0), &same[i]); /* who came first is first */
        rank_index_remove(&index, &same[i]);
    }
    assert_null(rank_index_at(&index, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_index_stays_in_order_when_entries_come_and_go),
        cmocka_unit_test(test_at_gives_the_first_at_or_above_a_rank),
        cmocka_unit_test(test_remove_takes_the_one_meant_among_equal_ranks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
