/* Digests and their texts, as credentials use them. Sans I/O; any thread. */
#ifndef HW_PROTO_ACCESS_DIGEST_H
#define HW_PROTO_ACCESS_DIGEST_H

#include "common/base/buf.h"

#define SHA256_BYTES 32
#define SHA256_HEX_SIZE (2 * SHA256_BYTES + 1)
#define MD5_HEX_SIZE 33

/* False: OpenSSL could not (out of memory). */
bool digest_sha256(struct buf_view text, uint8_t out[SHA256_BYTES]);
bool digest_hmac_sha256(struct buf_view key, struct buf_view text, uint8_t out[SHA256_BYTES]);
bool digest_md5_hex(struct buf_view text, char out[MD5_HEX_SIZE]);

/* In time that depends on the length alone. */
bool digest_is_same(const void *a, const void *b, size_t size_bytes);

/* Lower case; out has 2 * size_bytes + 1. */
void hex_write(const uint8_t *data, size_t size_bytes, char *out);
/* Either case. False: it is not that long, or has other characters. */
bool hex_read(struct buf_view text, uint8_t *out, size_t size_bytes);

/* RFC 4648, section 5, without padding; out[size] is terminated. False: out is too small. */
bool base64url_write(struct buf_view data, char *out, size_t size);
/* Padding may be there; also the alphabet of section 4. E_INVAL; E_TOO_BIG: more than size bytes.
 */
enum err base64_read(struct buf_view text, uint8_t *out, size_t size, size_t *n_bytes);

#endif
