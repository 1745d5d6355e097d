/* What part of a representation is wanted, and whether the peer has it already. RFC 9110, sections
 * 13.1 and 14.1. Who asks wrongly gets everything, as the RFC wants it. */
#include "proto/http/http_private.h"

#include <string.h>

/* A number too big for us is beyond the end of anything: the largest one. False when it is none. */
static bool parse_position(struct buf_view digits, uint64_t *out)
{
    for (size_t i = 0; i < digits.size_bytes; i++)
        if (digits.data[i] < '0' || digits.data[i] > '9')
            return false;
    if (digits.size_bytes > 0 && !http_parse_uint(digits, UINT64_MAX, out))
        *out = UINT64_MAX;
    return digits.size_bytes > 0;
}

/* "-500": the last 500 bytes, or all when there are fewer. */
static enum http_range_kind parse_suffix(struct buf_view digits, uint64_t whole_bytes,
                                         struct http_range *out)
{
    uint64_t size_bytes;

    if (!parse_position(digits, &size_bytes))
        return HTTP_RANGE_WHOLE;
    if (size_bytes == 0)
        return HTTP_RANGE_UNSATISFIABLE;
    if (whole_bytes == 0)
        return HTTP_RANGE_WHOLE; /* satisfiable, but Content-Range has no word for it */
    out->size_bytes = size_bytes < whole_bytes ? size_bytes : whole_bytes;
    out->first = whole_bytes - out->size_bytes;
    return HTTP_RANGE_PART;
}

/* "0-499", "500-", "-500". */
static enum http_range_kind parse_one(struct buf_view text, uint64_t whole_bytes,
                                      struct http_range *out)
{
    struct buf_reader r = buf_reader_from(text);
    struct buf_view first_digits = http_take_until(&r, '-');
    struct buf_view last_digits = buf_rest(&r);
    uint64_t first, last = UINT64_MAX;

    if (first_digits.size_bytes == text.size_bytes)
        return HTTP_RANGE_WHOLE; /* no dash */
    if (first_digits.size_bytes == 0)
        return parse_suffix(last_digits, whole_bytes, out);
    if (!parse_position(first_digits, &first) ||
        (last_digits.size_bytes > 0 && !parse_position(last_digits, &last)) || last < first)
        return HTTP_RANGE_WHOLE;
    if (first >= whole_bytes)
        return HTTP_RANGE_UNSATISFIABLE;
    if (last >= whole_bytes)
        last = whole_bytes - 1;
    *out = (struct http_range){first, last - first + 1};
    return HTTP_RANGE_PART;
}

enum http_range_kind http_parse_range(struct buf_view value, uint64_t whole_bytes,
                                      struct http_range *out)
{
    struct buf_reader r = buf_reader_from(value);
    struct buf_view unit = http_take_until(&r, '=');
    struct buf_view element, range = {NULL, 0};

    if (!buf_view_equals_nocase(unit, "bytes"))
        return HTTP_RANGE_WHOLE;
    while (http_list_next(&r, &element)) {
        if (element.size_bytes == 0)
            continue; /* section 5.6.1.2: empty elements do not count */
        if (range.size_bytes > 0)
            return HTTP_RANGE_WHOLE;
        range = element;
    }
    return parse_one(range, whole_bytes, out);
}

/* Takes W/"..." or "..." and gives it as it stands; false when there is none. Tags may hold commas,
 * so http_list_next() would not do. */
static bool take_etag(struct buf_reader *r, struct buf_view *tag)
{
    struct buf_reader start = *r;

    if (r->left_bytes >= 2 && memcmp(r->at, "W/", 2) == 0)
        (void)buf_take(r, 2);
    if (r->left_bytes == 0 || r->at[0] != '"')
        return false;
    (void)buf_take(r, 1);
    (void)http_take_until(r, '"');
    *tag = buf_view_of(start.at, start.left_bytes - r->left_bytes);
    return tag->data[tag->size_bytes - 1] == '"';
}

/* Without W/. */
static struct buf_view opaque_tag(struct buf_view tag)
{
    struct buf_reader r = buf_reader_from(tag);

    if (r.left_bytes >= 2 && memcmp(r.at, "W/", 2) == 0)
        (void)buf_take(&r, 2);
    return buf_rest(&r);
}

bool http_etag_is_in(struct buf_view list, const char *etag)
{
    struct buf_reader r = buf_reader_from(list);
    struct buf_view ours = opaque_tag(buf_view_str(etag));
    struct buf_view tag;

    if (buf_view_equals(list, "*"))
        return true;
    for (;;) {
        while (r.left_bytes && (r.at[0] == ' ' || r.at[0] == '\t' || r.at[0] == ','))
            (void)buf_take(&r, 1);
        if (!take_etag(&r, &tag))
            return false;
        tag = opaque_tag(tag);
        if (tag.size_bytes == ours.size_bytes && memcmp(tag.data, ours.data, tag.size_bytes) == 0)
            return true;
    }
}

bool http_if_range_holds(struct buf_view value, const char *etag)
{
    return etag[0] == '"' && buf_view_equals(value, etag);
}
