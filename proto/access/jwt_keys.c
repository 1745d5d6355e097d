/* JWK sets, and signatures under their keys: RFC 7517, RFC 7518 (sections 3 and 6). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/param_build.h>

#include "proto/access/digest.h"
#include "proto/access/jwt_private.h"

#define ES256_BYTES 32 /* of a coordinate, and of half a signature */
#define MIN_RSA_BITS 2048
#define MAX_RSA_BITS (8 * JWT_MAX_NUMBER_BYTES)
#define MIN_SECRET_BYTES 32 /* RFC 7518, section 3.2: as long as the hash */

/* --- reading --- */

static bool read_bytes(json_t *jwk, const char *name, uint8_t *out, size_t size, size_t *n)
{
    json_t *text = json_object_get(jwk, name);

    return json_is_string(text) &&
           base64_read(buf_view_of(json_string_value(text), json_string_length(text)), out, size,
                       n) == E_OK &&
           *n > 0;
}

static bool read_secret(struct jwt_key *key, json_t *jwk, const char **why)
{
    *why = "k is not a secret of 32 to 256 bytes in base64url";
    return read_bytes(jwk, "k", key->secret, sizeof key->secret, &key->n_secret) &&
           key->n_secret >= MIN_SECRET_BYTES;
}

/* Takes params. */
static EVP_PKEY *make_key(const char *type, OSSL_PARAM *params)
{
    EVP_PKEY_CTX *ctx = params ? EVP_PKEY_CTX_new_from_name(NULL, type, NULL) : NULL;
    EVP_PKEY *key = NULL;

    if (ctx && (EVP_PKEY_fromdata_init(ctx) != 1 ||
                EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1))
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return key;
}

static OSSL_PARAM *rsa_params(const BIGNUM *n, const BIGNUM *e)
{
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;

    if (build && n && e && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        params = OSSL_PARAM_BLD_to_param(build);
    OSSL_PARAM_BLD_free(build);
    return params;
}

static bool read_rsa(struct jwt_key *key, json_t *jwk, const char **why)
{
    uint8_t n[JWT_MAX_NUMBER_BYTES], e[8];
    size_t n_bytes = 0, e_bytes = 0;
    BIGNUM *n_number, *e_number;
    int bits;

    *why = "n and e are not an RSA key of 2048 to 8192 bits";
    if (!read_bytes(jwk, "n", n, sizeof n, &n_bytes) ||
        !read_bytes(jwk, "e", e, sizeof e, &e_bytes))
        return false;
    n_number = BN_bin2bn(n, (int)n_bytes, NULL);
    e_number = BN_bin2bn(e, (int)e_bytes, NULL);
    bits = n_number ? BN_num_bits(n_number) : 0;
    if (bits >= MIN_RSA_BITS && bits <= MAX_RSA_BITS && e_number && BN_is_odd(e_number) &&
        !BN_is_one(e_number) && BN_is_odd(n_number))
        key->key = make_key("RSA", rsa_params(n_number, e_number));
    BN_free(n_number);
    BN_free(e_number);
    return key->key != NULL;
}

static OSSL_PARAM *ec_params(const uint8_t *point, size_t size)
{
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;

    if (build &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, size) == 1)
        params = OSSL_PARAM_BLD_to_param(build);
    OSSL_PARAM_BLD_free(build);
    return params;
}

static bool read_ec(struct jwt_key *key, json_t *jwk, const char **why)
{
    const char *curve = json_string_value(json_object_get(jwk, "crv"));
    uint8_t point[1 + 2 * ES256_BYTES] = {4}; /* uncompressed */
    size_t x = 0, y = 0;

    *why = "crv, x and y are not a point of P-256";
    if (!curve || strcmp(curve, "P-256") != 0 ||
        !read_bytes(jwk, "x", point + 1, ES256_BYTES, &x) || x != ES256_BYTES ||
        !read_bytes(jwk, "y", point + 1 + ES256_BYTES, ES256_BYTES, &y) || y != ES256_BYTES)
        return false;
    key->key = make_key("EC", ec_params(point, sizeof point));
    return key->key != NULL;
}

/* --- verifying --- */

static bool verify_secret(const struct jwt_key *key, struct buf_view text,
                          struct buf_view signature)
{
    uint8_t mac[SHA256_BYTES];

    return signature.size_bytes == sizeof mac &&
           digest_hmac_sha256(buf_view_of(key->secret, key->n_secret), text, mac) &&
           digest_is_same(mac, signature.data, sizeof mac);
}

static bool verify_public(const struct jwt_key *key, struct buf_view text,
                          struct buf_view signature)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key->key) == 1 &&
              EVP_DigestVerify(ctx, signature.data, signature.size_bytes, text.data,
                               text.size_bytes) == 1;

    EVP_MD_CTX_free(ctx);
    return ok;
}

/* Tokens have the two numbers one behind the other, OpenSSL wants them as ASN.1. */
static bool verify_ec(const struct jwt_key *key, struct buf_view text, struct buf_view signature)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = NULL, *s = NULL;
    uint8_t *der = NULL;
    int n = 0;
    bool ok = false;

    if (sig && signature.size_bytes == 2 * ES256_BYTES) {
        r = BN_bin2bn(signature.data, ES256_BYTES, NULL);
        s = BN_bin2bn(signature.data + ES256_BYTES, ES256_BYTES, NULL);
    }
    if (r && s && ECDSA_SIG_set0(sig, r, s) == 1) { /* they are its own now */
        r = s = NULL;
        n = i2d_ECDSA_SIG(sig, &der);
    }
    if (n > 0)
        ok = verify_public(key, text, buf_view_of(der, (size_t)n));
    OPENSSL_free(der);
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    return ok;
}

static const struct jwt_algorithm k_algorithms[] = {
    {"HS256", "oct", read_secret, verify_secret},
    {"RS256", "RSA", read_rsa, verify_public},
    {"ES256", "EC", read_ec, verify_ec},
};

/* --- sets --- */

/* NULL: a key of another kind, or for another purpose. */
static const struct jwt_algorithm *algorithm_of(json_t *jwk)
{
    const char *kty = json_string_value(json_object_get(jwk, "kty"));
    const char *alg = json_string_value(json_object_get(jwk, "alg"));
    const char *use = json_string_value(json_object_get(jwk, "use"));

    if (!kty || (use && strcmp(use, "sig") != 0))
        return NULL;
    for (size_t i = 0; i < sizeof k_algorithms / sizeof k_algorithms[0]; i++)
        if (!strcmp(k_algorithms[i].kty, kty) && (!alg || !strcmp(k_algorithms[i].name, alg)))
            return &k_algorithms[i];
    return NULL;
}

static enum err add_key(struct jwt_keys *keys, json_t *jwk, const char **why)
{
    const struct jwt_algorithm *algorithm = algorithm_of(jwk);
    json_t *kid = json_object_get(jwk, "kid");
    struct jwt_key *key = &keys->keys[keys->n];

    *why = "not an object";
    if (!json_is_object(jwk))
        return E_INVAL;
    if (!algorithm)
        return E_OK;
    *why = "more than 32 keys";
    if (keys->n == JWT_MAX_KEYS)
        return E_INVAL;
    memset(key, 0, sizeof *key);
    *why = "kid is longer than 64 bytes";
    if (json_is_string(kid) &&
        !buf_view_to_str(buf_view_of(json_string_value(kid), json_string_length(kid)), key->kid,
                         sizeof key->kid))
        return E_INVAL;
    key->algorithm = algorithm;
    if (!algorithm->read(key, jwk, why))
        return E_INVAL;
    keys->n++;
    return E_OK;
}

static enum err add_keys(struct jwt_keys *keys, json_t *list, char *why, size_t size)
{
    const char *reason = "";

    if (!json_is_array(list)) {
        snprintf(why, size, "no list \"keys\"");
        return E_INVAL;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (add_key(keys, json_array_get(list, i), &reason) == E_OK)
            continue;
        snprintf(why, size, "keys[%zu]: %s", i, reason);
        return E_INVAL;
    }
    snprintf(why, size, "no key for HS256, RS256 or ES256");
    return keys->n ? E_OK : E_INVAL;
}

enum err jwt_keys_parse(struct buf_view text, struct jwt_keys **out, char *why, size_t size)
{
    struct jwt_keys *keys = calloc(1, sizeof *keys);
    json_error_t error;
    json_t *root;
    enum err e;

    if (!keys) {
        snprintf(why, size, "%s", err_text(E_NOMEM));
        return E_NOMEM;
    }
    root = json_loadb((const char *)text.data, text.size_bytes, JSON_REJECT_DUPLICATES, &error);
    if (root) {
        e = add_keys(keys, json_object_get(root, "keys"), why, size);
    } else { /* not what Jansson quotes: it may be a secret */
        snprintf(why, size, "line %d is not JSON", error.line);
        e = E_INVAL;
    }
    json_decref(root);
    if (e == E_OK)
        *out = keys;
    else
        jwt_keys_destroy(&keys);
    return e;
}

void jwt_keys_destroy(struct jwt_keys **keys)
{
    if (!*keys)
        return;
    for (size_t i = 0; i < (*keys)->n; i++)
        EVP_PKEY_free((*keys)->keys[i].key);
    OPENSSL_cleanse(*keys, sizeof **keys);
    free(*keys);
    *keys = NULL;
}
