/* Keys, between jwt_keys.c, which reads them, and jwt.c, which uses them. */
#ifndef HW_PROTO_ACCESS_JWT_PRIVATE_H
#define HW_PROTO_ACCESS_JWT_PRIVATE_H

#include <jansson.h>
#include <openssl/evp.h>

#include "proto/access/jwt.h"

#define JWT_KID_SIZE 65
#define JWT_MAX_SECRET_BYTES 256
#define JWT_MAX_NUMBER_BYTES 1024 /* of an RSA key: 8192 bits */

struct jwt_key;

struct jwt_algorithm {
    const char *name; /* "RS256": alg */
    const char *kty;
    /* From its JWK. False with *why (static). */
    bool (*read)(struct jwt_key *key, json_t *jwk, const char **why);
    /* Does the signature belong to the text? */
    bool (*verify)(const struct jwt_key *key, struct buf_view text, struct buf_view signature);
};

struct jwt_key {
    const struct jwt_algorithm *algorithm;
    char kid[JWT_KID_SIZE]; /* "" = none */
    uint8_t secret[JWT_MAX_SECRET_BYTES];
    size_t n_secret;
    EVP_PKEY *key; /* owned; NULL for a secret */
};

struct jwt_keys {
    struct jwt_key keys[JWT_MAX_KEYS];
    size_t n;
};

#endif
