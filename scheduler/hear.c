/* What comes from the store goes into the registry: owners, nodes, what other schedulers say. */
#include <string.h>

#include "common/base/log.h"
#include "proto/cluster/epoch.h"
#include "scheduler/scheduler.h"
#include "scheduler/stats.h"

/* The node that an owner in the store names. NULL: it is not known, and the entry proves nothing.
 */
static struct registry_node *find_owner(struct scheduler *s, const struct store_owner *owner,
                                        bool is_news)
{
    struct registry_node *node = registry_instance(&s->registry, owner->node, owner->instance);
    const struct registry_node *newest = registry_node(&s->registry, owner->node);
    int64_t now_us = scheduler_now_us(s);

    if (node || !is_news)
        return node;
    /* An older or a newer life of a node that reports here: its own heartbeats decide. One that is
     * suspect has ended: it was started again, and reports elsewhere now. */
    if (newest && newest->direct_us && registry_is_live(newest, now_us) &&
        !registry_is_suspect(&s->registry, newest, now_us))
        return NULL;
    if (registry_admit(&s->registry, owner->node, owner->instance, now_us, &node) != E_OK)
        return NULL;
    return node;
}

/* The store is behind: it was away when the stream was granted here, or has lost it since. */
static void correct_store(struct scheduler *s, const struct registry_stream *stream)
{
    struct store_owner owner = scheduler_owner_of(stream);

    s->store->ops->refresh(s->store, &stream->name, &owner);
}

/* An entry of the owner's own that it has never used: the claim reached Redis late, when the node
 * had its lease by another way. What it reports here is the truth. */
static bool is_unused(const struct registry_stream *stream, const struct store_owner *owner)
{
    const struct registry_node *node = stream->owner;

    return node && node->direct_us && stream->is_reported && node->instance == owner->instance &&
           strcmp(node->id, owner->node) == 0;
}

static void ignore_answer(void *arg, enum err e, const struct store_owner *owner)
{
    (void)arg, (void)e, (void)owner;
}

void scheduler_learn_owner(struct scheduler *s, const struct stream_name *name,
                           const struct store_owner *owner, bool is_news)
{
    struct registry_stream *stream = registry_stream(&s->registry, name->text);
    struct registry_lease lease = {name, NULL, owner->epoch, owner->run, !is_news};

    if (stream && stream->owner && stream->epoch > owner->epoch && !is_news)
        correct_store(s, stream);
    if (owner->epoch > EPOCH_MAX || /* no scheduler wrote that */
        (stream && stream->owner && stream->epoch >= owner->epoch))
        return;
    registry_saw_epoch(&s->registry, owner->epoch);
    if (!is_news && stream && is_unused(stream, owner)) {
        s->store->ops->release(s->store, name, owner, ignore_answer, NULL);
        correct_store(s, stream);
        return;
    }
    s->quiet++;
    lease.node = find_owner(s, owner, is_news);
    if (lease.node && stream && is_news)
        registry_believe(stream, lease.node);
    if (lease.node)
        (void)registry_grant(&s->registry, &lease, scheduler_now_us(s));
    s->quiet--;
}

static void on_store_state(void *arg, bool is_up)
{
    struct scheduler *s = arg;

    s->registry.trust = is_up ? REGISTRY_SHARED : REGISTRY_DEGRADED;
    stats_set(STAT_STORE_UP, is_up);
    if (is_up)
        log_info("store", "msg=\"store up\"");
    else
        log_warn("store", "msg=\"store away, answering from memory\"");
    if (is_up) /* what was granted meanwhile is written by the reports */
        registry_want_full(&s->registry);
    told_doubt_store(&s->told);
}

static void on_store_emptied(void *arg)
{
    struct scheduler *s = arg;

    registry_want_full(&s->registry);
    told_doubt_store(&s->told);
}

static void on_store_node(void *arg, const struct cluster_heartbeat *m)
{
    struct scheduler *s = arg;

    s->quiet++;
    registry_merge_node(&s->registry, m, scheduler_now_us(s));
    registry_saw_epoch(&s->registry, m->highest_epoch);
    s->quiet--;
    scheduler_work_soon(s);
}

static void hear_published(struct scheduler *s, const struct store_event *event)
{
    struct registry_stream *stream = registry_stream(&s->registry, event->name.text);
    const struct store_owner *owner = &event->owner;

    if (event->is_old || !stream ||
        !registry_confirm(stream, owner->node, owner->instance, owner->epoch, scheduler_now_us(s)))
        scheduler_learn_owner(s, &event->name, owner, !event->is_old);
}

static void hear_ended(struct scheduler *s, const struct store_event *event)
{
    (void)registry_release(&s->registry, event->name.text, event->owner.node, event->owner.instance,
                           event->owner.epoch);
}

static void hear_kick(struct scheduler *s, const struct store_event *event)
{
    struct cluster_event kick = {CLUSTER_EVENT_KICK, event->name, event->owner.epoch, ""};

    events_broadcast(&s->events, &kick);
}

static void hear_promote(struct scheduler *s, const struct store_event *event)
{
    scheduler_learn_owner(s, &event->name, &event->owner, true);
    scheduler_tell_promoted(s, &event->name, event->owner.epoch);
}

static void hear_of_node(struct scheduler *s, const struct store_event *event)
{
    struct registry_node *node =
        registry_instance(&s->registry, event->owner.node, event->owner.instance);

    if (!node)
        return;
    if (event->type == CLUSTER_EVENT_LEAVING)
        registry_says_leaving(&s->registry, node);
    else if (event->type == CLUSTER_EVENT_SUSPECT)
        scheduler_suspect(s, node);
    else if (event->type == CLUSTER_EVENT_RECOUNT)
        node->want_full = node->is_recounted = node->direct_us != 0;
    else
        scheduler_drain(s, node, event->type == CLUSTER_EVENT_DRAIN);
}

static void on_store_event(void *arg, const struct store_event *event)
{
    static void (*const k_hear[CLUSTER_EVENT_UNKNOWN])(struct scheduler * s,
                                                       const struct store_event *event) = {
        [CLUSTER_EVENT_PUBLISHED] = hear_published, [CLUSTER_EVENT_ENDED] = hear_ended,
        [CLUSTER_EVENT_KICK] = hear_kick,           [CLUSTER_EVENT_PROMOTE] = hear_promote,
        [CLUSTER_EVENT_LEAVING] = hear_of_node,     [CLUSTER_EVENT_SUSPECT] = hear_of_node,
        [CLUSTER_EVENT_DRAIN] = hear_of_node,       [CLUSTER_EVENT_RESUME] = hear_of_node,
        [CLUSTER_EVENT_RECOUNT] = hear_of_node,
    };
    struct scheduler *s = arg;

    if (event->type >= CLUSTER_EVENT_UNKNOWN || !k_hear[event->type])
        return;
    s->quiet++;
    k_hear[event->type](s, event);
    s->quiet--;
}

static void on_store_settings(void *arg, struct cluster_settings *m)
{
    told_merge(&((struct scheduler *)arg)->told, m, true);
}

static void on_store_settings_read(void *arg)
{
    told_store_rest(&((struct scheduler *)arg)->told);
}

static void on_store_scale(void *arg, struct buf_view json)
{
    scaling_learn(&((struct scheduler *)arg)->scaling, json);
}

static void on_store_settings_refused(void *arg)
{
    told_doubt_store(&((struct scheduler *)arg)->told);
}

const struct store_watch k_news_of_store = {
    .on_state = on_store_state,
    .on_emptied = on_store_emptied,
    .on_node = on_store_node,
    .on_event = on_store_event,
    .on_settings = on_store_settings,
    .on_scale = on_store_scale,
    .on_settings_read = on_store_settings_read,
    .on_settings_refused = on_store_settings_refused,
};
