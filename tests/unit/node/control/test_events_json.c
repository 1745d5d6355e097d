/* node/control/events_json: what events look like to others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "node/control/events_json.h"
#include "node/node.h"

#define INSTANCE UINT64_C(0x123456789abcdef0)
#define WALL_US INT64_C(1763743321000007) /* 2025-11-21T16:42:01.000007Z */

static struct node k_node = {.id = "n1", .instance = INSTANCE};

static struct event *make(enum event_id id, const struct event_field *field)
{
    struct event *event = calloc(1, sizeof *event + sizeof *field);

    assert_non_null(event);
    event->id = id;
    event->seq = 7;
    event->wall_us = WALL_US;
    event->n_fields = field ? 1 : 0;
    if (field)
        event->fields[0] = *field;
    return event;
}

static json_t *json_of(enum event_id id, const struct event_field *field)
{
    struct event *event = make(id, field);
    json_t *json = event_json(&k_node, event);

    free(event);
    assert_non_null(json);
    return json;
}

static const char *text_of(const json_t *json, const char *key)
{
    return json_string_value(json_object_get(json, key));
}

static void test_event_json_has_who_what_and_when(void **state)
{
    json_t *json = json_of(EVENT_PLAY, &(struct event_field){"stream", "live/a", 0});

    (void)state;
    assert_string_equal(text_of(json, "event"), "on_play");
    assert_string_equal(text_of(json, "id"), "123456789abcdef0-7");
    assert_string_equal(text_of(json, "time"), "2025-11-21T16:42:01.000Z");
    assert_string_equal(text_of(json, "node"), "n1");
    assert_string_equal(text_of(json, "stream"), "live/a");
    assert_int_equal(json_object_size(json), 5);
    json_decref(json);
}

static void test_event_json_gives_numbers_as_numbers(void **state)
{
    json_t *json = json_of(EVENT_PLAY_DONE, &(struct event_field){"bytes_out", NULL, 1 << 20});

    (void)state;
    assert_true(json_is_integer(json_object_get(json, "bytes_out")));
    assert_int_equal(json_integer_value(json_object_get(json, "bytes_out")), 1 << 20);
    json_decref(json);
}

static void test_event_json_repairs_what_is_not_utf8(void **state)
{
    json_t *json =
        json_of(EVENT_RTMP_CONNECT, &(struct event_field){"flash_ver", "a\xff\"\xc3\xa9", 0});

    (void)state;
    assert_string_equal(text_of(json, "flash_ver"), "a\xef\xbf\xbd\"\xc3\xa9");
    json_decref(json);
}

static void test_event_id_parse_takes_back_what_was_given(void **state)
{
    char text[EVENT_ID_SIZE];
    uint64_t seq = 0;

    (void)state;
    assert_true(event_id_parse(&k_node, event_id_format(&k_node, UINT64_MAX, text), &seq));
    assert_true(seq == UINT64_MAX);
}

static void test_event_id_parse_refuses_other_texts_and_processes(void **state)
{
    static const char *const k_bad[] = {"",
                                        "7",
                                        "-",
                                        "-7",
                                        "123456789abcdef0",
                                        "123456789abcdef0-",
                                        "123456789abcdef0-x",
                                        "123456789abcdef0-7 ",
                                        "123456789abcdef0-+7",
                                        "123456789abcdef0-99999999999999999999",
                                        "123456789abcdef1-7"};

    (void)state;
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++) {
        uint64_t seq = 42;

        assert_false(event_id_parse(&k_node, k_bad[i], &seq));
        assert_int_equal(seq, 42);
    }
}

static void test_event_of_name_finds_every_event_and_no_other(void **state)
{
    (void)state;
    for (unsigned id = 0; id < N_EVENTS; id++)
        assert_int_equal(event_of_name(buf_view_str(k_event_names[id])), id);
    assert_int_equal(event_of_name(buf_view_str("on_pla")), N_EVENTS);
    assert_int_equal(event_of_name(buf_view_str("on_playx")), N_EVENTS);
    assert_int_equal(event_of_name(buf_view_str("")), N_EVENTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event_json_has_who_what_and_when),
        cmocka_unit_test(test_event_json_gives_numbers_as_numbers),
        cmocka_unit_test(test_event_json_repairs_what_is_not_utf8),
        cmocka_unit_test(test_event_id_parse_takes_back_what_was_given),
        cmocka_unit_test(test_event_id_parse_refuses_other_texts_and_processes),
        cmocka_unit_test(test_event_of_name_finds_every_event_and_no_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
