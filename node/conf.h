/* Configuration of the media node: one member a key, dots become underscores. The table in conf.c
 * gives parser, ranges, defaults, --help-config and conf/node.json. */
#ifndef HW_NODE_CONF_H
#define HW_NODE_CONF_H

#include "common/base/conf.h"
#include "common/media/name.h"

struct node_conf {
    uint64_t loops;
    int latency;   /* enum latency_policy */
    int log_level; /* enum log_level */
    char *log_file;
    char *rtmp_listen, *http_listen, *rtmps_listen, *https_listen, *admin_listen;
    bool admin_tls;
    struct conf_list tls_certificates; /* empty: rtmps_listen and https_listen are off */
    char *tls_ca_file;
    bool tls_verify;
    struct conf_list websocket_origins; /* empty = all */

    bool publish_open, play_open;
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
    char *handover_socket;
    struct conf_list pull_sources, fallback_origins;

    uint64_t limits_connections, limits_connections_per_ip, limits_viewers, limits_parked_viewers;
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
    char *cluster_advertise_internal_https;
};

/* RTMP players that announce no codecs get these with the headers that Flash had, or all codecs. */
enum old_players { OLD_PLAYERS_CLASSIC, OLD_PLAYERS_HEVC, OLD_PLAYERS_ALL };

extern const struct conf_schema k_node_schema;

/* What the table cannot say: URLs, ids, and keys that depend on each other. E_OK, or E_INVAL with
 * the key, what was found and what is allowed in *error. Call it after conf_load() and before a
 * reload is applied. */
enum err node_conf_check(const struct node_conf *conf, struct conf_error *error);

/* Splits an entry of pull.sources, "app/name=rtmp://host/app/name". *url is lent: it points into
 * item. E_INVAL with *why (static). */
enum err node_conf_pull_source(const char *item, struct stream_name *name, const char **url,
                               const char **why);
/* What becomes of a second publisher of this name: an enum cluster_duplicate. */
int node_conf_duplicate(const struct node_conf *conf, const struct stream_name *name);
/* May pages of this site (the value of an Origin field) play over WebSockets? */
bool node_conf_allows_origin(const struct node_conf *conf, struct buf_view origin);
/* Where TLS is accepted: "" without certificates. */
const char *node_conf_rtmps_listen(const struct node_conf *conf);
const char *node_conf_https_listen(const struct node_conf *conf);

#endif
