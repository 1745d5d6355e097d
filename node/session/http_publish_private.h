/* What the files of publishing over HTTP share: http_publish_ask.c (requests), http_publish.c. */
#ifndef HW_NODE_SESSION_HTTP_PUBLISH_PRIVATE_H
#define HW_NODE_SESSION_HTTP_PUBLISH_PRIVATE_H

#include "node/access/access.h"
#include "node/node.h"
#include "node/relay/push_wire.h"
#include "node/session/http_publish.h"
#include "node/session/publisher.h"
#include "proto/flv/flv.h"

/* A session. */
struct http_publish {
    struct session_info info;
    struct node_loop *nl;
    struct conn *conn;
    unsigned busy; /* depth of our own calls on the stack: then closing only marks */
    bool closed;   /* to be freed when not busy */
    bool moving;   /* to another loop, when not busy */
    bool said;     /* why it closes was logged already */
    bool answered; /* the last answer is queued: it is worth sending */
    bool expects_continue;
    bool told_tracks;
    struct http_body body;
    struct buf_writer read; /* of the body, with the head */
    struct flv_decoder *flv;
    struct ts_unwrap unwrap;
    struct publisher publisher;
    struct push_request from; /* the edge that forwards it; edge "" = a person */
    struct clock_peer *clock; /* the edge's */
    struct timer beat;        /* to the edge, and a look at what came from it */
    uint64_t heard_bytes;     /* so much had come at heard_us */
    int64_t heard_us;
    char *stream; /* owned: its name, for info */
};

/* from: the edge that forwards it; edge "" = a person. NULL when out of memory. */
struct http_publish *http_publish_create(struct node_loop *nl, const struct stream_name *name,
                                         const struct push_request *from);
/* One without a connection. */
void http_publish_discard(void *session);
/* Takes s, which goes on with the connection of x. access NULL: an edge's stream, that was asked
 * about there; else it is changed. x is gone after this. */
void http_publish_take(struct http_publish *s, struct http_exchange *x,
                       const struct stream_name *name, struct access_request *access);

#endif
