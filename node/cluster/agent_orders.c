/* What schedulers say: at once by the events connection, and again in the answers to heartbeats, so
 * that a lost event costs one heartbeat at most. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/cluster/agent_private.h"
#include "node/cluster/home.h"
#include "node/control/gather.h"
#include "node/drain.h"
#include "node/relay/pull.h"
#include "node/relay/push.h"

/* --- streams --- */

static void on_published(struct agent *agent, const struct cluster_event *event)
{
    route_cache_expire(&agent->routes, event->name.text);
    if (strcmp(event->node, agent->node->id) != 0)
        home_post(agent->node, HOME_PUBLISHED, &event->name, event->epoch, event->node);
}

static void on_ended(struct agent *agent, const struct cluster_event *event)
{
    route_cache_forget(&agent->routes, event->name.text);
}

static void on_fenced(struct agent *agent, const struct cluster_event *event)
{
    if (strcmp(event->node, agent->node->id) != 0)
        home_post(agent->node, HOME_FENCE, &event->name, event->epoch, event->node);
}

static void on_kick(struct agent *agent, const struct cluster_event *event)
{
    home_post(agent->node, HOME_KICK, &event->name, event->epoch, event->node);
}

static void on_promote(struct agent *agent, const struct cluster_event *event)
{
    if (strcmp(event->node, agent->id) == 0)
        home_post(agent->node, HOME_PROMOTE, &event->name, event->epoch, event->node);
}

/* --- nodes --- */

struct leaving { /* in agent->leavings */
    struct list node;
    struct node *here;
    char id[CLUSTER_ID_SIZE];
};

static void leave_stream(struct stream *stream, void *arg)
{
    struct leaving *leaving = arg;

    stream_node_leaves(stream, leaving->id);
    pull_on_leaving(leaving->here, stream, leaving->id);
    push_on_leaving(leaving->here, stream, leaving->id);
}

static void leave_on_loop(struct media_loop *ml, void *arg)
{
    gather_each_stream(ml, leave_stream, arg);
}

static void leaving_free(void *arg)
{
    struct leaving *leaving = arg;

    list_remove(&leaving->node);
    free(leaving);
}

/* Whatever comes from that node, or goes there, finds another one before it is gone. */
static void on_leaving(struct agent *agent, const struct cluster_event *event)
{
    struct leaving *leaving;

    if (strcmp(event->node, agent->id) == 0)
        return;
    route_cache_expire_all(&agent->routes);
    leaving = calloc(1, sizeof *leaving);
    if (!leaving)
        return; /* its end is noticed, a little later */
    leaving->here = agent->node;
    memcpy(leaving->id, event->node, sizeof leaving->id);
    list_push_back(&agent->leavings, &leaving->node);
    log_info("cluster", "msg=\"a node is about to leave\" node=%s", leaving->id);
    if (gather(agent->node, leave_on_loop, leaving_free, leaving) != E_OK)
        leaving_free(leaving);
}

static void on_drain(struct agent *agent, const struct cluster_event *event)
{
    if (strcmp(event->node, agent->id) == 0)
        node_drain(agent->node, DRAIN_ORDER);
}

static void on_resume(struct agent *agent, const struct cluster_event *event)
{
    if (strcmp(event->node, agent->id) == 0)
        node_resume(agent->node);
}

static void on_settings(struct agent *agent, const struct cluster_event *event)
{
    (void)event;
    agent_settings_on_event(agent);
}

/* --- events --- */

static const struct {
    void (*handle)(struct agent *agent, const struct cluster_event *event);
    struct metric *count;
} k_events[] = {
    [CLUSTER_EVENT_PUBLISHED] = {on_published, &m_cluster_events_published},
    [CLUSTER_EVENT_ENDED] = {on_ended, &m_cluster_events_ended},
    [CLUSTER_EVENT_FENCED] = {on_fenced, &m_cluster_events_fenced},
    [CLUSTER_EVENT_KICK] = {on_kick, &m_cluster_events_kick},
    [CLUSTER_EVENT_PROMOTE] = {on_promote, &m_cluster_events_promote},
    [CLUSTER_EVENT_LEAVING] = {on_leaving, &m_cluster_events_leaving},
    [CLUSTER_EVENT_DRAIN] = {on_drain, &m_cluster_events_drain},
    [CLUSTER_EVENT_RESUME] = {on_resume, &m_cluster_events_resume},
    [CLUSTER_EVENT_SETTINGS] = {on_settings, &m_cluster_events_settings},
};

void agent_on_event(struct agent *agent, const struct cluster_event *event)
{
    if ((size_t)event->type >= sizeof k_events / sizeof k_events[0] ||
        !k_events[event->type].handle)
        return; /* a ping, or not for nodes of this version */
    agent_note_epoch(agent, event->epoch);
    metric_add(k_events[event->type].count, 1);
    k_events[event->type].handle(agent, event);
}

/* --- answers to heartbeats --- */

static void apply(struct agent *agent, enum cluster_event_type type,
                  const struct cluster_fenced *said, uint64_t epoch)
{
    struct cluster_event event = {.type = type, .name = said->name, .epoch = epoch};

    memcpy(event.node, said->owner, sizeof event.node);
    agent_note_epoch(agent, said->epoch);
    k_events[type].handle(agent, &event);
}

/* By an owner with a lower epoch, or by none: what was reported may not go on, what came after it
 * may. */
static void apply_fenced(struct agent *agent, const struct cluster_fenced *said)
{
    uint64_t reported = beat_book_epoch(&agent->book, said->name.text);

    apply(agent, CLUSTER_EVENT_FENCED, said, reported < said->epoch ? said->epoch : reported + 1);
}

static void apply_moved(struct agent *agent, const struct cluster_fenced *said)
{
    apply(agent, *said->owner ? CLUSTER_EVENT_PUBLISHED : CLUSTER_EVENT_ENDED, said, said->epoch);
}

void agent_on_beat_reply(struct agent *agent, const struct cluster_heartbeat_reply *reply)
{
    for (size_t i = 0; i < reply->n_fenced; i++)
        apply_fenced(agent, &reply->fenced[i]);
    for (size_t i = 0; i < reply->n_moved; i++)
        apply_moved(agent, &reply->moved[i]);
    if (reply->drain)
        node_drain(agent->node, DRAIN_ORDER);
}

void agent_orders_init(struct agent *agent)
{
    list_init(&agent->leavings);
}

void agent_orders_fini(struct agent *agent)
{
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &agent->leavings) /* their walk has ended with the loops */
        leaving_free(list_entry(node, struct leaving, node));
}
