/* Names of segments, parts and init sections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/hls/hls.h"

static const struct {
    const char *text;
    struct hls_name name;
} k_names[] = {
    {"s0-0.ts", {HLS_SEGMENT, HLS_TS, 0, 0, 0, HLS_ALL_TRACKS}},
    {"s1700000000000000-12.m4s", {HLS_SEGMENT, HLS_FMP4, 1700000000000000, 12, 0, HLS_ALL_TRACKS}},
    {"s7-12.0.ts", {HLS_PART, HLS_TS, 7, 12, 0, HLS_ALL_TRACKS}},
    {"s7-12.4294967295.m4s", {HLS_PART, HLS_FMP4, 7, 12, UINT32_MAX, HLS_ALL_TRACKS}},
    {"s18446744073709551615-18446744073709551615.4294967295.m4s",
     {HLS_PART, HLS_FMP4, UINT64_MAX, UINT64_MAX, UINT32_MAX, HLS_ALL_TRACKS}},
    {"i7-3.mp4", {HLS_INIT, HLS_FMP4, 7, 3, 0, HLS_ALL_TRACKS}},
    {"sa7-12.m4s", {HLS_SEGMENT, HLS_FMP4, 7, 12, 0, HLS_ONLY_AUDIO}},
    {"sv7-12.4.m4s", {HLS_PART, HLS_FMP4, 7, 12, 4, HLS_ONLY_VIDEO}},
    {"sv18446744073709551615-18446744073709551615.4294967295.m4s",
     {HLS_PART, HLS_FMP4, UINT64_MAX, UINT64_MAX, UINT32_MAX, HLS_ONLY_VIDEO}},
    {"sv7-12.ts", {HLS_SEGMENT, HLS_TS, 7, 12, 0, HLS_ONLY_VIDEO}},
    {"ia7-3.mp4", {HLS_INIT, HLS_FMP4, 7, 3, 0, HLS_ONLY_AUDIO}},
};

static void test_parse_name_gives_what_format_name_was_given(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_names / sizeof k_names[0]; i++) {
        const struct hls_name *want = &k_names[i].name;
        struct hls_name got;
        char text[HLS_NAME_SIZE];

        hls_format_name(want, text);
        assert_string_equal(text, k_names[i].text);
        assert_int_equal(hls_parse_name(buf_view_str(text), &got), E_OK);
        assert_true(got.kind == want->kind && got.container == want->container &&
                    got.run == want->run && got.number == want->number && got.part == want->part &&
                    got.only == want->only);
    }
}

static const char *const k_others[] = {
    "",
    "s",
    "sa",
    "sav1-2.ts",
    "sb1-2.ts",
    "as1-2.ts",
    "sA1-2.ts",
    "s1a-2.ts",
    "s1",
    "s1-",
    "s1-2",
    "s1-2.",
    "s1-2.ts ",
    " s1-2.ts",
    "s1-2.TS",
    "S1-2.ts",
    "s1-2.mp4",
    "s-2.ts",
    "s1-.ts",
    "s01-2.ts",
    "s1-02.ts",
    "s1-2.03.ts",
    "s1-2.3.mp4",
    "s1-2.3",
    "s1-2.3.",
    "s1-2.3.4.ts",
    "s1-2..ts",
    "s+1-2.ts",
    "s1--2.ts",
    "s1-2.3.ts/x",
    "i1-2.ts",
    "i1-2.m4s",
    "i1-2.3.mp4",
    "i1-2",
    "x1-2.ts",
    "s1-2.4294967296.ts",
    "s1_2.ts",
    "s18446744073709551616-1.ts",
    "s1-18446744073709551616.ts",
    "s1-99999999999999999999999.ts",
};

static void test_parse_name_refuses_all_that_format_name_does_not_write(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_others / sizeof k_others[0]; i++) {
        struct hls_name name;

        if (hls_parse_name(buf_view_str(k_others[i]), &name) != E_INVAL)
            fail_msg("\"%s\" is a name", k_others[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_name_gives_what_format_name_was_given),
        cmocka_unit_test(test_parse_name_refuses_all_that_format_name_does_not_write),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
