/* Redis instances, their replication, and the sentinels. */
#include "tests/sim/sim_redis.h"

#include <stdlib.h>
#include <string.h>

#include "common/net/loop.h"

struct session {      /* a client's connection */
    struct list node; /* in redis->sessions */
    struct sim_redis *redis;
    struct sim_end *end;
    redisReader *reader;
    bool is_waiting; /* XREAD BLOCK */
    struct sim_redis_wait wait;
    struct timer timer;
    bool is_subscribed; /* to +switch-master */
};

struct sim_redis { /* an instance, or a sentinel */
    struct sim_host *host;
    struct sim_process *process; /* NULL: killed */
    struct loop *loop;
    bool is_sentinel, is_primary;
    uint64_t history;
    struct list sessions;
    struct sim_redis_db db;
};

static struct {
    struct sim_redis redis[SIM_N_REDIS];
    struct sim_redis sentinels[SIM_N_SENTINELS];
    unsigned primary;       /* as the sentinels say */
    struct list to_replica; /* struct sim_redis_write, in order */
    int64_t lag_us;
    bool is_pumping; /* an event for the first of to_replica is under way */
} g;

struct sim_redis_count sim_redis_count;

static void *need(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

struct sim_redis_db *sim_redis_db(struct sim_redis *redis)
{
    return &redis->db;
}

int64_t sim_redis_wall_us(const struct sim_redis *redis)
{
    (void)redis; /* its own code runs */
    return clock_wall_us();
}

uint64_t sim_redis_history(const struct sim_redis *redis)
{
    return redis->history;
}

const char *sim_redis_get(struct sim_redis *redis, const char *key)
{
    const struct sim_redis_value *value = map_get(&redis->db.keys, key);

    return value && value->expires_us > sim_redis_wall_us(redis) ? value->text : NULL;
}

/* --- replication --- */

static void pump(void *arg);

static void pump_soon(int64_t at_us)
{
    g.is_pumping = true;
    sim_at(at_us, NULL, (struct sim_task){.run = pump});
}

static void pump(void *arg)
{
    struct sim_redis *replica = &g.redis[!g.primary], *primary = &g.redis[g.primary];
    struct list *node;

    (void)arg;
    g.is_pumping = false;
    while (!list_is_empty(&g.to_replica)) {
        struct sim_redis_write *w = list_entry(g.to_replica.next, struct sim_redis_write, node);

        if (w->due_us > sim_now_us() || sim_net_is_cut(primary->host, replica->host)) {
            pump_soon(w->due_us > sim_now_us() ? w->due_us : sim_now_us() + 100000);
            return;
        }
        node = list_pop_front(&g.to_replica);
        sim_redis_apply(&replica->db, w);
        sim_redis_write_free(list_entry(node, struct sim_redis_write, node));
    }
}

static void drop_replication(void)
{
    struct list *node;

    while ((node = list_pop_front(&g.to_replica)))
        sim_redis_write_free(list_entry(node, struct sim_redis_write, node));
}

static void wake_readers(struct sim_redis *redis);

void sim_redis_write(struct sim_redis *redis, const struct sim_redis_write *write)
{
    struct sim_redis_write *w = need(malloc(sizeof *w)), *late;

    *w = *write;
    if (redis == &g.redis[g.primary]) { /* a stale primary has nobody to tell */
        late = need(malloc(sizeof *late));
        *late = *write;
        late->due_us = sim_now_us() + (g.lag_us ? sim_between(0, g.lag_us) : 0);
        if (!list_is_empty(&g.to_replica)) { /* in order */
            int64_t last_us = list_entry(g.to_replica.prev, struct sim_redis_write, node)->due_us;

            late->due_us = late->due_us > last_us ? late->due_us : last_us;
        }
        late->key = w->key ? need(strdup(w->key)) : NULL;
        late->text = w->text ? need(strdup(w->text)) : NULL;
        late->words = w->words ? sim_redis_copy_words(w->words) : NULL;
        list_push_back(&g.to_replica, &late->node);
        if (!g.is_pumping)
            pump_soon(late->due_us);
    }
    sim_redis_apply(&redis->db, w);
    sim_redis_write_free(w);
    wake_readers(redis);
}

/* --- sessions --- */

static void session_free(struct session *s)
{
    list_remove(&s->node);
    timer_stop(&s->timer);
    sim_close(&s->end);
    redisReaderFree(s->reader);
    free(s);
}

static void reply(struct session *s, struct buf_writer *out)
{
    if (out->used_bytes)
        sim_send(s->end, buf_writer_view(out));
    buf_writer_fini(out);
}

static void on_wait_over(struct timer *timer)
{
    struct session *s = list_entry(timer, struct session, timer);
    struct buf_writer out;

    s->is_waiting = false;
    buf_writer_init(&out, SIZE_MAX);
    buf_write_str(&out, "*-1\r\n");
    reply(s, &out);
}

static void wake_readers(struct sim_redis *redis)
{
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &redis->sessions) {
        struct session *s = list_entry(node, struct session, node);
        struct buf_writer out;

        buf_writer_init(&out, SIZE_MAX);
        if (s->is_waiting && sim_redis_read(redis, &s->wait, &out)) {
            s->is_waiting = false;
            timer_stop(&s->timer);
        }
        reply(s, &out);
    }
}

/* What a sentinel, and both kinds at the greeting, are asked. False: some other command. */
static bool say_role(struct session *s, const redisReply *words, struct buf_writer *out)
{
    const char *word = words->element[0]->str;
    const struct sim_redis *redis = s->redis;

    if (strcmp(word, "PING") == 0) {
        buf_write_str(out, "+PONG\r\n");
    } else if (strcmp(word, "ROLE") == 0) {
        sim_resp_array(out, 1);
        sim_resp_bulk(out, redis->is_sentinel  ? "sentinel"
                           : redis->is_primary ? "master"
                                               : "slave");
    } else if (redis->is_sentinel && strcmp(word, "SENTINEL") == 0) {
        sim_resp_array(out, 2);
        sim_resp_bulk(out, g.redis[g.primary].host->address);
        sim_resp_bulk(out, "6379");
    } else if (redis->is_sentinel && strcmp(word, "SUBSCRIBE") == 0) {
        s->is_subscribed = true;
        sim_resp_array(out, 3);
        sim_resp_bulk(out, "subscribe");
        sim_resp_bulk(out, words->element[1]->str);
        buf_write_str(out, ":1\r\n");
    } else {
        return false;
    }
    return true;
}

static void tell_command(const struct session *s, const redisReply *words)
{
    char text[400] = "";
    size_t used = 0;

    for (size_t i = 0; i < words->elements && used < sizeof text - 1; i++)
        if (strlen(words->element[i]->str) < 100) /* no scripts */
            used +=
                (size_t)snprintf(text + used, sizeof text - used, " %s", words->element[i]->str);
    sim_detail("%s:%s", sim_peer(s->end)->name, text);
}

/* Takes words. */
static void run_command(struct session *s, redisReply *words)
{
    struct buf_writer out;

    tell_command(s, words);
    buf_writer_init(&out, SIZE_MAX);
    if (!say_role(s, words, &out)) {
        sim_redis_count.n_commands++;
        s->is_waiting = !sim_redis_command(s->redis, &words, &out, &s->wait);
        if (s->is_waiting)
            timer_start_ms(&s->timer, s->wait.block_ms);
    }
    reply(s, &out);
    if (words)
        freeReplyObject(words);
}

static void on_bytes(void *arg, struct buf_view bytes)
{
    struct session *s = arg;
    void *words = NULL;

    redisReaderFeed(s->reader, (const char *)bytes.data, bytes.size_bytes);
    while (redisReaderGetReply(s->reader, &words) == REDIS_OK && words)
        run_command(s, words);
}

static void on_closed(void *arg)
{
    struct session *s = arg;

    s->end = NULL;
    session_free(s);
}

static const struct sim_end_ops k_ops = {NULL, on_bytes, NULL, on_closed};

static void on_accept(void *arg, struct sim_end *end)
{
    struct sim_redis *redis = arg;
    struct session *s = need(calloc(1, sizeof *s));

    s->redis = redis;
    s->end = end;
    s->reader = need(redisReaderCreate());
    timer_init(&s->timer, redis->loop, on_wait_over);
    list_push_back(&redis->sessions, &s->node);
    sim_end_own(end, &k_ops, s);
}

/* --- instances --- */

static void instance_start(struct sim_redis *redis)
{
    struct sim_process *before;

    redis->process = sim_process_start(redis->host, redis->host->name);
    before = sim_enter(redis->process);
    redis->loop = loop_create("redis", 0);
    sim_leave(before);
    redis->history = sim_random();
    list_init(&redis->sessions);
    (void)sim_listen(redis->process, redis->is_sentinel ? SIM_SENTINEL_PORT : SIM_REDIS_PORT,
                     on_accept, redis);
}

static void close_sessions(struct sim_redis *redis)
{
    struct list *node;

    while ((node = list_pop_front(&redis->sessions)))
        session_free(list_entry(node, struct session, node));
}

static void instance_kill(struct sim_redis *redis)
{
    if (!redis->process)
        return;
    sim_process_kill(redis->process);
    list_init(&redis->sessions);
    redis->process = NULL;
}

void sim_redis_start(void)
{
    char name[24];

    memset(&g, 0, sizeof g);
    memset(&sim_redis_count, 0, sizeof sim_redis_count);
    list_init(&g.to_replica);
    for (unsigned i = 0; i < SIM_N_REDIS; i++) {
        snprintf(name, sizeof name, "redis%u", i + 1);
        g.redis[i].host = sim_host_add(name);
        g.redis[i].is_primary = i == 0;
        sim_redis_db_init(&g.redis[i].db);
        instance_start(&g.redis[i]);
    }
    for (unsigned i = 0; i < SIM_N_SENTINELS; i++) {
        snprintf(name, sizeof name, "sentinel%u", i + 1);
        g.sentinels[i].host = sim_host_add(name);
        g.sentinels[i].is_sentinel = true;
        instance_start(&g.sentinels[i]);
    }
}

const struct sim_host *sim_redis_host(unsigned i)
{
    return g.redis[i].host;
}

const struct sim_host *sim_sentinel_host(unsigned i)
{
    return g.sentinels[i].host;
}

/* --- faults --- */

void sim_redis_set_lag(int64_t max_us)
{
    g.lag_us = max_us;
}

void sim_redis_wipe(void)
{
    struct sim_redis_write flush = {.kind = SIM_REDIS_FLUSH};

    sim_redis_write(&g.redis[g.primary], &flush);
}

void sim_redis_crash(void)
{
    drop_replication();
    instance_kill(&g.redis[g.primary]);
}

void sim_redis_revive(void)
{
    if (g.redis[g.primary].process)
        return; /* a failover came first */
    for (unsigned i = 0; i < SIM_N_REDIS; i++)
        sim_redis_db_clear(&g.redis[i].db); /* the replica copies an empty primary */
    instance_start(&g.redis[g.primary]);
}

void sim_redis_freeze(void)
{
    if (g.redis[g.primary].process)
        sim_process_freeze(g.redis[g.primary].process);
}

void sim_redis_thaw(void)
{
    for (unsigned i = 0; i < SIM_N_REDIS; i++)
        if (g.redis[i].process && g.redis[i].process->frozen)
            sim_process_thaw(g.redis[i].process);
}

/* The old primary copies the new one; its clients are sent away. */
static void demote(void *arg)
{
    struct sim_redis *old = arg;
    struct sim_process *before;

    if (old == &g.redis[g.primary] || !old->is_primary)
        return;                 /* it was made the primary again meanwhile */
    if (old->process->frozen) { /* the sentinels cannot tell it */
        sim_at(sim_now_us() + 100000, NULL, (struct sim_task){.run = demote, .arg = old});
        return;
    }
    old->is_primary = false;
    before = sim_enter(old->process);
    close_sessions(old);
    sim_leave(before);
    sim_redis_db_copy(&old->db, &g.redis[g.primary].db);
}

static void announce_master(const struct sim_redis *from, const struct sim_redis *to)
{
    char payload[200];
    struct list *node, *tmp;

    snprintf(payload, sizeof payload, SIM_REDIS_MASTER " %s 6379 %s 6379", from->host->address,
             to->host->address);
    for (unsigned i = 0; i < SIM_N_SENTINELS; i++) {
        list_for_each_safe(node, tmp, &g.sentinels[i].sessions) {
            struct session *s = list_entry(node, struct session, node);
            struct buf_writer out;

            if (!s->is_subscribed)
                continue;
            buf_writer_init(&out, SIZE_MAX);
            sim_resp_array(&out, 3);
            sim_resp_bulk(&out, "message");
            sim_resp_bulk(&out, "+switch-master");
            sim_resp_bulk(&out, payload);
            reply(s, &out);
        }
    }
}

void sim_redis_fail_over(int64_t old_for_us)
{
    struct sim_redis *old = &g.redis[g.primary], *next = &g.redis[!g.primary];

    if (!next->process)
        return;
    drop_replication();
    g.primary = !g.primary;
    next->is_primary = true;
    next->history = sim_random();
    announce_master(old, next);
    if (!old->process) /* it comes back as a replica */
        instance_start(old);
    sim_at(sim_now_us() + old_for_us, NULL, (struct sim_task){.run = demote, .arg = old});
}
