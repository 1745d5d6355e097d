/* common/base/conf_key: look-up, variable names, guesses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/base/conf_impl.h"
#include "tests/unit/common/base/conf_schema.h"

static void test_find_gives_only_exact_keys(void **state)
{
    (void)state;
    assert_string_equal(conf_key_find(&k_sample, "rtmp.listen")->key, "rtmp.listen");
    assert_null(conf_key_find(&k_sample, "rtmp"));
    assert_null(conf_key_find(&k_sample, "Rtmp.listen"));
    assert_null(conf_key_find(&k_sample, ""));
}

static void test_group_gives_first_field_below(void **state)
{
    (void)state;
    assert_string_equal(conf_key_group(&k_sample, "cluster")->key, "cluster.zone");
    assert_string_equal(conf_key_group(&k_sample, "cluster.advertise")->key,
                        "cluster.advertise.public.http");
    assert_null(conf_key_group(&k_sample, "clust"));
    assert_null(conf_key_group(&k_sample, "loops"));
    assert_null(conf_key_group(&k_sample, ""));
}

static void test_nearest_gives_what_was_meant_or_null(void **state)
{
    static const struct {
        const char *typed, *meant;
    } k_cases[] = {
        {"rtmp.listn", "rtmp.listen"},
        {"RTMP.Listen", "rtmp.listen"},
        {"rtmp_listen", "rtmp.listen"},
        {"loop", "loops"},
        {"lopos", "loops"},
        {"gop_cache.max", "gop_cache.max_bytes"},
        {"max_bytes", "gop_cache.max_bytes"},
        {"zone", "cluster.zone"},
        {"gop_cache_count", "gop_cache.count"},
        {"cluster.scheduler", "cluster.schedulers"},
        {"recording.folder", NULL},
        {"x", NULL},
        {"", NULL},
    };
    char longer[400];

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        const struct conf_field *field = conf_key_nearest(&k_sample, k_cases[i].typed);

        if (!k_cases[i].meant && field)
            fail_msg("%s gave %s", k_cases[i].typed, field->key);
        if (k_cases[i].meant)
            assert_string_equal(field ? field->key : "(none)", k_cases[i].meant);
    }
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    assert_null(conf_key_nearest(&k_sample, longer));
}

static void test_env_gives_variable_name(void **state)
{
    char name[CONF_ENV_MAX];

    (void)state;
    conf_key_env("rtmp.listen", name);
    assert_string_equal(name, "HEADWATER_RTMP__LISTEN");
    conf_key_env("gop_cache.count", name);
    assert_string_equal(name, "HEADWATER_GOP_CACHE__COUNT");
    conf_key_env("loops", name);
    assert_string_equal(name, "HEADWATER_LOOPS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find_gives_only_exact_keys),
        cmocka_unit_test(test_group_gives_first_field_below),
        cmocka_unit_test(test_nearest_gives_what_was_meant_or_null),
        cmocka_unit_test(test_env_gives_variable_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
