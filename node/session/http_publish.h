/* Publishing over HTTP: POST or PUT /{app}/{name}.flv with FLV as body, by people and by edges that
 * forward their encoders (node/relay/push_wire.h says how). */
#ifndef HW_NODE_SESSION_HTTP_PUBLISH_H
#define HW_NODE_SESSION_HTTP_PUBLISH_H

#include "common/net/http_server.h"

/* Route handler of the media HTTP port (HTTP_ROUTE_UPLOAD); arg is the struct node_loop. */
void http_publish_handle(struct http_exchange *x, void *arg);

#endif
