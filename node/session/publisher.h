/* What publishing has in common, whatever the protocol: the stream is found or made, the connection
 * moves to its home loop, the duplicate policy and the scheduler are asked; then the session is the
 * stream's source, or stands by until the source fails, and at an edge its stream is sent on to an
 * origin. A protocol parses, and says in its own words what comes of it.
 *
 *   begin -> ASKED -> (move) -> DECIDING -> LIVE
 *            |                  |    ^  \-> STANDBY -its turn-> DECIDING
 *            over: on_over(), with the reason
 *
 * Everything on the loop of the connection, which is the stream's home once it was moved. */
#ifndef HW_NODE_SESSION_PUBLISHER_H
#define HW_NODE_SESSION_PUBLISHER_H

#include "node/access/access.h"
#include "node/node.h"
#include "proto/cluster/cluster.h"

struct push;
struct agent_ask;

/* Why a publish is refused, or ends. */
enum publisher_fault {
    PUBLISHER_DENIED,    /* access_ask() says so: publisher_denial() has more */
    PUBLISHER_ELSEWHERE, /* likewise: the text is where to go, an URL */
    PUBLISHER_LEAVING,   /* this node is shutting down */
    PUBLISHER_BUSY,      /* another publisher is live here, and the policy is refuse */
    PUBLISHER_REFUSED,   /* the scheduler, or the origin, says no: somebody else has the stream */
    PUBLISHER_NO_MEMORY, /* ... */
    PUBLISHER_NO_ORIGIN, /* no lease for now, or nobody to forward to within forward_buffer_ms */
    PUBLISHER_TAKEN,     /* another publisher took over */
    PUBLISHER_FENCED,    /* the stream has a newer owner */
    PUBLISHER_SILENT,    /* no media within publish_stall_ms */
    PUBLISHER_KICKED,    /* by an operator */
    PUBLISHER_N_FAULTS
};

struct publisher_ops {
    const char *protocol; /* static: of the source, and of log lines */
    const struct conn_ops *conn_ops;
    struct metric *sessions; /* counts publishes that went live */
    /* The connection has to go to another loop: publisher_move(), as soon as none of the session's
     * own calls is on the stack. */
    void (*must_move)(void *session);
    /* Around everything that comes from outside (an answer, a turn). In between the session is not
     * freed. After leave() it may be gone. */
    void (*enter)(void *session);
    void (*leave)(void *session);
    /* It publishes under another name than it asked for. False: it closes, nothing more is done. */
    bool (*on_renamed)(void *session, const struct stream_name *name);
    /* It is the source of the stream, or stands by for it; in that case called again when it has
     * become the source. */
    void (*on_accepted)(void *session, bool live);
    /* Refused, or the accepted publish ends. publisher_release() is to be called, the publisher is
     * not used after it. text is lent. */
    void (*on_over)(void *session, enum publisher_fault fault, const char *text);
    /* The node stopped while the session was between two loops: free it; nothing else knows it. */
    void (*discard)(void *session);
};

enum publisher_state {
    PUBLISHER_OUT,
    PUBLISHER_ASKED,    /* whether it may */
    PUBLISHER_DECIDING, /* waits for another one's decision, for the scheduler, or for an origin */
    PUBLISHER_STANDBY,
    PUBLISHER_LIVE
};

struct publisher { /* embedded in the session, zeroed before publisher_begin() */
    struct loop_msg msg;
    const struct publisher_ops *ops;
    void *session;         /* argument of ops and of conn_ops */
    struct node_loop **nl; /* the session's three: borrowed */
    struct conn **conn;
    struct session_info *info;
    /* The rest is private to publisher.c. */
    enum publisher_state state;
    bool accepted;  /* the client was told */
    bool is_told;   /* its end is to be told, too */
    bool from_edge; /* another node forwards it: it numbers GOPs, and holds the media */
    struct access_pending *access; /* ASKED */
    struct access_denial denial;
    int duplicate;         /* an enum cluster_duplicate; -1 = as configured */
    uint64_t max_in_bps;   /* its own limit; 0 = as configured */
    struct stream *stream; /* owned reference */
    struct source source;
    struct standby standby;
    uint64_t run;
    bool is_of_other_run; /* what the edge sends now: of the encoder before or after this one */
    uint64_t lease_epoch; /* that this node holds for it; 0 = none */
    char client[64];
    struct list node;         /* in node_loop.deciding */
    struct agent_ask *ask;    /* under way; freed by its answer */
    struct push *push;        /* owned; an edge's */
    struct track_set kept;    /* configuration and metadata of a standby */
    int64_t heard_us, dts_us; /* its last frame: when, and its own time */
    struct timer timer;       /* STANDBY: silence; DECIDING: the one before has been decided */
};

struct publisher_request {
    const struct stream_name *name;
    const char *client; /* address of the encoder; copied */
    const char *edge;   /* "" = the encoder itself; else who forwards it, lent while it publishes */
    uint64_t run;       /* the edge's; an encoder's is made here */
    /* May it? NULL: another node has asked, and forwards it. */
    const struct access_request *access;
};
/* The caller is between its own enter() and leave(), as in all calls below but move(). */
void publisher_begin(struct publisher *p, const struct publisher_request *request);
/* Takes the connection off this loop; last statement: the session lives on another one. */
void publisher_move(struct publisher *p);
/* True while nothing may be read: the decision has not fallen. */
bool publisher_is_pending(const struct publisher *p);
/* What only it can count. */
void publisher_count(const struct publisher *p, struct session_counts *counts);
/* It is the stream's source; not while it stands by, when an edge sends nothing. */
bool publisher_is_live(const struct publisher *p);
bool publisher_was_accepted(const struct publisher *p); /* on_accepted() was called */
/* Of PUBLISHER_DENIED. */
const struct access_denial *publisher_denial(const struct publisher *p);
uint64_t publisher_epoch(const struct publisher *p);
/* One frame in FLV form; src_dts_us on the encoder's clock. E_PROTO with *why: it is broken. */
enum err publisher_media(struct publisher *p, uint8_t flv_type, int64_t src_dts_us,
                         struct buf_view body, const char **why);
/* From an edge: what its @hw says, and which tracks come. */
void publisher_set_upstream(struct publisher *p, const struct stream_upstream *said);
void publisher_expect_tracks(struct publisher *p, bool audio, bool video);
/* A publish that was live ends, for this reason (borrowed): to who listens to events. Once, while
 * the session's counters can still be read; before publisher_release(). False: there was none. */
bool publisher_tell_done(struct publisher *p, const char *reason);
/* Lets go of stream, lease and origin. Fine when there is nothing. */
void publisher_release(struct publisher *p);

#endif
