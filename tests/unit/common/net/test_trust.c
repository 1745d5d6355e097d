/* Whose word is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/net/trust.h"

static bool has(const struct trust *trust, const char *text)
{
    struct addr a;

    assert_int_equal(addr_parse_host(&a, text, 1), E_OK);
    return trust_has(trust, &a);
}

static void test_has_gives_true_inside_of_the_networks_alone(void **state)
{
    char *nets[] = {"10.0.0.0/8", "192.0.2.7", "2001:db8::/32"};
    struct trust trust = {.nets = NULL};
    size_t bad;

    (void)state;
    assert_int_equal(trust_init(&trust, nets, 3, TRUST_FORWARDED, &bad), E_OK);
    assert_true(has(&trust, "10.255.0.1"));
    assert_true(has(&trust, "192.0.2.7"));
    assert_true(has(&trust, "2001:db8:1::2"));
    assert_true(has(&trust, "::ffff:10.0.0.1"));
    assert_false(has(&trust, "11.0.0.1"));
    assert_false(has(&trust, "192.0.2.8"));
    assert_false(has(&trust, "::1"));
    assert_false(has(&trust, "127.0.0.1"));
    trust_fini(&trust);
    assert_false(has(&trust, "10.255.0.1"));
}

static void test_init_names_the_one_that_is_no_network(void **state)
{
    char *nets[] = {"10.0.0.0/8", "10.0.0.0/33", "::1"};
    struct trust trust = {.nets = NULL};
    size_t bad;

    (void)state;
    assert_int_equal(trust_init(&trust, nets, 3, TRUST_FORWARDED, &bad), E_INVAL);
    assert_int_equal(bad, 1);
    assert_null(trust.nets);
}

static void test_has_gives_false_when_nobody_is_believed(void **state)
{
    struct trust trust = {.nets = NULL};
    size_t bad;

    (void)state;
    assert_int_equal(trust_init(&trust, NULL, 0, TRUST_NO_HEADER, &bad), E_OK);
    assert_false(has(&trust, "127.0.0.1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_has_gives_true_inside_of_the_networks_alone),
        cmocka_unit_test(test_init_names_the_one_that_is_no_network),
        cmocka_unit_test(test_has_gives_false_when_nobody_is_believed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
