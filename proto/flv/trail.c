/* The trail of an @hw tag: which nodes a stream came through, and how late it was at each. */
#include "proto/flv/flv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ID_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

/* The bytes up to the next stop, which is passed; all when there is none: then false. */
static bool take_part(struct buf_reader *in, char stop, struct buf_view *part)
{
    const uint8_t *end = in->left_bytes ? memchr(in->at, stop, in->left_bytes) : NULL;

    *part = buf_take(in, end ? (size_t)(end - in->at) : in->left_bytes);
    if (end)
        (void)buf_read_u8(in);
    return end != NULL;
}

/* Digits alone, at most max. */
static bool parse_number(struct buf_view text, uint64_t max, uint64_t *out)
{
    struct buf_reader in = buf_reader_from(text);
    uint64_t value = 0;

    if (!in.left_bytes)
        return false;
    while (in.left_bytes) {
        uint8_t digit = (uint8_t)(buf_read_u8(&in) - '0');

        if (digit > 9 || __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, digit, &value) || value > max)
            return false;
    }
    *out = value;
    return true;
}

static bool parse_us(struct buf_view text, int64_t *out)
{
    struct buf_reader in = buf_reader_from(text);
    bool negative = in.left_bytes && *in.at == '-';
    uint64_t magnitude;

    if (negative)
        (void)buf_read_u8(&in);
    if (!parse_number(buf_rest(&in), FLV_HW_MAX_US, &magnitude))
        return false;
    *out = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return true;
}

static bool parse_id(struct buf_view text, char id[FLV_HOP_ID_SIZE])
{
    return text.size_bytes && buf_view_to_str(text, id, FLV_HOP_ID_SIZE) &&
           strspn(id, ID_CHARS) == text.size_bytes;
}

static bool parse_hop(struct buf_view text, struct flv_hop *out)
{
    struct buf_reader in = buf_reader_from(text);
    struct buf_view id, epoch, lag;

    return take_part(&in, ',', &id) && parse_id(id, out->id) && take_part(&in, ',', &epoch) &&
           parse_number(epoch, UINT64_MAX, &out->epoch) && take_part(&in, ',', &lag) &&
           parse_us(lag, &out->lag_us) && parse_us(buf_rest(&in), &out->unc_us) &&
           out->unc_us >= -1;
}

enum err flv_parse_trail(struct buf_view text, struct flv_hop hops[FLV_MAX_HOPS], unsigned *n)
{
    struct buf_reader in = buf_reader_from(text);
    struct flv_hop found[FLV_MAX_HOPS];
    bool more = text.size_bytes > 0;
    unsigned n_found = 0;

    while (more) {
        struct buf_view hop;

        more = take_part(&in, ';', &hop);
        if (n_found == FLV_MAX_HOPS || !parse_hop(hop, &found[n_found]))
            return E_PROTO;
        n_found++;
    }
    if (n_found)
        memcpy(hops, found, n_found * sizeof found[0]);
    *n = n_found;
    return E_OK;
}

static unsigned count_hops(const char *trail)
{
    unsigned n = *trail != '\0';

    for (; *trail; trail++)
        n += *trail == ';';
    return n;
}

bool flv_append_hop(char trail[FLV_TRAIL_SIZE], const struct flv_hop *hop)
{
    size_t used = strlen(trail);
    int n;

    if (count_hops(trail) >= FLV_MAX_HOPS)
        return false;
    n = snprintf(trail + used, FLV_TRAIL_SIZE - used, "%s%s,%" PRIu64 ",%" PRId64 ",%" PRId64,
                 used ? ";" : "", hop->id, hop->epoch, hop->lag_us, hop->unc_us);
    if (n > 0 && (size_t)n < FLV_TRAIL_SIZE - used)
        return true;
    trail[used] = '\0';
    return false;
}
