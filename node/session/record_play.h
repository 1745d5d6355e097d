/* Finished records over HTTP: GET /records/{app}/{name}/{file}. */
#ifndef HW_NODE_SESSION_RECORD_PLAY_H
#define HW_NODE_SESSION_RECORD_PLAY_H

#include "common/net/http_server.h"

/* arg is the struct node_loop. */
void http_record_handle(struct http_exchange *x, void *arg);

#endif
