/* See auth.h. Nobody published the scheme; rtmpdump and ffmpeg agree on it. */
#include "proto/rtmp/auth.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#define MAX_DESCRIPTION 1024
#define MAX_VALUE 128
#define MD5_TEXT_SIZE 25 /* base64 of 16 bytes, and zero */

/* The value of "key=" up to what cannot be part of it. False: there is none, or it is too long. */
static bool find(const char *text, const char *key, char out[MAX_VALUE])
{
    size_t n_key = strlen(key), size;
    const char *at = text;

    while ((at = strstr(at, key)) && (at == text || !strchr("?&; [", at[-1])))
        at += n_key;
    if (!at)
        return false;
    at += n_key;
    size = strcspn(at, "&; ]");
    if (!size || size >= MAX_VALUE)
        return false;
    memcpy(out, at, size);
    out[size] = '\0';
    return true;
}

static bool md5_text(const char *a, const char *b, const char *c, char out[MD5_TEXT_SIZE])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1 &&
              EVP_DigestUpdate(ctx, a, strlen(a)) == 1 &&
              EVP_DigestUpdate(ctx, b, strlen(b)) == 1 &&
              EVP_DigestUpdate(ctx, c, strlen(c)) == 1 &&
              EVP_DigestFinal_ex(ctx, digest, &size) == 1 && size == 16;

    EVP_MD_CTX_free(ctx);
    if (ok)
        EVP_EncodeBlock((unsigned char *)out, digest, 16);
    return ok;
}

/* md5(md5(user salt password) opaque-or-challenge our-challenge), in base64 each. */
static enum err respond(const char *text, const char *user, const char *password,
                        const uint8_t nonce[RTMP_AUTH_NONCE_BYTES], char out[RTMP_AUTH_SIZE])
{
    char salt[MAX_VALUE], challenge[MAX_VALUE] = "", opaque[MAX_VALUE] = "", ours[9];
    char secret[MD5_TEXT_SIZE], response[MD5_TEXT_SIZE];
    bool has_opaque = find(text, "opaque=", opaque);
    int size;

    if (!find(text, "salt=", salt) || (!find(text, "challenge=", challenge) && !has_opaque))
        return E_PROTO;
    snprintf(ours, sizeof ours, "%02x%02x%02x%02x", nonce[0], nonce[1], nonce[2], nonce[3]);
    if (!md5_text(user, salt, password, secret) ||
        !md5_text(secret, has_opaque ? opaque : challenge, ours, response))
        return E_NOMEM;
    size = snprintf(out, RTMP_AUTH_SIZE, "authmod=adobe&user=%s&challenge=%s&response=%s%s%s", user,
                    ours, response, has_opaque ? "&opaque=" : "", opaque);
    return size < RTMP_AUTH_SIZE ? E_OK : E_TOO_BIG;
}

enum err rtmp_auth_answer(struct buf_view description, const char *user, const char *password,
                          const uint8_t nonce[RTMP_AUTH_NONCE_BYTES], char out[RTMP_AUTH_SIZE])
{
    char text[MAX_DESCRIPTION], mode[MAX_VALUE], reason[MAX_VALUE], found[RTMP_AUTH_SIZE];
    enum err e = E_OK;

    if (!buf_view_to_str(description, text, sizeof text) || !find(text, "authmod=", mode))
        return E_NOT_FOUND;
    if (strcmp(mode, "adobe") != 0)
        return E_UNSUPPORTED;
    if (!find(text, "reason=", reason))
        e = snprintf(found, sizeof found, "authmod=adobe&user=%s", user) < (int)sizeof found
                ? E_OK
                : E_TOO_BIG;
    else if (!strcmp(reason, "needauth"))
        e = respond(text, user, password, nonce, found);
    else
        e = E_DENIED; /* authfailed, nosuchuser */
    if (e == E_OK)
        memcpy(out, found, strlen(found) + 1);
    return e;
}
