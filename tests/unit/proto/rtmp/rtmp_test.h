/* Shared by the RTMP tests. */
#ifndef HW_TESTS_UNIT_PROTO_RTMP_RTMP_TEST_H
#define HW_TESTS_UNIT_PROTO_RTMP_RTMP_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/rtmp/rtmp.h"

#define VIEW(array) buf_view_of((array), sizeof(array))
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* The bytes in a heap block of their own, so that a read past them is seen; free() it. */
static inline uint8_t *heap_copy(struct buf_view bytes)
{
    uint8_t *copy = malloc(bytes.size_bytes ? bytes.size_bytes : 1);

    assert_non_null(copy);
    if (bytes.size_bytes)
        memcpy(copy, bytes.data, bytes.size_bytes);
    return copy;
}

/* Not random: the same for every run. */
static inline uint32_t next_number(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static inline void fill_random(uint8_t *bytes, size_t size, uint32_t seed)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)next_number(&seed);
}

static inline bool contains(struct buf_view bytes, const void *part, size_t part_bytes)
{
    return bytes.size_bytes && memmem(bytes.data, bytes.size_bytes, part, part_bytes) != NULL;
}

static inline bool contains_text(struct buf_view bytes, const char *text)
{
    return contains(bytes, text, strlen(text));
}

#endif
