/* A target between target.c (when) and target_link.c (one connection). */
#ifndef HW_NODE_RELAY_TARGET_PRIVATE_H
#define HW_NODE_RELAY_TARGET_PRIVATE_H

#include "node/relay/dial.h"
#include "node/relay/order.h"
#include "node/relay/relays.h"
#include "node/relay/target.h"
#include "node/stream/viewer.h"
#include "proto/rtmp/auth.h"
#include "proto/rtmp/rtmp.h"

enum target_link_state {
    TARGET_CONNECTING, /* up to the end of TLS */
    TARGET_ASKING,     /* connect, createStream, publish */
    TARGET_JOINING,    /* accepted; the stream's next entry point is awaited */
    TARGET_SENDING
};

struct target;
struct target_link {
    struct target *target; /* borrowed; NULL once it was closed */
    struct node_loop *nl;
    struct push_item *item; /* borrowed: the target's push has it */
    struct stream_name name;
    enum target_link_state state;
    unsigned busy; /* our own calls on the stack: freeing waits */
    bool doomed;   /* to be freed when they have returned */
    struct dial dial;
    struct conn *conn;
    struct rtmp_client *rtmp;
    struct rtmp_abilities can; /* of the server */
    struct viewer viewer;
    struct session_info info;
    struct timer timer; /* the answer; later a failure that is found out where nobody can be told */
    enum err failed;
    enum media_codec untaken; /* what the server does not take */
    char why[192];            /* what the server, or TLS, said */
    char url[RELAY_URL_SIZE];
    char auth[RTMP_AUTH_SIZE]; /* what a server that asks for a password wants to see; "" = nothing
                                */
    unsigned n_auths;
    bool dials_again; /* to say that, since it closes this connection */
};

struct target {
    struct list node; /* in node_loop.targets */
    struct node_loop *nl;
    struct stream *stream;   /* owned reference */
    struct relay_push *push; /* likewise */
    struct relay_run run;
    struct relay_order order;
    struct target_link *link; /* owned; NULL between two tries */
    struct timer retry;
    unsigned n_failed; /* in a row: said once */
    bool is_told;      /* that it is sent to */
};

/* NULL when out of memory; other failures are told by target_link_over(), later. */
struct target_link *target_link_open(struct target *target, const char *url);
/* Takes *link; NULL is fine. The server hears that it is over. */
void target_link_close(struct target_link **link);

/* target.c, for links: the media flows; it failed or ended, with link->why, and target.c closes it.
 */
void target_link_sends(struct target_link *link);
void target_link_over(struct target_link *link, enum err e);

#endif
