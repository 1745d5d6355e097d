/* common/net/api_tokens: the file of tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/net/api_tokens.h"

#define SECRET_A "0123456789abcdef"
#define SECRET_B "fedcba9876543210"

static enum err parse(const char *text, struct api_tokens *tokens, struct conf_error *error)
{
    char *copy = strdup(text);
    enum err e;

    assert_non_null(copy);
    e = api_tokens_parse("file", copy, tokens, error);
    free(copy);
    return e;
}

static void test_parse_gives_name_and_scope_of_each_line(void **state)
{
    struct api_tokens tokens = {NULL, 0};
    struct conf_error error;

    (void)state;
    assert_int_equal(
        parse("# people\n\n eye  read\t" SECRET_A "\r\nboss admin " SECRET_B, &tokens, &error),
        E_OK);
    assert_int_equal(tokens.n_items, 2);
    assert_string_equal(api_tokens_find(&tokens, SECRET_A)->name, "eye");
    assert_int_equal(api_tokens_find(&tokens, SECRET_A)->scope, API_READ);
    assert_int_equal(api_tokens_find(&tokens, SECRET_B)->scope, API_ADMIN);
    assert_null(api_tokens_find(&tokens, "0123456789abcde"));
    assert_null(api_tokens_find(&tokens, SECRET_A "0"));
    assert_null(api_tokens_find(&tokens, ""));
    api_tokens_fini(&tokens);
    assert_null(api_tokens_find(&tokens, SECRET_A));
}

static void test_parse_gives_the_line_of_what_is_wrong_and_no_secret(void **state)
{
    static const struct {
        const char *text, *said;
    } k_cases[] = {
        {"eye read", "line 1: expected name"},
        {"\neye read " SECRET_A " more", "line 2: expected name"},
        {"eye look " SECRET_A, "line 1: the scope"},
        {"eye READ " SECRET_A, "line 1: the scope"},
        {"e/e read " SECRET_A, "line 1: the name"},
        {"node read " SECRET_A, "line 1: the name"},
        {"loopback read " SECRET_A, "line 1: the name"},
        {"abcdefghijklmnopqrstuvwxyz0123456 read " SECRET_A, "line 1: the name"},
        {"eye read 0123456789abcde", "line 1: the secret"},
        {"eye read 0123456789abcdef\x80", "line 1: the secret"},
        {"eye read " SECRET_A "\neye read " SECRET_B, "line 2: the name was given"},
        {"eye read " SECRET_A "\nboss admin " SECRET_A, "line 2: the secret is that"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        struct api_tokens tokens = {NULL, 0};
        struct conf_error error = {""};

        assert_int_equal(parse(k_cases[i].text, &tokens, &error), E_INVAL);
        if (!strstr(error.text, k_cases[i].said))
            fail_msg("row %zu: %s", i, error.text);
        assert_null(strstr(error.text, "0123456789abc"));
        assert_int_equal(tokens.n_items, 0);
    }
}

static void test_parse_leaves_the_old_ones_when_the_new_ones_are_broken(void **state)
{
    struct api_tokens tokens = {NULL, 0};
    struct conf_error error;

    (void)state;
    assert_int_equal(parse("eye read " SECRET_A, &tokens, &error), E_OK);
    assert_int_equal(parse("boss admin", &tokens, &error), E_INVAL);
    assert_non_null(api_tokens_find(&tokens, SECRET_A));
    api_tokens_fini(&tokens);
}

static void test_parse_refuses_more_than_256(void **state)
{
    struct api_tokens tokens = {NULL, 0};
    struct conf_error error;
    char *text = calloc(300, 64);
    size_t used = 0;

    (void)state;
    assert_non_null(text);
    for (unsigned i = 0; i < 257; i++)
        used += (size_t)sprintf(text + used, "t%u read 0123456789abcdef%u\n", i, i);
    assert_int_equal(parse(text, &tokens, &error), E_INVAL);
    assert_non_null(strstr(error.text, "line 257"));
    free(text);
}

/* A file of that mode and text. */
static enum err read_file(const char *text, mode_t mode, struct conf_error *error)
{
    char path[] = "/tmp/test_api_tokens.XXXXXX";
    struct api_tokens tokens = {NULL, 0};
    int fd = mkstemp(path);
    enum err e;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    e = api_tokens_read("admin.tokens_file", path, &tokens, error);
    unlink(path);
    api_tokens_fini(&tokens);
    return e;
}

static void test_read_gives_invalid_when_others_may_use_the_file(void **state)
{
    struct conf_error error = {""};

    (void)state;
    assert_int_equal(read_file("eye read " SECRET_A "\n", 0600, &error), E_OK);
    assert_int_equal(read_file("eye read " SECRET_A "\n", 0400, &error), E_OK);
    assert_int_equal(read_file("eye read " SECRET_A "\n", 0640, &error), E_INVAL);
    assert_non_null(strstr(error.text, "admin.tokens_file: \"/tmp/"));
    assert_non_null(strstr(error.text, "0600"));
    assert_int_equal(read_file("eye read " SECRET_A "\n", 0602, &error), E_INVAL);
}

/* As a pod's secrets and a package's files come: root's, and of our group. Only root can play both.
 */
static void test_read_gives_tokens_when_root_lets_our_group_read(void **state)
{
    char path[] = "/tmp/test_api_tokens.XXXXXX";
    static const struct {
        mode_t mode;
        enum err gives;
    } k_modes[] = {{0640, E_OK}, {0440, E_OK}, {0644, E_INVAL}, {0660, E_INVAL}, {0444, E_INVAL}};
    const gid_t group = 65534;
    int fd;

    (void)state;
    if (geteuid() != 0)
        skip();
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "eye read " SECRET_A "\n", 9 + strlen(SECRET_A) + 1),
                     9 + strlen(SECRET_A) + 1);
    assert_int_equal(fchown(fd, 0, group), 0);
    for (size_t i = 0; i < sizeof k_modes / sizeof k_modes[0]; i++) {
        struct api_tokens tokens = {NULL, 0};
        struct conf_error error = {""};
        enum err e;

        assert_int_equal(fchmod(fd, k_modes[i].mode), 0);
        assert_int_equal(setegid(group), 0);
        assert_int_equal(seteuid(group), 0);
        e = api_tokens_read("admin.tokens_file", path, &tokens, &error);
        assert_int_equal(seteuid(0), 0);
        assert_int_equal(setegid(0), 0);
        assert_int_equal(e, k_modes[i].gives);
        api_tokens_fini(&tokens);
    }
    close(fd);
    unlink(path);
}

static void test_read_gives_none_without_a_path_and_invalid_without_a_file(void **state)
{
    struct api_tokens tokens = {NULL, 0};
    struct conf_error error = {""};

    (void)state;
    assert_int_equal(api_tokens_read("key", "", &tokens, &error), E_OK);
    assert_int_equal(tokens.n_items, 0);
    assert_int_equal(api_tokens_read("key", "/nowhere/tokens", &tokens, &error), E_INVAL);
    assert_non_null(strstr(error.text, "No such file"));
    assert_int_equal(api_tokens_read("key", "/tmp", &tokens, &error), E_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_gives_name_and_scope_of_each_line),
        cmocka_unit_test(test_parse_gives_the_line_of_what_is_wrong_and_no_secret),
        cmocka_unit_test(test_parse_leaves_the_old_ones_when_the_new_ones_are_broken),
        cmocka_unit_test(test_parse_refuses_more_than_256),
        cmocka_unit_test(test_read_gives_invalid_when_others_may_use_the_file),
        cmocka_unit_test(test_read_gives_tokens_when_root_lets_our_group_read),
        cmocka_unit_test(test_read_gives_none_without_a_path_and_invalid_without_a_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
