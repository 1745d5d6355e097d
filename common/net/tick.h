/* Sockets read together: each waits in an epoll set of its own kind, which a timer looks at once a
 * tick. Reading many busy publishers this way costs one wake-up a tick instead of
 * one for each of their packets. Private to common/net; loop thread. */
#ifndef HW_COMMON_NET_TICK_H
#define HW_COMMON_NET_TICK_H

#include "common/net/loop.h"

#define TICK_NO_PLACE UINT32_MAX

struct tick; /* opaque; see loop_tick() */

/* Returns an empty set, or NULL. Its ticks come at multiples of length_ms, and phase_ms later. */
struct tick *tick_create(struct loop *loop, unsigned length_ms, unsigned phase_ms);
/* Takes *tick; members are forgotten. */
void tick_destroy(struct tick **tick);

/* From the next tick on calls run(arg) once in each tick in which fd has bytes, its end or an
 * error. run() may add and remove any member. Borrows fd until tick_remove(), which comes before
 * fd is closed. Returns the member's place, or TICK_NO_PLACE when there is no memory for it. */
uint32_t tick_add(struct tick *tick, int fd, void (*run)(void *arg), void *arg);
void tick_remove(struct tick *tick, uint32_t place);

#endif
