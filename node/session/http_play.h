/* Private to the sessions that play over HTTP: what their files share.
 *   http_play.c    a session's life
 *   http_forms.c   the forms in which a stream can be played, a table
 *   http_ask.c     requests, up to the session
 *   http_relay.c   what only relays (nodes that pull) have
 *   http_ws.c      what only WebSockets have */
#ifndef HW_NODE_SESSION_HTTP_PLAY_H
#define HW_NODE_SESSION_HTTP_PLAY_H

#include "common/media/name.h"
#include "node/session/selection.h"
#include "node/session/session.h"
#include "node/stream/hops.h"
#include "node/stream/viewer.h"
#include "proto/ws/ws.h"

/* One way to play a stream over HTTP. */
struct play_form {
    const char *protocol; /* of sessions and metrics */
    const char *suffix;   /* of the path */
    const char *asked;    /* what the scheduler calls it, when it is asked for a better place */
    char letter;          /* session ids begin with it */
    bool websocket;
    enum feed_format_id format;
    const char *content_type;
    /* What comes before the first unit of the format; NULL = nothing. */
    void (*write_head)(struct buf_writer *out, bool has_audio, bool has_video);
    struct metric *n_sessions, *closed_bytes;
};
extern const struct play_form k_relay_form;
/* By the end of the path; *name_bytes gets the length of what is before it. NULL: none. */
const struct play_form *play_form_of(const char *path, bool websocket, size_t *name_bytes);

struct play_request {
    const struct play_form *form;
    struct stream_name name;
    struct play_selection selection;
    char session[SESSION_ID_SIZE]; /* the id that it is to have; "" = any */
    struct trace_id trace;         /* zeros = not told */
    const char *hops;              /* lent by the request; NULL = a person */
    struct pass pass;              /* until a session has it; a relay's is empty */
    uint64_t have_run, have_gop;
    bool has_segment; /* the two below are said */
    uint64_t have_msn, have_discontinuities;
    bool knows_waiting;          /* a relay that understands that it is told to wait */
    char accept[WS_ACCEPT_SIZE]; /* of a WebSocket: the answer to its key */
    const char *subprotocol;     /* likewise, or NULL; static */
};

struct play_session {
    struct session_info info;
    struct node_loop *nl;
    const struct play_form *form;
    struct conn *conn;
    struct viewer viewer;
    union {                       /* by form */
        struct play_relay *relay; /* k_relay_form: another node */
        struct play_ws *ws;       /* a WebSocket */
    };
    bool busy, closed;
    bool flush_at_close; /* what is queued is to reach the player */
    char words[];        /* for info */
};

static inline bool play_is_relay(const struct play_session *s)
{
    return s->form == &k_relay_form;
}

static inline bool play_is_ws(const struct play_session *s)
{
    return s->form->websocket;
}

/* --- http_play.c --- */

/* Makes a session of somebody who was admitted, and takes the pass. NULL: answered. */
struct play_session *play_session_create(struct http_exchange *x, struct node_loop *nl,
                                         struct play_request *r);
/* The connection has been taken. */
void play_session_join(struct play_session *s, const struct play_request *r);
void play_session_close(struct play_session *s, const char *why);

/* --- http_relay.c --- */

/* Token, hop list, where to resume. False: answered. */
bool play_relay_check(struct http_exchange *x, struct node *node, struct play_request *r);
/* E_STALE: the relay would be a loop; E_NOMEM. */
enum err play_relay_begin(struct play_session *s, const struct play_request *r);
void play_relay_drop(struct play_session *s);
void play_relay_refuse_loop(struct http_exchange *x, const struct node *node, const char *hops);
/* The stream may be a while in coming, and this node is not to be taken for a dead one. */
enum err play_relay_say_waiting(struct play_session *s);
/* The stream is here: header fields of the answer, what the relay gets and by which way it came. */
void play_relay_start(struct play_session *s, struct buf_writer *head);
/* Without it a relay could not tell the end of the stream from the end of this node. */
void play_relay_say_end(struct play_session *s);

/* --- http_ws.c --- */

/* False: answered. */
bool play_ws_check(struct http_exchange *x, const struct node *node, struct play_request *r);
enum err play_ws_begin(struct play_session *s, const struct play_request *r);
void play_ws_drop(struct play_session *s);
void play_ws_write_fields(const struct play_session *s, struct buf_writer *head);
/* Bytes of the player. False: the session was closed. */
bool play_ws_feed(struct play_session *s, struct buf_view bytes);
/* Says goodbye between two units. */
void play_ws_say_end(struct play_session *s, unsigned close_code, const char *why);

#endif
