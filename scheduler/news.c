/* What changes in the registry goes to the store, to the other schedulers and to the nodes. The
 * other way: hear.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "scheduler/scheduler.h"
#include "scheduler/stats.h"

/* Up to so many connections everybody hears of every stream, which keeps cached routes fresh;
 * above, only those whom it concerns, or a cluster that starts streams all the time would do
 * nothing else. */
#define TELL_ALL_MAX 200
#define MANY_CARRIERS 300 /* more are told in slices, with everybody else */

struct orphan { /* a stream whose owner is gone and that has a standby */
    struct list node;
    struct stream_name name;
};

static void ignore_answer(void *arg, enum err e, const struct store_owner *owner)
{
    (void)arg, (void)e, (void)owner; /* the next report says it again */
}

static struct store_owner owner_of(const struct registry_node *node, uint64_t epoch)
{
    struct store_owner owner = {.instance = node->instance, .epoch = epoch};

    memcpy(owner.node, node->id, sizeof owner.node);
    return owner;
}

struct store_owner scheduler_owner_of(const struct registry_stream *stream)
{
    struct store_owner owner = owner_of(stream->owner, stream->epoch);

    owner.run = stream->run;
    return owner;
}

static void announce(struct scheduler *s, enum cluster_event_type type,
                     const struct registry_node *node)
{
    struct store_event event = {.type = type, .owner = owner_of(node, 0)};

    if (!s->quiet)
        s->store->ops->announce(s->store, &event);
}

static struct cluster_event event_of_node(enum cluster_event_type type, const char *id)
{
    struct cluster_event event = {.type = type};

    snprintf(event.node, sizeof event.node, "%s", id);
    return event;
}

/* --- to the nodes that a stream concerns --- */

struct telling {
    struct scheduler *scheduler;
    const struct registry_stream *stream;
    struct cluster_event event;
};

/* Of those that asked: carriers hear of it as such. */
static void tell_asker(void *arg, const char *id)
{
    const struct telling *t = arg;
    const struct registry_node *node = registry_node(&t->scheduler->registry, id);

    if (node && !registry_carrier(t->stream, node))
        (void)events_send(&t->scheduler->events, id, node->instance, &t->event);
}

/* Who carries the stream, holds a publisher of it ready, or asked for it of late. What is no news,
 * as when a restarted scheduler hears of thousands of streams, goes only to who has it wrong. */
static void tell_nodes(struct scheduler *s, enum cluster_event_type type,
                       const struct registry_stream *stream, const char *node, bool is_news)
{
    struct telling t = {s, stream, event_of_node(type, node)};
    const struct registry_carrier *c;
    struct list *at;

    t.event.name = stream->name;
    t.event.epoch = stream->epoch;
    if (is_news &&
        (events_count(&s->events) <= TELL_ALL_MAX || stream->n_carriers > MANY_CARRIERS)) {
        events_broadcast(&s->events, &t.event);
        return;
    }
    for (c = registry_carrier_at(stream, 0); c; c = registry_carrier_next(c))
        if (is_news || !list_is_empty(&c->of_moved))
            (void)events_send(&s->events, c->node->id, c->node->instance, &t.event);
    for (at = stream->standbys.next; at != &stream->standbys; at = at->next) {
        const struct registry_node *to = list_entry(at, struct registry_standby, of_stream)->node;

        (void)events_send(&s->events, to->id, to->instance, &t.event);
    }
    interests_tell(&s->interests, stream->name.text, scheduler_now_us(s), tell_asker, &t);
}

static void fence(struct scheduler *s, const struct registry_stream *stream,
                  const struct registry_node *old_owner)
{
    struct cluster_event fenced = event_of_node(CLUSTER_EVENT_FENCED, stream->owner->id);

    fenced.name = stream->name;
    fenced.epoch = stream->epoch;
    stats_count(STAT_FENCED);
    log_info("publish", "msg=\"stream moved\" stream=%s from=%s to=%s epoch=%llu",
             stream->name.text, old_owner->id, stream->owner->id,
             (unsigned long long)stream->epoch);
    (void)events_send(&s->events, old_owner->id, old_owner->instance, &fenced);
}

/* --- of streams --- */

static void on_owner(void *arg, const struct registry_stream *stream,
                     const struct registry_node *old_owner)
{
    struct scheduler *s = arg;
    struct store_event event = {.type = CLUSTER_EVENT_PUBLISHED, .name = stream->name};

    feed_note_stream(&s->feed, stream);
    if (old_owner)
        fence(s, stream, old_owner);
    tell_nodes(s, CLUSTER_EVENT_PUBLISHED, stream, stream->owner->id, stream->is_granted);
    if (s->quiet)
        return;
    event.owner = scheduler_owner_of(stream);
    if (!s->is_renewing)
        s->store->ops->refresh(s->store, &stream->name, &event.owner);
    s->store->ops->announce(s->store, &event);
}

static void on_ended(void *arg, const struct registry_stream *stream,
                     const struct registry_node *old_owner)
{
    struct scheduler *s = arg;
    struct store_event event = {.type = CLUSTER_EVENT_ENDED, .name = stream->name};

    feed_note_stream(&s->feed, stream);
    tell_nodes(s, CLUSTER_EVENT_ENDED, stream, old_owner->id, true);
    event.owner = owner_of(old_owner, stream->epoch);
    if (!s->quiet || s->registry.is_disowning) /* or it would be learned from there again */
        s->store->ops->release(s->store, &stream->name, &event.owner, ignore_answer, NULL);
    if (!s->quiet)
        s->store->ops->announce(s->store, &event);
}

static void on_dropped(void *arg, const struct registry_stream *stream,
                       const struct registry_node *old_owner)
{
    struct scheduler *s = arg;
    struct store_owner owner = owner_of(old_owner, stream->epoch);

    feed_note_stream(&s->feed, stream);
    if (!s->quiet && !s->is_stopping)
        s->store->ops->release(s->store, &stream->name, &owner, ignore_answer, NULL);
}

struct dispute {
    struct scheduler *scheduler;
    struct stream_name name;
};

static void on_looked_up(void *arg, enum err e, const struct store_owner *owner)
{
    struct dispute *dispute = arg;

    if (e == E_OK && !dispute->scheduler->is_stopping)
        scheduler_learn_owner(dispute->scheduler, &dispute->name, owner, false);
    free(dispute);
}

/* Another scheduler may have granted it, and its event is still on the way: the store knows. */
static void on_dispute(void *arg, const struct registry_stream *stream, const char *node)
{
    struct scheduler *s = arg;
    struct dispute *dispute = malloc(sizeof *dispute);

    if (stream->disputed_us == scheduler_now_us(s))
        log_info("publish", "msg=\"two owners, asking the store\" stream=%s owner=%s other=%s",
                 stream->name.text, stream->owner->id, node);
    if (!dispute)
        return;
    *dispute = (struct dispute){s, stream->name};
    s->store->ops->lookup(s->store, &stream->name, on_looked_up, dispute);
}

/* --- standbys --- */

static void on_orphan(void *arg, const struct registry_stream *stream)
{
    struct scheduler *s = arg;
    struct orphan *orphan = s->is_stopping ? NULL : malloc(sizeof *orphan);

    if (!orphan)
        return; /* the standby's next report calls again */
    orphan->name = stream->name;
    list_push_back(&s->orphans, &orphan->node);
    scheduler_work_soon(s);
}

bool scheduler_call_standbys(struct scheduler *s, unsigned max_streams)
{
    struct list *at;

    while (max_streams-- > 0 && (at = list_pop_front(&s->orphans))) {
        struct orphan *orphan = list_entry(at, struct orphan, node);

        publish_jobs_promote(&s->jobs, &orphan->name);
        free(orphan);
    }
    return list_is_empty(&s->orphans);
}

void scheduler_forget_orphans(struct scheduler *s)
{
    struct list *at;

    while ((at = list_pop_front(&s->orphans)))
        free(list_entry(at, struct orphan, node));
}

static bool send_promote(struct scheduler *s, const struct registry_stream *stream)
{
    struct cluster_event event = event_of_node(CLUSTER_EVENT_PROMOTE, stream->owner->id);

    event.name = stream->name;
    event.epoch = stream->epoch;
    return events_send(&s->events, stream->owner->id, stream->owner->instance, &event);
}

void scheduler_tell_promoted(struct scheduler *s, const struct stream_name *name, uint64_t epoch)
{
    struct registry_stream *stream = registry_stream(&s->registry, name->text);
    struct store_event event = {.type = CLUSTER_EVENT_PROMOTE, .name = *name};

    if (!stream || !stream->owner || stream->epoch != epoch)
        return;
    stream->is_promoted = true; /* told again when the node opens its events connection */
    if (send_promote(s, stream) || s->quiet)
        return;
    event.owner = scheduler_owner_of(stream);
    s->store->ops->announce(s->store, &event); /* it is connected to another scheduler */
}

void scheduler_tell_missed(struct scheduler *s, const char *id, uint64_t instance)
{
    const struct registry_node *node =
        instance ? registry_instance(&s->registry, id, instance) : registry_node(&s->registry, id);
    struct list *at;

    if (node && node->wants_drain) {
        struct cluster_event drain = event_of_node(CLUSTER_EVENT_DRAIN, id);

        (void)events_send(&s->events, id, instance, &drain);
    }
    for (at = s->registry.grants.next; node && at != &s->registry.grants; at = at->next) {
        const struct registry_stream *stream = list_entry(at, struct registry_stream, of_grants);

        if (stream->owner == node && stream->is_promoted)
            (void)send_promote(s, stream);
    }
}

/* --- of nodes --- */

static void on_leaving(void *arg, const struct registry_node *node)
{
    struct scheduler *s = arg;
    struct cluster_event event = event_of_node(CLUSTER_EVENT_LEAVING, node->id);

    if (node->is_older) /* its successor has its address: who comes again finds that one */
        return;
    stats_count(STAT_LEAVING);
    log_info("registry", "msg=\"node leaves\" node=%s instance=%llu", node->id,
             (unsigned long long)node->instance);
    events_broadcast(&s->events, &event);
    announce(s, CLUSTER_EVENT_LEAVING, node);
}

static void on_lapse(void *arg, const struct registry_node *node)
{
    (void)arg;
    log_warn("registry", "msg=\"lease lapsed\" node=%s role=%s", node->id,
             k_cluster_roles[node->place.role]);
}

static void on_differs(void *arg, const struct registry_node *node)
{
    struct scheduler *s = arg;
    struct store_event event = {.type = CLUSTER_EVENT_RECOUNT, .owner = owner_of(node, 0)};

    stats_count(STAT_RECOUNTS);
    s->store->ops->announce(s->store, &event); /* although what showed it came from the store */
}

static void on_seen(void *arg, const struct registry_node *node)
{
    struct scheduler *s = arg;

    scaling_saw(&s->scaling, node, scheduler_now_us(s));
}

static void on_suspect(void *arg, const struct registry_node *node)
{
    struct scheduler *s = arg;

    if (registry_has_standbys(node))
        (void)probes_ask(&s->probes, node, NULL);
}

static void on_clash(void *arg, enum registry_clash clash, const struct registry_node *node,
                     const char *other)
{
    static const struct {
        const char *text;
        enum stat stat;
    } k_clashes[] = {
        [REGISTRY_SECOND_INSTANCE] = {"a second node with this id, at another address, takes its "
                                      "place",
                                      STAT_SECOND_INSTANCE},
        [REGISTRY_SHARED_ADDRESS] = {"two nodes say that they are at one internal address",
                                     STAT_SHARED_ADDRESS},
        [REGISTRY_LOAD] = {"reported load is not possible, cut to what is", STAT_FALSE_LOAD},
    };

    (void)arg;
    stats_count(k_clashes[clash].stat);
    log_warn("registry", "msg=\"%s\" node=%s address=%s other=%s", k_clashes[clash].text, node->id,
             registry_address(&node->internal_urls), LOG_STR(other));
}

const struct registry_watch k_news_of_registry = {
    .on_owner = on_owner,
    .on_ended = on_ended,
    .on_dropped = on_dropped,
    .on_dispute = on_dispute,
    .on_orphan = on_orphan,
    .on_leaving = on_leaving,
    .on_differs = on_differs,
    .on_lapse = on_lapse,
    .on_seen = on_seen,
    .on_suspect = on_suspect,
    .on_clash = on_clash,
};

void scheduler_suspect(struct scheduler *s, struct registry_node *node)
{
    int64_t now_us = scheduler_now_us(s);
    bool is_news = !node->is_gone && !registry_is_suspect(&s->registry, node, now_us);

    registry_suspect(node, now_us);
    if (!is_news)
        return;
    announce(s, CLUSTER_EVENT_SUSPECT, node);
    if (registry_has_standbys(node))
        (void)probes_ask(&s->probes, node, NULL);
}

void scheduler_suspect_avoided(struct scheduler *s, const char *asker,
                               const struct cluster_ids *avoid)
{
    for (unsigned i = 0; *asker && i < avoid->n; i++) {
        struct registry_node *node = registry_node(&s->registry, avoid->id[i]);

        if (strcmp(asker, avoid->id[i]) == 0)
            continue;
        for (; node; node = node->older)
            scheduler_suspect(s, node);
    }
}

void scheduler_drain(struct scheduler *s, struct registry_node *node, bool wanted)
{
    enum cluster_event_type type = wanted ? CLUSTER_EVENT_DRAIN : CLUSTER_EVENT_RESUME;
    struct cluster_event event = event_of_node(type, node->id);

    registry_drain(&s->registry, node, wanted);
    (void)events_send(&s->events, node->id, node->instance, &event);
    announce(s, type, node);
}
