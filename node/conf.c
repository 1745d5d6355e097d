/* The node's keys. */
#include "node/conf.h"

#include "common/net/fd_link.h"
#include "common/net/tls_setup.h"
#include "common/net/trust.h"
#include "node/access/rules.h"
#include "node/control/access_log.h"
#include "node/control/stream_metrics.h"
#include "node/hls/hls.h"
#include "node/hooks/item.h"
#include "node/record/record.h"
#include "node/relay/item.h"
#include "node/rules.h"
#include "proto/cluster/cluster.h"

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
    STRING("access_log.file",              access_log_file,                  "",            PATH_BYTES,              "Where each session leaves one line at its end; opened again at SIGHUP; empty = off.", false),
    ENUM  ("access_log.format",            access_log_format,                "json",        k_access_log_formats,    "json = an object a line, text = key=value.", false),
    ADDR  ("rtmp.listen",                  rtmp_listen,                      "0.0.0.0:1935",                         "Where RTMP is accepted, host:port; empty = off."),
    ENUM  ("rtmp.old_players",             rtmp_old_players,                 "classic",     k_old_players,           "What players get that announce no codecs (fourCcList): classic = H.264, AAC, MP3 and what else Flash had; hevc12 = also HEVC, as codec id 12; all = everything, with enhanced headers.", true),
    ADDR  ("http.listen",                  http_listen,                      "0.0.0.0:8080",                         "Where HTTP-FLV and other nodes' pulls are accepted, host:port; empty = off."),
    ADDR  ("rtmps.listen",                 rtmps_listen,                     "0.0.0.0:1936",                         "Where RTMP over TLS is accepted, host:port; empty, or without tls.certificates = off."),
    ADDR  ("https.listen",                 https_listen,                     "0.0.0.0:8443",                         "Where all of http.listen is accepted over TLS, host:port; empty, or without tls.certificates = off."),
    ADDR  ("admin.listen",                 admin_listen,                     "127.0.0.1:8081",                       "Where API and /metrics are, host:port; empty = off."),
    BOOL  ("admin.tls",                    admin_tls,                        "false",                                "Whether admin.listen speaks TLS (https), with tls.certificates, and nothing else.", false),
    STRING("admin.tokens_file",            admin_tokens_file,                "",            PATH_BYTES,              "File of tokens for the API, a line each: name, scope (read, operate or admin), secret; its owner's alone (mode 0600, or 0640 if it is root's); read again at SIGHUP; empty = none.", true),

    LIST  ("tls.certificates",             tls_certificates,                 "",            TLS_SETUP_MAX_CERTIFICATES, "PEM files of certificates with their chains, cert.pem=key.pem or one file with both; the first is for clients that name no host, or another one. Renewed files are noticed.", true),
    STRING("tls.ca_file",                  tls_ca_file,                      "",            PATH_BYTES,              "PEM file of the authorities that are believed where this node connects over TLS; empty = those of the system. A renewed file is noticed.", true),
    BOOL  ("tls.verify",                   tls_verify,                       "true",                                 "Whether certificates of nodes, schedulers and sources have to be good and theirs; false is for labs.", false),

    LIST  ("trusted_proxies",              trusted_proxies,                  "",            1000,                    "Networks (10.0.0.0/8) of load balancers and reverse proxies: they alone are believed when they say who their client is, by the PROXY protocol on any port, or by trusted_proxies_header.", true),
    ENUM  ("trusted_proxies_header",       trusted_proxies_header,           "x-forwarded-for", k_trust_headers,     "Which header of HTTP requests is read of them; the other one, which a proxy may pass on as its client wrote it, is ignored: x-forwarded-for (and X-Forwarded-Proto), forwarded, none.", true),

    LIST  ("http.cors_origins",            http_cors_origins,                "",            1000,                    "Sites whose pages may fetch media: https://host or https://host:port, or null for frames that have none and pages that the entry point sent here; empty = all.", true),
    LIST  ("access.referrers",             access_referrers,                 "",            1000,                    "Whose pages may show the streams of an app: app, or *, allow=host|*.host (all below it), and none=false where players that name no page may not either.", true),
    LIST  ("websocket.origins",            websocket_origins,                "",            1000,                    "Sites whose pages may play over WebSockets, as browsers name them: https://host or https://host:port; empty = all. Players that name no site are not browsers, and may.", true),

    BOOL  ("publish.open",                 publish_open,                     "true",                                 "Whether anybody may publish.", true),
    BOOL  ("play.open",                    play_open,                        "true",                                 "Whether anybody may play.", true),
    LIST  ("access.rules",                 access_rules,                     "",            1000,                    "Who may publish and play, by app: \"app publish=... play=...\" with open, closed, or ways in (sign, lal, key, jwt, user, hook) and | between; the first rule of the app or of * counts, else publish.open and play.open.", true),
    STRING("access.sign_keys_file",        access_sign_keys_file,            "",            PATH_BYTES,              "File with the keys of signed URLs, lines of an id and a secret; all are accepted; read again when it changes; empty = none.", true),
    STRING("access.lal_key_file",          access_lal_key_file,              "",            PATH_BYTES,              "File with the key of lal_secret, the md5 of key and stream name that lal takes; read again likewise; empty = none.", true),
    STRING("access.jwt_keys_file",         access_jwt_keys_file,             "",            PATH_BYTES,              "JWK set (JSON) with the keys of tokens: HS256, RS256, ES256; read again likewise; empty = none.", true),
    STRING("access.jwt_issuer",            access_jwt_issuer,                "",            256,                     "What iss of a token must be; empty = anything.", true),
    STRING("access.jwt_audience",          access_jwt_audience,              "",            256,                     "What aud of a token must be or hold; empty = anything.", true),
    STRING("access.users_file",            access_users_file,                "",            PATH_BYTES,              "File with users, lines of headwater-tool passwd; read again likewise; empty = none.", true),
    UINT  ("access.hls_grant_s",           access_hls_grant_s,               "43200",       60,  604800,    "s",     "How long an HLS player that was let in may go on with the playlists that it got.", true),
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
    STRING("state.file",                   state_file,                       "",            4096,                    "Where what is told by API (bans, stream keys, relays, ...) is kept across a restart, with a cluster the last that was known; empty = it is not.", false),

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

    LIST  ("pull.sources",                 pull_sources,                     "",            10000,                   "Streams pulled from other servers: app/name=rtmp://host/app/name, or app/name urls=url|url mode=always idle_ms=5000 retry=3; rtmp[s]://, and http[s]:// with FLV or MPEG-TS; played on demand unless mode says always.", false),
    LIST  ("push.targets",                 push_targets,                     "",            1000,                    "Where streams that are published here are sent, too: app/name url=rtmp://host/app/key, or app/* url=rtmps://host/live/{app}-{name}; codecs=announced|hevc12|all.", false),
    BOOL  ("relay.allow_private_targets",  relay_allow_private_targets,      "false",                                "Whether pulls and pushes that are told by API or by a hook may go to addresses that are not public.", false),
    LIST  ("relay.allowed_networks",       relay_allowed_networks,           "",            1000,                    "Networks that are not public and where such pulls and pushes may go all the same: 10.1.0.0/16.", false),

    STRING("record.dir",                   record_dir,                       "",            PATH_BYTES,              "Folder of records, app/name/...; empty = nothing is recorded.", false),
    LIST  ("record.rules",                 record_rules,                     "",            1000,                    "What is recorded, the first that fits: \"streams formats=flv|ts|mp4|hls split_s=3600 split_bytes=0 segment_s=6 relayed=false\", streams being app/name, app/*, app/cam* or *.", true),
    UINT  ("record.min_free_bytes",        record_min_free_bytes,            "1073741824",  0,   UINT64_C(1) << 50, "bytes", "With less free space than this nothing is recorded.", false),
    UINT  ("record.max_age_s",             record_max_age_s,                 "0",           0,   UINT64_C(3153600000), "s", "Records are removed so long after their end; 0 = never.", false),
    UINT  ("record.max_bytes",             record_max_bytes,                 "0",           0,   UINT64_C(1) << 60, "bytes", "Of all finished records; the oldest are removed; 0 = no limit.", false),
    UINT  ("record.queue_bytes",           record_queue_bytes,               "268435456",   MIB(1), GIB(64), "bytes", "What may wait for the disk, of all streams; above it GOPs are left out.", false),
    UINT  ("record.queue_ms",              record_queue_ms,                  "10000",       100, 600000,    "ms",    "How long frames of a stream may wait for the disk; above it GOPs are left out.", false),
    UINT  ("record.threads",               record_threads,                   "1",           1,   8,         "",      "Threads that write records; more is for several disks below one folder.", false),
    STRING("snapshot.command",             snapshot_command,                 "ffmpeg",      PATH_BYTES,              "Program that decodes a key frame for snapshot.jpg, found in PATH; empty = none.", true),
    UINT  ("snapshot.timeout_ms",          snapshot_timeout_ms,              "5000",        100, 60000,     "ms",    "How long that may take.", true),
    LIST  ("fallback_origins",             fallback_origins,                 "",            CLUSTER_MAX_UPSTREAMS,   "Nodes to pull from while no scheduler answers: http://host:port or https://host:port.", false),
    UINT  ("pull_idle_ms",                 pull_idle_ms,                     "10000",       0,   MAX_MS,    "ms",    "A pull ends this long after its last viewer left.", true),
    UINT  ("upstream_stall_ms",            upstream_stall_ms,                "2000",        100, MAX_MS,    "ms",    "A pull that gets nothing for this long turns to the next upstream; nodes say something twice a second.", true),
    UINT  ("pull.head_start_ms",           pull_head_start_ms,               "200",         0,   10000,     "ms",    "An upstream that has not answered after this is raced by the next one.", true),
    UINT  ("pull.failback_ms",             pull_failback_ms,                 "30000",       100, MAX_MS,    "ms",    "How often a pull asks whether there is a better upstream than the one it has.", true),

    LIST  ("hooks.targets",                hooks_targets,                    "",            HOOKS_MAX_TARGETS,       "Who is told over HTTP what happens here, or asked before it does: url events=on_publish|on_play mode=notify|gate ...; node/hooks/README.md has the keys.", false),
    UINT  ("hooks.update_s",               hooks_update_s,                   "10",          0,   86400,     "s",     "How often on_update tells how the node is; 0 = never.", true),
    UINT  ("metrics.streams",              metrics_streams,                  "0",           0,   STREAM_METRICS_MAX, "", "How many streams, those with most viewers, have series of their own in /metrics; 0 = none.", true),
    LIST  ("compat",                       compat,                           "",            2,                       "Other servers whose API is on admin.listen, too, for clients that were written for them: lal, livego; node/compat/README.md.", false),
    STRING("compat_app",                   compat_app,                       "live",        NAME_PART_MAX,           "App of streams that such a client names without one.", false),

    UINT  ("limits.connections",           limits_connections,               "0",           0,   10000000,  "",      "Connections at a time; 0 = what the descriptor limit allows.", true),
    UINT  ("limits.connections_per_ip",    limits_connections_per_ip,        "0",           0,   10000000,  "",      "Connections at a time of one address; 0 = no limit.", true),
    UINT  ("limits.viewers",               limits_viewers,                   "0",           0,   10000000,  "",      "Viewers at a time; more are sent to another node or answered 503; 0 = no limit.", true),
    UINT  ("limits.viewers_per_ip",        limits_viewers_per_ip,            "0",           0,   10000000,  "",      "Viewers at a time of one address; more are answered 429; 0 = no limit.", true),
    UINT  ("limits.viewers_per_stream",    limits_viewers_per_stream,        "0",           0,   10000000,  "",      "Viewers at a time of one stream at this node; 0 = no limit.", true),
    UINT  ("limits.hls_sessions_per_ip",   limits_hls_sessions_per_ip,       "1000",        0,   10000000,  "",      "HLS viewers at a time of one address, each known by ?session= alone, which anybody can make up; 0 = no limit.", true),
    UINT  ("limits.publishers",            limits_publishers,                "0",           0,   10000000,  "",      "Publishers at a time; 0 = no limit.", true),
    UINT  ("limits.publishers_per_ip",     limits_publishers_per_ip,         "0",           0,   10000000,  "",      "Publishers at a time of one address; 0 = no limit.", true),
    UINT  ("limits.egress_bps_per_ip",     limits_egress_bps_per_ip,         "0",           0,   1000000000000000, "bit/s", "At that rate one address gets no further viewer; 0 = no limit. The node's own is cluster.capacity.egress_bps.", true),
    UINT  ("limits.egress_bps_per_stream", limits_egress_bps_per_stream,     "0",           0,   1000000000000000, "bit/s", "At that rate, over all its viewers here, a stream gets no further viewer; 0 = no limit.", true),
    UINT  ("limits.ingress_bps",           limits_ingress_bps,               "0",           0,   1000000000000000, "bit/s", "A publisher that sends more for limits.ingress_s is closed; 0 = no limit.", true),
    UINT  ("limits.ingress_s",             limits_ingress_s,                 "10",          1,   250,       "s",     "How long a publisher may be above limits.ingress_bps.", true),
    LIST  ("limits.apps",                  limits_apps,                      "",            1000,                    "Limits of single apps: app, or *, and any of viewers, viewers_per_ip, viewers_per_stream, publishers, publishers_per_ip, egress_bps, egress_bps_per_ip, egress_bps_per_stream, ingress_bps with =number; what is not said is as above.", true),
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
    STRING("cluster.advertise.admin",          cluster_advertise_admin,          "", URL_BYTES, "Where schedulers reach admin.listen, for their console: http://host:port, https:// with admin.tls; empty = the listen address, unless only this machine reaches that.", false),
};
/* clang-format on */

const struct conf_schema k_node_schema = {
    "headwater-node",
    k_fields,
    sizeof k_fields / sizeof k_fields[0],
    sizeof(struct node_conf),
};
