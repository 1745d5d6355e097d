/* Pulls: one per stream and node, from another node (Enhanced FLV over HTTP) or a foreign server
 * (RTMP). Everything on the stream's home loop. */
#ifndef HW_NODE_RELAY_PULL_H
#define HW_NODE_RELAY_PULL_H

#include "node/node.h"

/* stream_hooks.need_source: asks for a route (or a configured source) and pulls. arg = struct node.
 */
void pull_need_source(void *arg, struct stream *stream);
/* It is not known yet whether somebody has the stream: a route is asked for, or an upstream. Home
 * loop. */
bool pull_is_under_way(const struct stream *stream);
/* The scheduler says that the stream lives at another place or epoch now: look again at once. */
void pull_on_published(struct node *node, struct stream *stream, uint64_t epoch, const char *owner);
/* A node is about to leave the cluster: who pulls from it finds another upstream first. Home loop.
 */
void pull_on_leaving(struct node *node, struct stream *stream, const char *leaving_node);
/* stream_hooks.changed: a pull of a stream that ended has no more to do. Home loop. */
void pull_stream_changed(struct stream *stream);
/* What was told (relays.h) has changed: pulls of the loop see whether that matters to them. */
void pull_items_changed(struct node_loop *nl);
/* The stream comes from a foreign server, though nobody may watch. Home loop. */
bool pull_is_kept(struct stream *stream);
/* Pulls the stream from there while somebody wants it: what a hook answered. E_INVAL: such an URL
 * cannot be pulled from; E_NOMEM. An operator's pull of the stream comes first. Any thread. */
enum err pull_from_url(struct node *node, const struct stream_name *name, const char *url);
/* Stops all pulls of a loop; at shutdown. */
void pull_stop_all(struct node_loop *nl);

#endif
