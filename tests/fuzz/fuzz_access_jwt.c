/* links: proto/access
 * Credentials: tokens and JWK sets, files of keys and users, Authorization fields, signed claims.
 * The first byte says which. What is not signed by us is never taken. */
#include <stdlib.h>
#include <string.h>

#include "proto/access/jwt.h"
#include "proto/access/password.h"
#include "proto/access/sign.h"

#define MAX_BYTES 8192

static const char k_keys[] = "{\"keys\":[{\"kty\":\"oct\",\"k\":"
                             "\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"}]}";

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void try_keys(const char *text)
{
    struct jwt_keys *keys = NULL;
    char why[200] = "";
    enum err e = jwt_keys_parse(buf_view_str(text), &keys, why, sizeof why);

    check((e == E_OK) == (keys != NULL) && (e == E_OK || why[0]));
    jwt_keys_destroy(&keys);
}

static void try_token(const char *text)
{
    struct jwt_policy policy = {"", ""};
    struct jwt_keys *keys = NULL;
    struct jwt_claims claims;
    const char *why = NULL;
    char reason[200];

    check(jwt_keys_parse(buf_view_str(k_keys), &keys, reason, sizeof reason) == E_OK);
    check(jwt_verify(keys, &policy, text, &claims, &why) != E_OK && why); /* 2^128 to one */
    jwt_keys_destroy(&keys);
}

/* Any claims, under a signature that holds. */
static void try_claims(const char *text)
{
    static const char k_head[] = "eyJhbGciOiJIUzI1NiJ9."; /* {"alg":"HS256"} */
    struct jwt_policy policy = {"", "x"};
    uint8_t key[32], mac[SHA256_BYTES];
    char token[JWT_MAX_BYTES], signature[64], reason[200];
    struct jwt_keys *keys = NULL;
    struct jwt_claims claims;
    const char *why = NULL;

    for (unsigned i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    strcpy(token, k_head);
    if (!base64url_write(buf_view_str(text), token + strlen(token),
                         sizeof token - strlen(token) - 64))
        return;
    check(digest_hmac_sha256(buf_view_of(key, sizeof key), buf_view_str(token), mac) &&
          base64url_write(buf_view_of(mac, sizeof mac), signature, sizeof signature));
    strcat(strcat(token, "."), signature);
    check(jwt_keys_parse(buf_view_str(k_keys), &keys, reason, sizeof reason) == E_OK);
    if (jwt_verify(keys, &policy, token, &claims, &why) == E_OK) {
        check(claims.expires_s >= 0 && claims.actions && claims.n_streams &&
              claims.n_streams <= JWT_MAX_STREAMS);
        (void)jwt_claims_check(&claims, JWT_PLAY, "live/a", 1, &why);
    }
    jwt_keys_destroy(&keys);
}

static void try_signs(const char *text)
{
    struct sign_keys keys = {.n = 0};
    struct sign_claim claim = {.action = "play", .stream = "live/a", .expires = "9"};
    const char *why = NULL;

    if (sign_keys_parse(buf_view_str(text), &keys, &why) != E_OK)
        return;
    check(keys.n > 0 && keys.n <= SIGN_MAX_KEYS);
    (void)buf_view_to_str(buf_view_str(text), claim.sign, sizeof claim.sign);
    check(sign_check(&keys, &claim, 1, &why) == E_DENIED);
}

static void try_users(const char *text)
{
    struct password_file *file = NULL;
    char why[200];

    if (password_file_parse(buf_view_str(text), &file, why, sizeof why) == E_OK)
        (void)password_find(file, "bob");
    password_file_destroy(&file);
}

static void try_basic(const char *text)
{
    char name[PASSWORD_NAME_SIZE], password[PASSWORD_SIZE];

    if (basic_parse(text, name, password))
        check(strlen(name) < sizeof name && strlen(password) < sizeof password);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text;

    if (!size || size > MAX_BYTES)
        return 0;
    text = malloc(size); /* a block of its own: what reads beyond it is seen */
    if (!text)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    switch (data[0]) {
    case 'k':
        try_keys(text);
        break;
    case 't':
        try_token(text);
        break;
    case 'c':
        try_claims(text);
        break;
    case 's':
        try_signs(text);
        break;
    case 'u':
        try_users(text);
        break;
    default:
        try_basic(text);
        break;
    }
    free(text);
    return 0;
}
