/* HMAC-SHA256 (RFC 2104, FIPS 180-4) of bytes that lie in parts. Any thread. */
#ifndef HW_COMMON_NET_HMAC_H
#define HW_COMMON_NET_HMAC_H

#include "common/base/buf.h"

#define HMAC_SHA256_BYTES 32u
#define HMAC_SHA256_HEX_SIZE (2 * HMAC_SHA256_BYTES + 1)

/* E_NOMEM: out is not written. */
enum err hmac_sha256(struct buf_view key, const struct buf_view *parts, unsigned n_parts,
                     uint8_t out[HMAC_SHA256_BYTES]);
/* The same as lower case digits. */
enum err hmac_sha256_hex(struct buf_view key, const struct buf_view *parts, unsigned n_parts,
                         char out[HMAC_SHA256_HEX_SIZE]);

#endif
