/* /api/v1/nodes/{id}/api/v1/...: the API of a node, asked through the scheduler by people who reach
 * only that. The call goes on with the node token and the name and scope of who asks, so that the
 * node decides as ever, and logs who it was. Loop thread. */
#ifndef HW_SCHEDULER_AT_NODE_H
#define HW_SCHEDULER_AT_NODE_H

#include "common/base/list.h"
#include "common/net/http_server.h"

struct at_node_calls {
    struct list calls; /* struct at_node_call, owned */
    unsigned n;
};

void at_node_init(struct at_node_calls *calls);
/* After the HTTP server is gone. */
void at_node_fini(struct at_node_calls *calls);
/* Handler; arg is the scheduler. */
void at_node_pass(struct http_exchange *x, void *arg);

#endif
