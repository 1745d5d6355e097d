/* The clocks of the nodes that streams come from: each is asked (GET /v1/clock on its internal
 * HTTP) four times at first, then every ten seconds, on the control loop. The doors are for any
 * thread. */
#ifndef HW_NODE_CLUSTER_CLOCKS_H
#define HW_NODE_CLUSTER_CLOCKS_H

#include "common/net/http_server.h"
#include "node/stream/stream.h"

#define CLOCKS_MAX_PEERS 64 /* nodes asked at a time */

struct node;
struct flv_hw;
struct clocks;     /* opaque */
struct clock_peer; /* opaque */

/* Before the loops run. NULL: out of memory. */
struct clocks *clocks_create(struct node *node);
/* Loops are stopped, nobody holds a peer. Takes *clocks; a NULL *clocks is fine. */
void clocks_destroy(struct clocks **clocks);

/* Streams come from the node behind this URL ("http://host:port" and any path): it is asked while
 * somebody holds it. NULL, which all of these take: there are too many, no http:// URL (or NULL),
 * no memory, or clocks is NULL. Pair with clocks_drop(). Any thread. */
struct clock_peer *clocks_hold(struct clocks *clocks, const char *url);
/* Takes *peer. Any thread. */
void clocks_drop(struct clock_peer **peer);
/* Our clock against the one of hw->ingest_us: what the peer said about its own, and how far ours is
 * from that. Any thread. */
struct stream_clock clocks_ours(struct clock_peer *peer, int64_t now_us, const struct flv_hw *hw);

/* GET /v1/clock on the media port; arg is the struct node_loop. Any loop. */
void clocks_handle(struct http_exchange *x, void *arg);

#endif
