/* Sending HTTP viewers elsewhere: an origin with cluster.redirect on asks the scheduler for the
 * best edge instead of pulling and serving itself. */
#ifndef HW_NODE_SESSION_REDIRECT_H
#define HW_NODE_SESSION_REDIRECT_H

#include "common/media/name.h"
#include "node/node.h"

/* True: the exchange is answered, now or later (302, or by serve() when there is no better place).
 * False: serve it here. Loop thread. */
bool redirect_viewer(struct http_exchange *x, struct node_loop *nl, const struct stream_name *name,
                     void (*serve)(struct http_exchange *x, void *arg));

#endif
