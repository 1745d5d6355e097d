/* The admin port: health, metrics and the API of this node, on the control loop. */
#ifndef HW_NODE_CONTROL_ADMIN_H
#define HW_NODE_CONTROL_ADMIN_H

#include "common/net/http_server.h"
#include "common/net/listener.h"

struct node;
struct admin; /* opaque */

/* Listens on node->admin_addr, as reserved before. Control loop, or before it runs. NULL with
 * *error. */
struct admin *admin_create(struct node *node, struct listen_error *error);
/* Control loop is stopped. */
void admin_destroy(struct admin **admin);

/* Handlers for the media port too: arg = struct node, any loop. /healthz says that the program
 * lives, and asks nobody for it; /readyz says whether it takes new work (503 while draining).
 * Without a scheduler a node is ready all the same. */
void node_handle_healthz(struct http_exchange *x, void *arg);
void node_handle_readyz(struct http_exchange *x, void *arg);

#endif
