/* node/session/admission: limits on viewers and on what is sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
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
    if (!node)
        return -1;
    admission_init(node);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    admission_fini(node);
    node_rules_fini(&node->rules);
    free(node);
    return 0;
}

static int64_t value_of(const struct metric *m)
{
    return atomic_load(&m->value);
}

static struct admission_refusal no;

/* NULL: refused, and no says why. */
static struct pass *take_as(enum admission_kind kind, const char *host, const char *stream)
{
    struct pass *pass = calloc(1, sizeof *pass);
    struct stream_name name;
    struct addr addr;
    const char *why;
    char path[64];

    assert_non_null(pass);
    snprintf(path, sizeof path, "/%s", stream);
    assert_int_equal(stream_name_from_path(&name, buf_view_str(path), &why), E_OK);
    assert_int_equal(addr_parse_host(&addr, host, 1), E_OK);
    if (admission_take(node, &(struct admission_ask){kind, &addr, &name}, pass, &no))
        return pass;
    assert_null(pass->ip);
    assert_null(pass->stream);
    free(pass);
    return NULL;
}

static struct pass *take(const char *host, const char *stream)
{
    return take_as(ADMISSION_VIEWER, host, stream);
}

static void give(struct pass *pass)
{
    assert_non_null(pass);
    admission_give(node, pass);
    assert_null(pass->ip);
    admission_give(node, pass); /* again: nothing happens */
    free(pass);
}

static void set_apps(const char *item)
{
    char *items[] = {strdup(item)};
    struct conf_error error;

    node->conf.limits_apps = (struct conf_list){items, 1};
    assert_int_equal(admission_read_apps(&node->conf, &node->rules.limits_apps, &error), E_OK);
    node->conf.limits_apps = (struct conf_list){NULL, 0};
    free(items[0]);
}

static void test_take_gives_everybody_in_without_limits(void **state)
{
    struct pass *passes[1000];

    (void)state;
    for (int i = 0; i < 1000; i++)
        passes[i] = take("10.0.0.1", "live/x");
    assert_int_equal(atomic_load(&node->admission.n_viewers), 1000);
    for (int i = 0; i < 1000; i++)
        give(passes[i]);
    assert_int_equal(atomic_load(&node->admission.n_viewers), 0);
    for (int i = 0; i < ADMISSION_N_SHARDS; i++) /* nothing is kept of who has left */
        assert_int_equal(node->admission.counts.shards[i].by_key.n_entries, 0);
}

static void test_take_refuses_above_the_limit_until_somebody_leaves(void **state)
{
    int64_t before = value_of(&m_play_refused_limit);
    struct pass *a, *b;

    (void)state;
    node->conf.limits_viewers = 2;
    a = take("10.0.0.1", "live/x");
    b = take("10.0.0.2", "live/y");
    for (int i = 0; i < 3; i++) {
        assert_null(take("10.0.0.3", "live/x"));
        assert_non_null(strstr(no.text, "(limits.viewers): 2"));
        assert_int_equal(no.status, 503);
    }
    assert_int_equal(value_of(&m_play_refused_limit), before + 3);
    assert_int_equal(atomic_load(&node->admission.n_viewers), 2); /* the refused are not counted */
    give(a);
    a = take("10.0.0.3", "live/x");
    assert_null(take("10.0.0.3", "live/x"));
    give(a);
    give(b);
}

static void test_take_refuses_what_one_address_has_enough_of(void **state)
{
    struct pass *a, *b, *c;

    (void)state;
    node->conf.limits_viewers_per_ip = 2;
    a = take("2001:db8::1", "live/x");
    b = take("2001:db8::2", "live/y"); /* one network of a client */
    assert_null(take("2001:db8::3", "live/z"));
    assert_int_equal(no.status, 429);
    assert_true(no.retry_after_s > 0);
    assert_non_null(strstr(no.text, "(limits.viewers_per_ip): 2"));
    c = take("2001:db8:0:1::1", "live/z");
    give(b);
    b = take("2001:db8::3", "live/z");
    give(a);
    give(b);
    give(c);
}

static void test_take_refuses_what_a_stream_and_an_app_have_enough_of(void **state)
{
    struct pass *a, *b, *c;

    (void)state;
    node->conf.limits_viewers_per_stream = 1;
    set_apps("live viewers=2 viewers_per_stream=5");
    a = take("10.0.0.1", "live/x"); /* the app's limit is in place of the other */
    b = take("10.0.0.2", "live/x");
    assert_null(take("10.0.0.3", "live/y"));
    assert_non_null(strstr(no.text, "(limits.apps): 2"));
    c = take("10.0.0.3", "other/y");
    assert_null(take("10.0.0.3", "other/y"));
    assert_non_null(strstr(no.text, "(limits.viewers_per_stream): 1"));
    assert_int_equal(atomic_load(&node->admission.n_viewers), 3);
    give(a);
    give(b);
    give(c);
}

static void test_take_counts_streams_of_an_app_together(void **state)
{
    struct pass *a = take("10.0.0.1", "live/x"), *b = take("10.0.0.2", "live/x"),
                *c = take("10.0.0.3", "live/y"), *d = take("10.0.0.3", "other/x");
    struct admission_count *app = c->stream->app;

    (void)state;
    assert_ptr_equal(a->stream, b->stream);
    assert_ptr_equal(a->stream->app, app);
    assert_ptr_not_equal(d->stream->app, app);
    assert_int_equal(atomic_load(&app->n_viewers), 3);
    give(a);
    give(b); /* the last one of its stream */
    assert_int_equal(atomic_load(&app->n_viewers), 1);
    give(c);
    give(d);
    for (int i = 0; i < ADMISSION_N_SHARDS; i++)
        assert_int_equal(node->admission.counts.shards[i].by_key.n_entries, 0);
}

static void test_take_counts_publishers_and_hls_apart(void **state)
{
    int64_t before = value_of(&m_publish_refused_limit);
    struct pass *a, *b, *c;

    (void)state;
    node->conf.limits_viewers_per_ip = 1;
    node->conf.limits_publishers_per_ip = 1;
    a = take_as(ADMISSION_PUBLISHER, "10.0.0.1", "live/x");
    b = take("10.0.0.1", "live/x");
    assert_null(take_as(ADMISSION_PUBLISHER, "10.0.0.1", "live/y"));
    assert_int_equal(no.status, 429);
    assert_int_equal(value_of(&m_publish_refused_limit), before + 1);
    node->conf.limits_viewers_per_ip = 0;
    node->conf.limits_hls_sessions_per_ip = 1;
    c = take_as(ADMISSION_HLS_VIEWER, "10.0.0.1", "live/x");
    assert_null(take_as(ADMISSION_HLS_VIEWER, "10.0.0.1", "live/x"));
    assert_non_null(strstr(no.text, "limits.hls_sessions_per_ip"));
    give(take("10.0.0.1", "live/x"));
    give(a);
    give(b);
    give(c);
}

static void test_take_refuses_while_as_much_is_sent_as_can_be(void **state)
{
    struct pass *a;

    (void)state;
    node->conf.cluster_capacity_egress_bps = 1000000;
    atomic_store(&node->admission.egress_bps, 999999);
    give(take("10.0.0.1", "live/x"));
    atomic_store(&node->admission.egress_bps, 1000000);
    assert_null(take("10.0.0.1", "live/x"));
    assert_non_null(strstr(no.text, "cluster.capacity.egress_bps"));
    a = take_as(ADMISSION_PUBLISHER, "10.0.0.1", "live/x"); /* it gets nothing */
    give(a);
    node->conf.cluster_capacity_egress_bps = 0; /* not known: no limit */
    give(take("10.0.0.1", "live/x"));
}

static void test_take_refuses_while_an_address_gets_as_much_as_it_may(void **state)
{
    struct pass *a = take("10.0.0.1", "live/x"), *b;

    (void)state;
    node->conf.limits_egress_bps_per_ip = 8000;
    set_apps("vip egress_bps_per_ip=9000");
    atomic_store(&a->ip->sent_bytes, 1000);
    admission_counts_measure(&node->admission.counts, 1000000);
    assert_int_equal(atomic_load(&a->ip->egress_bps), 8000);
    assert_null(take("10.0.0.1", "live/y"));
    assert_int_equal(no.status, 429);
    assert_non_null(strstr(no.text, "(limits.egress_bps_per_ip): 8000"));
    b = take("10.0.0.1", "vip/y");
    give(b);
    give(take("10.0.0.2", "live/y"));
    admission_counts_measure(&node->admission.counts, 1000000); /* nothing more was sent */
    give(take("10.0.0.1", "live/y"));
    give(a);
}

static void test_take_refuses_while_the_node_drains(void **state)
{
    int64_t before = value_of(&m_play_refused_draining);

    (void)state;
    atomic_store(&node->draining, true);
    assert_null(take("10.0.0.1", "live/x"));
    assert_string_equal(no.text, "this node is shutting down");
    assert_int_equal(value_of(&m_play_refused_draining), before + 1);
    atomic_store(&node->draining, false);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_take_gives_everybody_in_without_limits),
        T(test_take_refuses_above_the_limit_until_somebody_leaves),
        T(test_take_refuses_what_one_address_has_enough_of),
        T(test_take_refuses_what_a_stream_and_an_app_have_enough_of),
        T(test_take_counts_streams_of_an_app_together),
        T(test_take_counts_publishers_and_hls_apart),
        T(test_take_refuses_while_as_much_is_sent_as_can_be),
        T(test_take_refuses_while_an_address_gets_as_much_as_it_may),
        T(test_take_refuses_while_the_node_drains),
    };
#undef T

    return cmocka_run_group_tests(tests, NULL, NULL);
}
