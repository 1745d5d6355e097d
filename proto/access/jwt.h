/* JSON Web Tokens (RFC 7519) under keys of a JWK set (RFC 7517): HS256, RS256, ES256. Which
 * algorithm holds is the key's matter; what a token's header says must agree, "none" never does.
 * Sans I/O; any thread. */
#ifndef HW_PROTO_ACCESS_JWT_H
#define HW_PROTO_ACCESS_JWT_H

#include "common/base/buf.h"

#define JWT_MAX_BYTES 4096
#define JWT_MAX_KEYS 32
#define JWT_MAX_STREAMS 8
#define JWT_STREAM_SIZE 388 /* STREAM_NAME_SIZE: "app/name", "app/..." with a star, or a star */

struct jwt_keys; /* opaque; immutable */

/* {"keys":[{"kty":"oct","k":...},{"kty":"RSA","n":...,"e":...},{"kty":"EC","crv":"P-256",...}]}, of
 * which "kid", "alg" and "use" count, too. Keys of other kinds are left out; E_INVAL with the
 * reason in why[size] when none is left, one is broken, or weak: RSA below 2048 bits, HS256 below
 * 256. Pair with jwt_keys_destroy(). */
enum err jwt_keys_parse(struct buf_view text, struct jwt_keys **out, char *why, size_t size);
void jwt_keys_destroy(struct jwt_keys **keys);

enum { JWT_PUBLISH = 1 << 0, JWT_PLAY = 1 << 1 };

struct jwt_claims {                  /* of a token whose signature holds */
    int64_t expires_s, not_before_s; /* exp, which must be there; nbf or 0 */
    unsigned actions;                /* JWT_* */
    unsigned n_streams;
    char streams[JWT_MAX_STREAMS][JWT_STREAM_SIZE];
};

struct jwt_policy {
    const char *issuer, *audience; /* "" = any */
};

/* Verifies the signature and reads the claims: "exp", "nbf", "iss", "aud", "stream" (a text or a
 * list of them), "actions" (likewise). Slow: the caller keeps what it gives. E_OK; E_DENIED with
 * *why (static), *out is not written; E_NOMEM. */
enum err jwt_verify(const struct jwt_keys *keys, const struct jwt_policy *policy, const char *token,
                    struct jwt_claims *out, const char **why);
/* Do they allow it, now? action is one JWT_*; stream is "app/name". E_DENIED with *why. */
enum err jwt_claims_check(const struct jwt_claims *claims, unsigned action, const char *stream,
                          int64_t now_s, const char **why);

#endif
