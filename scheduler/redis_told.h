/* Settings in Redis: hw:set:<kind> is a hash of ids, each with a message of one setting; hw:sets
 * the kinds. Writers compare versions in a script, which tells the other schedulers in the same
 * step. Loop thread. */
#ifndef HW_SCHEDULER_REDIS_TOLD_H
#define HW_SCHEDULER_REDIS_TOLD_H

#include "scheduler/redis_link.h"
#include "scheduler/redis_log.h"
#include "scheduler/store.h"

struct redis_told {
    struct redis_link *link; /* borrowed */
    const struct redis_log *log;
    const struct store_watch *watch;
    unsigned n_reading; /* questions under way: at 0 all was read */
    int64_t retry_ms;
    struct timer refused; /* Redis has refused to write one: when it is tried again */
};

/* link and log follow before the link is up. */
void redis_told_init(struct redis_told *t, struct loop *loop, int64_t retry_ms,
                     const struct store_watch *watch);

/* As in store.h. */
void redis_told_put(struct redis_told *t, const struct cluster_setting *setting);
void redis_told_drop(struct redis_told *t, const struct cluster_setting *setting);
/* Tells the watch of all that is there, then on_settings_read(). */
void redis_told_read_all(struct redis_told *t);
/* The link went down, or is about to go. */
void redis_told_forget(struct redis_told *t);

#endif
