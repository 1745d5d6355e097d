/* traceparent: what is taken, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/http/trace_context.h"

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN "00f067aa0ba902b7"

static void test_parse_gives_what_is_written(void **state)
{
    struct trace_id id = {0, 0}, again = {0, 0};
    char text[TRACEPARENT_SIZE], trace[TRACE_TEXT_SIZE];

    (void)state;
    assert_true(traceparent_parse("00-" TRACE "-" SPAN "-00", &id));
    assert_true(id.high == UINT64_C(0x4bf92f3577b34da6) && id.low == UINT64_C(0xa3ce929d0e0e4736));
    trace_id_write(&id, trace);
    assert_string_equal(trace, TRACE);
    traceparent_write(&id, UINT64_C(0x00f067aa0ba902b7), text);
    assert_string_equal(text, "00-" TRACE "-" SPAN "-01");
    assert_true(traceparent_parse(text, &again));
    assert_memory_equal(&again, &id, sizeof id);
    assert_true(trace_id_parse(trace, &again));
    assert_memory_equal(&again, &id, sizeof id);
}

/* W3C Trace Context, 4.3: what is not understood of a later version is left, not refused. */
static void test_parse_takes_a_later_version_with_more_behind(void **state)
{
    struct trace_id id = {0, 0};

    (void)state;
    assert_true(traceparent_parse("01-" TRACE "-" SPAN "-00-more", &id));
    assert_true(traceparent_parse("fe-" TRACE "-" SPAN "-00", &id));
}

static void test_parse_refuses_what_is_no_traceparent(void **state)
{
    static const char *const k_bad[] = {
        "",
        "00",
        "00-" TRACE,
        "00-" TRACE "-" SPAN,
        "00-" TRACE "-" SPAN "-0",
        "00-" TRACE "-" SPAN "-00-more",
        "00-" TRACE "-" SPAN "-00 ",
        "01-" TRACE "-" SPAN "-00more",
        "ff-" TRACE "-" SPAN "-00",
        "00-" TRACE "-0000000000000000-00",
        "00-00000000000000000000000000000000-" SPAN "-00",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-00",
        "00-" TRACE "_" SPAN "-00",
        "0g-" TRACE "-" SPAN "-00",
        " 00-" TRACE "-" SPAN "-00",
    };
    struct trace_id id = {7, 8};

    (void)state;
    assert_false(traceparent_parse(NULL, &id));
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++)
        assert_false(traceparent_parse(k_bad[i], &id));
    assert_false(trace_id_parse(NULL, &id));
    assert_false(trace_id_parse(TRACE "0", &id));
    assert_false(trace_id_parse("00000000000000000000000000000000", &id));
    assert_true(id.high == 7 && id.low == 8);
}

/* Cut anywhere it is none, and nothing behind its end is read. */
static void test_parse_refuses_every_beginning(void **state)
{
    static const char k_whole[] = "00-" TRACE "-" SPAN "-00";
    char text[sizeof k_whole];
    struct trace_id id;

    (void)state;
    for (size_t n = 0; n < sizeof k_whole - 1; n++) {
        memset(text, 0x7f, sizeof text);
        memcpy(text, k_whole, n);
        text[n] = '\0';
        assert_false(traceparent_parse(text, &id));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_gives_what_is_written),
        cmocka_unit_test(test_parse_takes_a_later_version_with_more_behind),
        cmocka_unit_test(test_parse_refuses_what_is_no_traceparent),
        cmocka_unit_test(test_parse_refuses_every_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
