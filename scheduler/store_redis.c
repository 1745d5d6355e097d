/* The store in Redis: wiring of what the redis_*.c files do. Two connections to the master, since
 * XREAD BLOCK holds its own; where it is, is fixed or told by Sentinel. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scheduler/redis_link.h"
#include "scheduler/redis_log.h"
#include "scheduler/redis_master.h"
#include "scheduler/redis_nodes.h"
#include "scheduler/redis_streams.h"
#include "scheduler/redis_told.h"
#include "scheduler/store.h"

const struct store_redis_conf k_store_redis_default = {
    .url = "",
    .password = "",
    .master = "",
    .sentinel_user = "",
    .sentinel_password = "",
    .connect_timeout_ms = 1000,
    .command_timeout_ms = 1000,
    .retry_ms = 100,
    .poll_ms = 1000,
};

struct redis {
    struct store store; /* first */
    struct redis_target target;
    struct redis_link *link;
    struct redis_log *log;
    struct redis_master *master; /* NULL: the target is fixed */
    struct redis_nodes nodes;
    struct redis_streams streams;
    struct redis_told told;
};

/* --- calls --- */

static bool redis_is_up(const struct store *store)
{
    return redis_link_is_up(((const struct redis *)store)->link);
}

static void redis_put_node(struct store *store, const struct cluster_heartbeat *m, int64_t lease_ms)
{
    redis_nodes_put(&((struct redis *)store)->nodes, m, lease_ms);
}

static void redis_claim(struct store *store, const struct store_claim *claim, store_done *done,
                        void *arg)
{
    redis_streams_claim(&((struct redis *)store)->streams, claim, done, arg);
}

static void redis_release(struct store *store, const struct stream_name *name,
                          const struct store_owner *owner, store_done *done, void *arg)
{
    redis_streams_release(&((struct redis *)store)->streams, name, owner, done, arg);
}

static void redis_lookup(struct store *store, const struct stream_name *name, store_done *done,
                         void *arg)
{
    redis_streams_lookup(&((struct redis *)store)->streams, name, done, arg);
}

static void redis_refresh(struct store *store, const struct stream_name *name,
                          const struct store_owner *owner)
{
    redis_streams_refresh(&((struct redis *)store)->streams, name, owner);
}

static void announce(void *arg, const struct store_event *event)
{
    struct redis *redis = arg;

    redis_log_append(redis->log, redis->link, event);
}

static void redis_announce(struct store *store, const struct store_event *event)
{
    announce(store, event); /* its first member */
}

static void redis_put_setting(struct store *store, const struct cluster_setting *setting)
{
    redis_told_put(&((struct redis *)store)->told, setting);
}

static void redis_drop_setting(struct store *store, const struct cluster_setting *setting)
{
    redis_told_drop(&((struct redis *)store)->told, setting);
}

static void redis_put_scale(struct store *store, struct buf_view json)
{
    redis_nodes_put_scale(&((struct redis *)store)->nodes, json);
}

/* --- what happens --- */

/* Once the position in the event log is known: what is read from there on misses nothing. */
static void read_all(struct redis *redis)
{
    redis_streams_read_all(&redis->streams);
    redis_told_read_all(&redis->told);
}

static void on_up(void *arg)
{
    struct redis *redis = arg;

    redis_log_append_kept(redis->log, redis->link);
    redis->store.watch.on_state(redis->store.watch.arg, true);
    redis_nodes_start(&redis->nodes); /* nodes first: a stream counts with its node only */
    if (redis_log_is_positioned(redis->log))
        read_all(redis);
}

static void on_down(void *arg)
{
    struct redis *redis = arg;

    redis_nodes_stop(&redis->nodes);
    redis_streams_forget(&redis->streams);
    redis_told_forget(&redis->told);
    redis->store.watch.on_state(redis->store.watch.arg, false);
}

static void on_failed(void *arg, const char *why)
{
    (void)why; /* the link said so */
    redis_master_doubt(((struct redis *)arg)->master);
}

static void on_log_positioned(void *arg)
{
    read_all(arg);
}

static void on_emptied(void *arg)
{
    struct redis *redis = arg;

    redis_log_restart(redis->log);
    redis->store.watch.on_emptied(redis->store.watch.arg);
    redis_told_read_all(&redis->told);
}

/* What is connected to the old one is dropped: it may not know yet that it is a replica now. */
static void on_moved(void *arg, const struct redis_place *place)
{
    struct redis *redis = arg;

    memcpy(redis->target.host, place->host, sizeof redis->target.host);
    redis->target.port = place->port;
    redis_link_restart(redis->link);
    redis_log_restart(redis->log);
}

/* --- life --- */

static void redis_destroy(struct store *store)
{
    struct redis *redis = (struct redis *)store;

    redis_told_forget(&redis->told);
    redis_master_destroy(&redis->master);
    redis_link_destroy(&redis->link);
    redis_log_destroy(&redis->log);
    redis_nodes_fini(&redis->nodes);
    redis_streams_fini(&redis->streams);
    explicit_bzero(&redis->target, sizeof redis->target);
    free(redis);
}

static const struct store_ops k_redis_ops = {
    .destroy = redis_destroy,
    .is_up = redis_is_up,
    .put_node = redis_put_node,
    .claim = redis_claim,
    .release = redis_release,
    .lookup = redis_lookup,
    .refresh = redis_refresh,
    .announce = redis_announce,
    .put_setting = redis_put_setting,
    .drop_setting = redis_drop_setting,
    .put_scale = redis_put_scale,
};

static enum err set_target(struct redis *redis, const struct store_redis_conf *conf,
                           const char **why)
{
    enum err e = redis_target_parse(conf->url, &redis->target, why);

    if (e != E_OK)
        return e;
    snprintf(redis->target.password, sizeof redis->target.password, "%s", conf->password);
    if (!conf->n_sentinels)
        return E_OK;
    *why = "expected redis://[user@]host[/database] beside sentinels";
    if (*redis->target.unix_path)
        return E_INVAL;
    redis->target.host[0] = '\0'; /* until a sentinel says where */
    return E_OK;
}

static enum err open_links(struct redis *redis, struct loop *loop,
                           const struct store_redis_conf *conf)
{
    struct redis_link_conf link = {
        .loop = loop,
        .target = &redis->target,
        .role = "master",
        .connect_timeout_ms = conf->connect_timeout_ms,
        .command_timeout_ms = conf->command_timeout_ms,
        .retry_ms = conf->retry_ms,
        .name = "calls",
        .on_up = on_up,
        .on_down = on_down,
        .on_failed = on_failed,
        .arg = redis,
    };

    redis->link = redis_link_create(&link);
    redis->nodes.link = redis->streams.link = redis->told.link = redis->link;
    if (redis->link)
        redis->log = redis_log_create(&link, &redis->store.watch, on_log_positioned);
    redis->told.log = redis->log;
    return redis->log ? E_OK : E_NOMEM;
}

static enum err follow_master(struct redis *redis, struct loop *loop,
                              const struct store_redis_conf *conf, const char **why)
{
    struct redis_master_conf master = {
        .loop = loop,
        .sentinels = conf->sentinels,
        .n_sentinels = conf->n_sentinels,
        .name = conf->master,
        .user = conf->sentinel_user,
        .password = conf->sentinel_password,
        .connect_timeout_ms = conf->connect_timeout_ms,
        .command_timeout_ms = conf->command_timeout_ms,
        .retry_ms = conf->retry_ms,
        .on_moved = on_moved,
        .arg = redis,
    };

    if (!conf->n_sentinels)
        return E_OK;
    redis->master = redis_master_create(&master, why);
    return redis->master ? E_OK : E_INVAL;
}

struct store *store_redis_create(struct loop *loop, const struct store_redis_conf *conf,
                                 const struct store_watch *watch, const char **why)
{
    struct redis *redis = calloc(1, sizeof *redis);

    *why = "out of memory";
    if (!redis)
        return NULL;
    redis->store = (struct store){&k_redis_ops, *watch};
    redis_nodes_init(&redis->nodes, loop, &redis->store.watch, conf->poll_ms, on_emptied, redis);
    redis_streams_init(&redis->streams, loop, &redis->store.watch, announce, redis);
    redis_told_init(&redis->told, loop, conf->retry_ms, &redis->store.watch);
    if (set_target(redis, conf, why) != E_OK)
        goto fail;
    *why = "out of memory";
    if (open_links(redis, loop, conf) != E_OK || follow_master(redis, loop, conf, why) != E_OK)
        goto fail;
    return &redis->store;
fail:
    redis_destroy(&redis->store);
    return NULL;
}
