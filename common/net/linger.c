/* See linger.h: what conn_close_after_flush() leaves behind. It needs no owner but the loop. */
#include "common/net/linger.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#define LINGER_MS 2000      /* for each step forward in sending, and once for the peer's end */
#define LINGER_MAX_STEPS 15 /* a peer that takes a byte now and then is let go after 30 s */
#define LINGER_READS 16     /* per wake-up; then other sockets have their turn */

struct lingerer { /* "struct linger" is the option of SO_LINGER */
    struct loop_exit at_exit;
    struct timer timer;
    struct loop *loop;
    struct event read_ev;
    struct event write_ev;
    struct buf_writer queue;
    size_t sent_bytes;
    int fd;
    unsigned n_steps;
};

static void linger_end(struct lingerer *l)
{
    loop_exit_remove(&l->at_exit);
    timer_stop(&l->timer);
    event_del(&l->read_ev);
    event_del(&l->write_ev);
    buf_writer_fini(&l->queue);
    close(l->fd);
    free(l);
}

static void on_exit_loop(struct loop_exit *entry)
{
    linger_end(list_entry(entry, struct lingerer, at_exit));
}

static void on_timeout(struct timer *timer)
{
    linger_end(list_entry(timer, struct lingerer, timer));
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct lingerer *l = arg;
    ssize_t n = 1;

    (void)what;
    for (int i = 0; i < LINGER_READS && n > 0; i++)
        n = recv(fd, loop_scratch(l->loop), LOOP_SCRATCH_BYTES, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        linger_end(l);
}

/* False when the connection broke. Half-closes once everything is sent. */
static bool send_rest(struct lingerer *l)
{
    size_t before_bytes = l->sent_bytes;

    while (l->sent_bytes < l->queue.used_bytes) {
        ssize_t n = send(l->fd, l->queue.data + l->sent_bytes, l->queue.used_bytes - l->sent_bytes,
                         MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            return false;
        if (n < 0)
            break;
        l->sent_bytes += (size_t)n;
    }
    if (l->sent_bytes > before_bytes && ++l->n_steps <= LINGER_MAX_STEPS)
        timer_start_ms(&l->timer, LINGER_MS);
    if (l->sent_bytes < l->queue.used_bytes)
        return event_add(&l->write_ev, NULL) == 0;
    event_del(&l->write_ev);
    buf_writer_fini(&l->queue);
    l->sent_bytes = 0;
    return shutdown(l->fd, SHUT_WR) == 0;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct lingerer *l = arg;

    (void)fd, (void)what;
    if (!send_rest(l))
        linger_end(l);
}

void linger_start(struct loop *loop, int fd, struct buf_writer *queue, size_t sent_bytes)
{
    struct lingerer *l = calloc(1, sizeof *l);
    struct buf_writer taken = *queue;

    buf_writer_init(queue, taken.max_bytes);
    if (!l) {
        buf_writer_fini(&taken);
        close(fd);
        return;
    }
    l->loop = loop;
    l->fd = fd;
    l->queue = taken;
    l->sent_bytes = sent_bytes;
    l->at_exit.run = on_exit_loop;
    loop_exit_add(loop, &l->at_exit);
    timer_init(&l->timer, loop, on_timeout);
    timer_start_ms(&l->timer, LINGER_MS);
    event_assign(&l->read_ev, loop_base(loop), fd, EV_READ | EV_PERSIST, on_readable, l);
    event_assign(&l->write_ev, loop_base(loop), fd, EV_WRITE | EV_PERSIST, on_writable, l);
    if (event_add(&l->read_ev, NULL) != 0 || !send_rest(l))
        linger_end(l);
}
