/* See grant.h. */
#include "node/access/grant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/net/loop.h"

#define LABEL "headwater-hls-grant-v1"
#define MAC_BYTES 16 /* of the MAC: nobody tries 2^64 requests */
#define MAX_TEXT_BYTES 1024

void access_grants_init(struct access_grants *grants)
{
    memset(grants, 0, sizeof *grants);
    random_bytes(grants->random, sizeof grants->random);
}

static void add(struct access_grants *grants, struct buf_view secret)
{
    if (secret.size_bytes &&
        digest_hmac_sha256(secret, buf_view_str(LABEL), grants->keys[grants->n]))
        grants->n++;
}

void access_grants_set(struct access_grants *grants, const char *token, const char *also)
{
    grants->n = 0;
    add(grants, buf_view_str(token ? token : ""));
    if (grants->n)
        add(grants, buf_view_str(also ? also : ""));
    else
        add(grants, buf_view_of(grants->random, sizeof grants->random));
}

static bool make_mac(const uint8_t key[SHA256_BYTES], enum grant_kind kind, const char *stream,
                     const char *session, int64_t expires_s, uint8_t mac[SHA256_BYTES])
{
    char text[MAX_TEXT_BYTES];
    int n = snprintf(text, sizeof text, "%d\n%s\n%s\n%lld\n", (int)kind, stream, session,
                     (long long)expires_s);

    return n > 0 && (size_t)n < sizeof text &&
           digest_hmac_sha256(buf_view_of(key, SHA256_BYTES), buf_view_of(text, (size_t)n), mac);
}

bool access_grant_write(const struct access_grants *grants, enum grant_kind kind,
                        const char *stream, const char *session, int64_t expires_s,
                        char out[GRANT_SIZE])
{
    uint8_t mac[SHA256_BYTES];
    char text[24];

    if (!grants->n || !make_mac(grants->keys[0], kind, stream, session, expires_s, mac) ||
        !base64url_write(buf_view_of(mac, MAC_BYTES), text, sizeof text))
        return false;
    return snprintf(out, GRANT_SIZE, "%llx.%s", (unsigned long long)expires_s, text) < GRANT_SIZE;
}

/* "<hexadecimal seconds>.<MAC>" */
static bool read_grant(const char *grant, int64_t *expires_s, uint8_t mac[MAC_BYTES])
{
    const char *dot = strchr(grant, '.');
    size_t n = 0;

    if (!dot || dot == grant || dot - grant > 12 ||
        strspn(grant, "0123456789abcdef") != (size_t)(dot - grant) ||
        base64_read(buf_view_str(dot + 1), mac, MAC_BYTES, &n) != E_OK || n != MAC_BYTES)
        return false;
    *expires_s = strtoll(grant, NULL, 16);
    return true;
}

enum err access_grant_check(const struct access_grants *grants, enum grant_kind kind,
                            const char *stream, const char *session, const char *grant,
                            int64_t now_s)
{
    uint8_t said[MAC_BYTES], right[SHA256_BYTES];
    bool is_ours = false;
    int64_t expires_s;

    if (!read_grant(grant, &expires_s, said))
        return E_DENIED;
    for (unsigned i = 0; i < grants->n; i++)
        if (make_mac(grants->keys[i], kind, stream, session, expires_s, right))
            is_ours |= digest_is_same(said, right, sizeof said);
    if (!is_ours)
        return E_DENIED;
    return now_s < expires_s ? E_OK : E_TIMEOUT;
}
