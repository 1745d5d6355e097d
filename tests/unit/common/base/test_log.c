/* common/base/log: quoting, the form of a line, cutting, reopening while threads write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"

static char folder[] = "/tmp/hw-log-XXXXXX";
static char path[64], old_path[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/log", folder);
    snprintf(old_path, sizeof old_path, "%s/log.1", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    unlink(old_path);
    return rmdir(folder);
}

static int start(void **state)
{
    (void)state;
    log_set_level(LOG_INFO);
    return log_open(path) == E_OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    log_close();
    unlink(path);
    unlink(old_path);
    return 0;
}

/* Returns the content of a file; the caller frees it. */
static char *content_of(const char *file)
{
    FILE *f = fopen(file, "r");
    char *text = calloc(1, 1 << 20);

    assert_non_null(f);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, f) < (1 << 20) - 1);
    fclose(f);
    return text;
}

static void assert_quoted(const char *text, const char *expected)
{
    char out[160];

    assert_ptr_equal(log_quote(text, out, sizeof out), out);
    assert_string_equal(out, expected);
}

static void test_quote_gives_plain_value_when_nothing_needs_quotes(void **state)
{
    (void)state;
    assert_quoted("live/x", "live/x");
    assert_quoted("10.0.0.1:5555", "10.0.0.1:5555");
    assert_quoted("caf\xc3\xa9", "caf\xc3\xa9");
}

static void test_quote_gives_quotes_and_escapes(void **state)
{
    (void)state;
    assert_quoted("", "\"\"");
    assert_quoted(NULL, "\"\"");
    assert_quoted("a b", "\"a b\"");
    assert_quoted("a=b", "\"a=b\"");
    assert_quoted("say \"hi\"", "\"say \\\"hi\\\"\"");
    assert_quoted("a\\b", "\"a\\\\b\"");
    assert_quoted("a\r\nb\tc", "\"a\\r\\nb\\tc\"");
    assert_quoted("\x01\x1b[31m\x7f", "\"\\x01\\x1b[31m\\x7f\"");
    assert_quoted("\xff\xfe", "\"\\xff\\xfe\"");              /* not UTF-8 */
    assert_quoted("a\xe2\x80\xaeZ", "\"a\\xe2\\x80\\xaeZ\""); /* U+202E: right to left */
    assert_quoted("a\xc2\x85"
                  "b",
                  "\"a\\xc2\\x85"
                  "b\""); /* U+0085: a line end to some */
}

static void test_quote_gives_cut_value_when_room_is_short(void **state)
{
    char out[12];

    (void)state;
    assert_string_equal(log_quote("12345678901", out, sizeof out), "12345678901"); /* just fits */
    assert_string_equal(log_quote("123456789012", out, sizeof out), "12345678...");
    assert_string_equal(log_quote("1 3456789", out, sizeof out), "\"1 3456789\"");
    assert_string_equal(log_quote("1 34567890", out, sizeof out), "\"1 3456...\"");
    /* an escape and a character are kept whole or not at all */
    assert_string_equal(log_quote("12345\n7890", out, sizeof out), "\"12345...\"");
    assert_string_equal(log_quote("1234567\xc3\xa9"
                                  "890",
                                  out, sizeof out),
                        "1234567...");
}

static void test_quote_never_writes_past_size(void **state)
{
    static const char *const k_texts[] = {"aaaaaaaaaaaaaaaaaaaa",
                                          "a b c d e f g h i j",
                                          "\n\n\n\n\n\n\n\n\n\n",
                                          "\x01\x02\x03\x04\x05\x06\x07",
                                          "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9",
                                          ""};

    (void)state;
    for (size_t i = 0; i < sizeof k_texts / sizeof k_texts[0]; i++) {
        for (unsigned size = 1; size < 40; size++) {
            char *out = malloc(size); /* exact: the sanitizer watches its end */

            assert_non_null(out);
            log_quote(k_texts[i], out, size);
            assert_true(memchr(out, 0, size) != NULL);
            free(out);
        }
    }
    log_quote("abc", NULL, 0);
}

static void test_line_gives_time_level_area_and_text(void **state)
{
    regex_t form;
    char *text;

    (void)state;
    log_info("rtmp", "msg=%s stream=%s", LOG_STR("publish accepted"), LOG_STR("live/x"));
    text = content_of(path);
    assert_int_equal(regcomp(&form,
                             "^20[2-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]"
                             "\\.[0-9]{3}Z info rtmp msg=\"publish accepted\" stream=live/x\n$",
                             REG_EXTENDED | REG_NOSUB),
                     0);
    if (regexec(&form, text, 0, NULL, 0) != 0)
        fail_msg("%s", text);
    regfree(&form);
    free(text);
}

static void test_line_gives_the_clock_s_date(void **state)
{
    time_t before = time(NULL), after;
    char *text, expected[2][16];
    struct tm tm;

    (void)state;
    log_info("x", "msg=now");
    after = time(NULL);
    strftime(expected[0], sizeof expected[0], "%Y-%m-%dT%H", gmtime_r(&before, &tm));
    strftime(expected[1], sizeof expected[1], "%Y-%m-%dT%H", gmtime_r(&after, &tm));
    text = content_of(path);
    text[13] = '\0';
    assert_true(strcmp(text, expected[0]) == 0 || strcmp(text, expected[1]) == 0);
    free(text);
}

static void test_line_gives_nothing_below_the_level(void **state)
{
    char *text;

    (void)state;
    log_debug("x", "msg=a");
    log_set_level(LOG_ERROR);
    log_warn("x", "msg=b");
    log_error("x", "msg=c");
    log_set_level(LOG_DEBUG);
    log_debug("x", "msg=d");
    text = content_of(path);
    assert_null(strstr(text, "msg=a"));
    assert_null(strstr(text, "msg=b"));
    assert_non_null(strstr(text, " error x msg=c\n"));
    assert_non_null(strstr(text, " debug x msg=d\n"));
    free(text);
}

static void test_line_gives_one_line_even_for_raw_control_characters(void **state)
{
    char *text;

    (void)state;
    log_info("x", "name=%s", "a\nfake error x\x1b");
    text = content_of(path);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    assert_non_null(strstr(text, "name=a?fake error x?\n"));
    free(text);
}

/* Eight are looked at together. */
static void test_line_gives_a_question_mark_for_each_control_character_alone(void **state)
{
    char said[32], shown[48], *text;

    (void)state;
    for (int at = 0; at < 17; at++) {
        for (int byte = 1; byte < 256; byte++) {
            memset(said, byte % 2 ? 'a' : '\xff', 17);
            said[17] = '\0';
            said[at] = (char)byte;
            assert_int_equal(log_open(path), E_OK);
            log_info("x", "%s", said);
            if (byte < 0x20 || byte == 0x7f)
                said[at] = '?';
            snprintf(shown, sizeof shown, " info x %s\n", said);
            text = content_of(path);
            assert_string_equal(text + 24, shown);
            free(text);
            unlink(path);
            log_reopen();
        }
    }
}

static const char *count_call(int *n_calls)
{
    ++*n_calls;
    return "";
}

static void test_line_makes_nothing_below_the_level(void **state)
{
    int n_calls = 0;

    (void)state;
    log_debug("x", "msg=%s", count_call(&n_calls));
    assert_int_equal(n_calls, 0);
    log_info("x", "msg=%s", count_call(&n_calls));
    assert_int_equal(n_calls, 1);
}

static void test_line_gives_cut_line_when_too_long(void **state)
{
    static char longer[4000];
    char *text;

    (void)state;
    memset(longer, 'x', sizeof longer - 1);
    log_info("x", "%s", longer);
    text = content_of(path);
    assert_int_equal(strlen(text), 2048);
    assert_string_equal(text + 2044, "...\n");
    free(text);
}

static void test_line_keeps_characters_whole_when_cut(void **state)
{
    (void)state;
    for (int shift = 0; shift < 3; shift++) {
        static char longer[4000];
        char *text;
        size_t end;

        snprintf(longer, sizeof longer, "%.*s", shift, "xx");
        while (strlen(longer) < 3000)
            strcat(longer, "\xe4\xb8\xad");
        assert_int_equal(log_open(path), E_OK);
        log_info("x", "%s", longer);
        text = content_of(path);
        end = strlen(text);
        assert_string_equal(text + end - 4, "...\n");
        assert_memory_equal(text + end - 7, "\xe4\xb8\xad", 3);
        free(text);
        unlink(path);
        log_reopen();
    }
}

static void test_line_keeps_errno(void **state)
{
    (void)state;
    errno = ECONNRESET;
    log_info("x", "msg=%s", strerror(errno));
    assert_int_equal(errno, ECONNRESET);
}

static void test_open_gives_io_and_keeps_target_when_path_is_bad(void **state)
{
    char missing[96];
    static char longer[PATH_MAX + 10];
    char *text;

    (void)state;
    snprintf(missing, sizeof missing, "%s/none/log", folder);
    errno = 0;
    assert_int_equal(log_open(missing), E_IO);
    assert_int_equal(errno, ENOENT);
    memset(longer, 'x', sizeof longer - 1);
    assert_int_equal(log_open(longer), E_IO);
    assert_int_equal(errno, ENAMETOOLONG);
    log_info("x", "msg=still");
    text = content_of(path);
    assert_non_null(strstr(text, "msg=still"));
    free(text);
}

static void test_reopen_gives_a_new_file_after_rotation(void **state)
{
    char *text;

    (void)state;
    log_info("x", "msg=one");
    assert_int_equal(rename(path, old_path), 0);
    log_info("x", "msg=two"); /* the old file still */
    assert_int_equal(log_reopen(), E_OK);
    log_info("x", "msg=three");
    text = content_of(old_path);
    assert_non_null(strstr(text, "msg=one"));
    assert_non_null(strstr(text, "msg=two"));
    assert_null(strstr(text, "msg=three"));
    free(text);
    text = content_of(path);
    assert_null(strstr(text, "msg=two"));
    assert_non_null(strstr(text, "msg=three"));
    free(text);
}

enum { N_THREADS = 4, N_LINES = 500 };

static void *write_lines(void *arg)
{
    for (int i = 0; i < N_LINES; i++)
        log_info("x", "thread=%d line=%d end", *(int *)arg, i);
    return NULL;
}

/* Lines of `file`, each checked to be whole. */
static int count_lines(const char *file)
{
    char *text = content_of(file);
    int n = 0;

    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), n++) {
        assert_string_equal(line + strlen(line) - 4, " end");
        assert_int_equal(line[23], 'Z');
    }
    free(text);
    return n;
}

static void test_reopen_loses_and_mixes_no_line_while_threads_write(void **state)
{
    pthread_t threads[N_THREADS];
    int numbers[N_THREADS];

    (void)state;
    for (int i = 0; i < N_THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &numbers[i]), 0);
    }
    assert_int_equal(rename(path, old_path), 0);
    for (int i = 0; i < 50; i++)
        assert_int_equal(log_reopen(), E_OK);
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(count_lines(old_path) + count_lines(path), N_THREADS * N_LINES);
}

#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quote_gives_plain_value_when_nothing_needs_quotes),
        cmocka_unit_test(test_quote_gives_quotes_and_escapes),
        cmocka_unit_test(test_quote_gives_cut_value_when_room_is_short),
        cmocka_unit_test(test_quote_never_writes_past_size),
        WITH_FILE(test_line_gives_time_level_area_and_text),
        WITH_FILE(test_line_gives_the_clock_s_date),
        WITH_FILE(test_line_gives_nothing_below_the_level),
        WITH_FILE(test_line_gives_one_line_even_for_raw_control_characters),
        WITH_FILE(test_line_gives_a_question_mark_for_each_control_character_alone),
        WITH_FILE(test_line_makes_nothing_below_the_level),
        WITH_FILE(test_line_gives_cut_line_when_too_long),
        WITH_FILE(test_line_keeps_characters_whole_when_cut),
        WITH_FILE(test_line_keeps_errno),
        WITH_FILE(test_open_gives_io_and_keeps_target_when_path_is_bad),
        WITH_FILE(test_reopen_gives_a_new_file_after_rotation),
        WITH_FILE(test_reopen_loses_and_mixes_no_line_while_threads_write),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
