/* Sessions: glue from bytes on a socket to the stream core, one file a protocol. protocols.c is
 * their table; everything runs on the loop of the connection. */
#ifndef HW_NODE_SESSION_SESSION_H
#define HW_NODE_SESSION_SESSION_H

#include "node/node.h"
#include "node/stream/trace_id.h"

struct protocol {
    const char *name;
    const char *listen_key;                                   /* for errors */
    const char *(*listen_text)(const struct node_conf *conf); /* "" = off */
    /* Takes fd. arg is the struct node_loop. */
    void (*accept)(void *arg, int fd, const struct addr *peer);
};
extern const struct protocol k_protocols[N_PROTOCOLS];

/* Lets a new connection in, or closes fd (said and counted) when the limit is reached. Any loop. */
bool connection_admit(struct node *node, int fd, const struct addr *peer, const char *area);

struct tls_server;

/* rtmp.c: takes fd. tls NULL = plain. */
void rtmp_session_accept(struct node_loop *nl, int fd, const struct addr *peer,
                         struct tls_server *tls);
/* rtmp_reconnect.c: asks the publishers and players of a loop that drains to go on over a new
 * connection: to where they came from, or to a better place where the scheduler knows one. Loop
 * thread. */
void rtmp_ask_reconnect(struct node_loop *nl, bool same_place);
/* A connection to the media HTTP port; arg is the struct node_loop. */
void http_session_accept(void *arg, int fd, const struct addr *peer);
/* What is at the media HTTP port; arg of the handlers is the struct node_loop. */
extern const struct http_route k_media_routes[];
/* Before they are called: bans, by the address of the client. arg is the struct node. */
bool http_session_admit(struct http_exchange *x, const struct http_route *route, void *arg);
/* http_ask.c: GET /{app}/{name}.flv and its like */
void http_play_handle(struct http_exchange *x, void *arg);

/* hls_ask.c: HLS of a stream. False: it is not; nothing was done. */
bool http_hls_handle(struct http_exchange *x, struct node_loop *nl);

/* An event of this session, for whoever listens: reason is what its end is put down to, borrowed;
 * NULL = it begins. On its loop. */
void session_tell(struct node *node, enum event_id id, const struct session_info *info,
                  const char *reason);
/* A line in the access log. session_tell() does it at the end of a play or a publish of a client;
 * this is for the others: relays, and who left before anything began. On the session's loop. */
void session_log(struct node *node, const struct session_info *info, const char *reason);
/* The same for who was refused, what for: "play" or "publish". */
void session_log_refused(struct node *node, const struct session_info *info, const char *kind,
                         const char *reason);
/* Ends every session of the loop, each in its protocol's way. Loop thread; at shutdown. */
void sessions_close_all(struct node_loop *nl);
/* Ends one session, for a reason (static) that is told to its peer. info may be gone after this. */
void session_kick_for(struct session_info *info, struct node_loop *nl, const char *why);
/* What a kicked session says: an operator's doing, or the node's end. Static. */
const char *sessions_kick_reason(const struct node_loop *nl);

#endif
