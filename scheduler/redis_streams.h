/* Stream keys in Redis: who owns what. The calls of the store, and the reading of all of them after
 * each connect. Loop thread. */
#ifndef HW_SCHEDULER_REDIS_STREAMS_H
#define HW_SCHEDULER_REDIS_STREAMS_H

#include "common/base/list.h"
#include "scheduler/redis_link.h"
#include "scheduler/store.h"

struct redis_streams {
    struct redis_link *link; /* borrowed */
    const struct store_watch *watch;
    void (*announce)(void *arg, const struct store_event *event); /* to the other schedulers */
    void *arg;
    struct list refreshes; /* struct refresh, owned: waiting for their slice */
    struct timer drain;
    unsigned n_slice; /* sent in this slice */
    bool is_scanning;
};

void redis_streams_init(struct redis_streams *s, struct loop *loop, const struct store_watch *watch,
                        void (*announce)(void *arg, const struct store_event *event), void *arg);
void redis_streams_fini(struct redis_streams *s);
/* The link went down: nothing waits any more. */
void redis_streams_forget(struct redis_streams *s);

/* As in store.h. */
void redis_streams_claim(struct redis_streams *s, const struct store_claim *claim, store_done *done,
                         void *arg);
void redis_streams_release(struct redis_streams *s, const struct stream_name *name,
                           const struct store_owner *owner, store_done *done, void *arg);
void redis_streams_lookup(struct redis_streams *s, const struct stream_name *name, store_done *done,
                          void *arg);
/* What was granted while Redis was away, here or elsewhere, is heard of by this: a refresh that
 * changes the key is announced, one that is refused gives the newer owner as an old event. */
void redis_streams_refresh(struct redis_streams *s, const struct stream_name *name,
                           const struct store_owner *owner);

/* Reads all owners and tells them as old events. Once the position in the event log is known: what
 * is read from there on misses nothing. */
void redis_streams_read_all(struct redis_streams *s);

#endif
