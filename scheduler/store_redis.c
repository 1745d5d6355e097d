/* The store in Redis: calls, and what is read once a second. redis_link.c keeps the connections,
 * redis_log.c reads the events of other schedulers on a second one, since XREAD BLOCK holds its
 * connection. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/map.h"
#include "scheduler/redis_keys.h"
#include "scheduler/redis_link.h"
#include "scheduler/redis_log.h"
#include "scheduler/store.h"

#define REFRESH_BATCH 200 /* writes a slice: below 2 ms */
#define REFRESH_PAUSE_MS 2
#define READ_BATCH 200 /* node keys an MGET, streams a SCAN */

const struct store_redis_conf k_store_redis_default = {"", "", 1000, 1000, 100, 1000};

struct redis {
    struct store store; /* first */
    struct redis_target target;
    struct store_redis_conf conf; /* url and password are not kept */
    struct redis_link *link;
    struct redis_log *log;
    struct timer poll, drain;
    struct map listed;     /* ids known to be in hw:nodes; values are the map itself */
    struct list refreshes; /* struct refresh, owned: waiting for their slice */
    unsigned n_slice;      /* sent in this slice */
    bool is_scanning;
};

struct refresh {
    struct list node;
    struct stream_name name;
    struct store_owner owner;
};

struct asked { /* one call with an answer */
    struct redis *redis;
    store_done *done;
    void *arg;
};

static void say(store_done *done, void *arg, enum err e)
{
    done(arg, e, &(struct store_owner){0});
}

/* Answer of a script: {1 or 0, value}. */
static void on_script(void *arg, const redisReply *reply)
{
    struct asked *asked = arg;
    struct store_owner owner = {0};
    enum err e = E_IO;

    if (!reply) {
        e = E_CLOSED;
    } else if (reply->type == REDIS_REPLY_ERROR) {
        log_warn("redis", "msg=\"script refused\" reason=%s", LOG_STR(reply->str));
    } else if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
        bool known = redis_owner_parse(reply->element[1], &owner);

        e = !known ? E_NOT_FOUND : reply->element[0]->integer == 1 ? E_OK : E_STALE;
    }
    asked->done(asked->arg, e, &owner);
    free(asked);
}

static void on_get(void *arg, const redisReply *reply)
{
    struct asked *asked = arg;
    struct store_owner owner = {0};
    enum err e = reply ? E_IO : E_CLOSED;

    if (reply && reply->type == REDIS_REPLY_NIL)
        e = E_NOT_FOUND;
    else if (reply && redis_owner_parse(reply, &owner))
        e = E_OK;
    asked->done(asked->arg, e, &owner);
    free(asked);
}

/* NULL, and done() was told, when the call cannot be made. */
static struct asked *ask(struct redis *redis, store_done *done, void *arg)
{
    struct asked *asked = redis_link_is_up(redis->link) ? malloc(sizeof *asked) : NULL;

    if (asked)
        *asked = (struct asked){redis, done, arg};
    else
        say(done, arg, E_IO);
    return asked;
}

static void check_sent(struct asked *asked, bool sent)
{
    if (sent)
        return;
    say(asked->done, asked->arg, E_IO);
    free(asked);
}

static void redis_claim(struct store *store, const struct store_claim *claim, store_done *done,
                        void *arg)
{
    struct redis *redis = (struct redis *)store;
    struct asked *asked = ask(redis, done, arg);
    char key[sizeof REDIS_STREAM_PREFIX + STREAM_NAME_SIZE], numbers[3][24];

    if (!asked)
        return;
    snprintf(key, sizeof key, REDIS_STREAM_PREFIX "%s", claim->name.text);
    snprintf(numbers[0], sizeof numbers[0], "%" PRIu64, claim->instance);
    snprintf(numbers[1], sizeof numbers[1], "%" PRIu64, claim->known_epoch);
    snprintf(numbers[2], sizeof numbers[2], "%" PRIu64, claim->highest_epoch);
    check_sent(asked,
               redis_link_command(redis->link, on_script, asked, "EVAL %s 1 %s %s %s %s %s %s",
                                  k_redis_claim, key, claim->node, numbers[0], numbers[1],
                                  numbers[2], REDIS_STREAM_TTL_MS));
}

static void drop_refreshes(struct redis *redis)
{
    struct list *at;

    while ((at = list_pop_front(&redis->refreshes)))
        free(list_entry(at, struct refresh, node));
}

/* What waits to be written for a stream that is given up now must not be written after it. */
static void drop_refreshes_of(struct redis *redis, const struct stream_name *name)
{
    struct list *at, *tmp;

    list_for_each_safe(at, tmp, &redis->refreshes) {
        struct refresh *item = list_entry(at, struct refresh, node);

        if (strcmp(item->name.text, name->text) != 0)
            continue;
        list_remove(at);
        free(item);
    }
}

static void redis_release(struct store *store, const struct stream_name *name,
                          const struct store_owner *owner, store_done *done, void *arg)
{
    struct redis *redis = (struct redis *)store;
    struct asked *asked = ask(redis, done, arg);
    char key[sizeof REDIS_STREAM_PREFIX + STREAM_NAME_SIZE], numbers[2][24];

    if (!asked)
        return;
    drop_refreshes_of(redis, name);
    snprintf(key, sizeof key, REDIS_STREAM_PREFIX "%s", name->text);
    snprintf(numbers[0], sizeof numbers[0], "%" PRIu64, owner->instance);
    snprintf(numbers[1], sizeof numbers[1], "%" PRIu64, owner->epoch);
    check_sent(asked,
               redis_link_command(redis->link, on_script, asked, "EVAL %s 1 %s %s %s %s",
                                  k_redis_release, key, owner->node, numbers[0], numbers[1]));
}

static void redis_lookup(struct store *store, const struct stream_name *name, store_done *done,
                         void *arg)
{
    struct redis *redis = (struct redis *)store;
    struct asked *asked = ask(redis, done, arg);

    if (asked)
        check_sent(asked, redis_link_command(redis->link, on_get, asked,
                                             "GET " REDIS_STREAM_PREFIX "%s", name->text));
}

static void send_refresh(struct redis *redis, const struct stream_name *name,
                         const struct store_owner *owner)
{
    char key[sizeof REDIS_STREAM_PREFIX + STREAM_NAME_SIZE], numbers[2][24];

    snprintf(key, sizeof key, REDIS_STREAM_PREFIX "%s", name->text);
    snprintf(numbers[0], sizeof numbers[0], "%" PRIu64, owner->instance);
    snprintf(numbers[1], sizeof numbers[1], "%" PRIu64, owner->epoch);
    (void)redis_link_command(redis->link, NULL, NULL, "EVAL %s 1 %s %s %s %s %s", k_redis_refresh,
                             key, owner->node, numbers[0], numbers[1], REDIS_STREAM_TTL_MS);
}

/* A few are sent at once, in order with the calls around them; the rest of a long report waits for
 * its slices. */
static void redis_refresh(struct store *store, const struct stream_name *name,
                          const struct store_owner *owner)
{
    struct redis *redis = (struct redis *)store;
    struct refresh *item;

    if (!redis_link_is_up(redis->link))
        return; /* a later full report brings it again */
    if (!timer_is_armed(&redis->drain)) {
        redis->n_slice = 0;
        timer_start_ms(&redis->drain, REFRESH_PAUSE_MS);
    }
    if (redis->n_slice < REFRESH_BATCH && list_is_empty(&redis->refreshes)) {
        redis->n_slice++;
        send_refresh(redis, name, owner);
        return;
    }
    item = malloc(sizeof *item);
    if (!item)
        return;
    item->name = *name;
    item->owner = *owner;
    list_push_back(&redis->refreshes, &item->node);
}

static void on_drain(struct timer *timer)
{
    struct redis *redis = list_entry(timer, struct redis, drain);
    struct list *at;

    redis->n_slice = 0;
    while (redis->n_slice < REFRESH_BATCH && (at = list_pop_front(&redis->refreshes))) {
        struct refresh *item = list_entry(at, struct refresh, node);

        redis->n_slice++;
        send_refresh(redis, &item->name, &item->owner);
        free(item);
    }
    if (!list_is_empty(&redis->refreshes))
        timer_start_ms(timer, REFRESH_PAUSE_MS);
}

static void redis_put_node(struct store *store, const struct cluster_heartbeat *m, int64_t lease_ms)
{
    struct redis *redis = (struct redis *)store;
    struct cluster_heartbeat bare = *m;
    struct buf_writer json;

    bare.streams = NULL;
    bare.n_streams = 0;
    buf_writer_init(&json, 8192);
    if (cluster_heartbeat_encode(&bare, &json) == E_OK) {
        (void)redis_link_command(redis->link, NULL, NULL, "SET " REDIS_NODE_PREFIX "%s %b PX %lld",
                                 m->node, json.data, json.used_bytes, (long long)lease_ms);
        if (!map_get(&redis->listed, m->node) &&
            redis_link_command(redis->link, NULL, NULL, "SADD " REDIS_NODES " %s", m->node))
            (void)map_set(&redis->listed, m->node, &redis->listed);
    }
    buf_writer_fini(&json);
}

static void redis_drop_node(struct store *store, const char *id)
{
    struct redis *redis = (struct redis *)store;

    map_remove(&redis->listed, id);
    (void)redis_link_command(redis->link, NULL, NULL, "SREM " REDIS_NODES " %s", id);
    (void)redis_link_command(redis->link, NULL, NULL, "DEL " REDIS_NODE_PREFIX "%s", id);
}

static void redis_announce(struct store *store, const struct store_event *event)
{
    struct redis *redis = (struct redis *)store;

    redis_log_append(redis->log, redis->link, event);
}

/* One node key; nil when its lease ran out: then it leaves the list, and its next heartbeat at any
 * scheduler lists it again. */
static void on_node_value(struct redis *redis, const char *id, const redisReply *value)
{
    struct cluster_heartbeat m;
    struct cluster_error error;

    if (value->type == REDIS_REPLY_NIL) {
        redis_drop_node(&redis->store, id);
        return;
    }
    if (value->type != REDIS_REPLY_STRING ||
        cluster_heartbeat_decode(buf_view_of(value->str, value->len), &m, &error) != E_OK)
        return;
    snprintf(m.node, sizeof m.node, "%s", id);
    redis->store.watch.on_node(redis->store.watch.arg, &m);
    cluster_heartbeat_fini(&m);
}

struct read_nodes { /* one MGET under way */
    struct redis *redis;
    unsigned n_ids;
    char ids[READ_BATCH][CLUSTER_ID_SIZE];
};

static void on_node_values(void *arg, const redisReply *reply)
{
    struct read_nodes *batch = arg;

    if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == batch->n_ids)
        for (unsigned i = 0; i < batch->n_ids; i++)
            on_node_value(batch->redis, batch->ids[i], reply->element[i]);
    free(batch);
}

/* Takes batch. */
static void read_batch(struct redis *redis, struct read_nodes *batch)
{
    static const size_t k_key_bytes = sizeof REDIS_NODE_PREFIX + CLUSTER_ID_SIZE;
    const char *words[READ_BATCH + 1] = {"MGET"};
    char *keys = malloc(READ_BATCH * k_key_bytes);

    for (unsigned i = 0; keys && i < batch->n_ids; i++) {
        words[i + 1] = keys + i * k_key_bytes;
        snprintf(keys + i * k_key_bytes, k_key_bytes, REDIS_NODE_PREFIX "%s", batch->ids[i]);
    }
    if (!keys ||
        !redis_link_command_argv(redis->link, on_node_values, batch, (int)batch->n_ids + 1, words))
        free(batch);
    free(keys);
}

static void on_node_ids(void *arg, const redisReply *reply)
{
    struct redis *redis = arg;
    struct read_nodes *batch = NULL;

    if (!reply || reply->type != REDIS_REPLY_ARRAY)
        return;
    map_fini(&redis->listed);
    map_init(&redis->listed);
    for (size_t i = 0; i < reply->elements; i++) {
        const char *id = reply->element[i]->str;

        if (!id || !cluster_id_is_valid(id))
            continue;
        (void)map_set(&redis->listed, id, &redis->listed);
        if (!batch && !(batch = calloc(1, sizeof *batch)))
            return;
        batch->redis = redis;
        snprintf(batch->ids[batch->n_ids++], CLUSTER_ID_SIZE, "%s", id);
        if (batch->n_ids == READ_BATCH) {
            read_batch(redis, batch);
            batch = NULL;
        }
    }
    if (batch)
        read_batch(redis, batch);
}

static void on_boot(void *arg, const redisReply *reply)
{
    struct redis *redis = arg;

    if (!reply || reply->type != REDIS_REPLY_NIL)
        return;
    log_warn("redis", "msg=\"redis is empty, asking all nodes for full reports\"");
    (void)redis_link_command(redis->link, NULL, NULL, "SET " REDIS_BOOT " %lld NX",
                             (long long)clock_wall_us());
    map_fini(&redis->listed);
    map_init(&redis->listed);
    redis_log_rewind(redis->log);
    redis->store.watch.on_emptied(redis->store.watch.arg);
}

static void on_poll(struct timer *timer)
{
    struct redis *redis = list_entry(timer, struct redis, poll);

    (void)redis_link_command(redis->link, on_boot, redis, "GET " REDIS_BOOT);
    (void)redis_link_command(redis->link, on_node_ids, redis, "SMEMBERS " REDIS_NODES);
    timer_start_ms(&redis->poll, jitter_ms(redis->conf.poll_ms, 0.1));
}

struct read_streams { /* one MGET of a SCAN */
    struct redis *redis;
    size_t n_names;
    struct stream_name names[];
};

static void on_stream_values(void *arg, const redisReply *reply)
{
    struct read_streams *batch = arg;
    struct store_watch *watch = &batch->redis->store.watch;

    for (size_t i = 0;
         reply && reply->type == REDIS_REPLY_ARRAY && i < batch->n_names && i < reply->elements;
         i++) {
        struct store_event event = {
            .type = CLUSTER_EVENT_PUBLISHED, .name = batch->names[i], .is_old = true};

        if (redis_owner_parse(reply->element[i], &event.owner))
            watch->on_event(watch->arg, &event);
    }
    free(batch);
}

/* True when the key names a stream. */
static bool name_of_key(const redisReply *key, struct stream_name *out)
{
    const size_t prefix_bytes = sizeof REDIS_STREAM_PREFIX - 1;
    char path[STREAM_NAME_SIZE + 1];
    const char *why;

    if (!key->str || key->len <= prefix_bytes)
        return false;
    snprintf(path, sizeof path, "/%s", key->str + prefix_bytes);
    return stream_name_from_path(out, buf_view_str(path), &why) == E_OK;
}

static void read_streams(struct redis *redis, const redisReply *keys)
{
    struct read_streams *batch = calloc(1, sizeof *batch + keys->elements * sizeof batch->names[0]);
    const char **words = calloc(keys->elements + 1, sizeof *words);
    bool sent = false;

    for (size_t i = 0; batch && words && i < keys->elements; i++)
        if (name_of_key(keys->element[i], &batch->names[batch->n_names]))
            words[++batch->n_names] = keys->element[i]->str;
    if (batch && words && batch->n_names) {
        batch->redis = redis;
        words[0] = "MGET";
        sent = redis_link_command_argv(redis->link, on_stream_values, batch,
                                       (int)batch->n_names + 1, words);
    }
    free(words);
    if (!sent)
        free(batch);
}

static void on_scan(void *arg, const redisReply *reply)
{
    struct redis *redis = arg;

    redis->is_scanning = false;
    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        !reply->element[0]->str)
        return;
    if (reply->element[1]->elements)
        read_streams(redis, reply->element[1]);
    if (strcmp(reply->element[0]->str, "0") != 0)
        redis->is_scanning = redis_link_command(redis->link, on_scan, redis,
                                                "SCAN %s MATCH " REDIS_STREAM_PREFIX "* COUNT %d",
                                                reply->element[0]->str, READ_BATCH);
}

/* Once the position in the event log is known: what is read from here on misses nothing. */
static void start_scan(struct redis *redis)
{
    if (!redis->is_scanning && redis_log_is_positioned(redis->log))
        redis->is_scanning =
            redis_link_command(redis->link, on_scan, redis,
                               "SCAN 0 MATCH " REDIS_STREAM_PREFIX "* COUNT %d", READ_BATCH);
}

static void on_log_positioned(void *arg)
{
    start_scan(arg);
}

static void on_up(void *arg)
{
    struct redis *redis = arg;

    map_fini(&redis->listed);
    map_init(&redis->listed);
    redis->store.watch.on_state(redis->store.watch.arg, true);
    on_poll(&redis->poll); /* nodes first: a stream counts with its node only */
    start_scan(redis);
}

static void on_down(void *arg)
{
    struct redis *redis = arg;

    timer_stop(&redis->poll);
    drop_refreshes(redis);
    redis->is_scanning = false;
    redis->store.watch.on_state(redis->store.watch.arg, false);
}

static bool redis_is_up(const struct store *store)
{
    return redis_link_is_up(((const struct redis *)store)->link);
}

static void redis_destroy(struct store *store)
{
    struct redis *redis = (struct redis *)store;

    timer_stop(&redis->poll);
    timer_stop(&redis->drain);
    redis_log_destroy(&redis->log);
    redis_link_destroy(&redis->link);
    drop_refreshes(redis);
    map_fini(&redis->listed);
    explicit_bzero(&redis->target, sizeof redis->target);
    free(redis);
}

static const struct store_ops k_redis_ops = {
    redis_destroy, redis_is_up,  redis_put_node, redis_drop_node, redis_claim,
    redis_release, redis_lookup, redis_refresh,  redis_announce,
};

static enum err open_links(struct redis *redis, struct loop *loop)
{
    struct redis_link_conf conf = {
        .loop = loop,
        .target = &redis->target,
        .connect_timeout_ms = redis->conf.connect_timeout_ms,
        .command_timeout_ms = redis->conf.command_timeout_ms,
        .retry_ms = redis->conf.retry_ms,
        .name = "calls",
        .on_up = on_up,
        .on_down = on_down,
        .arg = redis,
    };

    redis->link = redis_link_create(&conf);
    redis->log =
        redis->link ? redis_log_create(&conf, &redis->store.watch, on_log_positioned, redis) : NULL;
    return redis->log ? E_OK : E_NOMEM;
}

struct store *store_redis_create(struct loop *loop, const struct store_redis_conf *conf,
                                 const struct store_watch *watch, const char **why)
{
    struct redis *redis = calloc(1, sizeof *redis);

    *why = "out of memory";
    if (!redis)
        return NULL;
    redis->store = (struct store){&k_redis_ops, *watch};
    redis->conf = *conf;
    map_init(&redis->listed);
    list_init(&redis->refreshes);
    timer_init(&redis->poll, loop, on_poll);
    timer_init(&redis->drain, loop, on_drain);
    if (redis_target_parse(conf->url, &redis->target, why) != E_OK)
        goto fail;
    snprintf(redis->target.password, sizeof redis->target.password, "%s", conf->password);
    redis->conf.url = redis->conf.password = NULL;
    *why = "out of memory";
    if (open_links(redis, loop) != E_OK)
        goto fail;
    return &redis->store;
fail:
    redis_destroy(&redis->store);
    return NULL;
}
