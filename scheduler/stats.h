/* Counters and gauges of the scheduler. */
#ifndef HW_SCHEDULER_STATS_H
#define HW_SCHEDULER_STATS_H

#include "common/base/metrics.h"
#include "common/net/loop.h"

#define STATS_MAP(X)                                                                              \
    X(HEARTBEAT_FULL, COUNTER, "headwater_heartbeats_total", "kind=\"full\"", "reports of nodes") \
    X(HEARTBEAT_DELTA, COUNTER, "headwater_heartbeats_total", "kind=\"delta\"", "")               \
    X(HEARTBEAT_REFUSED, COUNTER, "headwater_heartbeats_total", "kind=\"refused\"", "")           \
    X(PUBLISH_GRANTED, COUNTER, "headwater_publishes_total", "decision=\"granted\"",              \
      "publish requests by answer")                                                               \
    X(PUBLISH_FORWARD, COUNTER, "headwater_publishes_total", "decision=\"forward\"", "")          \
    X(PUBLISH_REFUSED, COUNTER, "headwater_publishes_total", "decision=\"refused\"", "")          \
    X(PUBLISH_STANDBY, COUNTER, "headwater_publishes_total", "decision=\"standby\"", "")          \
    X(PUBLISH_DEGRADED, COUNTER, "headwater_publishes_degraded_total", "",                        \
      "publishes granted from memory because the store could not be asked")                       \
    X(OWNER_ASKED, COUNTER, "headwater_owner_probes_total", "answer=\"alive\"",                   \
      "suspect owners that were asked whether they live")                                         \
    X(OWNER_SILENT, COUNTER, "headwater_owner_probes_total", "answer=\"gone\"", "")               \
    X(ROUTE_SERVE, COUNTER, "headwater_routes_total", "decision=\"serve\"", "routes by answer")   \
    X(ROUTE_PULL, COUNTER, "headwater_routes_total", "decision=\"pull\"", "")                     \
    X(ROUTE_REDIRECT, COUNTER, "headwater_routes_total", "decision=\"redirect\"", "")             \
    X(ROUTE_WAIT, COUNTER, "headwater_routes_total", "decision=\"wait\"", "")                     \
    X(ROUTE_DENY, COUNTER, "headwater_routes_total", "decision=\"deny\"", "")                     \
    X(REQUEST_DENIED, COUNTER, "headwater_requests_denied_total", "",                             \
      "requests without the node token")                                                          \
    X(REQUEST_INVALID, COUNTER, "headwater_requests_invalid_total", "",                           \
      "requests whose message was refused")                                                       \
    X(REFUSED_TOTAL, COUNTER, "headwater_connections_refused_total", "reason=\"total\"",          \
      "connections closed at accept")                                                             \
    X(REFUSED_PER_IP, COUNTER, "headwater_connections_refused_total", "reason=\"per_ip\"", "")    \
    X(FENCED, COUNTER, "headwater_streams_fenced_total", "",                                      \
      "streams that a node was told to give up")                                                  \
    X(PROMOTED, COUNTER, "headwater_standbys_promoted_total", "",                                 \
      "streams given to a standby because their owner was gone")                                  \
    X(MOVED, COUNTER, "headwater_streams_moved_total", "",                                        \
      "streams granted to another node for the same encoder session")                             \
    X(TOLD_MOVED, COUNTER, "headwater_moves_repeated_total", "",                                  \
      "streams of heartbeat answers whose move the node had not followed yet")                    \
    X(RECOUNTS, COUNTER, "headwater_recounts_total", "",                                          \
      "times that another scheduler was asked to say again what a node owns")                     \
    X(LEAVING, COUNTER, "headwater_nodes_leaving_total", "", "nodes that began to drain")         \
    X(SECOND_INSTANCE, COUNTER, "headwater_node_clashes_total", "kind=\"second_instance\"",       \
      "live nodes that contradict another, or what can be")                                       \
    X(SHARED_ADDRESS, COUNTER, "headwater_node_clashes_total", "kind=\"shared_address\"", "")     \
    X(FALSE_LOAD, COUNTER, "headwater_node_clashes_total", "kind=\"load\"", "")                   \
    X(LEFT_OUT, COUNTER, "headwater_streams_left_out_total", "",                                  \
      "reported streams that limits.streams left no room for")                                    \
    X(SLEPT, COUNTER, "headwater_slept_total", "",                                                \
      "times that this process did not run for more than a second")                               \
    X(TRACE_FOUND, COUNTER, "headwater_traces_total", "answer=\"found\"", "sessions looked for")  \
    X(TRACE_LOST, COUNTER, "headwater_traces_total", "answer=\"lost\"", "")                       \
    X(SETTINGS, GAUGE, "headwater_settings", "",                                                  \
      "what operators told, and what they removed of late")                                       \
    X(STORE_UP, GAUGE, "headwater_store_up", "", "1 while the store answers")                     \
    X(REDIS_COMMANDS, COUNTER, "headwater_redis_commands_total", "",                              \
      "commands sent to Redis and to its sentinels")                                              \
    X(REDIS_MASTERS, COUNTER, "headwater_redis_masters_total", "",                                \
      "times that Sentinel named another master than before")                                     \
    X(NODES_STARTING, GAUGE, "headwater_nodes", "state=\"starting\"", "nodes known, by state")    \
    X(NODES_ACTIVE, GAUGE, "headwater_nodes", "state=\"active\"", "")                             \
    X(NODES_DRAINING, GAUGE, "headwater_nodes", "state=\"draining\"", "")                         \
    X(NODES_LAPSED, GAUGE, "headwater_nodes", "state=\"lapsed\"", "")                             \
    X(STREAMS_KNOWN, GAUGE, "headwater_streams_known", "", "streams that some node has")          \
    X(STREAMS_OWNED, GAUGE, "headwater_streams_owned", "", "streams with an owner")               \
    X(STANDBYS, GAUGE, "headwater_standbys", "", "publishers that nodes hold ready")              \
    X(EDGES_AT_LIMIT, GAUGE, "headwater_edges_at_limit", "", "edges that take no more viewers")   \
    X(EDGE_UTILISATION, RATIO, "headwater_edge_utilisation", "",                                  \
      "how much of what edges can do they do, by what is used most")                              \
    X(ORIGIN_UTILISATION, RATIO, "headwater_origin_utilisation", "",                              \
      "how much of what origins can do they do, by what is used most")                            \
    X(EDGE_HEADROOM, GAUGE, "headwater_autoscale_headroom_clients", "role=\"edge\"",              \
      "clients that fit, as they are now")                                                        \
    X(ORIGIN_HEADROOM, GAUGE, "headwater_autoscale_headroom_clients", "role=\"origin\"", "")      \
    X(EDGE_REPLICAS, GAUGE, "headwater_autoscale_replicas", "role=\"edge\"",                      \
      "nodes that take work")                                                                     \
    X(ORIGIN_REPLICAS, GAUGE, "headwater_autoscale_replicas", "role=\"origin\"", "")              \
    X(EDGE_WANTED, GAUGE, "headwater_autoscale_wanted", "role=\"edge\"",                          \
      "nodes that there should be, as /v1/autoscale says")                                        \
    X(ORIGIN_WANTED, GAUGE, "headwater_autoscale_wanted", "role=\"origin\"", "")                  \
    X(FULL_WANTED, GAUGE, "headwater_full_reports_wanted", "", "full reports still to come")      \
    X(FULL_ASKED, GAUGE, "headwater_full_reports_asked", "",                                      \
      "nodes that were asked for theirs and have not sent it whole")                              \
    X(EVENTS_OPEN, GAUGE, "headwater_events_connections", "", "nodes with an events connection")

enum stat {
#define STAT_ENUM(name, type, family, labels, help) STAT_##name,
    STATS_MAP(STAT_ENUM)
#undef STAT_ENUM
        STAT_N
};

void stats_register(void);
void stats_count(enum stat stat);
void stats_add(enum stat stat, int64_t n);
void stats_set(enum stat stat, int64_t value);
/* How long its turns took, as of now. */
void stats_show_loop(const struct loop *loop);

#endif
