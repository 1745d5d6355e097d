/* access.referrers: whose pages, by app. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/access/referrers.h"

static enum err read_rules(struct app_items *rules, const char *const *texts, size_t n,
                           struct conf_error *error)
{
    struct node_conf *conf = calloc(1, sizeof *conf);
    char *items[4] = {NULL};
    enum err e;

    assert_true(conf && n <= 4);
    for (size_t i = 0; i < n; i++)
        assert_non_null(items[i] = strdup(texts[i]));
    conf->access_referrers = (struct conf_list){items, n};
    e = referrers_read(conf, rules, error);
    for (size_t i = 0; i < n; i++)
        free(items[i]);
    free(conf);
    return e;
}

static bool allow(const struct app_items *rules, const char *app, const char *referrer)
{
    struct stream_name name;
    const char *why;

    assert_int_equal(stream_name_make(&name, buf_view_str(app), buf_view_str("x"), &why), E_OK);
    return referrers_allow(rules, &name, referrer);
}

static void test_allow_goes_by_the_host_of_the_page(void **state)
{
    static const char *const k_texts[] = {"live allow=a.example|*.b.example",
                                          "vip allow=a.example none=false", "shut none=false"};
    struct app_items rules = {.items = NULL};
    struct conf_error error;

    (void)state;
    assert_int_equal(read_rules(&rules, k_texts, 3, &error), E_OK);
    assert_true(allow(&rules, "live", "https://a.example/page"));
    assert_true(allow(&rules, "live", "http://A.Example:8080"));
    assert_true(allow(&rules, "live", "https://x.y.b.example/"));
    assert_false(allow(&rules, "live", "https://b.example/"));
    assert_false(allow(&rules, "live", "https://.b.example.evil/"));
    assert_false(allow(&rules, "live", "https://xa.example/"));
    assert_false(allow(&rules, "live", "https://evil/a.example"));
    assert_false(allow(&rules, "live", "https://a.example@evil/"));
    assert_false(allow(&rules, "live", "a.example"));
    assert_true(allow(&rules, "live", ""));
    assert_false(allow(&rules, "vip", ""));
    assert_false(allow(&rules, "shut", "https://a.example/"));
    assert_true(allow(&rules, "other", "https://evil/"));
    assert_true(allow(&rules, "live/sub", "https://evil/")); /* an app of its own */
    app_items_fini(&rules);
}

static void test_allow_takes_the_star_for_apps_without_a_rule(void **state)
{
    static const char *const k_texts[] = {"* none=false", "live allow=a.example"};
    struct app_items rules = {.items = NULL};
    struct conf_error error;

    (void)state;
    assert_int_equal(read_rules(&rules, k_texts, 2, &error), E_OK);
    assert_true(allow(&rules, "live", ""));
    assert_false(allow(&rules, "other", ""));
    app_items_fini(&rules);
}

static void test_read_says_where_and_what_is_wrong(void **state)
{
    static const struct {
        const char *texts[2], *said;
    } k_wrong[] = {
        {{"live allow=a", "live allow=b"}, "access.referrers[1]: found app \"live\" twice"},
        {{"live", "live2 deny=b"}, "deny"},
        {{"live", "x none=perhaps"}, "access.referrers[1]"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_wrong / sizeof k_wrong[0]; i++) {
        struct app_items rules = {.items = NULL};
        struct conf_error error = {""};

        assert_int_equal(read_rules(&rules, k_wrong[i].texts, 2, &error), E_INVAL);
        if (!strstr(error.text, k_wrong[i].said))
            fail_msg("no \"%s\" in \"%s\"", k_wrong[i].said, error.text);
        assert_null(rules.items);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allow_goes_by_the_host_of_the_page),
        cmocka_unit_test(test_allow_takes_the_star_for_apps_without_a_rule),
        cmocka_unit_test(test_read_says_where_and_what_is_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
