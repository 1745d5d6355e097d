/* Digests, lal_secret, stream keys, passwords. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/access/password.h"
#include "proto/access/stream_key.h"

/* --- digest.h --- */

static void test_base64_goes_both_ways_for_every_length(void **state)
{
    uint8_t data[64], back[64];
    char text[100];

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 37 + 11);
    for (size_t size = 0; size <= sizeof data; size++) {
        size_t n = 99;

        assert_true(base64url_write(buf_view_of(data, size), text, sizeof text));
        assert_null(strpbrk(text, "+/="));
        assert_int_equal(base64_read(buf_view_str(text), back, size, &n), E_OK);
        assert_int_equal(n, size);
        assert_memory_equal(back, data, size);
        if (size)
            assert_int_equal(base64_read(buf_view_str(text), back, size - 1, &n), E_TOO_BIG);
    }
}

static void test_base64_read_refuses_what_is_malformed(void **state)
{
    static const char *const k_texts[] = {"A", "AAAAA", "A!==", "AB", "AAB", "AA===", "=", "A A="};
    uint8_t out[16];
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof k_texts / sizeof k_texts[0]; i++)
        assert_int_equal(base64_read(buf_view_str(k_texts[i]), out, sizeof out, &n), E_INVAL);
    assert_int_equal(base64_read(buf_view_str("+/8="), out, sizeof out, &n), E_OK);
    assert_int_equal(n, 2);
}

/* RFC 4231, test case 2. */
static void test_hmac_is_that_of_rfc_4231(void **state)
{
    uint8_t mac[SHA256_BYTES], right[SHA256_BYTES];

    (void)state;
    assert_true(
        hex_read(buf_view_str("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
                 right, sizeof right));
    assert_true(digest_hmac_sha256(buf_view_str("Jefe"),
                                   buf_view_str("what do ya want for nothing?"), mac));
    assert_memory_equal(mac, right, sizeof mac);
}

/* --- stream_key.h --- */

/* The example of lal's own manual: key q191201771, stream test110. */
static void test_lal_secret_is_md5_of_key_and_name_in_either_case(void **state)
{
    (void)state;
    assert_true(lal_secret_is("700997e1595a06c9ffa60ebef79105b0", "q191201771", "test110"));
    assert_true(lal_secret_is("700997E1595A06C9FFA60EBEF79105B0", "q191201771", "test110"));
    assert_false(lal_secret_is("700997e1595a06c9ffa60ebef79105b1", "q191201771", "test110"));
    assert_false(lal_secret_is("700997e1595a06c9ffa60ebef79105b0", "q191201771", "test111"));
    assert_false(lal_secret_is("700997e1595a06c9ffa60ebef79105b", "q191201771", "test110"));
    assert_false(lal_secret_is("", "q191201771", "test110"));
    assert_false(lal_secret_is("d41d8cd98f00b204e9800998ecf8427e", "", "")); /* md5 of nothing */
}

static void test_stream_key_is_known_by_its_hash_alone(void **state)
{
    uint8_t random[STREAM_KEY_BYTES] = {1, 2, 3};
    char key[STREAM_KEY_SIZE], hash[SHA256_HEX_SIZE];

    (void)state;
    stream_key_format(random, key);
    assert_int_equal(strlen(key), STREAM_KEY_SIZE - 1);
    assert_true(stream_key_hash(key, hash));
    assert_null(strstr(hash, key));
    assert_true(stream_key_is(key, hash));
    key[3] ^= 1;
    assert_false(stream_key_is(key, hash));
}

/* --- password.h --- */

static const char k_users[] =
    "# "
    "users\n\nbob:scrypt$14$ohI33q5zc-YzcPLHKYeqsw$C3dytVmjCUuc-dd-Y6JhuLmxh5OheV_ibxZKrU0mWOw\r\n";

static void test_password_of_a_file_is_right_or_wrong(void **state)
{
    struct password_file *file = NULL;
    const struct password *bob;
    char why[200];

    (void)state;
    assert_int_equal(password_file_parse(buf_view_str(k_users), &file, why, sizeof why), E_OK);
    bob = password_find(file, "bob");
    assert_non_null(bob);
    assert_null(password_find(file, "eve"));
    assert_true(password_is(bob, "hunter22"));
    assert_false(password_is(bob, "hunter2"));
    assert_false(password_is(bob, ""));
    password_file_destroy(&file);
}

static void test_password_line_is_read_again(void **state)
{
    static const uint8_t k_salt[PASSWORD_SALT_BYTES] = {7};
    char line[PASSWORD_LINE_SIZE], why[200];
    struct password_file *file = NULL;

    (void)state;
    assert_int_equal(password_write_line("eve", "s\xc3\xbc\xc3\x9f: $", k_salt, line), E_OK);
    assert_int_equal(password_file_parse(buf_view_str(line), &file, why, sizeof why), E_OK);
    assert_true(password_is(password_find(file, "eve"), "s\xc3\xbc\xc3\x9f: $"));
    password_file_destroy(&file);
    assert_int_equal(password_write_line("a:b", "x", k_salt, line), E_INVAL);
    assert_int_equal(password_write_line("", "x", k_salt, line), E_INVAL);
    assert_int_equal(password_write_line("a", "", k_salt, line), E_INVAL);
}

static void test_password_file_parse_names_the_line_that_is_wrong(void **state)
{
    static const char *const k_texts[] = {"bob\n", "bob:plain\n", "bob:scrypt$14$AA$AA\n",
                                          ("bob:scrypt$99$ohI33q5zc-YzcPLHKYeqsw$C3dytVmjCUuc-dd-"
                                           "Y6JhuLmxh5OheV_ibxZKrU0mWOw\n")};

    (void)state;
    for (size_t i = 0; i < sizeof k_texts / sizeof k_texts[0]; i++) {
        struct password_file *file = NULL;
        char text[400], why[200] = "";

        snprintf(text, sizeof text, "# first\n%s", k_texts[i]);
        assert_int_equal(password_file_parse(buf_view_str(text), &file, why, sizeof why), E_INVAL);
        assert_non_null(strstr(why, "line 2"));
        assert_null(file);
    }
}

static void test_basic_parse_splits_at_the_first_colon(void **state)
{
    static const char *const k_bad[] = {
        "",           "Basic",    "Basic ",        "Bearer Ym9iOnB3",
        "Basic Ym9i", "Basic !!", "Basic Ym8AOnB3"}; /* no colon; a zero byte */
    char name[PASSWORD_NAME_SIZE], password[PASSWORD_SIZE];

    (void)state;
    assert_true(basic_parse("basic  Ym9iOnA6dw==", name, password));
    assert_string_equal(name, "bob");
    assert_string_equal(password, "p:w");
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++)
        assert_false(basic_parse(k_bad[i], name, password));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64_goes_both_ways_for_every_length),
        cmocka_unit_test(test_base64_read_refuses_what_is_malformed),
        cmocka_unit_test(test_hmac_is_that_of_rfc_4231),
        cmocka_unit_test(test_lal_secret_is_md5_of_key_and_name_in_either_case),
        cmocka_unit_test(test_stream_key_is_known_by_its_hash_alone),
        cmocka_unit_test(test_password_of_a_file_is_right_or_wrong),
        cmocka_unit_test(test_password_line_is_read_again),
        cmocka_unit_test(test_password_file_parse_names_the_line_that_is_wrong),
        cmocka_unit_test(test_basic_parse_splits_at_the_first_colon),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
