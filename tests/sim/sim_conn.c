/* Stands in for common/net/conn*.c and listener.c: TCP connections over the simulated network, in
 * bytes. A socket buffer holds SOCKET_BYTES; beyond it sends are short, as in the kernel. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/net/conn.h"
#include "common/net/listener.h"
#include "tests/sim/sim_conn.h"
#include "tests/sim/sim_loop.h"
#include "tests/sim/sim_net.h"

#define SOCKET_BYTES (256u << 10)

struct conn {
    struct sim_process *process;
    struct sim_end *end; /* NULL: closed by the peer, or broken */
    struct loop *loop;   /* NULL between loops */
    const struct conn_ops *ops;
    void *arg;
    struct buf_writer in;    /* received and not read */
    struct buf_writer lent;  /* what conn_read() gave last */
    struct buf_writer queue; /* written and not sent */
    size_t max_queue_bytes;
    bool is_connecting, is_reading, is_broken;
    bool end_was_read;
    bool wants_write;
    bool is_told; /* on_readable is on its way */
    struct timer connect_timer;
    struct conn_budget *budget;
    uint64_t bytes_in, bytes_out;
    struct addr peer;
    char peer_text[ADDR_TEXT_SIZE];
    unsigned refs; /* the owner, and tasks on their way */
    bool is_closed;
};

static void conn_unref(void *arg)
{
    struct conn *c = arg;

    if (--c->refs)
        return;
    buf_writer_fini(&c->in);
    buf_writer_fini(&c->lent);
    buf_writer_fini(&c->queue);
    free(c);
}

/* --- reading --- */

static void tell_readable(void *arg)
{
    struct conn *c = arg;

    c->is_told = false;
    if (!c->is_closed && c->loop && c->is_reading && !c->end_was_read &&
        (c->in.used_bytes || !c->end)) {
        struct loop *loop = c->loop;

        c->ops->on_readable(c, c->arg);
        loop_kick(loop);
    }
    conn_unref(c);
}

static void want_tell(struct conn *c)
{
    if (c->is_told || !c->loop || !c->is_reading || c->is_connecting)
        return;
    c->is_told = true;
    c->refs++;
    sim_at(sim_now_us(), c->process, (struct sim_task){tell_readable, conn_unref, c});
}

static void on_bytes(void *arg, struct buf_view bytes)
{
    struct conn *c = arg;

    buf_write_view(&c->in, bytes);
    c->bytes_in += bytes.size_bytes;
    want_tell(c);
}

static void on_closed(void *arg)
{
    struct conn *c = arg;

    c->end = NULL;
    want_tell(c);
}

enum err conn_read(struct conn *c, struct buf_view *got)
{
    buf_writer_fini(&c->lent);
    c->lent = c->in;
    buf_writer_init(&c->in, SIZE_MAX);
    *got = buf_writer_view(&c->lent);
    if (got->size_bytes)
        return E_OK;
    if (c->end)
        return E_AGAIN;
    c->end_was_read = true;
    return E_CLOSED;
}

void conn_set_reading(struct conn *c, bool on)
{
    c->is_reading = on;
    if (on && (c->in.used_bytes || !c->end))
        want_tell(c);
}

void conn_set_pace(struct conn *c, enum conn_pace pace)
{
    (void)c, (void)pace; /* it saves wake-ups, which cost nothing here */
}

/* --- writing --- */

static size_t room_of(const struct conn *c)
{
    size_t unsent = sim_unsent_bytes(c->end);

    return unsent < SOCKET_BYTES ? SOCKET_BYTES - unsent : 0;
}

static void want_write(struct conn *c)
{
    c->wants_write = true;
    sim_want_room(c->end);
}

/* Returns how much the socket took. */
static size_t send_some(struct conn *c, struct buf_view bytes)
{
    size_t size = bytes.size_bytes < room_of(c) ? bytes.size_bytes : room_of(c);

    if (size)
        sim_send(c->end, buf_view_of(bytes.data, size));
    c->bytes_out += size;
    return size;
}

static void on_room(void *arg)
{
    struct conn *c = arg;
    struct loop *loop = c->loop;

    if (!loop)
        return;
    buf_writer_consume(&c->queue, send_some(c, buf_writer_view(&c->queue)));
    if (c->queue.used_bytes) {
        want_write(c);
    } else if (c->wants_write) {
        c->wants_write = false;
        if (c->ops->on_writable)
            c->ops->on_writable(c, c->arg);
        loop_kick(loop);
    }
}

enum err conn_write(struct conn *c, struct buf_view bytes)
{
    size_t sent;

    if (c->is_broken || !c->end)
        return E_CLOSED;
    sent = c->queue.used_bytes ? 0 : send_some(c, bytes);
    if (sent == bytes.size_bytes)
        return E_OK;
    if (c->queue.used_bytes + bytes.size_bytes - sent > c->max_queue_bytes)
        return E_SLOW;
    buf_write(&c->queue, bytes.data + sent, bytes.size_bytes - sent);
    want_write(c);
    return buf_writer_status(&c->queue);
}

size_t conn_queued_bytes(const struct conn *c)
{
    return c->queue.used_bytes;
}

enum err conn_send_iov(struct conn *c, const struct iovec *iov, int n_iov, size_t asked_bytes,
                       size_t *sent_bytes)
{
    struct buf_writer all;

    *sent_bytes = 0;
    if (c->is_broken || !c->end)
        return E_CLOSED;
    if (asked_bytes == 0)
        return E_OK;
    if (!c->is_connecting && !c->queue.used_bytes) {
        buf_writer_init(&all, SIZE_MAX);
        for (int i = 0; i < n_iov; i++)
            buf_write(&all, iov[i].iov_base, iov[i].iov_len);
        *sent_bytes = send_some(c, buf_writer_view(&all));
        buf_writer_fini(&all);
    }
    if (*sent_bytes < asked_bytes)
        want_write(c);
    return *sent_bytes ? E_OK : E_AGAIN;
}

/* --- life --- */

static void on_open(void *arg, enum err e)
{
    struct conn *c = arg;
    struct loop *loop = c->loop;

    timer_stop(&c->connect_timer);
    c->is_connecting = false;
    if (e != E_OK) {
        c->end = NULL;
        c->is_broken = true;
    }
    if (c->ops->on_connected)
        c->ops->on_connected(c, c->arg, e);
    loop_kick(loop);
}

static const struct sim_end_ops k_ops = {on_open, on_bytes, on_room, on_closed};

static void on_connect_timer(struct timer *timer)
{
    struct conn *c = list_entry(timer, struct conn, connect_timer);

    sim_close(&c->end);
    c->is_connecting = false;
    c->is_broken = true;
    if (c->ops->on_connected)
        c->ops->on_connected(c, c->arg, E_TIMEOUT);
}

static struct conn *new_conn(struct loop *loop, const struct addr *peer, size_t max_queue_bytes,
                             const struct conn_ops *ops, void *arg)
{
    struct conn *c = calloc(1, sizeof *c);

    if (!c)
        abort();
    *c = (struct conn){.loop = loop, .ops = ops, .arg = arg, .refs = 1, .is_reading = true};
    c->process = sim_loop_process(loop);
    c->max_queue_bytes = max_queue_bytes;
    c->peer = *peer;
    addr_format(peer, c->peer_text);
    buf_writer_init(&c->in, SIZE_MAX);
    buf_writer_init(&c->lent, SIZE_MAX);
    buf_writer_init(&c->queue, SIZE_MAX);
    return c;
}

struct conn *conn_create(struct loop *loop, int fd, const struct addr *peer, size_t max_queue_bytes,
                         const struct conn_ops *ops, void *arg)
{
    struct conn *c = new_conn(loop, peer, max_queue_bytes, ops, arg);

    c->end = sim_fd_take(fd);
    sim_end_own(c->end, &k_ops, c);
    return c;
}

struct conn *conn_connect(struct loop *loop, const struct addr *peer, int64_t timeout_ms,
                          size_t max_queue_bytes, const struct conn_ops *ops, void *arg)
{
    struct conn *c = new_conn(loop, peer, max_queue_bytes, ops, arg);
    const struct sim_host *host = sim_host_by_address(c->peer_text, strcspn(c->peer_text, ":"));

    assert(host);
    c->is_connecting = true;
    timer_init(&c->connect_timer, loop, on_connect_timer);
    timer_start_ms(&c->connect_timer, timeout_ms);
    c->end = sim_connect(c->process, host, addr_port(peer), &k_ops, c);
    return c;
}

void conn_close(struct conn **ref)
{
    struct conn *c = *ref;

    *ref = NULL;
    if (!c)
        return;
    timer_stop(&c->connect_timer);
    if (c->budget)
        conn_budget_give(c->budget, &c->peer);
    sim_close(&c->end);
    c->is_closed = true;
    conn_unref(c);
}

/* What the socket holds arrives anyway; the queue goes with it. */
void conn_close_after_flush(struct conn **ref)
{
    struct conn *c = *ref;

    if (c && c->end && c->queue.used_bytes)
        sim_send(c->end, buf_writer_view(&c->queue));
    conn_close(ref);
}

struct conn *conn_detach(struct conn **ref)
{
    struct conn *c = *ref;

    *ref = NULL;
    c->loop = NULL;
    return c;
}

void conn_adopt(struct conn *c, struct loop *loop, const struct conn_ops *ops, void *arg)
{
    c->loop = loop;
    conn_set_ops(c, ops, arg);
    if (c->in.used_bytes || !c->end)
        want_tell(c);
    if (c->end && c->queue.used_bytes)
        sim_want_room(c->end);
}

/* --- what it is --- */

void conn_charge(struct conn *c, struct conn_budget *budget)
{
    c->budget = budget;
}

enum err conn_set_peer(struct conn *c, const struct addr *peer)
{
    if (c->budget)
        conn_budget_move(c->budget, &c->peer, peer);
    c->peer = *peer;
    addr_format(peer, c->peer_text);
    return E_OK;
}

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
    (void)c;
    return -1;
}

struct buf_view conn_alpn(const struct conn *c)
{
    (void)c;
    return buf_view_of(NULL, 0); /* no TLS here */
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

int64_t sim_conn_stuck_us(const struct conn *c)
{
    return c->end ? sim_unsent_us(c->end) : 0;
}
