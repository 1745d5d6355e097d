/* Request heads. RFC 9112, section 3. */
#include <string.h>

#include "proto/http/http_private.h"

/* Section 2.2 asks servers to ignore at least one empty line before a request line: old clients end
 * a POST body with an extra CR LF. */
#define MAX_LEADING_EMPTY_LINES 2

/* E_AGAIN while what is there may still be an empty line. */
static enum err skip_empty_lines(struct buf_reader *in, struct http_error *error)
{
    for (unsigned n = 0; in->left_bytes && in->at[0] == '\r'; n++) {
        if (n == MAX_LEADING_EMPTY_LINES)
            return http_refuse(error, E_PROTO, 400, "too many empty lines before a request");
        if (in->left_bytes < 2)
            return E_AGAIN;
        if (in->at[1] != '\n')
            return http_refuse(error, E_PROTO, 400, "bare CR");
        (void)buf_take(in, 2);
    }
    return in->left_bytes ? E_OK : E_AGAIN;
}

/* Refuses what cannot be HTTP from its first bytes, long before a time-out would: a TLS ClientHello
 * starts with 0x16, an RTMP handshake with 0x03. */
static enum err check_start(struct buf_view bytes, struct http_error *error)
{
    for (size_t i = 0; i < bytes.size_bytes; i++) {
        if (bytes.data[i] == ' ' && i > 0)
            return E_OK;
        if (!http_is_token_char(bytes.data[i]))
            return http_refuse(error, E_PROTO, 400, "not an HTTP request");
        if (i == HTTP_MAX_METHOD_BYTES)
            return http_refuse(error, E_PROTO, 501, "method name too long");
    }
    return E_OK;
}

/* Bytes from 0x80 on are let through: ffmpeg and VLC send the UTF-8 of a URL as it was typed. */
static enum err check_target_chars(struct buf_view target, struct http_error *error)
{
    for (size_t i = 0; i < target.size_bytes; i++)
        if (!http_is_target_char(target.data[i]))
            return http_refuse(error, E_PROTO, 400, "forbidden character in the request target");
    return E_OK;
}

/* method SP request-target SP HTTP-version. */
static enum err parse_request_line(struct buf_view line, struct http_head *out,
                                   struct http_error *error)
{
    struct buf_reader r = buf_reader_from(line);
    enum err e;

    out->method = http_take_until(&r, ' '); /* check_start() saw that it is a token */
    out->target = http_take_until(&r, ' ');
    if (out->target.size_bytes == 0 || r.left_bytes == 0)
        return http_refuse(error, E_PROTO, 400, "malformed request line");
    e = http_parse_version(buf_rest(&r), &out->minor_version, error);
    if (e != E_OK)
        return e;
    return check_target_chars(out->target, error);
}

/* Section 3.2.2: the authority of the target replaces whatever Host said. */
static enum err replace_host(struct http_head *out, struct buf_view authority,
                             struct http_error *error)
{
    struct buf_view host;
    unsigned port;

    if (http_split_host(authority, &host, &port) != E_OK || host.size_bytes == 0)
        return http_refuse(error, E_PROTO, 400, "malformed authority in the request target");
    for (unsigned i = 0; i < out->n_fields; i++) {
        if (buf_view_equals_nocase(out->fields[i].name, "host")) {
            out->fields[i].value = authority;
            return E_OK;
        }
    }
    if (out->n_fields == HTTP_MAX_HEADERS)
        return http_refuse(error, E_TOO_BIG, 431, "too many header fields");
    out->fields[out->n_fields++] = (struct http_field){buf_view_str("Host"), authority};
    return E_OK;
}

/* "http://host/path?query" to "/path?query"; "http://host" is "/", or "*" for OPTIONS (3.2.4). */
static enum err reduce_absolute_form(struct http_head *out, struct http_error *error)
{
    struct buf_reader r = buf_reader_from(out->target);
    struct buf_view scheme = http_take_until(&r, ':');
    struct buf_view slashes = buf_take(&r, 2);
    struct buf_view authority;

    if (!buf_view_equals(slashes, "//") ||
        !(buf_view_equals_nocase(scheme, "http") || buf_view_equals_nocase(scheme, "https")))
        return http_refuse(error, E_PROTO, 400, "request target is no path");
    authority = http_take_authority(&r);
    if (r.left_bytes && r.at[0] == '?')
        return http_refuse(error, E_PROTO, 400, "absolute request target without a path");
    out->target = r.left_bytes                              ? buf_rest(&r)
                  : buf_view_equals(out->method, "OPTIONS") ? buf_view_str("*")
                                                            : buf_view_str("/");
    return replace_host(out, authority, error);
}

static enum err check_target(struct http_head *out, struct http_error *error)
{
    if (buf_view_equals(out->method, "CONNECT"))
        return http_refuse(error, E_PROTO, 501, "no tunnels here");
    if (out->target.data[0] == '/')
        return E_OK;
    if (!buf_view_equals(out->target, "*"))
        return reduce_absolute_form(out, error);
    if (!buf_view_equals(out->method, "OPTIONS"))
        return http_refuse(error, E_PROTO, 400, "target * is for OPTIONS only");
    return E_OK;
}

enum err http_parse_request(struct buf_reader *in, size_t max_head_bytes, struct http_head *out,
                            struct http_error *error)
{
    struct buf_reader at = *in;
    struct buf_view head_bytes;
    struct buf_reader head;
    enum err e = skip_empty_lines(&at, error);

    if (e == E_OK)
        e = check_start(buf_rest(&at), error);
    if (e == E_OK)
        e = http_scan_head(&at, max_head_bytes, &head_bytes, error);
    if (e != E_OK)
        return e;
    *out = (struct http_head){.is_response = false};
    head = buf_reader_from(head_bytes);
    e = parse_request_line(http_take_line(&head), out, error);
    if (e == E_OK)
        e = http_parse_fields(&head, out, error);
    if (e == E_OK)
        e = check_target(out, error);
    if (e == E_OK)
        *in = at;
    return e;
}

/* --- from fields --- */

static const struct {
    const char *name;
    size_t member; /* of struct http_head; a struct buf_view */
} k_pseudo[] = {
    {":method", offsetof(struct http_head, method)},
    {":path", offsetof(struct http_head, target)},
};

static void apply_pseudo(const struct http_field *field, struct http_head *out)
{
    for (size_t i = 0; i < sizeof k_pseudo / sizeof k_pseudo[0]; i++)
        if (buf_view_equals(field->name, k_pseudo[i].name))
            memcpy((char *)out + k_pseudo[i].member, &field->value, sizeof field->value);
}

static bool is_pseudo(const struct http_field *field)
{
    return field->name.size_bytes > 0 && field->name.data[0] == ':';
}

/* RFC 9113, section 8.3.1: the authority, where there is one, is what Host was. */
static const struct http_field *find_authority(const struct http_field *fields, unsigned n_fields)
{
    for (unsigned i = 0; i < n_fields; i++)
        if (buf_view_equals(fields[i].name, ":authority"))
            return &fields[i];
    return NULL;
}

/* Section 8.2.2: they speak of the connection, which many requests share. */
static bool is_connection_field(const struct http_field *field)
{
    return buf_view_equals_nocase(field->name, "connection") ||
           buf_view_equals_nocase(field->name, "transfer-encoding");
}

static enum err take_fields(const struct http_field *fields, unsigned n_fields,
                            struct http_head *out, struct http_error *error)
{
    const struct http_field *authority = find_authority(fields, n_fields);

    if (authority)
        out->fields[out->n_fields++] = (struct http_field){buf_view_str("Host"), authority->value};
    for (unsigned i = 0; i < n_fields; i++) {
        if (is_connection_field(&fields[i]))
            return http_refuse(error, E_PROTO, 400, "connection field in HTTP/2");
        if (is_pseudo(&fields[i])) {
            apply_pseudo(&fields[i], out);
        } else if (!(authority && buf_view_equals_nocase(fields[i].name, "host"))) {
            if (out->n_fields == HTTP_MAX_HEADERS)
                return http_refuse(error, E_TOO_BIG, 431, "too many header fields");
            out->fields[out->n_fields++] = fields[i];
        }
    }
    return E_OK;
}

enum err http_head_from_fields(const struct http_field *fields, unsigned n_fields,
                               struct http_head *out, struct http_error *error)
{
    enum err e;

    *out = (struct http_head){.minor_version = 1};
    e = take_fields(fields, n_fields, out, error);
    if (e == E_OK && (!http_is_token(out->method) || out->target.size_bytes == 0))
        e = http_refuse(error, E_PROTO, 400, "no method or path");
    if (e == E_OK && out->method.size_bytes > HTTP_MAX_METHOD_BYTES)
        e = http_refuse(error, E_PROTO, 501, "method name too long");
    if (e == E_OK)
        e = check_target_chars(out->target, error);
    if (e == E_OK)
        e = http_apply_fields(out, error);
    if (e == E_OK)
        e = check_target(out, error);
    return e;
}
