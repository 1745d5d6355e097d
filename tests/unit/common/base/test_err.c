/* common/base/err: every code has a name and a text of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/base/err.h"

static const enum err k_codes[] = {
#define CODE(name, value, text) name,
    ERR_MAP(CODE)
#undef CODE
};
enum { N_CODES = sizeof k_codes / sizeof k_codes[0] };

static void test_name_and_text_give_distinct_strings(void **state)
{
    (void)state;
    assert_string_equal(err_name(E_OK), "E_OK");
    assert_string_equal(err_text(E_PROTO), "peer broke the protocol");
    for (int i = 0; i < N_CODES; i++) {
        for (int j = 0; j < i; j++) {
            assert_int_not_equal(k_codes[i], k_codes[j]);
            assert_string_not_equal(err_name(k_codes[i]), err_name(k_codes[j]));
            assert_string_not_equal(err_text(k_codes[i]), err_text(k_codes[j]));
        }
    }
}

static void test_name_and_text_give_a_string_when_the_code_is_unknown(void **state)
{
    (void)state;
    assert_string_equal(err_name((enum err) - 999), "E_UNKNOWN");
    assert_string_equal(err_text((enum err) - 999), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name_and_text_give_distinct_strings),
        cmocka_unit_test(test_name_and_text_give_a_string_when_the_code_is_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
