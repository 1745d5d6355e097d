/* What the files of a connection share: conn.c (life, events, reading), conn_send.c (writing),
 * conn_connect.c, and what reading and writing are under TLS: conn_tls.c (over conn_wire.c).
 * Private to common/net. */
#ifndef HW_COMMON_NET_CONN_PRIVATE_H
#define HW_COMMON_NET_CONN_PRIVATE_H

#include "common/net/conn.h"

enum conn_state {
    CONN_CONNECTING,  /* conn_connect() was called; nothing read, writes are queued */
    CONN_HANDSHAKING, /* of TLS; the same */
    CONN_OPEN,
    CONN_BROKEN, /* connecting or TLS failed: only conn_close() is left */
};

/* Made when bytes must wait, freed when they are out: an idle connection has none. */
struct conn_queue {
    struct buf_writer bytes;
    size_t sent_bytes; /* of bytes, from the front */
};

/* Of CONN_CONNECTING only. */
struct conn_connecting {
    struct timer timer;
    struct conn *conn;
    struct conn_tls *tls; /* begins when connected; NULL = plain */
    enum err error;       /* known within conn_connect(), told from the next turn */
};

/* Under TLS. */
#define CONN_TLS_WHY_SIZE \
    104 /* "certificate verify failed: unable to get local issuer certificate" */
struct conn_tls {
    struct ssl_st *ssl;
    struct conn *conn;
    struct timer timer; /* of the handshake; later for what holds tells */
    int64_t timeout_ms;
    char why[CONN_TLS_WHY_SIZE]; /* "" unless it failed */
    enum err ended;              /* read behind bytes that are to be told first; E_OK = nothing */
    uint8_t wants; /* POLLER_* that OpenSSL waits for before it does anything else; 0 = nothing */
    bool holds;    /* there is something to read that no event of the socket will tell */
    bool is_client;
    bool more;       /* a record follows at once the one that is being sent */
    bool drained;    /* a read was short: until the socket is ready again there is nothing */
    bool peer_ended; /* the socket is at its end */
};

/* The first 64 bytes are all that reading and sending need, unless interest changes. */
struct conn {
    struct conn_queue *queue;
    uint64_t bytes_out;
    int fd;
    enum conn_state state : 4; /* enum conn_state */
    bool is_tls : 1;           /* tls below is set */
    uint8_t n_reads;           /* full reads in a row */
    uint8_t watched;           /* POLLER_* as the loop's poller knows it; 0 = not its member */
    bool want_write : 1;       /* the owner or the queue waits for room */
    bool reading : 1;          /* the owner wants on_readable */
    bool read_ended : 1;       /* end of stream or error was read; no more on_readable */
    bool short_read : 1;       /* the socket was emptied: the next conn_read() need not ask */
    enum conn_pace pace : 2;   /* enum conn_pace: how the owner wants it */
    enum conn_pace ticked : 2; /* enum conn_pace: whose member it is, while it has a tick_place */
    struct loop *loop;         /* NULL between conn_detach() and conn_adopt() */
    const struct conn_ops *ops;
    void *arg;
    uint64_t bytes_in;
    uint32_t tick_place; /* in the loop's tick, or TICK_NO_PLACE */
    uint32_t max_queue_bytes;
    /* --- */
    union {
        struct conn_connecting *connecting; /* CONN_CONNECTING; may be NULL while it is made */
        struct conn_tls *tls;               /* every other state; NULL = plain */
    };
    struct conn_budget *budget; /* charged for this connection; NULL = none */
    struct addr peer;
    char *peer_text; /* own_text, or owned: conn_set_peer() */
    char own_text[];
};

_Static_assert(offsetof(struct conn, connecting) <= 64, "the hot part of struct conn has grown");
/* 20,000 idle connections are to cost megabytes, not more. */
_Static_assert(sizeof(struct conn) <= 120, "struct conn has grown");

/* Whose callback runs on this thread; conn_close() and conn_detach() take it away from there. A
 * member would not do: after conn_detach() another thread has the connection. */
extern _Thread_local const struct conn *t_conn_calling;

/* conn.c: takes fd (also on failure, NULL). Not watched yet. */
struct conn *conn_new(struct loop *loop, int fd, const struct addr *peer, size_t max_queue_bytes,
                      const struct conn_ops *ops, void *arg);
/* conn.c: makes the poller and the tick watch for what the members above ask for; nothing while the
 * connection is between loops. False when the kernel has no memory for it. */
bool conn_update_events(struct conn *c);
/* conn.c, for the poller: the socket is ready for some POLLER_*. */
void conn_on_ready(struct conn *c, unsigned ready);
/* conn.c: tells the owner that there is something to read; under TLS only if it wants to know. c
 * may be gone after this. */
void conn_tell_readable(struct conn *c);
enum err conn_err_from_errno(int code);

/* conn_send.c */
void conn_want_write(struct conn *c);
/* Behind what is queued already, and its bound is not looked at. */
enum err conn_queue_append(struct conn *c, struct buf_view bytes);
void conn_queue_free(struct conn *c);
/* The socket has room: sends from the queue, then tells the owner. */
void conn_on_room(struct conn *c);

/* conn_connect.c: the socket says how connecting went. */
void conn_on_connect_result(struct conn *c);
void conn_connecting_free(struct conn *c);

/* conn_tls.c; all but conn_tls_begin() are for connections whose is_tls is set. */
/* Lends the loop's scratch memory. Sets short_read when the next read would find nothing. *got is
 * written only on E_OK. */
enum err conn_tls_read(struct conn *c, struct buf_view *got);
/* E_OK: *sent_bytes > 0. E_AGAIN: no room; the same bytes must be offered again, alone or with more
 * behind them, wherever they lie then. */
enum err conn_tls_send(struct conn *c, const void *data, size_t size_bytes, size_t *sent_bytes);
/* The same, but nothing needs to be offered again: what must be goes into the queue. */
enum err conn_tls_send_iov(struct conn *c, const struct iovec *iov, int n_iov, size_t *sent_bytes);
/* Takes tls, and starts the handshake of a connection that has just been connected. */
void conn_tls_begin(struct conn *c, struct conn_tls *tls);
void conn_tls_shake(struct conn *c); /* the socket is ready for what the handshake waits for */
/* The owner reads: what OpenSSL holds is told from a later turn, as no event of the socket will. */
void conn_tls_update(struct conn *c);
void conn_tls_stop(struct conn *c); /* leaves the loop */
void conn_tls_adopt(struct conn *c);
/* Puts the queue and the end of TLS (close_notify) into *out, as they go over the wire. */
void conn_tls_seal(struct conn *c, struct buf_writer *out);
void conn_tls_free(struct conn_tls *tls); /* NULL is fine */

/* conn_wire.c: connects tls->ssl with the socket of tls->conn. False when out of memory. */
bool conn_wire_attach(struct conn_tls *tls);

#endif
