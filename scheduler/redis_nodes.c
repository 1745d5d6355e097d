/* Node keys in Redis. */
#include "scheduler/redis_nodes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "scheduler/redis_keys.h"

#define READ_BATCH 200  /* keys an MGET */
#define CHECKS_A_POLL 4 /* of the mark: all state waits until it is seen to have changed */
#define KEY_SIZE (sizeof REDIS_NODE_PREFIX + CLUSTER_ID_SIZE)
#define MAX_NODE_BYTES 8192 /* a heartbeat without lists */

static void forget_listed(struct redis_nodes *n)
{
    map_fini(&n->listed);
    map_init(&n->listed);
}

/* --- writing --- */

void redis_nodes_put(struct redis_nodes *n, const struct cluster_heartbeat *m, int64_t lease_ms)
{
    struct buf_writer json;

    buf_writer_init(&json, MAX_NODE_BYTES);
    if (cluster_heartbeat_encode(m, &json) == E_OK) {
        (void)redis_link_command(n->link, NULL, NULL, "SET " REDIS_NODE_PREFIX "%s %b PX %lld",
                                 m->node, json.data, json.used_bytes, (long long)lease_ms);
        if (!map_get(&n->listed, m->node) &&
            redis_link_command(n->link, NULL, NULL, "SADD " REDIS_NODES " %s", m->node))
            (void)map_set(&n->listed, m->node, &n->listed);
    }
    buf_writer_fini(&json);
}

void redis_nodes_put_scale(struct redis_nodes *n, struct buf_view json)
{
    (void)redis_link_command(n->link, NULL, NULL, "SET " REDIS_SCALE " %b PX " REDIS_SCALE_TTL_MS,
                             json.data, json.size_bytes);
}

/* --- reading --- */

/* The lease of the node ran out when its key was read, but another scheduler may have written it
 * since. Its next heartbeat lists it again. */
static void unlist(struct redis_nodes *n, const char *id)
{
    map_remove(&n->listed, id);
    (void)redis_link_command(n->link, NULL, NULL,
                             "EVAL %s 2 " REDIS_NODE_PREFIX "%s " REDIS_NODES " %s", k_redis_unlist,
                             id, id);
}

static void on_value(struct redis_nodes *n, const char *id, const redisReply *value)
{
    struct cluster_heartbeat m;
    struct cluster_error error;

    if (value->type == REDIS_REPLY_NIL) {
        unlist(n, id);
        return;
    }
    if (value->type != REDIS_REPLY_STRING ||
        cluster_heartbeat_decode(buf_view_of(value->str, value->len), &m, &error) != E_OK)
        return;
    snprintf(m.node, sizeof m.node, "%s", id);
    n->watch->on_node(n->watch->arg, &m);
    cluster_heartbeat_fini(&m);
}

struct reading { /* one MGET under way */
    struct redis_nodes *nodes;
    unsigned n_ids;
    char ids[READ_BATCH][CLUSTER_ID_SIZE];
};

static void on_values(void *arg, const redisReply *reply)
{
    struct reading *batch = arg;

    if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == batch->n_ids)
        for (unsigned i = 0; i < batch->n_ids; i++)
            on_value(batch->nodes, batch->ids[i], reply->element[i]);
    free(batch);
}

/* Takes batch. */
static void read_batch(struct reading *batch)
{
    const char *words[READ_BATCH + 1] = {"MGET"};
    char(*keys)[KEY_SIZE] = malloc(READ_BATCH * sizeof *keys);

    for (unsigned i = 0; keys && i < batch->n_ids; i++) {
        words[i + 1] = keys[i];
        snprintf(keys[i], sizeof keys[i], REDIS_NODE_PREFIX "%s", batch->ids[i]);
    }
    if (!keys || !redis_link_command_argv(batch->nodes->link, on_values, batch,
                                          (int)batch->n_ids + 1, words))
        free(batch);
    free(keys);
}

static void on_ids(void *arg, const redisReply *reply)
{
    struct redis_nodes *n = arg;
    struct reading *batch = NULL;

    if (!reply || reply->type != REDIS_REPLY_ARRAY)
        return;
    forget_listed(n);
    for (size_t i = 0; i < reply->elements; i++) {
        const char *id = reply->element[i]->str;

        if (!id || !cluster_id_is_valid(id))
            continue;
        (void)map_set(&n->listed, id, &n->listed);
        if (!batch && !(batch = calloc(1, sizeof *batch)))
            return;
        batch->nodes = n;
        snprintf(batch->ids[batch->n_ids++], CLUSTER_ID_SIZE, "%s", id);
        if (batch->n_ids == READ_BATCH) {
            read_batch(batch);
            batch = NULL;
        }
    }
    if (batch)
        read_batch(batch);
}

/* --- the mark: every scheduler notices that it changed, whoever wrote the new one --- */

static void note_boot(struct redis_nodes *n, const redisReply *reply)
{
    snprintf(n->boot, sizeof n->boot, "%s", reply->str);
}

static void on_new_boot(void *arg, const redisReply *reply)
{
    if (reply && reply->type == REDIS_REPLY_STRING)
        note_boot(arg, reply);
}

static void on_boot(void *arg, const redisReply *reply)
{
    struct redis_nodes *n = arg;
    bool is_gone = reply && reply->type == REDIS_REPLY_NIL;
    bool is_other = reply && reply->type == REDIS_REPLY_STRING && *n->boot &&
                    strncmp(n->boot, reply->str, sizeof n->boot - 1) != 0;

    if (reply && reply->type == REDIS_REPLY_STRING)
        note_boot(n, reply);
    if (is_gone) {
        (void)redis_link_command(n->link, NULL, NULL, "SET " REDIS_BOOT " %llx NX",
                                 (unsigned long long)random_u64());
        (void)redis_link_command(n->link, on_new_boot, n, "GET " REDIS_BOOT);
    }
    if (!is_gone && !is_other)
        return;
    log_warn("redis", "msg=\"redis is empty, asking all nodes for full reports\"");
    forget_listed(n);
    n->on_emptied(n->arg);
}

static void on_check(struct timer *timer)
{
    struct redis_nodes *n = list_entry(timer, struct redis_nodes, check);

    (void)redis_link_command(n->link, on_boot, n, "GET " REDIS_BOOT);
    timer_start_ms(&n->check, jitter_ms(n->poll_ms / CHECKS_A_POLL, 0.1));
}

static void on_scale(void *arg, const redisReply *reply)
{
    const struct redis_nodes *n = arg;

    if (!reply || !n->watch->on_scale)
        return;
    if (reply->type == REDIS_REPLY_STRING)
        n->watch->on_scale(n->watch->arg, buf_view_of(reply->str, reply->len));
    else if (reply->type == REDIS_REPLY_NIL)
        n->watch->on_scale(n->watch->arg, buf_view_of(NULL, 0));
}

static void on_poll(struct timer *timer)
{
    struct redis_nodes *n = list_entry(timer, struct redis_nodes, poll);

    (void)redis_link_command(n->link, on_ids, n, "SMEMBERS " REDIS_NODES);
    (void)redis_link_command(n->link, on_scale, n, "GET " REDIS_SCALE);
    timer_start_ms(&n->poll, jitter_ms(n->poll_ms, 0.1));
}

void redis_nodes_start(struct redis_nodes *n)
{
    forget_listed(n);
    on_check(&n->check);
    on_poll(&n->poll);
}

void redis_nodes_stop(struct redis_nodes *n)
{
    timer_stop(&n->check);
    timer_stop(&n->poll);
}

void redis_nodes_init(struct redis_nodes *n, struct loop *loop, const struct store_watch *watch,
                      int64_t poll_ms, void (*on_emptied)(void *arg), void *arg)
{
    *n = (struct redis_nodes){
        .watch = watch, .poll_ms = poll_ms, .on_emptied = on_emptied, .arg = arg};
    map_init(&n->listed);
    timer_init(&n->check, loop, on_check);
    timer_init(&n->poll, loop, on_poll);
}

void redis_nodes_fini(struct redis_nodes *n)
{
    redis_nodes_stop(n);
    map_fini(&n->listed);
}
