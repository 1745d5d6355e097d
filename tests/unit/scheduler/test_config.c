/* The keys of the scheduler: the example in conf/, rules between keys, secrets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "scheduler/config.h"

static enum err load(const char *set, struct scheduler_conf *conf, struct conf_error *error)
{
    const char *sets[] = {set};
    struct conf_args args = {.sets = sets, .n_sets = set ? 1 : 0};

    memset(conf, 0, sizeof *conf);
    return conf_load(&k_scheduler_conf, &args, conf, error);
}

static void test_print_example_gives_the_file_in_conf(void **state)
{
    char *printed = NULL, path[512], *slash;
    size_t printed_bytes, used;
    FILE *out = open_memstream(&printed, &printed_bytes), *file;
    static char kept[65536];

    (void)state;
    snprintf(path, sizeof path, "%s", __FILE__);
    slash = strstr(path, "tests/unit/");
    assert_non_null(slash);
    strcpy(slash, "conf/scheduler.json");
    conf_print_example(&k_scheduler_conf, out);
    fclose(out);
    file = fopen(path, "r");
    assert_non_null(file);
    used = fread(kept, 1, sizeof kept - 1, file);
    fclose(file);
    kept[used] = '\0';
    assert_string_equal(kept, printed);
    free(printed);
}

static void test_check_gives_ok_for_the_defaults(void **state)
{
    struct scheduler_conf conf;
    struct conf_error error;

    (void)state;
    assert_int_equal(load(NULL, &conf, &error), E_OK);
    assert_int_equal(scheduler_conf_check(&conf, &error), E_OK);
    assert_int_equal(conf.lease_ms, 5000);
    assert_int_equal(conf.store_type, STORE_MEMORY);
    conf_free(&k_scheduler_conf, &conf);
}

static void test_check_gives_the_key_when_keys_contradict(void **state)
{
    static const struct {
        const char *set, *key;
    } k_bad[] = {{"heartbeat_ms=3000", "lease_ms:"}, {"http.listen=", "http.listen:"}};

    (void)state;
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++) {
        struct scheduler_conf conf;
        struct conf_error error = {""};

        assert_int_equal(load(k_bad[i].set, &conf, &error), E_OK);
        assert_int_equal(scheduler_conf_check(&conf, &error), E_INVAL);
        assert_non_null(strstr(error.text, k_bad[i].key));
        conf_free(&k_scheduler_conf, &conf);
    }
}

static enum err read_secret(const char *content, char *out, size_t size, struct conf_error *error)
{
    char path[] = "/tmp/hw-test-secret-XXXXXX";
    int fd = mkstemp(path);
    enum err e;

    assert_true(fd >= 0);
    assert_true(write(fd, content, strlen(content)) == (ssize_t)strlen(content));
    close(fd);
    e = scheduler_read_secret("token_file", path, out, size, error);
    unlink(path);
    return e;
}

static void test_read_secret_gives_the_first_line(void **state)
{
    struct conf_error error = {""};
    char secret[32];

    (void)state;
    assert_int_equal(read_secret("  abc-123 \r\nsecond\n", secret, sizeof secret, &error), E_OK);
    assert_string_equal(secret, "abc-123");
    assert_int_equal(scheduler_read_secret("token_file", "", secret, sizeof secret, &error), E_OK);
    assert_string_equal(secret, "");
}

static void test_read_secret_gives_an_error_without_the_secret(void **state)
{
    struct conf_error error = {""};
    char secret[8];

    (void)state;
    assert_int_equal(read_secret("\nsecond", secret, sizeof secret, &error), E_INVAL);
    assert_int_equal(read_secret("much-too-long", secret, sizeof secret, &error), E_INVAL);
    assert_null(strstr(error.text, "much"));
    assert_string_equal(secret, "");
    assert_int_equal(
        scheduler_read_secret("token_file", "/nonexistent/x", secret, sizeof secret, &error), E_IO);
    assert_non_null(strstr(error.text, "token_file: /nonexistent/x"));
}

static enum err read_tokens(const char *content, struct scheduler_tokens *out,
                            struct conf_error *error)
{
    char path[] = "/tmp/hw-test-tokens-XXXXXX";
    int fd = mkstemp(path);
    enum err e;

    assert_true(fd >= 0);
    assert_true(write(fd, content, strlen(content)) == (ssize_t)strlen(content));
    close(fd);
    e = scheduler_read_tokens("token_file", path, out, error);
    unlink(path);
    return e;
}

static void test_read_tokens_gives_one_or_two_lines(void **state)
{
    static const struct {
        const char *content, *first, *second;
    } k_cases[] = {
        {"old", "old", ""},
        {"old\n", "old", ""},
        {"new\r\n  old \n", "new", "old"},
        {"new\nold\n\n\n", "new", "old"},
        {"new\n\n", "new", ""},
    };
    struct conf_error error = {""};
    struct scheduler_tokens tokens;

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        assert_int_equal(read_tokens(k_cases[i].content, &tokens, &error), E_OK);
        assert_string_equal(tokens.token[0], k_cases[i].first);
        assert_string_equal(tokens.token[1], k_cases[i].second);
    }
    assert_int_equal(scheduler_read_tokens("token_file", "", &tokens, &error), E_OK);
    assert_string_equal(tokens.token[0], "");
}

static void test_read_tokens_gives_an_error_without_the_tokens(void **state)
{
    char huge[600];
    const char *const k_bad[] = {"", "\nsecond\n", "one\ntwo\nthird\n", huge};
    struct conf_error error = {""};
    struct scheduler_tokens tokens;

    (void)state;
    memset(huge, 'a', sizeof huge);
    huge[sizeof huge - 1] = '\0';
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++) {
        assert_int_equal(read_tokens(k_bad[i], &tokens, &error), E_INVAL);
        assert_non_null(strstr(error.text, "expected 1-2 lines of 1-255 bytes"));
        assert_null(strstr(error.text, "third"));
        assert_string_equal(tokens.token[0], "");
    }
    assert_int_equal(scheduler_read_tokens("token_file", "/nonexistent/x", &tokens, &error), E_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print_example_gives_the_file_in_conf),
        cmocka_unit_test(test_check_gives_ok_for_the_defaults),
        cmocka_unit_test(test_check_gives_the_key_when_keys_contradict),
        cmocka_unit_test(test_read_secret_gives_the_first_line),
        cmocka_unit_test(test_read_secret_gives_an_error_without_the_secret),
        cmocka_unit_test(test_read_tokens_gives_one_or_two_lines),
        cmocka_unit_test(test_read_tokens_gives_an_error_without_the_tokens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
