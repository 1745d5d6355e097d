/* Servers that ask publishers for a password. The responses were made with another program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "proto/rtmp/auth.h"

#define REJECT "[ AccessManager.Reject ] : "

static const uint8_t k_nonce[RTMP_AUTH_NONCE_BYTES] = {0x01, 0x23, 0xab, 0xcd};

static enum err answer(const char *description, char out[RTMP_AUTH_SIZE])
{
    return rtmp_auth_answer(buf_view_str(description), "bob", "secret", k_nonce, out);
}

static void test_answer_names_the_user_first(void **state)
{
    char out[RTMP_AUTH_SIZE];

    (void)state;
    assert_int_equal(answer(REJECT "[ code=403 need auth; authmod=adobe ] : ", out), E_OK);
    assert_string_equal(out, "authmod=adobe&user=bob");
}

static void test_answer_gives_the_response_to_a_challenge(void **state)
{
    char out[RTMP_AUTH_SIZE];

    (void)state;
    assert_int_equal(answer(REJECT "[ authmod=adobe ] : ?reason=needauth&user=bob&salt=s4lt&"
                                   "challenge=ch4l&opaque=0paque",
                            out),
                     E_OK);
    assert_string_equal(out, "authmod=adobe&user=bob&challenge=0123abcd&response="
                             "37i4EbFSvlZwqzNFFg/JHw==&opaque=0paque");
    assert_int_equal(answer(REJECT "[ authmod=adobe ] : ?reason=needauth&user=bob&salt=s4lt&"
                                   "challenge=ch4l",
                            out),
                     E_OK);
    assert_string_equal(
        out, "authmod=adobe&user=bob&challenge=0123abcd&response=95BTlkMu2YJQHQQEfH9wPg==");
}

static void test_answer_gives_the_error_when_there_is_nothing_to_say(void **state)
{
    static const struct {
        const char *description;
        enum err e;
    } k_rows[] = {
        {"", E_NOT_FOUND},
        {"no such app", E_NOT_FOUND},
        {"xauthmod=adobe", E_NOT_FOUND},
        {REJECT "[ code=403 need auth; authmod=llnw ]", E_UNSUPPORTED},
        {REJECT "[ authmod=adobe ] : ?reason=authfailed&opaque=x", E_DENIED},
        {REJECT "[ authmod=adobe ] : ?reason=nosuchuser", E_DENIED},
        {REJECT "[ authmod=adobe ] : ?reason=needauth&user=bob", E_PROTO},
        {REJECT "[ authmod=adobe ] : ?reason=needauth&salt=s", E_PROTO},
    };
    char out[RTMP_AUTH_SIZE] = "as it was";

    (void)state;
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        if (answer(k_rows[i].description, out) != k_rows[i].e)
            fail_msg("%s", k_rows[i].description);
        assert_string_equal(out, "as it was");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_names_the_user_first),
        cmocka_unit_test(test_answer_gives_the_response_to_a_challenge),
        cmocka_unit_test(test_answer_gives_the_error_when_there_is_nothing_to_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
