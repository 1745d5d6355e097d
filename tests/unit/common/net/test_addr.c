/* addr.c: text forms, properties, look-up. */
#include "common/net/addr.h"

#include "net_test.h"

static void test_split_gives_host_and_port(void **state)
{
    static const struct {
        const char *text, *host;
        unsigned port;
    } k_rows[] = {
        {"127.0.0.1:80", "127.0.0.1", 80},      {"example.com:65535", "example.com", 65535},
        {"example.com", "example.com", 1935},   {"[::1]:0", "::1", 0},
        {"[2001:db8::1]", "2001:db8::1", 1935}, {"localhost:007", "localhost", 7},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        char host[64];
        unsigned port = 1;

        assert_int_equal(addr_split(k_rows[i].text, host, sizeof host, &port, 1935), E_OK);
        assert_string_equal(host, k_rows[i].host);
        assert_int_equal(port, k_rows[i].port);
    }
}

static void test_split_refuses_what_is_no_host_and_port(void **state)
{
    static const char *const k_rows[] = {
        "",        ":80",          "host:", "host:65536", "host:999999999999",
        "host:-1", "host:8o",      "[::1",  "[]:80",      "::1",
        "[::1]80", "host:80/path", "a:1:2", "host: 80",   "[::1]:"};

    (void)state;
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        char host[64] = "kept";
        unsigned port = 77;

        if (addr_split(k_rows[i], host, sizeof host, &port, 1) != E_INVAL)
            fail_msg("\"%s\" was taken", k_rows[i]);
        assert_string_equal(host, "kept");
        assert_int_equal(port, 77);
    }
}

static void test_split_refuses_a_host_that_does_not_fit(void **state)
{
    char host[5];
    unsigned port;

    (void)state;
    assert_int_equal(addr_split("abcd:1", host, sizeof host, &port, 0), E_OK);
    assert_int_equal(addr_split("abcde:1", host, sizeof host, &port, 0), E_INVAL);
}

static void test_parse_and_format_agree(void **state)
{
    static const char *const k_rows[] = {"127.0.0.1:80", "[::1]:1935", "0.0.0.0:0",
                                         "[2001:db8::ff]:65535", "[::]:8080"};
    struct addr a;
    char text[ADDR_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        assert_int_equal(addr_parse(&a, k_rows[i]), E_OK);
        assert_string_equal(addr_format(&a, text), k_rows[i]);
    }
}

static void test_parse_refuses_names_and_missing_ports(void **state)
{
    static const char *const k_rows[] = {"localhost:80",   "127.0.0.1", "127.0.0.1:",  "::1:80",
                                         "[127.0.0.1]:80", "[::1]",     "256.0.0.1:1", "1.2.3:4"};
    struct addr a;

    (void)state;
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        if (addr_parse(&a, k_rows[i]) != E_INVAL)
            fail_msg("\"%s\" was taken", k_rows[i]);
    }
}

static void test_format_gives_back_what_was_parsed(void **state)
{
    static const char *const k_texts[] = {
        "0.0.0.0:0", "1.20.255.3:9", "127.0.0.1:80",      "255.255.255.255:65535",
        "[::]:0",    "[::1]:65535",  "[2001:db8::a]:443", "[1:2:3:4:5:6:7:8]:10000"};
    char text[ADDR_TEXT_SIZE];
    struct addr a;

    (void)state;
    for (size_t i = 0; i < sizeof k_texts / sizeof k_texts[0]; i++) {
        assert_int_equal(addr_parse(&a, k_texts[i]), E_OK);
        assert_string_equal(addr_format(&a, text), k_texts[i]);
    }
}

static void test_client_key_is_of_the_address_or_the_64(void **state)
{
    static const struct {
        const char *text, *key;
    } k_rows[] = {{"10.0.255.1:80", "0a00ff01"},
                  {"10.0.255.1:81", "0a00ff01"},
                  {"[2001:db8:1:2:3::4]:80", "20010db800010002"},
                  {"[2001:db8:1:2:ffff::]:9", "20010db800010002"}};
    char key[ADDR_KEY_SIZE];
    struct addr a;

    (void)state;
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        assert_int_equal(addr_parse(&a, k_rows[i].text), E_OK);
        assert_string_equal(addr_client_key(&a, key), k_rows[i].key);
    }
}

static void test_format_says_unknown_for_an_empty_address(void **state)
{
    struct addr a = {.size_bytes = 0};
    char text[ADDR_TEXT_SIZE];

    (void)state;
    assert_string_equal(addr_format(&a, text), "unknown");
    assert_int_equal(addr_port(&a), 0);
}

static void test_loopback_and_wildcard(void **state)
{
    static const struct {
        const char *text;
        bool loopback, wildcard;
    } k_rows[] = {
        {"127.0.0.1:1", true, false}, {"127.9.9.9:1", true, false}, {"128.0.0.1:1", false, false},
        {"0.0.0.0:1", false, true},   {"[::]:1", false, true},      {"[::1]:1", true, false},
        {"[::2]:1", false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        struct addr a;

        assert_int_equal(addr_parse(&a, k_rows[i].text), E_OK);
        assert_int_equal(addr_is_loopback(&a), k_rows[i].loopback);
        assert_int_equal(addr_is_wildcard(&a), k_rows[i].wildcard);
    }
}

static void test_unmap_gives_plain_ipv4_and_leaves_the_rest(void **state)
{
    struct addr a;
    char text[ADDR_TEXT_SIZE];

    (void)state;
    assert_int_equal(addr_parse(&a, "[::ffff:127.0.0.1]:80"), E_OK);
    assert_false(addr_is_loopback(&a));
    addr_unmap(&a);
    assert_string_equal(addr_format(&a, text), "127.0.0.1:80");
    assert_true(addr_is_loopback(&a));
    addr_unmap(&a);
    assert_string_equal(addr_format(&a, text), "127.0.0.1:80");
    assert_int_equal(addr_parse(&a, "[2001:db8::1]:80"), E_OK);
    addr_unmap(&a);
    assert_string_equal(addr_format(&a, text), "[2001:db8::1]:80");
}

/* --- look-up --- */

struct answer {
    bool done;
    enum err e;
    unsigned n_addrs, n_calls;
    char first[ADDR_TEXT_SIZE];
};

static void on_done(void *arg, enum err e, const struct addr *addrs, unsigned n_addrs)
{
    struct answer *a = arg;

    a->done = true;
    a->n_calls++;
    a->e = e;
    a->n_addrs = n_addrs;
    if (n_addrs)
        addr_format(&addrs[0], a->first);
}

static void test_resolve_answers_numbers_from_the_next_turn(void **state)
{
    static const char *const k_rows[][2] = {{"192.0.2.7", "192.0.2.7:99"},
                                            {"2001:db8::7", "[2001:db8::7]:99"}};
    struct loop *loop = loop_create("test", 0);

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct answer a = {.done = false};

        assert_non_null(net_resolve(loop, k_rows[i][0], 99, on_done, &a));
        assert_false(a.done);
        turn_until(loop, &a.done);
        assert_int_equal(a.e, E_OK);
        assert_int_equal(a.n_addrs, 1);
        assert_string_equal(a.first, k_rows[i][1]);
    }
    loop_destroy(&loop);
}

static void test_resolve_answers_localhost_from_the_next_turn(void **state)
{
    struct loop *loop = loop_create("test", 0);
    struct answer a = {.done = false};

    (void)state;
    assert_non_null(net_resolve(loop, "localhost", 99, on_done, &a));
    assert_false(a.done);
    turn_until(loop, &a.done);
    assert_int_equal(a.e, E_OK);
    assert_true(strcmp(a.first, "127.0.0.1:99") == 0 || strcmp(a.first, "[::1]:99") == 0);
    loop_destroy(&loop);
}

static void test_resolve_is_silent_after_cancel(void **state)
{
    static const char *const k_hosts[] = {"192.0.2.7", "localhost", "nobody.invalid"};
    struct loop *loop = loop_create("test", 0);
    struct answer a = {.done = false};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct net_resolve *r = net_resolve(loop, k_hosts[i], 99, on_done, &a);

        net_resolve_cancel(&r);
        assert_null(r);
        net_resolve_cancel(&r);
    }
    turn_ready(loop);
    assert_int_equal(a.n_calls, 0);
    loop_destroy(&loop);
}

static void test_resolve_cancelled_just_before_the_loop_ends_frees_all(void **state)
{
    struct loop *loop = loop_create("test", 0);
    struct answer a = {.done = false};
    struct net_resolve *r = net_resolve(loop, "nobody.invalid", 99, on_done, &a);

    (void)state;
    net_resolve_cancel(&r);
    loop_destroy(&loop);
    assert_int_equal(a.n_calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split_gives_host_and_port),
        cmocka_unit_test(test_split_refuses_what_is_no_host_and_port),
        cmocka_unit_test(test_split_refuses_a_host_that_does_not_fit),
        cmocka_unit_test(test_parse_and_format_agree),
        cmocka_unit_test(test_parse_refuses_names_and_missing_ports),
        cmocka_unit_test(test_format_gives_back_what_was_parsed),
        cmocka_unit_test(test_client_key_is_of_the_address_or_the_64),
        cmocka_unit_test(test_format_says_unknown_for_an_empty_address),
        cmocka_unit_test(test_loopback_and_wildcard),
        cmocka_unit_test(test_unmap_gives_plain_ipv4_and_leaves_the_rest),
        cmocka_unit_test(test_resolve_answers_numbers_from_the_next_turn),
        cmocka_unit_test(test_resolve_answers_localhost_from_the_next_turn),
        cmocka_unit_test(test_resolve_is_silent_after_cancel),
        cmocka_unit_test(test_resolve_cancelled_just_before_the_loop_ends_frees_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
