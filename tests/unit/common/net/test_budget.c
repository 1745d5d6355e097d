/* Connection budget: limits in all and per address, given back by the connection itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>

#include "common/net/conn.h"

static struct addr addr_of(const char *text)
{
    struct addr a;

    assert_int_equal(addr_parse(&a, text), E_OK);
    return a;
}

static enum budget_answer take(struct conn_budget *b, const char *text)
{
    struct addr a = addr_of(text);
    uint64_t limit = 0;
    bool say = false;

    return conn_budget_take(b, &a, false, &limit, &say);
}

static void give(struct conn_budget *b, const char *text)
{
    struct addr a = addr_of(text);

    conn_budget_give(b, &a);
}

static void test_take_gives_total_when_all_are_used(void **state)
{
    struct conn_budget *b = conn_budget_create(2, 0);

    (void)state;
    assert_int_equal(take(b, "10.0.0.1:1"), BUDGET_OK);
    assert_int_equal(take(b, "10.0.0.2:1"), BUDGET_OK);
    assert_int_equal(take(b, "10.0.0.3:1"), BUDGET_TOTAL);
    give(b, "10.0.0.1:1");
    assert_int_equal(take(b, "10.0.0.3:1"), BUDGET_OK);
    assert_int_equal(conn_budget_used(b), 2);
    conn_budget_destroy(&b);
}

static void test_take_gives_per_ip_whatever_the_port(void **state)
{
    struct conn_budget *b = conn_budget_create(0, 2);

    (void)state;
    assert_int_equal(take(b, "10.0.0.1:1"), BUDGET_OK);
    assert_int_equal(take(b, "10.0.0.1:2"), BUDGET_OK);
    assert_int_equal(take(b, "10.0.0.1:3"), BUDGET_PER_IP);
    assert_int_equal(take(b, "10.0.0.2:1"), BUDGET_OK);
    give(b, "10.0.0.1:9");
    assert_int_equal(take(b, "10.0.0.1:3"), BUDGET_OK);
    conn_budget_destroy(&b);
}

static void test_take_counts_an_ipv6_network_as_one_client(void **state)
{
    struct conn_budget *b = conn_budget_create(0, 1);

    (void)state;
    assert_int_equal(take(b, "[2001:db8:1:2::1]:1"), BUDGET_OK);
    assert_int_equal(take(b, "[2001:db8:1:2:ffff::9]:1"), BUDGET_PER_IP);
    assert_int_equal(take(b, "[2001:db8:1:3::1]:1"), BUDGET_OK);
    conn_budget_destroy(&b);
}

static void test_set_applies_to_what_is_counted_already(void **state)
{
    struct conn_budget *b = conn_budget_create(0, 0);

    (void)state;
    assert_int_equal(take(b, "10.0.0.1:1"), BUDGET_OK);
    assert_int_equal(take(b, "10.0.0.1:2"), BUDGET_OK);
    conn_budget_set(b, 0, 2);
    assert_int_equal(take(b, "10.0.0.1:3"), BUDGET_PER_IP);
    conn_budget_set(b, 0, 0);
    assert_int_equal(take(b, "10.0.0.1:3"), BUDGET_OK);
    conn_budget_destroy(&b);
}

static void test_take_says_once_a_second(void **state)
{
    struct conn_budget *b = conn_budget_create(1, 0);
    struct addr a = addr_of("10.0.0.1:1");
    uint64_t limit = 0;
    bool say = true;

    (void)state;
    assert_int_equal(conn_budget_take(b, &a, false, &limit, &say), BUDGET_OK);
    assert_false(say);
    assert_int_equal(conn_budget_take(b, &a, false, &limit, &say), BUDGET_TOTAL);
    assert_true(say);
    assert_int_equal(limit, 1);
    assert_int_equal(conn_budget_take(b, &a, false, &limit, &say), BUDGET_TOTAL);
    assert_false(say);
    conn_budget_destroy(&b);
}

static void test_take_has_no_limit_for_a_proxy_and_moves_to_its_client(void **state)
{
    struct conn_budget *b = conn_budget_create(0, 1);
    struct addr proxy = addr_of("10.0.0.1:1"), client = addr_of("10.0.0.2:1");
    uint64_t limit = 0;
    bool say = false;

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(conn_budget_take(b, &proxy, true, &limit, &say), BUDGET_OK);
    assert_true(conn_budget_is_full(b, &proxy));
    assert_false(conn_budget_is_full(b, &client));
    conn_budget_move(b, &proxy, &client);
    assert_true(conn_budget_is_full(b, &client));
    assert_int_equal(take(b, "10.0.0.2:2"), BUDGET_PER_IP);
    assert_int_equal(conn_budget_used(b), 2);
    give(b, "10.0.0.2:1");
    give(b, "10.0.0.1:1");
    assert_int_equal(conn_budget_used(b), 0);
    assert_int_equal(take(b, "10.0.0.2:2"), BUDGET_OK);
    assert_int_equal(take(b, "10.0.0.1:2"), BUDGET_OK);
    conn_budget_destroy(&b);
}

static void on_nothing(struct conn *conn, void *arg)
{
    (void)conn;
    (void)arg;
}

static void test_conn_gives_back_when_closed(void **state)
{
    static const struct conn_ops k_ops = {.on_readable = on_nothing};
    struct conn_budget *b = conn_budget_create(0, 0);
    struct loop *loop = loop_create("test", 0);
    struct addr a = addr_of("10.0.0.1:1");
    struct conn *plain, *lingering;
    int fds[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(take(b, "10.0.0.1:1"), BUDGET_OK);
    assert_int_equal(take(b, "10.0.0.1:1"), BUDGET_OK);
    plain = conn_create(loop, fds[0], &a, 100, &k_ops, NULL);
    lingering = conn_create(loop, fds[1], &a, 100, &k_ops, NULL);
    conn_charge(plain, b);
    conn_charge(lingering, b);
    conn_close(&plain);
    assert_int_equal(conn_budget_used(b), 1);
    conn_close_after_flush(&lingering);
    assert_int_equal(conn_budget_used(b), 0);
    loop_destroy(&loop);
    conn_budget_destroy(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_take_gives_total_when_all_are_used),
        cmocka_unit_test(test_take_gives_per_ip_whatever_the_port),
        cmocka_unit_test(test_take_counts_an_ipv6_network_as_one_client),
        cmocka_unit_test(test_set_applies_to_what_is_counted_already),
        cmocka_unit_test(test_take_says_once_a_second),
        cmocka_unit_test(test_take_has_no_limit_for_a_proxy_and_moves_to_its_client),
        cmocka_unit_test(test_conn_gives_back_when_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
