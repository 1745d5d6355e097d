/* common/base/siphash: known answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/base/siphash.h"

static void test_siphash13_gives_known_answers(void **state)
{
    /* key 0, message 00 01 02 ...: what CPython 3.11 gives as hash() of bytes, hash seed 0 */
    static const struct {
        size_t size_bytes;
        uint64_t hash;
    } k_answers[] = {
        {1, 0x68a914128e01e473},  {7, 0x2f098ab0c751325a},  {8, 0xead411e67ebe2eea},
        {9, 0x75927f9d95124362},  {15, 0xf30eb725bb91c9ea}, {16, 0x8972188433a5c5b7},
        {63, 0x385d3e39e5f37359},
    };
    const uint64_t key[2] = {0, 0};

    (void)state;
    for (size_t i = 0; i < sizeof k_answers / sizeof k_answers[0]; i++) {
        uint8_t *message = malloc(k_answers[i].size_bytes);

        assert_non_null(message);
        for (size_t j = 0; j < k_answers[i].size_bytes; j++)
            message[j] = (uint8_t)j;
        assert_true(siphash13(key, message, k_answers[i].size_bytes) == k_answers[i].hash);
        free(message);
    }
}

static void test_siphash13_gives_known_answer_for_the_paper_key_and_no_bytes(void **state)
{
    /* key bytes 00 01 .. 0f; result bytes dc c4 0f 05 58 01 ac ab */
    const uint64_t key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};

    (void)state;
    assert_true(siphash13(key, NULL, 0) == 0xabac0158050fc4dc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_siphash13_gives_known_answers),
        cmocka_unit_test(test_siphash13_gives_known_answer_for_the_paper_key_and_no_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
