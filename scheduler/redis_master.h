/* Follows the master by way of Redis Sentinel: two connections to one sentinel, one that asks once
 * a second, one that hears +switch-master; when either fails, to the next sentinel with jittered
 * back-off. redis_sentinel.c has the rules. Loop thread. */
#ifndef HW_SCHEDULER_REDIS_MASTER_H
#define HW_SCHEDULER_REDIS_MASTER_H

#include "scheduler/redis_link.h"
#include "scheduler/redis_sentinel.h"

struct redis_master; /* opaque */

struct redis_master_conf {
    struct loop *loop;
    const char *const *sentinels; /* "host[:port]" each */
    size_t n_sentinels;
    const char *name;            /* of the master */
    const char *user, *password; /* for the sentinels; "" = none */
    int64_t connect_timeout_ms, command_timeout_ms, retry_ms;
    /* It is at place, lent during the call, from now on. */
    void (*on_moved)(void *arg, const struct redis_place *place);
    void *arg;
};

/* Borrows conf during the call. NULL with *why (static) on a bad list or out of memory. */
struct redis_master *redis_master_create(const struct redis_master_conf *conf, const char **why);
void redis_master_destroy(struct redis_master **master);
/* A connection to the master failed: another sentinel is asked. A NULL master is fine: it has a
 * fixed address. */
void redis_master_doubt(struct redis_master *master);

#endif
