/* The event log that schedulers share: XADD by whoever took a publish, XREAD BLOCK by all, from the
 * last id seen, so that a scheduler that was away misses nothing. A log that ends before that id
 * has lost writes: it is read again from some time before its end, and what it holds are old
 * events. Only owners are told from old events; what is an order (kick, drain, ...) counts when it
 * is new. Loop thread. */
#ifndef HW_SCHEDULER_REDIS_LOG_H
#define HW_SCHEDULER_REDIS_LOG_H

#include "scheduler/redis_link.h"
#include "scheduler/store.h"

struct redis_log; /* opaque */

/* Opens a connection of its own after conf, of which on_failed(arg) is called; name, on_up and
 * on_down are replaced. watch is borrowed. on_positioned(arg) is called whenever reading starts.
 * NULL when out of memory. */
struct redis_log *redis_log_create(const struct redis_link_conf *conf,
                                   const struct store_watch *watch,
                                   void (*on_positioned)(void *arg));
/* After the link that was appended over. */
/* What this log signs its events with; lent. */
const char *redis_log_self(const struct redis_log *log);
void redis_log_destroy(struct redis_log **log);
/* The target changed, or Redis was emptied: connects again and looks where the log ends. */
void redis_log_restart(struct redis_log *log);
bool redis_log_is_positioned(const struct redis_log *log);
/* Appends over link, a connection that does not block. While it is down, what nobody else would
 * ever say again is kept: not who owns a stream (the next reports do), not a kick (that would hit
 * somebody else by then). */
void redis_log_append(struct redis_log *log, struct redis_link *link,
                      const struct store_event *event);
/* The link is up: appends what was kept. */
void redis_log_append_kept(struct redis_log *log, struct redis_link *link);

#endif
