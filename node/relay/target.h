/* Targets: streams that are published here (or pulled though nobody watches), sent on to foreign
 * servers over RTMP. One a stream and push that was told. A target is an ordinary viewer of the
 * stream over a connection that goes the other way, so one that is slow delays nobody. Everything
 * on the stream's home loop. */
#ifndef HW_NODE_RELAY_TARGET_H
#define HW_NODE_RELAY_TARGET_H

#include "node/node.h"

/* stream_hooks.changed: targets begin when the stream has a source of its own here. */
void targets_stream_changed(struct node *node, struct stream *stream);
/* What was told (relays.h) has changed. Loop thread. */
void targets_items_changed(struct node_loop *nl);
/* At shutdown, loop thread. */
void targets_stop_all(struct node_loop *nl);

#endif
