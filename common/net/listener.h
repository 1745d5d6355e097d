/* Listening sockets. Every listener is opened on every loop with SO_REUSEPORT, so the kernel
 * spreads connections. Since SO_REUSEPORT hides a port that a second instance uses, the address is
 * first bound once without it. */
#ifndef HW_COMMON_NET_LISTENER_H
#define HW_COMMON_NET_LISTENER_H

#include "common/net/addr.h"
#include "common/net/loop.h"
#include "common/net/trust.h"

struct listener; /* opaque; one per (address, loop); of several sockets after listener_adopt() */

struct listen_error {
    char text[256]; /* "rtmp.listen 0.0.0.0:1935: address already in use" */
};

/* host:port as an address. what names the configuration key for the error. May block for a look-up:
 * for the start of a program only. */
enum err listen_resolve(const char *what, const char *text, struct addr *out,
                        struct listen_error *error);
/* Resolves text ("host:port", port 0 = any) and checks that the port is free. *bound is the address
 * to give to listener_open() on each loop (with the port chosen by the kernel when it was 0). Holds
 * *hold_fd open (the caller closes it after all listeners are open) so that a port chosen by the
 * kernel stays ours. Main thread at start. */
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
/* The same over sockets that listen already, of the process that this one replaces. Takes the n_fds
 * (at least one) descriptors, on failure too. Each is a queue of its own that must be accepted
 * from, so a process with fewer loops has several of them on one. */
struct listener *listener_adopt(struct loop *loop, const int *fds, unsigned n_fds,
                                void (*on_accept)(void *arg, int fd, const struct addr *peer),
                                void *arg, struct listen_error *error);
/* Its sockets, for a process that replaces this one: lent until listener_close(). The queue of a
 * socket that another process has, too, outlives the close. Returns how many there are; out gets at
 * most max. Any thread while nobody closes it. */
unsigned listener_fds(const struct listener *l, int *out, unsigned max);
void listener_close(struct listener **l); /* loop thread, or loop not running */

/* Who of these connects may say by the PROXY protocol who its client is: on_accept then gets the
 * client's address as peer, as if the proxy were not there, and the first byte behind the header. A
 * connection of theirs that begins with something else is accepted as it is, under the proxy's
 * address. A broken header, or none within LISTENER_HEADER_MS, closes it; counted and logged. A
 * client that is no proxy cannot lie: its header is the first bytes of its protocol. Borrows trust
 * until listener_close(). */
#define LISTENER_HEADER_MS 10000
void listener_set_proxies(struct listener *l, const struct trust *trust);

/* Raises RLIMIT_NOFILE to the hard limit; returns how many connections may be open (limit - 64). */
long net_raise_nofile(void);

#endif
