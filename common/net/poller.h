/* The sockets of a loop's connections, in an epoll set of their own that libevent watches as one
 * descriptor. libevent would hold 168 bytes for each of them, more than the rest of a connection
 * needs; here it is the kernel's entry alone. Private to common/net; loop thread. */
#ifndef HW_COMMON_NET_POLLER_H
#define HW_COMMON_NET_POLLER_H

#include "common/net/loop.h"

struct poller; /* opaque; one a loop, see loop_poller() */
struct conn;

/* What a socket is watched for, and what conn_on_ready() is told. */
enum { POLLER_READ = 1, POLLER_WRITE = 2 };

/* Returns an empty set, or NULL. */
struct poller *poller_create(struct loop *loop);
/* Takes *poller; members are forgotten. */
void poller_destroy(struct poller **poller);

/* Changes for what conn's fd is watched: POLLER_* bits, 0 = not a member. From the next turn on
 * conn_on_ready(conn, what) is called while fd is ready for some of it; its end and errors count
 * as both. Level-triggered. Without fd as a member, nothing is called any more, not even for what
 * was found in this turn. Borrows fd and conn while it is one. False when the kernel has no memory
 * for a new member, which it then is not. */
bool poller_watch(struct poller *poller, struct conn *conn, int fd, unsigned before,
                  unsigned wanted);

#endif
