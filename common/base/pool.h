/* Memory of a media loop: blocks of a few sizes, taken by the loop's thread, given back by any.
 * What was given back is taken again before the allocator is asked, so that streams in steady state
 * need no allocator for it; what lies unused between two calls of pool_trim() goes back to the
 * allocator.
 */
#ifndef HW_COMMON_BASE_POOL_H
#define HW_COMMON_BASE_POOL_H

#include <stddef.h>
#include <stdint.h>

#define POOL_N_SIZES 4u
extern const size_t k_pool_block_bytes[POOL_N_SIZES]; /* what a block of each size has room for */

struct pool; /* opaque */

/* Returns a pool, or NULL when out of memory; pair with pool_release(). */
struct pool *pool_create(void);
/* Owner thread. Takes *pool and sets it to NULL. Blocks that are out stay valid: the last one given
 * back frees what is left of the pool. */
void pool_release(struct pool **pool);

/* Owner thread. Returns a block of k_pool_block_bytes[size], aligned for any type; NULL when out of
 * memory. */
void *pool_take(struct pool *pool, unsigned size);
/* A block that belongs to no pool: any size, any thread. Pair with pool_give(), as pool_take(). */
void *pool_take_single(size_t size_bytes);
/* Any thread. Takes the block; NULL is fine. */
void pool_give(void *block);
/* Owner thread, every few seconds: frees what was not needed since the last call. */
void pool_trim(struct pool *pool);

struct pool_stats {
    size_t taken_bytes;            /* blocks that are out */
    size_t kept_bytes;             /* blocks that wait to be taken again */
    uint64_t n_allocated, n_taken; /* blocks asked of the allocator; of the pool; since the start */
};
void pool_get_stats(struct pool *pool, struct pool_stats *stats); /* owner thread */

#endif
