/* Stream names, validated once and everywhere alike: app is 1-2 path parts, stream one part, each
 * 1-128 bytes of [A-Za-z0-9._~-] and UTF-8 letters, no leading dot. Sans I/O.
 *
 * "UTF-8 letters" is a rule by block, so that it needs no Unicode tables: every well-formed code
 * point from U+00AA on, except what utf8_is_visible() refuses (controls, spaces, bidirectional and
 * other invisible format characters, private use, noncharacters) and the blocks of punctuation,
 * currency, arrows, drawing, CJK and full-width signs, and emoji. Names are compared byte by byte:
 * nothing is folded or normalised. */
#ifndef HW_COMMON_MEDIA_NAME_H
#define HW_COMMON_MEDIA_NAME_H

#include <string.h>

#include "common/base/buf.h"

#define NAME_PART_MAX 128
/* app (two parts and a slash) + slash + name + zero */
#define STREAM_NAME_SIZE (3 * NAME_PART_MAX + 3)

struct stream_name {
    char text[STREAM_NAME_SIZE]; /* "app/name" or "app/sub/name", zero-terminated */
    uint16_t app_bytes;          /* length of the app part */
};

/* E_OK, or E_INVAL with *why set to a static sentence that names the rule broken. app may have a
 * trailing slash and a "?vhost=..." tail (both ignored), name a "?query" tail (ignored).
 * *out is written only on E_OK. */
enum err stream_name_make(struct stream_name *out, struct buf_view app, struct buf_view name,
                          const char **why);
/* Splits "/app/name" (no extension, already percent-decoded) and makes the name. */
enum err stream_name_from_path(struct stream_name *out, struct buf_view path, const char **why);
/* "v1", "api", "metrics", "healthz", "readyz", "console" and "records" are refused as app names by
 * both of the above. */

static inline const char *stream_name_part(const struct stream_name *n)
{
    return n->text + n->app_bytes + 1;
}

static inline bool stream_name_is_of_app(const struct stream_name *n, const struct stream_name *of)
{
    return n->app_bytes == of->app_bytes && !memcmp(n->text, of->text, n->app_bytes);
}

#endif
