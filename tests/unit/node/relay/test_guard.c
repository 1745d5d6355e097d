/* Where relays that were told by API may connect to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "node/relay/guard.h"

static const char *const k_public[] = {
    "8.8.8.8:80",        "1.1.1.1:1",         "172.15.255.255:1",    "172.32.0.1:1",
    "100.63.255.255:1",  "100.128.0.1:1",     "192.167.0.1:1",       "223.255.255.255:1",
    "[2606:4700::1]:80", "[2a00:1450::1]:80", "[::ffff:8.8.8.8]:80",
};

static const char *const k_private[] = {
    "0.0.0.0:1",
    "10.0.0.1:1",
    "10.255.255.255:1",
    "100.64.0.1:1",
    "127.0.0.1:1",
    "127.255.255.255:1",
    "169.254.169.254:1",
    "172.16.0.1:1",
    "172.31.255.255:1",
    "192.0.0.1:1",
    "192.0.2.1:1",
    "192.168.1.1:1",
    "198.18.0.1:1",
    "198.51.100.1:1",
    "203.0.113.1:1",
    "224.0.0.1:1",
    "255.255.255.255:1",
    "[::]:1",
    "[::1]:1",
    "[fe80::1]:1",
    "[fc00::1]:1",
    "[fd12:3456::1]:1",
    "[ff02::1]:1",
    "[2001:db8::1]:1",
    "[2002:7f00:1::]:1",
    "[2001:0:1::1]:1",
    "[64:ff9b::7f00:1]:1",
    "[::ffff:127.0.0.1]:1",
    "[::ffff:10.0.0.1]:1",
    "[::7f00:1]:1",
};

static struct relay_guard *guard_of(char **allowed, size_t n_allowed, bool allow_private)
{
    struct conf_list list = {.items = allowed, .n_items = n_allowed};
    struct relay_guard *guard = relay_guard_create(&list, allow_private);

    assert_non_null(guard);
    return guard;
}

static bool allows(const struct relay_guard *guard, const char *text)
{
    struct addr addr;

    if (addr_parse(&addr, text) != E_OK)
        fail_msg("%s", text);
    return relay_guard_allows(guard, &addr);
}

static void test_allows_gives_true_for_public_addresses_alone(void **state)
{
    struct relay_guard *guard = guard_of(NULL, 0, false);

    (void)state;
    for (size_t i = 0; i < sizeof k_public / sizeof k_public[0]; i++)
        if (!allows(guard, k_public[i]))
            fail_msg("%s is public", k_public[i]);
    for (size_t i = 0; i < sizeof k_private / sizeof k_private[0]; i++)
        if (allows(guard, k_private[i]))
            fail_msg("%s is not public", k_private[i]);
    relay_guard_destroy(&guard);
}

static void test_allows_gives_true_for_what_is_listed(void **state)
{
    char ten[] = "10.1.0.0/16", six[] = "fd00::/8";
    char *allowed[] = {ten, six};
    struct relay_guard *guard = guard_of(allowed, 2, false);

    (void)state;
    assert_true(allows(guard, "10.1.2.3:1"));
    assert_true(allows(guard, "[::ffff:10.1.2.3]:1"));
    assert_true(allows(guard, "[fd00::1]:1"));
    assert_false(allows(guard, "10.2.0.1:1"));
    assert_false(allows(guard, "127.0.0.1:1"));
    relay_guard_destroy(&guard);
}

static void test_allows_gives_true_for_all_when_private_ones_may_be(void **state)
{
    struct relay_guard *guard = guard_of(NULL, 0, true);

    (void)state;
    for (size_t i = 0; i < sizeof k_private / sizeof k_private[0]; i++)
        assert_true(allows(guard, k_private[i]));
    relay_guard_destroy(&guard);
}

static void test_allows_url_looks_at_numbers_and_leaves_names_for_later(void **state)
{
    struct relay_guard *guard = guard_of(NULL, 0, false);

    (void)state;
    assert_false(relay_guard_allows_url(guard, "rtmp://127.0.0.1/live/a"));
    assert_false(relay_guard_allows_url(guard, "rtmp://u:p@[::1]:1935/live/a"));
    assert_true(relay_guard_allows_url(guard, "rtmp://8.8.8.8/live/a"));
    assert_true(relay_guard_allows_url(guard, "rtmp://localhost/live/a"));
    relay_guard_destroy(&guard);
}

/* An operator's URL of a public server is not looked at; where that one sends us is. */
static void test_holds_from_gives_true_for_public_servers_and_what_was_held_before(void **state)
{
    struct relay_guard *guard = guard_of(NULL, 0, false);
    struct addr public, private;

    (void)state;
    assert_int_equal(addr_parse(&public, "8.8.8.8:80"), E_OK);
    assert_int_equal(addr_parse(&private, "10.0.0.1:80"), E_OK);
    assert_true(relay_guard_holds_from(guard, false, &public));
    assert_true(relay_guard_holds_from(guard, true, &private));
    assert_false(relay_guard_holds_from(guard, false, &private));
    relay_guard_destroy(&guard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allows_gives_true_for_public_addresses_alone),
        cmocka_unit_test(test_allows_gives_true_for_what_is_listed),
        cmocka_unit_test(test_allows_gives_true_for_all_when_private_ones_may_be),
        cmocka_unit_test(test_allows_url_looks_at_numbers_and_leaves_names_for_later),
        cmocka_unit_test(test_holds_from_gives_true_for_public_servers_and_what_was_held_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
