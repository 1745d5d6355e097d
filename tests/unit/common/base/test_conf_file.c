/* common/base/conf_file: comments, groups, unknown keys, positions of errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/conf_impl.h"
#include "tests/unit/common/base/conf_schema.h"

static struct conf_error error;

/* Loads text as the file "f.json"; a copy of the exact size, since comments are blanked in place.
 */
static enum err load(struct sample *conf, const char *text)
{
    size_t size = strlen(text);
    char *copy = malloc(size ? size : 1);
    enum err e;

    assert_non_null(copy);
    memcpy(copy, text, size);
    memset(conf, 0, sizeof *conf);
    memset(&error, 0, sizeof error);
    e = conf_file_load_text(&k_sample, "f.json", copy, size, conf, &error);
    free(copy);
    return e;
}

static void assert_refused(const char *text, const char *expected)
{
    struct sample conf;

    if (load(&conf, text) != E_INVAL)
        fail_msg("%s was accepted", text);
    assert_string_equal(error.text, expected);
    conf_free(&k_sample, &conf);
}

static void test_load_gives_values_of_nested_groups(void **state)
{
    struct sample conf;

    (void)state;
    assert_int_equal(load(&conf,
                          "{\"loops\": 3, \"cluster\": {\"advertise\": {\"public\": {\"http\": "
                          "\"a:1\"}}, \"zone\": \"z\"}, \"rtmp\": {}}"),
                     E_OK);
    assert_int_equal(conf.loops, 3);
    assert_string_equal(conf.advertise_http, "a:1");
    assert_string_equal(conf.zone, "z");
    assert_null(conf.rtmp_listen);
    conf_free(&k_sample, &conf);
}

static void test_load_gives_values_with_comments_anywhere_outside_strings(void **state)
{
    struct sample conf;

    (void)state;
    assert_int_equal(load(&conf, "// first \"line\n"
                                 "{ // opens\n"
                                 "  \"loops\": // between\n"
                                 "  4, // \"loops\": 5,\n"
                                 "  \"cluster\": {\"schedulers\": [\"http://a\", \"x\\\"//y\", "
                                 "\"z\\\\\"]}//, \"w\"]}\n"
                                 "}\n"
                                 "// last, without a line feed"),
                     E_OK);
    assert_int_equal(conf.loops, 4);
    assert_int_equal(conf.schedulers.n_items, 3);
    assert_string_equal(conf.schedulers.items[0], "http://a");
    assert_string_equal(conf.schedulers.items[1], "x\"//y");
    assert_string_equal(conf.schedulers.items[2], "z\\");
    conf_free(&k_sample, &conf);
}

static void test_load_gives_values_with_byte_order_mark_and_carriage_returns(void **state)
{
    struct sample conf;

    (void)state;
    assert_int_equal(load(&conf, "\xef\xbb\xbf{\r\n\"loops\": 4 // x\r\n}\r\n"), E_OK);
    assert_int_equal(conf.loops, 4);
    conf_free(&k_sample, &conf);
}

static void test_load_gives_invalid_with_line_and_column_for_bad_syntax(void **state)
{
    (void)state;
    assert_refused("", "f.json:1:0: '[' or '{' expected near end of file");
    assert_refused("{\n  \"loops\": 3 // a comment\n  \"latency\": 1\n}",
                   "f.json:3:11: '}' expected near '\"latency\"'");
    assert_refused("{\n // one\n // two\n \"loops\": x}", "f.json:4:11: invalid token near 'x'");
    assert_refused("{\"loops\": 1 / 2}", "f.json:1:13: '}' expected near '/'");
    assert_refused("{\"loops\": 1} x", "f.json:1:14: end of file expected near 'x'");
    assert_refused("{\"loops\": 1,\n \"loops\": 2}",
                   "f.json:2:8: duplicate object key near '\"loops\"'");
}

static void test_load_gives_position_when_a_string_is_not_closed(void **state)
{
    struct sample conf;

    (void)state;
    assert_int_equal(load(&conf, "{\n \"latency\": \"real // time\n}"), E_INVAL);
    assert_non_null(strstr(error.text, "f.json:2:"));
    assert_non_null(strstr(error.text, "unexpected newline"));
    assert_null(strchr(error.text, '\n')); /* one line, whatever the library quotes */
}

static void test_load_gives_invalid_with_key_path_found_and_allowed(void **state)
{
    (void)state;
    assert_refused("{\"rtmp\": {\"listn\": \"x\"}}",
                   "f.json: rtmp.listn: unknown key; did you mean \"rtmp.listen\"?");
    assert_refused("{\"loops\": 257}",
                   "f.json: loops: found 257, expected a whole number from 0 to 256");
    assert_refused("{\"cluster\": {\"advertise\": {\"public\": {\"http\": 80}}}}",
                   "f.json: cluster.advertise.public.http: found 80, expected \"host:port\", "
                   "\"[v6]:port\" or \"\" for off");
    assert_refused("{\"rtmp\": \"0.0.0.0:1935\"}",
                   "f.json: rtmp: a group of keys such as \"rtmp.listen\", not a value");
    assert_refused("{\"loops\": {\"x\": 1}}",
                   "f.json: loops: found an object, expected a whole number from 0 to 256");
    assert_refused("{\"rtmp.listen\": \"a:1\"}",
                   "f.json: rtmp.listen: a dot in a name; in the file groups are nested objects");
    assert_refused("{\"nothing_like_it\": {\"loops\": 1}}",
                   "f.json: nothing_like_it: unknown key; --help-config lists all of them");
    assert_refused("{\"\": 1}", "f.json: unknown key; --help-config lists all of them");
    assert_refused("[1]", "f.json: found a list, expected an object");
}

static void test_load_gives_short_clean_error_when_key_is_long_or_odd(void **state)
{
    static char text[3000];
    struct sample conf;

    (void)state;
    memset(text, 'k', sizeof text - 1);
    memcpy(text, "{\"", 2);
    memcpy(text + 2900, "\": 1}", 6);
    assert_int_equal(load(&conf, text), E_INVAL);
    assert_true(strlen(error.text) < 300);
    assert_refused("{\"a\\u001b[2Jb\": 1}",
                   "f.json: a?[2Jb: unknown key; --help-config lists all of "
                   "them");
}

static void test_load_gives_too_big_when_file_is_above_one_mebibyte(void **state)
{
    char path[] = "/tmp/hw-conf-XXXXXX";
    int fd = mkstemp(path);
    struct sample conf = {0};

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (1 << 20) + 1), 0);
    assert_int_equal(conf_file_load(&k_sample, path, &conf, &error), E_TOO_BIG);
    assert_non_null(strstr(error.text, ": found more than 1048576 bytes"));
    close(fd);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load_gives_values_of_nested_groups),
        cmocka_unit_test(test_load_gives_values_with_comments_anywhere_outside_strings),
        cmocka_unit_test(test_load_gives_values_with_byte_order_mark_and_carriage_returns),
        cmocka_unit_test(test_load_gives_invalid_with_line_and_column_for_bad_syntax),
        cmocka_unit_test(test_load_gives_position_when_a_string_is_not_closed),
        cmocka_unit_test(test_load_gives_invalid_with_key_path_found_and_allowed),
        cmocka_unit_test(test_load_gives_short_clean_error_when_key_is_long_or_odd),
        cmocka_unit_test(test_load_gives_too_big_when_file_is_above_one_mebibyte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
