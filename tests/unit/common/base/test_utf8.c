/* common/base/utf8: every code point, and every way not to be UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/base/utf8.h"

/* Encodes by RFC 3629, section 3; the number of bytes. */
static size_t encode(uint32_t c, uint8_t out[4])
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xc0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xe0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}

static void test_read_gives_back_every_code_point_but_surrogates(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        uint8_t bytes[4];
        size_t size = encode(c, bytes);
        struct buf_reader in = buf_reader_from(buf_view_of(bytes, size));
        uint32_t got = 1;

        if (c >= 0xd800 && c <= 0xdfff) {
            assert_int_equal(utf8_read(&in, &got), E_INVAL);
            continue;
        }
        if (utf8_read(&in, &got) != E_OK || got != c || in.left_bytes != 0)
            fail_msg("U+%04X came back as U+%04X, %zu bytes left", c, got, in.left_bytes);
    }
}

static void test_read_gives_invalid_and_stays_when_not_utf8(void **state)
{
    static const char *const k_bad[] = {
        "\x80",             /* continuation without a lead */
        "\xc3",             /* lead at the end */
        "\xc3(",            /* lead without continuation */
        "\xe2\x82",         /* three bytes cut to two */
        "\xf0\x9f\x98",     /* four cut to three */
        "\xc0\xaf",         /* "/" overlong */
        "\xc1\xbf",         /* overlong */
        "\xe0\x80\xaf",     /* "/" overlong in three */
        "\xf0\x80\x80\xaf", /* in four */
        "\xed\xa0\x80",     /* surrogate D800 */
        "\xed\xbf\xbf",     /* surrogate DFFF */
        "\xf4\x90\x80\x80", /* 110000 */
        "\xf8\x88\x80\x80\x80",
        "\xfe",
        "\xff",
    };

    (void)state;
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++) {
        struct buf_reader in = buf_reader_from(buf_view_str(k_bad[i]));
        uint32_t got = 77;

        assert_int_equal(utf8_read(&in, &got), E_INVAL);
        assert_int_equal(got, 77);
        assert_int_equal(in.left_bytes, strlen(k_bad[i]));
        assert_false(in.overrun);
    }
}

static void test_read_gives_end_when_nothing_is_left(void **state)
{
    struct buf_reader in = buf_reader_from(buf_view_str("a"));
    uint32_t got = 0;

    (void)state;
    assert_int_equal(utf8_read(&in, &got), E_OK);
    assert_int_equal(utf8_read(&in, &got), E_END);
    assert_int_equal(got, 'a');
}

static void test_is_visible_gives_false_for_what_hides(void **state)
{
    static const uint32_t k_hidden[] = {0,      '\n',    0x1b,    ' ',     0x7f,    0x85,
                                        0xa0,   0xad,    0x200b,  0x200f,  0x202e,  0x2066,
                                        0x2069, 0x3000,  0xe000,  0xfeff,  0xfffe,  0xffff,
                                        0xfdd0, 0x1fffe, 0xe0041, 0xf0000, 0x10ffff};
    static const uint32_t k_shown[] = {'a', '"', 0xa1, 0xe9, 0x416, 0x5d0, 0x4e2d, 0xac00, 0x1f600};

    (void)state;
    for (size_t i = 0; i < sizeof k_hidden / sizeof k_hidden[0]; i++)
        if (utf8_is_visible(k_hidden[i]))
            fail_msg("U+%04X", k_hidden[i]);
    for (size_t i = 0; i < sizeof k_shown / sizeof k_shown[0]; i++)
        if (!utf8_is_visible(k_shown[i]))
            fail_msg("U+%04X", k_shown[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_gives_back_every_code_point_but_surrogates),
        cmocka_unit_test(test_read_gives_invalid_and_stays_when_not_utf8),
        cmocka_unit_test(test_read_gives_end_when_nothing_is_left),
        cmocka_unit_test(test_is_visible_gives_false_for_what_hides),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
