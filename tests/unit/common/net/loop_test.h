/* A loop for each test. */
#ifndef HW_TESTS_LOOP_TEST_H
#define HW_TESTS_LOOP_TEST_H

#include "tests/unit/common/net/net_test.h"

static struct loop *loop;

static int setup(void **state)
{
    (void)state;
    loop = loop_create("test", 0);
    return loop ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    loop_destroy(&loop);
    return 0;
}

#endif
