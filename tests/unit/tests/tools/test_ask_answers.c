/* Answers one behind the other, in every split. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/tools/ask_answers.h"

static const char k_three[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{\"a\":"
                              "HTTP/1.1 204 No Content\r\n\r\n"
                              "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";

/* Feeds text in pieces of step bytes. Returns how many answers came; their statuses in *found. */
static unsigned feed_in_steps(const char *text, size_t step, unsigned found[4], enum err *last)
{
    struct ask_answers answers;
    size_t size = strlen(text);
    unsigned n = 0;

    ask_answers_init(&answers);
    *last = E_AGAIN;
    for (size_t at = 0; at < size && *last == E_AGAIN; at += step) {
        size_t piece = size - at < step ? size - at : step;

        assert_int_equal(ask_answers_feed(&answers, buf_view_of(text + at, piece)), E_OK);
        while (n < 4 && (*last = ask_answers_next(&answers, &found[n])) == E_OK)
            n++;
    }
    ask_answers_fini(&answers);
    return n;
}

static void test_next_gives_each_status_for_every_split(void **state)
{
    (void)state;
    for (size_t step = 1; step <= sizeof k_three; step++) {
        unsigned found[4];
        enum err last;

        assert_int_equal(feed_in_steps(k_three, step, found, &last), 3);
        assert_int_equal(last, E_AGAIN);
        assert_int_equal(found[0], 200);
        assert_int_equal(found[1], 204);
        assert_int_equal(found[2], 503);
    }
}

static void test_next_gives_proto_when_the_length_is_unknown_or_it_is_no_http(void **state)
{
    static const char *const k_broken[] = {"HTTP/1.1 200 OK\r\n\r\n",
                                           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                                           "SSH-2.0-OpenSSH\r\n\r\n"};

    (void)state;
    for (size_t i = 0; i < sizeof k_broken / sizeof k_broken[0]; i++) {
        unsigned found[4];
        enum err last;

        assert_int_equal(feed_in_steps(k_broken[i], strlen(k_broken[i]), found, &last), 0);
        assert_int_equal(last, E_PROTO);
    }
}

static void test_feed_gives_too_big_when_an_answer_never_ends(void **state)
{
    static const char k_head[] = "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n";
    static const char k_body[65536];
    struct ask_answers answers;
    enum err e = E_OK;
    unsigned status;

    (void)state;
    ask_answers_init(&answers);
    assert_int_equal(ask_answers_feed(&answers, buf_view_str(k_head)), E_OK);
    for (unsigned i = 0; i < 32 && e == E_OK; i++) {
        assert_int_equal(ask_answers_next(&answers, &status), E_AGAIN);
        e = ask_answers_feed(&answers, buf_view_of(k_body, sizeof k_body));
    }
    assert_int_equal(e, E_TOO_BIG);
    ask_answers_fini(&answers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next_gives_each_status_for_every_split),
        cmocka_unit_test(test_next_gives_proto_when_the_length_is_unknown_or_it_is_no_http),
        cmocka_unit_test(test_feed_gives_too_big_when_an_answer_never_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
