/* Snapshots: the newest key frame of a stream as a JPEG. A few at a time, kept for a second, and
 * asked for once by all who ask meanwhile. Control loop. */
#ifndef HW_NODE_RECORD_SNAPSHOT_H
#define HW_NODE_RECORD_SNAPSHOT_H

#include "common/net/http_server.h"
#include "node/stream/stream.h"

struct node;
struct snapshots; /* opaque */

/* NULL when out of memory. */
struct snapshots *snapshots_create(struct node *node);
/* Loops are stopped. Ends what is under way. NULL is fine. */
void snapshots_stop(struct snapshots *snapshots);
/* After that, when the control loop is no more. */
void snapshots_destroy(struct snapshots **snapshots);
/* Answers x, now or later. */
void snapshots_handle(struct snapshots *snapshots, struct http_exchange *x, const char *stream);

#endif
