/* See hmac.h: OpenSSL's, so that it is as fast as the processor allows. */
#include "common/net/hmac.h"

#include <stdio.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

static enum err run(EVP_MAC_CTX *ctx, struct buf_view key, const struct buf_view *parts,
                    unsigned n_parts, uint8_t out[HMAC_SHA256_BYTES])
{
    static const uint8_t k_nothing[1];
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                           OSSL_PARAM_construct_end()};
    size_t size;

    /* A key of no bytes is one, too; NULL would mean "the key from before". */
    if (EVP_MAC_init(ctx, key.size_bytes ? key.data : k_nothing, key.size_bytes, params) != 1)
        return E_NOMEM;
    for (unsigned i = 0; i < n_parts; i++)
        if (parts[i].size_bytes && EVP_MAC_update(ctx, parts[i].data, parts[i].size_bytes) != 1)
            return E_NOMEM;
    return EVP_MAC_final(ctx, out, &size, HMAC_SHA256_BYTES) == 1 ? E_OK : E_NOMEM;
}

enum err hmac_sha256(struct buf_view key, const struct buf_view *parts, unsigned n_parts,
                     uint8_t out[HMAC_SHA256_BYTES])
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
    EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
    enum err e = ctx ? run(ctx, key, parts, n_parts, out) : E_NOMEM;

    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
    return e;
}

enum err hmac_sha256_hex(struct buf_view key, const struct buf_view *parts, unsigned n_parts,
                         char out[HMAC_SHA256_HEX_SIZE])
{
    uint8_t mac[HMAC_SHA256_BYTES];
    enum err e = hmac_sha256(key, parts, n_parts, mac);

    for (unsigned i = 0; e == E_OK && i < HMAC_SHA256_BYTES; i++)
        snprintf(out + 2 * i, 3, "%02x", mac[i]);
    return e;
}
