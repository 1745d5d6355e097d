/* common/media/name: what is a stream name and what is not, at every door. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/media/name.h"

#define TEN "1234567890"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define PART_128 HUNDRED TEN TEN "12345678"

/* A heap copy of the exact size, so that a sanitizer sees a read past its end. */
static struct buf_view heap_copy(const char *text)
{
    size_t size = strlen(text);
    char *copy = malloc(size ? size : 1);

    assert_non_null(copy);
    memcpy(copy, text, size);
    return buf_view_of(copy, size);
}

static void heap_free(struct buf_view view)
{
    free((void *)(uintptr_t)view.data);
}

static enum err make(struct stream_name *out, const char *app, const char *name, const char **why)
{
    struct buf_view app_view = heap_copy(app), name_view = heap_copy(name);
    enum err e = stream_name_make(out, app_view, name_view, why);

    heap_free(app_view);
    heap_free(name_view);
    return e;
}

static enum err from_path(struct stream_name *out, const char *path, const char **why)
{
    struct buf_view view = heap_copy(path);
    enum err e = stream_name_from_path(out, view, why);

    heap_free(view);
    return e;
}

static void test_make_gives_name(void **state)
{
    static const struct {
        const char *app, *name, *text, *part;
    } k_good[] = {
        {"live", "x", "live/x", "x"},
        {"live", "A-Z_a.z~09", "live/A-Z_a.z~09", "A-Z_a.z~09"},
        {"live/inst", "x", "live/inst/x", "x"},
        {"live/", "x", "live/x", "x"},
        {"live?vhost=a.example", "x", "live/x", "x"},
        {"live/?vhost=a/b", "x", "live/x", "x"},
        {"live/inst/", "x", "live/inst/x", "x"},
        {"live", "x?token=a/b&c=d", "live/x", "x"},
        {"live", "x..y", "live/x..y", "x..y"},
        {"live", "caf\xc3\xa9", "live/caf\xc3\xa9", "caf\xc3\xa9"},
        {"\xe7\x9b\xb4\xe6\x92\xad", "\xe4\xb8\xad", "\xe7\x9b\xb4\xe6\x92\xad/\xe4\xb8\xad",
         "\xe4\xb8\xad"},
        {"live", "\xd0\x96\xd7\x90\xd8\xa7\xea\xb0\x80",
         "live/\xd0\x96\xd7\x90\xd8\xa7\xea\xb0\x80", "\xd0\x96\xd7\x90\xd8\xa7\xea\xb0\x80"},
        {"live", "e\xcc\x81", "live/e\xcc\x81", "e\xcc\x81"}, /* combining mark */
        {"live", "\xf0\xa0\x80\x80", "live/\xf0\xa0\x80\x80", "\xf0\xa0\x80\x80"}, /* U+20000 */
        {"apis", "v1", "apis/v1", "v1"}, /* reserved as first app part only */
        {"live/api", "metrics", "live/api/metrics", "metrics"},
        {PART_128 "/" PART_128, PART_128, PART_128 "/" PART_128 "/" PART_128, PART_128},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_good / sizeof k_good[0]; i++) {
        struct stream_name got;
        const char *why = NULL;

        if (make(&got, k_good[i].app, k_good[i].name, &why) != E_OK)
            fail_msg("%s + %s: %s", k_good[i].app, k_good[i].name, why);
        assert_string_equal(got.text, k_good[i].text);
        assert_string_equal(stream_name_part(&got), k_good[i].part);
        assert_int_equal(got.app_bytes, strlen(got.text) - strlen(k_good[i].part) - 1);
    }
}

static void test_make_gives_invalid_with_the_rule_broken(void **state)
{
    static const struct {
        const char *app, *name, *why;
    } k_bad[] = {
        {"", "x", "the app name is empty"},
        {"?vhost=a", "x", "the app name is empty"},
        {"/", "x", "a part of the app name is empty"},
        {"/live", "x", "a part of the app name is empty"},
        {"live//", "x", "a part of the app name is empty"},
        {"live//inst", "x", "a part of the app name is empty"},
        {"a/b/c", "x", "the app name has more than two parts"},
        {"live", "", "the stream name is empty"},
        {"live", "?a=b", "the stream name is empty"},
        {"live", "a/b", "the stream name has more than one part"},
        {"live", "/x", "the stream name has more than one part"},
        {"live", "x/", "the stream name has more than one part"},
        {"live", "..", "a part of the name begins with a dot"},
        {"live", ".", "a part of the name begins with a dot"},
        {"live", ".x", "a part of the name begins with a dot"},
        {"..", "x", "a part of the name begins with a dot"},
        {"live/..", "x", "a part of the name begins with a dot"},
        {"live/.hidden", "x", "a part of the name begins with a dot"},
        {"live", PART_128 "9", "a part of the name is longer than 128 bytes"},
        {PART_128 "9", "x", "a part of the name is longer than 128 bytes"},
        {"a/" PART_128 "9", "x", "a part of the name is longer than 128 bytes"},
        {"v1", "x", "the app name is reserved"},
        {"api", "x", "the app name is reserved"},
        {"metrics", "x", "the app name is reserved"},
        {"healthz", "x", "the app name is reserved"},
        {"readyz", "x", "the app name is reserved"},
        {"console", "x", "the app name is reserved"},
        {"records", "x", "the app name is reserved"},
        {"api/", "x", "the app name is reserved"},
        {"api/v1", "streams", "the app name is reserved"},
        {"live", "\xff", "the name is not valid UTF-8"},
        {"live", "x\xc3", "the name is not valid UTF-8"},
        {"live", "\xc0\xae\xc0\xae", "the name is not valid UTF-8"}, /* ".." overlong */
        {"live", "\xed\xa0\x80", "the name is not valid UTF-8"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++) {
        struct stream_name got = {.text = "untouched"};
        const char *why = "";

        if (make(&got, k_bad[i].app, k_bad[i].name, &why) != E_INVAL)
            fail_msg("%s + %s was accepted", k_bad[i].app, k_bad[i].name);
        assert_string_equal(why, k_bad[i].why);
        assert_string_equal(got.text, "untouched");
    }
}

static void test_make_gives_invalid_for_every_ascii_byte_outside_the_set(void **state)
{
    static const char k_allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                    "._~-";

    (void)state;
    for (int c = 0; c < 0x80; c++) {
        const char text[] = {'a', (char)c, 'b'};
        struct buf_view view = buf_view_of(text, sizeof text);
        struct stream_name got;
        const char *why = NULL;
        enum err expected = c && strchr(k_allowed, c) ? E_OK : E_INVAL;

        if (c == '?')
            continue; /* begins the arguments, which are ignored */
        assert_int_equal(stream_name_make(&got, buf_view_str("live"), view, &why), expected);
        if (c != '/')
            assert_int_equal(stream_name_make(&got, view, buf_view_str("x"), &why), expected);
    }
}

static void test_make_gives_invalid_for_code_points_that_are_no_letters(void **state)
{
    static const char *const k_bad[] = {
        "\xc2\x85",         /* U+0085 next line */
        "\xc2\xa0",         /* U+00A0 no-break space */
        "\xc2\xa3",         /* pound sign */
        "\xc2\xad",         /* soft hyphen */
        "\xe2\x80\x8b",     /* zero width space */
        "\xe2\x80\xae",     /* right-to-left override */
        "\xe2\x81\xa6",     /* isolate */
        "\xe2\x81\x84",     /* fraction slash */
        "\xe2\x82\xac",     /* euro */
        "\xe2\x88\x95",     /* division slash */
        "\xe3\x80\x80",     /* ideographic space */
        "\xe3\x80\x8c",     /* corner bracket */
        "\xee\x80\x80",     /* private use */
        "\xef\xb7\x90",     /* noncharacter FDD0 */
        "\xef\xbb\xbf",     /* byte order mark */
        "\xef\xbc\x8e",     /* full-width full stop */
        "\xef\xbc\x8f",     /* full-width slash */
        "\xef\xbf\xbd",     /* replacement character: somebody lost the name */
        "\xef\xbf\xbf",     /* noncharacter FFFF */
        "\xf0\x9f\x98\x80", /* emoji */
        "\xf3\xa0\x80\xa0", /* tag space */
        "\xf4\x8f\xbf\xbf", /* U+10FFFF */
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++) {
        struct stream_name got;
        const char *why = NULL;

        if (make(&got, "live", k_bad[i], &why) != E_INVAL)
            fail_msg("case %zu was accepted", i);
        assert_string_equal(why, "only letters, digits and . _ ~ - are allowed in a name");
    }
}

static void test_make_gives_invalid_for_a_zero_byte(void **state)
{
    struct stream_name got;
    const char *why = NULL;

    (void)state;
    assert_int_equal(stream_name_make(&got, buf_view_str("live"), buf_view_of("x\0y", 3), &why),
                     E_INVAL);
    assert_int_equal(stream_name_make(&got, buf_view_of("\0", 1), buf_view_str("x"), &why),
                     E_INVAL);
    assert_int_equal(stream_name_make(&got, buf_view_of(NULL, 0), buf_view_of(NULL, 0), &why),
                     E_INVAL);
}

static void test_from_path_gives_name(void **state)
{
    struct stream_name got;
    const char *why = NULL;

    (void)state;
    assert_int_equal(from_path(&got, "/live/x", &why), E_OK);
    assert_string_equal(got.text, "live/x");
    assert_int_equal(got.app_bytes, 4);
    assert_int_equal(from_path(&got, "/live/inst/x", &why), E_OK);
    assert_string_equal(got.text, "live/inst/x");
    assert_string_equal(stream_name_part(&got), "x");
}

/* One resource has one path: what RTMP tolerates at the end of an app is refused here. */
static void test_from_path_gives_invalid(void **state)
{
    static const char *const k_bad[] = {
        "",           "/",          "//",       "///",       "x",         "live/x",
        "/live",      "/live/",     "//x",      "/live//x",  "//live/x",  "/a/b/c/x",
        "/live/../x", "/../live/x", "/live/..", "/live/x?y", "/live?a/x", "/api/x",
        "/v1/a/b",    "/live/ x",   "/live/x/", "/./x",      "/live\\x"};

    (void)state;
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++) {
        struct stream_name got = {.text = "untouched"};
        const char *why = NULL;

        if (from_path(&got, k_bad[i], &why) != E_INVAL)
            fail_msg("%s was accepted", k_bad[i]);
        assert_non_null(why);
        assert_string_equal(got.text, "untouched");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_make_gives_name),
        cmocka_unit_test(test_make_gives_invalid_with_the_rule_broken),
        cmocka_unit_test(test_make_gives_invalid_for_every_ascii_byte_outside_the_set),
        cmocka_unit_test(test_make_gives_invalid_for_code_points_that_are_no_letters),
        cmocka_unit_test(test_make_gives_invalid_for_a_zero_byte),
        cmocka_unit_test(test_from_path_gives_name),
        cmocka_unit_test(test_from_path_gives_invalid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
