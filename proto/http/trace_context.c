/* The header field traceparent. */
#include "proto/http/trace_context.h"

#include <endian.h>
#include <stddef.h>
#include <string.h>

/* Eight digits at once, since every log line of a session has such an id: a byte for each nibble,
 * then from the nibbles to their letters. */
static void put_hex8(char *out, uint32_t value)
{
    uint64_t x = value;

    x = (x << 16 | x) & UINT64_C(0x0000ffff0000ffff);
    x = (x << 8 | x) & UINT64_C(0x00ff00ff00ff00ff);
    x = (x << 4 | x) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    x += UINT64_C(0x3030303030303030) + /* 10 and more: by 'a' - '9' - 1 further */
         ((x + UINT64_C(0x0606060606060606)) >> 4 & UINT64_C(0x0101010101010101)) * 0x27;
    x = htobe64(x);
    memcpy(out, &x, sizeof x);
}

static void put_hex(char *out, uint64_t value)
{
    put_hex8(out, (uint32_t)(value >> 32));
    put_hex8(out + 8, (uint32_t)value);
}

/* n digits, lower case alone: the others are not allowed (section 3.2.2.3). */
static bool take_hex(const char **at, int n, uint64_t *out)
{
    uint64_t value = 0;

    for (; n > 0; n--, (*at)++) {
        if (**at >= '0' && **at <= '9')
            value = value << 4 | (uint64_t)(**at - '0');
        else if (**at >= 'a' && **at <= 'f')
            value = value << 4 | (uint64_t)(**at - 'a' + 10);
        else
            return false;
    }
    *out = value;
    return true;
}

static bool take_dash(const char **at)
{
    return *(*at)++ == '-';
}

static bool take_id(const char **at, struct trace_id *id)
{
    return take_hex(at, 16, &id->high) && take_hex(at, 16, &id->low) && trace_id_is_set(id);
}

bool traceparent_parse(const char *text, struct trace_id *out)
{
    uint64_t version, span, flags;
    struct trace_id id;

    if (!text || !take_hex(&text, 2, &version) || version == 0xff || !take_dash(&text) ||
        !take_id(&text, &id) || !take_dash(&text) || !take_hex(&text, 16, &span) || span == 0 ||
        !take_dash(&text) || !take_hex(&text, 2, &flags))
        return false;
    if (*text && (version == 0 || *text != '-'))
        return false;
    *out = id;
    return true;
}

bool trace_id_parse(const char *text, struct trace_id *out)
{
    struct trace_id id;

    if (!text || !take_id(&text, &id) || *text)
        return false;
    *out = id;
    return true;
}

void trace_id_write(const struct trace_id *id, char out[TRACE_TEXT_SIZE])
{
    put_hex(out, id->high);
    put_hex(out + 16, id->low);
    out[32] = '\0';
}

void traceparent_write(const struct trace_id *id, uint64_t span, char out[TRACEPARENT_SIZE])
{
    memcpy(out, "00-", 3);
    trace_id_write(id, out + 3);
    out[35] = '-';
    put_hex(out + 36, span);
    memcpy(out + 52, "-01", 4);
}
