/* The node's keys, and the rules between them. */
#include "node/conf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/net/addr.h"
#include "common/net/fd_link.h"
#include "node/hls/hls.h"
#include "common/net/tls_setup.h"
#include "proto/cluster/cluster.h"
#include "proto/http/http.h"

static const char *const k_latencies[] = {"realtime", "balanced", "efficient", NULL};
static const char *const k_log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const k_hls_modes[] = {"off", "on_demand", "always", NULL}; /* enum hls_mode */
static const char *const k_hls_cleanups[] = {"keep", "window", "end", NULL}; /* enum hls_cleanup */
static const char *const k_hls_containers[] = {"ts", "fmp4", NULL}; /* enum hls_container */
static const char *const k_old_players[] = {"classic", "hevc12", "all", NULL};
static const char *const k_off_on[] = {"off", "on", NULL};

#define PATH_BYTES 4096
#define URL_BYTES (CLUSTER_URL_SIZE - 1)
#define MAX_MS 3600000 /* an hour: longer waits are mistakes */
#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

#define BOOL(key, member, def, help, reload) \
    CONF_FIELD_BOOL(struct node_conf, member, key, def, help, reload)
#define UINT(key, member, def, min, max, unit, help, reload) \
    CONF_FIELD_UINT(struct node_conf, member, key, def, min, max, unit, help, reload)
#define STRING(key, member, def, max, help, reload) \
    CONF_FIELD_STRING(struct node_conf, member, key, def, max, help, reload)
#define ENUM(key, member, def, choices, help, reload) \
    CONF_FIELD_ENUM(struct node_conf, member, key, def, choices, help, reload)
#define ADDR(key, member, def, help) \
    CONF_FIELD_ADDR(struct node_conf, member, key, def, help, false)
#define LIST(key, member, def, max, help, reload) \
    CONF_FIELD_LIST(struct node_conf, member, key, def, max, help, reload)

/* clang-format off */
static const struct conf_field k_fields[] = {
    /*     key                             member                            default        min  max        unit     help, reloadable */
    UINT  ("loops",                        loops,                            "0",           0,   256,       "",      "Media threads; 0 = one per core.", false),
    ENUM  ("latency",                      latency,                          "balanced",    k_latencies,             "When viewers are sent to: realtime = each frame, balanced = with the video frame, efficient = merged over 350 ms.", true),
    ENUM  ("log.level",                    log_level,                        "info",        k_log_levels,            "Least important lines that are written.", true),
    STRING("log.file",                     log_file,                         "",            PATH_BYTES,              "Where log lines go; empty = standard error.", false),
    ADDR  ("rtmp.listen",                  rtmp_listen,                      "0.0.0.0:1935",                         "Where RTMP is accepted, host:port; empty = off."),
    ENUM  ("rtmp.old_players",             rtmp_old_players,                 "classic",     k_old_players,           "What players get that announce no codecs (fourCcList): classic = H.264, AAC, MP3 and what else Flash had; hevc12 = also HEVC, as codec id 12; all = everything, with enhanced headers.", true),
    ADDR  ("http.listen",                  http_listen,                      "0.0.0.0:8080",                         "Where HTTP-FLV and other nodes' pulls are accepted, host:port; empty = off."),
    ADDR  ("rtmps.listen",                 rtmps_listen,                     "0.0.0.0:1936",                         "Where RTMP over TLS is accepted, host:port; empty, or without tls.certificates = off."),
    ADDR  ("https.listen",                 https_listen,                     "0.0.0.0:8443",                         "Where all of http.listen is accepted over TLS, host:port; empty, or without tls.certificates = off."),
    ADDR  ("admin.listen",                 admin_listen,                     "127.0.0.1:8081",                       "Where API and /metrics are, host:port; empty = off."),
    BOOL  ("admin.tls",                    admin_tls,                        "false",                                "Whether admin.listen speaks TLS (https), with tls.certificates, and nothing else.", false),

    LIST  ("tls.certificates",             tls_certificates,                 "",            TLS_SETUP_MAX_CERTIFICATES, "PEM files of certificates with their chains, cert.pem=key.pem or one file with both; the first is for clients that name no host, or another one. Renewed files are noticed.", true),
    STRING("tls.ca_file",                  tls_ca_file,                      "",            PATH_BYTES,              "PEM file of the authorities that are believed where this node connects over TLS; empty = those of the system. A renewed file is noticed.", true),
    BOOL  ("tls.verify",                   tls_verify,                       "true",                                 "Whether certificates of nodes, schedulers and sources have to be good and theirs; false is for labs.", false),

    LIST  ("websocket.origins",            websocket_origins,                "",            1000,                    "Sites whose pages may play over WebSockets, as browsers name them: https://host or https://host:port; empty = all. Players that name no site are not browsers, and may.", true),

    BOOL  ("publish.open",                 publish_open,                     "true",                                 "Whether anybody may publish.", true),
    BOOL  ("play.open",                    play_open,                        "true",                                 "Whether anybody may play.", true),
    ENUM  ("publish.duplicate",            publish_duplicate,                "refuse",      k_cluster_duplicates,    "A second publisher of a live stream is refused, takes it over, or stands by until the first one fails.", true),
    LIST  ("publish.duplicate_apps",       publish_duplicate_apps,           "",            1000,                    "The same for single apps: app=refuse, app=takeover or app=standby.", true),
    UINT  ("forward_buffer_ms",            forward_buffer_ms,                "5000",        0,   60000,     "ms",    "An edge keeps an encoder while the origin that it forwards to is replaced, this long.", true),
    UINT  ("publish_stall_ms",             publish_stall_ms,                 "10000",       100, MAX_MS,    "ms",    "A publisher that sends no media for this long is closed.", true),
    UINT  ("publisher_grace_ms",           publisher_grace_ms,               "10000",       0,   MAX_MS,    "ms",    "How long stream and viewers are kept when the publisher is gone.", true),
    UINT  ("gop_cache.count",              gop_cache_count,                  "1",           0,   16,        "",      "GOPs kept for new viewers; 0 = they wait for the next key frame.", true),
    UINT  ("gop_cache.max_bytes",          gop_cache_max_bytes,              "8388608",     0,   GIB(1),    "bytes", "Memory of the GOP cache, a stream.", true),
    UINT  ("gop_cache.max_ms",             gop_cache_max_ms,                 "20000",       0,   600000,    "ms",    "Media time in the GOP cache, a stream.", true),
    UINT  ("play_wait_ms",                 play_wait_ms,                     "10000",       0,   MAX_MS,    "ms",    "How long a viewer waits for a stream that is not there.", true),
    UINT  ("tracks_wait_ms",               tracks_wait_ms,                   "500",         0,   60000,     "ms",    "How long the start of a stream waits for a second track.", true),
    BOOL  ("silent_audio",                 silent_audio,                     "false",                                "Whether pictures without sound get a silent AAC track, until sound comes.", true),
    UINT  ("max_lag_ms",                   max_lag_ms,                       "5000",        100, 600000,    "ms",    "A viewer that is further behind jumps to a newer key frame.", true),
    UINT  ("stall_timeout_ms",             stall_timeout_ms,                 "10000",       100, MAX_MS,    "ms",    "A viewer that takes nothing for this long is closed.", true),
    UINT  ("feed.max_pinned_bytes",        feed_max_pinned_bytes,            "67108864",    MIB(1), GIB(16), "bytes", "Memory of one stream in one format; above it the viewer furthest behind is closed.", true),
    UINT  ("drain_timeout_s",              drain_timeout_s,                  "10",          0,   86400,     "s",     "After SIGTERM, connections that are still there are closed this late.", true),
    STRING("handover.socket",              handover_socket,                  "",            FD_LINK_PATH_BYTES,      "Unix socket where headwater-node --replace takes over from this process; empty = off.", false),

    ENUM  ("hls.mode",                     hls_mode,                         "on_demand",   k_hls_modes,             "When streams are cut into HLS segments: off, on_demand = while somebody watches, always = also for whoever comes next.", false),
    ENUM  ("hls.container",                hls_container,                    "fmp4",        k_hls_containers,        "What {name}.m3u8 leads to: fmp4 (low latency) or ts; ?container= asks for the other one.", false),
    UINT  ("hls.segment_ms",               hls_segment_ms,                   "2000",        100, 60000,     "ms",    "Length of a segment, as near as GOPs allow; decided where a stream is published.", true),
    UINT  ("hls.part_ms",                  hls_part_ms,                      "200",         0,   5000,      "ms",    "Length of a part of low-latency HLS; 0 = no parts; decided likewise.", true),
    LIST  ("hls.renditions",               hls_renditions,                   "",            HLS_MAX_RENDITIONS,      "Suffixes of names that are renditions of the name without: _720 makes app/x_720 one of app/x, in one multivariant playlist.", false),
    BOOL  ("hls.audio_variant",            hls_audio_variant,                "false",                                 "Multivariant playlists offer the sound alone as one more variant, for players with little bandwidth.", false),
    UINT  ("hls.window_s",                 hls_window_s,                     "20",          1,   86400,     "s",     "How far playlists reach back: more is for viewers who go back in time (DVR).", false),
    UINT  ("hls.idle_ms",                  hls_idle_ms,                      "30000",       1000, MAX_MS,   "ms",    "A viewer, or a channel that nobody asks for, is over after this.", false),
    STRING("hls.disk.dir",                 hls_disk_dir,                     "",            PATH_BYTES,              "Folder where complete segments of hls.container are written, too: app/name/...; empty = off.", false),
    ENUM  ("hls.disk.cleanup",             hls_disk_cleanup,                 "window",      k_hls_cleanups,          "keep = files stay, window = each goes with its segment in memory, end = all go when the channel does.", false),
    UINT  ("hls.max_bytes",                hls_max_bytes,                    "268435456",   MIB(1), GIB(64), "bytes", "Memory of the segments of one stream in one container; above it the window is shorter.", false),

    LIST  ("pull.sources",                 pull_sources,                     "",            10000,                   "Streams pulled from other servers when somebody plays them: app/name=rtmp://host/app/name or app/name=http://host/path.flv; rtmps and https over TLS.", false),
    LIST  ("fallback_origins",             fallback_origins,                 "",            CLUSTER_MAX_UPSTREAMS,   "Nodes to pull from while no scheduler answers: http://host:port or https://host:port.", false),
    UINT  ("pull_idle_ms",                 pull_idle_ms,                     "10000",       0,   MAX_MS,    "ms",    "A pull ends this long after its last viewer left.", true),
    UINT  ("upstream_stall_ms",            upstream_stall_ms,                "2000",        100, MAX_MS,    "ms",    "A pull that gets nothing for this long turns to the next upstream; nodes say something twice a second.", true),
    UINT  ("pull.head_start_ms",           pull_head_start_ms,               "200",         0,   10000,     "ms",    "An upstream that has not answered after this is raced by the next one.", true),
    UINT  ("pull.failback_ms",             pull_failback_ms,                 "30000",       100, MAX_MS,    "ms",    "How often a pull asks whether there is a better upstream than the one it has.", true),

    UINT  ("limits.connections",           limits_connections,               "0",           0,   10000000,  "",      "Connections at a time; 0 = what the descriptor limit allows.", true),
    UINT  ("limits.connections_per_ip",    limits_connections_per_ip,        "0",           0,   10000000,  "",      "Connections at a time of one address; 0 = no limit.", true),
    UINT  ("limits.viewers",               limits_viewers,                   "0",           0,   10000000,  "",      "Viewers at a time; more are sent to another node or answered 503; 0 = no limit.", true),
    UINT  ("limits.parked_viewers",        limits_parked_viewers,            "10000",       0,   10000000,  "",      "Viewers that wait for a stream, a loop.", true),
    UINT  ("limits.handshake_ms",          limits_handshake_ms,              "10000",       100, MAX_MS,    "ms",    "RTMP: from the connection to the end of the handshake.", true),
    UINT  ("limits.tls_handshake_ms",      limits_tls_handshake_ms,          "5000",        100, MAX_MS,    "ms",    "TLS: time for a handshake, in both directions.", false),
    UINT  ("limits.idle_ms",               limits_idle_ms,                   "30000",       100, MAX_MS,    "ms",    "RTMP: from the handshake to publish or play.", true),
    UINT  ("limits.message_bytes",         limits_message_bytes,             "16777215",    KIB(64), 16777215, "bytes", "Longest media message of RTMP, or tag of FLV.", true),
    UINT  ("limits.command_bytes",         limits_command_bytes,             "65536",       KIB(4), MIB(1), "bytes", "RTMP: longest command message.", true),
    UINT  ("limits.http_head_bytes",       limits_http_head_bytes,           "16384",       KIB(1), MIB(1), "bytes", "HTTP: longest request head.", false),
    UINT  ("limits.http_head_ms",          limits_http_head_ms,              "10000",       100, MAX_MS,    "ms",    "HTTP: time for a request head.", false),
    UINT  ("limits.http_idle_ms",          limits_http_idle_ms,              "60000",       100, MAX_MS,    "ms",    "HTTP: connection kept open without a request.", false),

    STRING("cluster.node_id",              cluster_node_id,                  "",            CLUSTER_ID_SIZE - 1,     "Name of this node, letters, digits, dots, dashes and underscores; empty = host name and a random part.", false),
    ENUM  ("cluster.role",                 cluster_role,                     "both",        k_cluster_roles,         "What schedulers send here: origin = publishers, edge = viewers.", false),
    STRING("cluster.zone",                 cluster_zone,                     "",            CLUSTER_ZONE_SIZE - 1,   "Nodes of one zone prefer each other.", false),
    LIST  ("cluster.schedulers",           cluster_schedulers,               "",            16,                      "Schedulers in order of preference: http://host:port or https://host:port; empty = no cluster.", false),
    STRING("cluster.token_file",           cluster_token_file,               "",            PATH_BYTES,              "File with the secrets that nodes and schedulers share, one or two lines: the first is sent, both are accepted; read again at SIGHUP; empty = none.", false),
    ENUM  ("cluster.redirect",             cluster_redirect,                 "off",         k_off_on,                "An origin answers HTTP viewers of streams that it has not got with 302 to the best edge; off = it pulls and serves.", false),
    UINT  ("cluster.weight",               cluster_weight,                   "100",         1,   10000,     "",      "Share of new viewers and publishers, relative to other nodes.", true),
    UINT  ("cluster.capacity.egress_bps",  cluster_capacity_egress_bps,      "0",           0,   1000000000000000, "bit/s", "What this node can send; at that rate new viewers are sent to another node or answered 503; 0 = unknown.", true),
    STRING("cluster.advertise.public.rtmp",    cluster_advertise_public_rtmp,    "", URL_BYTES, "Where clients reach rtmp.listen: rtmp://host:port; empty = the listen address.", false),
    STRING("cluster.advertise.public.http",    cluster_advertise_public_http,    "", URL_BYTES, "Where clients reach http.listen: http://host:port; empty = the listen address.", false),
    STRING("cluster.advertise.public.rtmps",   cluster_advertise_public_rtmps,   "", URL_BYTES, "Where clients reach rtmps.listen, or a TLS proxy in front of rtmp.listen: rtmps://host:port; empty = the listen address.", false),
    STRING("cluster.advertise.public.https",   cluster_advertise_public_https,   "", URL_BYTES, "Where clients reach https.listen, or a TLS proxy in front of http.listen: https://host:port; empty = the listen address.", false),
    STRING("cluster.advertise.internal.rtmp",  cluster_advertise_internal_rtmp,  "", URL_BYTES, "Where other nodes reach rtmp.listen: rtmp://host:port; empty = the listen address.", false),
    STRING("cluster.advertise.internal.http",  cluster_advertise_internal_http,  "", URL_BYTES, "Where other nodes reach http.listen: http://host:port; empty = the listen address.", false),
    STRING("cluster.advertise.internal.https", cluster_advertise_internal_https, "", URL_BYTES, "Where other nodes reach https.listen, by a name that its certificate is for: https://host:port; they then connect over TLS. Empty = they use http.", false),
};
/* clang-format on */

const struct conf_schema k_node_schema = {
    "headwater-node",
    k_fields,
    sizeof k_fields / sizeof k_fields[0],
    sizeof(struct node_conf),
};

static enum err refuse(struct conf_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static enum err refuse(struct conf_error *error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    return E_INVAL;
}

/* --- URLs --- */

/* Hosts end in Location headers and in what other nodes connect to. */
static bool is_host_char(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != 0 && strchr(".:_-", c));
}

/* "scheme://host[:port]" and nothing more. */
static bool is_base_url(const char *text, const char *scheme)
{
    struct url url;

    if (url_parse(buf_view_str(text), &url) != E_OK || !buf_view_equals(url.scheme, scheme))
        return false;
    if (url.user.size_bytes || url.password.size_bytes || url.path.size_bytes ||
        url.query.size_bytes || strpbrk(text, "?#@"))
        return false;
    for (size_t i = 0; i < url.host.size_bytes; i++)
        if (!is_host_char(url.host.data[i]))
            return false;
    return url.host.size_bytes > 0;
}

static bool is_loopback_host(struct buf_view host)
{
    char text[80], with_port[96];
    struct addr addr;

    if (buf_view_equals_nocase(host, "localhost"))
        return true;
    if (!buf_view_to_str(host, text, sizeof text))
        return false;
    snprintf(with_port, sizeof with_port, strchr(text, ':') ? "[%s]:1" : "%s:1", text);
    return addr_parse(&addr, with_port) == E_OK && addr_is_loopback(&addr);
}

/* True when every scheduler is at 127.0.0.0/8, ::1 or localhost: then a wildcard listen address is
 * advertised as 127.0.0.1. */
static bool is_on_loopback(const struct node_conf *conf)
{
    for (size_t i = 0; i < conf->cluster_schedulers.n_items; i++) {
        struct url url;

        if (url_parse(buf_view_str(conf->cluster_schedulers.items[i]), &url) != E_OK ||
            !is_loopback_host(url.host))
            return false;
    }
    return true;
}

static enum err check_url_list(const char *key, const struct conf_list *list,
                               struct conf_error *error)
{
    for (size_t i = 0; i < list->n_items; i++) {
        if (strlen(list->items[i]) > URL_BYTES ||
            (!is_base_url(list->items[i], "http") && !is_base_url(list->items[i], "https")))
            return refuse(error,
                          "%s: found \"%.200s\", allowed is http://host:port or https://host:port",
                          key, list->items[i]);
    }
    return E_OK;
}

/* --- TLS --- */

static const char *with_certificates(const struct node_conf *conf, const char *listen)
{
    return conf->tls_certificates.n_items ? listen : "";
}

const char *node_conf_rtmps_listen(const struct node_conf *conf)
{
    return with_certificates(conf, conf->rtmps_listen);
}

const char *node_conf_https_listen(const struct node_conf *conf)
{
    return with_certificates(conf, conf->https_listen);
}

static enum err check_certificates(const struct node_conf *conf, struct conf_error *error)
{
    struct tls_error why;

    if (tls_setup_check(&conf->tls_certificates, &why) != E_OK)
        return refuse(error, "tls.certificates%s", why.text);
    if (conf->admin_tls && !conf->tls_certificates.n_items)
        return refuse(error, "admin.tls: found true, allowed only with tls.certificates");
    return E_OK;
}

/* --- pull.sources --- */

static const char *const k_source_schemes[] = {"rtmp", "http", "rtmps", "https"};

enum err node_conf_pull_source(const char *item, struct stream_name *name, const char **url,
                               const char **why)
{
    const char *equals = strchr(item, '=');
    char path[STREAM_NAME_SIZE + 1];
    struct url parsed;

    *why = "no \"=\" between name and URL";
    if (!equals)
        return E_INVAL;
    *why = "a name that is too long";
    if ((size_t)(equals - item) + 1 >= sizeof path)
        return E_INVAL;
    snprintf(path, sizeof path, "/%.*s", (int)(equals - item), item);
    if (stream_name_from_path(name, buf_view_str(path), why) != E_OK)
        return E_INVAL;
    *why = "an URL that is not rtmp[s]://host/app/name or http[s]://host/path";
    if (url_parse(buf_view_str(equals + 1), &parsed) != E_OK || parsed.path.size_bytes < 2)
        return E_INVAL;
    *url = equals + 1;
    for (size_t i = 0; i < sizeof k_source_schemes / sizeof k_source_schemes[0]; i++)
        if (buf_view_equals(parsed.scheme, k_source_schemes[i]))
            return E_OK;
    return E_INVAL;
}

static enum err check_pull_sources(const struct node_conf *conf, struct conf_error *error)
{
    for (size_t i = 0; i < conf->pull_sources.n_items; i++) {
        struct stream_name name;
        const char *url, *why = "";

        if (node_conf_pull_source(conf->pull_sources.items[i], &name, &url, &why) != E_OK)
            return refuse(error, "pull.sources[%zu]: %s; allowed is app/name=rtmp://host/app/name",
                          i, why); /* not the entry itself: an URL may hold a password */
    }
    return E_OK;
}

/* --- publish.duplicate_apps --- */

/* Splits an entry, "app=policy". *app is lent: it points into item; *duplicate is an enum
 * cluster_duplicate. E_INVAL with *why (static). */
static enum err split_duplicate_app(const char *item, struct buf_view *app, int *duplicate,
                                    const char **why)
{
    const char *equals = strchr(item, '=');
    struct stream_name name;

    *why = "no \"=\" between app and policy";
    if (!equals)
        return E_INVAL;
    *app = buf_view_of(item, (size_t)(equals - item));
    if (stream_name_make(&name, *app, buf_view_str("x"), why) != E_OK)
        return E_INVAL;
    *why = "not an app as clients name it"; /* a slash at its end, or a query, is not part of it */
    if (name.app_bytes != app->size_bytes || memcmp(name.text, item, name.app_bytes) != 0)
        return E_INVAL;
    *why = "not a policy";
    for (int i = 0; k_cluster_duplicates[i]; i++) {
        if (!strcmp(equals + 1, k_cluster_duplicates[i])) {
            *duplicate = i;
            return E_OK;
        }
    }
    return E_INVAL;
}

int node_conf_duplicate(const struct node_conf *conf, const struct stream_name *name)
{
    const struct conf_list *list = &conf->publish_duplicate_apps;

    for (size_t i = 0; i < list->n_items; i++) {
        struct buf_view app;
        const char *why;
        int duplicate;

        if (split_duplicate_app(list->items[i], &app, &duplicate, &why) == E_OK &&
            app.size_bytes == name->app_bytes && !memcmp(app.data, name->text, name->app_bytes))
            return duplicate;
    }
    return conf->publish_duplicate;
}

static enum err check_duplicate_apps(const struct node_conf *conf, struct conf_error *error)
{
    for (size_t i = 0; i < conf->publish_duplicate_apps.n_items; i++) {
        const char *item = conf->publish_duplicate_apps.items[i], *why;
        struct buf_view app;
        int duplicate;

        if (split_duplicate_app(item, &app, &duplicate, &why) != E_OK)
            return refuse(error,
                          "publish.duplicate_apps[%zu]: found \"%.200s\": %s; allowed is "
                          "app=refuse, app=takeover or app=standby",
                          i, item, why);
    }
    return E_OK;
}

/* --- websocket.origins --- */

static bool is_same_nocase(struct buf_view a, struct buf_view b)
{
    return a.size_bytes == b.size_bytes &&
           strncasecmp((const char *)a.data, (const char *)b.data, a.size_bytes) == 0;
}

/* One that is left out is that of the scheme, http or https. */
static unsigned port_of(const struct url *url)
{
    return url->port ? url->port : buf_view_equals_nocase(url->scheme, "https") ? 443 : 80;
}

/* "null" (sandboxed frames, files) is no URL. */
bool node_conf_allows_origin(const struct node_conf *conf, struct buf_view origin)
{
    const struct conf_list *list = &conf->websocket_origins;
    struct url asked, allowed;

    if (list->n_items == 0)
        return true;
    if (url_parse(origin, &asked) != E_OK)
        return false;
    for (size_t i = 0; i < list->n_items; i++)
        if (url_parse(buf_view_str(list->items[i]), &allowed) == E_OK &&
            is_same_nocase(asked.scheme, allowed.scheme) &&
            is_same_nocase(asked.host, allowed.host) && port_of(&asked) == port_of(&allowed))
            return true;
    return false;
}

/* --- cluster --- */

static bool is_wildcard(const char *listen)
{
    struct addr addr;

    return *listen && addr_parse(&addr, listen) == E_OK && addr_is_wildcard(&addr);
}

static enum err check_advertise(const struct node_conf *conf, struct conf_error *error)
{
    const struct {
        const char *key, *scheme, *value, *listen_key, *listen;
    } rows[] = {
        {"cluster.advertise.public.rtmp", "rtmp", conf->cluster_advertise_public_rtmp,
         "rtmp.listen", conf->rtmp_listen},
        {"cluster.advertise.public.http", "http", conf->cluster_advertise_public_http,
         "http.listen", conf->http_listen},
        {"cluster.advertise.public.rtmps", "rtmps", conf->cluster_advertise_public_rtmps,
         "rtmps.listen", node_conf_rtmps_listen(conf)},
        {"cluster.advertise.public.https", "https", conf->cluster_advertise_public_https,
         "https.listen", node_conf_https_listen(conf)},
        {"cluster.advertise.internal.rtmp", "rtmp", conf->cluster_advertise_internal_rtmp,
         "rtmp.listen", conf->rtmp_listen},
        {"cluster.advertise.internal.http", "http", conf->cluster_advertise_internal_http,
         "http.listen", conf->http_listen},
        {"cluster.advertise.internal.https", "https", conf->cluster_advertise_internal_https, "",
         ""},
    };
    bool needed = conf->cluster_schedulers.n_items > 0 && !is_on_loopback(conf);

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (*rows[i].value && !is_base_url(rows[i].value, rows[i].scheme))
            return refuse(error, "%s: found \"%s\", allowed is %s://host:port", rows[i].key,
                          rows[i].value, rows[i].scheme);
        if (needed && !*rows[i].value && is_wildcard(rows[i].listen))
            return refuse(error,
                          "%s: not set, and its default, %s %s, is an address that others "
                          "cannot connect to; set it to %s://host:port",
                          rows[i].key, rows[i].listen_key, rows[i].listen, rows[i].scheme);
    }
    return E_OK;
}

static enum err check_node_id(const struct node_conf *conf, struct conf_error *error)
{
    if (!*conf->cluster_node_id || cluster_id_is_valid(conf->cluster_node_id))
        return E_OK;
    return refuse(error,
                  "cluster.node_id: found \"%s\", allowed are 1 to 64 letters, digits, dots, "
                  "dashes and underscores",
                  conf->cluster_node_id);
}

static enum err check_listen(const struct node_conf *conf, struct conf_error *error)
{
    if (*conf->rtmp_listen || *conf->http_listen || *node_conf_rtmps_listen(conf) ||
        *node_conf_https_listen(conf))
        return E_OK;
    return refuse(error, "rtmp.listen, http.listen: found both empty, one of them is needed");
}

enum err node_conf_check(const struct node_conf *conf, struct conf_error *error)
{
    enum err e = check_listen(conf, error);

    if (e == E_OK)
        e = check_certificates(conf, error);
    if (e == E_OK)
        e = check_node_id(conf, error);
    if (e == E_OK)
        e = check_url_list("cluster.schedulers", &conf->cluster_schedulers, error);
    if (e == E_OK)
        e = check_url_list("fallback_origins", &conf->fallback_origins, error);
    if (e == E_OK)
        e = check_url_list("websocket.origins", &conf->websocket_origins, error);
    if (e == E_OK)
        e = check_pull_sources(conf, error);
    if (e == E_OK)
        e = check_duplicate_apps(conf, error);
    if (e == E_OK)
        e = check_advertise(conf, error);
    return e;
}
