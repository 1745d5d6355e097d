/* Redis Sentinel: which of the sentinels is asked, and what they say about where the master is.
 * hiredis has no client for it. "Guidelines for Redis clients with support for Redis Sentinel": ask
 * one after the other, take the first answer, check the role of what was named, and ask again
 * whenever it fails. Sans I/O; redis_master.c has the connections and the time.
 *
 *   ASKED --answer--> TOLD --more answers, messages--> TOLD
 *   any --failed()--> ASKED, the next one        TOLD --doubted()--> ASKED, the next one */
#ifndef HW_SCHEDULER_REDIS_SENTINEL_H
#define HW_SCHEDULER_REDIS_SENTINEL_H

#include <stdbool.h>
#include <stddef.h>

#include <hiredis/hiredis.h>

#include "common/base/err.h"

#define REDIS_MAX_SENTINELS 16
#define REDIS_MASTER_NAME_SIZE 128

struct redis_place { /* host "" = not known */
    char host[256];
    unsigned port;
};

enum redis_sentinels_state {
    REDIS_SENTINELS_ASKED, /* the current one has not answered yet */
    REDIS_SENTINELS_TOLD   /* it has named the master */
};

struct redis_sentinels {
    struct redis_place places[REDIS_MAX_SENTINELS];
    size_t n_places, at;
    char name[REDIS_MASTER_NAME_SIZE]; /* of the master */
    enum redis_sentinels_state state;
    struct redis_place master;
    unsigned n_failures; /* in a row; for the back-off */
};

enum redis_sentinels_said {
    REDIS_SENTINELS_NOTHING, /* about another master, or not about where it is */
    REDIS_SENTINELS_SAME,
    REDIS_SENTINELS_MOVED,  /* the master is somewhere else than before */
    REDIS_SENTINELS_USELESS /* it does not know the master, or refuses to say */
};

/* Borrows the texts, "host[:port]" each. E_INVAL with *why (static). */
enum err redis_sentinels_init(struct redis_sentinels *s, const char *const *places, size_t n_places,
                              const char *name, const char **why);
/* The one to ask. Lent until the next call. */
const struct redis_place *redis_sentinels_current(const struct redis_sentinels *s);

/* Answer of SENTINEL get-master-addr-by-name. */
enum redis_sentinels_said redis_sentinels_answer(struct redis_sentinels *s,
                                                 const redisReply *reply);
/* What came on the channel +switch-master. */
enum redis_sentinels_said redis_sentinels_message(struct redis_sentinels *s,
                                                  const redisReply *reply);

/* The current one cannot be reached, went away or is of no use: the next one is current. */
void redis_sentinels_failed(struct redis_sentinels *s);
/* The master that was named does not answer, or is none. False, and nothing changes, while the
 * current one has not said anything yet. */
bool redis_sentinels_doubted(struct redis_sentinels *s);

#endif
