/* Where a reconnect request leads: references as RFC 3986 has them, and what is not gone to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "proto/rtmp/rtmp.h"

#define BASE "rtmp://a.example:1936/live/one?key=1"

static enum err resolve(const char *base, const char *reference, char *out, size_t size)
{
    return rtmp_resolve_tc_url(buf_view_str(base), buf_view_str(reference), out, size);
}

static void test_resolve_gives_the_place_that_the_reference_names(void **state)
{
    static const struct {
        const char *reference, *want;
    } k_cases[] = {
        {"", BASE},
        {"rtmp://b/live", "rtmp://b/live"},
        {"rtmps://b:444/live?x", "rtmps://b:444/live?x"},
        {"rtmp://[::1]:1940/live", "rtmp://[::1]:1940/live"},
        {"//b:1935/other", "rtmp://b:1935/other"},
        {"/other/app", "rtmp://a.example:1936/other/app"},
        {"two", "rtmp://a.example:1936/live/two"},
        {"two?a:b", "rtmp://a.example:1936/live/two?a:b"},
        {"./two", "rtmp://a.example:1936/live/two"},
        {"../two", "rtmp://a.example:1936/two"},
        {"../../../two/.", "rtmp://a.example:1936/two/"},
        {"x/../y", "rtmp://a.example:1936/live/y"},
        {"?key=2", "rtmp://a.example:1936/live/one?key=2"},
        {"/a?..", "rtmp://a.example:1936/a?.."},
    };
    char out[256];

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        assert_int_equal(resolve(BASE, k_cases[i].reference, out, sizeof out), E_OK);
        assert_string_equal(out, k_cases[i].want);
    }
}

static void test_resolve_refuses_other_protocols_and_broken_ones(void **state)
{
    static const struct {
        const char *base, *reference;
        enum err want;
    } k_cases[] = {
        {BASE, "http://b/live", E_UNSUPPORTED},
        {BASE, "file:///etc/passwd", E_INVAL},
        {BASE, "rtmp:", E_INVAL},
        {BASE, "rtmp://b", E_INVAL},
        {BASE, "../..", E_INVAL},
        {BASE, "rtmp:///live", E_INVAL},
        {BASE, "rtmp://me:secret@b/live", E_INVAL},
        {BASE, "rtmp://b/li ve", E_INVAL},
        {BASE, "rtmp://b/live\r\nx", E_INVAL},
        {BASE, "rtmp://b/live#x", E_INVAL},
        {BASE, "rtmp://b:99999/live", E_INVAL},
        {"rtmps://a/live", "rtmp://b/live", E_UNSUPPORTED},
        {"", "x", E_INVAL},
        {"rtmp", "//x/y", E_INVAL},
    };
    char out[256];

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++)
        assert_int_equal(resolve(k_cases[i].base, k_cases[i].reference, out, sizeof out),
                         k_cases[i].want);
}

static void test_resolve_gives_too_big_when_there_is_no_room(void **state)
{
    char out[16];

    (void)state;
    assert_int_equal(resolve(BASE, "rtmp://b/live12", out, sizeof out), E_OK); /* 15 bytes */
    assert_int_equal(resolve(BASE, "rtmp://b/live123", out, sizeof out), E_TOO_BIG);
    assert_int_equal(resolve(BASE, "", out, sizeof out), E_TOO_BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resolve_gives_the_place_that_the_reference_names),
        cmocka_unit_test(test_resolve_refuses_other_protocols_and_broken_ones),
        cmocka_unit_test(test_resolve_gives_too_big_when_there_is_no_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
