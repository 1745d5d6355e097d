/* Pool of blocks. The owner has a list of its own and needs no atomics for it; others push on a
 * stack, which the owner takes as a whole when its list is empty (so there is no ABA). */
#include "common/base/pool.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>

#if defined(__has_feature) /* clang's */
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(data, size) ((void)(data), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(data, size) ((void)(data), (void)(size))
#endif

struct shelf;

struct block {
    struct shelf *shelf; /* NULL: of no pool */
    struct block *next;  /* while it waits */
    alignas(max_align_t) unsigned char data[];
};

/* Small ones for small streams, large ones so that frames of many megabits share a block. */
const size_t k_pool_block_bytes[POOL_N_SIZES] = {
    (4u << 10) - sizeof(struct block),
    (16u << 10) - sizeof(struct block),
    (64u << 10) - sizeof(struct block),
    (256u << 10) - sizeof(struct block),
};

struct shelf {             /* blocks of one size; outlives its pool while blocks are out */
    _Atomic uint32_t refs; /* the pool's and one for each block that is out */
    size_t block_bytes;
    struct block *kept;
    size_t n_kept, n_idle; /* the fewest that were kept since the last trim */
    uint64_t n_allocated, n_taken;
    _Atomic(struct block *) returned;
};

struct pool {
    struct shelf *shelves[POOL_N_SIZES];
};

static void collect_returned(struct shelf *shelf)
{
    struct block *block = atomic_exchange_explicit(&shelf->returned, NULL, memory_order_acquire);

    while (block) {
        struct block *next = block->next;

        block->next = shelf->kept;
        shelf->kept = block;
        shelf->n_kept++;
        block = next;
    }
}

static void free_kept(struct shelf *shelf, size_t n)
{
    while (n-- && shelf->kept) {
        struct block *block = shelf->kept;

        shelf->kept = block->next;
        shelf->n_kept--;
        ASAN_UNPOISON_MEMORY_REGION(block->data, shelf->block_bytes);
        free(block);
    }
}

static void shelf_unref(struct shelf *shelf)
{
    if (atomic_fetch_sub_explicit(&shelf->refs, 1, memory_order_acq_rel) != 1)
        return;
    collect_returned(shelf);
    free_kept(shelf, SIZE_MAX);
    free(shelf);
}

struct pool *pool_create(void)
{
    struct pool *pool = calloc(1, sizeof *pool);

    for (unsigned i = 0; pool && i < POOL_N_SIZES; i++) {
        struct shelf *shelf = pool->shelves[i] = calloc(1, sizeof *shelf);

        if (!shelf) {
            pool_release(&pool);
            break;
        }
        atomic_init(&shelf->refs, 1);
        shelf->block_bytes = k_pool_block_bytes[i];
    }
    return pool;
}

void pool_release(struct pool **pool)
{
    struct pool *p = *pool;

    *pool = NULL;
    for (unsigned i = 0; p && i < POOL_N_SIZES; i++) {
        if (!p->shelves[i])
            continue;
        free_kept(p->shelves[i], SIZE_MAX);
        shelf_unref(p->shelves[i]);
    }
    free(p);
}

static struct block *block_create(struct shelf *shelf, size_t size_bytes)
{
    struct block *block =
        size_bytes <= SIZE_MAX - sizeof *block ? malloc(sizeof *block + size_bytes) : NULL;

    if (block)
        block->shelf = shelf;
    return block;
}

void *pool_take(struct pool *pool, unsigned size)
{
    struct shelf *shelf = pool->shelves[size];
    struct block *block;

    if (!shelf->kept)
        collect_returned(shelf);
    block = shelf->kept;
    if (block) {
        shelf->kept = block->next;
        shelf->n_kept--;
        ASAN_UNPOISON_MEMORY_REGION(block->data, shelf->block_bytes);
    } else {
        block = block_create(shelf, shelf->block_bytes);
        if (!block)
            return NULL;
        shelf->n_allocated++;
    }
    if (shelf->n_kept < shelf->n_idle)
        shelf->n_idle = shelf->n_kept;
    shelf->n_taken++;
    atomic_fetch_add_explicit(&shelf->refs, 1, memory_order_relaxed);
    return block->data;
}

void *pool_take_single(size_t size_bytes)
{
    struct block *block = block_create(NULL, size_bytes);

    return block ? block->data : NULL;
}

void pool_give(void *data)
{
    struct block *block, *head;
    struct shelf *shelf;

    if (!data)
        return;
    block = (struct block *)(void *)((unsigned char *)data - offsetof(struct block, data));
    shelf = block->shelf;
    if (!shelf) {
        free(block);
        return;
    }
    ASAN_POISON_MEMORY_REGION(block->data, shelf->block_bytes);
    head = atomic_load_explicit(&shelf->returned, memory_order_relaxed);
    do
        block->next = head;
    while (!atomic_compare_exchange_weak_explicit(&shelf->returned, &head, block,
                                                  memory_order_release, memory_order_relaxed));
    shelf_unref(shelf); /* after the push: the last one frees the shelf with what lies on it */
}

void pool_trim(struct pool *pool)
{
    for (unsigned i = 0; i < POOL_N_SIZES; i++) {
        struct shelf *shelf = pool->shelves[i];

        free_kept(shelf, shelf->n_idle);
        collect_returned(shelf);
        shelf->n_idle = shelf->n_kept;
    }
}

void pool_get_stats(struct pool *pool, struct pool_stats *stats)
{
    *stats = (struct pool_stats){0};
    for (unsigned i = 0; i < POOL_N_SIZES; i++) {
        struct shelf *shelf = pool->shelves[i];
        size_t n_out = atomic_load_explicit(&shelf->refs, memory_order_relaxed) - 1;

        collect_returned(shelf);
        stats->taken_bytes += n_out * shelf->block_bytes;
        stats->kept_bytes += shelf->n_kept * shelf->block_bytes;
        stats->n_allocated += shelf->n_allocated;
        stats->n_taken += shelf->n_taken;
    }
}
