/* common/net/addr_net: networks, and sets of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/net/addr_net.h"

static struct addr addr_of(const char *host)
{
    struct addr addr;
    char text[80];

    snprintf(text, sizeof text, strchr(host, ':') ? "[%s]:1" : "%s:1", host);
    assert_int_equal(addr_parse(&addr, text), E_OK);
    return addr;
}

static struct addr_net net_of(const char *text)
{
    struct addr_net net;

    if (addr_net_parse(&net, text) != E_OK)
        fail_msg("%s: no network", text);
    return net;
}

static void test_parse_gives_the_network_in_its_shortest_form(void **state)
{
    static const char *const k_cases[][2] = {
        {"10.0.0.0/8", "10.0.0.0/8"},
        {"10.1.2.3/8", "10.0.0.0/8"},
        {"10.1.2.3/31", "10.1.2.2/31"},
        {"192.0.2.7", "192.0.2.7"},
        {"192.0.2.7/32", "192.0.2.7"},
        {"0.0.0.0/0", "0.0.0.0/0"},
        {"2001:DB8::/32", "2001:db8::/32"},
        {"2001:db8:ffff::1/33", "2001:db8:8000::/33"},
        {"::1", "::1"},
        {"::/0", "::/0"},
        {"::ffff:10.0.0.1", "10.0.0.1"},
        {"::ffff:10.0.0.1/104", "10.0.0.0/8"},
        {"::ffff:0:0/96", "0.0.0.0/0"},
        {"::ffff:0:0/95", "::fffe:0:0/95"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        struct addr_net net = net_of(k_cases[i][0]);
        char text[ADDR_NET_TEXT_SIZE];

        assert_string_equal(addr_net_format(&net, text), k_cases[i][1]);
    }
}

static void test_parse_refuses_what_is_no_network(void **state)
{
    static const char *const k_cases[] = {
        "",
        "/",
        "/8",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/8 ",
        " 10.0.0.0/8",
        "10.0.0/8",
        "10.0.0.0/8/8",
        "::/129",
        "[::1]",
        "::1]",
        "host/8",
        "10.0.0.0:80",
        "10.0.0.0/0x8",
        "10.0.0.256",
        "::/0000",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc/8",
    };
    struct addr_net net = {.n_bits = 7};

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++)
        if (addr_net_parse(&net, k_cases[i]) != E_INVAL)
            fail_msg("%s: taken for a network", k_cases[i]);
    assert_int_equal(net.n_bits, 7);
}

static void test_contains_gives_true_for_addresses_below_the_prefix(void **state)
{
    static const struct {
        const char *net, *addr;
        bool is_in;
    } k_cases[] = {
        {"10.0.0.0/8", "10.255.0.1", true},
        {"10.0.0.0/8", "11.0.0.1", false},
        {"10.0.0.0/9", "10.127.0.1", true},
        {"10.0.0.0/9", "10.128.0.1", false},
        {"10.0.0.1", "10.0.0.1", true},
        {"10.0.0.1", "10.0.0.2", false},
        {"10.0.0.0/8", "::ffff:10.0.0.1", true},
        {"::ffff:10.0.0.0/104", "10.9.9.9", true},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "10.0.0.1", false},
        {"::/0", "::ffff:10.0.0.1", false},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"::1", "::1", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        struct addr_net net = net_of(k_cases[i].net);
        struct addr addr = addr_of(k_cases[i].addr);

        if (addr_net_contains(&net, &addr) != k_cases[i].is_in)
            fail_msg("%s in %s", k_cases[i].addr, k_cases[i].net);
    }
}

struct found {
    size_t index[8];
    unsigned n, most;
};

static bool note(void *arg, size_t index)
{
    struct found *found = arg;

    found->index[found->n++] = index;
    return found->n < found->most;
}

static void assert_found(const struct addr_nets *set, const char *host, const char *wanted)
{
    struct found found = {.most = 8};
    struct addr addr = addr_of(host);
    char text[64] = "";

    addr_nets_find(set, &addr, note, &found);
    for (unsigned i = 0; i < found.n; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), i ? " %zu" : "%zu",
                 found.index[i]);
    assert_string_equal(text, wanted);
}

static void test_find_gives_all_networks_longest_prefix_first(void **state)
{
    static const char *const k_nets[] = {"10.0.0.0/8",  "10.1.0.0/16", "10.1.2.3",     "::/0",
                                         "10.1.0.0/16", "0.0.0.0/0",   "2001:db8::/32"};
    struct addr_net nets[7];
    struct addr_nets *set;
    struct found first = {.most = 1};
    struct addr addr = addr_of("10.1.2.3");

    (void)state;
    for (size_t i = 0; i < 7; i++)
        nets[i] = net_of(k_nets[i]);
    set = addr_nets_create(nets, 7);
    assert_non_null(set);
    assert_found(set, "10.1.2.3", "2 1 4 0 5");
    assert_found(set, "::ffff:10.1.9.9", "1 4 0 5");
    assert_found(set, "10.2.0.1", "0 5");
    assert_found(set, "192.0.2.1", "5");
    assert_found(set, "2001:db8::9", "6 3");
    assert_found(set, "2001:db9::9", "3");
    addr_nets_find(set, &addr, note, &first);
    assert_int_equal(first.n, 1);
    addr_nets_destroy(&set);
    assert_null(set);
}

static void test_find_gives_nothing_of_an_empty_set(void **state)
{
    struct addr_nets *set = addr_nets_create(NULL, 0);

    (void)state;
    assert_found(set, "10.0.0.1", "");
    assert_found(NULL, "10.0.0.1", "");
    addr_nets_destroy(&set);
}

static bool note_if_right(void *arg, size_t index)
{
    bool *held = arg;

    held[index] = true;
    return true;
}

/* Random networks close together: what a walk over all of them says is right. */
static void test_find_gives_what_a_walk_gives(void **state)
{
    enum { N = 400 };
    static struct addr_net nets[N];
    struct addr_nets *set;

    (void)state;
    srand(7);
    for (size_t i = 0; i < N; i++) {
        char text[64];

        snprintf(text, sizeof text, "10.%d.%d.%d/%d", rand() % 2, rand() % 4, rand() % 8,
                 8 + rand() % 25);
        nets[i] = net_of(text);
    }
    set = addr_nets_create(nets, N);
    for (unsigned round = 0; round < 200; round++) {
        bool held[N] = {false};
        struct addr addr;
        char text[64];

        snprintf(text, sizeof text, "10.%d.%d.%d", rand() % 3, rand() % 4, rand() % 8);
        addr = addr_of(text);
        addr_nets_find(set, &addr, note_if_right, held);
        for (size_t i = 0; i < N; i++)
            assert_int_equal(held[i], addr_net_contains(&nets[i], &addr));
    }
    addr_nets_destroy(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_gives_the_network_in_its_shortest_form),
        cmocka_unit_test(test_parse_refuses_what_is_no_network),
        cmocka_unit_test(test_contains_gives_true_for_addresses_below_the_prefix),
        cmocka_unit_test(test_find_gives_all_networks_longest_prefix_first),
        cmocka_unit_test(test_find_gives_nothing_of_an_empty_set),
        cmocka_unit_test(test_find_gives_what_a_walk_gives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
