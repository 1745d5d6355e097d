/* Response heads, as sent by the servers that streams are pulled from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/http/http.h"

static const char k_flv[] = "HTTP/1.1 200 OK\r\n"
                            "Content-Type: video/x-flv\r\n"
                            "Transfer-Encoding: chunked\r\n"
                            "\r\n";

static enum err parse_copy(const char *text, size_t size_bytes, struct http_head *head,
                           struct http_error *error)
{
    uint8_t *copy = malloc(size_bytes ? size_bytes : 1);
    struct buf_reader in = buf_reader_from(buf_view_of(copy, size_bytes));
    enum err e;

    assert_non_null(copy);
    memcpy(copy, text, size_bytes);
    e = http_parse_response(&in, 4096, head, error);
    if (e == E_OK)
        assert_int_equal(in.left_bytes, 0);
    else
        assert_int_equal(in.left_bytes, size_bytes);
    free(copy);
    return e;
}

static void test_parse_response_gives_head_only_when_complete(void **state)
{
    struct http_head head;
    struct http_error error;

    (void)state;
    for (size_t size = 0; size < sizeof k_flv - 1; size++)
        assert_int_equal(parse_copy(k_flv, size, &head, &error), E_AGAIN);
    assert_int_equal(parse_copy(k_flv, sizeof k_flv - 1, &head, &error), E_OK);
    assert_true(head.is_response);
    assert_int_equal(head.status, 200);
    assert_true(head.chunked);
    assert_true(head.keep_alive);
    assert_int_equal(head.n_fields, 2);
}

static const struct {
    const char *text;
    unsigned status;
    bool keep_alive;
} k_good[] = {
    {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, true},
    {"HTTP/1.0 200 OK\r\n\r\n", 200, false},
    {"HTTP/1.1 302 \r\nLocation: /x\r\nConnection: close\r\n\r\n", 302, false},
    {"HTTP/1.1 200\r\n\r\n", 200, true}, /* no space after the code: embedded servers */
    {"HTTP/1.1 100 Continue\r\n\r\n", 100, true},
    {"HTTP/1.1 200 OK\r\nHost: a\r\nHost: b\r\nExpect: x\r\n\r\n", 200,
     true}, /* for requests only */
};

static void test_parse_response_accepts_each_allowed_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_good / sizeof k_good[0]; i++) {
        struct http_head head;
        struct http_error error = {0, "none"};

        if (parse_copy(k_good[i].text, strlen(k_good[i].text), &head, &error) != E_OK)
            fail_msg("row %zu refused: %s", i, error.text);
        assert_int_equal(head.status, k_good[i].status);
        assert_int_equal(head.keep_alive, k_good[i].keep_alive);
    }
}

static const char *const k_bad[] = {
    "ICY 200 OK\r\n",
    "\x03",
    "\r\nHTTP/1.1 200 OK\r\n\r\n",
    "HTTP/2.0 200 OK\r\n\r\n",
    "HTTP/1.1  200 OK\r\n\r\n",
    "HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/1.1 099 OK\r\n\r\n",
    "HTTP/1.1 2000 OK\r\n\r\n",
    "HTTP/1.1 2x0 OK\r\n\r\n",
    "HTTP/1.1 200 O\x01K\r\n\r\n",
    "HTTP/1.1 200 OK\n\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
};

static void test_parse_response_refuses_each_bad_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++) {
        struct http_head head;
        struct http_error error = {0, NULL};

        if (parse_copy(k_bad[i], strlen(k_bad[i]), &head, &error) != E_PROTO || !error.text)
            fail_msg("row %zu was not refused", i);
    }
}

static void test_parse_response_refuses_a_head_above_the_limit(void **state)
{
    char text[5000] = "HTTP/1.1 200 OK\r\nX: ";
    struct http_head head;
    struct http_error error = {0, NULL};

    (void)state;
    memset(text + strlen(text), 'x', sizeof text - strlen(text));
    assert_int_equal(parse_copy(text, sizeof text, &head, &error), E_TOO_BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_response_gives_head_only_when_complete),
        cmocka_unit_test(test_parse_response_accepts_each_allowed_form),
        cmocka_unit_test(test_parse_response_refuses_each_bad_form),
        cmocka_unit_test(test_parse_response_refuses_a_head_above_the_limit),
    };

    return cmocka_run_group_tests_name("http_response", tests, NULL, NULL);
}
