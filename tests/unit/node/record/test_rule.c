/* Rules: what they fit, and what is refused. */
#include "tests/unit/node/record/record_test.h"

#include "common/base/conf_item.h"

static struct stream_name name_of(const char *path)
{
    struct stream_name name;
    const char *why;

    assert_int_equal(stream_name_from_path(&name, buf_view_str(path), &why), E_OK);
    return name;
}

static bool matches(char *pattern, const char *path)
{
    struct record_rule rule = {.streams = pattern};
    struct stream_name name = name_of(path);

    return record_rule_matches(&rule, &name);
}

static void test_matches_names_apps_and_beginnings(void **state)
{
    (void)state;
    assert_true(matches("*", "/a/b"));
    assert_true(matches("a", "/a/b"));
    assert_true(matches("a/*", "/a/b"));
    assert_true(matches("a/b", "/a/b"));
    assert_true(matches("a/c*", "/a/cam1"));
    assert_true(matches("a/b", "/a/b/c")); /* the app a/b */
    assert_false(matches("a", "/ab/c"));
    assert_false(matches("a/b", "/a/bc"));
    assert_false(matches("a/c*", "/b/cam1"));
    assert_false(matches("b", "/a/b"));
}

static enum err parse(const char *text, struct record_plan *plan)
{
    struct record_rule rule = {.streams = NULL};
    struct conf_error error;
    const char *why;
    enum err e = conf_item_from_text(&k_record_rule_schema, "rule", text, &rule, &error);

    if (e == E_OK)
        e = record_rule_check(&rule, &why);
    if (e == E_OK)
        *plan = record_rule_plan(&rule);
    conf_free(&k_record_rule_schema, &rule);
    return e;
}

static void test_plan_gives_what_the_text_says(void **state)
{
    struct record_plan plan;

    (void)state;
    assert_int_equal(parse("live/* formats=flv|mp4 split_s=60 split_bytes=1000 segment_s=4", &plan),
                     E_OK);
    assert_int_equal(plan.formats, 1u << RECORD_FLV | 1u << RECORD_MP4);
    assert_int_equal(plan.split_us, 60000000);
    assert_int_equal(plan.split_bytes, 1000);
    assert_int_equal(plan.segment_us, 4000000);
    assert_int_equal(parse("live", &plan), E_OK);
    assert_int_equal(plan.formats, 1u << RECORD_FLV);
    assert_int_equal(parse("live formats=", &plan), E_OK);
    assert_int_equal(plan.formats, 0);
}

static void test_check_refuses_what_cannot_be(void **state)
{
    static const char *const k_texts[] = {"",         "/a",          "a*b",         "a formats=avi",
                                          "a what=1", "a split_s=0", "a split_s=-1"};
    struct record_plan plan;

    (void)state;
    for (size_t i = 0; i < sizeof k_texts / sizeof k_texts[0]; i++)
        assert_int_equal(parse(k_texts[i], &plan), E_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches_names_apps_and_beginnings),
        cmocka_unit_test(test_plan_gives_what_the_text_says),
        cmocka_unit_test(test_check_refuses_what_cannot_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
