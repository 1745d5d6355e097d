/* Shared by the AMF tests. */
#ifndef HW_TESTS_UNIT_PROTO_AMF_AMF_TEST_H
#define HW_TESTS_UNIT_PROTO_AMF_AMF_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/amf/amf.h"

#define VIEW(array) buf_view_of((array), sizeof(array))
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* The bytes in a heap block of their own, so that a read past them is seen. */
static inline uint8_t *heap_copy(struct buf_view bytes)
{
    uint8_t *copy = malloc(bytes.size_bytes ? bytes.size_bytes : 1);

    assert_non_null(copy);
    if (bytes.size_bytes)
        memcpy(copy, bytes.data, bytes.size_bytes);
    return copy;
}

/* What reading all of bytes under the default limits gives. */
static inline enum err read_status(struct buf_view bytes)
{
    struct amf_doc *doc = amf_doc_create(&k_amf_limits_default);
    uint8_t *copy = heap_copy(bytes);
    const struct amf_value *v;
    enum err e = amf0_read_all(doc, buf_view_of(copy, bytes.size_bytes), &v);

    assert_true(e == E_OK || amf_doc_error(doc)[0] != '\0');
    amf_doc_destroy(&doc);
    free(copy);
    return e;
}

#endif
