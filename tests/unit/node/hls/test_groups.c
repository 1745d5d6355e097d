/* Which streams are renditions of which: by suffix, and as told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "node/hls/channel_private.h"

static const char *const k_suffixes[] = {"_720", "_480"};
static const struct hls_conf k_conf = {.renditions = k_suffixes, .n_renditions = 2};

static struct hls *setup(void)
{
    struct hls *hls = hls_create(NULL, 1, &k_conf);

    assert_non_null(hls);
    return hls;
}

static struct stream_name name_of(const char *text)
{
    struct stream_name name;
    const char *why;
    char path[64];

    snprintf(path, sizeof path, "/%s", text);
    assert_int_equal(stream_name_from_path(&name, buf_view_str(path), &why), E_OK);
    return name;
}

static struct hls_group group_of(const char *base, const char *first, const char *second)
{
    struct hls_group group = {.base = name_of(base), .n_members = 2};

    group.members[0] = name_of(first);
    group.members[1] = name_of(second);
    return group;
}

/* "a b": the renditions in their order. */
static void assert_renditions(struct hls *hls, const char *base, const char *wanted)
{
    struct stream_name name = name_of(base), out[HLS_MAX_RENDITIONS];
    size_t n = hls_renditions(hls, &name, out);
    char text[256] = "";

    for (size_t i = 0; i < n; i++) {
        strcat(text, i ? " " : "");
        strcat(text, out[i].text);
    }
    assert_string_equal(text, wanted);
    assert_int_equal(hls_has_renditions(hls, &name), n > 0);
}

static void assert_base(struct hls *hls, const char *text, const char *wanted)
{
    struct stream_name name = name_of(text);

    assert_string_equal(hls_base_of(hls, &name).text, wanted);
}

static void test_renditions_gives_suffixes_when_nothing_was_told(void **state)
{
    struct hls *hls = setup();

    (void)state;
    assert_renditions(hls, "live/x", "live/x_720 live/x_480");
    assert_base(hls, "live/x_480", "live/x");
    assert_base(hls, "live/x_360", "live/x_360");
    assert_base(hls, "live/_480", "live/_480");
    hls_destroy(&hls);
}

static void test_renditions_gives_what_was_told_until_it_is_removed(void **state)
{
    struct hls_group group = group_of("live/x", "live/hi", "live/lo");
    struct hls *hls = setup();

    (void)state;
    assert_int_equal(hls_group_set(hls, &group), E_OK);
    assert_renditions(hls, "live/x", "live/hi live/lo");
    assert_renditions(hls, "live/y", "live/y_720 live/y_480");
    assert_base(hls, "live/lo", "live/x");
    group = group_of("live/x", "live/hi", "live/low");
    assert_int_equal(hls_group_set(hls, &group), E_OK); /* in its place */
    assert_renditions(hls, "live/x", "live/hi live/low");
    assert_base(hls, "live/lo", "live/lo");
    assert_true(hls_group_remove(hls, "live/x"));
    assert_false(hls_group_remove(hls, "live/x"));
    assert_renditions(hls, "live/x", "live/x_720 live/x_480");
    assert_base(hls, "live/hi", "live/hi");
    hls_destroy(&hls);
}

static void test_set_refuses_what_would_belong_to_two_groups(void **state)
{
    static const struct {
        const char *base, *first, *second;
        enum err e;
    } k_cases[] = {
        {"live/y", "live/y", "live/z", E_INVAL}, {"live/y", "live/z", "live/z", E_INVAL},
        {"live/y", "live/z", "far/z", E_INVAL},  {"live/y", "live/x/z", "live/z", E_INVAL},
        {"live/y", "live/a", "live/z", E_BUSY},  {"live/y", "live/z", "live/x", E_BUSY},
        {"live/a", "live/y", "live/z", E_BUSY},  {"live/x", "live/b", "live/c", E_OK},
        {"live/y", "live/a", "live/z", E_OK},
    };
    struct hls_group group = group_of("live/x", "live/a", "live/b");
    struct hls *hls = setup();

    (void)state;
    assert_int_equal(hls_group_set(hls, &group), E_OK);
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        group = group_of(k_cases[i].base, k_cases[i].first, k_cases[i].second);
        assert_int_equal(hls_group_set(hls, &group), k_cases[i].e);
    }
    assert_renditions(hls, "live/x", "live/b live/c");
    hls_destroy(&hls);
}

static void test_set_gives_limit_when_there_are_too_many(void **state)
{
    struct hls *hls = setup();
    char base[32], first[32], second[32];

    (void)state;
    for (unsigned i = 0; i <= HLS_MAX_GROUPS; i++) {
        struct hls_group group;

        snprintf(base, sizeof base, "live/g%u", i);
        snprintf(first, sizeof first, "live/a%u", i);
        snprintf(second, sizeof second, "live/b%u", i);
        group = group_of(base, first, second);
        assert_int_equal(hls_group_set(hls, &group), i < HLS_MAX_GROUPS ? E_OK : E_LIMIT);
    }
    hls_destroy(&hls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_renditions_gives_suffixes_when_nothing_was_told),
        cmocka_unit_test(test_renditions_gives_what_was_told_until_it_is_removed),
        cmocka_unit_test(test_set_refuses_what_would_belong_to_two_groups),
        cmocka_unit_test(test_set_gives_limit_when_there_are_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
