/* Answers of HTTP servers, split anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/tools/media_answer.h"

/* Feeds pieces of at most step bytes; gives the last result and the body. */
static enum err feed(struct media_answer *a, const char *text, size_t step, char *body)
{
    enum err e = E_AGAIN;
    size_t size = strlen(text);

    media_answer_init(a);
    body[0] = '\0';
    for (size_t at = 0; at < size && e == E_AGAIN; at += step) {
        struct buf_reader in =
            buf_reader_from(buf_view_of(text + at, size - at < step ? size - at : step));
        struct buf_view piece;

        while ((e = media_answer_next(a, &in, &piece)) == E_OK)
            strncat(body, (const char *)piece.data, piece.size_bytes);
    }
    return e;
}

static void test_next_gives_the_body_when_it_is_split_anywhere(void **state)
{
    static const char k_text[] =
        "HTTP/1.1 200 OK\r\nContent-Type: video/MP2T\r\n"
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";

    (void)state;
    for (size_t step = 1; step < sizeof k_text; step++) {
        struct media_answer a;
        char body[32];

        assert_int_equal(feed(&a, k_text, step, body), E_END);
        assert_string_equal(body, "abcde");
        assert_int_equal(a.container, CONTAINER_TS);
        assert_int_equal(a.status, 200);
        media_answer_fini(&a);
    }
}

static void test_next_knows_the_container_by_its_type(void **state)
{
    static const struct {
        const char *text;
        enum media_container container;
    } k_cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\n\r\nab", CONTAINER_MP4},
        {"HTTP/1.1 200 OK\r\nContent-Type: Video/MP2T ; x=1\r\n\r\nab", CONTAINER_TS},
        {"HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\n\r\nab", CONTAINER_FLV},
        {"HTTP/1.1 200 OK\r\n\r\nab", CONTAINER_FLV},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        struct media_answer a;
        char body[32];

        assert_int_equal(feed(&a, k_cases[i].text, 1000, body), E_AGAIN);
        assert_int_equal(a.container, k_cases[i].container);
        media_answer_fini(&a);
    }
}

static void test_next_says_why_when_there_is_no_stream(void **state)
{
    static const struct {
        const char *text;
        enum err e;
        const char *why, *location;
    } k_cases[] = {
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", E_DENIED,
         "HTTP status 404 Not Found", ""},
        {"HTTP/1.1 302 Found\r\nLocation: http://b/x.flv\r\nContent-Length: 0\r\n\r\n", E_DENIED,
         "HTTP status 302 Found", "http://b/x.flv"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", E_PROTO, "a broken chunk",
         ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        struct media_answer a;
        char body[32];

        assert_int_equal(feed(&a, k_cases[i].text, 1000, body), k_cases[i].e);
        assert_string_equal(a.why, k_cases[i].why);
        assert_string_equal(a.location, k_cases[i].location);
        media_answer_fini(&a);
    }
}

static void test_next_gives_an_error_when_it_is_no_http(void **state)
{
    struct media_answer a;
    char body[32];

    (void)state;
    assert_true(feed(&a, "\x03 this is RTMP, and goes on\r\n\r\n", 1000, body) == E_PROTO);
    assert_true(a.why[0] != '\0');
    media_answer_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next_gives_the_body_when_it_is_split_anywhere),
        cmocka_unit_test(test_next_knows_the_container_by_its_type),
        cmocka_unit_test(test_next_says_why_when_there_is_no_stream),
        cmocka_unit_test(test_next_gives_an_error_when_it_is_no_http),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
