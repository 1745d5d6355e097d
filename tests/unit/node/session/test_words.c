/* node/session/words: what is kept of what clients say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/session/words.h"

static void test_make_keeps_what_was_said_behind_the_stream(void **state)
{
    struct session_info info = {.stream = ""};
    char *block =
        words_make(&(struct words){"live/a", "https://a/b", "player/1", NULL, {0, 0}}, &info);

    (void)state;
    assert_string_equal(info.stream, "live/a");
    assert_string_equal(words_referrer(&info), "https://a/b");
    assert_string_equal(words_agent(&info), "player/1");
    assert_string_equal(words_origin(&info), "");
    free(block);
}

static void test_make_keeps_the_stream_alone_when_nothing_is_wanted(void **state)
{
    struct words words = {.stream = "live/a"};
    struct session_info info = {.stream = ""};
    char *block;

    (void)state;
    assert_int_equal(words_size(&words), sizeof "live/a");
    info.pass.has_words = true; /* of a stream before this one */
    block = words_make(&words, &info);
    assert_string_equal(info.stream, "live/a");
    assert_string_equal(words_referrer(&info), "");
    assert_string_equal(words_agent(&info), "");
    assert_string_equal(words_origin(&info), "");
    free(block);
}

static void test_make_keeps_a_trace_that_was_told(void **state)
{
    struct words words = {.stream = "live/a", .trace = {0, 9}};
    struct session_info info = {.stream = ""};
    char *block = words_make(&words, &info);
    struct trace_id trace = words_trace(&info);

    (void)state;
    assert_int_equal(words_size(&words), sizeof "live/a" + sizeof trace);
    assert_string_equal(info.stream, "live/a");
    assert_true(trace.high == 0 && trace.low == 9);
    assert_string_equal(words_agent(&info), "");
    free(block);
    words.trace.low = 0;
    block = words_make(&words, &info); /* of a stream after this one */
    trace = words_trace(&info);
    assert_false(trace_id_is_set(&trace));
    assert_int_equal(words_size(&words), sizeof "live/a");
    free(block);
}

static void test_rename_keeps_what_was_said(void **state)
{
    struct session_info info = {.stream = ""};
    struct trace_id trace = {7, 8};
    char *old =
        words_make(&(struct words){"live/a", "https://a/b", "player/1", "https://c", trace}, &info);
    char *block = words_rename(&info, "live/another");

    (void)state;
    free(old);
    assert_string_equal(info.stream, "live/another");
    assert_string_equal(words_referrer(&info), "https://a/b");
    assert_string_equal(words_agent(&info), "player/1");
    assert_string_equal(words_origin(&info), "https://c");
    trace = words_trace(&info);
    assert_true(trace.high == 7 && trace.low == 8);
    free(block);
}

static void test_make_cuts_what_is_too_long(void **state)
{
    struct session_info info = {.stream = ""};
    char text[1000], *block;

    (void)state;
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    block = words_make(&(struct words){"live/a", text, text, text, {0, 0}}, &info);
    assert_int_equal(strlen(words_referrer(&info)), WORD_SIZE - 1);
    assert_int_equal(strlen(words_agent(&info)), WORD_SIZE - 1);
    assert_int_equal(strlen(words_origin(&info)), WORD_SIZE - 1);
    free(block);
}

static void test_clean_leaves_out_what_may_be_secret(void **state)
{
    static const struct {
        const char *said, *kept;
    } k_referrers[] = {
        {"https://a.example/page", "https://a.example/page"},
        {"https://a.example/page?key=s#t", "https://a.example/page"},
        {"https://user:s@a.example:8/page", "https://a.example:8/page"},
        {"https://s@t@a.example/p@q", "https://a.example/p@q"},
        {"https://a.example?key=s", "https://a.example"},
        {"page?x=https://s@b", "page"},
        {"user:s@host/page", "host/page"},
        {"?s", ""},
        {"#s", ""},
        {"", ""},
    };
    char out[WORD_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof k_referrers / sizeof k_referrers[0]; i++)
        assert_string_equal(words_clean_referrer(k_referrers[i].said, out), k_referrers[i].kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_make_keeps_what_was_said_behind_the_stream),
        cmocka_unit_test(test_make_keeps_the_stream_alone_when_nothing_is_wanted),
        cmocka_unit_test(test_make_keeps_a_trace_that_was_told),
        cmocka_unit_test(test_rename_keeps_what_was_said),
        cmocka_unit_test(test_make_cuts_what_is_too_long),
        cmocka_unit_test(test_clean_leaves_out_what_may_be_secret),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
