/* What the console asks beside the rest of the API: whose page it is, and the last hour in samples.
 * Control loop. */
#ifndef HW_NODE_CONTROL_STATUS_H
#define HW_NODE_CONTROL_STATUS_H

#include "common/net/http_server.h"

struct node;
struct status; /* opaque */

/* Returns NULL when out of memory. Destroyed once no walk over the loops is under way. */
struct status *status_create(struct node *node);
void status_destroy(struct status **status);

/* Handlers; arg is the admin port. */
void status_get_history(struct http_exchange *x, void *arg);
void status_get_door(struct http_exchange *x, void *arg);
void status_get_me(struct http_exchange *x, void *arg);

#endif
