/* GET /api/v1/events: the node's events as server-sent events (WHATWG HTML, section 9.2). The last
 * ones are kept while somebody reads, and a while longer, for who comes back with Last-Event-ID.
 * Control loop. */
#ifndef HW_NODE_CONTROL_EVENT_FEED_H
#define HW_NODE_CONTROL_EVENT_FEED_H

#include "common/net/http_server.h"

#define EVENT_FEED_KEPT 1024u
#define EVENT_FEED_MAX_READERS 64u
#define EVENT_FEED_BEAT_MS 15000
#define EVENT_FEED_LISTENS_US 300000000 /* after the last reader has left */

struct node;
struct event_feed; /* opaque */

/* Returns NULL when out of memory. */
struct event_feed *event_feed_create(struct node *node);
/* After the server of its readers. */
void event_feed_destroy(struct event_feed **feed);
/* Answers x: endless, or with the reason why not. */
void event_feed_open(struct event_feed *feed, struct http_exchange *x);

#endif
