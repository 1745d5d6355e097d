/* The event log that schedulers share: XADD by whoever took a publish, XREAD BLOCK by all, from the
 * last id seen, so that a scheduler that was away misses nothing. Loop thread. */
#ifndef HW_SCHEDULER_REDIS_LOG_H
#define HW_SCHEDULER_REDIS_LOG_H

#include "scheduler/redis_link.h"
#include "scheduler/store.h"

struct redis_log; /* opaque */

/* Opens a connection of its own after conf (name, callbacks and arg are replaced). watch is
 * borrowed. on_positioned(arg) is called whenever reading starts. NULL when out of memory. */
struct redis_log *redis_log_create(const struct redis_link_conf *conf,
                                   const struct store_watch *watch,
                                   void (*on_positioned)(void *arg), void *arg);
void redis_log_destroy(struct redis_log **log);
bool redis_log_is_positioned(const struct redis_log *log);
/* Redis was emptied: its ids may start again below the last one seen. */
void redis_log_rewind(struct redis_log *log);
/* Appends over link, a connection that does not block. */
void redis_log_append(struct redis_log *log, struct redis_link *link,
                      const struct store_event *event);

#endif
