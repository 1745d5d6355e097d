/* What the tests of proto/cluster share. */
#ifndef HW_TESTS_CLUSTER_TEST_H
#define HW_TESTS_CLUSTER_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/cluster/cluster.h"

static inline struct stream_name name_of(const char *path)
{
    struct stream_name name;
    const char *why;

    assert_int_equal(stream_name_from_path(&name, buf_view_str(path), &why), E_OK);
    return name;
}

static inline struct buf_writer writer(void)
{
    struct buf_writer w;

    buf_writer_init(&w, 1 << 20);
    return w;
}

#endif
