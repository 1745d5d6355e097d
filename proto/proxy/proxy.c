/* See proxy.h. */
#include "proto/proxy/proxy.h"

#include <arpa/inet.h>
#include <string.h>

#define V1_MAX_BYTES 107 /* section 2.1: with CR LF */

static const uint8_t k_v1_signature[6] = {'P', 'R', 'O', 'X', 'Y', ' '};
static const uint8_t k_v2_signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                           0x0a, 'Q',  'U',  'I',  'T',  0x0a};

/* --- version 1 --- */

/* Digits alone, no zero in front of others. */
static bool read_port(struct buf_view text, uint16_t *port)
{
    unsigned value = 0;

    if (text.size_bytes < 1 || text.size_bytes > 5 || (text.size_bytes > 1 && text.data[0] == '0'))
        return false;
    for (size_t i = 0; i < text.size_bytes; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (unsigned)(text.data[i] - '0');
    }
    *port = (uint16_t)value;
    return value <= UINT16_MAX;
}

static bool read_address(struct buf_view text, enum proxy_family family, uint8_t out[16])
{
    char number[INET6_ADDRSTRLEN];

    return buf_view_to_str(text, number, sizeof number) &&
           inet_pton(family == PROXY_IPV4 ? AF_INET : AF_INET6, number, out) == 1;
}

/* What is before the next space, which is passed; at the end of the line all that is left. */
static struct buf_view next_word(struct buf_reader *line)
{
    struct buf_view rest = buf_rest(line), word;
    size_t n = 0;

    while (n < rest.size_bytes && rest.data[n] != ' ')
        n++;
    word = buf_take(line, n);
    if (line->left_bytes)
        (void)buf_take(line, 1);
    return word;
}

/* "TCP4 192.0.2.7 198.51.100.1 40112 1935": source, destination, their ports. */
static enum err parse_words(struct buf_reader line, struct proxy_header *out, const char **why)
{
    struct buf_view kind = next_word(&line), source, destination, from, to;
    struct proxy_header h = {.family = PROXY_NONE};
    uint8_t unused_address[16];
    uint16_t unused_port;

    if (buf_view_equals(kind, "UNKNOWN")) { /* what follows is not to be looked at */
        *out = h;
        return E_OK;
    }
    if (buf_view_equals(kind, "TCP4"))
        h.family = PROXY_IPV4;
    else if (buf_view_equals(kind, "TCP6"))
        h.family = PROXY_IPV6;
    source = next_word(&line);
    destination = next_word(&line);
    from = next_word(&line);
    to = buf_rest(&line);
    if (h.family != PROXY_NONE && read_address(source, h.family, h.address) &&
        read_address(destination, h.family, unused_address) && read_port(from, &h.port) &&
        read_port(to, &unused_port)) {
        *out = h;
        return E_OK;
    }
    *why = "not \"PROXY TCP4|TCP6 source destination port port\"";
    return E_PROTO;
}

static enum err parse_v1(struct buf_reader *in, struct proxy_header *out, const char **why)
{
    struct buf_reader line = *in;
    struct buf_view bytes = buf_rest(in);
    size_t n = sizeof k_v1_signature;
    enum err e;

    while (n < bytes.size_bytes && n < V1_MAX_BYTES && bytes.data[n] != '\n')
        n++;
    if (n >= V1_MAX_BYTES) {
        *why = "a line of more than 107 bytes";
        return E_PROTO;
    }
    if (n >= bytes.size_bytes)
        return E_AGAIN;
    if (bytes.data[n - 1] != '\r') {
        *why = "a line that does not end with CR LF";
        return E_PROTO;
    }
    (void)buf_take(&line, sizeof k_v1_signature);
    line.left_bytes = n - 1 - sizeof k_v1_signature;
    e = parse_words(line, out, why);
    if (e == E_OK)
        (void)buf_take(in, n + 1);
    return e;
}

/* --- version 2 --- */

enum { V2_LOCAL = 0x20, V2_PROXY = 0x21 }; /* version and command */

static const struct {
    uint8_t kind; /* family and transport */
    enum proxy_family family;
    size_t address_bytes, block_bytes; /* of one address, of both and the ports */
} k_v2_kinds[] = {
    {0x11, PROXY_IPV4, 4, 12},
    {0x12, PROXY_IPV4, 4, 12}, /* over UDP */
    {0x21, PROXY_IPV6, 16, 36},
    {0x22, PROXY_IPV6, 16, 36},
};

/* block: addresses, and TLVs behind them, which say nothing that matters here. */
static enum err parse_v2_block(uint8_t kind, struct buf_reader block, struct proxy_header *out,
                               const char **why)
{
    struct proxy_header h = {.family = PROXY_NONE};

    for (size_t i = 0; i < sizeof k_v2_kinds / sizeof k_v2_kinds[0]; i++) {
        struct buf_view source;

        if (k_v2_kinds[i].kind != kind)
            continue;
        if (block.left_bytes < k_v2_kinds[i].block_bytes) {
            *why = "too short for its addresses";
            return E_PROTO;
        }
        source = buf_take(&block, k_v2_kinds[i].address_bytes);
        memcpy(h.address, source.data, source.size_bytes);
        (void)buf_take(&block, k_v2_kinds[i].address_bytes); /* where it went to */
        h.port = buf_read_u16be(&block);
        h.family = k_v2_kinds[i].family;
    }
    *out = h; /* others (0x00, Unix sockets): the standard says to take the connection as it is */
    return E_OK;
}

static enum err parse_v2(struct buf_reader *in, struct proxy_header *out, const char **why)
{
    struct proxy_header h = {.family = PROXY_NONE};
    struct buf_reader r = *in, block;
    uint8_t command, kind;
    uint16_t size_bytes;
    enum err e = E_OK;

    (void)buf_take(&r, sizeof k_v2_signature);
    command = buf_read_u8(&r);
    if (!r.overrun && command != V2_LOCAL && command != V2_PROXY) {
        *why = "not version 2, or a command that is neither LOCAL nor PROXY";
        return E_PROTO;
    }
    kind = buf_read_u8(&r);
    size_bytes = buf_read_u16be(&r);
    if (!r.overrun && size_bytes > PROXY_MAX_BYTES - sizeof k_v2_signature - 4) {
        *why = "longer than 2048 bytes";
        return E_PROTO;
    }
    block = buf_reader_from(buf_take(&r, size_bytes));
    if (r.overrun)
        return E_AGAIN;
    if (command == V2_PROXY)
        e = parse_v2_block(kind, block, &h, why);
    if (e != E_OK)
        return e;
    *out = h;
    *in = r;
    return E_OK;
}

/* --- public --- */

static const struct {
    const uint8_t *signature;
    size_t size_bytes;
    enum err (*parse)(struct buf_reader *in, struct proxy_header *out, const char **why);
} k_versions[] = {
    {k_v1_signature, sizeof k_v1_signature, parse_v1},
    {k_v2_signature, sizeof k_v2_signature, parse_v2},
};

enum err proxy_parse(struct buf_reader *in, struct proxy_header *out, const char **why)
{
    struct buf_view bytes = buf_rest(in);

    if (bytes.size_bytes == 0)
        return E_AGAIN;
    for (size_t i = 0; i < sizeof k_versions / sizeof k_versions[0]; i++) {
        size_t n = k_versions[i].size_bytes;
        size_t common = bytes.size_bytes < n ? bytes.size_bytes : n;

        if (memcmp(bytes.data, k_versions[i].signature, common) != 0)
            continue;
        return common < n ? E_AGAIN : k_versions[i].parse(in, out, why);
    }
    return E_NOT_FOUND;
}
