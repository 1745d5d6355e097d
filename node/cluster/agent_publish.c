/* Publishes and releases, in order a stream: a release that arrived after the next publish would
 * take the stream away from its new publisher. */
#include "node/cluster/agent_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/control/node_metrics.h"
#include "proto/cluster/epoch.h"
#include "proto/http/http.h"

#define RELEASE_MAX_TRIES 4 /* then the lease has lapsed, or heartbeats have told it */
#define RELEASE_RETRY_MS 250

struct name_queue {
    struct agent *agent;
    struct stream_name name;
    struct list ops; /* waiting, oldest first */
    struct name_op *running;
    bool is_starting; /* run_next() is on the stack */
};

enum name_op_what { OP_PUBLISH, OP_RELEASE };
struct name_op {
    struct list node; /* in the queue, or in agent->held_ops */
    struct agent *agent;
    struct name_queue *queue;
    enum name_op_what what;
    struct agent_ask *ask; /* OP_PUBLISH: the asker's */
    struct cluster_publish message;
    struct http_call *call;
    struct timer timer; /* OP_PUBLISH: deadline; OP_RELEASE: next try */
    unsigned n_tries;
};

static void run_next(struct name_queue *queue);

static void op_free(struct name_op *op)
{
    http_call_cancel(&op->call);
    timer_stop(&op->timer);
    list_remove(&op->node);
    free(op);
}

static void op_end(struct name_op *op)
{
    struct name_queue *queue = op->queue;
    bool was_running = queue->running == op;

    op_free(op);
    if (!was_running)
        return;
    queue->running = NULL;
    run_next(queue);
}

static enum err op_call(struct name_op *op, const char *method,
                        void (*done)(void *arg, const struct http_reply *reply))
{
    struct buf_writer path, body;
    enum err e;

    buf_writer_init(&path, 4096);
    buf_writer_init(&body, 4096);
    buf_write_str(&path, "/v1/streams/");
    http_percent_encode(buf_view_str(op->message.name.text), &path);
    buf_write_str(&path, "/publish");
    buf_write_u8(&path, 0);
    e = cluster_publish_encode(&op->message, &body);
    buf_write_u8(&body, 0);
    if (e == E_OK)
        e = buf_writer_status(&body);
    if (e == E_OK)
        e = buf_writer_status(&path);
    if (e == E_OK) {
        op->call = http_client_call(op->agent->publish_client, method, (const char *)path.data,
                                    (const char *)body.data, done, op);
        e = op->call ? E_OK : E_NOMEM;
    }
    buf_writer_fini(&path);
    buf_writer_fini(&body);
    return e;
}

/* --- publish --- */

/* No scheduler: this node grants, with an epoch above all it has seen, and apart from what others
 * may give meanwhile. When schedulers are back, the higher epoch wins. */
static void grant_here(struct name_op *op, const char *why)
{
    struct agent *agent = op->agent;
    struct cluster_publish_reply *reply = &op->ask->publish_reply;

    *reply = (struct cluster_publish_reply){.decision = CLUSTER_PUBLISH_GRANTED};
    reply->epoch = epoch_apart(clock_wall_us(), agent->highest_epoch, random_u64());
    agent_note_epoch(agent, reply->epoch);
    op->ask->degraded = true;
    metric_add(&m_cluster_asks_publish_degraded, 1);
    log_info("cluster",
             "msg=\"publish granted without scheduler\" stream=%s epoch=%" PRIu64 " why=%s",
             op->message.name.text, reply->epoch, LOG_STR(why));
    agent_answer(op->ask);
    op_end(op);
}

/* A scheduler is there and says no: a wrong token, a node id that is taken, a bad request. To grant
 * all the same would publish past its rules. */
static void refuse_here(struct name_op *op, const char *why)
{
    struct cluster_publish_reply *reply = &op->ask->publish_reply;

    *reply = (struct cluster_publish_reply){.decision = CLUSTER_PUBLISH_REFUSED};
    snprintf(reply->reason, sizeof reply->reason, "the scheduler refuses this node: %.100s", why);
    metric_add(&m_cluster_asks_publish_answered, 1);
    agent_answer(op->ask);
    op_end(op);
}

static void on_publish_reply(void *arg, const struct http_reply *http)
{
    struct name_op *op = arg;
    struct cluster_publish_reply reply;
    struct cluster_error error = {""};
    char text[PROBLEM_SIZE];

    op->call = NULL;
    if (agent_reply_refuses(http)) {
        refuse_here(op, agent_reply_problem(http, text));
        return;
    }
    if (http->e != E_OK || http->status != 200) {
        grant_here(op, agent_reply_problem(http, text));
        return;
    }
    if (cluster_publish_reply_decode(http->body, &reply, &error) != E_OK) {
        grant_here(op, error.text);
        return;
    }
    metric_add(&m_cluster_asks_publish_answered, 1);
    agent_note_epoch(op->agent, reply.epoch);
    op->ask->publish_reply = reply;
    agent_answer(op->ask);
    op_end(op);
}

static void on_publish_deadline(struct timer *timer)
{
    grant_here(list_entry(timer, struct name_op, timer), "timed out");
}

/* The first heartbeat is let through first: schedulers that do not know this node, or this process
 * of it, would refuse. */
static void start_publish(struct name_op *op)
{
    struct agent *agent = op->agent;

    op->message.highest_epoch = agent->highest_epoch;
    if (agent->link == LINK_UNKNOWN)
        list_push_back(&agent->held_ops, &op->node);
    else if (agent->link == LINK_DOWN)
        grant_here(op, "no scheduler answers heartbeats");
    else if (agent->link == LINK_REFUSED)
        refuse_here(op, agent->refusal);
    else if (op_call(op, "POST", on_publish_reply) != E_OK)
        grant_here(op, err_text(E_NOMEM));
}

/* --- release --- */

static void release_failed(struct name_op *op)
{
    if (op->agent->link != LINK_UP || ++op->n_tries >= RELEASE_MAX_TRIES) {
        metric_add(&m_cluster_asks_release_degraded, 1);
        op_end(op);
        return;
    }
    timer_start_ms(&op->timer, jitter_ms((int64_t)RELEASE_RETRY_MS << op->n_tries, 0.3));
}

static void on_release_reply(void *arg, const struct http_reply *http)
{
    struct name_op *op = arg;

    op->call = NULL;
    if (http->e != E_OK || http->status >= 500) {
        release_failed(op);
        return;
    }
    metric_add(&m_cluster_asks_release_answered, 1); /* also 404, 409: it was not ours any more */
    op_end(op);
}

/* Not while a heartbeat that may still call the stream ours is under way: it would give it back to
 * us. */
static void start_release(struct name_op *op)
{
    if (op->agent->beat && op->n_tries == 0)
        list_push_back(&op->agent->held_ops, &op->node);
    else if (op_call(op, "DELETE", on_release_reply) != E_OK)
        release_failed(op);
}

static void on_release_retry(struct timer *timer)
{
    start_release(list_entry(timer, struct name_op, timer));
}

static void start(struct name_op *op)
{
    if (op->what == OP_PUBLISH)
        start_publish(op);
    else
        start_release(op);
}

void agent_publish_beat_ended(struct agent *agent)
{
    struct list held, *node;

    list_init(&held); /* those that have to wait again go to a list of their own */
    while ((node = list_pop_front(&agent->held_ops)))
        list_push_back(&held, node);
    while ((node = list_pop_front(&held)))
        start(list_entry(node, struct name_op, node));
}

/* --- queues --- */

/* Not recursive, however many operations end at once. */
static void run_next(struct name_queue *queue)
{
    struct list *node;

    if (queue->is_starting)
        return;
    queue->is_starting = true;
    while (!queue->running && (node = list_pop_front(&queue->ops))) {
        queue->running = list_entry(node, struct name_op, node);
        start(queue->running);
    }
    queue->is_starting = false;
    if (!queue->running) {
        map_remove(&queue->agent->queues, queue->name.text);
        free(queue);
    }
}

static struct name_queue *get_queue(struct agent *agent, const struct stream_name *name)
{
    struct name_queue *queue = map_get(&agent->queues, name->text);

    if (queue)
        return queue;
    queue = calloc(1, sizeof *queue);
    if (!queue)
        return NULL;
    queue->agent = agent;
    queue->name = *name;
    list_init(&queue->ops);
    if (map_set(&agent->queues, name->text, queue) == E_OK)
        return queue;
    free(queue);
    return NULL;
}

/* Out of memory: NULL. The op is not in its queue yet. */
static struct name_op *make_op(struct agent *agent, enum name_op_what what,
                               const struct cluster_publish *message)
{
    struct name_op *op = calloc(1, sizeof *op);

    if (!op)
        return NULL;
    op->agent = agent;
    op->what = what;
    op->message = *message;
    list_init(&op->node);
    memcpy(op->message.node, agent->id, sizeof op->message.node);
    op->message.instance = agent->node->instance;
    op->message.role = (enum cluster_role)agent->node->conf.cluster_role;
    op->message.tls = true;
    timer_init(&op->timer, agent->node->control,
               what == OP_PUBLISH ? on_publish_deadline : on_release_retry);
    op->queue = get_queue(agent, &message->name);
    if (op->queue)
        return op;
    free(op);
    return NULL;
}

static void enqueue(struct name_op *op)
{
    struct name_queue *queue = op->queue;
    struct name_op *running = queue->running;

    list_push_back(&queue->ops, &op->node);
    if (running && running->what == OP_RELEASE && op->what == OP_PUBLISH &&
        timer_is_armed(&running->timer))
        op_end(running); /* it waits for its next try: the new publish replaces what it gives up */
    else if (!running)
        run_next(queue);
}

void agent_publish_ask(struct agent *agent, struct agent_ask *ask)
{
    struct name_op *op = make_op(agent, OP_PUBLISH, &ask->publish);

    if (!op) { /* nothing of the publish would work: the publisher tries again */
        ask->publish_reply = (struct cluster_publish_reply){.decision = CLUSTER_PUBLISH_REFUSED};
        snprintf(ask->publish_reply.reason, sizeof ask->publish_reply.reason, "out of memory");
        agent_answer(ask);
        return;
    }
    op->ask = ask;
    timer_start_ms(&op->timer, ASK_DEADLINE_MS);
    enqueue(op);
}

void agent_publish_release(struct agent *agent, const struct stream_name *name, uint64_t epoch)
{
    struct cluster_publish message = {.name = *name, .epoch = epoch};
    struct name_op *op;

    if (agent->link == LINK_DOWN || agent->link == LINK_REFUSED)
        return; /* the first heartbeat after the recovery tells it */
    op = make_op(agent, OP_RELEASE, &message);
    if (op)
        enqueue(op);
}

void agent_publish_init(struct agent *agent)
{
    map_init(&agent->queues);
    list_init(&agent->held_ops);
}

static void op_abandon(struct name_op *op)
{
    struct agent_ask *ask = op->ask;

    op_free(op);
    if (ask)
        agent_abandon(ask);
}

void agent_publish_fini(struct agent *agent)
{
    struct map_cursor cursor = {0};
    const char *name;
    void *value;

    while (map_next(&agent->queues, &cursor, &name, &value)) {
        struct name_queue *queue = value;
        struct list *node;

        while ((node = list_pop_front(&queue->ops)))
            op_abandon(list_entry(node, struct name_op, node));
        if (queue->running)
            op_abandon(queue->running);
        free(queue);
    }
    map_fini(&agent->queues);
}
