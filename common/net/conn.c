/* A TCP connection: life, events, reading, moving to another loop. Every callback touches
 * nothing after a call to the owner unless a guard says that the connection is still there: so the
 * owner may close or hand it over from inside any callback. */
#include "common/net/conn_private.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/net/linger.h"
#include "common/net/poller.h"
#include "common/net/tick.h"

#define READ_BUDGET 16 /* full reads in a row; then other connections have their turn */

_Thread_local const struct conn *t_conn_calling;

enum err conn_err_from_errno(int code)
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

/* What OpenSSL waits for goes before what the owner waits for. */
static uint8_t tls_wants(const struct conn *c)
{
    return c->is_tls && c->state != CONN_BROKEN ? c->tls->wants : 0;
}

static bool wants_read(const struct conn *c)
{
    return c->loop && c->state == CONN_OPEN && c->reading && !c->read_ended && !tls_wants(c);
}

static bool wants_write(const struct conn *c)
{
    return c->loop && c->state != CONN_BROKEN && c->want_write && !tls_wants(c);
}

void conn_tell_readable(struct conn *c)
{
    if (c->is_tls && !wants_read(c)) /* it waits for something else since the event */
        return;
    c->n_reads = 0;
    c->short_read = false;
    c->ops->on_readable(c, c->arg); /* last statement: c may be gone */
}

static void on_tick(void *arg)
{
    conn_tell_readable(arg);
}

void conn_on_ready(struct conn *c, unsigned ready)
{
    const struct conn *outer = t_conn_calling;
    bool is_ours;

    if (c->state == CONN_CONNECTING) {
        conn_on_connect_result(c);
        return;
    }
    if (c->state == CONN_HANDSHAKING) {
        conn_tls_shake(c);
        return;
    }
    if (tls_wants(c)) { /* sending waited for bytes, or reading for room: now both go on */
        c->tls->wants = 0;
        conn_update_events(c);
        ready = c->watched;
    }
    if (ready & c->watched & POLLER_WRITE) {
        t_conn_calling = c;
        conn_on_room(c);
        is_ours = t_conn_calling == c;
        t_conn_calling = outer;
        if (!is_ours)
            return;
        if (!c->want_write) /* only now: a viewer that is short again saves the system calls */
            conn_update_events(c);
    }
    if (ready & c->watched & POLLER_READ)
        conn_tell_readable(c);
}

static struct tick *tick_of(const struct conn *c, enum conn_pace pace)
{
    return loop_tick(c->loop, pace == CONN_TICK ? 0 : 1u + (unsigned)c->fd % LOOP_SLOW_TICKS);
}

static void leave_tick(struct conn *c)
{
    if (c->tick_place != TICK_NO_PLACE)
        tick_remove(tick_of(c, c->ticked), c->tick_place);
    c->tick_place = TICK_NO_PLACE;
}

/* True when a tick watches c from now on, false when the poller has to. */
static bool update_tick(struct conn *c)
{
    bool wanted = c->pace != CONN_AT_ONCE && wants_read(c);

    if (!wanted || c->ticked != c->pace)
        leave_tick(c);
    if (wanted && c->tick_place == TICK_NO_PLACE) {
        struct tick *tick = tick_of(c, c->pace);

        c->ticked = c->pace;
        if (tick)
            c->tick_place = tick_add(tick, c->fd, on_tick, c);
    }
    return c->tick_place != TICK_NO_PLACE;
}

bool conn_update_events(struct conn *c)
{
    uint8_t wanted = c->loop ? tls_wants(c) : 0;

    if (!update_tick(c) && wants_read(c))
        wanted |= POLLER_READ;
    if (wants_write(c))
        wanted |= POLLER_WRITE;
    if (c->is_tls && wants_read(c))
        conn_tls_update(c);
    if (wanted == c->watched)
        return true;
    if (!poller_watch(loop_poller(c->loop), c, c->fd, c->watched, wanted))
        return false;
    c->watched = wanted;
    return true;
}

/* Leaves the loop. */
static void stop_events(struct conn *c)
{
    if (t_conn_calling == c)
        t_conn_calling = NULL;
    if (c->watched)
        poller_watch(loop_poller(c->loop), c, c->fd, c->watched, 0);
    c->watched = 0;
    leave_tick(c);
    if (c->is_tls)
        conn_tls_stop(c);
    else
        conn_connecting_free(c);
}

/* --- public: life --- */

struct conn *conn_new(struct loop *loop, int fd, const struct addr *peer, size_t max_queue_bytes,
                      const struct conn_ops *ops, void *arg)
{
    char text[ADDR_TEXT_SIZE];
    size_t text_size = strlen(addr_format(peer, text)) + 1;
    struct conn *c = calloc(1, sizeof *c + text_size);

    if (!c) {
        close(fd);
        return NULL;
    }
    memcpy(c->own_text, text, text_size);
    c->peer_text = c->own_text;
    c->loop = loop;
    c->ops = ops;
    c->arg = arg;
    c->max_queue_bytes = max_queue_bytes < UINT32_MAX ? (uint32_t)max_queue_bytes : UINT32_MAX;
    c->peer = *peer;
    c->fd = fd;
    c->tick_place = TICK_NO_PLACE;
    c->reading = true;
    c->state = CONN_OPEN;
    return c;
}

struct conn *conn_create(struct loop *loop, int fd, const struct addr *peer, size_t max_queue_bytes,
                         const struct conn_ops *ops, void *arg)
{
    struct conn *c = conn_new(loop, fd, peer, max_queue_bytes, ops, arg);

    if (c && !conn_update_events(c))
        conn_close(&c);
    return c;
}

/* Of all but the descriptor. */
static void conn_free(struct conn *c)
{
    conn_queue_free(c);
    if (c->is_tls)
        conn_tls_free(c->tls);
    if (c->budget)
        conn_budget_give(c->budget, &c->peer);
    if (c->peer_text != c->own_text)
        free(c->peer_text);
    free(c);
}

void conn_close(struct conn **conn)
{
    struct conn *c = *conn;

    *conn = NULL;
    if (!c)
        return;
    stop_events(c);
    close(c->fd);
    conn_free(c);
}

void conn_close_after_flush(struct conn **conn)
{
    struct conn *c = *conn;
    struct buf_writer bytes;

    if (!c || !c->loop || c->state != CONN_OPEN) {
        conn_close(conn);
        return;
    }
    *conn = NULL;
    stop_events(c);
    buf_writer_init(&bytes, SIZE_MAX);
    if (c->is_tls)
        conn_tls_seal(c, &bytes);
    if (c->is_tls || !c->queue)
        linger_start(c->loop, c->fd, &bytes, 0);
    else
        linger_start(c->loop, c->fd, &c->queue->bytes, c->queue->sent_bytes);
    conn_free(c);
}

/* --- public: properties --- */

void conn_charge(struct conn *c, struct conn_budget *budget)
{
    c->budget = budget;
}

enum err conn_set_peer(struct conn *c, const struct addr *peer)
{
    char text[ADDR_TEXT_SIZE];
    char *copy = strdup(addr_format(peer, text));

    if (!copy)
        return E_NOMEM;
    if (c->budget)
        conn_budget_move(c->budget, &c->peer, peer);
    if (c->peer_text != c->own_text)
        free(c->peer_text);
    c->peer_text = copy;
    c->peer = *peer;
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

/* --- public: reading --- */

/* Lends the loop's scratch memory. */
static enum err plain_read(struct conn *c, struct buf_view *got)
{
    uint8_t *scratch = loop_scratch(c->loop);
    ssize_t n;

    do
        n = recv(c->fd, scratch, LOOP_SCRATCH_BYTES, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        c->short_read = n < LOOP_SCRATCH_BYTES;
        *got = buf_view_of(scratch, (size_t)n);
        return E_OK;
    }
    if (n < 0 && errno == EAGAIN)
        return E_AGAIN;
    return n == 0 || errno == ECONNRESET ? E_CLOSED : E_IO;
}

enum err conn_read(struct conn *c, struct buf_view *got)
{
    enum err e;

    *got = buf_view_of(NULL, 0);
    if (c->state != CONN_OPEN)
        return c->state == CONN_BROKEN ? E_CLOSED : E_AGAIN;
    if (c->read_ended)
        return E_CLOSED;
    if (c->short_read || c->n_reads >= READ_BUDGET) { /* what may be left fires the event again */
        c->short_read = false;
        c->n_reads = 0;
        return E_AGAIN;
    }
    e = c->is_tls ? conn_tls_read(c, got) : plain_read(c, got);
    if (e == E_OK) {
        c->n_reads++;
        c->bytes_in += got->size_bytes;
    } else if (e != E_AGAIN) {
        c->read_ended = true; /* or the level-triggered event would fire until the owner closes */
        conn_update_events(c);
    }
    return e;
}

void conn_set_reading(struct conn *c, bool on)
{
    c->reading = on;
    conn_update_events(c);
}

void conn_set_pace(struct conn *c, enum conn_pace pace)
{
    if (c->pace == pace)
        return;
    c->pace = pace;
    conn_update_events(c);
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
    if (c->is_tls)
        conn_tls_adopt(c);
    conn_update_events(c);
}
