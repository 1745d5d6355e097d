/* node/session/admission: limits on viewers and on what is sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/control/node_metrics.h"
#include "node/node.h"
#include "node/session/admission.h"

static struct node *node;

static int setup(void **state)
{
    (void)state;
    log_set_level(LOG_ERROR);
    node = calloc(1, sizeof *node);
    return node ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    free(node);
    return 0;
}

static int64_t value_of(const struct metric *m)
{
    return atomic_load(&m->value);
}

static void test_take_gives_everybody_in_without_limits(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_null(admission_take(node));
    assert_int_equal(atomic_load(&node->admission.n_viewers), 1000);
}

static void test_take_refuses_above_the_limit_until_somebody_leaves(void **state)
{
    int64_t before = value_of(&m_play_refused_limit);
    const char *why;

    (void)state;
    node->conf.limits_viewers = 2;
    assert_null(admission_take(node));
    assert_null(admission_take(node));
    for (int i = 0; i < 3; i++) {
        why = admission_take(node);
        assert_non_null(why);
        assert_non_null(strstr(why, "limits.viewers"));
    }
    assert_int_equal(value_of(&m_play_refused_limit), before + 3);
    assert_int_equal(atomic_load(&node->admission.n_viewers), 2); /* the refused are not counted */
    admission_give(node);
    assert_null(admission_take(node));
    assert_non_null(admission_take(node));
}

static void test_take_refuses_while_as_much_is_sent_as_can_be(void **state)
{
    const char *why;

    (void)state;
    node->conf.cluster_capacity_egress_bps = 1000000;
    atomic_store(&node->admission.egress_bps, 999999);
    assert_null(admission_take(node));
    atomic_store(&node->admission.egress_bps, 1000000);
    why = admission_take(node);
    assert_non_null(why);
    assert_non_null(strstr(why, "cluster.capacity.egress_bps"));
    node->conf.cluster_capacity_egress_bps = 0; /* not known: no limit */
    assert_null(admission_take(node));
}

static void test_take_refuses_while_the_node_drains(void **state)
{
    int64_t before = value_of(&m_play_refused_draining);

    (void)state;
    atomic_store(&node->draining, true);
    assert_string_equal(admission_take(node), "this node is shutting down");
    assert_int_equal(value_of(&m_play_refused_draining), before + 1);
    atomic_store(&node->draining, false);
    assert_null(admission_take(node));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_take_gives_everybody_in_without_limits),
        T(test_take_refuses_above_the_limit_until_somebody_leaves),
        T(test_take_refuses_while_as_much_is_sent_as_can_be),
        T(test_take_refuses_while_the_node_drains),
    };
#undef T

    return cmocka_run_group_tests(tests, NULL, NULL);
}
