/* node/compat/lal_notify: which notification an event is, and what it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/compat/compat_private.h"
#include "node/compat/lal_json.h"
#include "node/node.h"

static struct node node;
static struct compat *compat;
static json_t *body; /* of the event that was told last, or NULL */

static int setup(void **state)
{
    (void)state;
    node = (struct node){.control = loop_create("control", 0)};
    strcpy(node.id, "n1");
    assert_int_equal(addr_parse(&node.bound[PROTOCOL_RTMP], "127.0.0.1:1935"), E_OK);
    assert_int_equal(addr_parse(&node.bound[PROTOCOL_HTTP], "127.0.0.1:8080"), E_OK);
    compat = compat_create(&node);
    assert_non_null(compat);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    json_decref(body);
    body = NULL;
    compat_destroy(&compat);
    loop_destroy(&node.control);
    return 0;
}

static void tell(enum event_id id, const struct event_field *fields, unsigned n)
{
    struct event *event = calloc(1, sizeof *event + n * sizeof *fields);

    assert_non_null(event);
    event->id = id;
    event->n_fields = n;
    memcpy(event->fields, fields, n * sizeof *fields);
    json_decref(body);
    body = lal_notify_body(compat, event);
    free(event);
}

static void tell_session(enum event_id id, const char *protocol, const char *kind, const char *url)
{
    const struct event_field fields[] = {{"session", "s-1", 0},   {"protocol", protocol, 0},
                                         {"kind", kind, 0},       {"peer", "10.0.0.9:5", 0},
                                         {"stream", "live/x", 0}, {"bytes_in", NULL, 3},
                                         {"bytes_out", NULL, 4},  {"url", url, 0}};

    tell(id, fields, url ? 8 : 7);
}

#define ASSERT_SAYS(key, value) \
    assert_string_equal(json_string_value(json_object_get(body, key)), value)
#define ASSERT_HAS(in, out)                                                            \
    do {                                                                               \
        assert_int_equal(json_is_true(json_object_get(body, "has_in_session")), in);   \
        assert_int_equal(json_is_true(json_object_get(body, "has_out_session")), out); \
    } while (0)

static void test_body_of_sessions_has_the_state_after_them(void **state)
{
    (void)state;
    tell_session(EVENT_PLAY, "flv", "play", NULL);
    ASSERT_SAYS("url", "http://127.0.0.1:8080/live/x.flv");
    ASSERT_SAYS("protocol", "FLV");
    ASSERT_SAYS("base_type", "SUB");
    ASSERT_SAYS("app_name", "live");
    ASSERT_SAYS("stream_name", "x");
    ASSERT_HAS(false, true);
    assert_int_equal(json_integer_value(json_object_get(body, "wrote_bytes_sum")), 4);
    tell_session(EVENT_PUBLISH, "rtmp", "publish", NULL);
    ASSERT_SAYS("url", "rtmp://127.0.0.1:1935/live/x");
    ASSERT_SAYS("base_type", "PUB");
    ASSERT_HAS(true, true);
    tell_session(EVENT_PLAY_DONE, "flv", "play", NULL);
    ASSERT_HAS(true, false);
    tell_session(EVENT_PUBLISH_DONE, "rtmp", "publish", NULL);
    ASSERT_HAS(false, false);
    assert_int_equal(compat->notify.streams.n_entries, 0);
    tell_session(EVENT_PUBLISH_DONE, "rtmp", "publish", NULL); /* never began: counts nothing */
    ASSERT_HAS(false, false);
    assert_int_equal(compat->notify.streams.n_entries, 0);
}

static void test_body_of_a_pull_has_its_url_and_the_name_of_its_stream(void **state)
{
    (void)state;
    tell_session(EVENT_PULL_START, "rtmp", "pull", "rtmp://a.example/***");
    ASSERT_SAYS("session_id", "pull/live/x");
    ASSERT_SAYS("base_type", "PULL");
    ASSERT_SAYS("url", "rtmp://a.example/***");
    ASSERT_HAS(true, false);
    assert_string_equal(lal_event_name(EVENT_PULL_STOP), "on_relay_pull_stop");
}

static void test_body_of_a_segment_is_of_ts_with_all_tracks(void **state)
{
    struct event_field fields[] = {{"stream", "live/x", 0}, {"uri", "/live/x/7.ts", 0},
                                   {"container", "ts", 0},  {"tracks", "all", 0},
                                   {"msn", NULL, 7},        {"duration_ms", NULL, 2500}};

    (void)state;
    tell(EVENT_HLS_SEGMENT, fields, 6);
    ASSERT_SAYS("event", "close");
    ASSERT_SAYS("ts_file", "/live/x/7.ts");
    ASSERT_SAYS("live_m3u8_file", "/live/x.m3u8");
    assert_true(json_real_value(json_object_get(body, "duration")) == 2.5);
    assert_int_equal(json_integer_value(json_object_get(body, "id")), 7);
    fields[2].text = "fmp4";
    tell(EVENT_HLS_SEGMENT, fields, 6);
    assert_null(body);
    fields[2].text = "ts";
    fields[3].text = "audio";
    tell(EVENT_HLS_SEGMENT, fields, 6);
    assert_null(body);
}

static void test_body_of_connect_survives_what_is_no_text(void **state)
{
    const struct event_field fields[] = {{"session", "s-1", 0},
                                         {"peer", "10.0.0.9:5", 0},
                                         {"app", "live", 0},
                                         {"flash_ver", "\xff\xfe", 0},
                                         {"tc_url", "rtmp://h/live", 0}};

    (void)state;
    tell(EVENT_RTMP_CONNECT, fields, 5);
    ASSERT_SAYS("tcUrl", "rtmp://h/live");
    ASSERT_SAYS("flashVer", "");
}

static void test_events_that_lal_lacks_have_no_body(void **state)
{
    const struct event_field fields[] = {{"stream", "live/x", 0}};

    (void)state;
    for (unsigned id = 0; id < N_EVENTS; id++) {
        assert_int_equal(lal_event_name(id) != NULL, (k_lal_events >> id & 1) != 0);
        if (k_lal_events >> id & 1)
            continue;
        tell((enum event_id)id, fields, 1);
        assert_null(body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_body_of_sessions_has_the_state_after_them, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_body_of_a_pull_has_its_url_and_the_name_of_its_stream,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_body_of_a_segment_is_of_ts_with_all_tracks, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_body_of_connect_survives_what_is_no_text, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_events_that_lal_lacks_have_no_body, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
