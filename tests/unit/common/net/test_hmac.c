/* HMAC-SHA256 against the vectors of RFC 4231. */
#include "common/net/hmac.h"

#include <string.h>

#include "net_test.h"

static const struct {
    const char *key;
    const char *data;
    const char *mac;
} k_vectors[] = {
    /* section 4.2 */
    {"\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b", "Hi There",
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    /* section 4.3 */
    {"Jefe", "what do ya want for nothing?",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
};

static void test_hex_gives_vectors_for_every_split(void **state)
{
    char out[HMAC_SHA256_HEX_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof k_vectors / sizeof k_vectors[0]; i++) {
        size_t size = strlen(k_vectors[i].data);

        for (size_t at = 0; at <= size; at++) {
            struct buf_view parts[2] = {buf_view_of(k_vectors[i].data, at),
                                        buf_view_of(k_vectors[i].data + at, size - at)};

            assert_int_equal(hmac_sha256_hex(buf_view_str(k_vectors[i].key), parts, 2, out), E_OK);
            assert_string_equal(out, k_vectors[i].mac);
        }
    }
}

static void test_hex_gives_mac_when_nothing_is_in_key_and_text(void **state)
{
    char out[HMAC_SHA256_HEX_SIZE];

    (void)state;
    assert_int_equal(hmac_sha256_hex(buf_view_of(NULL, 0), NULL, 0, out), E_OK);
    assert_string_equal(out, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hex_gives_vectors_for_every_split),
        cmocka_unit_test(test_hex_gives_mac_when_nothing_is_in_key_and_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
