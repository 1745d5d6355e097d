/* Sending HTTP viewers elsewhere: the scheduler is asked where. An origin with cluster.redirect on
 * does so instead of pulling and serving itself; a node that is full, or drains, with each viewer
 * that comes. */
#ifndef HW_NODE_SESSION_REDIRECT_H
#define HW_NODE_SESSION_REDIRECT_H

#include "common/media/name.h"
#include "node/node.h"

/* True: the exchange is answered, now or later (302, or by serve() when there is no better place).
 * False: serve it here. Loop thread. */
bool redirect_viewer(struct http_exchange *x, struct node_loop *nl, const struct stream_name *name,
                     const char *protocol,
                     void (*serve)(struct http_exchange *x, void *arg,
                                   const struct stream_name *name));
/* Likewise, for file (static) in the folder of a stream that is played here already, when this node
 * drains. */
bool redirect_drained(struct http_exchange *x, struct node_loop *nl, const struct stream_name *name,
                      const char *file,
                      void (*serve)(struct http_exchange *x, void *arg,
                                    const struct stream_name *name));
#define REDIRECT_MAX_BYTES 8192
/* Ends the exchange: 302 to what location says, with the query of the request behind it; 414 when
 * that is too long, 503 when out of memory. Takes what location holds. True: it was sent there. */
bool redirect_to(struct http_exchange *x, struct buf_writer *location);
/* Not here: 302 to another node, else 503 with Retry-After and the reason. Loop thread. */
void redirect_away(struct http_exchange *x, struct node_loop *nl, const struct stream_name *name,
                   const char *protocol, const char *why);

#endif
