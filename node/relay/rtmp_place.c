/* See rtmp_place.h. */
#include "node/relay/rtmp_place.h"

#include <stdio.h>
#include <string.h>

#include "proto/http/http.h"

enum err rtmp_place_of(const char *text, const char *stream, unsigned default_port,
                       struct rtmp_place *to)
{
    bool is_tc_url = *stream;
    char path[512], query[512];
    bool is_v6;
    struct url url;
    char *slash;

    if (url_parse(buf_view_str(text), &url) != E_OK ||
        !buf_view_to_str(url.path, path, sizeof path) ||
        !buf_view_to_str(url.query, query, sizeof query))
        return E_INVAL;
    slash = is_tc_url ? path + strlen(path) : strrchr(path, '/');
    if (!slash || slash <= path + is_tc_url || (!is_tc_url && !slash[1]))
        return E_INVAL;
    *slash = '\0';
    is_v6 = url.host.size_bytes && memchr(url.host.data, ':', url.host.size_bytes);
    snprintf(to->app, sizeof to->app, "%s%s%s", path + 1, is_tc_url && *query ? "?" : "",
             is_tc_url ? query : "");
    snprintf(to->stream, sizeof to->stream, "%s%s%s", is_tc_url ? stream : slash + 1,
             !is_tc_url && *query ? "?" : "", is_tc_url ? "" : query);
    snprintf(to->tc_url, sizeof to->tc_url, "%.*s://%s%.*s%s:%u/%s", (int)url.scheme.size_bytes,
             (const char *)url.scheme.data, is_v6 ? "[" : "", (int)url.host.size_bytes,
             (const char *)url.host.data, is_v6 ? "]" : "", url.port ? url.port : default_port,
             to->app);
    return E_OK;
}
