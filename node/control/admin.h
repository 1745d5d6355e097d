/* The admin port: health, metrics and the API of this node, on the control loop. */
#ifndef HW_NODE_CONTROL_ADMIN_H
#define HW_NODE_CONTROL_ADMIN_H

#include "common/net/http_server.h"
#include "common/net/listener.h"

struct node;
struct admin; /* opaque */

/* Listens on node->admin_addr, as reserved before, or on the n_fds sockets (taken) that another
 * process listened on. Control loop, or before it runs. NULL with *error. */
struct admin *admin_create(struct node *node, const int *fds, unsigned n_fds,
                           struct listen_error *error);
/* Control loop is stopped. */
void admin_destroy(struct admin **admin);
/* The tokens are read again; what cannot be read leaves what was. Control loop. */
void admin_reload(struct admin *admin);
/* For a process that replaces this one; NULL after admin_stop_listening(). */
const struct listener *admin_listener(const struct admin *admin);
/* Connections that are there are served to their end. */
void admin_stop_listening(struct admin *admin);

/* Handlers for the media port too: arg = struct node, any loop. /healthz says that the program
 * lives, and asks nobody for it; /readyz says whether it takes new work: 503 while it drains, and
 * while the schedulers refuse it. Without a scheduler a node is ready all the same. */
void node_handle_healthz(struct http_exchange *x, void *arg);
void node_handle_readyz(struct http_exchange *x, void *arg);

#endif
