/* The events connections: one long-lived answer a node, one line an event, a ping every 5 s. Loop
 * thread. */
#ifndef HW_SCHEDULER_EVENTS_H
#define HW_SCHEDULER_EVENTS_H

#include "common/base/map.h"
#include "common/net/http_server.h"
#include "proto/cluster/cluster.h"

struct events {
    struct map by_node; /* struct events_conn, owned */
    struct timer ping;
    /* The node's connection closed, and no newer one took its place. */
    void (*on_lost)(void *arg, const char *node);
    void *arg;
};

void events_init(struct events *events, struct loop *loop,
                 void (*on_lost)(void *arg, const char *node), void *arg);
/* After the HTTP server is gone, or before: ends what is open. */
void events_fini(struct events *events);
/* Takes the exchange. A node has one connection: an older one is ended. */
void events_open(struct events *events, struct http_exchange *x, const char *node);
/* Nothing happens when the node has no connection here. */
void events_send(struct events *events, const char *node, const struct cluster_event *event);
void events_broadcast(struct events *events, const struct cluster_event *event);
size_t events_count(const struct events *events);
bool events_has(const struct events *events, const char *node);

#endif
