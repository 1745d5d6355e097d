/* common/base/buf: views, the reader's overrun, the writer's ceiling, patching. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/common/limited_alloc.h"
#include "common/base/buf.c"
#include "tests/unit/common/limited_alloc_end.h"

static const uint8_t k_bytes[] = {
    0x01,                                           /* u8 1 */
    0x02, 0x03,                                     /* u16be 0x0203 */
    0x04, 0x05, 0x06,                               /* u24be 0x040506 */
    0x87, 0x08, 0x09, 0x0a,                         /* u32be 0x8708090a */
    0x0b, 0x0c, 0x0d, 0x8e,                         /* u32le 0x8e0d0c0b */
    0xf1, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, /* u64be */
    0xc0, 0x45, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, /* IEEE 754: -42.5 */
};

static void test_view_equals_gives_true_only_for_same_bytes(void **state)
{
    (void)state;
    assert_true(buf_view_equals(buf_view_str("live"), "live"));
    assert_false(buf_view_equals(buf_view_str("live"), "liv"));
    assert_false(buf_view_equals(buf_view_str("live"), "lives"));
    assert_false(buf_view_equals(buf_view_str("live"), "Live"));
    assert_false(buf_view_equals(buf_view_of("li\0e", 4), "live"));
    assert_true(buf_view_equals(buf_view_of(NULL, 0), ""));
    assert_true(buf_view_equals_nocase(buf_view_str("Content-LENGTH"), "content-length"));
    assert_false(buf_view_equals_nocase(buf_view_str("Content-Lengt"), "content-length"));
    assert_false(buf_view_equals_nocase(buf_view_of("a\0b", 3), "a"));
    assert_false(buf_view_equals_nocase(buf_view_of("a\0b", 3), "axb"));
    assert_true(buf_view_equals_nocase(buf_view_of(NULL, 0), ""));
}

static void test_view_to_str_gives_false_when_too_long_or_with_zero(void **state)
{
    char text[5] = "????";

    (void)state;
    assert_true(buf_view_to_str(buf_view_str("abcd"), text, sizeof text));
    assert_string_equal(text, "abcd");
    assert_false(buf_view_to_str(buf_view_str("abcde"), text, sizeof text));
    assert_string_equal(text, "");
    assert_false(buf_view_to_str(buf_view_of("a\0b", 3), text, sizeof text));
    assert_string_equal(text, "");
    assert_true(buf_view_to_str(buf_view_of(NULL, 0), text, sizeof text));
    assert_string_equal(text, "");
    assert_false(buf_view_to_str(buf_view_str("a"), text, 0));
}

static void test_read_gives_each_type(void **state)
{
    struct buf_reader in = buf_reader_from(buf_view_of(k_bytes, sizeof k_bytes));

    (void)state;
    assert_int_equal(buf_read_u8(&in), 1);
    assert_int_equal(buf_read_u16be(&in), 0x0203);
    assert_int_equal(buf_read_u24be(&in), 0x040506);
    assert_int_equal(buf_read_u32be(&in), 0x8708090a);
    assert_int_equal(buf_read_u32le(&in), 0x8e0d0c0b);
    assert_true(buf_read_u64be(&in) == 0xf102030405060708);
    assert_true(buf_read_f64be(&in) == -42.5);
    assert_int_equal(in.left_bytes, 0);
    assert_false(in.overrun);
}

/* Reads all of k_bytes's types; the sum of what came. */
static uint64_t read_all(struct buf_reader *in)
{
    uint64_t sum = buf_read_u8(in);

    sum += buf_read_u16be(in);
    sum += buf_read_u24be(in);
    sum += buf_read_u32be(in);
    sum += buf_read_u32le(in);
    sum += buf_read_u64be(in);
    return sum;
}

static void test_read_sets_overrun_for_good_for_every_short_length(void **state)
{
    const size_t full = 22;

    (void)state;
    for (size_t size = 0; size < full; size++) {
        uint8_t *heap = malloc(size ? size : 1); /* exact size: a sanitizer sees one byte too far */
        struct buf_reader in;

        assert_non_null(heap);
        memcpy(heap, k_bytes, size);
        in = buf_reader_from(buf_view_of(heap, size));
        read_all(&in);
        assert_true(in.overrun);
        /* nothing comes any more, not even what would fit */
        assert_int_equal(buf_read_u8(&in), 0);
        assert_null(buf_take(&in, 0).data);
        assert_int_equal(buf_take(&in, 0).size_bytes, 0);
        free(heap);
    }
}

static void test_take_lends_and_moves(void **state)
{
    struct buf_reader in = buf_reader_from(buf_view_of(k_bytes, 5));
    struct buf_view view = buf_take(&in, 2);

    (void)state;
    assert_ptr_equal(view.data, k_bytes);
    assert_int_equal(view.size_bytes, 2);
    assert_ptr_equal(buf_rest(&in).data, k_bytes + 2);
    assert_int_equal(buf_rest(&in).size_bytes, 3);
    view = buf_take(&in, SIZE_MAX);
    assert_null(view.data);
    assert_true(in.overrun);
}

static void test_take_gives_empty_view_when_reader_is_null(void **state)
{
    struct buf_reader in = buf_reader_from(buf_view_of(NULL, 0));

    (void)state;
    assert_int_equal(buf_take(&in, 0).size_bytes, 0);
    assert_false(in.overrun);
    assert_int_equal(buf_read_u8(&in), 0);
    assert_true(in.overrun);
}

static void test_write_gives_bytes_that_read_back(void **state)
{
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 100);
    buf_write_u8(&w, 1);
    buf_write_u16be(&w, 0x0203);
    buf_write_u24be(&w, 0x040506);
    buf_write_u32be(&w, 0x8708090a);
    buf_write_u32be(&w, 0x0b0c0d8e); /* the four that are read as u32le */
    buf_write_u64be(&w, 0xf102030405060708);
    buf_write_f64be(&w, -42.5);
    assert_int_equal(buf_writer_status(&w), E_OK);
    assert_int_equal(w.used_bytes, sizeof k_bytes);
    assert_memory_equal(w.data, k_bytes, sizeof k_bytes);
    buf_writer_fini(&w);
}

static void test_write_gives_too_big_above_ceiling_and_keeps_content(void **state)
{
    (void)state;
    /* ceilings below, at and above the first allocation, and a ceiling that is no power of two */
    for (size_t max = 0; max <= 1030; max += max < 20 ? 1 : 101) {
        struct buf_writer w;

        buf_writer_init(&w, max);
        for (size_t i = 0; i < max; i++)
            buf_write_u8(&w, (unsigned)i);
        assert_int_equal(buf_writer_status(&w), E_OK);
        assert_int_equal(w.used_bytes, max);
        buf_write_u8(&w, 0xff);
        assert_int_equal(buf_writer_status(&w), E_TOO_BIG);
        assert_int_equal(w.used_bytes, max);
        for (size_t i = 0; i < max; i++)
            assert_int_equal(w.data[i], i & 0xff);
        buf_writer_fini(&w);
    }
}

static void test_write_stays_failed_until_cleared(void **state)
{
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 4);
    buf_write_str(&w, "ab");
    buf_write_str(&w, "cde"); /* does not fit */
    buf_write_str(&w, "c");   /* would, but the content would have a hole */
    assert_null(buf_writer_reserve(&w, 1));
    assert_int_equal(buf_writer_status(&w), E_TOO_BIG);
    assert_true(buf_view_equals(buf_writer_view(&w), "ab"));
    buf_writer_clear(&w);
    buf_write_str(&w, "wxyz");
    assert_int_equal(buf_writer_status(&w), E_OK);
    assert_true(buf_view_equals(buf_writer_view(&w), "wxyz"));
    buf_writer_fini(&w);
    assert_null(w.data);
}

static void test_reserve_gives_null_when_size_overflows(void **state)
{
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, SIZE_MAX);
    buf_write_str(&w, "abc");
    assert_null(buf_writer_reserve(&w, SIZE_MAX - 1));
    assert_int_equal(buf_writer_status(&w), E_TOO_BIG);
    buf_writer_clear(&w);
    assert_null(buf_writer_reserve(&w, SIZE_MAX));
    assert_int_equal(buf_writer_status(&w), E_NOMEM);
    buf_writer_fini(&w);
}

static void test_write_gives_nomem_and_keeps_content_when_memory_ends(void **state)
{
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 100000);
    buf_write_str(&w, "abc");
    allocations_left = 0;
    assert_null(buf_writer_reserve(&w, 5000));
    allocations_left = -1;
    assert_int_equal(buf_writer_status(&w), E_NOMEM);
    buf_write_str(&w, "def"); /* would fit, but the content would have a hole */
    assert_true(buf_view_equals(buf_writer_view(&w), "abc"));
    buf_writer_clear(&w);
    assert_non_null(buf_writer_reserve(&w, 5000));
    buf_writer_fini(&w);
}

static void test_consume_drops_the_front(void **state)
{
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 100);
    buf_writer_consume(&w, 1); /* nothing there yet */
    buf_write_str(&w, "abcdef");
    buf_writer_consume(&w, 0);
    buf_writer_consume(&w, 2);
    assert_true(buf_view_equals(buf_writer_view(&w), "cdef"));
    buf_writer_consume(&w, 5);
    assert_int_equal(w.used_bytes, 0);
    buf_writer_fini(&w);
}

static void test_printf_gives_text_up_to_the_ceiling(void **state)
{
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 10);
    buf_printf(&w, "%s=%d", "abcde", 1234); /* all 10 bytes: the zero is not content */
    assert_int_equal(buf_writer_status(&w), E_OK);
    assert_true(buf_view_equals(buf_writer_view(&w), "abcde=1234"));
    buf_printf(&w, "%s", "");
    assert_int_equal(buf_writer_status(&w), E_OK);
    buf_printf(&w, "x");
    assert_int_equal(buf_writer_status(&w), E_TOO_BIG);
    assert_true(buf_view_equals(buf_writer_view(&w), "abcde=1234"));
    buf_writer_fini(&w);
}

static void test_write_decimal_gives_digits_without_zeros_in_front(void **state)
{
    static const struct {
        uint64_t value;
        const char *text;
    } k_cases[] = {{0, "0"},
                   {7, "7"},
                   {10, "10"},
                   {206, "206"},
                   {18446744073709551615u, "18446744073709551615"}};

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        struct buf_writer w;

        buf_writer_init(&w, 20);
        buf_write_decimal(&w, k_cases[i].value);
        assert_true(buf_view_equals(buf_writer_view(&w), k_cases[i].text));
        buf_writer_fini(&w);
    }
}

static void test_patch_overwrites_in_place(void **state)
{
    static const uint8_t k_expected[] = {'a', 4, 5, 6, 7, 'b'};
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 100);
    buf_write_str(&w, "a----b");
    buf_patch_u32be(&w, 1, 0x04050607);
    assert_int_equal(w.used_bytes, sizeof k_expected);
    assert_memory_equal(w.data, k_expected, sizeof k_expected);
    buf_writer_fini(&w);
}

static void test_patch_does_nothing_when_a_write_failed(void **state)
{
    struct buf_writer w;

    (void)state;
    buf_writer_init(&w, 6);
    buf_write_str(&w, "abcd");
    buf_write_u32be(&w, 0);
    buf_patch_u32be(&w, 4, 1); /* the place was never written; the status tells */
    assert_true(buf_view_equals(buf_writer_view(&w), "abcd"));
    buf_writer_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_view_equals_gives_true_only_for_same_bytes),
        cmocka_unit_test(test_view_to_str_gives_false_when_too_long_or_with_zero),
        cmocka_unit_test(test_read_gives_each_type),
        cmocka_unit_test(test_read_sets_overrun_for_good_for_every_short_length),
        cmocka_unit_test(test_take_lends_and_moves),
        cmocka_unit_test(test_take_gives_empty_view_when_reader_is_null),
        cmocka_unit_test(test_write_gives_bytes_that_read_back),
        cmocka_unit_test(test_write_gives_too_big_above_ceiling_and_keeps_content),
        cmocka_unit_test(test_write_stays_failed_until_cleared),
        cmocka_unit_test(test_reserve_gives_null_when_size_overflows),
        cmocka_unit_test(test_write_gives_nomem_and_keeps_content_when_memory_ends),
        cmocka_unit_test(test_consume_drops_the_front),
        cmocka_unit_test(test_printf_gives_text_up_to_the_ceiling),
        cmocka_unit_test(test_write_decimal_gives_digits_without_zeros_in_front),
        cmocka_unit_test(test_patch_overwrites_in_place),
        cmocka_unit_test(test_patch_does_nothing_when_a_write_failed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
