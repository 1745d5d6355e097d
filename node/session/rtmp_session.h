/* The RTMP session as rtmp.c, rtmp_answer.c, rtmp_play.c and rtmp_publish.c share it. */
#ifndef HW_NODE_SESSION_RTMP_SESSION_H
#define HW_NODE_SESSION_RTMP_SESSION_H

#include <assert.h>

#include "node/access/access.h"
#include "node/node.h"
#include "node/session/selection.h"
#include "node/stream/viewer.h"
#include "proto/rtmp/rtmp.h"

enum rtmp_session_state {
    RTMP_SESSION_CONNECTING, /* handshake and connect; limits.handshake_ms */
    RTMP_SESSION_IDLE,       /* connected; limits.idle_ms */
    RTMP_SESSION_ASKING,     /* publish is being decided */
    RTMP_SESSION_PUBLISHING,
    RTMP_SESSION_CHECKING, /* may it play? */
    RTMP_SESSION_JOINING,  /* play is being decided: parked */
    RTMP_SESSION_PLAYING
};

struct rtmp_publish;

/* Bytes read while a request is being decided. */
struct rtmp_held {
    struct rtmp_session *session;
    struct buf_writer bytes;
    struct timer timer; /* armed when they are due: a play was accepted */
};

/* A player while it is being checked. */
struct rtmp_check {
    struct access_pending *pending;
    struct play_selection selection;
};

struct rtmp_session {
    struct session_info info; /* its stream is owned, unless it is "" */
    struct node_loop *nl;
    struct conn *conn;
    struct rtmp_server *proto;
    enum rtmp_session_state state : 3;
    bool closed : 1;             /* to be freed when not busy */
    bool moving : 1;             /* to another loop, when not busy */
    bool is_logged : 1;          /* it has a line in the access log */
    bool said : 1;               /* why it closes was logged already */
    bool flush_at_close : 1;     /* what is queued is worth sending */
    uint8_t untaken;             /* enum media_codec: the player cannot take it, so it ends */
    uint16_t n_refused;          /* requests */
    uint16_t busy;               /* depth of our own calls on the stack: then closing only marks */
    struct rtmp_held *held;      /* owned; NULL if none */
    union {                      /* by state: never both */
        struct timer timer;      /* CONNECTING, IDLE: how long yet */
        struct rtmp_check check; /* CHECKING */
        struct viewer viewer;    /* JOINING, PLAYING */
    };
    struct rtmp_publish *publish; /* NULL unless ASKING or PUBLISHING */
};
_Static_assert(sizeof(struct rtmp_session) <= 280, "every RTMP viewer has one");

extern const struct conn_ops k_rtmp_conn_ops;

/* Its state has s->viewer. Else it has a timer, a check, or neither. */
static inline bool rtmp_session_has_viewer(const struct rtmp_session *s)
{
    return s->state == RTMP_SESSION_JOINING || s->state == RTMP_SESSION_PLAYING;
}

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
/* The pending publish or play is not waited for any more; closes. */
void rtmp_session_turn_away(struct rtmp_session *s, const char *why);
/* The pending publish or play is to be had at url. */
void rtmp_session_send_away(struct rtmp_session *s, const char *url);
/* What the client asks for, but for the name; lent until the next call on s->proto. */
void rtmp_session_describe(const struct rtmp_session *s, enum access_action action,
                           const char *query, struct access_request *out);
/* What is asked for, and by whom, for info. False: the session was closed. */
bool rtmp_session_take_words(struct rtmp_session *s, const struct access_request *request);
/* Nothing is asked for any more. */
void rtmp_session_drop_words(struct rtmp_session *s);
/* Another name than it asked for. False: the session was closed. */
bool rtmp_session_set_name(struct rtmp_session *s, const struct stream_name *name);
/* The accepted publish or play ends from our side; closes. */
void rtmp_session_end(struct rtmp_session *s, const char *code, const char *text);
/* Goes on with bytes held back. The session may be gone after. */
void rtmp_session_resume(struct rtmp_session *s);
/* EVENT_RTMP_CONNECT. */
void rtmp_session_tell_connect(struct rtmp_session *s, const struct rtmp_event *ev);
/* The session that info is part of; NULL when it is one of another protocol. */
struct rtmp_session *rtmp_session_of(struct session_info *info);
/* Frees s, which no loop knows any more. */
void rtmp_session_discard(struct rtmp_session *s);

#endif
