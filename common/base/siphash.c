/* SipHash-1-3. Words are put together byte by byte, so the result is the same on every machine. */
#include "common/base/siphash.h"

struct sip_state {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate_left(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static void sip_round(struct sip_state *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotate_left(s->v1, 13) ^ s->v0;
    s->v3 = rotate_left(s->v3, 16) ^ s->v2;
    s->v0 = rotate_left(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = rotate_left(s->v1, 17) ^ s->v2;
    s->v3 = rotate_left(s->v3, 21) ^ s->v0;
    s->v2 = rotate_left(s->v2, 32);
}

static void sip_word(struct sip_state *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

static uint64_t load_le(const uint8_t *bytes, size_t n_bytes)
{
    uint64_t word = 0;

    for (size_t i = n_bytes; i-- > 0;)
        word = word << 8 | bytes[i];
    return word;
}

uint64_t siphash13(const uint64_t key[2], const void *data, size_t size_bytes)
{
    /* the paper's initial words: "somepseudorandomlygeneratedbytes" */
    struct sip_state s = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
                          key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573};
    const uint8_t *bytes = data;
    size_t tail_bytes = size_bytes % 8;
    size_t at = 0;

    for (; at + 8 <= size_bytes; at += 8)
        sip_word(&s, load_le(bytes + at, 8));
    /* the last word holds what is left and, on top, the length modulo 256 */
    sip_word(&s, (tail_bytes ? load_le(bytes + at, tail_bytes) : 0) | (uint64_t)size_bytes << 56);
    s.v2 ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
