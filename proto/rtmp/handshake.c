/* C0 C1 C2 and S0 S1 S2. The digest form has no public standard by its makers; what is written here
 * is what Flash Player, ffmpeg, librtmp and the open servers agree on: C1, S1: 4 bytes time, 4
 * bytes version (not 0), 1528 bytes that hold a 32-byte HMAC-SHA256 over the other 1504, at a place
 * that four of the bytes name. There are two schemas, for the half of the bytes that has the
 * digest; the other half has a Diffie-Hellman key for RTMPE, which is not spoken here. C2, S2: 1504
 * bytes, then their HMAC under a key made from the digest that is answered. C2 and S2 are not
 * verified: clients that answer them wrongly are many, and nothing depends on it. */
#include "proto/rtmp/handshake.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#define VERSION 3u
#define DIGEST_BYTES 32u
#define N_PLACES 728u /* a digest can begin at so many offsets of its half */

/* "Genuine Adobe Flash Player 001" and its server, with the 32 bytes that both append for C2 and
 * S2. */
#define COMMON_KEY                                                     \
    "\xf0\xee\xc2\x4a\x80\x68\xbe\xe8\x2e\x00\xd0\xd1\x02\x9e\x7e\x57" \
    "\x6e\xec\x5d\x2d\x29\x80\x6f\xab\x93\xb8\xe6\x36\xcf\xeb\x31\xae"
static const char k_client_key[] = "Genuine Adobe Flash Player 001" COMMON_KEY;
static const char k_server_key[] = "Genuine Adobe Flash Media Server 001" COMMON_KEY;
#define CLIENT_KEY_BYTES 30u /* the text alone signs C1 */
#define SERVER_KEY_BYTES 36u /* and S1 */
#define CLIENT_FULL_KEY_BYTES (CLIENT_KEY_BYTES + 32u)
#define SERVER_FULL_KEY_BYTES (SERVER_KEY_BYTES + 32u)

/* Where the four bytes stand that name the place of the digest, by schema. */
static const unsigned k_schema_base[2] = {772, 8};

enum handshake_state {
    WAIT_VERSION, /* C0 or S0 */
    WAIT_FIRST,   /* C1 or S1 */
    WAIT_SECOND,  /* C2 or S2 */
    DONE
};

struct rtmp_handshake {
    bool is_client;
    bool is_digest;
    enum handshake_state state;
    const char *error;
    unsigned got_bytes; /* of the part that state waits for */
    uint64_t seed;      /* of C1 or S1 */
    uint8_t *theirs;    /* owned; S1 or C1 as far as it came; NULL before and after */
};

static struct rtmp_handshake *create(const uint8_t seed[RTMP_SEED_BYTES])
{
    struct rtmp_handshake *hs = calloc(1, sizeof *hs);

    if (!hs)
        return NULL;
    hs->error = "";
    memcpy(&hs->seed, seed, sizeof hs->seed);
    return hs;
}

struct rtmp_handshake *rtmp_handshake_create_server(const uint8_t seed[RTMP_SEED_BYTES])
{
    return create(seed);
}

struct rtmp_handshake *rtmp_handshake_create_client(const uint8_t seed[RTMP_SEED_BYTES])
{
    struct rtmp_handshake *hs = create(seed);

    if (hs)
        hs->is_client = true;
    return hs;
}

static void drop_theirs(struct rtmp_handshake *hs)
{
    free(hs->theirs);
    hs->theirs = NULL;
}

void rtmp_handshake_destroy(struct rtmp_handshake **hs)
{
    if (!*hs)
        return;
    drop_theirs(*hs);
    free(*hs);
    *hs = NULL;
}

const char *rtmp_handshake_error(const struct rtmp_handshake *hs)
{
    return hs->error;
}

bool rtmp_handshake_is_digest(const struct rtmp_handshake *hs)
{
    return hs->is_digest;
}

static enum err fail(struct rtmp_handshake *hs, enum err e, const char *why)
{
    hs->error = why;
    return e;
}

/* C1 or S1 but for its digest: time 0, version (4 bytes), then splitmix64 over the seed. */
static void fill_first(const struct rtmp_handshake *hs, const uint8_t version[4],
                       uint8_t first[RTMP_HANDSHAKE_BYTES])
{
    uint64_t state = hs->seed;

    memset(first, 0, 4);
    memcpy(first + 4, version, 4);
    for (unsigned at = 8; at < RTMP_HANDSHAKE_BYTES; at += 8) {
        uint64_t x = state += 0x9e3779b97f4a7c15u;

        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
        x = (x ^ x >> 27) * 0x94d049bb133111ebu;
        x ^= x >> 31;
        memcpy(first + at, &x, sizeof x);
    }
}

static bool hmac(const void *key, size_t key_bytes, const uint8_t *data, size_t size_bytes,
                 uint8_t out[DIGEST_BYTES])
{
    unsigned n = 0;

    return HMAC(EVP_sha256(), key, (int)key_bytes, data, size_bytes, out, &n) != NULL &&
           n == DIGEST_BYTES;
}

static unsigned digest_offset(const uint8_t first[RTMP_HANDSHAKE_BYTES], unsigned base)
{
    unsigned sum = (unsigned)first[base] + first[base + 1] + first[base + 2] + first[base + 3];

    return base + 4 + sum % N_PLACES;
}

/* The digest of C1 or S1 with the 32 bytes at offset left out. */
static bool sign_first(const uint8_t first[RTMP_HANDSHAKE_BYTES], unsigned offset, const char *key,
                       size_t key_bytes, uint8_t out[DIGEST_BYTES])
{
    uint8_t rest[RTMP_HANDSHAKE_BYTES - DIGEST_BYTES];

    memcpy(rest, first, offset);
    memcpy(rest + offset, first + offset + DIGEST_BYTES, sizeof rest - offset);
    return hmac(key, key_bytes, rest, sizeof rest, out);
}

/* The schema under which first has a true digest, its place in *offset; -1 for none. */
static int find_schema(const uint8_t first[RTMP_HANDSHAKE_BYTES], const char *key, size_t key_bytes,
                       unsigned *offset)
{
    uint8_t digest[DIGEST_BYTES];

    for (int schema = 1; schema >= 0; schema--) { /* most clients sign by schema 1 */
        *offset = digest_offset(first, k_schema_base[schema]);
        if (sign_first(first, *offset, key, key_bytes, digest) &&
            memcmp(digest, first + *offset, DIGEST_BYTES) == 0)
            return schema;
    }
    return -1;
}

static bool put_digest(uint8_t first[RTMP_HANDSHAKE_BYTES], int schema, const char *key,
                       size_t key_bytes)
{
    unsigned offset = digest_offset(first, k_schema_base[schema]);

    return sign_first(first, offset, key, key_bytes, first + offset);
}

/* C2 or S2: the peer's own bytes, signed with a key that only who saw its digest can make. */
static enum err write_signed_second(struct rtmp_handshake *hs, const char *key, size_t key_bytes,
                                    unsigned offset, struct buf_writer *out)
{
    uint8_t second[RTMP_HANDSHAKE_BYTES], secret[DIGEST_BYTES];
    size_t signed_bytes = sizeof second - DIGEST_BYTES;

    memcpy(second, hs->theirs, sizeof second);
    if (!hmac(key, key_bytes, hs->theirs + offset, DIGEST_BYTES, secret) ||
        !hmac(secret, sizeof secret, second, signed_bytes, second + signed_bytes))
        return fail(hs, E_NOMEM, "no digest could be made");
    buf_write(out, second, sizeof second);
    return E_OK;
}

static bool has_version(const uint8_t first[RTMP_HANDSHAKE_BYTES])
{
    return (first[4] | first[5] | first[6] | first[7]) != 0; /* 0 is the simple form */
}

/* C0 and C1 are here: S0 S1 S2. */
static enum err answer_client(struct rtmp_handshake *hs, struct buf_writer *out)
{
    static const uint8_t k_simple[4] = {0};
    static const uint8_t k_version[4] = {4, 5, 0, 1}; /* what a Flash Media Server 4.5 says */
    uint8_t ours[RTMP_HANDSHAKE_BYTES];
    unsigned offset = 0;
    int schema = -1;

    if (has_version(hs->theirs))
        schema = find_schema(hs->theirs, k_client_key, CLIENT_KEY_BYTES, &offset);
    hs->is_digest = schema >= 0;
    fill_first(hs, hs->is_digest ? k_version : k_simple, ours);
    if (hs->is_digest && !put_digest(ours, schema, k_server_key, SERVER_KEY_BYTES))
        return fail(hs, E_NOMEM, "no digest could be made");
    buf_write_u8(out, VERSION);
    buf_write(out, ours, sizeof ours);
    if (!hs->is_digest) {
        buf_write(out, hs->theirs, RTMP_HANDSHAKE_BYTES);
        return E_OK;
    }
    return write_signed_second(hs, k_server_key, SERVER_FULL_KEY_BYTES, offset, out);
}

/* S0 and S1 are here: C2. */
static enum err answer_server(struct rtmp_handshake *hs, struct buf_writer *out)
{
    unsigned offset = 0;

    hs->is_digest = has_version(hs->theirs) &&
                    find_schema(hs->theirs, k_server_key, SERVER_KEY_BYTES, &offset) >= 0;
    if (hs->is_digest)
        return write_signed_second(hs, k_client_key, CLIENT_FULL_KEY_BYTES, offset, out);
    buf_write(out, hs->theirs, RTMP_HANDSHAKE_BYTES);
    return E_OK;
}

void rtmp_handshake_start(struct rtmp_handshake *hs, struct buf_writer *out)
{
    static const uint8_t k_version[4] = {9, 0, 124, 2}; /* Flash Player, as ffmpeg says */
    uint8_t ours[RTMP_HANDSHAKE_BYTES];

    fill_first(hs, k_version, ours);
    /* Schema 1 first: servers that know one alone know that. Unsigned it is still a simple C1. */
    (void)put_digest(ours, 1, k_client_key, CLIENT_KEY_BYTES);
    buf_write_u8(out, VERSION);
    buf_write(out, ours, sizeof ours);
}

static enum err check_version(struct rtmp_handshake *hs, unsigned version)
{
    if (version == VERSION)
        return E_OK;
    if (version == 6 || version == 8 || version == 9)
        return fail(hs, E_PROTO, "handshake: encrypted RTMP (RTMPE) is not supported");
    if (version >= 32) /* section 5.2.2: so that text protocols can be told apart */
        return fail(hs, E_PROTO, "handshake: not RTMP");
    return fail(hs, E_PROTO, "handshake: not version 3");
}

/* Moves bytes of the awaited 1536 into to (dropped if NULL); true when they are complete. */
static bool gather(struct rtmp_handshake *hs, struct buf_reader *in, uint8_t *to)
{
    size_t missing = RTMP_HANDSHAKE_BYTES - hs->got_bytes;
    struct buf_view part = buf_take(in, in->left_bytes < missing ? in->left_bytes : missing);

    if (to && part.size_bytes)
        memcpy(to + hs->got_bytes, part.data, part.size_bytes);
    hs->got_bytes += (unsigned)part.size_bytes;
    if (hs->got_bytes < RTMP_HANDSHAKE_BYTES)
        return false;
    hs->got_bytes = 0;
    return true;
}

enum err rtmp_handshake_feed(struct rtmp_handshake *hs, struct buf_reader *in,
                             struct buf_writer *out)
{
    enum err e;

    if (hs->state == WAIT_VERSION) {
        if (in->left_bytes == 0)
            return E_AGAIN;
        e = check_version(hs, buf_read_u8(in));
        if (e != E_OK)
            return e;
        hs->state = WAIT_FIRST;
    }
    if (hs->state == WAIT_FIRST) {
        if (in->left_bytes == 0)
            return E_AGAIN;
        if (!hs->theirs)
            hs->theirs = malloc(RTMP_HANDSHAKE_BYTES);
        if (!hs->theirs)
            return fail(hs, E_NOMEM, "out of memory");
        if (!gather(hs, in, hs->theirs))
            return E_AGAIN;
        e = hs->is_client ? answer_server(hs, out) : answer_client(hs, out);
        drop_theirs(hs);
        if (e != E_OK)
            return e;
        hs->state = WAIT_SECOND;
    }
    if (hs->state == WAIT_SECOND) {
        if (!gather(hs, in, NULL))
            return E_AGAIN;
        hs->state = DONE;
    }
    return E_OK;
}
