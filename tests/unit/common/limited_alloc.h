/* An allocator that can be told to fail. A test includes this, then the source file under test,
 * which is thereby compiled into the test with these calls in place of the C library's; see
 * limited_alloc_end.h. */
#ifndef HW_TESTS_UNIT_COMMON_LIMITED_ALLOC_H
#define HW_TESTS_UNIT_COMMON_LIMITED_ALLOC_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int allocations_left = -1; /* how many still succeed; negative: all */

static inline bool may_allocate(void)
{
    if (allocations_left == 0)
        return false;
    if (allocations_left > 0)
        allocations_left--;
    return true;
}

static inline void *limited_malloc(size_t size)
{
    return may_allocate() ? malloc(size) : NULL;
}

static inline void *limited_calloc(size_t n, size_t size)
{
    return may_allocate() ? calloc(n, size) : NULL;
}

static inline void *limited_realloc(void *block, size_t size)
{
    return may_allocate() ? realloc(block, size) : NULL;
}

static inline char *limited_strdup(const char *text)
{
    return may_allocate() ? strdup(text) : NULL;
}

static inline char *limited_strndup(const char *text, size_t size)
{
    return may_allocate() ? strndup(text, size) : NULL;
}

#define malloc limited_malloc
#define calloc limited_calloc
#define realloc limited_realloc
#define strdup limited_strdup
#define strndup limited_strndup

#endif
