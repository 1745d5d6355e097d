/* Connecting: what a connection has before it is one. */
#include "common/net/conn_private.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

void conn_connecting_free(struct conn *c)
{
    if (c->state == CONN_CONNECTING && c->connecting) {
        timer_stop(&c->connecting->timer);
        conn_tls_free(c->connecting->tls);
        free(c->connecting);
        c->connecting = NULL;
    }
}

static void finish(struct conn *c, enum err e)
{
    struct conn_tls *tls = c->connecting->tls;

    if (e == E_OK)
        c->connecting->tls = NULL;
    conn_connecting_free(c);
    c->state = e == E_OK ? CONN_OPEN : CONN_BROKEN;
    c->want_write = e == E_OK && conn_queued_bytes(c) > 0;
    if (e == E_OK && tls) {
        conn_tls_begin(c, tls); /* which tells on_connected */
        return;
    }
    conn_update_events(c);
    if (c->ops->on_connected)
        c->ops->on_connected(c, c->arg, e); /* last statement: c may be gone */
}

void conn_on_connect_result(struct conn *c)
{
    int code = 0;
    socklen_t size = sizeof code;

    if (c->connecting->error != E_OK) /* such a socket is "writable" too */
        finish(c, c->connecting->error);
    else if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &code, &size) != 0)
        finish(c, E_IO);
    else
        finish(c, code == 0 ? E_OK : conn_err_from_errno(code));
}

static void on_timer(struct timer *timer)
{
    struct conn_connecting *connecting = list_entry(timer, struct conn_connecting, timer);

    finish(connecting->conn, connecting->error != E_OK ? connecting->error : E_TIMEOUT);
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
    c->connecting = calloc(1, sizeof *c->connecting);
    if (!c->connecting) {
        conn_close(&c);
        return NULL;
    }
    c->connecting->conn = c;
    timer_init(&c->connecting->timer, loop, on_timer);
    rc = connect(fd, &peer->storage.any, peer->size_bytes);
    if (rc != 0 && errno != EINPROGRESS && errno != EINTR) {
        c->connecting->error = conn_err_from_errno(errno);
        if (c->connecting->error == E_AGAIN) /* connect(2): no free local port */
            c->connecting->error = E_IO;
        timeout_ms = 0;
    } else {
        conn_want_write(c); /* writable says how it went, also when it went at once */
    }
    timer_start_ms(&c->connecting->timer, timeout_ms);
    return c;
}
