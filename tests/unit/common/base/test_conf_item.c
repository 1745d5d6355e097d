/* common/base/conf_item: text, JSON, and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/base/conf_item.h"

struct hook {
    char *url;
    struct conf_list events;
    uint64_t timeout_ms;
    int mode;
    bool is_on;
};

static const char *const k_modes[] = {"notify", "gate", NULL};

/* clang-format off */
static const struct conf_field k_fields[] = {
    CONF_FIELD_STRING(struct hook, url,        "url",        NULL,   64, "Where to.", false),
    CONF_FIELD_LIST  (struct hook, events,     "events",     "",     3,  "Which.", false),
    CONF_FIELD_UINT  (struct hook, timeout_ms, "timeout_ms", "2000", 1,  9000, "ms", "How long.", false),
    CONF_FIELD_ENUM  (struct hook, mode,       "mode",       "notify", k_modes, "What for.", false),
    CONF_FIELD_BOOL  (struct hook, is_on,      "on",         "true", "Whether.", false),
};
/* clang-format on */

static const struct conf_schema k_hook = {"hook", k_fields, sizeof k_fields / sizeof k_fields[0],
                                          sizeof(struct hook)};

static void test_from_text_gives_first_word_keys_and_defaults(void **state)
{
    struct hook hook = {0};
    struct conf_error error;

    (void)state;
    assert_int_equal(conf_item_from_text(&k_hook, "hooks", " http://a/b?c=d  events=play|publish ",
                                         &hook, &error),
                     E_OK);
    assert_string_equal(hook.url, "http://a/b?c=d");
    assert_int_equal(hook.events.n_items, 2);
    assert_string_equal(hook.events.items[1], "publish");
    assert_int_equal(hook.timeout_ms, 2000);
    assert_int_equal(hook.mode, 0);
    assert_true(hook.is_on);
    conf_free(&k_hook, &hook);
}

static void test_from_text_refuses_what_the_schema_does_not_have(void **state)
{
    static const struct {
        const char *text, *said;
    } k_cases[] = {
        {"", "hooks: url: is missing"},
        {"   ", "hooks: url: is missing"},
        {"http://a timeout_ms=0", "timeout_ms: found \"0\""},
        {"http://a timeout=5", "timeout"},
        {"http://a gate", "found \"gate\", expected key=value"},
        {"http://a mode=gate mode=gate", "mode: is there twice"},
        {"http://a url=http://b", "url: is there twice"},
        {"http://a events=a|b|c|d", "events: found a list of 4"},
        {"http://a events=a||b", "events: found a list of 3"},
        {"http://a on=yes", "on: found \"yes\", expected true or false"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        struct hook hook = {0}, zero = {0};
        struct conf_error error = {""};

        assert_int_equal(conf_item_from_text(&k_hook, "hooks", k_cases[i].text, &hook, &error),
                         E_INVAL);
        if (!strstr(error.text, k_cases[i].said))
            fail_msg("\"%s\" gave \"%s\"", k_cases[i].text, error.text);
        assert_memory_equal(&hook, &zero, sizeof(char *));
        assert_null(hook.events.items);
    }
}

static void test_from_json_refuses_wrong_shapes(void **state)
{
    static const struct {
        const char *json, *said;
    } k_cases[] = {
        {"[]", "body: expected an object"},
        {"{}", "body: url: is missing"},
        {"{\"url\":1}", "body: url: found 1"},
        {"{\"url\":\"a\",\"evnts\":[]}", "body: evnts"},
        {"{\"url\":\"a\",\"events\":\"b\"}", "body: events: found \"b\""},
        {"{\"url\":\"a\",\"timeout_ms\":2.5}", "body: timeout_ms: found 2.5"},
        {"{\"url\":\"a\",\"on\":null}", "body: on: found null"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        json_t *json = json_loads(k_cases[i].json, 0, NULL);
        struct conf_error error = {""};
        struct hook hook = {0};

        assert_int_equal(conf_item_from_json(&k_hook, "body", json, &hook, &error), E_INVAL);
        if (!strstr(error.text, k_cases[i].said))
            fail_msg("%s gave \"%s\"", k_cases[i].json, error.text);
        json_decref(json);
    }
}

static void test_to_json_and_copy_give_the_same_item(void **state)
{
    struct hook hook = {0}, copy = {0};
    struct conf_error error;
    json_t *a, *b;

    (void)state;
    assert_int_equal(
        conf_item_from_text(&k_hook, "hooks",
                            "http://a events=play|publish mode=gate timeout_ms=7 on=false", &hook,
                            &error),
        E_OK);
    assert_int_equal(conf_item_copy(&k_hook, &hook, &copy), E_OK);
    a = conf_item_to_json(&k_hook, &hook);
    conf_free(&k_hook, &hook);
    b = conf_item_to_json(&k_hook, &copy);
    conf_free(&k_hook, &copy);
    assert_true(json_equal(a, b));
    assert_string_equal(json_string_value(json_object_get(a, "mode")), "gate");
    assert_int_equal(json_integer_value(json_object_get(a, "timeout_ms")), 7);
    assert_true(json_is_false(json_object_get(a, "on")));
    json_decref(a);
    json_decref(b);
}

static void test_json_schema_says_what_the_rows_say(void **state)
{
    json_t *schema = conf_item_json_schema(&k_hook), *properties, *timeout;

    (void)state;
    assert_non_null(schema);
    assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
    assert_int_equal(json_array_size(json_object_get(schema, "required")), 1);
    assert_string_equal(json_string_value(json_array_get(json_object_get(schema, "required"), 0)),
                        "url");
    properties = json_object_get(schema, "properties");
    assert_int_equal(json_object_size(properties), k_hook.n_fields);
    timeout = json_object_get(properties, "timeout_ms");
    assert_int_equal(json_integer_value(json_object_get(timeout, "minimum")), 1);
    assert_int_equal(json_integer_value(json_object_get(timeout, "maximum")), 9000);
    assert_string_equal(json_string_value(json_object_get(timeout, "description")),
                        "How long. (ms)");
    assert_int_equal(json_array_size(json_object_get(json_object_get(properties, "mode"), "enum")),
                     2);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(properties, "events"), "maxItems")), 3);
    json_decref(schema);
}

int main(void)
{
    const struct CMUnitTest k_tests[] = {
        cmocka_unit_test(test_from_text_gives_first_word_keys_and_defaults),
        cmocka_unit_test(test_from_text_refuses_what_the_schema_does_not_have),
        cmocka_unit_test(test_from_json_refuses_wrong_shapes),
        cmocka_unit_test(test_to_json_and_copy_give_the_same_item),
        cmocka_unit_test(test_json_schema_says_what_the_rows_say),
    };

    return cmocka_run_group_tests(k_tests, NULL, NULL);
}
