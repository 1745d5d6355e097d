/* From any thread to a stream: the command travels with a reference to it. */
#include "node/cluster/home.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "node/cluster/agent.h"
#include "node/relay/pull.h"

struct home_op {
    struct loop_msg msg;
    struct node *node;
    struct stream *stream; /* owned reference */
    enum home_command command;
    uint64_t epoch;
    char owner[CLUSTER_ID_SIZE];
};

static void free_op(struct loop_msg *msg)
{
    struct home_op *op = list_entry(msg, struct home_op, msg);

    stream_unref(&op->stream);
    free(op);
}

static void published(const struct home_op *op)
{
    pull_on_published(op->node, op->stream, op->epoch, op->owner);
}

/* A relay is not fenced: it looks for the new owner by itself. */
static void fence(const struct home_op *op)
{
    struct stream_info info;

    stream_get_info(op->stream, &info);
    if (!info.live || info.kind != SOURCE_PUBLISHER || info.epoch >= op->epoch)
        return;
    log_warn("cluster",
             "msg=\"stream has another owner: publisher is closed\" stream=%s session=%s "
             "epoch=%" PRIu64 " owner=%s owner_epoch=%" PRIu64,
             info.name.text, info.session_id, info.epoch, *op->owner ? op->owner : "none",
             op->epoch);
    stream_fence(op->stream);
}

static void kick(const struct home_op *op)
{
    stream_kick(op->stream);
}

static void give_back(struct node *node, const struct stream_name *name, uint64_t epoch)
{
    log_info("cluster", "msg=\"nobody stands by any more\" stream=%s epoch=%" PRIu64, name->text,
             epoch);
    if (node->agent)
        agent_release(node->agent, name, epoch);
}

static void promote(const struct home_op *op)
{
    if (!stream_promote(op->stream, op->epoch))
        give_back(op->node, stream_name_of(op->stream), op->epoch);
}

static void (*const k_commands[])(const struct home_op *op) = {
    [HOME_PUBLISHED] = published,
    [HOME_FENCE] = fence,
    [HOME_KICK] = kick,
    [HOME_PROMOTE] = promote,
};

static void on_home(struct loop_msg *msg)
{
    struct home_op *op = list_entry(msg, struct home_op, msg);

    k_commands[op->command](op);
    free_op(msg);
}

void home_post(struct node *node, enum home_command command, const struct stream_name *name,
               uint64_t epoch, const char *owner)
{
    struct stream *stream = registry_find(node->registry, name->text);
    struct home_op *op = stream ? calloc(1, sizeof *op) : NULL;

    if (!op) { /* a fence is repeated by the next heartbeat; pulls notice a dead upstream */
        stream_unref(&stream);
        if (command == HOME_PROMOTE) /* the scheduler waits: the next standby may have it */
            give_back(node, name, epoch);
        return;
    }
    op->msg.run = on_home;
    op->msg.drop = free_op;
    op->node = node;
    op->stream = stream;
    op->command = command;
    op->epoch = epoch;
    snprintf(op->owner, sizeof op->owner, "%s", owner);
    loop_post(stream_home(stream)->loop, &op->msg);
}
