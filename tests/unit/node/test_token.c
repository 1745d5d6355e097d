/* node/token: files with one or two tokens, and whom they let in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/token.h"

static char path[64];

static int setup(void **state)
{
    int fd;

    (void)state;
    strcpy(path, "/tmp/headwater-test-XXXXXX");
    fd = mkstemp(path);
    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static enum err read_text(const char *text, struct node_tokens *tokens, struct conf_error *error)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    return node_tokens_read(path, tokens, error);
}

static void test_read_gives_the_token_that_is_sent_and_the_other_one(void **state)
{
    static const struct {
        const char *text, *sent, *also;
    } k_rows[] = {
        {"one\n", "one", ""},
        {"one", "one", ""},
        {"one\r\ntwo\r\n", "one", "two"},
        {"one\ntwo", "one", "two"},
        {"one\n\n", "one", ""},
        {"with spaces, and: signs=\n", "with spaces, and: signs=", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        struct node_tokens tokens;
        struct conf_error error;

        assert_int_equal(read_text(k_rows[i].text, &tokens, &error), E_OK);
        assert_string_equal(tokens.sent, k_rows[i].sent);
        assert_string_equal(tokens.also, k_rows[i].also);
        node_tokens_free(&tokens);
    }
}

static void test_read_gives_no_tokens_without_a_file(void **state)
{
    struct node_tokens tokens;
    struct conf_error error;

    (void)state;
    assert_int_equal(node_tokens_read("", &tokens, &error), E_OK);
    assert_string_equal(tokens.sent, "");
    assert_string_equal(tokens.also, "");
    node_tokens_free(&tokens);
}

static void test_read_refuses_files_that_are_no_tokens_and_shows_none_of_them(void **state)
{
    static const char *const k_texts[] = {
        "", "\n", "\nqqq\n", "one\nqqq\nthree\n", "qqq\tb\n", "one\nqqq\x01\n",
    };
    struct node_tokens tokens = {NULL, NULL};
    struct conf_error error;
    char longest[600];

    (void)state;
    for (size_t i = 0; i < sizeof k_texts / sizeof k_texts[0]; i++) {
        assert_int_equal(read_text(k_texts[i], &tokens, &error), E_INVAL);
        assert_non_null(strstr(error.text, "cluster.token_file"));
        assert_non_null(strstr(error.text, path));
        assert_null(strstr(error.text, "qqq"));
    }
    memset(longest, 'a', sizeof longest);
    longest[TOKEN_MAX_BYTES] = '\0';
    assert_int_equal(read_text(longest, &tokens, &error), E_OK);
    node_tokens_free(&tokens);
    longest[TOKEN_MAX_BYTES] = 'a';
    longest[TOKEN_MAX_BYTES + 1] = '\0';
    assert_int_equal(read_text(longest, &tokens, &error), E_INVAL);
    assert_int_equal(node_tokens_read("/nonexistent/token", &tokens, &error), E_INVAL);
    assert_non_null(strstr(error.text, "No such file"));
    assert_null(tokens.sent);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_read_gives_the_token_that_is_sent_and_the_other_one),
        T(test_read_gives_no_tokens_without_a_file),
        T(test_read_refuses_files_that_are_no_tokens_and_shows_none_of_them),
    };
#undef T

    return cmocka_run_group_tests(tests, NULL, NULL);
}
