/* Signed URLs. The first vector was made by hand:
 *   printf 'headwater-url-v1\nplay\nlive/a\n1767225600\n10.0.0.0/8\n2026a\n' |
 *   openssl dgst -sha256 -hmac secret-secret-secret-1 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/access/sign.h"

#define EXPIRES_S 1767225600

static struct sign_keys keys;
static const struct sign_claim k_good = {.action = "play",
                                         .stream = "live/a",
                                         .expires = "1767225600",
                                         .net = "10.0.0.0/8",
                                         .key = "2026a",
                                         .sign = "Ngidlg3fK6ReTvlLIfeO15oImIETMjE_cpm8mytglQI"};

static int set_up(void **state)
{
    static const char k_text[] = "# keys\n\n2026a secret-secret-secret-1\r\n"
                                 "  2026b\tsecret-secret-secret-2  \n";
    const char *why = "";

    (void)state;
    return sign_keys_parse(buf_view_str(k_text), &keys, &why) == E_OK && keys.n == 2 ? 0 : -1;
}

static enum err check(const struct sign_claim *claim, int64_t now_s)
{
    const char *why = "";

    return sign_check(&keys, claim, now_s, &why);
}

static void test_check_takes_both_writings_up_to_the_expiry(void **state)
{
    struct sign_claim claim = k_good;
    uint8_t mac[SHA256_BYTES];
    size_t n;

    (void)state;
    assert_int_equal(check(&claim, 0), E_OK);
    assert_int_equal(check(&claim, EXPIRES_S - 1), E_OK);
    assert_int_equal(check(&claim, EXPIRES_S), E_DENIED);
    assert_int_equal(base64_read(buf_view_str(claim.sign), mac, sizeof mac, &n), E_OK);
    hex_write(mac, sizeof mac, claim.sign);
    assert_int_equal(check(&claim, 0), E_OK);
    for (char *c = claim.sign; *c; c++)
        *c = (char)(*c >= 'a' ? *c - 32 : *c);
    assert_int_equal(check(&claim, 0), E_OK);
}

static void test_check_refuses_when_any_part_is_another_one(void **state)
{
    struct sign_claim wrong[8];

    (void)state;
    for (size_t i = 0; i < 8; i++)
        wrong[i] = k_good;
    wrong[0].action = "publish";
    wrong[1].stream = "live/b";
    strcpy(wrong[2].expires, "1767225601");
    strcpy(wrong[3].net, "");
    strcpy(wrong[4].net, "0.0.0.0/0");
    strcpy(wrong[5].key, "2026b");
    strcpy(wrong[6].key, ""); /* signed with the id */
    wrong[7].sign[0] = 'O';
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(check(&wrong[i], 0), E_DENIED);
    wrong[0] = k_good;
    for (size_t size = 0; size < strlen(k_good.sign); size++) {
        wrong[0].sign[size] = '\0';
        assert_int_equal(check(&wrong[0], 0), E_DENIED);
        strcpy(wrong[0].sign, k_good.sign);
    }
}

static void test_check_refuses_an_expiry_that_is_no_number_though_it_is_signed(void **state)
{
    static const char *const k_expiries[] = {"",    "-1",    "+1",
                                             "1e9", "never", "99999999999999999999"};

    (void)state;
    for (size_t i = 0; i < sizeof k_expiries / sizeof k_expiries[0]; i++) {
        struct sign_claim claim = k_good;
        struct buf_writer query;

        snprintf(claim.expires, sizeof claim.expires, "%s", k_expiries[i]);
        buf_writer_init(&query, 1024);
        assert_int_equal(sign_write_query(&keys.keys[0], &claim, &query), E_OK);
        snprintf(claim.sign, sizeof claim.sign, "%s",
                 strstr((const char *)query.data, "hw_sign=") + strlen("hw_sign="));
        buf_writer_fini(&query);
        assert_int_equal(check(&claim, 0), E_DENIED);
    }
}

static void test_write_query_gives_what_check_takes_for_every_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < keys.n; i++) {
        struct sign_claim claim = k_good;
        struct buf_writer query;
        const char *text;

        buf_writer_init(&query, 1024);
        assert_int_equal(sign_write_query(&keys.keys[i], &claim, &query), E_OK);
        text = (const char *)query.data;
        assert_ptr_equal(strstr(text, "hw_expires=1767225600&hw_net=10.0.0.0/8&hw_key="), text);
        strcpy(claim.key, keys.keys[i].id);
        strcpy(claim.sign, strstr(text, "hw_sign=") + strlen("hw_sign="));
        assert_int_equal(check(&claim, 0), E_OK);
        buf_writer_fini(&query);
    }
}

/* A key that was taken away is worth nothing, one that stays is. */
static void test_check_follows_rotation(void **state)
{
    static const char k_fresh[] = "2026b secret-secret-secret-2\n2026c secret-secret-secret-3\n";
    struct sign_keys before = keys;
    const char *why;

    (void)state;
    assert_int_equal(sign_keys_parse(buf_view_str(k_fresh), &keys, &why), E_OK);
    assert_int_equal(check(&k_good, 0), E_DENIED);
    keys = before;
    assert_int_equal(check(&k_good, 0), E_OK);
}

static void test_keys_parse_refuses_what_is_no_key(void **state)
{
    static const char *const k_texts[] = {
        "",
        "# nothing\n",
        "a\n",
        "a short\n",
        "a/b secret-secret-secret-1\n",
        "a secret-secret-secret-1\na secret-secret-secret-2\n",
        "1 0123456789abcdef\n2 0123456789abcdef\n3 0123456789abcdef\n4 0123456789abcdef\n"
        "5 0123456789abcdef\n6 0123456789abcdef\n7 0123456789abcdef\n8 0123456789abcdef\n"
        "9 0123456789abcdef\n"};

    (void)state;
    for (size_t i = 0; i < sizeof k_texts / sizeof k_texts[0]; i++) {
        struct sign_keys parsed = {.n = 77};
        const char *why = "";

        assert_int_equal(sign_keys_parse(buf_view_str(k_texts[i]), &parsed, &why), E_INVAL);
        assert_true(why[0] && parsed.n == 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_takes_both_writings_up_to_the_expiry),
        cmocka_unit_test(test_check_refuses_when_any_part_is_another_one),
        cmocka_unit_test(test_check_refuses_an_expiry_that_is_no_number_though_it_is_signed),
        cmocka_unit_test(test_write_query_gives_what_check_takes_for_every_key),
        cmocka_unit_test(test_check_follows_rotation),
        cmocka_unit_test(test_keys_parse_refuses_what_is_no_key),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
