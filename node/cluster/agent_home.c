/* From the control loop to a stream: the command travels with a reference to it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "node/cluster/agent_private.h"
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

static void on_home(struct loop_msg *msg)
{
    struct home_op *op = list_entry(msg, struct home_op, msg);

    if (op->command == HOME_PUBLISHED)
        pull_on_published(op->node, op->stream, op->epoch, op->owner);
    else if (op->command == HOME_FENCE)
        fence(op);
    else
        stream_kick(op->stream);
    free_op(msg);
}

void agent_home_post(struct agent *agent, enum home_command command, const char *name,
                     uint64_t epoch, const char *owner)
{
    struct stream *stream = registry_find(agent->node->registry, name);
    struct home_op *op;

    if (!stream)
        return;
    op = calloc(1, sizeof *op);
    if (!op) {
        stream_unref(&stream);
        return; /* a fence is repeated by the next heartbeat; pulls notice a dead upstream */
    }
    op->msg.run = on_home;
    op->msg.drop = free_op;
    op->node = agent->node;
    op->stream = stream;
    op->command = command;
    op->epoch = epoch;
    snprintf(op->owner, sizeof op->owner, "%s", owner);
    loop_post(stream_home(stream)->loop, &op->msg);
}
