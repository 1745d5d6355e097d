/* Simulated Redis: a primary and a replica behind sentinels, each a process on a host of its own.
 * Everything that schedulers say to it and hear from it is RESP, read by hiredis; the real
 * redis_link.c, redis_sentinel.c and store_redis.c are on the other side (sim_hiredis.c stands in
 * for the sockets of hiredis).
 *
 * The primary answers from memory and replicates with a lag, so a failover loses the last writes.
 * A primary that was cut off goes on as one, as in Redis, until the sentinels reach it. */
#ifndef HW_TESTS_SIM_SIM_REDIS_H
#define HW_TESTS_SIM_SIM_REDIS_H

#include <hiredis/hiredis.h>

#include "common/base/buf.h"
#include "common/base/map.h"
#include "tests/sim/sim_net.h"

#define SIM_REDIS_PORT 6379
#define SIM_SENTINEL_PORT 26379
#define SIM_REDIS_MASTER "hw"
#define SIM_N_REDIS 2
#define SIM_N_SENTINELS 3

/* Two Redis hosts and the sentinels' hosts. */
void sim_redis_start(void);
const struct sim_host *sim_redis_host(unsigned i); /* i < SIM_N_REDIS */
const struct sim_host *sim_sentinel_host(unsigned i);

/* --- faults --- */
void sim_redis_wipe(void);   /* FLUSHALL on the primary */
void sim_redis_crash(void);  /* the primary is killed; it keeps nothing */
void sim_redis_revive(void); /* it starts again, empty, still the primary for the sentinels */
void sim_redis_freeze(void);
void sim_redis_thaw(void);
/* The replica becomes the primary. The old one, if it runs, takes writes for old_for_us more; then
 * it is made a replica: its connections are closed and what only it had is gone. */
void sim_redis_fail_over(int64_t old_for_us);
void sim_redis_set_lag(int64_t max_us);

/* --- what was asked --- */
struct sim_redis_count {
    uint64_t n_commands, n_by_kind[16];
};
extern struct sim_redis_count sim_redis_count;
const char *sim_redis_kind(unsigned i); /* name of n_by_kind[i]; NULL at the end */

/* --- private to sim_redis*.c --- */

struct sim_redis_value {
    char *text;
    int64_t expires_us; /* of the host's wall clock; INT64_MAX = never */
};

struct sim_redis_entry { /* of the stream */
    struct list node;
    uint64_t ms, number;
    redisReply *words; /* owned: the command that added it; fields follow the id */
    size_t first_field;
};

struct sim_redis_db {
    struct map keys; /* struct sim_redis_value */
    struct map ids;  /* the one set, hw:nodes; values are the map itself */
    struct list log; /* the one stream, hw:events */
    uint64_t last_ms, last_number;
};

/* A write, as the replica gets it. */
enum sim_redis_write_kind {
    SIM_REDIS_SET,
    SIM_REDIS_DEL,
    SIM_REDIS_SADD,
    SIM_REDIS_SREM,
    SIM_REDIS_XADD,
    SIM_REDIS_FLUSH
};
struct sim_redis_write {
    struct list node;
    enum sim_redis_write_kind kind;
    int64_t due_us;
    char *key, *text; /* owned */
    int64_t expires_us;
    uint64_t ms, number;
    redisReply *words; /* owned: XADD */
    size_t first_field;
};

/* sim_redis_db.c */
void sim_redis_db_init(struct sim_redis_db *db);
void sim_redis_db_clear(struct sim_redis_db *db);
void sim_redis_db_copy(struct sim_redis_db *to, const struct sim_redis_db *from);
/* Takes write->words. */
void sim_redis_apply(struct sim_redis_db *db, struct sim_redis_write *write);
void sim_redis_write_free(struct sim_redis_write *write);
redisReply *sim_redis_copy_words(const redisReply *words);

struct sim_redis; /* an instance; sim_redis.c */
struct sim_redis_db *sim_redis_db(struct sim_redis *redis);
int64_t sim_redis_wall_us(const struct sim_redis *redis);
/* The replication id: another one after each start and each promotion. */
uint64_t sim_redis_history(const struct sim_redis *redis);
/* Takes what *write owns. */
void sim_redis_write(struct sim_redis *redis, const struct sim_redis_write *write);
/* Lent; NULL when the key is not there, or its time is over. */
const char *sim_redis_get(struct sim_redis *redis, const char *key);

/* sim_redis_commands.c: writes the answer of a command as RESP. False: it waits for an event of the
 * stream after (*ms, *number), for *block_ms at most. May take the stream's new entry from *words
 * and leave NULL. */
struct sim_redis_wait {
    uint64_t ms, number;
    size_t count; /* at most so many at once */
    int64_t block_ms;
};
bool sim_redis_command(struct sim_redis *redis, redisReply **words, struct buf_writer *out,
                       struct sim_redis_wait *wait);
/* Answers a waiting XREAD. False: there is nothing yet. */
bool sim_redis_read(struct sim_redis *redis, const struct sim_redis_wait *wait,
                    struct buf_writer *out);
/* k_redis_claim and the others, as the Lua scripts of scheduler/redis_keys.c do it. words: EVAL
 * script 1 key arguments... */
void sim_redis_eval(struct sim_redis *redis, const redisReply *words, struct buf_writer *out);

/* RESP */
void sim_resp_bulk(struct buf_writer *out, const char *text);
void sim_resp_array(struct buf_writer *out, size_t n);

#endif
