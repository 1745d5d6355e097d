/* Signed URLs: who has a key writes into the query of an URL what may be done with it.
 *
 *   hw_expires=1767225600   Unix seconds: from then on it means nothing
 *   hw_net=10.0.0.0/8       of clients there alone; may be left out
 *   hw_key=2026a            which key signed it; may be left out: then all are tried
 *   hw_sign=...             HMAC-SHA256, 64 hexadecimal digits or base64url
 *
 * Signed is "headwater-url-v1", the action ("publish", "play"), app/name, and the three values
 * above ("" for one that is left out), each followed by a line feed. Sans I/O. */
#ifndef HW_PROTO_ACCESS_SIGN_H
#define HW_PROTO_ACCESS_SIGN_H

#include "common/media/name.h"
#include "proto/access/digest.h"

#define SIGN_MAX_KEYS 8
#define SIGN_ID_SIZE 33
#define SIGN_SECRET_SIZE 257
#define SIGN_MIN_SECRET_BYTES 16
#define SIGN_NET_SIZE 56
#define SIGN_TEXT_SIZE 96 /* of hw_sign, and a little more */

struct sign_key {
    char id[SIGN_ID_SIZE], secret[SIGN_SECRET_SIZE];
};
struct sign_keys {
    struct sign_key keys[SIGN_MAX_KEYS];
    size_t n;
};
/* A file: lines of id and secret, apart by a blank; empty ones and those that begin with # are for
 * people. E_INVAL with *why (static): no key, too many, one twice, or not such a line. */
enum err sign_keys_parse(struct buf_view text, struct sign_keys *out, const char **why);

struct sign_claim { /* texts as in the query; "" = left out */
    const char *action, *stream;
    char expires[24], net[SIGN_NET_SIZE], key[SIGN_ID_SIZE], sign[SIGN_TEXT_SIZE];
};

/* For a maker of URLs: "hw_expires=...&hw_key=...&hw_sign=...", terminated. claim->key is not read.
 */
enum err sign_write_query(const struct sign_key *key, const struct sign_claim *claim,
                          struct buf_writer *out);
/* E_OK: signed, and in time; where from is for the caller to look at (claim->net). E_DENIED with
 * *why (static). */
enum err sign_check(const struct sign_keys *keys, const struct sign_claim *claim, int64_t now_s,
                    const char **why);

#endif
