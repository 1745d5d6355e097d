/* A table of options, each kind once. What load makes of it is in test_load_options.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/tools/options.h"

struct all {
    const char *text;
    double number;
    bool flag;
    const char *from, *to;
};

static const struct option_row k_rows[] = {
    {"FROM", "", OPTION_TEXT, 0, offsetof(struct all, from), 0, 0, false, "a place"},
    {"TO", "", OPTION_TEXT, 0, offsetof(struct all, to), 0, 0, false, "another one"},
    {"--text", "T", OPTION_TEXT, 0, offsetof(struct all, text), 0, 0, false, "a text"},
    {"--number", "N", OPTION_NUMBER, 0, offsetof(struct all, number), 1, 9, true, "a number"},
    {"--flag", "", OPTION_FLAG, 0, offsetof(struct all, flag), 0, 0, false, "a flag"},
};
static const struct option_table k_table = {k_rows, sizeof k_rows / sizeof k_rows[0], NULL};

static void test_parse_gives_values_in_both_forms(void **state)
{
    char program[] = "x", text[] = "--text", value[] = "a=b", number[] = "--number=7",
         flag[] = "--flag";
    char *argv[] = {program, text, value, number, flag};
    struct all all = {0};
    char why[64];

    (void)state;
    assert_int_equal(options_parse(&k_table, 5, argv, &all, why, sizeof why), E_OK);
    assert_string_equal(all.text, "a=b");
    assert_true(all.number == 7 && all.flag);
}

static void test_parse_gives_arguments_by_their_place(void **state)
{
    char program[] = "x", from[] = "a=b", flag[] = "--flag", to[] = "-", more[] = "c";
    char *argv[] = {program, from, flag, to, more};
    struct all all = {0};
    char why[64];

    (void)state;
    assert_int_equal(options_parse(&k_table, 4, argv, &all, why, sizeof why), E_OK);
    assert_string_equal(all.from, "a=b");
    assert_string_equal(all.to, "-");
    assert_true(all.flag);
    assert_int_equal(options_parse(&k_table, 5, argv, &all, why, sizeof why), E_INVAL);
    assert_string_equal(why, "c: one argument too many");
}

static void test_parse_gives_why_for_each_mistake(void **state)
{
    static const char *const k_cases[][2] = {
        {"--tex=1", "--tex=1: no such option"},
        {"--text", "--text needs a value"},
        {"--flag=yes", "--flag takes no value"},
        {"--number=0", "--number 0: expected a whole number from 1 to 9"},
        {"--number=1.5", "--number 1.5: expected a whole number from 1 to 9"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        char program[] = "x", arg[32], why[64] = "";
        char *argv[] = {program, arg};
        struct all all = {0};

        strcpy(arg, k_cases[i][0]);
        assert_int_equal(options_parse(&k_table, 2, argv, &all, why, sizeof why), E_INVAL);
        assert_string_equal(why, k_cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_gives_values_in_both_forms),
        cmocka_unit_test(test_parse_gives_arguments_by_their_place),
        cmocka_unit_test(test_parse_gives_why_for_each_mistake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
