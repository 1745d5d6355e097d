/* Head framing, field lines, and the five fields that decide where a message ends and what happens
 * to the connection after it. RFC 9112, sections 2.2, 5, 6 and 9.3. Two parsers that disagree about
 * the end of a message can be used to smuggle a request, so each doubtful form is refused. */
#include <string.h>

#include "proto/http/http_private.h"

/* What the fields said, until all are known. */
struct field_state {
    struct http_head *head;
    struct http_error *error;
    unsigned n_hosts;
    bool says_close;
    bool says_keep_alive;
};

enum err http_scan_head(struct buf_reader *in, size_t max_head_bytes, struct buf_view *head_bytes,
                        struct http_error *error)
{
    struct buf_reader all = *in;
    struct buf_reader window = *in;
    unsigned n_lines = 0;

    if (window.left_bytes > max_head_bytes)
        window.left_bytes = max_head_bytes;
    for (const uint8_t *lf;
         window.left_bytes && (lf = memchr(window.at, '\n', window.left_bytes)) != NULL;) {
        struct buf_view line = buf_take(&window, (size_t)(lf - window.at) + 1);

        if (line.size_bytes < 2 || line.data[line.size_bytes - 2] != '\r')
            return http_refuse(error, E_PROTO, 400, "line not ended by CR LF");
        if (line.size_bytes == 2) {
            *head_bytes = buf_take(in, (size_t)(window.at - all.at));
            return E_OK;
        }
        if (++n_lines > 1 + HTTP_MAX_HEADERS)
            return http_refuse(error, E_TOO_BIG, 431, "too many header fields");
    }
    if (all.left_bytes < max_head_bytes)
        return E_AGAIN;
    if (n_lines == 0)
        return http_refuse(error, E_TOO_BIG, 414, "request line too long");
    return http_refuse(error, E_TOO_BIG, 431, "head too big");
}

struct buf_view http_take_line(struct buf_reader *head)
{
    struct buf_view line = http_take_until(head, '\n');

    if (line.size_bytes)
        line.size_bytes--; /* the CR that http_scan_head() saw */
    return line;
}

enum err http_parse_version(struct buf_view text, unsigned *minor_version, struct http_error *error)
{
    struct buf_reader r = buf_reader_from(text);
    struct buf_view name = buf_take(&r, 5);
    unsigned major = buf_read_u8(&r) - (unsigned)'0';
    uint8_t dot = buf_read_u8(&r);
    unsigned minor = buf_read_u8(&r) - (unsigned)'0';

    if (r.overrun || r.left_bytes || !buf_view_equals(name, "HTTP/") || major > 9 || dot != '.' ||
        minor > 9)
        return http_refuse(error, E_PROTO, 400, "malformed HTTP version");
    if (major != 1)
        return http_refuse(error, E_PROTO, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    *minor_version = minor ? 1 : 0; /* RFC 9110, section 2.5: a higher minor is treated as ours */
    return E_OK;
}

static enum err on_content_length(struct field_state *s, struct buf_view value)
{
    uint64_t length_bytes;

    for (size_t i = 0; i < value.size_bytes; i++)
        if (value.data[i] < '0' || value.data[i] > '9')
            return http_refuse(s->error, E_PROTO, 400, "malformed Content-Length");
    if (value.size_bytes == 0)
        return http_refuse(s->error, E_PROTO, 400, "empty Content-Length");
    if (!http_parse_uint(value, INT64_MAX, &length_bytes))
        return http_refuse(s->error, E_PROTO, 413, "Content-Length out of range");
    if (s->head->has_length && s->head->length_bytes != length_bytes)
        return http_refuse(s->error, E_PROTO, 400, "Content-Length fields differ");
    s->head->has_length = true;
    s->head->length_bytes = length_bytes;
    return E_OK;
}

/* Section 6.1. Only a single "chunked" is decoded; what ends otherwise has no known end. */
static enum err on_transfer_encoding(struct field_state *s, struct buf_view value)
{
    struct buf_reader list = buf_reader_from(value);
    struct buf_view coding = {NULL, 0};

    if (s->head->minor_version == 0)
        return http_refuse(s->error, E_PROTO, 400, "Transfer-Encoding in HTTP/1.0");
    if (s->head->chunked)
        return http_refuse(s->error, E_PROTO, 400, "several Transfer-Encoding fields");
    if (buf_view_equals_nocase(value, "chunked")) {
        s->head->chunked = true;
        return E_OK;
    }
    while (http_list_next(&list, &coding))
        ;
    if (!buf_view_equals_nocase(coding, "chunked"))
        return http_refuse(s->error, E_PROTO, 400, "last transfer coding is not chunked");
    return http_refuse(s->error, E_PROTO, 501, "transfer coding other than chunked");
}

static enum err on_connection(struct field_state *s, struct buf_view value)
{
    struct buf_reader list = buf_reader_from(value);
    struct buf_view option;

    while (http_list_next(&list, &option)) {
        s->says_close |= buf_view_equals_nocase(option, "close");
        s->says_keep_alive |= buf_view_equals_nocase(option, "keep-alive");
        if (s->head->minor_version > 0) /* RFC 9110, section 7.8: ignored from HTTP/1.0 */
            s->head->upgrade |= buf_view_equals_nocase(option, "upgrade");
    }
    return E_OK;
}

static enum err on_host(struct field_state *s, struct buf_view value)
{
    struct buf_view host;
    unsigned port;

    if (s->n_hosts++)
        return http_refuse(s->error, E_PROTO, 400, "several Host fields");
    if (http_split_host(value, &host, &port) != E_OK)
        return http_refuse(s->error, E_PROTO, 400, "malformed Host");
    return E_OK;
}

static enum err on_expect(struct field_state *s, struct buf_view value)
{
    if (!buf_view_equals_nocase(value, "100-continue"))
        return http_refuse(s->error, E_PROTO, 417, "expectation other than 100-continue");
    s->head->expect_continue = s->head->minor_version > 0; /* RFC 9110, section 10.1.1 */
    return E_OK;
}

static const struct {
    const char *name;
    bool in_responses;
    enum err (*handle)(struct field_state *s, struct buf_view value);
} k_fields[] = {
    {"content-length", true, on_content_length},
    {"transfer-encoding", true, on_transfer_encoding},
    {"connection", true, on_connection},
    {"host", false, on_host},
    {"expect", false, on_expect},
};

static enum err apply_field(struct field_state *s, const struct http_field *field)
{
    for (size_t i = 0; i < sizeof k_fields / sizeof k_fields[0]; i++)
        if (buf_view_equals_nocase(field->name, k_fields[i].name))
            return s->head->is_response && !k_fields[i].in_responses
                       ? E_OK
                       : k_fields[i].handle(s, field->value);
    return E_OK;
}

/* Section 5: field-name ":" OWS field-value OWS. */
static enum err parse_field(struct buf_view line, struct http_field *field,
                            struct http_error *error)
{
    struct buf_reader r = buf_reader_from(line);

    if (line.data[0] == ' ' || line.data[0] == '\t')
        return http_refuse(error, E_PROTO, 400, "folded header line");
    field->name = http_take_until(&r, ':');
    if (field->name.size_bytes == line.size_bytes)
        return http_refuse(error, E_PROTO, 400, "header line without a colon");
    if (!http_is_token(field->name))
        return http_refuse(error, E_PROTO, 400, "malformed header name");
    field->value = http_trim(buf_rest(&r));
    for (size_t i = 0; i < field->value.size_bytes; i++)
        if (!http_is_value_char(field->value.data[i]))
            return http_refuse(error, E_PROTO, 400, "control character in a header value");
    return E_OK;
}

/* What holds between fields. Sections 3.2, 6.3 and 9.3. */
static enum err check_fields(struct field_state *s)
{
    struct http_head *head = s->head;

    if (head->chunked && head->has_length)
        return http_refuse(s->error, E_PROTO, 400, "both Content-Length and Transfer-Encoding");
    if (!head->is_response && head->minor_version > 0 && s->n_hosts == 0)
        return http_refuse(s->error, E_PROTO, 400, "no Host field");
    head->keep_alive = !s->says_close && (head->minor_version > 0 || s->says_keep_alive);
    return E_OK;
}

enum err http_apply_fields(struct http_head *out, struct http_error *error)
{
    struct field_state s = {.head = out, .error = error};
    enum err e = E_OK;

    for (unsigned i = 0; i < out->n_fields && e == E_OK; i++)
        e = apply_field(&s, &out->fields[i]);
    return e == E_OK ? check_fields(&s) : e;
}

enum err http_parse_fields(struct buf_reader *head, struct http_head *out, struct http_error *error)
{
    struct buf_view line;

    while ((line = http_take_line(head)).size_bytes > 0) {
        enum err e = parse_field(line, &out->fields[out->n_fields], error);

        if (e != E_OK)
            return e;
        out->n_fields++; /* http_scan_head() counted the lines */
    }
    return http_apply_fields(out, error);
}

const struct http_field *http_find(const struct http_head *head, const char *name)
{
    for (unsigned i = 0; i < head->n_fields; i++)
        if (buf_view_equals_nocase(head->fields[i].name, name))
            return &head->fields[i];
    return NULL;
}

bool http_field_has_token(const struct http_head *head, const char *name, const char *token)
{
    for (unsigned i = 0; i < head->n_fields; i++) {
        struct buf_reader list = buf_reader_from(head->fields[i].value);
        struct buf_view element;

        if (!buf_view_equals_nocase(head->fields[i].name, name))
            continue;
        while (http_list_next(&list, &element))
            if (buf_view_equals_nocase(element, token))
                return true;
    }
    return false;
}
