/* The node's own metrics. Each row is a struct metric of that name:
 * metric_add(&m_play_refused_name, 1) from any thread. "gathered" rows are set when /metrics is
 * asked for; sessions leave them alone. */
#ifndef HW_NODE_CONTROL_NODE_METRICS_H
#define HW_NODE_CONTROL_NODE_METRICS_H

#include "common/base/metrics.h"

struct stream_info;
struct session_info;
struct media_loop;
struct node;

/* clang-format off */
#define NODE_METRIC_MAP(X) \
    X(m_connections,                   GAUGE,   "connections", "",                                       "Open client connections (gathered)") \
    X(m_connections_refused_total,     COUNTER, "connections_refused_total", "reason=\"total\"",       "Connections closed at accept") \
    X(m_events_lost,                   COUNTER, "events_lost_total", "",                                 "Events that nobody could be told of, for want of memory") \
    X(m_event_readers,                 GAUGE,   "event_readers", "",                                     "Readers of /api/v1/events") \
    X(m_record_streams,                GAUGE,   "record_streams", "",                                    "Streams that are recorded") \
    X(m_record_paused,                 GAUGE,   "record_paused", "",                                     "1 while there is no room on the disk") \
    X(m_record_queue_bytes,            GAUGE,   "record_queue_bytes", "",                                "Frames that wait for the disk") \
    X(m_record_files_flv,              COUNTER, "record_files_total", "format=\"flv\"",                  "Records that were finished") \
    X(m_record_files_ts,               COUNTER, "record_files_total", "format=\"ts\"",                   "Records that were finished") \
    X(m_record_files_mp4,              COUNTER, "record_files_total", "format=\"mp4\"",                  "Records that were finished") \
    X(m_record_files_hls,              COUNTER, "record_files_total", "format=\"hls\"",                  "Records that were finished") \
    X(m_record_bytes,                  COUNTER, "record_bytes_total", "",                                "Bytes of records that were finished") \
    X(m_record_played_bytes,           COUNTER, "record_played_bytes_total", "",                         "Bytes of finished records sent to players") \
    X(m_snapshots_ok,                  COUNTER, "snapshots_total", "result=\"ok\"",                       "Pictures that were made of key frames") \
    X(m_snapshots_failed,              COUNTER, "snapshots_total", "result=\"failed\"",                   "Pictures that were made of key frames") \
    X(m_record_dropped_gops,           COUNTER, "record_dropped_gops_total", "",                         "GOPs left out because the disk did not keep up") \
    X(m_record_errors,                 COUNTER, "record_errors_total", "",                               "Records that could not be written or finished") \
    X(m_record_recovered,              COUNTER, "record_recovered_total", "",                            "Records that a crash had left and that were finished at start") \
    X(m_record_removed_age,            COUNTER, "record_removed_total", "reason=\"age\"",                "Records that retention removed") \
    X(m_record_removed_size,           COUNTER, "record_removed_total", "reason=\"size\"",               "Records that retention removed") \
    X(m_connections_refused_ban,       COUNTER, "connections_refused_total", "reason=\"ban\"",           "Connections closed at accept") \
    X(m_bans,                          GAUGE,   "bans", "",                                              "Bans in force") \
    X(m_bans_sessions_ended,           COUNTER, "bans_sessions_ended_total", "",                         "Sessions that a new ban ended") \
    X(m_connections_refused_per_ip,    COUNTER, "connections_refused_total", "reason=\"per_ip\"",        "Connections closed at accept") \
    X(m_connections_refused_admin_total, COUNTER, "connections_refused_total", "reason=\"admin_total\"",  "Connections closed at accept") \
    X(m_connections_refused_admin_per_ip, COUNTER, "connections_refused_total", "reason=\"admin_per_ip\"", "Connections closed at accept") \
    X(m_sessions_total_rtmp_publish,   COUNTER, "sessions_total", "protocol=\"rtmp\",kind=\"publish\"",  "Sessions that began") \
    X(m_sessions_total_rtmp_play,      COUNTER, "sessions_total", "protocol=\"rtmp\",kind=\"play\"",     "Sessions that began") \
    X(m_sessions_total_rtmp_pull,      COUNTER, "sessions_total", "protocol=\"rtmp\",kind=\"pull\"",     "Sessions that began") \
    X(m_sessions_total_rtmp_push,      COUNTER, "sessions_total", "protocol=\"rtmp\",kind=\"push\"",     "Sessions that began") \
    X(m_sessions_total_flv_play,       COUNTER, "sessions_total", "protocol=\"flv\",kind=\"play\"",      "Sessions that began") \
    X(m_sessions_total_ts_play, COUNTER, "sessions_total", "protocol=\"ts\",kind=\"play\"", "Sessions that began") \
    X(m_sessions_total_mp4_play, COUNTER, "sessions_total", "protocol=\"mp4\",kind=\"play\"", "Sessions that began") \
    X(m_sessions_total_ws_flv_play, COUNTER, "sessions_total", "protocol=\"ws-flv\",kind=\"play\"", "Sessions that began") \
    X(m_sessions_total_ws_ts_play, COUNTER, "sessions_total", "protocol=\"ws-ts\",kind=\"play\"", "Sessions that began") \
    X(m_sessions_total_ws_mp4_play, COUNTER, "sessions_total", "protocol=\"ws-mp4\",kind=\"play\"", "Sessions that began") \
    X(m_sessions_total_hls_play, COUNTER, "sessions_total", "protocol=\"hls\",kind=\"play\"", "Sessions that began") \
    X(m_sessions_total_flv_publish,    COUNTER, "sessions_total", "protocol=\"flv\",kind=\"publish\"", "Sessions that began") \
    X(m_sessions_total_flv_pull,       COUNTER, "sessions_total", "protocol=\"flv\",kind=\"pull\"",      "Sessions that began") \
    X(m_sessions_total_relay_play,     COUNTER, "sessions_total", "protocol=\"relay\",kind=\"play\"",    "Sessions that began") \
    X(m_sessions_total_relay_pull,     COUNTER, "sessions_total", "protocol=\"relay\",kind=\"pull\"",    "Sessions that began") \
    X(m_sessions_total_relay_publish,  COUNTER, "sessions_total", "protocol=\"relay\",kind=\"publish\"", "Sessions that began") \
    X(m_sessions_total_relay_push,     COUNTER, "sessions_total", "protocol=\"relay\",kind=\"push\"", "Sessions that began") \
    X(m_sessions_rtmp_idle,            GAUGE,   "sessions", "protocol=\"rtmp\",kind=\"idle\"",           "Sessions (gathered)") \
    X(m_sessions_rtmp_publish,         GAUGE,   "sessions", "protocol=\"rtmp\",kind=\"publish\"",        "Sessions (gathered)") \
    X(m_sessions_rtmp_standby,         GAUGE,   "sessions", "protocol=\"rtmp\",kind=\"standby\"", "Sessions (gathered)") \
    X(m_sessions_rtmp_play,            GAUGE,   "sessions", "protocol=\"rtmp\",kind=\"play\"",           "Sessions (gathered)") \
    X(m_sessions_rtmp_pull,            GAUGE,   "sessions", "protocol=\"rtmp\",kind=\"pull\"",           "Sessions (gathered)") \
    X(m_sessions_rtmp_push,            GAUGE,   "sessions", "protocol=\"rtmp\",kind=\"push\"",            "Sessions (gathered)") \
    X(m_sessions_flv_play,             GAUGE,   "sessions", "protocol=\"flv\",kind=\"play\"",            "Sessions (gathered)") \
    X(m_sessions_ts_play, GAUGE, "sessions", "protocol=\"ts\",kind=\"play\"", "Sessions (gathered)") \
    X(m_sessions_mp4_play, GAUGE, "sessions", "protocol=\"mp4\",kind=\"play\"", "Sessions (gathered)") \
    X(m_sessions_ws_flv_play, GAUGE, "sessions", "protocol=\"ws-flv\",kind=\"play\"", "Sessions (gathered)") \
    X(m_sessions_ws_ts_play, GAUGE, "sessions", "protocol=\"ws-ts\",kind=\"play\"", "Sessions (gathered)") \
    X(m_sessions_ws_mp4_play, GAUGE, "sessions", "protocol=\"ws-mp4\",kind=\"play\"", "Sessions (gathered)") \
    X(m_sessions_hls_play, GAUGE, "sessions", "protocol=\"hls\",kind=\"play\"", "Sessions (gathered)") \
    X(m_sessions_flv_publish,          GAUGE,   "sessions", "protocol=\"flv\",kind=\"publish\"", "Sessions (gathered)") \
    X(m_sessions_flv_standby,          GAUGE,   "sessions", "protocol=\"flv\",kind=\"standby\"", "Sessions (gathered)") \
    X(m_sessions_flv_pull,             GAUGE,   "sessions", "protocol=\"flv\",kind=\"pull\"",            "Sessions (gathered)") \
    X(m_sessions_relay_play,           GAUGE,   "sessions", "protocol=\"relay\",kind=\"play\"",          "Sessions (gathered)") \
    X(m_sessions_relay_pull,           GAUGE,   "sessions", "protocol=\"relay\",kind=\"pull\"",          "Sessions (gathered)") \
    X(m_sessions_relay_publish,        GAUGE,   "sessions", "protocol=\"relay\",kind=\"publish\"", "Sessions (gathered)") \
    X(m_sessions_relay_standby,        GAUGE,   "sessions", "protocol=\"relay\",kind=\"standby\"", "Sessions (gathered)") \
    X(m_sessions_relay_push,           GAUGE,   "sessions", "protocol=\"relay\",kind=\"push\"", "Sessions (gathered)") \
    X(m_sessions_other,                GAUGE,   "sessions", "protocol=\"other\",kind=\"other\"",         "Sessions (gathered)") \
    X(m_streams_published,             GAUGE,   "streams", "kind=\"published\"",                         "Streams by where their media comes from (gathered)") \
    X(m_streams_pulled,                GAUGE,   "streams", "kind=\"pulled\"",                            "Streams by where their media comes from (gathered)") \
    X(m_streams_waiting,               GAUGE,   "streams", "kind=\"waiting\"",                           "Streams by where their media comes from (gathered)") \
    X(m_viewers_people,                GAUGE,   "viewers", "kind=\"people\"",                            "Viewers that joined a stream (gathered)") \
    X(m_viewers_relays,                GAUGE,   "viewers", "kind=\"relays\"",                            "Viewers that joined a stream (gathered)") \
    X(m_publish_refused_busy,          COUNTER, "publish_refused_total", "reason=\"busy\"",              "Publishers turned away") \
    X(m_publish_refused_name,          COUNTER, "publish_refused_total", "reason=\"name\"",              "Publishers turned away") \
    X(m_publish_refused_closed,        COUNTER, "publish_refused_total", "reason=\"closed\"",            "Publishers turned away") \
    X(m_publish_refused_cluster,       COUNTER, "publish_refused_total", "reason=\"cluster\"",           "Publishers turned away") \
    X(m_publish_refused_limit,         COUNTER, "publish_refused_total", "reason=\"limit\"",             "Publishers turned away") \
    X(m_play_refused_not_found,        COUNTER, "play_refused_total", "reason=\"not_found\"",            "Viewers turned away") \
    X(m_play_refused_name,             COUNTER, "play_refused_total", "reason=\"name\"",                 "Viewers turned away") \
    X(m_play_refused_codec,            COUNTER, "play_refused_total", "reason=\"codec\"",               "Viewers turned away") \
    X(m_play_refused_closed,           COUNTER, "play_refused_total", "reason=\"closed\"",               "Viewers turned away") \
    X(m_play_refused_origin,           COUNTER, "play_refused_total", "reason=\"origin\"",               "Viewers turned away") \
    X(m_play_refused_limit,            COUNTER, "play_refused_total", "reason=\"limit\"",                "Viewers turned away") \
    X(m_play_refused_denied,           COUNTER, "play_refused_total", "reason=\"denied\"",               "Viewers turned away") \
    X(m_play_refused_draining,         COUNTER, "play_refused_total", "reason=\"draining\"", "Viewers turned away") \
    X(m_limit_draining, COUNTER, "limit_refused_total", "limit=\"draining\"", "Clients turned away, or closed, by a limit") \
    X(m_limit_egress, COUNTER, "limit_refused_total", "limit=\"egress\"", "Clients turned away, or closed, by a limit") \
    X(m_limit_viewers, COUNTER, "limit_refused_total", "limit=\"viewers\"", "Clients turned away, or closed, by a limit") \
    X(m_limit_publishers, COUNTER, "limit_refused_total", "limit=\"publishers\"", "Clients turned away, or closed, by a limit") \
    X(m_limit_connections_per_ip, COUNTER, "limit_refused_total", "limit=\"connections_per_ip\"", "Clients turned away, or closed, by a limit") \
    X(m_limit_hls_sessions_per_ip, COUNTER, "limit_refused_total", "limit=\"hls_sessions_per_ip\"", "Clients turned away, or closed, by a limit") \
    X(m_limit_viewers_per_ip, COUNTER, "limit_refused_total", "limit=\"viewers_per_ip\"", "Clients turned away, or closed, by a limit") \
    X(m_limit_publishers_per_ip, COUNTER, "limit_refused_total", "limit=\"publishers_per_ip\"", "Clients turned away, or closed, by a limit") \
    X(m_limit_egress_per_ip, COUNTER, "limit_refused_total", "limit=\"egress_per_ip\"", "Clients turned away, or closed, by a limit") \
    X(m_limit_viewers_per_stream, COUNTER, "limit_refused_total", "limit=\"viewers_per_stream\"", "Clients turned away, or closed, by a limit") \
    X(m_limit_egress_per_stream, COUNTER, "limit_refused_total", "limit=\"egress_per_stream\"", "Clients turned away, or closed, by a limit") \
    X(m_limit_viewers_per_app, COUNTER, "limit_refused_total", "limit=\"viewers_per_app\"", "Clients turned away, or closed, by a limit") \
    X(m_limit_publishers_per_app, COUNTER, "limit_refused_total", "limit=\"publishers_per_app\"", "Clients turned away, or closed, by a limit") \
    X(m_limit_egress_per_app, COUNTER, "limit_refused_total", "limit=\"egress_per_app\"", "Clients turned away, or closed, by a limit") \
    X(m_limit_ingress, COUNTER, "limit_refused_total", "limit=\"ingress\"", "Clients turned away, or closed, by a limit") \
    X(m_access_refused_referrer, COUNTER, "access_refused_total", "check=\"referrer\"", "Requests that a check of access refused") \
    X(m_access_log_lines, COUNTER, "access_log_lines_total", "", "Lines written to the access log") \
    X(m_access_log_lost_queue, COUNTER, "access_log_lost_total", "reason=\"queue\"", "Lines that the access log has not got") \
    X(m_access_log_lost_file, COUNTER, "access_log_lost_total", "reason=\"file\"", "Lines that the access log has not got") \
    X(m_play_redirected,               COUNTER, "play_redirected_total", "", "Viewers sent to another node") \
    X(m_publish_reconnects,            COUNTER, "publish_reconnect_requests_total", "", "Publishers that were asked to go on over a new connection") \
    X(m_play_reconnects,               COUNTER, "play_reconnect_requests_total", "", "RTMP players that were asked to go on over a new connection") \
    X(m_draining,                      GAUGE,   "draining", "", "1 while this node takes no new work") \
    X(m_drain_publishers,              GAUGE,   "drain_sessions", "kind=\"publish\"", "Who still has to leave a node that drains") \
    X(m_drain_viewers,                 GAUGE,   "drain_sessions", "kind=\"play\"", "Who still has to leave a node that drains") \
    X(m_drain_relays,                  GAUGE,   "drain_sessions", "kind=\"relay\"", "Who still has to leave a node that drains") \
    X(m_protocol_error_rtmp_handshake, COUNTER, "protocol_errors_total", "protocol=\"rtmp\",reason=\"handshake\"", "Peers that broke their protocol") \
    X(m_protocol_error_rtmp_chunk,     COUNTER, "protocol_errors_total", "protocol=\"rtmp\",reason=\"chunk\"",     "Peers that broke their protocol") \
    X(m_protocol_error_rtmp_amf,       COUNTER, "protocol_errors_total", "protocol=\"rtmp\",reason=\"amf\"",       "Peers that broke their protocol") \
    X(m_protocol_error_rtmp_order,     COUNTER, "protocol_errors_total", "protocol=\"rtmp\",reason=\"order\"",     "Peers that broke their protocol") \
    X(m_protocol_error_rtmp_size,      COUNTER, "protocol_errors_total", "protocol=\"rtmp\",reason=\"size\"",      "Peers that broke their protocol") \
    X(m_protocol_error_rtmp_media,     COUNTER, "protocol_errors_total", "protocol=\"rtmp\",reason=\"media\"",     "Peers that broke their protocol") \
    X(m_protocol_error_rtmp_other,     COUNTER, "protocol_errors_total", "protocol=\"rtmp\",reason=\"other\"",     "Peers that broke their protocol") \
    X(m_protocol_error_ws, COUNTER, "protocol_errors_total", "protocol=\"ws\",reason=\"frame\"", "Peers that broke their protocol") \
    X(m_protocol_error_flv_media,      COUNTER, "protocol_errors_total", "protocol=\"flv\",reason=\"media\"", "Peers that broke their protocol") \
    X(m_timeout_handshake,             COUNTER, "timeouts_total", "kind=\"handshake\"",                  "Connections closed by time") \
    X(m_timeout_idle,                  COUNTER, "timeouts_total", "kind=\"idle\"",                       "Connections closed by time") \
    X(m_timeout_publish_stall,         COUNTER, "timeouts_total", "kind=\"publish_stall\"",              "Connections closed by time") \
    X(m_timeout_play_wait,             COUNTER, "timeouts_total", "kind=\"play_wait\"",                  "Connections closed by time") \
    X(m_timeout_upstream_stall,        COUNTER, "timeouts_total", "kind=\"upstream_stall\"",             "Connections closed by time") \
    X(m_bytes_in_total_rtmp,           COUNTER, "bytes_in_total", "protocol=\"rtmp\"",               "Bytes received (gathered)") \
    X(m_bytes_in_total_flv,            COUNTER, "bytes_in_total", "protocol=\"flv\"",                "Bytes received (gathered)") \
    X(m_bytes_in_total_ts, COUNTER, "bytes_in_total", "protocol=\"ts\"", "Bytes received (gathered)") \
    X(m_bytes_in_total_mp4, COUNTER, "bytes_in_total", "protocol=\"mp4\"", "Bytes received (gathered)") \
    X(m_bytes_in_total_ws_flv, COUNTER, "bytes_in_total", "protocol=\"ws-flv\"", "Bytes received (gathered)") \
    X(m_bytes_in_total_ws_ts, COUNTER, "bytes_in_total", "protocol=\"ws-ts\"", "Bytes received (gathered)") \
    X(m_bytes_in_total_ws_mp4, COUNTER, "bytes_in_total", "protocol=\"ws-mp4\"", "Bytes received (gathered)") \
    X(m_bytes_in_total_hls, COUNTER, "bytes_in_total", "protocol=\"hls\"", "Bytes received (gathered)") \
    X(m_bytes_in_total_relay,          COUNTER, "bytes_in_total", "protocol=\"relay\"",              "Bytes received (gathered)") \
    X(m_bytes_out_total_rtmp,          COUNTER, "bytes_out_total", "protocol=\"rtmp\"",              "Bytes sent (gathered)") \
    X(m_bytes_out_total_flv,           COUNTER, "bytes_out_total", "protocol=\"flv\"",               "Bytes sent (gathered)") \
    X(m_bytes_out_total_ts, COUNTER, "bytes_out_total", "protocol=\"ts\"", "Bytes sent (gathered)") \
    X(m_bytes_out_total_mp4, COUNTER, "bytes_out_total", "protocol=\"mp4\"", "Bytes sent (gathered)") \
    X(m_bytes_out_total_ws_flv, COUNTER, "bytes_out_total", "protocol=\"ws-flv\"", "Bytes sent (gathered)") \
    X(m_bytes_out_total_ws_ts, COUNTER, "bytes_out_total", "protocol=\"ws-ts\"", "Bytes sent (gathered)") \
    X(m_bytes_out_total_ws_mp4, COUNTER, "bytes_out_total", "protocol=\"ws-mp4\"", "Bytes sent (gathered)") \
    X(m_bytes_out_total_hls, COUNTER, "bytes_out_total", "protocol=\"hls\"", "Bytes sent (gathered)") \
    X(m_bytes_out_total_relay,         COUNTER, "bytes_out_total", "protocol=\"relay\"",             "Bytes sent (gathered)") \
    X(m_tracks_left_out,               COUNTER, "tracks_left_out_total", "",                              "Feeds whose format has no place for a track of the stream") \
    X(m_viewers_slow_jump,             COUNTER, "viewers_slow_total", "action=\"jump\"",                 "Viewers that fell behind") \
    X(m_viewers_slow_close,            COUNTER, "viewers_slow_total", "action=\"close\"",                "Viewers that fell behind") \
    X(m_relay_pulls_connected,         COUNTER, "relay_pulls_total", "result=\"connected\"",             "Pulls from other servers") \
    X(m_relay_pulls_not_found,         COUNTER, "relay_pulls_total", "result=\"not_found\"",             "Pulls from other servers") \
    X(m_relay_pulls_unreachable,       COUNTER, "relay_pulls_total", "result=\"unreachable\"",           "Pulls from other servers") \
    X(m_relay_pulls_refused,           COUNTER, "relay_pulls_total", "result=\"refused\"",               "Pulls from other servers") \
    X(m_relay_pulls_stalled,           COUNTER, "relay_pulls_total", "result=\"stalled\"",               "Pulls from other servers") \
    X(m_relay_pulls_lost,              COUNTER, "relay_pulls_total", "result=\"lost\"",                  "Pulls from other servers") \
    X(m_relay_pulls_ended,             COUNTER, "relay_pulls_total", "result=\"ended\"",                 "Pulls from other servers") \
    X(m_relay_pulls_switched,          COUNTER, "relay_pulls_total", "result=\"switched\"",              "Pulls from other servers") \
    X(m_relay_pulls_idle,              COUNTER, "relay_pulls_total", "result=\"idle\"",                  "Pulls from other servers") \
    X(m_relay_reconnects_followed,     COUNTER, "relay_reconnect_requests_total", "result=\"followed\"", "Requests of foreign servers to go on over a new connection") \
    X(m_relay_reconnects_refused,      COUNTER, "relay_reconnect_requests_total", "result=\"refused\"",  "Requests of foreign servers to go on over a new connection") \
    X(m_relay_loops_refused,           COUNTER, "relay_loops_refused_total", "",                         "Pulls refused since their hop list names this node") \
    X(m_relay_pushes_granted,          COUNTER, "relay_pushes_total", "result=\"granted\"", "Streams of encoders here sent to an origin") \
    X(m_relay_pushes_refused,          COUNTER, "relay_pushes_total", "result=\"refused\"", "Streams of encoders here sent to an origin") \
    X(m_relay_pushes_unreachable,      COUNTER, "relay_pushes_total", "result=\"unreachable\"", "Streams of encoders here sent to an origin") \
    X(m_relay_pushes_stalled,          COUNTER, "relay_pushes_total", "result=\"stalled\"", "Streams of encoders here sent to an origin") \
    X(m_relay_pushes_lost,             COUNTER, "relay_pushes_total", "result=\"lost\"", "Streams of encoders here sent to an origin") \
    X(m_relay_targets_connected, COUNTER, "relay_targets_total", "result=\"connected\"", "Streams sent on to foreign servers") \
    X(m_relay_targets_refused, COUNTER, "relay_targets_total", "result=\"refused\"", "Streams sent on to foreign servers") \
    X(m_relay_targets_unreachable, COUNTER, "relay_targets_total", "result=\"unreachable\"", "Streams sent on to foreign servers") \
    X(m_relay_targets_lost, COUNTER, "relay_targets_total", "result=\"lost\"", "Streams sent on to foreign servers") \
    X(m_relay_targets_slow, COUNTER, "relay_targets_total", "result=\"slow\"", "Streams sent on to foreign servers") \
    X(m_relay_targets_ended, COUNTER, "relay_targets_total", "result=\"ended\"", "Streams sent on to foreign servers") \
    X(m_hls_channels, GAUGE, "hls_channels", "", "Streams that are cut into segments, a container and choice of tracks each") \
    X(m_hls_disk_errors, COUNTER, "hls_disk_errors_total", "", "Segments and lists that could not be written or removed") \
    X(m_hls_channels_opened, COUNTER, "hls_channels_opened_total", "", "Likewise, since the start") \
    X(m_frames_audio,                  COUNTER, "frames_total", "kind=\"audio\"",                        "Frames received") \
    X(m_frames_video,                  COUNTER, "frames_total", "kind=\"video\"",                        "Frames received") \
    X(m_frames_data,                   COUNTER, "frames_total", "kind=\"data\"",                         "Frames received") \
    X(m_clock_peers,                   GAUGE,   "clock_peers", "", "Nodes whose clocks are asked for, since streams come from them") \
    X(m_clock_asks_answered,           COUNTER, "clock_asks_total", "result=\"answered\"", "Questions for the clocks of other nodes") \
    X(m_clock_asks_failed,             COUNTER, "clock_asks_total", "result=\"failed\"", "Questions for the clocks of other nodes") \
    X(m_clock_asks_limit,              COUNTER, "clock_asks_total", "result=\"limit\"", "Questions for the clocks of other nodes") \
    X(m_cluster_connected,             GAUGE,   "cluster_connected", "",                                 "1 while a scheduler answers") \
    X(m_cluster_refused,               GAUGE,   "cluster_refused", "", "1 while the scheduler refuses this node: wrong token, id in use, replaced") \
    X(m_cluster_heartbeats_ok,         COUNTER, "cluster_heartbeats_total", "result=\"ok\"",             "Heartbeats sent") \
    X(m_cluster_heartbeats_refused,    COUNTER, "cluster_heartbeats_total", "result=\"refused\"",        "Heartbeats sent") \
    X(m_cluster_heartbeats_failed,     COUNTER, "cluster_heartbeats_total", "result=\"failed\"",         "Heartbeats sent") \
    X(m_cluster_heartbeats_full,       COUNTER, "cluster_heartbeats_full_total", "",                     "Heartbeats that carried every stream") \
    X(m_cluster_asks_publish_answered, COUNTER, "cluster_asks_total", "kind=\"publish\",result=\"answered\"", "Questions to the scheduler") \
    X(m_cluster_asks_publish_degraded, COUNTER, "cluster_asks_total", "kind=\"publish\",result=\"degraded\"", "Questions to the scheduler") \
    X(m_cluster_asks_release_answered, COUNTER, "cluster_asks_total", "kind=\"release\",result=\"answered\"", "Questions to the scheduler") \
    X(m_cluster_asks_release_degraded, COUNTER, "cluster_asks_total", "kind=\"release\",result=\"degraded\"", "Questions to the scheduler") \
    X(m_cluster_asks_route_answered,   COUNTER, "cluster_asks_total", "kind=\"route\",result=\"answered\"",   "Questions to the scheduler") \
    X(m_cluster_asks_route_cached,     COUNTER, "cluster_asks_total", "kind=\"route\",result=\"cached\"",     "Questions to the scheduler") \
    X(m_cluster_asks_route_shared,     COUNTER, "cluster_asks_total", "kind=\"route\",result=\"shared\"",     "Questions to the scheduler") \
    X(m_cluster_asks_route_degraded,   COUNTER, "cluster_asks_total", "kind=\"route\",result=\"degraded\"",   "Questions to the scheduler") \
    X(m_cluster_events_published,      COUNTER, "cluster_events_total", "type=\"published\"",            "Events from the scheduler") \
    X(m_cluster_events_ended,          COUNTER, "cluster_events_total", "type=\"ended\"",                "Events from the scheduler") \
    X(m_cluster_events_fenced,         COUNTER, "cluster_events_total", "type=\"fenced\"",               "Events from the scheduler") \
    X(m_cluster_events_kick,           COUNTER, "cluster_events_total", "type=\"kick\"",                 "Events from the scheduler") \
    X(m_cluster_events_promote,        COUNTER, "cluster_events_total", "type=\"promote\"", "Events from the scheduler") \
    X(m_cluster_events_leaving,        COUNTER, "cluster_events_total", "type=\"leaving\"", "Events from the scheduler") \
    X(m_cluster_events_drain,          COUNTER, "cluster_events_total", "type=\"drain\"", "Events from the scheduler") \
    X(m_cluster_events_resume,         COUNTER, "cluster_events_total", "type=\"resume\"", "Events from the scheduler") \
    X(m_cluster_events_settings,        COUNTER, "cluster_events_total", "type=\"settings\"", "Events from the scheduler") \
    X(m_cluster_events_bad,            COUNTER, "cluster_events_total", "type=\"bad\"",                  "Events from the scheduler") \
    X(m_cluster_events_connects,       COUNTER, "cluster_events_connects_total", "",                     "Events connections made")
/* clang-format on */

#define NODE_METRIC_DECLARE(name, type, family, labels, help) extern struct metric name;
NODE_METRIC_MAP(NODE_METRIC_DECLARE)
#undef NODE_METRIC_DECLARE

/* Bytes of connections that are closed: sessions add theirs as they end. What /metrics shows is
 * this and the bytes of those that are open. */
#define NODE_PROTOCOL_MAP(X) \
    X(rtmp, "rtmp")          \
    X(flv, "flv")            \
    X(ts, "ts")              \
    X(mp4, "mp4")            \
    X(ws_flv, "ws-flv")      \
    X(ws_ts, "ws-ts")        \
    X(ws_mp4, "ws-mp4")      \
    X(hls, "hls")            \
    X(relay, "relay")
#define NODE_BYTES_DECLARE(id, text) extern struct metric m_bytes_in_##id, m_bytes_out_##id;
NODE_PROTOCOL_MAP(NODE_BYTES_DECLARE)
#undef NODE_BYTES_DECLARE

/* From the moment a player waits for the stream to the first frame that it can begin with. */
extern struct metric_histogram m_first_frame;
/* How long turns of loops take, all media loops together (gathered). */
extern struct metric_histogram m_loop_turn_media, m_loop_turn_control;
/* Of streams that come from other nodes, twice a second each: from where they were taken in to
 * here, and how wrong that may be. */
extern struct metric_histogram m_stream_lag, m_stream_lag_uncertainty;

/* Once, at start, before other threads run. */
void node_metrics_register(void);
/* The gathered rows, from one walk over all media loops. A session that ends during the walk may be
 * missing from its bytes until the next one; it is never counted twice. */
#define NODE_PROTOCOL_COUNT(id, text) +1
#define NODE_N_BYTE_ROWS (0 NODE_PROTOCOL_MAP(NODE_PROTOCOL_COUNT))
struct node_totals {
    int64_t n_published, n_pulled, n_waiting; /* streams */
    int64_t n_people, n_relays;               /* viewers */
    int64_t n_sessions[24];                   /* private to node_metrics.c */
    size_t last_row;                          /* likewise */
    int64_t in_bytes[NODE_N_BYTE_ROWS], out_bytes[NODE_N_BYTE_ROWS];
};
/* Before the walk; control loop. */
void node_totals_begin(struct node_totals *totals);
void node_totals_add_stream(struct node_totals *totals, const struct stream_info *info);
/* On its loop. */
void node_totals_add_session(struct node_totals *totals, const struct session_info *info);
/* Every session of the loop; its thread. */
void node_totals_add_loop(struct node_totals *totals, struct media_loop *ml);
/* After the walk; control loop. */
void node_totals_publish(const struct node_totals *totals, struct node *node);

#endif
