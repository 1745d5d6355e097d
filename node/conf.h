/* Configuration of the media node: one member a key, dots become underscores. The table in conf.c
 * gives parser, ranges, defaults, --help-config and conf/node.json. */
#ifndef HW_NODE_CONF_H
#define HW_NODE_CONF_H

#include "common/base/conf.h"
#include "common/media/name.h"
#include "common/net/http_server.h"

struct node_conf {
    uint64_t loops;
    int latency;   /* enum latency_policy */
    int log_level; /* enum log_level */
    char *log_file;
    char *access_log_file; /* "" = off */
    int access_log_format; /* enum access_log_format */
    char *rtmp_listen, *http_listen, *rtmps_listen, *https_listen, *admin_listen;
    bool admin_tls;
    char *admin_tokens_file;
    struct conf_list tls_certificates; /* empty: rtmps_listen and https_listen are off */
    char *tls_ca_file;
    bool tls_verify;
    struct conf_list trusted_proxies;
    int trusted_proxies_header; /* enum trust_header */
    struct conf_list http_cors_origins, access_referrers;
    struct conf_list websocket_origins; /* empty = all */

    bool publish_open, play_open;
    struct conf_list access_rules;
    char *access_sign_keys_file, *access_lal_key_file, *access_jwt_keys_file, *access_users_file;
    char *access_jwt_issuer, *access_jwt_audience;
    uint64_t access_hls_grant_s;
    int publish_duplicate; /* enum cluster_duplicate */
    struct conf_list publish_duplicate_apps;
    int rtmp_old_players; /* enum old_players */
    bool silent_audio;
    uint64_t forward_buffer_ms;
    uint64_t gop_cache_count, gop_cache_max_bytes, gop_cache_max_ms;
    uint64_t play_wait_ms, tracks_wait_ms, publish_stall_ms, publisher_grace_ms;
    uint64_t max_lag_ms, stall_timeout_ms, feed_max_pinned_bytes;
    uint64_t pull_idle_ms, upstream_stall_ms, pull_head_start_ms, pull_failback_ms;
    uint64_t drain_timeout_s;
    int hls_mode;      /* enum hls_mode */
    int hls_container; /* enum hls_container */
    struct conf_list hls_renditions;
    bool hls_audio_variant;
    char *hls_disk_dir;
    int hls_disk_cleanup; /* enum hls_cleanup */
    uint64_t hls_segment_ms, hls_part_ms, hls_window_s, hls_idle_ms, hls_max_bytes;
    char *record_dir;
    struct conf_list record_rules;
    uint64_t record_min_free_bytes, record_max_age_s, record_max_bytes;
    uint64_t record_queue_bytes, record_queue_ms, record_threads;
    char *snapshot_command;
    uint64_t snapshot_timeout_ms;
    char *handover_socket, *state_file;
    struct conf_list pull_sources, push_targets, fallback_origins;
    bool relay_allow_private_targets;
    struct conf_list relay_allowed_networks;
    struct conf_list hooks_targets;
    uint64_t metrics_streams; /* of so many streams at most there are metrics */
    struct conf_list compat;  /* servers whose API there is, too: "lal", "livego" */
    char *compat_app;
    uint64_t hooks_update_s;

    uint64_t limits_connections, limits_connections_per_ip, limits_viewers, limits_parked_viewers;
    uint64_t limits_viewers_per_ip, limits_viewers_per_stream, limits_hls_sessions_per_ip;
    uint64_t limits_publishers, limits_publishers_per_ip;
    uint64_t limits_egress_bps_per_ip, limits_egress_bps_per_stream;
    uint64_t limits_ingress_bps, limits_ingress_s;
    struct conf_list limits_apps;
    uint64_t limits_handshake_ms, limits_tls_handshake_ms, limits_idle_ms;
    uint64_t limits_message_bytes, limits_command_bytes;
    uint64_t limits_http_head_bytes, limits_http_head_ms, limits_http_idle_ms;

    char *cluster_node_id;
    int cluster_role; /* enum cluster_role */
    char *cluster_zone;
    struct conf_list cluster_schedulers; /* empty = no cluster */
    char *cluster_token_file;
    int cluster_redirect; /* 0 off, 1 on */
    uint64_t cluster_capacity_egress_bps, cluster_weight;
    char *cluster_advertise_public_rtmp, *cluster_advertise_public_http;
    char *cluster_advertise_public_rtmps, *cluster_advertise_public_https;
    char *cluster_advertise_internal_rtmp, *cluster_advertise_internal_http;
    char *cluster_advertise_internal_https, *cluster_advertise_admin;
};

/* RTMP players that announce no codecs get these with the headers that Flash had, or all codecs. */
enum old_players { OLD_PLAYERS_CLASSIC, OLD_PLAYERS_HEVC, OLD_PLAYERS_ALL };

extern const struct conf_schema k_node_schema;

/* What the table cannot say: URLs, ids, and keys that depend on each other. E_OK, or E_INVAL with
 * the key, what was found and what is allowed in *error. Call it after conf_load() and before a
 * reload is applied. */
enum err node_conf_check(const struct node_conf *conf, struct conf_error *error);

/* True when every scheduler is at 127.0.0.0/8, ::1 or localhost: then a wildcard listen address is
 * advertised as 127.0.0.1. */
bool node_conf_is_on_one_machine(const struct node_conf *conf);
/* What becomes of a second publisher of this name: an enum cluster_duplicate. */
int node_conf_duplicate(const struct node_conf *conf, const struct stream_name *name);
/* May pages of this site (the value of an Origin field) play over WebSockets? */
bool node_conf_allows_origin(const struct node_conf *conf, struct buf_view origin);
/* Of http.cors_origins; origin NULL = the request names none. */
enum http_cors node_conf_cors(const struct node_conf *conf, const char *origin);
/* Where TLS is accepted: "" without certificates. */
const char *node_conf_rtmps_listen(const struct node_conf *conf);
const char *node_conf_https_listen(const struct node_conf *conf);

#endif
