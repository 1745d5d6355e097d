/* Pulls: one per stream and node, from another node (Enhanced FLV over HTTP) or a foreign server
 * (RTMP). Everything on the stream's home loop. */
#ifndef HW_NODE_RELAY_PULL_H
#define HW_NODE_RELAY_PULL_H

#include "node/node.h"

/* stream_hooks.need_source: asks for a route (or a configured source) and pulls. arg = struct node.
 */
void pull_need_source(void *arg, struct stream *stream);
/* The scheduler says that the stream lives at another place or epoch now: look again at once. */
void pull_on_published(struct node *node, struct stream *stream, uint64_t epoch, const char *owner);
/* A node is about to leave the cluster: who pulls from it finds another upstream first. Home loop.
 */
void pull_on_leaving(struct node *node, struct stream *stream, const char *leaving_node);
/* stream_hooks.changed: a pull of a stream that ended has no more to do. Home loop. */
void pull_stream_changed(struct stream *stream);
/* Stops all pulls of a loop; at shutdown. */
void pull_stop_all(struct node_loop *nl);

#endif
