/* node/relay/push_wire: both sides' words, in every split. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "node/relay/push_wire.h"

/* --- requests --- */

static const struct push_request k_request = {.edge = "edge-1",
                                              .client = "[2001:db8::5]:4711",
                                              .run = 0xfedcba9876543210,
                                              .clock_url = "http://10.0.0.2:80"};

static void write_request(struct buf_writer *out, const char *host, const char *token)
{
    struct stream_name name;
    const char *why;
    struct push_target target = {
        .name = &name, .host = buf_view_str(host), .port = 8080, .token = token};

    assert_int_equal(
        stream_name_make(&name, buf_view_str("live/eu"), buf_view_str("caf\xc3\xa9"), &why), E_OK);
    buf_writer_init(out, 4096);
    push_write_request(out, &target, &k_request);
    assert_int_equal(buf_writer_status(out), E_OK);
}

static void field_text(const struct http_head *head, const char *name, char *out, size_t size)
{
    const struct http_field *field = http_find(head, name);

    assert_non_null(field);
    assert_true(buf_view_to_str(field->value, out, size));
}

static void test_write_request_gives_a_head_that_the_origin_reads(void **state)
{
    struct buf_writer out;
    struct buf_reader in;
    struct http_head head;
    struct http_error error;
    struct push_request got;
    char forward[200], run[40], text[100], path[100];
    struct buf_view query;
    const char *why;

    (void)state;
    write_request(&out, "10.0.0.1", "secret");
    in = buf_reader_from(buf_writer_view(&out));
    assert_int_equal(http_parse_request(&in, 4096, &head, &error), E_OK);
    assert_int_equal(in.left_bytes, 0);
    assert_true(buf_view_equals(head.method, "POST"));
    assert_int_equal(http_split_target(head.target, path, sizeof path, &query, &why), E_OK);
    assert_string_equal(path, "/live/eu/caf\xc3\xa9.flv");
    assert_true(head.expect_continue);
    assert_false(head.keep_alive);
    assert_true(head.has_length);
    assert_true(head.length_bytes == INT64_MAX);
    field_text(&head, "authorization", text, sizeof text);
    assert_string_equal(text, "Bearer secret");
    field_text(&head, PUSH_CLOCK_HEADER, text, sizeof text);
    assert_string_equal(text, k_request.clock_url);
    field_text(&head, PUSH_FORWARD_HEADER, forward, sizeof forward);
    field_text(&head, PUSH_RUN_HEADER, run, sizeof run);
    assert_int_equal(push_read_request(forward, run, &got), E_OK);
    assert_string_equal(got.edge, k_request.edge);
    assert_string_equal(got.client, k_request.client);
    assert_true(got.run == k_request.run);
    buf_writer_fini(&out);
}

static void test_write_request_names_a_v6_host_in_brackets_and_no_token_when_there_is_none(void **s)
{
    struct buf_writer out;
    struct buf_reader in;
    struct http_head head;
    struct http_error error;
    char host[100];

    (void)s;
    write_request(&out, "fd00::1", "");
    in = buf_reader_from(buf_writer_view(&out));
    assert_int_equal(http_parse_request(&in, 4096, &head, &error), E_OK);
    field_text(&head, "host", host, sizeof host);
    assert_string_equal(host, "[fd00::1]:8080");
    assert_null(http_find(&head, "authorization"));
    buf_writer_fini(&out);
}

static void test_read_request_refuses_what_is_no_node_and_address(void **state)
{
    static const char *const k_bad[] = {
        "",
        "edge-1",
        ",10.0.0.1:5",
        "a b,10.0.0.1:5",
        "edge/1,x",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,x" /* 65 */};
    struct push_request got = {.edge = "as it was"};

    (void)state;
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++)
        assert_int_equal(push_read_request(k_bad[i], "1", &got), E_INVAL);
    assert_string_equal(got.edge, "as it was");
}

static void test_read_request_gives_no_run_when_it_is_missing_or_no_number(void **state)
{
    static const char *const k_runs[] = {NULL, "", "x", "-1", "12x", "18446744073709551616"};
    struct push_request got;

    (void)state;
    for (size_t i = 0; i < sizeof k_runs / sizeof k_runs[0]; i++) {
        assert_int_equal(push_read_request("e,", k_runs[i], &got), E_OK);
        assert_true(got.run == 0);
    }
    assert_int_equal(push_read_request("e,", "18446744073709551615", &got), E_OK);
    assert_true(got.run == UINT64_MAX);
}

/* --- answers --- */

static const char k_long_detail[] = /* longer than what is kept */
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaa"
    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
    "bbbb";

static void write_answers(struct buf_writer *out)
{
    buf_writer_init(out, 65536);
    push_write_beat(out);
    push_write_continue(out, 1732200000000001);
    push_write_beat(out);
    push_write_final(out, 409, "", "the stream has a \"newer\" owner");
    assert_int_equal(buf_writer_status(out), E_OK);
}

static const struct push_answer k_expected[] = {
    {.status = 102},
    {.status = 100, .epoch = 1732200000000001},
    {.status = 102},
    {.status = 409, .detail = "the stream has a \"newer\" owner"},
};
#define N_EXPECTED (sizeof k_expected / sizeof k_expected[0])

static void test_next_gives_the_same_answers_for_every_split(void **state)
{
    struct buf_writer bytes;

    (void)state;
    write_answers(&bytes);
    for (size_t step = 1; step <= bytes.used_bytes; step++) {
        struct push_answers a;
        struct push_answer got;
        size_t n = 0;

        push_answers_init(&a);
        for (size_t at = 0; at < bytes.used_bytes; at += step) {
            size_t size = bytes.used_bytes - at < step ? bytes.used_bytes - at : step;
            enum err e;

            assert_int_equal(push_answers_add(&a, buf_view_of(bytes.data + at, size)), E_OK);
            while ((e = push_answers_next(&a, &got)) == E_OK) {
                assert_true(n < N_EXPECTED);
                assert_int_equal(got.status, k_expected[n].status);
                assert_true(got.epoch == k_expected[n].epoch);
                assert_string_equal(got.detail, k_expected[n].detail);
                n++;
            }
            assert_int_equal(e, E_AGAIN);
        }
        assert_int_equal(n, N_EXPECTED);
        push_answers_fini(&a);
    }
    buf_writer_fini(&bytes);
}

static const struct {
    const char *bytes;
    enum err e;
    unsigned status;
    const char *detail;
} k_answers[] = {
    {"HTTP/1.1 503 x\r\nContent-Length: 2\r\n\r\n{}", E_OK, 503, ""},
    {"HTTP/1.1 503 x\r\nContent-Length: 5\r\n\r\nhello", E_OK, 503, ""}, /* no JSON */
    {"HTTP/1.1 404 x\r\n\r\nwhatever", E_OK, 404, ""}, /* no length: not waited for */
    {"HTTP/1.1 502 x\r\nTransfer-Encoding: chunked\r\n\r\n"
     "10\r\n{\"detail\":\"abc\"}\r\n0\r\n\r\n",
     E_OK, 502, "abc"},
    {"HTTP/1.1 502 x\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n", E_PROTO, 0, ""},
    {"HTTP/1.1 409 x\r\nContent-Length: 9\r\n\r\n{\"deta", E_AGAIN, 0, ""},
    {"HTTP/1.1 100 Continue\r\nX-Headwater-Epoch: 99999999999999999999\r\n\r\n", E_OK, 100, ""},
    {"RTMP\r\n\r\n", E_PROTO, 0, ""},
};

static void test_next_understands_other_servers_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_answers / sizeof k_answers[0]; i++) {
        struct push_answers a;
        struct push_answer got;

        push_answers_init(&a);
        assert_int_equal(push_answers_add(&a, buf_view_str(k_answers[i].bytes)), E_OK);
        assert_int_equal(push_answers_next(&a, &got), k_answers[i].e);
        if (k_answers[i].e == E_OK) {
            assert_int_equal(got.status, k_answers[i].status);
            assert_string_equal(got.detail, k_answers[i].detail);
            assert_true(got.epoch == 0);
        }
        push_answers_fini(&a);
    }
}

static void test_next_cuts_a_long_detail(void **state)
{
    struct push_answers a;
    struct push_answer got;
    struct buf_writer bytes;

    (void)state;
    buf_writer_init(&bytes, 4096);
    push_write_final(&bytes, 503, "", k_long_detail);
    push_answers_init(&a);
    assert_int_equal(push_answers_add(&a, buf_writer_view(&bytes)), E_OK);
    assert_int_equal(push_answers_next(&a, &got), E_OK);
    assert_int_equal(strlen(got.detail), sizeof got.detail - 1);
    assert_memory_equal(got.detail, k_long_detail, sizeof got.detail - 1);
    push_answers_fini(&a);
    buf_writer_fini(&bytes);
}

static void test_add_refuses_an_answer_without_end(void **state)
{
    struct push_answers a;
    enum err e = E_OK;

    (void)state;
    push_answers_init(&a);
    for (unsigned i = 0; i < 10000 && e == E_OK; i++)
        e = push_answers_add(&a, buf_view_str("HTTP/1.1 "));
    assert_int_equal(e, E_TOO_BIG);
    push_answers_fini(&a);
}

static void test_write_final_of_success_has_no_body(void **state)
{
    struct push_answers a;
    struct push_answer got;
    struct buf_writer bytes;

    (void)state;
    buf_writer_init(&bytes, 4096);
    push_write_final(&bytes, 200, "", "the encoder has ended the stream");
    push_answers_init(&a);
    assert_int_equal(push_answers_add(&a, buf_writer_view(&bytes)), E_OK);
    assert_int_equal(push_answers_next(&a, &got), E_OK);
    assert_int_equal(got.status, 200);
    assert_int_equal(a.kept.used_bytes, 0);
    push_answers_fini(&a);
    buf_writer_fini(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_request_gives_a_head_that_the_origin_reads),
        cmocka_unit_test(
            test_write_request_names_a_v6_host_in_brackets_and_no_token_when_there_is_none),
        cmocka_unit_test(test_read_request_refuses_what_is_no_node_and_address),
        cmocka_unit_test(test_read_request_gives_no_run_when_it_is_missing_or_no_number),
        cmocka_unit_test(test_next_gives_the_same_answers_for_every_split),
        cmocka_unit_test(test_next_understands_other_servers_answers),
        cmocka_unit_test(test_next_cuts_a_long_detail),
        cmocka_unit_test(test_add_refuses_an_answer_without_end),
        cmocka_unit_test(test_write_final_of_success_has_no_body),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
