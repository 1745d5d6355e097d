/* HTTP/1.1 messages, sans I/O: head parser for requests and responses, body decoder, URLs, query
 * strings, ranges and entity tags; heads of HTTP/2. RFC 9110, RFC 9112. One thread at a time. */
#ifndef HW_PROTO_HTTP_HTTP_H
#define HW_PROTO_HTTP_HTTP_H

#include "common/base/buf.h"

#define HTTP_MAX_HEADERS 64

struct http_field {
    struct buf_view name;  /* as sent; compare without case */
    struct buf_view value; /* without surrounding white space */
};

/* All views point into the parsed bytes, but for a target "/" or "*" and a field "Host" made from
 * an absolute-form target, which are static, zero-terminated texts (their value points into the
 * bytes). */
struct http_head {
    bool is_response;
    struct buf_view method; /* requests */
    struct buf_view target; /* requests: "/path?query" (absolute-form is reduced to it), or "*" */
    unsigned status;        /* responses */
    unsigned minor_version; /* HTTP/1.x: 0 or 1 */
    struct http_field fields[HTTP_MAX_HEADERS];
    unsigned n_fields;
    bool keep_alive; /* by version and Connection */
    bool expect_continue;
    bool chunked;
    bool has_length;
    uint64_t length_bytes; /* Content-Length when has_length */
    bool upgrade;          /* Connection names Upgrade */
};

/* Why a head was refused; each maps to one answer status. */
struct http_error {
    unsigned status;  /* 400, 413, 414, 417, 431, 501, 505 */
    const char *text; /* static: which rule was broken */
};

/* Parses a head from the start of in; advances *in past the empty line on E_OK.
 *
 * Smuggling forms are refused: obs-fold, both Content-Length and Transfer-Encoding, differing
 * lengths, bare CR, bare LF, white space before the colon, several or missing Host, any transfer
 * coding but a single "chunked". Two empty lines before a request line are skipped. An
 * absolute-form target replaces the value of Host (RFC 9112, section 3.2.2). Other major versions
 * get 505, CONNECT 501; bytes that cannot start a request (TLS, RTMP) are refused before the head
 * is complete.
 *
 *   E_AGAIN    the head is not complete (call again with all bytes from its start)
 *   E_TOO_BIG  above max_head_bytes or HTTP_MAX_HEADERS; *error is set (431 or 414)
 *   E_PROTO    *error is set */
enum err http_parse_request(struct buf_reader *in, size_t max_head_bytes, struct http_head *out,
                            struct http_error *error);
/* The head of a request that came as fields: HTTP/2, RFC 9113, section 8.3. ":authority" becomes
 * the field "Host". The same rules, and errors; borrows the bytes of fields for *out. What is wrong
 * in HTTP/2 alone (order, upper case) is left to who decoded them. */
enum err http_head_from_fields(const struct http_field *fields, unsigned n_fields,
                               struct http_head *out, struct http_error *error);
/* The same rules; 1xx heads are given like others. */
enum err http_parse_response(struct buf_reader *in, size_t max_head_bytes, struct http_head *out,
                             struct http_error *error);
/* The first field of that name, or NULL. */
const struct http_field *http_find(const struct http_head *head, const char *name);
/* True if a comma-separated list field (all fields of that name) holds token, ignoring case. */
bool http_field_has_token(const struct http_head *head, const char *name, const char *token);
/* The next element of a comma-separated list, trimmed, maybe empty; false at the end. */
bool http_list_next(struct buf_reader *list, struct buf_view *element);
/* One who passed a request on, as the next one saw it. Both views are empty where nothing usable is
 * said. */
struct http_hop {
    struct buf_view host; /* without port and brackets */
    struct buf_view proto;
};
enum http_hops_field { HTTP_HOPS_X_FORWARDED_FOR, HTTP_HOPS_FORWARDED };
/* Who is named by all fields of that name, the last max of them, in their order: each proxy adds
 * one at the end, so what is further left is the less to be believed. Returns how many. Of
 * X-Forwarded-For, the last hop's proto is the last one of X-Forwarded-Proto. RFC 7239, section 4,
 * and what proxies have done before. */
unsigned http_forwarded_hops(const struct http_head *head, enum http_hops_field field,
                             struct http_hop *hops, unsigned max);
bool http_is_token(struct buf_view text);      /* RFC 9110, section 5.6.2: at least one byte */
const char *http_status_text(unsigned status); /* "Not Found"; "" when unknown */

/* Body of a message: sized, chunked, or until the end of the connection, given piece by piece. */
enum http_body_kind { HTTP_BODY_NONE, HTTP_BODY_SIZED, HTTP_BODY_CHUNKED, HTTP_BODY_UNTIL_CLOSE };
struct http_body {
    enum http_body_kind kind;
    uint64_t left_bytes; /* of the body, or of the current chunk */
    unsigned state;      /* private */
    unsigned line_bytes; /* private: bounds chunk-size lines and trailers */
    bool done;
};
/* For a request or response head; no_body for answers to HEAD (1xx, 204 and 304 are known here). */
void http_body_init(struct http_body *b, const struct http_head *head, bool no_body);
/* Lends the next piece of content (inside *in, advanced). E_OK one piece; E_AGAIN more input
 * needed; E_END the body is complete (nothing more is taken); E_PROTO a broken chunk, a chunk line
 * above 256 bytes or trailers above 8 KiB, from then on for good. Extensions and trailers are
 * dropped. */
enum err http_body_next(struct http_body *b, struct buf_reader *in, struct buf_view *piece);

/* Some bytes of a representation. */
struct http_range {
    uint64_t first; /* from 0 */
    uint64_t size_bytes;
};
enum http_range_kind {
    HTTP_RANGE_WHOLE,        /* malformed, another unit, or several ranges: as if not asked */
    HTTP_RANGE_PART,         /* *out is set; inside the representation and not empty */
    HTTP_RANGE_UNSATISFIABLE /* 416 */
};
/* Value of a Range field for a representation of whole_bytes. RFC 9110, section 14.1.2. Several
 * ranges are never answered in parts: what a player may ask for fits into one. */
enum http_range_kind http_parse_range(struct buf_view value, uint64_t whole_bytes,
                                      struct http_range *out);
/* True when etag (with its quotes, maybe W/) is in the value of If-None-Match, a list or "*", by
 * weak comparison. RFC 9110, section 13.1.2. What is malformed matches nothing. */
bool http_etag_is_in(struct buf_view list, const char *etag);
/* If-Range, section 13.1.5: the range may be given. Only by strong comparison; a date never is. */
bool http_if_range_holds(struct buf_view value, const char *etag);

/* Decodes %XX; E_INVAL on a bad escape, a zero byte, or when out[size] is too small. */
enum err http_percent_decode(struct buf_view in, char *out, size_t size);
/* Escapes everything but unreserved characters and '/'. */
void http_percent_encode(struct buf_view in, struct buf_writer *out);
/* Splits a request target into decoded path and raw query. Refuses dot segments, empty segments
 * (but for one slash at the end), escaped slashes, backslashes, control characters and anything not
 * starting with '/': E_INVAL with *why (static). */
enum err http_split_target(struct buf_view target, char *path, size_t path_size,
                           struct buf_view *query, const char **why);
/* Finds key in a query string; decodes its value ('+' is a space). E_NOT_FOUND, E_INVAL. */
enum err http_query_get(struct buf_view query, const char *key, char *out, size_t size);
/* Moves past the next pair of a query and gives its key, decoded. E_END: no more; E_INVAL: a bad
 * escape, or longer than that. */
enum err http_query_next(struct buf_reader *query, char *key, size_t size);

/* Splits "host[:port]" or "[v6][:port]", as in the Host field; E_INVAL on any other character. An
 * empty host is let through (RFC 9110, section 7.2); port 0 when absent. host without brackets. */
enum err http_split_host(struct buf_view text, struct buf_view *host, unsigned *port);

/* "scheme://[user[:password]@]host[:port][/path][?query]"; views into text. Any scheme.
 * port 0 when absent. host without brackets. */
struct url {
    struct buf_view scheme, user, password, host, path, query;
    unsigned port;
};
enum err url_parse(struct buf_view text, struct url *out);
/* Of each URL in the text only scheme, host and port are left: user, path and query may hold keys.
 * URLs end at a space, or at "|". Other text stays as it is, as far as size allows. */
void url_mask(const char *text, char *out, size_t size);

#endif
