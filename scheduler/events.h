/* The events connections: one long-lived answer an instance of a node, one line an event, a ping
 * every 5 s. What goes to all of them goes in slices, so that a thousand nodes do not hold the loop
 * up. Loop thread. */
#ifndef HW_SCHEDULER_EVENTS_H
#define HW_SCHEDULER_EVENTS_H

#include "common/base/map.h"
#include "common/net/http_server.h"
#include "proto/cluster/cluster.h"

/* The connection closed, and no newer one took its place. instance 0: it did not say. */
typedef void events_lost(void *arg, const char *node, uint64_t instance);

struct events {
    struct map by_node; /* struct events_conn, owned; by "id/instance" */
    struct list conns;  /* the same, and the places that casts have reached */
    struct list casts;  /* struct events_cast, owned: lines on their way to all */
    struct timer ping, cast;
    events_lost *on_lost;
    void *arg;
};

void events_begin(struct events *events, struct loop *loop, events_lost *on_lost, void *arg);
/* After the HTTP server is gone, or before: ends what is open. */
void events_end(struct events *events);
/* Takes the exchange. An instance has one connection: an older one is ended. */
void events_open(struct events *events, struct http_exchange *x, const char *node,
                 uint64_t instance);
/* False: the node has no connection here. */
bool events_send(struct events *events, const char *node, uint64_t instance,
                 const struct cluster_event *event);
/* To everybody, each in the order in which this was called; what events_send() sends meanwhile may
 * overtake it. */
void events_broadcast(struct events *events, const struct cluster_event *event);
size_t events_count(const struct events *events);
bool events_has(const struct events *events, const char *node, uint64_t instance);

#endif
