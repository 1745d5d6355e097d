/* Where a reconnect request leads (Enhanced RTMP v2): its tcUrl is a URI reference, resolved as RFC
 * 3986, 5.2 says against the tcUrl of the connection. What comes from a server is checked before it
 * is connected to. */
#include <string.h>

#include "proto/http/http.h"
#include "proto/rtmp/rtmp.h"

static bool has_scheme(struct buf_view text)
{
    size_t i = 0;

    while (i < text.size_bytes && text.data[i] && !strchr(":/?#", text.data[i]))
        i++;
    return i && i < text.size_bytes && text.data[i] == ':';
}

static bool begins(struct buf_view text, const char *with)
{
    size_t n = strlen(with);

    return text.size_bytes >= n && !memcmp(text.data, with, n);
}

/* Bytes of base that stay in front of a reference without a scheme. */
static size_t kept_of(struct buf_view base, struct buf_view reference)
{
    const char *text = (const char *)base.data;
    size_t scheme = 0, host, path, last;

    while (scheme < base.size_bytes && text[scheme] != ':')
        scheme++;
    for (host = scheme + 3; host < base.size_bytes && !strchr("/?", text[host]); host++)
        ;
    for (path = last = host; path < base.size_bytes && text[path] != '?'; path++)
        if (text[path] == '/')
            last = path + 1;
    return begins(reference, "//")  ? scheme + 1
           : begins(reference, "/") ? host
           : begins(reference, "?") ? path
                                    : last;
}

/* RFC 3986, 5.2.4, on a path that begins with '/'. */
static void remove_dots(char *path)
{
    char *to = path;

    for (const char *from = path; *from && *from != '?';) {
        size_t n = 1 + strcspn(from + 1, "/?");
        bool up = n == 3 && !memcmp(from, "/..", 3), same = n == 2 && from[1] == '.';
        bool ends = from[n] != '/';

        if (up)
            while (to > path && *--to != '/')
                ;
        if (up || same) {
            if (ends)
                *to++ = '/';
        } else {
            memmove(to, from, n);
            to += n;
        }
        from += n;
        if (ends) {
            memmove(to, from, strlen(from) + 1);
            return;
        }
    }
}

static bool is_clean(struct buf_view text)
{
    for (size_t i = 0; i < text.size_bytes; i++)
        if (text.data[i] <= ' ' || text.data[i] == 0x7f || text.data[i] == '#')
            return false;
    return true;
}

static enum err check(const char *text, struct buf_view base)
{
    struct url url;

    if (!is_clean(buf_view_str(text)) || url_parse(buf_view_str(text), &url) != E_OK ||
        url.path.size_bytes < 2 || url.user.size_bytes || url.password.size_bytes)
        return E_INVAL;
    if (!buf_view_equals(url.scheme, "rtmps") &&
        (!buf_view_equals(url.scheme, "rtmp") || begins(base, "rtmps:")))
        return E_UNSUPPORTED;
    return E_OK;
}

enum err rtmp_resolve_tc_url(struct buf_view base, struct buf_view reference, char *out,
                             size_t size)
{
    size_t kept = has_scheme(reference)  ? 0
                  : reference.size_bytes ? kept_of(base, reference)
                                         : base.size_bytes;
    struct url url;

    if (kept > base.size_bytes || !is_clean(base) || !is_clean(reference))
        return E_INVAL;
    if (kept + reference.size_bytes >= size)
        return E_TOO_BIG;
    memcpy(out, base.data, kept);
    if (reference.size_bytes)
        memcpy(out + kept, reference.data, reference.size_bytes);
    out[kept + reference.size_bytes] = '\0';
    if (url_parse(buf_view_str(out), &url) == E_OK && url.path.size_bytes &&
        url.path.data[0] == '/')
        remove_dots(out + ((const char *)url.path.data - out));
    return check(out, base);
}
