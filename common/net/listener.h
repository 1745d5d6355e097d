/* Listening sockets. Every listener is opened on every loop with SO_REUSEPORT, so the kernel
 * spreads connections. Since SO_REUSEPORT hides a port that a second instance uses, the address is
 * first bound once without it. */
#ifndef HW_COMMON_NET_LISTENER_H
#define HW_COMMON_NET_LISTENER_H

#include "common/net/addr.h"
#include "common/net/loop.h"

struct listener; /* opaque; one per (address, loop) */

struct listen_error {
    char text[256]; /* "rtmp.listen 0.0.0.0:1935: address already in use" */
};

/* Resolves text ("host:port", port 0 = any) and checks that the port is free. *bound is the address
 * to give to listener_open() on each loop (with the port chosen by the kernel when it was 0).
 * what names the configuration key for the error. Holds *hold_fd open (the caller closes it after
 * all listeners are open) so that a port chosen by the kernel stays ours. Main thread at start. */
enum err listen_reserve(const char *what, const char *text, struct addr *bound, int *hold_fd,
                        struct listen_error *error);

/* Accepts in batches on the loop: accept4, non-blocking, close-on-exec; TCP_NODELAY and
 * TCP_NOTSENT_LOWAT (128 KiB) are inherited from the listening socket, so a connection costs one
 * system call. on_accept takes fd. A full
 * descriptor table is answered with a spare descriptor: the connection is accepted and closed, so
 * that accept does not spin; counted and logged once a minute. */
struct listener *listener_open(struct loop *loop, const struct addr *bound,
                               void (*on_accept)(void *arg, int fd, const struct addr *peer),
                               void *arg, struct listen_error *error);
void listener_close(struct listener **l); /* loop thread, or loop not running */

/* Raises RLIMIT_NOFILE to the hard limit; returns how many connections may be open (limit - 64). */
long net_raise_nofile(void);

#endif
