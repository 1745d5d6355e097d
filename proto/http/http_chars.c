/* Character classes of RFC 9110 and the few ways to cut a text into parts. */
#include <string.h>

#include "proto/http/http_private.h"

enum err http_refuse(struct http_error *error, enum err e, unsigned status, const char *text)
{
    error->status = status;
    error->text = text;
    return e;
}

bool http_is_alnum(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool http_is_token_char(uint8_t c)
{
    return http_is_alnum(c) || (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

bool http_is_token(struct buf_view text)
{
    for (size_t i = 0; i < text.size_bytes; i++)
        if (!http_is_token_char(text.data[i]))
            return false;
    return text.size_bytes > 0;
}

bool http_is_value_char(uint8_t c)
{
    return c == '\t' || (c >= ' ' && c != 0x7f);
}

bool http_is_target_char(uint8_t c)
{
    return c > ' ' && c != 0x7f && c != '#';
}

int http_hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool http_parse_uint(struct buf_view text, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;

    for (size_t i = 0; i < text.size_bytes; i++) {
        uint64_t digit = (uint64_t)text.data[i] - '0';

        if (digit > 9 || digit > max || value > (max - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return text.size_bytes > 0;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

struct buf_view http_trim(struct buf_view text)
{
    struct buf_reader r = buf_reader_from(text);

    while (r.left_bytes && is_blank(r.at[0]))
        (void)buf_take(&r, 1);
    while (r.left_bytes && is_blank(r.at[r.left_bytes - 1]))
        r.left_bytes--;
    return buf_rest(&r);
}

struct buf_view http_take_until(struct buf_reader *r, uint8_t separator)
{
    const uint8_t *found = r->left_bytes ? memchr(r->at, separator, r->left_bytes) : NULL;
    struct buf_view text = buf_take(r, found ? (size_t)(found - r->at) : r->left_bytes);

    if (found)
        (void)buf_take(r, 1);
    return text;
}

bool http_list_next(struct buf_reader *r, struct buf_view *element)
{
    if (!r->left_bytes)
        return false;
    *element = http_trim(http_take_until(r, ','));
    return true;
}
