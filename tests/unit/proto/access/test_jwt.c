/* Tokens: which keys and algorithms hold, what claims must say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/access/jwt.h"
#include "tests/unit/proto/access/jwt_vectors.h"

static const struct jwt_policy k_policy = {"issuer", "headwater"};
static struct jwt_keys *keys;

static int set_up(void **state)
{
    char why[200];

    (void)state;
    return jwt_keys_parse(buf_view_str(k_jwks), &keys, why, sizeof why) == E_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    jwt_keys_destroy(&keys);
    return 0;
}

static enum err verify(const char *token, struct jwt_claims *claims)
{
    const char *why = NULL;
    enum err e = jwt_verify(keys, &k_policy, token, claims, &why);

    assert_true((e == E_OK) == (why == NULL));
    return e;
}

static void test_verify_gives_claims_for_each_algorithm(void **state)
{
    const char *const tokens[] = {k_hs256, k_rs256, k_es256, k_rs256_without_kid};

    (void)state;
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        struct jwt_claims claims;

        assert_int_equal(verify(tokens[i], &claims), E_OK);
        assert_true(claims.expires_s == 2000000000 && claims.not_before_s == 1000000000);
        assert_int_equal(claims.actions, JWT_PLAY);
        assert_int_equal(claims.n_streams, 1);
        assert_string_equal(claims.streams[0], "live/*");
    }
}

static void test_verify_refuses_what_is_not_signed_by_the_key_of_its_algorithm(void **state)
{
    const char *const tokens[] = {
        k_none, k_confused, k_hs256_says_rs256, k_crit, k_other_kid, k_claims_no_object, "",
        "..",   "a.b",      "a.b.c.d",          "!.!.!"};

    (void)state;
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        struct jwt_claims claims;

        assert_int_equal(verify(tokens[i], &claims), E_DENIED);
    }
}

/* Every single character counts. */
static void test_verify_refuses_a_token_that_was_changed_anywhere(void **state)
{
    const char *const tokens[] = {k_hs256, k_es256};

    (void)state;
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        char token[1024];
        struct jwt_claims claims;
        size_t size = strlen(tokens[i]);

        for (size_t at = 0; at < size; at++) {
            memcpy(token, tokens[i], size + 1);
            token[at] = token[at] == 'A' ? 'B' : 'A';
            if (strcmp(token, tokens[i]) != 0)
                assert_int_equal(verify(token, &claims), E_DENIED);
        }
    }
}

static void test_verify_refuses_claims_that_are_missing_or_not_for_us(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_bad_claims / sizeof k_bad_claims[0]; i++) {
        struct jwt_claims claims;

        if (verify(k_bad_claims[i].token, &claims) != E_DENIED)
            fail_msg("%s", k_bad_claims[i].what);
    }
}

static void test_verify_asks_for_no_issuer_or_audience_when_none_is_configured(void **state)
{
    static const struct jwt_policy k_any = {"", ""};
    struct jwt_claims claims;
    const char *why;
    unsigned n_good = 0;

    (void)state;
    for (size_t i = 0; i < sizeof k_bad_claims / sizeof k_bad_claims[0]; i++)
        n_good += jwt_verify(keys, &k_any, k_bad_claims[i].token, &claims, &why) == E_OK;
    assert_int_equal(n_good, 4); /* those whose iss or aud is another one, or missing */
}

static void test_claims_check_holds_from_nbf_up_to_exp(void **state)
{
    static const struct {
        int64_t now_s;
        enum err expected;
    } k_cases[] = {{999999999, E_DENIED},
                   {1000000000, E_OK},
                   {1999999999, E_OK},
                   {2000000000, E_DENIED},
                   {2000000001, E_DENIED}};
    struct jwt_claims claims;
    const char *why;

    (void)state;
    assert_int_equal(verify(k_hs256, &claims), E_OK);
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++)
        assert_int_equal(jwt_claims_check(&claims, JWT_PLAY, "live/a", k_cases[i].now_s, &why),
                         k_cases[i].expected);
    assert_int_equal(jwt_claims_check(&claims, JWT_PUBLISH, "live/a", 1500000000, &why), E_DENIED);
}

static void test_claims_check_matches_streams_by_part(void **state)
{
    static const struct {
        const char *pattern, *stream;
        enum err expected;
    } k_cases[] = {
        {"live/a", "live/a", E_OK},         {"live/a", "live/ab", E_DENIED},
        {"live/*", "live/ab", E_OK},        {"live/*", "live/sub/a", E_DENIED},
        {"live/sub/*", "live/sub/a", E_OK}, {"live/*", "lives/a", E_DENIED},
        {"*", "any/thing", E_OK},           {"/*", "live/a", E_DENIED},
        {"live*", "live/a", E_DENIED},
    };
    struct jwt_claims claims = {.expires_s = 10, .actions = JWT_PLAY, .n_streams = 1};
    const char *why;

    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        strcpy(claims.streams[0], k_cases[i].pattern);
        if (jwt_claims_check(&claims, JWT_PLAY, k_cases[i].stream, 1, &why) != k_cases[i].expected)
            fail_msg("%s %s", k_cases[i].pattern, k_cases[i].stream);
    }
}

static void test_keys_parse_refuses_sets_without_a_good_key(void **state)
{
    const char *const texts[] = {
        "",
        "[]",
        "{}",
        "{\"keys\":{}}",
        "{\"keys\":[]}",
        "{\"keys\":[1]}",
        "{\"keys\":[{\"kty\":\"OKP\"}]}",
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2hvcnQ\"}]}",
        "{\"keys\":[{\"kty\":\"oct\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-384\"}]}",
        k_weak_rsa_jwks,
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
        "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
        "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"}]}", /* not on the curve */
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct jwt_keys *parsed = NULL;
        char why[200] = "";

        assert_int_equal(jwt_keys_parse(buf_view_str(texts[i]), &parsed, why, sizeof why), E_INVAL);
        assert_null(parsed);
        assert_true(why[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verify_gives_claims_for_each_algorithm),
        cmocka_unit_test(test_verify_refuses_what_is_not_signed_by_the_key_of_its_algorithm),
        cmocka_unit_test(test_verify_refuses_a_token_that_was_changed_anywhere),
        cmocka_unit_test(test_verify_refuses_claims_that_are_missing_or_not_for_us),
        cmocka_unit_test(test_verify_asks_for_no_issuer_or_audience_when_none_is_configured),
        cmocka_unit_test(test_claims_check_holds_from_nbf_up_to_exp),
        cmocka_unit_test(test_claims_check_matches_streams_by_part),
        cmocka_unit_test(test_keys_parse_refuses_sets_without_a_good_key),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
