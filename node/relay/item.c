/* Items of pulls and pushes: their fields, and the rules between them. */
#include "node/relay/item.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/cluster/cluster.h"
#include "proto/http/http.h"

#define MAX_IDLE_MS 86400000
#define MAX_RETRY 1000000

static const char *const k_modes[] = {"on_demand", "always", NULL};         /* enum pull_mode */
static const char *const k_codecs[] = {"announced", "hevc12", "all", NULL}; /* enum push_codecs */

/* clang-format off */
static const struct conf_field k_pull_fields[] = {
    CONF_FIELD_STRING(struct pull_item, stream,  "stream",  NULL, STREAM_NAME_SIZE - 1, "The stream here, app/name.", false),
    CONF_FIELD_LIST  (struct pull_item, urls,    "urls",    NULL, RELAY_MAX_URLS, "Where it comes from, in the order in which they are tried.", false),
    CONF_FIELD_ENUM  (struct pull_item, mode,    "mode",    "on_demand", k_modes, "While somebody plays it, or always.", false),
    CONF_FIELD_UINT  (struct pull_item, idle_ms, "idle_ms", "0", 0, MAX_IDLE_MS, "ms", "An on-demand pull ends this long after its last viewer left; 0 = pull_idle_ms.", false),
    CONF_FIELD_UINT  (struct pull_item, retry,   "retry",   "0", 0, MAX_RETRY, "", "Rounds in vain before it is given up; 0 = never.", false),
    CONF_FIELD_STRING(struct pull_item, node,    "node",    "", CLUSTER_ID_SIZE - 1, "The node where mode always runs; empty = where it was told.", false),
};
static const struct conf_field k_push_fields[] = {
    CONF_FIELD_STRING(struct push_item, stream, "stream", NULL, STREAM_NAME_SIZE - 1, "app/name, or app/* for all of an app.", false),
    CONF_FIELD_STRING(struct push_item, url,    "url",    NULL, RELAY_URL_SIZE - 1, "Where it goes; {app} and {name} stand for the stream's.", false),
    CONF_FIELD_ENUM  (struct push_item, codecs, "codecs", "announced", k_codecs, "What is sent: announced = what the target says that it takes, hevc12 = also HEVC, as codec id 12, all = everything, with enhanced headers.", false),
    CONF_FIELD_UINT  (struct push_item, retry,  "retry",  "0", 0, MAX_RETRY, "", "Tries in vain before it is given up; 0 = never.", false),
};
/* clang-format on */

#define SCHEMA(name, fields, type) \
    const struct conf_schema name = {#name, fields, sizeof fields / sizeof fields[0], sizeof(type)}
SCHEMA(k_pull_item_schema, k_pull_fields, struct pull_item);
SCHEMA(k_push_item_schema, k_push_fields, struct push_item);

/* --- URLs --- */

enum { FOR_PULL = 1, FOR_PUSH = 2 };

static const struct {
    const char *scheme;
    unsigned uses;
    const char *why; /* not */
} k_schemes[] = {
    {"rtmp", FOR_PULL | FOR_PUSH, ""},
    {"rtmps", FOR_PULL | FOR_PUSH, ""},
    {"http", FOR_PULL, "HTTP is for pulls alone"},
    {"https", FOR_PULL, "HTTP is for pulls alone"},
    {"rtsp", 0, "RTSP is not there yet"},
    {"rtsps", 0, "RTSP is not there yet"},
    {"rtp", 0, "RTP is not there yet"},
    {"srt", 0, "SRT is not there yet"},
};

static const struct {
    const char *suffix, *why;
} k_unread[] = {
    {".m3u8", "HLS is not read yet, FLV and MPEG-TS over HTTP are"},
    {".mp4", "MP4 is not read yet, FLV and MPEG-TS over HTTP are"},
};

static bool ends_with(struct buf_view text, const char *suffix)
{
    size_t size = strlen(suffix);

    return text.size_bytes >= size && !memcmp(text.data + text.size_bytes - size, suffix, size);
}

/* "" = it can be used. */
static const char *why_not(const struct url *url, unsigned use)
{
    for (size_t i = 0; i < sizeof k_schemes / sizeof k_schemes[0]; i++) {
        if (!buf_view_equals(url->scheme, k_schemes[i].scheme))
            continue;
        if (!(k_schemes[i].uses & use))
            return k_schemes[i].why;
        for (size_t j = 0; *k_schemes[i].scheme == 'h' && j < sizeof k_unread / sizeof k_unread[0];
             j++)
            if (ends_with(url->path, k_unread[j].suffix))
                return k_unread[j].why;
        return "";
    }
    return "of no known scheme";
}

static enum err refuse(struct conf_error *error, const char *source, const char *key,
                       const char *why)
{
    snprintf(error->text, sizeof error->text, "%s: %s: %s", source, key, why);
    return E_INVAL;
}

/* What would end a line of HTTP or of the log, or an URL of a list. */
static bool has_odd_bytes(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || *text == 0x7f || *text == '|' || *text == '\\')
            return true;
    return false;
}

static const char *check_url(const char *text, unsigned use)
{
    struct url url;
    char host[256];

    if (strlen(text) >= RELAY_URL_SIZE)
        return "an URL of more than 511 bytes";
    if (strstr(text, "***"))
        return "an URL as it is shown, say it whole";
    if (has_odd_bytes(text) || url_parse(buf_view_str(text), &url) != E_OK)
        return "not an URL";
    if (*why_not(&url, use))
        return why_not(&url, use);
    if (!url.host.size_bytes || !buf_view_to_str(url.host, host, sizeof host))
        return "an URL without a host";
    if (url.path.size_bytes < 2)
        return "an URL that is not rtmp[s]://host/app/name or http[s]://host/path";
    return "";
}
_Static_assert(RELAY_URL_SIZE == 512, "check_url() says so");

/* --- pulls --- */

enum err pull_item_check(const struct pull_item *item, const char *source, struct stream_name *name,
                         struct conf_error *error)
{
    char path[STREAM_NAME_SIZE + 1], key[32];
    const char *why = "is empty";

    snprintf(path, sizeof path, "/%s", item->stream);
    if (stream_name_from_path(name, buf_view_str(path), &why) != E_OK)
        return refuse(error, source, "stream", why);
    if (!item->urls.n_items)
        return refuse(error, source, "urls", "is empty");
    for (size_t i = 0; i < item->urls.n_items; i++) {
        snprintf(key, sizeof key, "urls[%zu]", i);
        why = check_url(item->urls.items[i], FOR_PULL);
        if (*why)
            return refuse(error, source, key, why);
    }
    if (*item->node && !cluster_id_is_valid(item->node))
        return refuse(error, source, "node", "not the id of a node");
    return E_OK;
}

/* "app/name=url more" becomes "app/name urls=url more". Returns NULL when out of memory. */
static char *with_urls(const char *text)
{
    size_t n_name = strcspn(text, "= "), size = strlen(text) + sizeof " urls=";
    char *out = malloc(size);

    if (out)
        snprintf(out, size, text[n_name] == '=' ? "%.*s urls=%s" : "%.*s %s", (int)n_name, text,
                 text[n_name] ? text + n_name + 1 : "");
    return out;
}

enum err pull_item_from_conf(const char *source, const char *text, struct pull_item *out,
                             struct stream_name *name, struct conf_error *error)
{
    char *whole = with_urls(text);
    enum err e = whole ? conf_item_from_text(&k_pull_item_schema, source, whole, out, error)
                       : refuse(error, source, "stream", "out of memory");

    free(whole);
    if (e != E_OK)
        return e;
    e = pull_item_check(out, source, name, error);
    if (e != E_OK)
        conf_free(&k_pull_item_schema, out);
    return e;
}

/* --- pushes --- */

static bool is_whole_app(const char *stream)
{
    size_t size = strlen(stream);

    return size > 2 && !strcmp(stream + size - 2, "/*");
}

bool push_item_matches(const struct push_item *item, const struct stream_name *name)
{
    size_t n_app = strlen(item->stream) - 2;

    if (!is_whole_app(item->stream))
        return !strcmp(item->stream, name->text);
    return n_app == name->app_bytes && !memcmp(item->stream, name->text, n_app);
}

static size_t put(char *out, size_t at, size_t size, const char *text, size_t n)
{
    if (at + n < size)
        memcpy(out + at, text, n);
    return at + n;
}

bool push_item_url(const struct push_item *item, const struct stream_name *name, char *out,
                   size_t size)
{
    const char *part = stream_name_part(name);
    const char *at = item->url;
    size_t used = 0;

    while (*at) {
        if (!strncmp(at, "{app}", 5)) {
            used = put(out, used, size, name->text, name->app_bytes);
            at += 5;
        } else if (!strncmp(at, "{name}", 6)) {
            used = put(out, used, size, part, strlen(part));
            at += 6;
        } else {
            used = put(out, used, size, at++, 1);
        }
    }
    if (used >= size)
        return false;
    out[used] = '\0';
    return true;
}

/* Who publishes may choose the name, but not whom we connect to. */
static bool is_host_fixed(const char *url)
{
    const char *host = strstr(url, "://");
    size_t n = host ? strcspn(host + 3, "/?") : 0;

    return !host || !memchr(host + 3, '{', n);
}

enum err push_item_check(const struct push_item *item, const char *source, struct conf_error *error)
{
    char path[STREAM_NAME_SIZE + 1], url[RELAY_URL_SIZE];
    const char *why = "is empty";
    struct stream_name name;

    snprintf(path, sizeof path, "/%s", item->stream);
    if (is_whole_app(item->stream))
        path[strlen(path) - 1] = 'x';
    if (stream_name_from_path(&name, buf_view_str(path), &why) != E_OK)
        return refuse(error, source, "stream", why);
    if (!is_host_fixed(item->url))
        return refuse(error, source, "url", "{app} and {name} are for what follows the host");
    if (!push_item_url(item, &name, url, sizeof url))
        return refuse(error, source, "url", "an URL of more than 511 bytes");
    why = check_url(url, FOR_PUSH);
    return *why ? refuse(error, source, "url", why) : E_OK;
}

enum err push_item_from_conf(const char *source, const char *text, struct push_item *out,
                             struct conf_error *error)
{
    enum err e = conf_item_from_text(&k_push_item_schema, source, text, out, error);

    if (e != E_OK)
        return e;
    e = push_item_check(out, source, error);
    if (e != E_OK)
        conf_free(&k_push_item_schema, out);
    return e;
}
