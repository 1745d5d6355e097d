/* Bits and Exp-Golomb codes. */
#include "tests/unit/proto/codec/codec_test.h"

#include "proto/codec/bits.h"

static void test_read_gives_the_same_bits_in_every_step(void **state)
{
    static const uint8_t k_bytes[] = {0x12, 0x34, 0x56, 0x78};

    (void)state;
    for (unsigned step = 1; step <= 32; step++) {
        struct bit_reader r = bit_reader_from(VIEW(k_bytes));
        uint32_t value = 0;

        for (unsigned at = 0; at < 32; at += step) {
            unsigned n = 32 - at < step ? 32 - at : step;
            uint32_t part = bit_read(&r, n);

            value = n == 32 ? part : value << n | part;
        }
        assert_int_equal(value, 0x12345678);
        assert_false(bit_overrun(&r));
        assert_int_equal(bit_left(&r), 0);
        assert_int_equal(bit_read(&r, 1), 0);
        assert_true(bit_overrun(&r));
    }
}

static void test_read_gives_0_for_good_after_an_overrun(void **state)
{
    static const uint8_t k_bytes[] = {0xff, 0xff};
    struct bit_reader r = bit_reader_from(VIEW(k_bytes));

    (void)state;
    assert_int_equal(bit_read(&r, 17), 0);
    assert_int_equal(bit_read(&r, 1), 0);
    assert_int_equal(bit_read_ue(&r), 0);
    bit_skip(&r, 1u << 30);
    assert_true(bit_overrun(&r));
}

static void test_read_ue_gives_numbers_of_table_9_2(void **state)
{
    static const uint8_t k_codes[] = {0xa6, 0x42, 0x98, 0xe2, 0x04, 0x8a};
    /* 1 010 011 00100 00101 00110 00111 0001000 0001001 0001010 */
    struct bit_reader r = bit_reader_from(VIEW(k_codes));

    (void)state;
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(bit_read_ue(&r), i);
}

static void test_read_se_gives_numbers_of_table_9_3(void **state)
{
    static const uint8_t k_codes[] = {0xa6, 0x42, 0x98, 0xe2, 0x04, 0x8a};
    static const int32_t k_values[] = {0, 1, -1, 2, -2, 3, -3, 4, -4, 5};
    struct bit_reader r = bit_reader_from(VIEW(k_codes));

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(k_values); i++)
        assert_int_equal(bit_read_se(&r), k_values[i]);
}

static void test_read_ue_gives_overrun_for_endless_zeros(void **state)
{
    static const uint8_t k_zeros[16];
    struct bit_reader r = bit_reader_from(VIEW(k_zeros));

    (void)state;
    assert_int_equal(bit_read_ue(&r), 0);
    assert_true(bit_overrun(&r));
}

static void test_read_leaves_out_emulation_prevention_when_asked(void **state)
{
    static const uint8_t k_bytes[] = {0, 0, 3, 1, 0, 0, 3, 0, 0, 3, 3, 0, 3, 1, 0, 0, 3, 0, 3};
    static const uint8_t k_plain[] = {0, 0, 1, 0, 0, 0, 0, 3, 0, 3, 1, 0, 0, 0, 3};
    struct bit_reader nal = bit_reader_from_nal(VIEW(k_bytes));
    struct bit_reader raw = bit_reader_from(VIEW(k_bytes));

    (void)state;
    for (size_t i = 0; i < sizeof k_plain; i++)
        assert_int_equal(bit_read(&nal, 8), k_plain[i]);
    assert_int_equal(bit_left(&nal), 0);
    for (size_t i = 0; i < sizeof k_bytes; i++)
        assert_int_equal(bit_read(&raw, 8), k_bytes[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_gives_the_same_bits_in_every_step),
        cmocka_unit_test(test_read_gives_0_for_good_after_an_overrun),
        cmocka_unit_test(test_read_ue_gives_numbers_of_table_9_2),
        cmocka_unit_test(test_read_se_gives_numbers_of_table_9_3),
        cmocka_unit_test(test_read_ue_gives_overrun_for_endless_zeros),
        cmocka_unit_test(test_read_leaves_out_emulation_prevention_when_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
