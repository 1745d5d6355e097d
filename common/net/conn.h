/* A TCP connection on a loop, plain or under TLS: reads into the loop's scratch buffer, writes
 * gathered from borrowed memory or from an own queue for small private bytes. One loop thread at a
 * time; conn_detach() and conn_adopt() hand it to another. Any callback may close or detach its
 * connection. */
#ifndef HW_COMMON_NET_CONN_H
#define HW_COMMON_NET_CONN_H

#include <sys/uio.h>

#include "common/base/buf.h"
#include "common/net/addr.h"
#include "common/net/budget.h"
#include "common/net/loop.h"

struct conn; /* opaque */
struct tls_client;
struct tls_server;

struct conn_ops {
    /* Bytes (or the end) can be read: call conn_read() until it gives E_AGAIN. */
    void (*on_readable)(struct conn *conn, void *arg);
    /* Room after a short send, and the private queue is empty. NULL = not wanted. */
    void (*on_writable)(struct conn *conn, void *arg);
    /* The connection broke while the private queue was written from the loop: E_IO, E_CLOSED,
     * E_TIMEOUT. Never from within conn_write(), which returns its error, nor by conn_close(). Also
     * a TLS handshake that failed, where there is no on_connected. */
    void (*on_error)(struct conn *conn, void *arg, enum err e);
    /* conn_connect(), and TLS handshakes: connected (E_OK; once, after both), else why not
     * (E_TIMEOUT, E_CLOSED, E_IO; E_DENIED: the peer's certificate; E_PROTO: other faults of TLS);
     * after a failure only conn_close(). */
    void (*on_connected)(struct conn *conn, void *arg, enum err e);
};

/* Takes fd (also on failure, NULL). peer is copied; ops and arg are borrowed until conn_close().
 * Reading starts at once. max_queue_bytes bounds the private queue (at most 4 GiB). */
struct conn *conn_create(struct loop *loop, int fd, const struct addr *peer, size_t max_queue_bytes,
                         const struct conn_ops *ops, void *arg);
/* Connects to a numeric address; timeout_ms applies. What is written before on_connected is queued.
 * NULL when no socket can be made. */
struct conn *conn_connect(struct loop *loop, const struct addr *peer, int64_t timeout_ms,
                          size_t max_queue_bytes, const struct conn_ops *ops, void *arg);
/* Takes *conn. Closes at once; what is queued is lost. Fine from any of its callbacks. */
void conn_close(struct conn **conn);
/* Takes *conn. Sends what is queued, half-closes, reads and drops until the peer closes or 2 s
 * passed, then closes: so that an error answer is not lost to a reset. No more callbacks; the loop
 * owns what is left. A peer that takes the queue slowly has up to 30 s. */
void conn_close_after_flush(struct conn **conn);

/* TLS from here on. Of a connection of conn_create(), before anything was read or written, or of
 * one that is still connecting. Until the handshake is done on_readable is not called and writes
 * are queued; its time-out is that of server or client. All else of this header means the same as
 * without TLS, but for what conn_send_iov() says. Failures are logged (area tls) with peer and
 * reason, and counted. E_NOMEM: nothing has changed, and the connection is of no use.
 *   conn_start_tls()         borrows server until the connection is closed
 *   conn_start_tls_client()  host: name or number that the peer must prove to be; not borrowed */
enum err conn_start_tls(struct conn *conn, struct tls_server *server);
enum err conn_start_tls_client(struct conn *conn, struct tls_client *client, const char *host);
bool conn_is_tls(const struct conn *conn);
/* What TLS agreed on: "TLSv1.3" ("" before, or without); the ALPN name (empty: none), lent until
 * close. */
const char *conn_tls_version(const struct conn *conn);
struct buf_view conn_alpn(const struct conn *conn);
/* Why it failed or broke, lent until close: "certificate verify failed: certificate has expired";
 * "" when it did not. */
const char *conn_tls_error(const struct conn *conn);

/* The connection gives one of this budget back when it is closed. */
void conn_charge(struct conn *conn, struct conn_budget *budget);
void conn_set_ops(struct conn *conn, const struct conn_ops *ops, void *arg);
struct loop *conn_loop(const struct conn *conn);
int conn_fd(const struct conn *conn);
/* It belongs to somebody else than who connected: a proxy's client. Its budget counts it there.
 * What conn_peer() gave before is gone. E_NOMEM: nothing has changed. */
enum err conn_set_peer(struct conn *conn, const struct addr *peer);
const char *conn_peer(const struct conn *conn); /* "10.0.0.1:5555"; lent until close */
const struct addr *conn_peer_addr(const struct conn *conn);

/* Lends what was read, until the next conn_read() on this loop. E_AGAIN when the socket is empty,
 * or after 1 MiB in a row, so that others have their turn (on_readable comes again). E_CLOSED at
 * the end of the stream, E_IO on error; on_readable is not called any more after these. */
enum err conn_read(struct conn *conn, struct buf_view *got);
/* Stops or resumes on_readable (for back-pressure). A hang-up is still seen by the next write. */
void conn_set_reading(struct conn *conn, bool on);
/* When a connection is read. By tick, on_readable comes at most once in so many milliseconds, in a
 * turn that serves all such connections of the loop together, before the turn's hooks: for many
 * busy publishers, where each packet would be a wake-up of its own. The ticks' distance is steady.
 * 1 MiB a tick and connection is read. May change at any time without losing anything; goes along
 * with conn_detach(). */
enum conn_pace {
    CONN_AT_ONCE,  /* the default */
    CONN_TICK,     /* every CONN_TICK_MS */
    CONN_SLOW_TICK /* every CONN_SLOW_TICK_MS, a quarter of them each CONN_TICK_MS */
};
#define CONN_TICK_MS 40
#define CONN_SLOW_TICK_MS 160
void conn_set_pace(struct conn *conn, enum conn_pace pace);

/* Sends now what the socket takes, queues the rest (copied). E_SLOW when the queue would exceed its
 * bound (part of bytes may be out, so only closing is left), E_IO / E_CLOSED when the peer is gone,
 * E_NOMEM. Calls no callback: an error is told once, here. */
enum err conn_write(struct conn *conn, struct buf_view bytes);
size_t conn_queued_bytes(const struct conn *conn);

/* One send of borrowed memory, nothing is queued: for viewers. asked_bytes is the sum of the list,
 * which who sends one list to many knows already. *sent_bytes says how far it got; fewer than asked
 * means the socket is full and on_writable is armed. E_AGAIN when nothing was sent because the
 * socket is full or the private queue is not empty (armed too); E_IO / E_CLOSED. Under TLS a record
 * that the socket does not take whole counts as sent: it is copied to the private queue (E_NOMEM
 * when it cannot be), whatever its bound, so what follows it may be anything. */
enum err conn_send_iov(struct conn *conn, const struct iovec *iov, int n_iov, size_t asked_bytes,
                       size_t *sent_bytes);

/* Bytes through the connection since it was made. */
uint64_t conn_bytes_in(const struct conn *conn);
uint64_t conn_bytes_out(const struct conn *conn);

/* Hands the connection to another loop: takes *conn off this loop; nothing of it runs here after
 * the call. The caller then posts the returned conn to the target, which calls conn_adopt() there.
 * Bytes already read by the caller travel with the caller. */
struct conn *conn_detach(struct conn **conn);
void conn_adopt(struct conn *conn, struct loop *loop, const struct conn_ops *ops, void *arg);

#endif
