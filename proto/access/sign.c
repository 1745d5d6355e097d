/* See sign.h. */
#include "proto/access/sign.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "proto/http/http.h"

#define MAX_SIGNED_BYTES 1024

/* --- keys --- */

static bool is_id(struct buf_view id)
{
    if (!id.size_bytes || id.size_bytes >= SIGN_ID_SIZE)
        return false;
    for (size_t i = 0; i < id.size_bytes; i++) {
        uint8_t c = id.data[i];

        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
            c != '-' && c != '_' && c != '.')
            return false;
    }
    return true;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct buf_view trim(struct buf_view text)
{
    size_t from = 0, to = text.size_bytes;

    while (from < to && is_blank(text.data[from]))
        from++;
    while (to > from && is_blank(text.data[to - 1]))
        to--;
    return buf_view_of(text.data + from, to - from);
}

static enum err add_key(struct sign_keys *keys, struct buf_view line, const char **why)
{
    struct sign_key *key = &keys->keys[keys->n];
    size_t n = 0;
    struct buf_view id, secret;

    while (n < line.size_bytes && !is_blank(line.data[n]))
        n++;
    id = buf_view_of(line.data, n);
    secret = trim(buf_view_of(line.data + n, line.size_bytes - n));
    *why = "a line is not an id (letters, digits, - _ .) and a secret of 16 to 256 bytes";
    if (!is_id(id) || secret.size_bytes < SIGN_MIN_SECRET_BYTES ||
        secret.size_bytes >= SIGN_SECRET_SIZE)
        return E_INVAL;
    *why = "more than 8 keys";
    if (keys->n == SIGN_MAX_KEYS)
        return E_INVAL;
    if (!buf_view_to_str(id, key->id, sizeof key->id) ||
        !buf_view_to_str(secret, key->secret, sizeof key->secret)) {
        *why = "a zero byte";
        return E_INVAL;
    }
    *why = "an id is there twice";
    for (size_t i = 0; i < keys->n; i++)
        if (!strcmp(keys->keys[i].id, key->id))
            return E_INVAL;
    keys->n++;
    return E_OK;
}

enum err sign_keys_parse(struct buf_view text, struct sign_keys *out, const char **why)
{
    struct sign_keys keys = {.n = 0};
    size_t at = 0;
    enum err e = E_OK;

    while (at < text.size_bytes && e == E_OK) {
        const uint8_t *end = memchr(text.data + at, '\n', text.size_bytes - at);
        size_t size = end ? (size_t)(end - text.data) - at : text.size_bytes - at;
        struct buf_view line = trim(buf_view_of(text.data + at, size));

        if (line.size_bytes && line.data[0] != '#')
            e = add_key(&keys, line, why);
        at += size + 1;
    }
    if (e == E_OK && !keys.n) {
        *why = "no key";
        e = E_INVAL;
    }
    if (e == E_OK)
        *out = keys;
    OPENSSL_cleanse(&keys, sizeof keys);
    return e;
}

/* --- signatures --- */

static bool sign(const struct sign_key *key, const struct sign_claim *claim, const char *key_id,
                 uint8_t out[SHA256_BYTES])
{
    struct buf_writer text;
    bool ok;

    buf_writer_init(&text, MAX_SIGNED_BYTES);
    buf_printf(&text, "headwater-url-v1\n%s\n%s\n%s\n%s\n%s\n", claim->action, claim->stream,
               claim->expires, claim->net, key_id);
    ok = buf_writer_status(&text) == E_OK &&
         digest_hmac_sha256(buf_view_str(key->secret), buf_writer_view(&text), out);
    buf_writer_fini(&text);
    return ok;
}

enum err sign_write_query(const struct sign_key *key, const struct sign_claim *claim,
                          struct buf_writer *out)
{
    uint8_t mac[SHA256_BYTES];
    char text[SIGN_TEXT_SIZE];

    if (!sign(key, claim, key->id, mac) ||
        !base64url_write(buf_view_of(mac, sizeof mac), text, sizeof text))
        return E_NOMEM;
    buf_printf(out, "hw_expires=%s", claim->expires);
    if (claim->net[0]) {
        buf_write_str(out, "&hw_net=");
        http_percent_encode(buf_view_str(claim->net), out);
    }
    buf_printf(out, "&hw_key=%s&hw_sign=%s", key->id, text);
    buf_write_u8(out, 0);
    return buf_writer_status(out);
}

static bool read_mac(const char *text, uint8_t out[SHA256_BYTES])
{
    size_t n = 0;

    return hex_read(buf_view_str(text), out, SHA256_BYTES) ||
           (base64_read(buf_view_str(text), out, SHA256_BYTES, &n) == E_OK && n == SHA256_BYTES);
}

/* All keys are tried, so that time says nothing about which. */
static bool is_signed(const struct sign_keys *keys, const struct sign_claim *claim,
                      const uint8_t mac[SHA256_BYTES])
{
    bool found = false;

    for (size_t i = 0; i < keys->n; i++) {
        uint8_t right[SHA256_BYTES];

        if (claim->key[0] && strcmp(claim->key, keys->keys[i].id) != 0)
            continue;
        if (sign(&keys->keys[i], claim, claim->key, right))
            found |= digest_is_same(mac, right, sizeof right);
    }
    return found;
}

static bool read_time(const char *text, int64_t *out)
{
    char *end;

    if (!*text || strspn(text, "0123456789") != strlen(text) || strlen(text) > 18)
        return false;
    *out = strtoll(text, &end, 10);
    return true;
}

enum err sign_check(const struct sign_keys *keys, const struct sign_claim *claim, int64_t now_s,
                    const char **why)
{
    uint8_t mac[SHA256_BYTES];
    int64_t expires_s;

    *why = "the signature is not that of this address";
    if (!read_mac(claim->sign, mac) || !is_signed(keys, claim, mac))
        return E_DENIED;
    *why = "the signed address has expired";
    if (!read_time(claim->expires, &expires_s) || now_s >= expires_s)
        return E_DENIED;
    return E_OK;
}
