/* gate_answer.c */
#include "node/hooks/gate_answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "proto/cluster/cluster.h"

static struct gate_answer answer;
static uint64_t cache_s;
static struct conf_error error;

static enum err read_as(enum gate_action action, unsigned status, const char *body)
{
    memset(&answer, 0x55, sizeof answer);
    cache_s = 77;
    error.text[0] = '\0';
    return gate_answer_read(action, status, buf_view_str(body), &answer, &cache_s, &error);
}

static void test_read_gives_allow_when_nothing_is_said(void **state)
{
    static const char *const k_bodies[] = {"", "{}", "{\"allow\":true}"};

    (void)state;
    for (size_t i = 0; i < sizeof k_bodies / sizeof k_bodies[0]; i++) {
        assert_int_equal(read_as(GATE_PLAY, i ? 200 : 204, k_bodies[i]), E_OK);
        assert_int_equal(answer.verdict, GATE_ALLOW);
        assert_int_equal(cache_s, 0);
        assert_false(answer.is_policy);
    }
}

static void test_read_gives_denial_with_status_and_reason(void **state)
{
    (void)state;
    assert_int_equal(
        read_as(GATE_PUBLISH, 200,
                "{\"allow\":false,\"reason\":\"unpaid\",\"status\":402,\"cache_s\":9}"),
        E_OK);
    assert_int_equal(answer.verdict, GATE_DENY);
    assert_int_equal(answer.status, 402);
    assert_string_equal(answer.reason, "unpaid");
    assert_int_equal(cache_s, 9);
    assert_int_equal(read_as(GATE_PUBLISH, 200, "{\"allow\":false}"), E_OK);
    assert_int_equal(answer.status, 403);
    assert_string_equal(answer.reason, "denied");
}

static void test_read_gives_denial_by_status_whatever_its_body(void **state)
{
    static const unsigned k_statuses[] = {401, 403, 404};
    static const char *const k_bodies[] = {"", "<html>", "{\"allow\":true}", "{\"rename\":\"a/b\"}",
                                           "{\"alow\":1}"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < sizeof k_bodies / sizeof k_bodies[0]; k++) {
            assert_int_equal(read_as(GATE_PLAY, k_statuses[i], k_bodies[k]), E_OK);
            assert_int_equal(answer.verdict, GATE_DENY);
            assert_int_equal(answer.status, k_statuses[i]);
            assert_string_equal(answer.reason, "denied");
        }
    }
    assert_int_equal(
        read_as(GATE_PLAY, 401, "{\"allow\":false,\"reason\":\"log in\",\"cache_s\":3}"), E_OK);
    assert_string_equal(answer.reason, "log in");
    assert_int_equal(cache_s, 3);
}

static void test_read_gives_what_is_to_be_done_instead(void **state)
{
    (void)state;
    assert_int_equal(read_as(GATE_PLAY, 200, "{\"redirect\":\"rtmp://b/live/x\"}"), E_OK);
    assert_int_equal(answer.verdict, GATE_REDIRECT);
    assert_string_equal(answer.redirect_url, "rtmp://b/live/x");
    assert_int_equal(read_as(GATE_PUBLISH, 200, "{\"rename\":\"live/y\",\"cache_s\":1}"), E_OK);
    assert_int_equal(answer.verdict, GATE_RENAME);
    assert_string_equal(answer.name.text, "live/y");
    assert_int_equal(read_as(GATE_NOT_FOUND, 200, "{\"source\":\"https://c/x.flv\"}"), E_OK);
    assert_int_equal(answer.verdict, GATE_SOURCE);
    assert_string_equal(answer.source_url, "https://c/x.flv");
}

static void test_read_refuses_and_writes_nothing(void **state)
{
    static const struct {
        enum gate_action action;
        unsigned status;
        const char *body;
    } k_wrong[] = {
        {GATE_PLAY, 200, "{"},
        {GATE_PLAY, 200, "[]"},
        {GATE_PLAY, 200, "true"},
        {GATE_PLAY, 200, "{\"allow\":\"yes\"}"},
        {GATE_PLAY, 200, "{\"allow\":1}"},
        {GATE_PLAY, 200, "{\"alow\":false}"},
        {GATE_PLAY, 200, "{\"allow\":true,\"allow\":false}"},
        {GATE_PLAY, 200, "{\"allow\":false,\"status\":200}"},
        {GATE_PLAY, 200, "{\"allow\":false,\"redirect\":\"http://a/b\"}"},
        {GATE_PLAY, 200, "{\"rename\":\"a/b\",\"redirect\":\"http://a/b\"}"},
        {GATE_PLAY, 200, "{\"redirect\":\"javascript:alert(1)\"}"},
        {GATE_PLAY, 200, "{\"redirect\":\"http://a/b\\r\\nSet-Cookie: x\"}"},
        {GATE_PLAY, 200, "{\"rename\":\"../etc\"}"},
        {GATE_PLAY, 200, "{\"rename\":\"one\"}"},
        {GATE_PLAY, 200, "{\"source\":\"rtmp://a/b/c\"}"},
        {GATE_NOT_FOUND, 200, "{\"redirect\":\"http://a/b\"}"},
        {GATE_NOT_FOUND, 200, "{\"source\":\"file:///etc/passwd\"}"},
        {GATE_PLAY, 200, "{\"cache_s\":-1}"},
        {GATE_PLAY, 200, "{\"cache_s\":86401}"},
        {GATE_PLAY, 302, ""},
        {GATE_PLAY, 400, "{\"allow\":true}"},
        {GATE_PLAY, 500, ""},
    };
    struct gate_answer before;

    (void)state;
    memset(&before, 0x55, sizeof before);
    for (size_t i = 0; i < sizeof k_wrong / sizeof k_wrong[0]; i++) {
        if (read_as(k_wrong[i].action, k_wrong[i].status, k_wrong[i].body) != E_INVAL)
            fail_msg("taken: %s", k_wrong[i].body);
        assert_memory_equal(&answer, &before, sizeof answer);
        assert_int_equal(cache_s, 77);
        assert_true(error.text[0] != '\0');
    }
}

static void test_read_gives_options_of_publishers_that_are_let_in(void **state)
{
    static const char *const k_refused[] = {"{\"allow\":false,\"record\":\"on\"}",
                                            "{\"redirect\":\"rtmp://b/x/y\",\"ingress_bps\":9}",
                                            "{\"record\":true}",
                                            "{\"record\":\"yes\"}",
                                            "{\"duplicate\":\"both\"}",
                                            "{\"ingress_bps\":-1}"};

    (void)state;
    assert_int_equal(read_as(GATE_PUBLISH, 200, "{}"), E_OK);
    assert_int_equal(answer.options.duplicate, -1);
    assert_int_equal(answer.options.ingress_bps, 0);
    assert_int_equal(answer.options.record, PUBLISH_RECORD_RULES);
    assert_int_equal(
        read_as(GATE_PUBLISH, 200,
                "{\"record\":\"on\",\"ingress_bps\":2000000,\"duplicate\":\"takeover\"}"),
        E_OK);
    assert_int_equal(answer.options.duplicate, CLUSTER_DUPLICATE_TAKEOVER);
    assert_int_equal(answer.options.ingress_bps, 2000000);
    assert_int_equal(answer.options.record, PUBLISH_RECORD_ON);
    assert_int_equal(read_as(GATE_PUBLISH, 200,
                             "{\"rename\":\"a/b\",\"record\":\"off\",\"duplicate\":\"refuse\"}"),
                     E_OK);
    assert_int_equal(answer.verdict, GATE_RENAME);
    assert_int_equal(answer.options.record, PUBLISH_RECORD_OFF);
    assert_int_equal(answer.options.duplicate, CLUSTER_DUPLICATE_REFUSE);
    for (size_t i = 0; i < sizeof k_refused / sizeof k_refused[0]; i++)
        assert_int_equal(read_as(GATE_PUBLISH, 200, k_refused[i]), E_INVAL);
    assert_int_equal(read_as(GATE_PLAY, 200, "{\"record\":\"on\"}"), E_INVAL);
    assert_int_equal(read_as(GATE_NOT_FOUND, 200, "{\"ingress_bps\":1}"), E_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_gives_allow_when_nothing_is_said),
        cmocka_unit_test(test_read_gives_denial_with_status_and_reason),
        cmocka_unit_test(test_read_gives_denial_by_status_whatever_its_body),
        cmocka_unit_test(test_read_gives_what_is_to_be_done_instead),
        cmocka_unit_test(test_read_refuses_and_writes_nothing),
        cmocka_unit_test(test_read_gives_options_of_publishers_that_are_let_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
