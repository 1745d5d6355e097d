/* The store: what schedulers share. Nodes are the truth, the store is an index: losing it loses
 * nothing that two heartbeats do not bring back. Two kinds behind one interface: memory (this
 * scheduler alone) and Redis. Loop thread.
 *
 * Answers may come before the call returns. Every call with a done() answers exactly once, at
 * store_destroy() at the latest (E_CLOSED). */
#ifndef HW_SCHEDULER_STORE_H
#define HW_SCHEDULER_STORE_H

#include "common/net/loop.h"
#include "proto/cluster/cluster.h"

struct store;

struct store_owner { /* of a stream; node "" = nobody */
    char node[CLUSTER_ID_SIZE];
    uint64_t instance, epoch;
    uint64_t run; /* of the encoder's session; 0 = not known */
};

struct store_claim {
    struct stream_name name;
    char node[CLUSTER_ID_SIZE];
    uint64_t instance;
    uint64_t known_epoch;   /* of the owner that the decision was made against; 0 = none */
    uint64_t highest_epoch; /* ever seen here; the new one is above it (epoch.h) */
    uint64_t run;           /* kept with the owner, and announced with it */
};

struct store_event {              /* from another scheduler */
    enum cluster_event_type type; /* any but PING */
    struct stream_name name;      /* "" where the event is about a node alone */
    struct store_owner owner;     /* node and epoch of the event, and the instance of the node */
    bool is_old; /* read from what is kept, not said just now: PUBLISHED and ENDED alone */
};

/* Called by the store; must not destroy it. */
struct store_watch {
    /* Reachable or not; said once a change. A store of memory is always up and says nothing. */
    void (*on_state)(void *arg, bool is_up);
    /* It is empty: everything has to be written again. */
    void (*on_emptied)(void *arg);
    /* Another scheduler's news about a node, about once a second each. */
    void (*on_node)(void *arg, const struct cluster_heartbeat *node);
    void (*on_event)(void *arg, const struct store_event *event);
    /* What the store holds of what operators told, old and new; items may be taken out of m. */
    void (*on_settings)(void *arg, struct cluster_settings *m);
    /* All of it was said: what is known here and was not is to be put. */
    void (*on_settings_read)(void *arg);
    /* It would not write some that were put: all that it has is said next, on_settings_read() then.
     */
    void (*on_settings_refused)(void *arg);
    /* How many nodes were needed, as it is kept; lent, no bytes: nothing is. About once a second;
     * may be NULL. */
    void (*on_scale)(void *arg, struct buf_view json);
    void *arg;
};

/* E_OK with the owner now (claim: the asker with its new epoch); E_STALE: somebody newer owns the
 * stream, see *owner; E_NOT_FOUND; E_IO, E_TIMEOUT, E_CLOSED: the store could not be asked. owner
 * is lent during the call. */
typedef void store_done(void *arg, enum err e, const struct store_owner *owner);

struct store_ops {
    void (*destroy)(struct store *store);
    bool (*is_up)(const struct store *store);
    /* One write for a heartbeat: m, which has no streams and standbys, for lease_ms. */
    void (*put_node)(struct store *store, const struct cluster_heartbeat *m, int64_t lease_ms);
    /* Takes the stream for (node, instance) with a new epoch, unless an owner newer than
     * known_epoch is there. */
    void (*claim)(struct store *store, const struct store_claim *claim, store_done *done,
                  void *arg);
    /* Gives it up, if that owner still has it with that epoch or a lower one; E_STALE otherwise. */
    void (*release)(struct store *store, const struct stream_name *name,
                    const struct store_owner *owner, store_done *done, void *arg);
    void (*lookup)(struct store *store, const struct stream_name *name, store_done *done,
                   void *arg);
    /* Writes what a node reports as its own, unless somebody newer is there. No answer. */
    void (*refresh)(struct store *store, const struct stream_name *name,
                    const struct store_owner *owner);
    /* Tells the other schedulers. */
    void (*announce)(struct store *store, const struct store_event *event);
    /* Writes it unless a newer one is there, which on_settings() says then; tells the others. */
    void (*put_setting)(struct store *store, const struct cluster_setting *setting);
    /* Forgets it, if it has that version still: it has ended. */
    void (*drop_setting)(struct store *store, const struct cluster_setting *setting);
    /* Keeps how many nodes were needed (autoscale_past_write()). */
    void (*put_scale)(struct store *store, struct buf_view json);
};

struct store { /* first member of each kind */
    const struct store_ops *ops;
    struct store_watch watch;
};

struct store_redis_conf {
    const char *url;      /* redis://[user@]host[:port][/database], unix:///path */
    const char *password; /* "" = none; copied, as all texts here */
    /* With sentinels the host and port of the URL are not used: they know where master is. */
    const char *const *sentinels; /* "host[:port]" each */
    size_t n_sentinels;
    const char *master;
    const char *sentinel_user, *sentinel_password; /* "" = none */
    int64_t connect_timeout_ms, command_timeout_ms;
    int64_t retry_ms; /* first retry; doubled up to 4 times of it, jittered */
    int64_t poll_ms;  /* how often nodes are read */
};
extern const struct store_redis_conf k_store_redis_default; /* texts are "", no sentinels */

/* Pair with store_destroy(). NULL when out of memory. */
struct store *store_memory_create(const struct store_watch *watch);
/* Borrows conf. Connects by itself; NULL with *why (static) on a bad URL or out of memory. */
struct store *store_redis_create(struct loop *loop, const struct store_redis_conf *conf,
                                 const struct store_watch *watch, const char **why);
/* Takes *store; a NULL *store is fine. */
void store_destroy(struct store **store);

#endif
