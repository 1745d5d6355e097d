/* What the files of a connection share: conn.c (life, events, reading), conn_send.c (writing) and
 * conn_connect.c. Private to common/net. */
#ifndef HW_COMMON_NET_CONN_PRIVATE_H
#define HW_COMMON_NET_CONN_PRIVATE_H

#include "common/net/conn.h"

enum conn_state {
    CONN_CONNECTING, /* conn_connect() was called; nothing read, writes are queued */
    CONN_OPEN,
    CONN_BROKEN, /* connecting failed: only conn_close() is left */
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
    enum err error; /* known within conn_connect(), told from the next turn */
};

/* The first 64 bytes are all that reading and sending need, unless interest changes. */
struct conn {
    struct conn_queue *queue;
    uint64_t bytes_out;
    int fd;
    uint8_t state;             /* enum conn_state */
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
    struct conn_connecting *connecting; /* NULL in every other state */
    struct conn_budget *budget;         /* charged for this connection; NULL = none */
    struct addr peer;
    char peer_text[];
};

_Static_assert(offsetof(struct conn, connecting) <= 64, "the hot part of struct conn has grown");
/* 20,000 idle connections are to cost megabytes, not more. */
_Static_assert(sizeof(struct conn) <= 112, "struct conn has grown");

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
enum err conn_err_from_errno(int code);

/* conn_send.c */
void conn_want_write(struct conn *c);
void conn_queue_free(struct conn *c);
/* The socket has room: sends from the queue, then tells the owner. */
void conn_on_room(struct conn *c);

/* conn_connect.c: the socket says how connecting went. */
void conn_on_connect_result(struct conn *c);
void conn_connecting_free(struct conn *c);

#endif
