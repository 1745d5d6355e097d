/* What the files of proto/http share: character classes, line and list helpers, header fields. */
#ifndef HW_PROTO_HTTP_HTTP_PRIVATE_H
#define HW_PROTO_HTTP_HTTP_PRIVATE_H

#include "proto/http/http.h"

/* Longer than any method of the IANA registry (UPDATEREDIRECTREF has 17). */
#define HTTP_MAX_METHOD_BYTES 32

/* Sets *error and returns e, so that a refusal is one statement. */
enum err http_refuse(struct http_error *error, enum err e, unsigned status, const char *text);

bool http_is_alnum(uint8_t c);
bool http_is_token_char(uint8_t c);  /* RFC 9110, section 5.6.2 */
bool http_is_value_char(uint8_t c);  /* section 5.5: tab, visible, space, obs-text */
bool http_is_target_char(uint8_t c); /* visible; also raw UTF-8, see http_request.c */
int http_hex_value(uint8_t c);       /* 0-15, or -1 */
/* Digits only, at least one; false also when the number is above max. */
bool http_parse_uint(struct buf_view text, uint64_t max, uint64_t *out);

/* Without spaces and tabs at both ends; an empty result still points into text. */
struct buf_view http_trim(struct buf_view text);
/* Takes up to the first separator, which is dropped; all of *r when there is none. */
struct buf_view http_take_until(struct buf_reader *r, uint8_t separator);
/* Takes the authority of a URL: up to the first slash or question mark, which stays. */
struct buf_view http_take_authority(struct buf_reader *r);

/* Finds the end of a head by its line ends alone, so that asking again after each byte stays cheap.
 * Lends the head with its empty line in *head_bytes, and advances *in past it, on E_OK. */
enum err http_scan_head(struct buf_reader *in, size_t max_head_bytes, struct buf_view *head_bytes,
                        struct http_error *error);
/* Takes one line without its CRLF. Only for bytes that http_scan_head() approved. */
struct buf_view http_take_line(struct buf_reader *head);
/* Field lines up to the empty line, and what they mean for framing and connection. method, target,
 * status and minor_version of *out are set already. */
enum err http_parse_fields(struct buf_reader *head, struct http_head *out,
                           struct http_error *error);
/* What the fields of *out mean; http_parse_fields() did it already. */
enum err http_apply_fields(struct http_head *out, struct http_error *error);
/* "HTTP/1.1" to its minor version; 505 for another major version, 400 for anything else. */
enum err http_parse_version(struct buf_view text, unsigned *minor_version,
                            struct http_error *error);

#endif
