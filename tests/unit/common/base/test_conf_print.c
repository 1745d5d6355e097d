/* common/base/conf_print: the example loads and gives the defaults; the help names every key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/base/conf_impl.h"
#include "tests/unit/common/base/conf_schema.h"

/* Returns what print() writes; the caller frees it. */
static char *printed(void (*print)(const struct conf_schema *, FILE *), size_t *size)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, size);

    assert_non_null(out);
    print(&k_sample, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void test_print_example_loads_and_gives_the_defaults(void **state)
{
    const struct conf_args no_args = {0};
    struct sample expected = {0}, got = {0};
    struct conf_error error;
    size_t size;
    char *text = printed(conf_print_example, &size);

    (void)state;
    assert_int_equal(conf_load(&k_sample, &no_args, &expected, &error), E_OK);
    if (conf_file_load_text(&k_sample, "example", text, size, &got, &error) != E_OK)
        fail_msg("%s", error.text);
    for (size_t i = 0; i < k_sample.n_fields; i++)
        if (k_sample_fields[i].type != CONF_UINT) /* zero would look like a default */
            assert_true(conf_value_equals(&k_sample_fields[i], &expected, &got));
    assert_int_equal(got.gop_bytes, 8388608);
    assert_int_equal(got.gop_count, 1);
    conf_free(&k_sample, &expected);
    conf_free(&k_sample, &got);
    free(text);
}

static void test_print_example_gives_each_group_once_with_comments(void **state)
{
    size_t size;
    char *text = printed(conf_print_example, &size);
    const char *group = strstr(text, "    \"gop_cache\": {\n");

    (void)state;
    assert_non_null(group);
    assert_null(strstr(group + 8, "\"gop_cache\"")); /* its two fields stand apart in the schema */
    assert_non_null(strstr(text,
                           "    // Event loops; 0 = one a core. Allowed: a whole number from 0 "
                           "to 256.\n"
                           "    \"loops\": 0,\n"));
    assert_non_null(strstr(text, "        \"schedulers\": [\"http://a:1\", \"http://b:2\"],\n"));
    assert_non_null(strstr(text, "        \"redirect\": true,\n"));
    assert_int_equal(text[size - 1], '\n');
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        assert_true(strlen(line) <= 100);
    free(text);
}

static void test_print_help_names_every_key_with_default_and_range(void **state)
{
    size_t size;
    char *text = printed(conf_print_help, &size);

    (void)state;
    for (size_t i = 0; i < k_sample.n_fields; i++)
        assert_non_null(strstr(text, k_sample_fields[i].key));
    assert_non_null(strstr(text, "headwater-sample"));
    assert_non_null(strstr(text, "\nrtmp.listen = \"0.0.0.0:1935\"\n"));
    assert_non_null(strstr(text, "\nloops = 0\n"));
    assert_non_null(strstr(text, "When frames are sent. Allowed: one of: realtime, balanced, "));
    assert_non_null(strstr(text, "SIGHUP applies a change."));
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        assert_true(strlen(line) <= 100);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print_example_loads_and_gives_the_defaults),
        cmocka_unit_test(test_print_example_gives_each_group_once_with_comments),
        cmocka_unit_test(test_print_help_names_every_key_with_default_and_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
