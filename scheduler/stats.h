/* Counters and gauges of the scheduler. */
#ifndef HW_SCHEDULER_STATS_H
#define HW_SCHEDULER_STATS_H

#include "common/base/metrics.h"

#define STATS_MAP(X)                                                                              \
    X(HEARTBEAT_FULL, COUNTER, "headwater_heartbeats_total", "kind=\"full\"", "reports of nodes") \
    X(HEARTBEAT_DELTA, COUNTER, "headwater_heartbeats_total", "kind=\"delta\"", "")               \
    X(HEARTBEAT_REFUSED, COUNTER, "headwater_heartbeats_total", "kind=\"refused\"", "")           \
    X(PUBLISH_GRANTED, COUNTER, "headwater_publishes_total", "decision=\"granted\"",              \
      "publish requests by answer")                                                               \
    X(PUBLISH_FORWARD, COUNTER, "headwater_publishes_total", "decision=\"forward\"", "")          \
    X(PUBLISH_REFUSED, COUNTER, "headwater_publishes_total", "decision=\"refused\"", "")          \
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
    X(FENCED, COUNTER, "headwater_streams_fenced_total", "",                                      \
      "streams that a node was told to give up")                                                  \
    X(STORE_UP, GAUGE, "headwater_store_up", "", "1 while the store answers")                     \
    X(NODES_STARTING, GAUGE, "headwater_nodes", "state=\"starting\"", "nodes known, by state")    \
    X(NODES_ACTIVE, GAUGE, "headwater_nodes", "state=\"active\"", "")                             \
    X(NODES_DRAINING, GAUGE, "headwater_nodes", "state=\"draining\"", "")                         \
    X(NODES_LAPSED, GAUGE, "headwater_nodes", "state=\"lapsed\"", "")                             \
    X(STREAMS_KNOWN, GAUGE, "headwater_streams_known", "", "streams that some node has")          \
    X(STREAMS_OWNED, GAUGE, "headwater_streams_owned", "", "streams with an owner")               \
    X(EVENTS_OPEN, GAUGE, "headwater_events_connections", "", "nodes with an events connection")

enum stat {
#define STAT_ENUM(name, type, family, labels, help) STAT_##name,
    STATS_MAP(STAT_ENUM)
#undef STAT_ENUM
        STAT_N
};

void stats_register(void);
void stats_count(enum stat stat);
void stats_set(enum stat stat, int64_t value);

#endif
