/* URLs, request targets and query strings. RFC 3986; RFC 9112, section 3.2. */
#include <stdio.h>
#include <string.h>

#include "proto/http/http_private.h"

static bool is_unreserved(uint8_t c)
{
    return http_is_alnum(c) || (c != 0 && strchr("-._~", c) != NULL);
}

/* One character, decoded; -1 on a bad escape. */
static int decode_next(struct buf_reader *r, bool plus_is_space)
{
    uint8_t c = buf_read_u8(r);
    int high, low;

    if (c == '+' && plus_is_space)
        return ' ';
    if (c != '%')
        return c;
    high = http_hex_value(buf_read_u8(r));
    low = http_hex_value(buf_read_u8(r));
    return r->overrun || high < 0 || low < 0 ? -1 : high << 4 | low;
}

static enum err decode(struct buf_view in, bool plus_is_space, char *out, size_t size)
{
    struct buf_reader r = buf_reader_from(in);
    size_t n = 0;

    while (r.left_bytes) {
        int c = decode_next(&r, plus_is_space);

        if (c <= 0 || n + 1 >= size)
            goto fail;
        out[n++] = (char)c;
    }
    if (size == 0)
        return E_INVAL;
    out[n] = '\0';
    return E_OK;
fail:
    if (size)
        out[0] = '\0';
    return E_INVAL;
}

enum err http_percent_decode(struct buf_view in, char *out, size_t size)
{
    return decode(in, false, out, size);
}

void http_percent_encode(struct buf_view in, struct buf_writer *out)
{
    for (size_t i = 0; i < in.size_bytes; i++) {
        if (is_unreserved(in.data[i]) || in.data[i] == '/')
            buf_write_u8(out, in.data[i]);
        else
            buf_printf(out, "%%%02X", in.data[i]);
    }
}

/* The rule that a decoded path breaks, or NULL. */
static const char *path_fault(const char *path)
{
    for (const char *part = path; part;) {
        const char *next = strchr(part + 1, '/'); /* part is at its slash */
        size_t size_bytes = next ? (size_t)(next - part) - 1 : strlen(part + 1);

        if (size_bytes == 0 && next)
            return "empty path segment";
        if ((size_bytes == 1 || size_bytes == 2) && strncmp(part + 1, "..", size_bytes) == 0)
            return "dot segment in the path";
        part = next;
    }
    for (const char *c = path; *c; c++) {
        if ((uint8_t)*c < ' ' || *c == 0x7f)
            return "control character in the path";
        if (*c == '\\')
            return "backslash in the path";
    }
    return NULL;
}

/* An escaped slash would move the borders between segments. */
static bool has_escaped_slash(struct buf_view raw)
{
    for (size_t i = 0; i + 2 < raw.size_bytes; i++)
        if (raw.data[i] == '%' && raw.data[i + 1] == '2' && (raw.data[i + 2] | 0x20) == 'f')
            return true;
    return false;
}

enum err http_split_target(struct buf_view target, char *path, size_t path_size,
                           struct buf_view *query, const char **why)
{
    struct buf_reader r = buf_reader_from(target);
    struct buf_view raw = http_take_until(&r, '?');

    *why = NULL;
    if (raw.size_bytes == 0 || raw.data[0] != '/')
        *why = "path does not start with a slash";
    else if (memchr(raw.data, '#', raw.size_bytes))
        *why = "fragment in the request target";
    else if (has_escaped_slash(raw))
        *why = "escaped slash in the path";
    else if (http_percent_decode(raw, path, path_size) != E_OK)
        *why = raw.size_bytes >= path_size ? "path too long" : "bad escape in the path";
    else
        *why = path_fault(path);
    if (*why)
        return E_INVAL;
    *query = buf_rest(&r);
    return E_OK;
}

/* Compares without decoding into memory: the escaped text may be of any length. */
static bool key_matches(struct buf_view raw, const char *key)
{
    struct buf_reader r = buf_reader_from(raw);

    while (r.left_bytes && *key)
        if (decode_next(&r, true) != (uint8_t)*key++)
            return false;
    return r.left_bytes == 0 && *key == '\0';
}

enum err http_query_get(struct buf_view query, const char *key, char *out, size_t size)
{
    struct buf_reader r = buf_reader_from(query);

    while (r.left_bytes) {
        struct buf_reader pair = buf_reader_from(http_take_until(&r, '&'));
        struct buf_view name = http_take_until(&pair, '=');

        if (key_matches(name, key))
            return decode(buf_rest(&pair), true, out, size);
    }
    return E_NOT_FOUND;
}

enum err http_query_next(struct buf_reader *query, char *key, size_t size)
{
    while (query->left_bytes) {
        struct buf_reader pair = buf_reader_from(http_take_until(query, '&'));
        struct buf_view name = http_take_until(&pair, '=');

        if (name.size_bytes || buf_rest(&pair).size_bytes)
            return decode(name, true, key, size);
    }
    return E_END;
}

static bool is_host_char(uint8_t c)
{
    return is_unreserved(c) || (c != 0 && strchr("%!$&'()*+,;=", c) != NULL);
}

static bool is_address_char(uint8_t c)
{
    return http_hex_value(c) >= 0 || c == ':' || c == '.';
}

static bool all_chars(struct buf_view text, bool (*is_allowed)(uint8_t c))
{
    for (size_t i = 0; i < text.size_bytes; i++)
        if (!is_allowed(text.data[i]))
            return false;
    return true;
}

enum err http_split_host(struct buf_view text, struct buf_view *host, unsigned *port)
{
    struct buf_reader r = buf_reader_from(text);
    bool bracket = text.size_bytes && text.data[0] == '[';
    struct buf_view name;
    uint64_t number = 0;
    bool has_port;

    if (bracket) {
        struct buf_reader inner = r;

        (void)buf_take(&inner, 1);
        name = http_take_until(&inner, ']');
        if (name.size_bytes == 0 || name.size_bytes + 2 > text.size_bytes)
            return E_INVAL;
        r = inner;
        has_port = r.left_bytes > 0 && buf_read_u8(&r) == ':';
        if (!has_port && name.size_bytes + 2 != text.size_bytes)
            return E_INVAL;
    } else {
        name = http_take_until(&r, ':');
        has_port = name.size_bytes < text.size_bytes;
    }
    if (!all_chars(name, bracket ? is_address_char : is_host_char))
        return E_INVAL;
    if (has_port && r.left_bytes && !http_parse_uint(buf_rest(&r), 65535, &number))
        return E_INVAL;
    *host = name;
    *port = (unsigned)number;
    return E_OK;
}

/* RFC 3986, section 3.1. */
static bool is_scheme(struct buf_view text)
{
    for (size_t i = 0; i < text.size_bytes; i++)
        if (!http_is_alnum(text.data[i]) && !strchr("+-.", text.data[i]))
            return false;
    return text.size_bytes > 0 && (text.data[0] | 0x20) >= 'a' && (text.data[0] | 0x20) <= 'z';
}

struct buf_view http_take_authority(struct buf_reader *r)
{
    struct buf_reader start = *r;

    while (r->left_bytes && r->at[0] != '/' && r->at[0] != '?')
        (void)buf_take(r, 1);
    start.left_bytes -= r->left_bytes;
    return buf_rest(&start);
}

/* Splits "user:password@" off; the last "@" counts, since passwords hold unescaped ones in
 * practice. */
static struct buf_view split_user(struct buf_view authority, struct url *out)
{
    const uint8_t *at =
        authority.size_bytes ? memrchr(authority.data, '@', authority.size_bytes) : NULL;
    struct buf_reader r = buf_reader_from(authority);
    struct buf_reader user;

    if (!at)
        return authority;
    user = buf_reader_from(buf_take(&r, (size_t)(at - authority.data)));
    out->user = http_take_until(&user, ':');
    out->password = buf_rest(&user);
    (void)buf_take(&r, 1);
    return buf_rest(&r);
}

enum err url_parse(struct buf_view text, struct url *out)
{
    struct buf_reader r = buf_reader_from(text);
    struct url url = {.port = 0};
    struct buf_view host_port;

    if (!all_chars(text, http_is_target_char))
        return E_INVAL;
    url.scheme = http_take_until(&r, ':');
    if (!is_scheme(url.scheme) || !buf_view_equals(buf_take(&r, 2), "//"))
        return E_INVAL;
    host_port = split_user(http_take_authority(&r), &url);
    if (http_split_host(host_port, &url.host, &url.port) != E_OK || url.host.size_bytes == 0)
        return E_INVAL;
    url.path = http_take_until(&r, '?');
    url.query = buf_rest(&r);
    *out = url;
    return E_OK;
}

/* One URL whose "://" is at host - 3. Returns what follows it. */
static const char *mask_one(const char *host, struct buf_writer *out)
{
    const char *end = host + strcspn(host, " |");
    const char *path = host + strcspn(host, "/?#");
    const char *plain = host;

    if (path > end)
        path = end;
    for (const char *c = host; c < path; c++)
        if (*c == '@') /* the last one: a password may have some */
            plain = c + 1;
    if (plain > host)
        buf_write_str(out, "***@");
    buf_write(out, plain, (size_t)(path - plain));
    if (path < end)
        buf_write_str(out, "/***");
    return end;
}

void url_mask(const char *text, char *out, size_t size)
{
    struct buf_writer w;
    const char *host;

    buf_writer_init(&w, strlen(text) * 2 + 16);
    while ((host = strstr(text, "://"))) {
        buf_write(&w, text, (size_t)(host + 3 - text));
        text = mask_one(host + 3, &w);
    }
    buf_write_str(&w, text);
    snprintf(out, size, "%.*s", buf_writer_status(&w) == E_OK ? (int)w.used_bytes : 0,
             w.data ? (const char *)w.data : "");
    buf_writer_fini(&w);
}
