/* What the files of the node as a whole share: node.c (start, end), node_change.c. */
#ifndef HW_NODE_NODE_PRIVATE_H
#define HW_NODE_NODE_PRIVATE_H

#include "common/net/tls_setup.h"
#include "node/node.h"

/* What the configuration says to its parts. */
void node_make_stream_conf(const struct node_conf *conf, struct stream_conf *out);
struct tls_setup_conf node_tls_conf(const struct node_conf *conf);
/* By configuration and descriptors. */
uint64_t node_max_connections(const struct node *node);

#endif
