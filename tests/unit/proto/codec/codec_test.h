/* What the tests of proto/codec share. */
#ifndef HW_TESTS_UNIT_PROTO_CODEC_CODEC_TEST_H
#define HW_TESTS_UNIT_PROTO_CODEC_CODEC_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/buf.h"

#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))
#define VIEW(array) buf_view_of(array, sizeof(array))

/* A copy in memory of exactly its size, so that the sanitizer sees the first byte too many. */
static inline struct buf_view heap_copy(const void *data, size_t size_bytes)
{
    uint8_t *copy = malloc(size_bytes ? size_bytes : 1);

    assert_non_null(copy);
    if (size_bytes)
        memcpy(copy, data, size_bytes);
    return buf_view_of(copy, size_bytes);
}

static inline void heap_free(struct buf_view copy)
{
    free((void *)(uintptr_t)copy.data);
}

#endif
