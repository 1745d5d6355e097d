/* Sessions: glue from bytes on a socket to the stream core, one file a protocol. protocols.c is
 * their table; everything runs on the loop of the connection. */
#ifndef HW_NODE_SESSION_SESSION_H
#define HW_NODE_SESSION_SESSION_H

#include "node/node.h"

struct protocol {
    const char *name;
    /* Where it is accepted, as a configuration key for errors. */
    const char *listen_key;
    const char *(*listen_text)(const struct node_conf *conf);
    struct addr *(*bound)(struct node *node);
    /* Takes fd. arg is the struct node_loop. */
    void (*accept)(void *arg, int fd, const struct addr *peer);
    struct listener **(*listener)(struct node_loop *nl);
};
extern const struct protocol k_protocols[];
extern const unsigned k_n_protocols;

/* Lets a new connection in, or closes fd (said and counted) when the limit is reached. Any loop. */
bool connection_admit(struct node *node, int fd, const struct addr *peer, const char *area);

/* rtmp.c */
void rtmp_session_accept(void *arg, int fd, const struct addr *peer);
/* rtmp_reconnect.c: asks the publishers of a loop that drains to go on over a new connection: to
 * where they came from, or to a better place where the scheduler knows one. Loop thread. */
void rtmp_ask_reconnect(struct node_loop *nl, bool same_place);
/* A connection to the media HTTP port; arg is the struct node_loop. */
void http_session_accept(void *arg, int fd, const struct addr *peer);
/* What is at the media HTTP port; arg of the handlers is the struct node_loop. */
extern const struct http_route k_media_routes[];
/* http_flv.c: GET /{app}/{name}.flv */
void http_flv_handle(struct http_exchange *x, void *arg);

/* Ends every session of the loop, each in its protocol's way. Loop thread; at shutdown. */
void sessions_close_all(struct node_loop *nl);
/* What a kicked session says: an operator's doing, or the node's end. Static. */
const char *sessions_kick_reason(const struct node_loop *nl);

#endif
