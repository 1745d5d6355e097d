/* The build id of this very program, as the linker wrote it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/base/version.h"

static void test_text_gives_release_and_build_id(void **state)
{
    const char *text = version_text();
    const char *id = strstr(text, " build ");

    (void)state;
    assert_non_null(id);
    assert_int_equal(strncmp(text, HW_VERSION " ", sizeof HW_VERSION), 0);
    id += strlen(" build ");
    assert_int_equal(strlen(id), 40); /* SHA-1 */
    assert_int_equal(strspn(id, "0123456789abcdef"), 40);
    assert_ptr_equal(version_text(), text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_gives_release_and_build_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
