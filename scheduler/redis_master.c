/* Follows the master by way of Redis Sentinel. */
#include "scheduler/redis_master.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "scheduler/stats.h"

#define ASK_MS 1000 /* what the channel did not say, or a frozen sentinel, costs no longer */
#define MAX_BACKOFF_SHIFT 4

struct redis_master {
    struct redis_sentinels sentinels;
    struct redis_target target;          /* the current sentinel */
    struct redis_link *asking, *hearing; /* a connection with a channel takes no other commands */
    struct timer ask, retry;
    int64_t retry_ms;
    bool said_failed; /* one log line a series */
    void (*on_moved)(void *arg, const struct redis_place *place);
    void *arg;
};

/* To the current sentinel, with both connections. */
static void connect_both(struct redis_master *m)
{
    const struct redis_place *place = redis_sentinels_current(&m->sentinels);

    memcpy(m->target.host, place->host, sizeof m->target.host);
    m->target.port = place->port;
    redis_link_restart(m->asking);
    redis_link_restart(m->hearing);
}

static void on_retry(struct timer *timer)
{
    connect_both(list_entry(timer, struct redis_master, retry));
}

static void on_failed(void *arg, const char *why)
{
    struct redis_master *m = arg;
    const struct redis_place *place = redis_sentinels_current(&m->sentinels);
    unsigned shift = m->sentinels.n_failures;

    if (timer_is_armed(&m->retry))
        return; /* the other connection said so already */
    if (!m->said_failed)
        log_warn("redis", "msg=\"sentinel is of no use, asking the next\" sentinel=%s:%u reason=%s",
                 place->host, place->port, LOG_STR(why));
    m->said_failed = true;
    redis_sentinels_failed(&m->sentinels);
    timer_stop(&m->ask);
    redis_link_stop(m->asking);
    redis_link_stop(m->hearing);
    if (shift > MAX_BACKOFF_SHIFT)
        shift = MAX_BACKOFF_SHIFT;
    timer_start_ms(&m->retry, jitter_ms(m->retry_ms << shift, 0.5));
}

static void take(struct redis_master *m, enum redis_sentinels_said said, const redisReply *reply)
{
    const struct redis_place *master = &m->sentinels.master;

    if (said == REDIS_SENTINELS_USELESS) {
        on_failed(m, reply->type == REDIS_REPLY_ERROR ? reply->str : "it does not know the master");
        return;
    }
    if (m->sentinels.n_failures == 0)
        m->said_failed = false;
    if (said != REDIS_SENTINELS_MOVED)
        return;
    stats_count(STAT_REDIS_MASTERS);
    log_info("redis", "msg=\"sentinel names the master\" name=%s master=%s:%u", m->sentinels.name,
             LOG_STR(master->host), master->port);
    m->on_moved(m->arg, master);
}

static void on_answer(void *arg, const redisReply *reply)
{
    struct redis_master *m = arg;

    if (reply) /* else on_failed() comes, or the question is out of date */
        take(m, redis_sentinels_answer(&m->sentinels, reply), reply);
}

static void ask(struct redis_master *m)
{
    (void)redis_link_command(m->asking, on_answer, m, "SENTINEL get-master-addr-by-name %s",
                             m->sentinels.name);
    timer_start_ms(&m->ask, jitter_ms(ASK_MS, 0.1));
}

static void on_ask(struct timer *timer)
{
    ask(list_entry(timer, struct redis_master, ask));
}

static void on_asking_up(void *arg)
{
    ask(arg);
}

static void on_message(void *arg, const redisReply *reply)
{
    struct redis_master *m = arg;
    bool has_begun = reply->type == REDIS_REPLY_ARRAY && reply->elements &&
                     reply->element[0]->str && strcmp(reply->element[0]->str, "subscribe") == 0;

    if (has_begun)
        ask(m); /* what was said between the first question and now */
    else
        take(m, redis_sentinels_message(&m->sentinels, reply), reply);
}

static void on_hearing_up(void *arg)
{
    struct redis_master *m = arg;

    (void)redis_link_subscribe(m->hearing, on_message, m, "+switch-master");
}

static void on_down(void *arg)
{
    (void)arg; /* on_failed() says why */
}

static enum err open_links(struct redis_master *m, const struct redis_master_conf *conf)
{
    struct redis_link_conf link = {
        .loop = conf->loop,
        .target = &m->target,
        .role = "sentinel",
        .connect_timeout_ms = conf->connect_timeout_ms,
        .command_timeout_ms = conf->command_timeout_ms,
        .on_up = on_asking_up,
        .on_down = on_down,
        .on_failed = on_failed,
        .arg = m,
    };

    m->asking = redis_link_create(&link);
    link.on_up = on_hearing_up;
    m->hearing = redis_link_create(&link);
    return m->asking && m->hearing ? E_OK : E_NOMEM;
}

struct redis_master *redis_master_create(const struct redis_master_conf *conf, const char **why)
{
    struct redis_master *m = calloc(1, sizeof *m);

    *why = "out of memory";
    if (!m)
        return NULL;
    timer_init(&m->ask, conf->loop, on_ask);
    timer_init(&m->retry, conf->loop, on_retry);
    m->retry_ms = conf->retry_ms;
    m->on_moved = conf->on_moved;
    m->arg = conf->arg;
    snprintf(m->target.user, sizeof m->target.user, "%s", conf->user);
    snprintf(m->target.password, sizeof m->target.password, "%s", conf->password);
    if (redis_sentinels_init(&m->sentinels, conf->sentinels, conf->n_sentinels, conf->name, why) !=
        E_OK)
        goto fail;
    *why = "out of memory";
    if (open_links(m, conf) != E_OK)
        goto fail;
    connect_both(m);
    return m;
fail:
    redis_master_destroy(&m);
    return NULL;
}

void redis_master_destroy(struct redis_master **master)
{
    struct redis_master *m = *master;

    *master = NULL;
    if (!m)
        return;
    timer_stop(&m->ask);
    timer_stop(&m->retry);
    redis_link_destroy(&m->asking);
    redis_link_destroy(&m->hearing);
    explicit_bzero(&m->target, sizeof m->target);
    free(m);
}

void redis_master_doubt(struct redis_master *master)
{
    if (master && !timer_is_armed(&master->retry) && redis_sentinels_doubted(&master->sentinels))
        connect_both(master);
}
