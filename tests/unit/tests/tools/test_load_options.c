/* The command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/tools/load_options.h"

#define MAX_ARGS 16

/* args: separated by single blanks, behind the subcommand. */
static enum err parse(const char *args, struct load_options *out, char why[256])
{
    static char text[512]; /* options borrow it */
    char *argv[MAX_ARGS], *rest = text;
    int argc = 0;

    strcpy(text, args);
    argv[argc++] = rest;
    for (; (rest = strchr(rest, ' ')) != NULL; argc++) {
        assert_true(argc < MAX_ARGS);
        *rest++ = '\0';
        argv[argc] = rest;
    }
    why[0] = '\0';
    return load_options_parse(argc, argv, out, why, 256);
}

static void test_parse_gives_defaults(void **state)
{
    struct load_options o;
    char why[256];

    (void)state;
    assert_int_equal(parse("load --play rtmp://h/a/b", &o, why), E_OK);
    assert_null(o.publish_url);
    assert_true(o.publishers == 1 && o.warmup_s == 2 && o.seconds == 10 && o.stall_ms == 1000);
    assert_false(o.hold || o.no_stamp || o.quiet || o.help);
    assert_int_equal(o.n_groups, 1);
    assert_string_equal(o.groups[0].url, "rtmp://h/a/b");
    assert_true(o.groups[0].players == 1 && o.groups[0].ramp_s == 1 && o.groups[0].slow_bps == 0);
}

static void test_parse_gives_each_group_the_options_behind_it(void **state)
{
    struct load_options o;
    char why[256];

    (void)state;
    assert_int_equal(parse("load --play u1 --players 7 --play=u2 --slow-bps 100000 --ramp=0.5 "
                           "--seconds 0 --hold",
                           &o, why),
                     E_OK);
    assert_int_equal(o.n_groups, 2);
    assert_string_equal(o.groups[0].url, "u1");
    assert_true(o.groups[0].players == 7 && o.groups[0].slow_bps == 0);
    assert_string_equal(o.groups[1].url, "u2");
    assert_true(o.groups[1].players == 1 && o.groups[1].slow_bps == 100000);
    assert_true(o.groups[1].ramp_s == 0.5);
    assert_true(o.hold && o.seconds == 0);
}

static void test_parse_gives_why_when_something_is_wrong(void **state)
{
    static const char *const k_cases[][2] = {
        {"load", "nothing to do: neither --publish nor --play"},
        {"load --publish rtmp://h/a/b", "--publish needs --flv"},
        {"load --players 3 --play u", "--players belongs behind a --play"},
        {"load --play", "--play needs a value"},
        {"load --hold=1 --play u", "--hold takes no value"},
        {"load --pla u", "--pla: no such option"},
        {"load u", "u: one argument too many"},
        {"load --play u --players 1.5", "--players 1.5: expected a whole number from 0 to 100000"},
        {"load --play u --ramp x", "--ramp x: expected a number from 0 to 86400"},
        {"load --play u --ramp nan", "--ramp nan: expected a number from 0 to 86400"},
        {"load --play u --seconds -1", "--seconds -1: expected a number from 0 to 10000000"},
    };
    struct load_options o;
    char why[256];

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        assert_int_equal(parse(k_cases[i][0], &o, why), E_INVAL);
        assert_string_equal(why, k_cases[i][1]);
    }
}

static void test_parse_gives_help_whatever_is_missing(void **state)
{
    struct load_options o;
    char why[256];

    (void)state;
    assert_int_equal(parse("load --help", &o, why), E_OK);
    assert_true(o.help);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_gives_defaults),
        cmocka_unit_test(test_parse_gives_each_group_the_options_behind_it),
        cmocka_unit_test(test_parse_gives_why_when_something_is_wrong),
        cmocka_unit_test(test_parse_gives_help_whatever_is_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
