/* Heartbeats: how a node's report changes what is known.
 *
 * A full report replaces everything known of the node, a delta adds to the report before it. Both
 * may arrive while a grant is on its way to the node, so a stream granted less than a lease ago and
 * not yet reported is kept. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scheduler/epoch.h"
#include "scheduler/registry_private.h"

/* One report while it is applied. */
struct reporting {
    struct registry *r;
    struct registry_node *node;
    struct cluster_heartbeat_reply *reply;
    int64_t now_us;
    size_t fenced_room;
};

static enum err check_epochs(const struct cluster_heartbeat *m, int64_t wall_us,
                             struct cluster_error *error)
{
    if (!epoch_is_plausible(m->highest_epoch, wall_us)) {
        snprintf(error->text, sizeof error->text,
                 "highest_epoch: %" PRIu64 " was never given to anybody", m->highest_epoch);
        return E_INVAL;
    }
    for (size_t i = 0; i < m->n_streams; i++) {
        if (!epoch_is_plausible(m->streams[i].epoch, wall_us)) {
            snprintf(error->text, sizeof error->text,
                     "streams[%zu].epoch: %" PRIu64 " was never given to anybody", i,
                     m->streams[i].epoch);
            return E_INVAL;
        }
    }
    return E_OK;
}

static enum err add_fenced(struct reporting *p, const struct registry_stream *s)
{
    struct cluster_heartbeat_reply *reply = p->reply;
    struct cluster_fenced *fenced;

    if (reply->n_fenced == p->fenced_room) {
        size_t room = p->fenced_room ? 2 * p->fenced_room : 8;

        fenced = realloc(reply->fenced, room * sizeof *fenced);
        if (!fenced)
            return E_NOMEM;
        reply->fenced = fenced;
        p->fenced_room = room;
    }
    fenced = &reply->fenced[reply->n_fenced++];
    *fenced = (struct cluster_fenced){.name = s->name, .epoch = s->epoch};
    if (s->owner)
        memcpy(fenced->owner, s->owner->id, sizeof fenced->owner);
    return E_OK;
}

static void take_ownership(struct reporting *p, struct registry_stream *s,
                           const struct cluster_stream *said)
{
    registry_set_owner(p->r, s, p->node, said->epoch);
    s->is_reported = true;
}

/* The node says that it owns a stream that another one owns here. */
static enum err resolve_conflict(struct reporting *p, struct registry_stream *s,
                                 const struct cluster_stream *said)
{
    bool is_protected = s->is_granted && registry_is_live(s->owner, p->now_us);

    if (!epoch_wins(said->epoch, p->node->id, s->epoch, s->owner->id))
        return add_fenced(p, s);
    if (!is_protected || p->r->trust == REGISTRY_DEGRADED) {
        take_ownership(p, s, said);
        return E_OK;
    }
    if (p->r->trust == REGISTRY_SHARED && s->disputed_epoch != said->epoch) {
        s->disputed_epoch = said->epoch;
        p->r->watch.on_dispute(p->r->watch.arg, s, p->node->id);
        return E_OK; /* the store's answer decides before the next report */
    }
    return add_fenced(p, s);
}

static enum err apply_owned(struct reporting *p, struct registry_stream *s,
                            const struct cluster_stream *said)
{
    struct registry_carrier *carrier = registry_carrier(s, p->node);
    enum err e = E_OK;

    if (!s->owner)
        take_ownership(p, s, said);
    else if (s->owner != p->node)
        e = resolve_conflict(p, s, said);
    else if (said->epoch > s->epoch)
        take_ownership(p, s, said);
    if (s->owner == p->node) {
        s->report = p->node->report;
        s->n_viewers = said->n_viewers;
        s->n_children = said->n_children;
        s->is_reported = s->is_reported || said->epoch == s->epoch;
        if (carrier) /* it pulled until now */
            registry_drop_carrier(p->r, carrier);
    }
    return e;
}

static enum err apply_carried(struct reporting *p, struct registry_stream *s,
                              const struct cluster_stream *said)
{
    struct registry_carrier *c = registry_carrier(s, p->node);

    if (!c) {
        c = calloc(1, sizeof *c);
        if (!c) {
            registry_drop_if_idle(p->r, s);
            return E_NOMEM;
        }
        c->stream = s;
        c->node = p->node;
        list_push_back(&s->carriers, &c->of_stream);
        list_push_back(&p->node->carried, &c->of_node);
        s->n_carriers++;
    }
    c->epoch = said->epoch;
    c->report = p->node->report;
    c->n_viewers = said->n_viewers;
    c->n_children = said->n_children;
    c->depth = said->depth;
    memcpy(c->upstream, said->upstream, sizeof c->upstream);
    return E_OK;
}

/* The node does not have the stream any more, in the kind that it says. */
static void apply_removed(struct reporting *p, const struct cluster_stream *said)
{
    struct registry_stream *s = registry_stream(p->r, said->name.text);
    struct registry_carrier *c;

    if (!s)
        return;
    c = registry_carrier(s, p->node);
    if (said->kind == CLUSTER_STREAM_CARRIED) {
        if (c)
            registry_drop_carrier(p->r, c);
        return;
    }
    /* an epoch below ours: the end of the publish before the one just granted */
    if (s->owner == p->node && (said->epoch == 0 || said->epoch >= s->epoch))
        (void)registry_release(p->r, s->name.text, p->node->id, p->node->instance, s->epoch);
}

static enum err apply_stream(struct reporting *p, const struct cluster_stream *said)
{
    struct registry_stream *s;
    enum err e;

    if (said->removed) {
        apply_removed(p, said);
        return E_OK;
    }
    e = registry_need_stream(p->r, &said->name, &s);
    if (e != E_OK)
        return e;
    return said->kind == CLUSTER_STREAM_OWNED ? apply_owned(p, s, said) : apply_carried(p, s, said);
}

/* After a full report: what it did not name is gone. */
static void drop_unnamed(struct reporting *p)
{
    struct registry_node *node = p->node;
    struct list *at, *tmp;

    list_for_each_safe(at, tmp, &node->owned) {
        struct registry_stream *s = list_entry(at, struct registry_stream, of_owner);
        bool on_its_way =
            s->is_granted && !s->is_reported && p->now_us - s->granted_us <= p->r->conf.lease_us;

        if (s->report != node->report && !on_its_way)
            (void)registry_release(p->r, s->name.text, node->id, node->instance, s->epoch);
    }
    list_for_each_safe(at, tmp, &node->carried) {
        struct registry_carrier *c = list_entry(at, struct registry_carrier, of_node);

        if (c->report != node->report)
            registry_drop_carrier(p->r, c);
    }
}

static enum err apply_streams(struct reporting *p, const struct cluster_heartbeat *m)
{
    p->node->report++;
    for (size_t i = 0; i < m->n_streams; i++) {
        enum err e = apply_stream(p, &m->streams[i]);

        if (e != E_OK) {
            p->node->want_full = true; /* what was not kept is asked for again */
            return e;
        }
    }
    if (m->full)
        drop_unnamed(p);
    return E_OK;
}

static enum err check_sequence(const struct registry_node *node, const struct cluster_heartbeat *m,
                               struct cluster_error *error)
{
    if (!node->direct_us || m->seq >= node->seq)
        return E_OK;
    snprintf(error->text, sizeof error->text, "seq: %" PRIu64 " is older than %" PRIu64, m->seq,
             node->seq);
    return E_STALE;
}

enum err registry_heartbeat(struct registry *r, const struct cluster_heartbeat *m, int64_t now_us,
                            int64_t wall_us, struct cluster_heartbeat_reply *reply,
                            struct cluster_error *error)
{
    struct reporting p = {.r = r, .reply = reply, .now_us = now_us};
    bool is_next;
    enum err e = check_epochs(m, wall_us, error);

    if (e == E_OK)
        e = registry_need_node(r, m->node, m->instance, &p.node, error);
    if (e == E_OK)
        e = check_sequence(p.node, m, error);
    if (e != E_OK)
        return e;
    registry_describe(p.node, m);
    registry_saw_epoch(r, m->highest_epoch, wall_us);
    is_next = p.node->direct_us && m->seq == p.node->seq + 1;
    p.node->seq = m->seq;
    p.node->heard_us = p.node->direct_us = now_us;
    p.node->lease_until_us = now_us + r->conf.lease_us;
    p.node->is_lapsed = false;
    if (m->full) {
        p.node->want_full = false;
        p.node->full_us = now_us;
    } else if (!is_next) {
        p.node->want_full = true; /* a report is missing: this one does not say everything */
    }
    for (size_t i = 0; i < m->n_streams; i++)
        registry_saw_epoch(r, m->streams[i].epoch, wall_us);
    e = apply_streams(&p, m);
    if (e == E_LIMIT)
        snprintf(error->text, sizeof error->text, "limits.streams reached: %zu",
                 r->conf.max_streams);
    reply->want_full = p.node->want_full;
    reply->highest_epoch = r->highest_epoch;
    return e;
}
