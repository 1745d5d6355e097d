/* Writing to a connection: gathered sends of borrowed memory, and the private queue. */
#include "common/net/conn_private.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/net/poller.h"

void conn_want_write(struct conn *c)
{
    if (c->want_write && c->watched & POLLER_WRITE) /* else the kernel had no memory for it */
        return;
    c->want_write = true;
    conn_update_events(c);
}

/* --- private queue --- */

void conn_queue_free(struct conn *c)
{
    if (c->queue)
        buf_writer_fini(&c->queue->bytes);
    free(c->queue);
    c->queue = NULL;
}

static inline size_t unsent_bytes(const struct conn *c)
{
    return c->queue ? c->queue->bytes.used_bytes - c->queue->sent_bytes : 0;
}

size_t conn_queued_bytes(const struct conn *c)
{
    return unsent_bytes(c);
}

enum err conn_queue_append(struct conn *c, struct buf_view bytes)
{
    struct conn_queue *q = c->queue;

    if (!q) {
        q = c->queue = calloc(1, sizeof *q);
        if (!q)
            return E_NOMEM;
        buf_writer_init(&q->bytes, SIZE_MAX); /* the bound above counts unsent bytes */
    }
    if (q->sent_bytes > q->bytes.used_bytes / 2) { /* moves fewer bytes than were sent */
        buf_writer_consume(&q->bytes, q->sent_bytes);
        q->sent_bytes = 0;
    }
    buf_write_view(&q->bytes, bytes);
    if (buf_writer_status(&q->bytes) != E_OK) {
        q->bytes.failed = E_OK;
        return E_NOMEM;
    }
    conn_want_write(c);
    return E_OK;
}

/* --- sending --- */

/* E_OK: *sent_bytes > 0. */
static enum err sent(ssize_t n, size_t *sent_bytes)
{
    *sent_bytes = n > 0 ? (size_t)n : 0;
    return n < 0 ? conn_err_from_errno(errno) : E_OK;
}

static enum err plain_send(const struct conn *c, const void *data, size_t size_bytes,
                           size_t *sent_bytes)
{
    ssize_t n;

    do
        n = send(c->fd, data, size_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return sent(n, sent_bytes);
}

static enum err plain_send_iov(const struct conn *c, const struct iovec *iov, int n_iov,
                               size_t *sent_bytes)
{
    union {
        const struct iovec *borrowed;
        struct iovec *msg_iov; /* msghdr has no const; sendmsg() does not write there */
    } u = {iov};
    struct msghdr msg = {.msg_iov = u.msg_iov,
                         .msg_iovlen = n_iov < IOV_MAX ? (size_t)n_iov : IOV_MAX};
    ssize_t n;

    do
        n = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return sent(n, sent_bytes);
}

/* Counts what was sent. */
static enum err send_some(struct conn *c, const void *data, size_t size_bytes, size_t *sent_bytes)
{
    enum err e = c->is_tls ? conn_tls_send(c, data, size_bytes, sent_bytes)
                           : plain_send(c, data, size_bytes, sent_bytes);

    c->bytes_out += *sent_bytes;
    return e;
}

/* E_OK: nothing is queued any more. E_AGAIN: the socket is full. */
static enum err queue_flush(struct conn *c)
{
    while (unsent_bytes(c) > 0) {
        struct conn_queue *q = c->queue;
        size_t n;
        enum err e =
            send_some(c, q->bytes.data + q->sent_bytes, q->bytes.used_bytes - q->sent_bytes, &n);

        if (e != E_OK)
            return e;
        q->sent_bytes += n;
    }
    conn_queue_free(c);
    return E_OK;
}

void conn_on_room(struct conn *c)
{
    enum err e = queue_flush(c);

    if (e == E_AGAIN)
        return;
    c->want_write = false;
    if (e != E_OK && c->ops->on_error)
        c->ops->on_error(c, c->arg, e); /* last statement: c may be gone */
    else if (e == E_OK && c->ops->on_writable)
        c->ops->on_writable(c, c->arg);
}

/* --- public --- */

enum err conn_write(struct conn *c, struct buf_view bytes)
{
    size_t sent_bytes = 0, queued_bytes = unsent_bytes(c);
    enum err e;

    if (c->state == CONN_BROKEN)
        return E_CLOSED;
    if (bytes.size_bytes == 0)
        return E_OK;
    if (c->state == CONN_OPEN && queued_bytes == 0) {
        e = send_some(c, bytes.data, bytes.size_bytes, &sent_bytes);
        if (e != E_OK && e != E_AGAIN)
            return e;
        if (sent_bytes == bytes.size_bytes)
            return E_OK;
    }
    if (queued_bytes > c->max_queue_bytes ||
        bytes.size_bytes - sent_bytes > c->max_queue_bytes - queued_bytes)
        return E_SLOW;
    return conn_queue_append(c,
                             buf_view_of(bytes.data + sent_bytes, bytes.size_bytes - sent_bytes));
}

/* E_AGAIN, unless there will never be room. */
static enum err wait_for_room(struct conn *c)
{
    if (c->state == CONN_BROKEN)
        return E_CLOSED;
    conn_want_write(c);
    return E_AGAIN;
}

static enum err tls_send_iov(struct conn *c, const struct iovec *iov, int n_iov, size_t *sent_bytes)
{
    enum err e = conn_tls_send_iov(c, iov, n_iov, sent_bytes);

    c->bytes_out -= unsent_bytes(c); /* what was put there counts as it goes */
    return e;
}

enum err conn_send_iov(struct conn *c, const struct iovec *iov, int n_iov, size_t asked_bytes,
                       size_t *sent_bytes)
{
    enum err e;

    *sent_bytes = 0;
    if (asked_bytes == 0)
        return c->state == CONN_BROKEN ? E_CLOSED : E_OK;
    if (c->state != CONN_OPEN || unsent_bytes(c) > 0)
        return wait_for_room(c);
    if (c->is_tls)
        e = tls_send_iov(c, iov, n_iov, sent_bytes);
    else if (n_iov == 1) /* half the kernel's set-up of a sendmsg() */
        e = plain_send(c, iov->iov_base, iov->iov_len, sent_bytes);
    else
        e = plain_send_iov(c, iov, n_iov, sent_bytes);
    c->bytes_out += *sent_bytes;
    if (*sent_bytes < asked_bytes && (e == E_OK || e == E_AGAIN))
        conn_want_write(c);
    return e;
}
