/* See digest.h. */
#include "proto/access/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

static const char k_base64url[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

bool digest_sha256(struct buf_view text, uint8_t out[SHA256_BYTES])
{
    return EVP_Digest(text.data, text.size_bytes, out, NULL, EVP_sha256(), NULL) == 1;
}

bool digest_hmac_sha256(struct buf_view key, struct buf_view text, uint8_t out[SHA256_BYTES])
{
    return HMAC(EVP_sha256(), key.data, (int)key.size_bytes, text.data, text.size_bytes, out,
                NULL) != NULL;
}

bool digest_md5_hex(struct buf_view text, char out[MD5_HEX_SIZE])
{
    uint8_t md5[16];

    if (EVP_Digest(text.data, text.size_bytes, md5, NULL, EVP_md5(), NULL) != 1)
        return false;
    hex_write(md5, sizeof md5, out);
    return true;
}

bool digest_is_same(const void *a, const void *b, size_t size_bytes)
{
    return CRYPTO_memcmp(a, b, size_bytes) == 0;
}

void hex_write(const uint8_t *data, size_t size_bytes, char *out)
{
    static const char k_digits[] = "0123456789abcdef";

    for (size_t i = 0; i < size_bytes; i++) {
        *out++ = k_digits[data[i] >> 4];
        *out++ = k_digits[data[i] & 15];
    }
    *out = '\0';
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_read(struct buf_view text, uint8_t *out, size_t size_bytes)
{
    if (text.size_bytes != 2 * size_bytes)
        return false;
    for (size_t i = 0; i < size_bytes; i++) {
        int high = hex_digit(text.data[2 * i]), low = hex_digit(text.data[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

bool base64url_write(struct buf_view data, char *out, size_t size)
{
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t at = 0;

    if (size < (data.size_bytes * 4 + 2) / 3 + 1)
        return false;
    for (size_t i = 0; i < data.size_bytes; i++) {
        bits = bits << 8 | data.data[i];
        for (n_bits += 8; n_bits >= 6; n_bits -= 6)
            out[at++] = k_base64url[bits >> (n_bits - 6) & 63];
    }
    if (n_bits)
        out[at++] = k_base64url[bits << (6 - n_bits) & 63];
    out[at] = '\0';
    return true;
}

static int base64_digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '-' || c == '+')
        return 62;
    return c == '_' || c == '/' ? 63 : -1;
}

enum err base64_read(struct buf_view text, uint8_t *out, size_t size, size_t *n_bytes)
{
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t n = 0, left = text.size_bytes;

    while (left && text.data[left - 1] == '=' && text.size_bytes - left < 2)
        left--;
    if (left % 4 == 1 || (left != text.size_bytes && text.size_bytes % 4 != 0))
        return E_INVAL;
    for (size_t i = 0; i < left; i++) {
        int digit = base64_digit(text.data[i]);

        if (digit < 0)
            return E_INVAL;
        bits = bits << 6 | (uint32_t)digit;
        n_bits += 6;
        if (n_bits < 8)
            continue;
        n_bits -= 8;
        if (n == size)
            return E_TOO_BIG;
        out[n++] = (uint8_t)(bits >> n_bits);
    }
    if (bits & ((1u << n_bits) - 1)) /* two texts must not mean the same bytes */
        return E_INVAL;
    *n_bytes = n;
    return E_OK;
}
