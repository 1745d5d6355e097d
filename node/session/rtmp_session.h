/* The RTMP session as rtmp.c, rtmp_play.c and rtmp_publish.c share it. */
#ifndef HW_NODE_SESSION_RTMP_SESSION_H
#define HW_NODE_SESSION_RTMP_SESSION_H

#include <assert.h>

#include "node/node.h"
#include "node/stream/viewer.h"
#include "proto/rtmp/rtmp.h"

enum rtmp_session_state {
    RTMP_SESSION_CONNECTING, /* handshake and connect; limits.handshake_ms */
    RTMP_SESSION_IDLE,       /* connected; limits.idle_ms */
    RTMP_SESSION_ASKING,     /* publish is being decided */
    RTMP_SESSION_PUBLISHING,
    RTMP_SESSION_JOINING, /* play is being decided: parked */
    RTMP_SESSION_PLAYING
};

struct rtmp_publish;

/* Bytes read while a request is being decided. */
struct rtmp_held {
    struct rtmp_session *session;
    struct buf_writer bytes;
    struct timer timer; /* armed when they are due: a play was accepted */
};

struct rtmp_session {
    struct session_info info;
    struct node_loop *nl;
    struct conn *conn;
    struct rtmp_server *proto;
    enum rtmp_session_state state;
    unsigned n_refused;       /* requests */
    uint16_t busy;            /* depth of our own calls on the stack: then closing only marks */
    bool closed;              /* to be freed when not busy */
    bool moving;              /* to another loop, when not busy */
    bool said;                /* why it closes was logged already */
    uint8_t untaken;          /* enum media_codec: the player cannot take it, so it ends */
    bool flush_at_close;      /* what is queued is worth sending */
    struct rtmp_held *held;   /* owned; NULL if none */
    char *stream_name;        /* owned, for info; NULL while none is asked for */
    union {                   /* by state: never both */
        struct timer timer;   /* CONNECTING, IDLE: how long yet */
        struct viewer viewer; /* JOINING, PLAYING */
    };
    struct rtmp_publish *publish; /* NULL unless ASKING or PUBLISHING */
};
_Static_assert(sizeof(struct rtmp_session) <= 280, "every RTMP viewer has one");

extern const struct conn_ops k_rtmp_conn_ops;

void rtmp_session_set_state(struct rtmp_session *s, enum rtmp_session_state state);
/* Logs once; frees s now, or when the calls on the stack have returned. */
void rtmp_session_close(struct rtmp_session *s, const char *why);
void rtmp_session_protocol_error(struct rtmp_session *s, enum err e, const char *detail);
/* The loop's scratch for answers, empty, and what was written there to the client. */
struct buf_writer *rtmp_session_out(struct rtmp_session *s);
enum err rtmp_session_send(struct rtmp_session *s, struct buf_writer *out);
/* The pending publish or play. */
void rtmp_session_accept_request(struct rtmp_session *s);
void rtmp_session_refuse(struct rtmp_session *s, const char *code, const char *text);
/* The accepted publish or play ends from our side; closes. */
void rtmp_session_end(struct rtmp_session *s, const char *code, const char *text);
/* Goes on with bytes held back. The session may be gone after. */
void rtmp_session_resume(struct rtmp_session *s);
/* The session that info is part of; NULL when it is one of another protocol. */
struct rtmp_session *rtmp_session_of(struct session_info *info);
/* Frees s, which no loop knows any more. */
void rtmp_session_discard(struct rtmp_session *s);

#endif
