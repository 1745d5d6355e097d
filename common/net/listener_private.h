/* What the files of a listener share: listener.c (sockets, accepting), listener_proxy.c (who is
 * behind a proxy). Private to common/net. */
#ifndef HW_COMMON_NET_LISTENER_PRIVATE_H
#define HW_COMMON_NET_LISTENER_PRIVATE_H

#include <event2/event_struct.h>

#include "common/base/list.h"
#include "common/net/listener.h"

struct listen_socket {
    struct listener *listener;
    struct event ev;
    int fd;
};

struct listener {
    struct loop *loop;
    int spare_fd; /* given up for a moment to take a connection off a full table; -1 = none */
    void (*on_accept)(void *arg, int fd, const struct addr *peer);
    void *arg;
    const struct trust *trust; /* NULL: nobody is a proxy */
    struct list waiting;       /* connections of proxies whose header is not complete */
    unsigned n_waiting;
    struct timer pause; /* the table is full and the spare is lost: try again later */
    unsigned n_sockets;
    struct listen_socket sockets[];
};

/* listener_proxy.c */
void listener_register_proxy_metrics(void);
/* Takes fd, of a proxy: on_accept follows when it is known whose connection it is. */
void listener_await_header(struct listener *l, int fd, const struct addr *proxy);
/* Closes those that wait. */
void listener_drop_waiting(struct listener *l);

#endif
