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
};

static const struct option_row k_rows[] = {
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

static void test_parse_gives_all_that_is_left_to_the_last_place(void **state)
{
    struct places {
        const char *from;
        struct option_texts to;
    } places = {0};
    static const struct option_row k_places[] = {
        {"FROM", "", OPTION_TEXT, 0, offsetof(struct places, from), 0, 0, false, ""},
        {"TO", "", OPTION_TEXTS, 0, offsetof(struct places, to), 0, 0, false, ""},
    };
    static const struct option_table k_of_places = {k_places, 2, NULL};
    char program[] = "x", a[] = "a", b[] = "b", c[] = "-";
    char *argv[OPTION_MAX_TEXTS + 3] = {program, a, b, c};
    char why[64];

    (void)state;
    assert_int_equal(options_parse(&k_of_places, 4, argv, &places, why, sizeof why), E_OK);
    assert_string_equal(places.from, "a");
    assert_int_equal(places.to.n, 2);
    assert_string_equal(places.to.each[1], "-");
    for (unsigned i = 1; i < OPTION_MAX_TEXTS + 3; i++)
        argv[i] = a;
    places = (struct places){0};
    assert_int_equal(
        options_parse(&k_of_places, OPTION_MAX_TEXTS + 3, argv, &places, why, sizeof why), E_INVAL);
    assert_string_equal(why, "TO a: more than 32 of them");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_gives_values_in_both_forms),
        cmocka_unit_test(test_parse_gives_all_that_is_left_to_the_last_place),
        cmocka_unit_test(test_parse_gives_why_for_each_mistake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
