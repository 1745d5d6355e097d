/* See poller.h. One epoll_wait a turn; what it found is kept until the turn has told it, so that a
 * connection that goes meanwhile can be taken out of it. */
#include "common/net/poller.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/net/conn_private.h"

#define MAX_READY 128 /* a turn; the kernel gives the others their turn first in the next one */

struct poller {
    int epoll_fd;
    bool has_event;
    struct event event; /* epoll_fd is readable: some member is ready */
    int n_ready;        /* 0 outside of on_ready() */
    struct epoll_event ready[MAX_READY];
};

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct poller *poller = arg;

    (void)what;
    poller->n_ready = epoll_wait(fd, poller->ready, MAX_READY, 0);
    for (int i = 0; i < poller->n_ready; i++) {
        uint32_t events = poller->ready[i].events;
        unsigned ready = 0;

        if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
            ready |= POLLER_READ;
        if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
            ready |= POLLER_WRITE;
        if (poller->ready[i].data.ptr)
            conn_on_ready(poller->ready[i].data.ptr, ready);
    }
    poller->n_ready = 0;
}

struct poller *poller_create(struct loop *loop)
{
    struct poller *poller = calloc(1, sizeof *poller);

    if (!poller)
        return NULL;
    poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    poller->has_event = poller->epoll_fd >= 0 &&
                        event_assign(&poller->event, loop_base(loop), poller->epoll_fd,
                                     EV_READ | EV_PERSIST, on_ready, poller) == 0 &&
                        event_add(&poller->event, NULL) == 0;
    if (!poller->has_event)
        poller_destroy(&poller);
    return poller;
}

void poller_destroy(struct poller **poller_ref)
{
    struct poller *poller = *poller_ref;

    *poller_ref = NULL;
    if (!poller)
        return;
    if (poller->has_event)
        event_del(&poller->event);
    if (poller->epoll_fd >= 0)
        close(poller->epoll_fd);
    free(poller);
}

static void forget_ready(struct poller *poller, const struct conn *conn)
{
    for (int i = 0; i < poller->n_ready; i++)
        if (poller->ready[i].data.ptr == conn)
            poller->ready[i].data.ptr = NULL;
}

bool poller_watch(struct poller *poller, struct conn *conn, int fd, unsigned before,
                  unsigned wanted)
{
    struct epoll_event event = {.data.ptr = conn};

    if (wanted & POLLER_READ)
        event.events |= EPOLLIN;
    if (wanted & POLLER_WRITE)
        event.events |= EPOLLOUT;
    if (!wanted) {
        epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        forget_ready(poller, conn);
        return true;
    }
    return epoll_ctl(poller->epoll_fd, before ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) == 0;
}
