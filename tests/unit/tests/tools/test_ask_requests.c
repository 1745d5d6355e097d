/* Requests from lines of text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/tools/ask_requests.h"

static void assert_next(struct ask_requests *requests, const char *expected)
{
    assert_true(buf_view_equals(ask_requests_next(requests), expected));
}

static void test_next_gives_the_lines_in_turn_and_again(void **state)
{
    struct ask_requests requests;

    (void)state;
    assert_int_equal(ask_requests_init(&requests, buf_view_str("/a?x=1\n\n/b"), "h", ""), E_OK);
    for (unsigned i = 0; i < 2; i++) {
        assert_next(&requests, "GET /a?x=1 HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_next(&requests, "GET /b HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    ask_requests_fini(&requests);
}

static void test_init_gives_requests_with_the_token(void **state)
{
    struct ask_requests requests;

    (void)state;
    assert_int_equal(ask_requests_init(&requests, buf_view_str("/a\n"), "h", "secret"), E_OK);
    assert_next(&requests, "GET /a HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer secret\r\n\r\n");
    ask_requests_fini(&requests);
}

static void test_init_gives_inval_without_a_path(void **state)
{
    static const char *const k_texts[] = {"", "\n\n", "a\n", "/a\nb\n"};

    (void)state;
    for (size_t i = 0; i < sizeof k_texts / sizeof k_texts[0]; i++) {
        struct ask_requests requests;

        assert_int_equal(ask_requests_init(&requests, buf_view_str(k_texts[i]), "h", ""), E_INVAL);
        ask_requests_fini(&requests);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next_gives_the_lines_in_turn_and_again),
        cmocka_unit_test(test_init_gives_requests_with_the_token),
        cmocka_unit_test(test_init_gives_inval_without_a_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
