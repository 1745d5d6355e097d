/* common/base/conf_value: each type from text and from JSON, and what each error says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/common/limited_alloc.h"
#include "common/base/conf_value.c"
#include "tests/unit/common/limited_alloc_end.h"
#include "tests/unit/common/base/conf_schema.h"

static struct conf_problem problem;

static enum err text_to(struct sample *conf, const char *key, const char *text)
{
    return conf_value_set_text(conf_key_find(&k_sample, key), conf, text, &problem);
}

static enum err json_to(struct sample *conf, const char *key, const char *json)
{
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
    enum err e;

    assert_non_null(value);
    e = conf_value_set_json(conf_key_find(&k_sample, key), conf, value, &problem);
    json_decref(value);
    return e;
}

static void assert_text_refused(const char *key, const char *text, const char *found,
                                const char *expected)
{
    struct sample conf = {0};

    if (text_to(&conf, key, text) != E_INVAL)
        fail_msg("%s=%s was accepted", key, text);
    if (found)
        assert_string_equal(problem.found, found);
    assert_string_equal(problem.expected, expected);
    conf_free(&k_sample, &conf);
}

static void assert_json_refused(const char *key, const char *json, const char *found)
{
    struct sample conf = {0};
    char allowed[256];

    if (json_to(&conf, key, json) != E_INVAL)
        fail_msg("%s: %s was accepted", key, json);
    assert_string_equal(problem.found, found);
    conf_value_describe(conf_key_find(&k_sample, key), allowed, sizeof allowed);
    assert_string_equal(problem.expected, allowed);
    conf_free(&k_sample, &conf);
}

static void test_set_text_gives_uint_in_range_or_invalid(void **state)
{
    static const char *const k_bad[] = {"",
                                        "257",
                                        "-1",
                                        "+1",
                                        " 1",
                                        "1 ",
                                        "1.0",
                                        "0x10",
                                        "ten",
                                        "1e2",
                                        "18446744073709551616",
                                        "99999999999999999999999"};
    struct sample conf = {0};

    (void)state;
    assert_int_equal(text_to(&conf, "loops", "256"), E_OK);
    assert_int_equal(conf.loops, 256);
    assert_int_equal(text_to(&conf, "loops", "007"), E_OK);
    assert_int_equal(conf.loops, 7);
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++)
        assert_text_refused("loops", k_bad[i], NULL, "a whole number from 0 to 256");
    assert_text_refused("gop_cache.max_bytes", "9", "\"9\"",
                        "a whole number from 10 to 1073741824 (bytes)");
}

static void test_set_text_gives_uint_up_to_64_bits(void **state)
{
    struct sample conf = {0};
    const struct conf_field field =
        CONF_FIELD_UINT(struct sample, loops, "x", "0", 0, UINT64_MAX, "", "", false);

    (void)state;
    assert_int_equal(conf_value_set_text(&field, &conf, "18446744073709551615", &problem), E_OK);
    assert_true(conf.loops == UINT64_MAX);
    assert_int_equal(conf_value_set_text(&field, &conf, "18446744073709551616", &problem), E_INVAL);
}

static void test_set_text_gives_bool_or_invalid(void **state)
{
    struct sample conf = {0};

    (void)state;
    assert_int_equal(text_to(&conf, "cluster.redirect", "true"), E_OK);
    assert_true(conf.redirect);
    assert_int_equal(text_to(&conf, "cluster.redirect", "false"), E_OK);
    assert_false(conf.redirect);
    assert_text_refused("cluster.redirect", "yes", "\"yes\"", "true or false");
    assert_text_refused("cluster.redirect", "", "\"\"", "true or false");
    assert_text_refused("cluster.redirect", "TRUE", "\"TRUE\"", "true or false");
}

static void test_set_text_gives_enum_index_or_invalid(void **state)
{
    struct sample conf = {0};

    (void)state;
    assert_int_equal(text_to(&conf, "latency", "efficient"), E_OK);
    assert_int_equal(conf.latency, 2);
    assert_text_refused("latency", "fast", "\"fast\"", "one of: realtime, balanced, efficient");
    assert_text_refused("latency", "", "\"\"", "one of: realtime, balanced, efficient");
}

static void test_set_text_gives_string_or_invalid(void **state)
{
    struct sample conf = {0};

    (void)state;
    assert_int_equal(text_to(&conf, "cluster.zone", "12345678"), E_OK);
    assert_string_equal(conf.zone, "12345678");
    assert_int_equal(text_to(&conf, "cluster.zone", "\xc3\xa9t\xc3\xa9"), E_OK);
    assert_string_equal(conf.zone, "\xc3\xa9t\xc3\xa9");
    assert_int_equal(text_to(&conf, "cluster.zone", "123456789"), E_INVAL);
    assert_string_equal(conf.zone, "\xc3\xa9t\xc3\xa9"); /* the old value stays */
    conf_free(&k_sample, &conf);
    assert_text_refused("cluster.zone", "123456789", "\"123456789\"",
                        "printable text of at most 8 bytes");
    assert_text_refused("cluster.zone", "a\nb", "\"a\nb\"", "printable text of at most 8 bytes");
    assert_text_refused("cluster.zone", "\xff", NULL, "printable text of at most 8 bytes");
}

static void test_set_text_gives_addr_or_invalid(void **state)
{
    static const char *const k_good[] = {
        "",        "0.0.0.0:1935", "localhost:0",      "[::]:65535",
        "[::1]:1", "a.b-c_d:80",   "[2001:db8::1]:443"};
    static const char *const k_bad[] = {"1935",        ":1935",      "host:",     "host:65536",
                                        "host:-1",     "host:1935 ", "ho st:1",   "::1:80",
                                        "[::1]",       "[::1]80",    "[::1:80",   "[]:80",
                                        "[:80",        "[zz]:80",    "host:80:",  "http://a:1",
                                        "host:000080", "*:80",       "host:http", "[1.2.3.4]:80"};

    (void)state;
    for (size_t i = 0; i < sizeof k_good / sizeof k_good[0]; i++) {
        struct sample conf = {0};

        if (text_to(&conf, "rtmp.listen", k_good[i]) != E_OK)
            fail_msg("%s was refused", k_good[i]);
        assert_string_equal(conf.rtmp_listen, k_good[i]);
        conf_free(&k_sample, &conf);
    }
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++)
        assert_text_refused("rtmp.listen", k_bad[i], NULL,
                            "\"host:port\", \"[v6]:port\" or \"\" for off");
}

static void test_set_text_gives_addr_only_up_to_300_bytes(void **state)
{
    struct sample conf = {0};
    char text[512];

    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text + 297, ":80", 4);
    assert_int_equal(text_to(&conf, "rtmp.listen", text), E_OK);
    memcpy(text + 297, "aaaa", 4);
    memcpy(text + 298, ":80", 4);
    assert_int_equal(text_to(&conf, "rtmp.listen", text), E_INVAL);
    memset(text, 'a', sizeof text);
    memcpy(text + 500, ":80", 4);
    assert_int_equal(text_to(&conf, "rtmp.listen", text), E_INVAL);
    conf_free(&k_sample, &conf);
}

static void test_set_text_gives_list_or_invalid(void **state)
{
    struct sample conf = {0};

    (void)state;
    assert_int_equal(text_to(&conf, "cluster.schedulers", " a b ,c,  d "), E_OK);
    assert_int_equal(conf.schedulers.n_items, 3);
    assert_string_equal(conf.schedulers.items[0], "a b");
    assert_string_equal(conf.schedulers.items[2], "d");
    assert_int_equal(text_to(&conf, "cluster.schedulers", "x"), E_OK);
    assert_int_equal(conf.schedulers.n_items, 1);
    assert_int_equal(text_to(&conf, "cluster.schedulers", ""), E_OK);
    assert_int_equal(conf.schedulers.n_items, 0);
    conf_free(&k_sample, &conf);
    assert_text_refused("cluster.schedulers", "a,b,c,d", "\"a,b,c,d\"",
                        "a list of at most 3 texts, none empty");
    assert_text_refused("cluster.schedulers", "a,,b", NULL,
                        "a list of at most 3 texts, none empty");
    assert_text_refused("cluster.schedulers", "a,", NULL, "a list of at most 3 texts, none empty");
    assert_text_refused("cluster.schedulers", ",a", NULL, "a list of at most 3 texts, none empty");
    assert_text_refused("cluster.schedulers", "a\nb", NULL,
                        "a list of at most 3 texts, none empty");
}

static void test_set_json_gives_each_type(void **state)
{
    struct sample conf = {0};

    (void)state;
    assert_int_equal(json_to(&conf, "loops", "12"), E_OK);
    assert_int_equal(json_to(&conf, "latency", "\"realtime\""), E_OK);
    assert_int_equal(json_to(&conf, "rtmp.listen", "\"a:1\""), E_OK);
    assert_int_equal(json_to(&conf, "cluster.zone", "\"z\""), E_OK);
    assert_int_equal(json_to(&conf, "cluster.redirect", "true"), E_OK);
    assert_int_equal(json_to(&conf, "cluster.schedulers", "[\"a,b\", \"c\"]"), E_OK);
    assert_int_equal(conf.loops, 12);
    assert_int_equal(conf.latency, 0);
    assert_string_equal(conf.rtmp_listen, "a:1");
    assert_string_equal(conf.zone, "z");
    assert_true(conf.redirect);
    assert_int_equal(conf.schedulers.n_items, 2);
    assert_string_equal(conf.schedulers.items[0], "a,b"); /* a comma is only a comma here */
    conf_free(&k_sample, &conf);
}

static void test_set_json_gives_invalid_with_what_was_found(void **state)
{
    (void)state;
    assert_json_refused("loops", "\"12\"", "\"12\"");
    assert_json_refused("loops", "257", "257");
    assert_json_refused("loops", "-1", "-1");
    assert_json_refused("loops", "1.5", "1.5, which is no whole number");
    assert_json_refused("loops", "1.0", "1, which is no whole number");
    assert_json_refused("loops", "true", "true");
    assert_json_refused("loops", "null", "null");
    assert_json_refused("loops", "{}", "an object");
    assert_json_refused("latency", "\"fast\"", "\"fast\"");
    assert_json_refused("latency", "1", "1");
    assert_json_refused("rtmp.listen", "1935", "1935");
    assert_json_refused("rtmp.listen", "\"1935\"", "\"1935\"");
    assert_json_refused("cluster.zone", "false", "false");
    assert_json_refused("cluster.redirect", "\"true\"", "\"true\"");
    assert_json_refused("cluster.schedulers", "\"a,b\"", "\"a,b\"");
    assert_json_refused("cluster.schedulers", "[1]", "a list of 1");
    assert_json_refused("cluster.schedulers", "[\"\"]", "a list of 1");
    assert_json_refused("cluster.schedulers", "[\"a\",\"b\",\"c\",\"d\"]", "a list of 4");
}

static void test_set_gives_nomem_and_keeps_the_old_value(void **state)
{
    struct sample conf = {0};
    int n_failed = 0;
    enum err e = E_NOMEM;

    (void)state;
    assert_int_equal(text_to(&conf, "cluster.schedulers", "old"), E_OK);
    assert_int_equal(text_to(&conf, "cluster.zone", "old"), E_OK);
    assert_int_equal(text_to(&conf, "rtmp.listen", "old:1"), E_OK);
    allocations_left = 0;
    assert_int_equal(text_to(&conf, "cluster.zone", "new"), E_NOMEM);
    assert_int_equal(text_to(&conf, "rtmp.listen", "new:1"), E_NOMEM);
    for (int n = 0; e == E_NOMEM; n++) {
        assert_string_equal(conf.schedulers.items[0], "old");
        allocations_left = n;
        e = text_to(&conf, "cluster.schedulers", "a,b,c");
        n_failed += e == E_NOMEM;
    }
    allocations_left = -1;
    assert_int_equal(e, E_OK);
    assert_int_equal(n_failed, 6); /* the array and the item, three times */
    assert_int_equal(conf.schedulers.n_items, 3);
    assert_string_equal(conf.zone, "old");
    assert_string_equal(conf.rtmp_listen, "old:1");
    conf_free(&k_sample, &conf);
}

static void test_equals_and_swap_work_on_each_type(void **state)
{
    static const struct {
        const char *key, *a, *b;
    } k_pairs[] = {
        {"loops", "1", "2"},
        {"latency", "realtime", "balanced"},
        {"rtmp.listen", "a:1", "a:2"},
        {"cluster.zone", "a", "b"},
        {"cluster.redirect", "true", "false"},
        {"cluster.schedulers", "a,b", "a,c"},
        {"cluster.schedulers", "a,b", "a"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_pairs / sizeof k_pairs[0]; i++) {
        const struct conf_field *field = conf_key_find(&k_sample, k_pairs[i].key);
        struct sample one = {0}, two = {0}, three = {0};

        assert_int_equal(text_to(&one, k_pairs[i].key, k_pairs[i].a), E_OK);
        assert_int_equal(text_to(&two, k_pairs[i].key, k_pairs[i].b), E_OK);
        assert_int_equal(text_to(&three, k_pairs[i].key, k_pairs[i].a), E_OK);
        assert_false(conf_value_equals(field, &one, &two));
        assert_true(conf_value_equals(field, &one, &three));
        conf_value_swap(field, &one, &two);
        assert_true(conf_value_equals(field, &two, &three));
        assert_false(conf_value_equals(field, &one, &three));
        conf_free(&k_sample, &one);
        conf_free(&k_sample, &two);
        conf_free(&k_sample, &three);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_text_gives_uint_in_range_or_invalid),
        cmocka_unit_test(test_set_text_gives_uint_up_to_64_bits),
        cmocka_unit_test(test_set_text_gives_bool_or_invalid),
        cmocka_unit_test(test_set_text_gives_enum_index_or_invalid),
        cmocka_unit_test(test_set_text_gives_string_or_invalid),
        cmocka_unit_test(test_set_text_gives_addr_or_invalid),
        cmocka_unit_test(test_set_text_gives_addr_only_up_to_300_bytes),
        cmocka_unit_test(test_set_text_gives_list_or_invalid),
        cmocka_unit_test(test_set_json_gives_each_type),
        cmocka_unit_test(test_set_json_gives_invalid_with_what_was_found),
        cmocka_unit_test(test_set_gives_nomem_and_keeps_the_old_value),
        cmocka_unit_test(test_equals_and_swap_work_on_each_type),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
