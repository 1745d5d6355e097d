/* Request heads: every split, a table of what is accepted and one of what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/http/http.h"

#define MAX_HEAD 16384
#define GET "GET / HTTP/1.1\r\n"
#define GET_HOST GET "Host: a\r\n"
#define POST_HOST "POST / HTTP/1.1\r\nHost: a\r\n"

static const char k_full[] = "\r\n"
                             "POST /live/x.flv?token=a%20b HTTP/1.1\r\n"
                             "Host: media.example:8080\r\n"
                             "User-Agent:\tLavf/61.7.100 \r\n"
                             "X-Empty:\r\n"
                             "X-Latin: caf\xe9\r\n"
                             "Connection: Keep-Alive, Upgrade\r\n"
                             "Expect: 100-Continue\r\n"
                             "Content-Length: 5\r\n"
                             "\r\n";

/* Parses a heap copy of exactly size_bytes, so that a read past the end is seen. */
static enum err parse_copy(const char *text, size_t size_bytes, struct http_head *head,
                           struct http_error *error, uint8_t **copy, size_t *used_bytes)
{
    struct buf_reader in;
    enum err e;

    *copy = malloc(size_bytes ? size_bytes : 1);
    assert_non_null(*copy);
    memcpy(*copy, text, size_bytes);
    in = buf_reader_from(buf_view_of(*copy, size_bytes));
    e = http_parse_request(&in, MAX_HEAD, head, error);
    *used_bytes = size_bytes - in.left_bytes;
    return e;
}

static void assert_view(struct buf_view view, const char *text)
{
    if (!buf_view_equals(view, text))
        fail_msg("\"%.*s\" is not \"%s\"", (int)view.size_bytes, (const char *)view.data, text);
}

static void assert_full(const struct http_head *head)
{
    assert_view(head->method, "POST");
    assert_view(head->target, "/live/x.flv?token=a%20b");
    assert_int_equal(head->minor_version, 1);
    assert_int_equal(head->n_fields, 7);
    assert_view(http_find(head, "host")->value, "media.example:8080");
    assert_view(http_find(head, "USER-AGENT")->value, "Lavf/61.7.100");
    assert_view(http_find(head, "X-Empty")->value, "");
    assert_view(http_find(head, "X-Latin")->value, "caf\xe9");
    assert_null(http_find(head, "Origin"));
    assert_true(http_field_has_token(head, "connection", "upgrade"));
    assert_false(http_field_has_token(head, "connection", "close"));
    assert_true(head->keep_alive);
    assert_true(head->upgrade);
    assert_true(head->expect_continue);
    assert_true(head->has_length);
    assert_int_equal(head->length_bytes, 5);
    assert_false(head->chunked);
    assert_false(head->is_response);
}

static void test_parse_request_gives_same_head_at_every_split(void **state)
{
    (void)state;
    for (size_t size = 0; size <= sizeof k_full - 1 + 5; size++) {
        static const char k_more[] = "hello";
        char text[sizeof k_full + 5];
        struct http_head head;
        struct http_error error;
        size_t used_bytes;
        uint8_t *copy;
        enum err e;

        memcpy(text, k_full, sizeof k_full - 1);
        memcpy(text + sizeof k_full - 1, k_more, 5);
        e = parse_copy(text, size, &head, &error, &copy, &used_bytes);
        if (size < sizeof k_full - 1) {
            assert_int_equal(e, E_AGAIN);
            assert_int_equal(used_bytes, 0);
        } else {
            assert_int_equal(e, E_OK);
            assert_int_equal(used_bytes, sizeof k_full - 1);
            assert_full(&head);
        }
        free(copy);
    }
}

static const struct {
    const char *text;
    const char *target;
    const char *host; /* NULL = no Host field */
    bool keep_alive;
} k_good[] = {
    {GET_HOST "\r\n", "/", "a", true},
    {"\r\n\r\n" GET_HOST "\r\n", "/", "a", true},
    {GET_HOST "Connection: close\r\n\r\n", "/", "a", false},
    {GET_HOST "Connection: keep-alive, close\r\n\r\n", "/", "a", false},
    {GET "Host:\r\n\r\n", "/", "", true},
    {GET "host: [::1]:8080\r\n\r\n", "/", "[::1]:8080", true},
    {GET "Host: a:\r\n\r\n", "/", "a:", true},
    {"GET /x HTTP/1.0\r\n\r\n", "/x", NULL, false},
    {"GET /x HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "/x", NULL, true},
    {"GET /x HTTP/1.9\r\nHost: a\r\n\r\n", "/x", "a", true},
    {"GET /caf\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", "/caf\xc3\xa9", "a", true},
    {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "*", "a", true},
    {"GET http://b:81/x?y HTTP/1.1\r\nHost: a\r\n\r\n", "/x?y", "b:81", true},
    {"GET HTTPS://b/x HTTP/1.1\r\nHost: a\r\n\r\n", "/x", "b", true},
    {"GET http://b HTTP/1.1\r\nHost: a\r\n\r\n", "/", "b", true},
    {"GET http://b/ HTTP/1.0\r\n\r\n", "/", "b", false},
    {"OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n", "*", "b", true},
    {POST_HOST "Content-Length: 4\r\nContent-Length: 4\r\n\r\n", "/", "a", true},
    {POST_HOST "Transfer-Encoding: Chunked\r\n\r\n", "/", "a", true},
};

static void test_parse_request_accepts_each_allowed_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_good / sizeof k_good[0]; i++) {
        struct http_head head;
        struct http_error error = {0, "none"};
        const struct http_field *host;
        size_t used_bytes;
        uint8_t *copy;

        if (parse_copy(k_good[i].text, strlen(k_good[i].text), &head, &error, &copy, &used_bytes) !=
            E_OK)
            fail_msg("row %zu refused: %s", i, error.text);
        assert_int_equal(used_bytes, strlen(k_good[i].text));
        assert_view(head.target, k_good[i].target);
        assert_int_equal(head.keep_alive, k_good[i].keep_alive);
        host = http_find(&head, "Host");
        assert_true((host == NULL) == (k_good[i].host == NULL));
        if (host)
            assert_view(host->value, k_good[i].host);
        free(copy);
    }
}

static const struct {
    const char *text;
    unsigned status;
} k_bad[] = {
    /* what is no request at all, refused before a line is complete */
    {"\x16\x03\x01", 400},
    {"\x03", 400},
    {"{\"a\":", 400},
    {" GET / HTTP/1.1", 400},
    {"GET\r", 400},
    {"\r\n\r\n\r\n" GET_HOST "\r\n", 400},
    {"\rGET", 400},
    {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 501},
    /* line ends */
    {"GET / HTTP/1.1\n", 400},
    {GET "Host: a\n", 400},
    {GET_HOST "\n", 400},
    {"\nGET", 400},
    /* request line */
    {"GET /\r\nHost: a\r\n\r\n", 400},
    {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
    {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET /#f HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET b:81 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET rtmp://b/x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET http://u@b/x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET http://b?x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n", 501},
    {"PRI * HTTP/2.0\r\n\r\n", 505},
    {"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505},
    {"GET / HTTP/1\r\nHost: a\r\n\r\n", 400},
    {"GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400},
    {"GET / http/1.1\r\nHost: a\r\n\r\n", 400},
    /* header lines */
    {GET_HOST " folded\r\n\r\n", 400},
    {GET_HOST "X: 1\r\n\tfolded\r\n\r\n", 400},
    {GET_HOST "X : 1\r\n\r\n", 400},
    {GET_HOST ": 1\r\n\r\n", 400},
    {GET_HOST "X\r\n\r\n", 400},
    {GET_HOST "X(: 1\r\n\r\n", 400},
    {GET_HOST "X: a\rb\r\n\r\n", 400},
    {GET_HOST "X: a\x7f\r\n\r\n", 400},
    {GET_HOST "X: a\x0b\r\n\r\n", 400},
    /* Host */
    {GET "\r\n", 400},
    {GET_HOST "Host: a\r\n\r\n", 400},
    {GET "Host: a b\r\n\r\n", 400},
    {GET "Host: a/b\r\n\r\n", 400},
    {GET "Host: u@a\r\n\r\n", 400},
    {GET "Host: a:99999\r\n\r\n", 400},
    {GET "Host: [::1\r\n\r\n", 400},
    {GET "Host: [::1]x\r\n\r\n", 400},
    /* framing */
    {POST_HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {POST_HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400},
    {POST_HOST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400},
    {POST_HOST "Content-Length: 5, 5\r\n\r\n", 400},
    {POST_HOST "Content-Length: +5\r\n\r\n", 400},
    {POST_HOST "Content-Length: 0x5\r\n\r\n", 400},
    {POST_HOST "Content-Length: 5 5\r\n\r\n", 400},
    {POST_HOST "Content-Length:\r\n\r\n", 400},
    {POST_HOST "Content-Length: 99999999999999999999\r\n\r\n", 413},
    {POST_HOST "Transfer-Encoding: gzip\r\n\r\n", 400},
    {POST_HOST "Transfer-Encoding: identity\r\n\r\n", 400},
    {POST_HOST "Transfer-Encoding: chunked, gzip\r\n\r\n", 400},
    {POST_HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
    {POST_HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {POST_HOST "Transfer-Encoding: xchunked\r\n\r\n", 400},
    {POST_HOST "Transfer-Encoding: \x0b"
               "chunked\r\n\r\n",
     400},
    {POST_HOST "Transfer-Encoding:\r\n\r\n", 400},
    {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {POST_HOST "Expect: a-miracle\r\n\r\n", 417},
};

static void test_parse_request_refuses_each_bad_form_with_its_status(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++) {
        struct http_head head;
        struct http_error error = {0, NULL};
        size_t used_bytes;
        uint8_t *copy;
        enum err e =
            parse_copy(k_bad[i].text, strlen(k_bad[i].text), &head, &error, &copy, &used_bytes);

        if (e != E_PROTO || error.status != k_bad[i].status || !error.text || used_bytes)
            fail_msg("row %zu gives %s with %u (%s)", i, err_name(e), error.status, error.text);
        free(copy);
    }
}

static void test_parse_request_refuses_the_same_fed_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++) {
        enum err e = E_AGAIN;
        struct http_error error = {0, NULL};

        for (size_t size = 1; e == E_AGAIN && size <= strlen(k_bad[i].text); size++) {
            struct http_head head;
            size_t used_bytes;
            uint8_t *copy;

            e = parse_copy(k_bad[i].text, size, &head, &error, &copy, &used_bytes);
            free(copy);
        }
        if (e != E_PROTO || error.status != k_bad[i].status)
            fail_msg("row %zu gives %s with %u (%s)", i, err_name(e), error.status, error.text);
    }
}

/* A head of exactly size_bytes: the last header is padded. Returns what the parser said. */
static enum err parse_sized(size_t size_bytes, size_t fed_bytes, size_t max_head_bytes,
                            struct http_error *error)
{
    static const char k_start[] = GET_HOST "X: ";
    char *text = malloc(size_bytes);
    struct buf_reader in;
    struct http_head head;
    enum err e;

    assert_non_null(text);
    memset(text, 'x', size_bytes);
    memcpy(text, k_start, sizeof k_start - 1);
    memcpy(text + size_bytes - 4, "\r\n\r\n", 4);
    in = buf_reader_from(buf_view_of(text, fed_bytes));
    e = http_parse_request(&in, max_head_bytes, &head, error);
    free(text);
    return e;
}

static void test_parse_request_gives_431_only_above_the_limit(void **state)
{
    struct http_error error = {0, NULL};

    (void)state;
    assert_int_equal(parse_sized(100, 100, 100, &error), E_OK);
    assert_int_equal(parse_sized(100, 99, 100, &error), E_AGAIN);
    assert_int_equal(parse_sized(101, 101, 100, &error), E_TOO_BIG);
    assert_int_equal(error.status, 431);
    error.status = 0;
    assert_int_equal(parse_sized(101, 100, 100, &error), E_TOO_BIG);
    assert_int_equal(error.status, 431);
}

static void test_parse_request_gives_414_when_the_line_alone_is_too_long(void **state)
{
    char text[200] = "GET /";
    struct buf_reader in = buf_reader_from(buf_view_of(text, sizeof text));
    struct http_error error = {0, NULL};
    struct http_head head;

    (void)state;
    memset(text + 5, 'a', sizeof text - 5);
    assert_int_equal(http_parse_request(&in, 100, &head, &error), E_TOO_BIG);
    assert_int_equal(error.status, 414);
}

static enum err parse_n_fields(unsigned n_fields, struct http_head *head, struct http_error *error)
{
    struct buf_writer w;
    struct buf_reader in;
    enum err e;

    buf_writer_init(&w, MAX_HEAD);
    buf_write_str(&w, GET_HOST);
    for (unsigned i = 1; i < n_fields; i++)
        buf_printf(&w, "X%u: %u\r\n", i, i);
    buf_write_str(&w, "\r\n");
    assert_int_equal(buf_writer_status(&w), E_OK);
    in = buf_reader_from(buf_writer_view(&w));
    e = http_parse_request(&in, MAX_HEAD, head, error);
    buf_writer_fini(&w);
    return e;
}

static void test_parse_request_gives_431_above_the_number_of_headers(void **state)
{
    struct http_error error = {0, NULL};
    struct http_head head;

    (void)state;
    assert_int_equal(parse_n_fields(HTTP_MAX_HEADERS, &head, &error), E_OK);
    assert_int_equal(head.n_fields, HTTP_MAX_HEADERS);
    assert_int_equal(parse_n_fields(HTTP_MAX_HEADERS + 1, &head, &error), E_TOO_BIG);
    assert_int_equal(error.status, 431);
}

/* --- heads that came as fields --- */

static enum err from_fields(const char *const *texts, struct http_head *head,
                            struct http_error *error)
{
    struct http_field fields[HTTP_MAX_HEADERS + 8];
    unsigned n = 0;

    for (; texts[2 * n]; n++)
        fields[n] = (struct http_field){buf_view_str(texts[2 * n]), buf_view_str(texts[2 * n + 1])};
    *error = (struct http_error){0, NULL};
    return http_head_from_fields(fields, n, head, error);
}

static void test_head_from_fields_gives_what_a_head_in_text_would(void **state)
{
    static const char *const k_fields[] = {
        ":method",        "POST",  ":scheme",          "https", ":authority",
        "a.test:8443",    ":path", "/live/a.m3u8?x=1", "host",  "other",
        "content-length", "12",    "accept",           "*/*",   NULL};
    struct http_head head;
    struct http_error error;

    (void)state;
    assert_int_equal(from_fields(k_fields, &head, &error), E_OK);
    assert_true(buf_view_equals(head.method, "POST"));
    assert_true(buf_view_equals(head.target, "/live/a.m3u8?x=1"));
    assert_true(buf_view_equals(http_find(&head, "host")->value, "a.test:8443"));
    assert_int_equal(head.n_fields, 3); /* the authority stands for Host */
    assert_true(head.has_length && head.length_bytes == 12 && head.keep_alive && !head.chunked);
}

static void test_head_from_fields_refuses_what_text_may_not_say_either(void **state)
{
#define GOOD ":method", "GET", ":path", "/", ":authority", "a"
    static const struct {
        const char *texts[12];
        unsigned status; /* 0: fine */
    } k_cases[] = {
        {{GOOD}, 0},
        {{":method", "GET", ":path", "/", "host", "a"}, 0},
        {{":method", "OPTIONS", ":path", "*", ":authority", "a"}, 0},
        {{":method", "GET", ":path", "/"}, 400}, /* no host at all */
        {{":method", "GET", ":path", "/", ":authority", "a/b"}, 400},
        {{":method", "GET", ":authority", "a"}, 400},
        {{":path", "/", ":authority", "a"}, 400},
        {{":method", "GET", ":path", "", ":authority", "a"}, 400},
        {{":method", "G T", ":path", "/", ":authority", "a"}, 400},
        {{":method", "GET", ":path", "/ a", ":authority", "a"}, 400},
        {{":method", "GET", ":path", "a", ":authority", "a"}, 400},
        {{":method", "GET", ":path", "*", ":authority", "a"}, 400},
        {{":method", "CONNECT", ":path", "/", ":authority", "a"}, 501},
        {{GOOD, "content-length", "1", "content-length", "2"}, 400},
        {{GOOD, "content-length", "x"}, 400},
        {{GOOD, "transfer-encoding", "chunked"}, 400},
        {{GOOD, "connection", "close"}, 400},
        {{GOOD, "expect", "more"}, 417},
    };
#undef GOOD

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        struct http_head head;
        struct http_error error;
        enum err e = from_fields(k_cases[i].texts, &head, &error);

        if ((e == E_OK) != (k_cases[i].status == 0) || error.status != k_cases[i].status)
            fail_msg("case %zu: %s, %u %s", i, err_name(e), error.status, error.text);
    }
}

static void test_head_from_fields_gives_431_above_the_number_of_headers(void **state)
{
    const char *texts[2 * (HTTP_MAX_HEADERS + 4) + 1] = {":method", "GET",        ":path",
                                                         "/",       ":authority", "a"};
    struct http_head head;
    struct http_error error;
    size_t n = 6;

    (void)state;
    while (n < 2 * (HTTP_MAX_HEADERS + 2)) { /* with Host one less than there are */
        texts[n++] = "x";
        texts[n++] = "1";
    }
    assert_int_equal(from_fields(texts, &head, &error), E_OK);
    texts[n++] = "x";
    texts[n++] = "1";
    assert_int_equal(from_fields(texts, &head, &error), E_TOO_BIG);
    assert_int_equal(error.status, 431);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_request_gives_same_head_at_every_split),
        cmocka_unit_test(test_parse_request_accepts_each_allowed_form),
        cmocka_unit_test(test_parse_request_refuses_each_bad_form_with_its_status),
        cmocka_unit_test(test_parse_request_refuses_the_same_fed_byte_by_byte),
        cmocka_unit_test(test_parse_request_gives_431_only_above_the_limit),
        cmocka_unit_test(test_parse_request_gives_414_when_the_line_alone_is_too_long),
        cmocka_unit_test(test_parse_request_gives_431_above_the_number_of_headers),
        cmocka_unit_test(test_head_from_fields_gives_what_a_head_in_text_would),
        cmocka_unit_test(test_head_from_fields_refuses_what_text_may_not_say_either),
        cmocka_unit_test(test_head_from_fields_gives_431_above_the_number_of_headers),
    };

    return cmocka_run_group_tests_name("http_request", tests, NULL, NULL);
}
