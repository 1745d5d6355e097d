/* A TCP connection. Every libevent callback makes at most one call to the owner and touches nothing
 * after it unless a guard says that the connection is still there: so the owner may
 * close or hand it over from inside any callback. */
#include "common/net/conn.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/net/linger.h"

#define READ_BUDGET 16 /* full reads in a row; then other connections have their turn */

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

struct conn {
    struct loop *loop; /* NULL between conn_detach() and conn_adopt() */
    const struct conn_ops *ops;
    void *arg;
    struct conn_queue *queue;
    size_t max_queue_bytes;
    uint64_t bytes_in, bytes_out;
    struct event read_ev;
    struct event write_ev;
    struct timer connect_timer;
    struct conn_budget *budget; /* charged for this connection; NULL = none */
    struct addr peer;
    int fd;
    enum err connect_error; /* known within conn_connect(), told from the next turn */
    uint8_t state;          /* enum conn_state */
    uint8_t n_reads;        /* of READ_BUDGET */
    bool reading;           /* the owner wants on_readable */
    bool read_ended;        /* end of stream or error was read; the event stays off */
    bool short_read;        /* the socket was emptied: the next conn_read() need not ask */
    bool want_write;        /* the owner or the queue waits for room */
    char peer_text[];
};

/* 20,000 idle connections are to cost megabytes, not more. */
_Static_assert(sizeof(struct conn) <= 400, "struct conn has grown");

/* Whose callback runs on this thread; conn_close() and conn_detach() take it away from there. A
 * member would not do: after conn_detach() another thread has the connection. */
static _Thread_local const struct conn *t_calling;

static void on_read_event(evutil_socket_t fd, short what, void *arg);
static void on_write_event(evutil_socket_t fd, short what, void *arg);
static void on_connect_timer(struct timer *timer);

static enum err err_from_errno(int code)
{
    switch (code) {
    case EAGAIN:
        return E_AGAIN;
    case EPIPE:
    case ECONNRESET:
        return E_CLOSED;
    case ETIMEDOUT:
        return E_TIMEOUT;
    case ENOMEM:
    case ENOBUFS:
        return E_NOMEM;
    default:
        return E_IO;
    }
}

/* --- events --- */

static void update_read_event(struct conn *c)
{
    if (c->state == CONN_OPEN && c->reading && !c->read_ended)
        event_add(&c->read_ev, NULL);
    else
        event_del(&c->read_ev);
}

static void arm_write(struct conn *c)
{
    if (c->want_write)
        return;
    c->want_write = true;
    if (c->loop) /* while detached, conn_adopt() does it */
        event_add(&c->write_ev, NULL);
}

static void assign_events(struct conn *c)
{
    struct event_base *base = loop_base(c->loop);

    event_assign(&c->read_ev, base, c->fd, EV_READ | EV_PERSIST, on_read_event, c);
    event_assign(&c->write_ev, base, c->fd, EV_WRITE | EV_PERSIST, on_write_event, c);
    timer_init(&c->connect_timer, c->loop, on_connect_timer);
}

static void stop_events(struct conn *c)
{
    if (t_calling == c)
        t_calling = NULL;
    if (!c->loop)
        return;
    event_del(&c->read_ev);
    event_del(&c->write_ev);
    timer_stop(&c->connect_timer);
}

static void on_read_event(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;

    (void)fd, (void)what;
    c->n_reads = 0;
    c->short_read = false;
    c->ops->on_readable(c, c->arg); /* last statement: c may be gone */
}

/* --- private queue --- */

static void queue_free(struct conn *c)
{
    if (c->queue)
        buf_writer_fini(&c->queue->bytes);
    free(c->queue);
    c->queue = NULL;
}

size_t conn_queued_bytes(const struct conn *c)
{
    return c->queue ? c->queue->bytes.used_bytes - c->queue->sent_bytes : 0;
}

static enum err queue_append(struct conn *c, struct buf_view bytes)
{
    struct conn_queue *q = c->queue;

    if (bytes.size_bytes > c->max_queue_bytes - conn_queued_bytes(c))
        return E_SLOW;
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
    arm_write(c);
    return E_OK;
}

/* One send() as far as the socket takes it. E_OK: *sent_bytes > 0. */
static enum err send_some(struct conn *c, const void *data, size_t size_bytes, size_t *sent_bytes)
{
    ssize_t n;

    do
        n = send(c->fd, data, size_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    *sent_bytes = n > 0 ? (size_t)n : 0;
    c->bytes_out += *sent_bytes;
    return n < 0 ? err_from_errno(errno) : E_OK;
}

/* E_OK: nothing is queued any more. E_AGAIN: the socket is full. */
static enum err queue_flush(struct conn *c)
{
    enum err e = E_OK;

    while (conn_queued_bytes(c) > 0) {
        struct conn_queue *q = c->queue;
        size_t n;

        e = send_some(c, q->bytes.data + q->sent_bytes, q->bytes.used_bytes - q->sent_bytes, &n);
        if (e != E_OK)
            return e;
        q->sent_bytes += n;
    }
    queue_free(c);
    return E_OK;
}

/* --- connecting --- */

static void finish_connect(struct conn *c, enum err e)
{
    timer_stop(&c->connect_timer);
    c->state = e == E_OK ? CONN_OPEN : CONN_BROKEN;
    if (e != E_OK) {
        event_del(&c->write_ev);
    } else {
        update_read_event(c);
        if (conn_queued_bytes(c) == 0) {
            c->want_write = false;
            event_del(&c->write_ev);
        }
    }
    if (c->ops->on_connected)
        c->ops->on_connected(c, c->arg, e); /* last statement: c may be gone */
}

static void on_connect_timer(struct timer *timer)
{
    struct conn *c = list_entry(timer, struct conn, connect_timer);

    finish_connect(c, c->connect_error != E_OK ? c->connect_error : E_TIMEOUT);
}

static enum err socket_error(int fd)
{
    int code = 0;
    socklen_t size = sizeof code;

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) != 0)
        return E_IO;
    return code == 0 ? E_OK : err_from_errno(code);
}

/* --- write events --- */

static void on_write_event(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    const struct conn *outer = t_calling;
    bool is_ours;
    enum err e;

    (void)what;
    if (c->state == CONN_CONNECTING) {
        finish_connect(c, socket_error(fd));
        return;
    }
    e = queue_flush(c);
    if (e == E_AGAIN)
        return;
    c->want_write = false;
    t_calling = c;
    if (e != E_OK && c->ops->on_error)
        c->ops->on_error(c, c->arg, e);
    else if (e == E_OK && c->ops->on_writable)
        c->ops->on_writable(c, c->arg);
    is_ours = t_calling == c;
    t_calling = outer;
    if (is_ours &&
        !c->want_write) /* only now: a viewer that is short again saves two system calls */
        event_del(&c->write_ev);
}

/* --- public: life --- */

static struct conn *conn_new(struct loop *loop, int fd, const struct addr *peer,
                             size_t max_queue_bytes, const struct conn_ops *ops, void *arg)
{
    char text[ADDR_TEXT_SIZE];
    size_t text_size = strlen(addr_format(peer, text)) + 1;
    struct conn *c = calloc(1, sizeof *c + text_size);

    if (!c) {
        close(fd);
        return NULL;
    }
    memcpy(c->peer_text, text, text_size);
    c->loop = loop;
    c->ops = ops;
    c->arg = arg;
    c->max_queue_bytes = max_queue_bytes;
    c->peer = *peer;
    c->fd = fd;
    c->reading = true;
    c->state = CONN_OPEN;
    assign_events(c);
    return c;
}

struct conn *conn_create(struct loop *loop, int fd, const struct addr *peer, size_t max_queue_bytes,
                         const struct conn_ops *ops, void *arg)
{
    struct conn *c = conn_new(loop, fd, peer, max_queue_bytes, ops, arg);

    if (c && event_add(&c->read_ev, NULL) != 0)
        conn_close(&c);
    return c;
}

struct conn *conn_connect(struct loop *loop, const struct addr *peer, int64_t timeout_ms,
                          size_t max_queue_bytes, const struct conn_ops *ops, void *arg)
{
    int one = 1, rc;
    int fd = socket(peer->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct conn *c;

    if (fd < 0)
        return NULL;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c = conn_new(loop, fd, peer, max_queue_bytes, ops, arg);
    if (!c)
        return NULL;
    c->state = CONN_CONNECTING;
    rc = connect(fd, &peer->storage.any, peer->size_bytes);
    if (rc != 0 && errno != EINPROGRESS && errno != EINTR) {
        c->connect_error = err_from_errno(errno);
        if (c->connect_error == E_AGAIN) /* connect(2): no free local port */
            c->connect_error = E_IO;
        timeout_ms = 0;
    } else {
        arm_write(c); /* writable says how it went, also when it went at once */
    }
    timer_start_ms(&c->connect_timer, timeout_ms);
    return c;
}

static void give_back(struct conn *c)
{
    if (c->budget)
        conn_budget_give(c->budget, &c->peer);
}

void conn_charge(struct conn *conn, struct conn_budget *budget)
{
    conn->budget = budget;
}

void conn_close(struct conn **conn)
{
    struct conn *c = *conn;

    *conn = NULL;
    if (!c)
        return;
    stop_events(c);
    queue_free(c);
    give_back(c);
    close(c->fd);
    free(c);
}

void conn_close_after_flush(struct conn **conn)
{
    struct conn *c = *conn;
    struct buf_writer none;

    if (!c || !c->loop || c->state != CONN_OPEN) {
        conn_close(conn);
        return;
    }
    *conn = NULL;
    stop_events(c);
    buf_writer_init(&none, 0);
    linger_start(c->loop, c->fd, c->queue ? &c->queue->bytes : &none,
                 c->queue ? c->queue->sent_bytes : 0);
    queue_free(c);
    give_back(c);
    free(c);
}

/* --- public: properties --- */

void conn_set_ops(struct conn *c, const struct conn_ops *ops, void *arg)
{
    c->ops = ops;
    c->arg = arg;
}

struct loop *conn_loop(const struct conn *c)
{
    return c->loop;
}

int conn_fd(const struct conn *c)
{
    return c->fd;
}

const char *conn_peer(const struct conn *c)
{
    return c->peer_text;
}

const struct addr *conn_peer_addr(const struct conn *c)
{
    return &c->peer;
}

uint64_t conn_bytes_in(const struct conn *c)
{
    return c->bytes_in;
}

uint64_t conn_bytes_out(const struct conn *c)
{
    return c->bytes_out;
}

/* --- public: bytes --- */

enum err conn_read(struct conn *c, struct buf_view *got)
{
    ssize_t n;

    *got = buf_view_of(NULL, 0);
    if (c->state != CONN_OPEN)
        return c->state == CONN_CONNECTING ? E_AGAIN : E_CLOSED;
    if (c->read_ended)
        return E_CLOSED;
    if (c->short_read || c->n_reads >= READ_BUDGET) { /* what may be left fires the event again */
        c->short_read = false;
        c->n_reads = 0;
        return E_AGAIN;
    }
    do
        n = recv(c->fd, loop_scratch(c->loop), LOOP_SCRATCH_BYTES, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        c->n_reads++;
        c->short_read = n < LOOP_SCRATCH_BYTES;
        c->bytes_in += (uint64_t)n;
        *got = buf_view_of(loop_scratch(c->loop), (size_t)n);
        return E_OK;
    }
    if (n < 0 && errno == EAGAIN)
        return E_AGAIN;
    c->read_ended = true; /* or the level-triggered event would fire until the owner closes */
    update_read_event(c);
    return n == 0 || errno == ECONNRESET ? E_CLOSED : E_IO;
}

void conn_set_reading(struct conn *c, bool on)
{
    c->reading = on;
    if (c->loop)
        update_read_event(c);
}

enum err conn_write(struct conn *c, struct buf_view bytes)
{
    size_t sent_bytes = 0;
    enum err e;

    if (c->state == CONN_BROKEN)
        return E_CLOSED;
    if (bytes.size_bytes == 0)
        return E_OK;
    if (c->state == CONN_OPEN && conn_queued_bytes(c) == 0) {
        e = send_some(c, bytes.data, bytes.size_bytes, &sent_bytes);
        if (e != E_OK && e != E_AGAIN)
            return e;
        if (sent_bytes == bytes.size_bytes)
            return E_OK;
    }
    return queue_append(c, buf_view_of(bytes.data + sent_bytes, bytes.size_bytes - sent_bytes));
}

static size_t iov_bytes(const struct iovec *iov, int n_iov)
{
    size_t total = 0;

    for (int i = 0; i < n_iov; i++)
        total += iov[i].iov_len;
    return total;
}

enum err conn_send_iov(struct conn *c, const struct iovec *iov, int n_iov, size_t *sent_bytes)
{
    size_t asked_bytes = iov_bytes(iov, n_iov);
    enum err e;

    *sent_bytes = 0;
    if (c->state == CONN_BROKEN)
        return E_CLOSED;
    if (asked_bytes == 0)
        return E_OK;
    if (c->state == CONN_CONNECTING || conn_queued_bytes(c) > 0) {
        arm_write(c);
        return E_AGAIN;
    }
    if (n_iov == 1) { /* half the kernel's set-up of a sendmsg() */
        e = send_some(c, iov->iov_base, iov->iov_len, sent_bytes);
    } else {
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
        e = n < 0 ? err_from_errno(errno) : E_OK;
        *sent_bytes = n > 0 ? (size_t)n : 0;
        c->bytes_out += *sent_bytes;
    }
    if (*sent_bytes < asked_bytes && (e == E_OK || e == E_AGAIN))
        arm_write(c);
    return e;
}

/* --- public: to another loop --- */

struct conn *conn_detach(struct conn **conn)
{
    struct conn *c = *conn;

    *conn = NULL;
    assert(c->state == CONN_OPEN);
    stop_events(c);
    c->loop = NULL;
    return c;
}

void conn_adopt(struct conn *c, struct loop *loop, const struct conn_ops *ops, void *arg)
{
    assert(!c->loop);
    c->loop = loop;
    c->n_reads = 0;
    c->short_read = false;
    conn_set_ops(c, ops, arg);
    assign_events(c);
    update_read_event(c);
    if (c->want_write)
        event_add(&c->write_ev, NULL);
}
