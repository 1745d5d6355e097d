/* proto/cluster/setting: messages of settings, which are also a node's state file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/cluster/cluster.h"

static void test_decode_gives_what_was_encoded(void **state)
{
    static char k_item[] = "{\"net\":\"10.0.0.0/8\",\"list\":[1,\"\xc3\xa4\"]}";
    struct cluster_setting settings[2] = {
        {.kind = "bans",
         .id = "a",
         .version = UINT64_C(1763743321000000),
         .origin = "n1",
         .item = k_item},
        {.kind = "hls/groups", .id = "live/g", .version = 1, .origin = "n2"}};
    struct cluster_settings in = {.run = UINT64_MAX, .seq = 9, .more = true, settings, 2}, out;
    struct cluster_error error = {""};
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 4096);
    assert_int_equal(cluster_settings_encode(&in, &w), E_OK);
    if (cluster_settings_decode(buf_writer_view(&w), &out, &error) != E_OK)
        fail_msg("%s", error.text);
    assert_true(out.run == UINT64_MAX && out.seq == 9 && out.more && out.n_settings == 2);
    assert_string_equal(out.settings[0].kind, "bans");
    assert_string_equal(out.settings[0].id, "a");
    assert_true(out.settings[0].version == UINT64_C(1763743321000000));
    assert_string_equal(out.settings[0].origin, "n1");
    assert_string_equal(out.settings[0].item, k_item);
    assert_string_equal(out.settings[1].id, "live/g");
    assert_null(out.settings[1].item);
    cluster_settings_fini(&out);
    buf_writer_fini(&w);
}

static void test_decode_gives_none_for_an_empty_message(void **state)
{
    struct cluster_settings out;
    struct cluster_error error;

    (void)state;
    assert_int_equal(cluster_settings_decode(buf_view_str("{\"v\":1}"), &out, &error), E_OK);
    assert_int_equal(out.n_settings, 0);
    assert_null(out.settings);
}

#define GOOD "\"id\":\"a\",\"version\":\"7\",\"origin\":\"n\""

static void test_decode_refuses_with_the_path(void **state)
{
    static const struct {
        const char *setting, *said;
    } k_cases[] = {
        {"7", "settings[0]"},
        {"{" GOOD "}", "settings[0].kind"},
        {"{\"kind\":\"\"," GOOD "}", "settings[0].kind"},
        {"{\"kind\":\"Bans\"," GOOD "}", "settings[0].kind"},
        {"{\"kind\":\"a b\"," GOOD "}", "settings[0].kind"},
        {"{\"kind\":\"bans\",\"id\":\"\",\"version\":\"7\",\"origin\":\"n\"}", "settings[0].id"},
        {"{\"kind\":\"bans\",\"id\":\"a\",\"version\":7,\"origin\":\"n\"}", "settings[0].version"},
        {"{\"kind\":\"bans\",\"id\":\"a\",\"version\":\"9007199254740993\",\"origin\":\"n\"}",
         "settings[0].version"},
        {"{\"kind\":\"bans\",\"id\":\"a\",\"version\":\"7\",\"origin\":\"\"}",
         "settings[0].origin"},
        {"{\"kind\":\"bans\"," GOOD ",\"item\":7}", "settings[0].item"},
        {"{\"kind\":\"bans\"," GOOD ",\"item\":[]}", "settings[0].item"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        struct cluster_settings out;
        struct cluster_error error = {""};
        char text[512];

        snprintf(text, sizeof text, "{\"v\":1,\"settings\":[%s]}", k_cases[i].setting);
        if (cluster_settings_decode(buf_view_str(text), &out, &error) != E_INVAL ||
            !strstr(error.text, k_cases[i].said))
            fail_msg("row %zu: %s", i, error.text);
    }
}

static void test_decode_gives_too_big_for_an_item_above_the_limit(void **state)
{
    struct cluster_settings out;
    struct cluster_error error;
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 1 << 20);
    buf_write_str(&w, "{\"v\":1,\"settings\":[{\"kind\":\"bans\"," GOOD ",\"item\":{\"x\":\"");
    for (int i = 0; i < CLUSTER_MAX_ITEM_BYTES; i++)
        buf_write_str(&w, "x");
    buf_write_str(&w, "\"}}]}");
    assert_int_equal(cluster_settings_decode(buf_writer_view(&w), &out, &error), E_TOO_BIG);
    buf_writer_fini(&w);
}

static void test_is_newer_gives_one_order_for_all(void **state)
{
    (void)state;
    assert_true(cluster_setting_is_newer(2, "a", 1, "b"));
    assert_false(cluster_setting_is_newer(1, "b", 2, "a"));
    assert_true(cluster_setting_is_newer(2, "b", 2, "a"));
    assert_false(cluster_setting_is_newer(2, "a", 2, "b"));
    assert_false(cluster_setting_is_newer(2, "a", 2, "a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode_gives_what_was_encoded),
        cmocka_unit_test(test_decode_gives_none_for_an_empty_message),
        cmocka_unit_test(test_decode_refuses_with_the_path),
        cmocka_unit_test(test_decode_gives_too_big_for_an_item_above_the_limit),
        cmocka_unit_test(test_is_newer_gives_one_order_for_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
