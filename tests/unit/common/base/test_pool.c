/* common/base/pool: blocks are taken again, given back from any thread, and returned when idle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "tests/unit/common/limited_alloc.h"
#include "common/base/pool.c"
#include "tests/unit/common/limited_alloc_end.h"

static struct pool_stats stats_of(struct pool *pool)
{
    struct pool_stats stats;

    pool_get_stats(pool, &stats);
    return stats;
}

static void test_take_gives_the_block_that_was_given_back(void **state)
{
    struct pool *pool = pool_create();
    void *first = pool_take(pool, 1), *again;

    (void)state;
    memset(first, 7, k_pool_block_bytes[1]);
    assert_int_equal(stats_of(pool).taken_bytes, k_pool_block_bytes[1]);
    pool_give(first);
    assert_int_equal(stats_of(pool).taken_bytes, 0);
    assert_int_equal(stats_of(pool).kept_bytes, k_pool_block_bytes[1]);
    again = pool_take(pool, 1);
    assert_ptr_equal(again, first);
    memset(again, 8, k_pool_block_bytes[1]);
    assert_int_equal(stats_of(pool).n_allocated, 1);
    assert_int_equal(stats_of(pool).n_taken, 2);
    pool_give(again);
    pool_release(&pool);
}

static void test_take_gives_blocks_of_each_size_aligned(void **state)
{
    struct pool *pool = pool_create();

    (void)state;
    for (unsigned size = 0; size < POOL_N_SIZES; size++) {
        void *block = pool_take(pool, size);

        assert_int_equal((uintptr_t)block % alignof(max_align_t), 0);
        memset(block, 1, k_pool_block_bytes[size]);
        pool_give(block);
    }
    pool_release(&pool);
}

static void test_trim_frees_only_what_was_idle_since_the_last_one(void **state)
{
    struct pool *pool = pool_create();
    void *blocks[10];

    (void)state;
    for (unsigned i = 0; i < 10; i++)
        blocks[i] = pool_take(pool, 0);
    for (unsigned i = 0; i < 10; i++)
        pool_give(blocks[i]);
    pool_trim(pool); /* they were in use since the last call */
    assert_int_equal(stats_of(pool).kept_bytes, 10 * k_pool_block_bytes[0]);
    for (unsigned i = 0; i < 4; i++)
        blocks[i] = pool_take(pool, 0);
    for (unsigned i = 0; i < 4; i++)
        pool_give(blocks[i]);
    pool_trim(pool); /* six lay idle */
    assert_int_equal(stats_of(pool).kept_bytes, 4 * k_pool_block_bytes[0]);
    pool_trim(pool);
    assert_int_equal(stats_of(pool).kept_bytes, 0);
    pool_release(&pool);
}

static void test_block_stays_valid_when_the_pool_was_released(void **state)
{
    struct pool *pool = pool_create();
    void *a = pool_take(pool, 0), *b = pool_take(pool, 0);

    (void)state;
    pool_release(&pool);
    assert_null(pool);
    pool_release(&pool); /* NULL is fine */
    memset(a, 1, k_pool_block_bytes[0]);
    pool_give(a);
    memset(b, 1, k_pool_block_bytes[0]);
    pool_give(b); /* frees the shelf: the leak checker would say so */
}

static void test_single_block_has_any_size_and_no_pool(void **state)
{
    void *block = pool_take_single(100000);

    (void)state;
    assert_non_null(block);
    memset(block, 1, 100000);
    pool_give(block);
    pool_give(NULL);
    assert_null(pool_take_single(SIZE_MAX));
}

static void test_calls_give_null_when_out_of_memory(void **state)
{
    struct pool *pool;

    (void)state;
    for (int n = 0; n <= (int)POOL_N_SIZES; n++) {
        allocations_left = n;
        assert_null(pool_create());
    }
    allocations_left = -1;
    pool = pool_create();
    allocations_left = 0;
    assert_null(pool_take(pool, 0));
    assert_null(pool_take_single(1));
    allocations_left = -1;
    pool_release(&pool);
}

/* --- from other threads --- */

enum { N_THREADS = 3, N_BLOCKS = 20000, N_SLOTS = 64 };

struct bench {
    _Atomic(uint64_t *) slots[N_SLOTS]; /* from the owner to the threads */
    atomic_bool done;
    atomic_uint n_bad;
};

static void *give_back(void *arg)
{
    struct bench *b = arg;
    bool last_round = false;

    while (!last_round) {
        last_round = atomic_load(&b->done);
        for (unsigned i = 0; i < N_SLOTS; i++) {
            uint64_t *block = atomic_exchange(&b->slots[i], NULL);

            if (block && block[1] != ~block[0])
                atomic_fetch_add(&b->n_bad, 1);
            pool_give(block);
        }
    }
    return NULL;
}

static void test_give_from_other_threads_loses_and_doubles_nothing(void **state)
{
    struct pool *pool = pool_create();
    struct bench b = {.done = false};
    pthread_t threads[N_THREADS];

    (void)state;
    for (int i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, give_back, &b), 0);
    for (uint64_t i = 0; i < N_BLOCKS; i++) {
        uint64_t *block = pool_take(pool, 0);

        block[0] = i; /* two owners of one block would show */
        block[1] = ~i;
        pool_give(atomic_exchange(&b.slots[i % N_SLOTS], block));
    }
    atomic_store(&b.done, true);
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(b.n_bad, 0);
    assert_int_equal(stats_of(pool).taken_bytes, 0);
    assert_int_equal(stats_of(pool).n_taken, N_BLOCKS);
    assert_true(stats_of(pool).n_allocated < N_BLOCKS); /* most are used again and again */
    pool_release(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_take_gives_the_block_that_was_given_back),
        cmocka_unit_test(test_take_gives_blocks_of_each_size_aligned),
        cmocka_unit_test(test_trim_frees_only_what_was_idle_since_the_last_one),
        cmocka_unit_test(test_block_stays_valid_when_the_pool_was_released),
        cmocka_unit_test(test_single_block_has_any_size_and_no_pool),
        cmocka_unit_test(test_calls_give_null_when_out_of_memory),
        cmocka_unit_test(test_give_from_other_threads_loses_and_doubles_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
