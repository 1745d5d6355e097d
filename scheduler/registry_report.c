/* Heartbeats: how a node's report changes what is known.
 *
 * A full report replaces everything known of the node, a delta adds to the report before it. Both
 * may arrive while a grant is on its way to the node, so a stream granted less than a lease ago and
 * not yet reported is kept. A full report of many streams comes in parts; what none of them names
 * is dropped with the last one. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/cluster/epoch.h"
#include "scheduler/registry_private.h"

#define TRIM_AT_ONCE 200 /* streams that a full report ends before its answer */

/* One report while it is applied. */
struct reporting {
    struct registry *r;
    struct registry_node *node;
    struct cluster_heartbeat_reply *reply;
    int64_t now_us;
    size_t fenced_room;
};

static enum err check_epochs(const struct registry *r, const struct cluster_heartbeat *m,
                             int64_t wall_us, struct cluster_error *error)
{
    if (!registry_is_possible(r, m->highest_epoch, wall_us)) {
        snprintf(error->text, sizeof error->text,
                 "highest_epoch: %" PRIu64 " was never given to anybody", m->highest_epoch);
        return E_INVAL;
    }
    for (size_t i = 0; i < m->n_streams; i++) {
        if (!registry_is_possible(r, m->streams[i].epoch, wall_us)) {
            snprintf(error->text, sizeof error->text,
                     "streams[%zu].epoch: %" PRIu64 " was never given to anybody", i,
                     m->streams[i].epoch);
            return E_INVAL;
        }
    }
    return E_OK;
}

/* --- what the answer tells --- */

static struct cluster_fenced told_of(const struct registry_stream *s)
{
    struct cluster_fenced told = {.name = s->name, .epoch = s->epoch};

    if (s->owner)
        memcpy(told.owner, s->owner->id, sizeof told.owner);
    return told;
}

static enum err add_fenced(struct reporting *p, const struct registry_stream *s)
{
    struct cluster_heartbeat_reply *reply = p->reply;
    struct cluster_fenced *fenced;

    if (reply->n_fenced == REGISTRY_MAX_TOLD) {
        p->node->want_full = true; /* the rest comes with the next one */
        return E_OK;
    }
    if (reply->n_fenced == p->fenced_room) {
        size_t room = p->fenced_room ? 2 * p->fenced_room : 8;

        fenced = realloc(reply->fenced, room * sizeof *fenced);
        if (!fenced)
            return E_NOMEM;
        reply->fenced = fenced;
        p->fenced_room = room;
    }
    reply->fenced[reply->n_fenced++] = told_of(s);
    return E_OK;
}

/* The longest not told come first; each is told again until the node reports the newer epoch. */
static void tell_moved(struct reporting *p)
{
    struct list *moved = &p->node->moved, *at;
    size_t n = 0;

    for (at = moved->next; at != moved && n < REGISTRY_MAX_TOLD; at = at->next)
        n++;
    if (n == 0)
        return;
    p->reply->moved = calloc(n, sizeof *p->reply->moved);
    if (!p->reply->moved)
        return; /* the next answer tells them */
    while (p->reply->n_moved < n) {
        at = list_pop_front(moved);
        list_push_back(moved, at);
        p->reply->moved[p->reply->n_moved++] =
            told_of(list_entry(at, struct registry_carrier, of_moved)->stream);
    }
}

/* True when the node is to be told now: so many at a time, so that nobody drowns in reports. */
static bool asks_full(struct reporting *p)
{
    struct registry *r = p->r;
    struct registry_node *node = p->node;

    if (node->is_in_dispute && p->now_us - node->asked_full_us >= r->conf.interval_us / 2) {
        node->is_in_dispute = false;
        node->want_full = true;
    }
    if (!node->want_full)
        return false;
    if (node->is_asked_full)
        return true;
    if (r->conf.max_full_reports && r->n_asked_full >= r->conf.max_full_reports)
        return false;
    node->is_asked_full = true;
    node->asked_full_us = p->now_us;
    r->n_asked_full++;
    return true;
}

/* --- ownership --- */

static void take_ownership(struct reporting *p, struct registry_stream *s,
                           const struct cluster_stream *said)
{
    const struct registry_node *old = registry_set_owner(p->r, s, p->node, said->epoch, said->run);

    s->is_reported = true;
    p->r->watch.on_owner(p->r->watch.arg, s, old);
}

/* Whether the store may still say that the node is right: a scheduler that was cut off from it has
 * as long as a lease to write what it granted. Till then the node says it again each time. */
static bool is_disputed(struct reporting *p, struct registry_stream *s,
                        const struct cluster_stream *said)
{
    if (s->disputed_epoch != said->epoch) {
        s->disputed_epoch = said->epoch;
        s->disputed_us = p->now_us;
    }
    if (p->now_us - s->disputed_us > p->r->conf.lease_us)
        return false;
    p->node->is_in_dispute = true;
    p->r->watch.on_dispute(p->r->watch.arg, s, p->node->id);
    return true;
}

/* The node says that it owns a stream that another one owns here. One that shares its address with
 * the owner may be a copy of it, and is believed only when the owner is gone. */
static enum err resolve_conflict(struct reporting *p, struct registry_stream *s,
                                 const struct cluster_stream *said)
{
    bool is_copy = registry_is_same_address(s->owner, p->node);
    bool is_protected = (s->is_granted || is_copy) && registry_is_live(s->owner, p->now_us);

    if (!epoch_wins(said->epoch, p->node->id, s->epoch, s->owner->id))
        return add_fenced(p, s);
    if (!is_protected || (p->r->trust == REGISTRY_DEGRADED && !is_copy)) {
        take_ownership(p, s, said);
        return E_OK;
    }
    if (p->r->trust == REGISTRY_SHARED && !is_copy && is_disputed(p, s, said))
        return E_OK;
    return add_fenced(p, s);
}

static void renew_owned(struct reporting *p, struct registry_stream *s,
                        const struct cluster_stream *said)
{
    struct registry_carrier *carrier = registry_carrier(s, p->node);

    s->report = p->node->report;
    s->n_viewers = said->n_viewers;
    s->n_children = said->n_children;
    if (said->epoch == s->epoch && !s->is_reported) {
        s->is_reported = true;
        list_remove(&s->of_grants);
    }
    if (said->run && said->epoch == s->epoch)
        s->run = said->run;
    if (carrier) /* it pulled until now */
        registry_drop_carrier(p->r, carrier);
}

/* An instance that was replaced keeps nothing; registry_reap() only has not come to this one. */
static void drop_dying_owner(struct registry *r, struct registry_stream *s)
{
    if (s->owner && registry_is_dying(s->owner))
        registry_lose_owner(r, s);
}

static enum err apply_owned(struct reporting *p, struct registry_stream *s,
                            const struct cluster_stream *said)
{
    enum err e = E_OK;

    /* Nobody owns it, and the epoch is not the last one known: the node had lost the stream to one
     * that is gone by now. Epochs only grow. */
    drop_dying_owner(p->r, s);
    if (s->owner && s->owner != p->node)
        e = resolve_conflict(p, s, said);
    else if (!s->owner && said->epoch < s->epoch)
        e = add_fenced(p, s);
    else if (!s->owner || said->epoch > s->epoch)
        take_ownership(p, s, said);
    if (s->owner == p->node)
        renew_owned(p, s, said);
    else
        registry_drop_if_idle(p->r, s);
    return e;
}

static enum err apply_carried(struct reporting *p, struct registry_stream *s,
                              const struct cluster_stream *said)
{
    struct registry_carrier *c = registry_need_carrier(s, p->node);

    if (!c) {
        registry_drop_if_idle(p->r, s);
        return E_NOMEM;
    }
    c->epoch = said->epoch;
    c->report = p->node->report;
    c->is_reported = true;
    s->n_carried_viewers += (uint64_t)said->n_viewers - c->n_viewers;
    c->n_viewers = said->n_viewers;
    c->n_children = said->n_children;
    c->depth = said->depth;
    memcpy(c->upstream, said->upstream, sizeof c->upstream);
    registry_keep_promise(c);
    registry_sort_moved(c);
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
        registry_end_stream(p->r, s);
}

/* --- streams of a report --- */

/* What limits.streams leaves no room for is asked for again when there is room. */
static enum err left_out(struct reporting *p, enum err e)
{
    if (e != E_LIMIT)
        return e;
    p->r->n_left_out++;
    p->node->is_partial = true;
    return E_OK;
}

/* The answer to the node was lost, and it goes on with a lower epoch that it granted itself. */
static bool is_unused_grant(const struct reporting *p, const struct registry_stream *s,
                            const struct cluster_stream *said)
{
    return s->owner == p->node && !s->is_reported && said->kind == CLUSTER_STREAM_OWNED &&
           said->epoch < s->epoch && p->now_us - s->granted_us > p->r->conf.lease_us;
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
    if (e == E_OK && is_unused_grant(p, s, said)) {
        registry_disown(p->r, s); /* s may be gone */
        e = registry_need_stream(p->r, &said->name, &s);
    }
    if (e != E_OK)
        return left_out(p, e);
    return said->kind == CLUSTER_STREAM_OWNED ? apply_owned(p, s, said) : apply_carried(p, s, said);
}

unsigned registry_trim(struct registry *r, struct registry_node *node, int64_t now_us,
                       unsigned max_streams)
{
    struct list *at, *tmp;

    list_for_each_safe(at, tmp, &node->owned) {
        struct registry_stream *s = list_entry(at, struct registry_stream, of_owner);
        bool on_its_way = s->is_granted && s->said_us && !s->is_reported &&
                          now_us - s->granted_us <= r->conf.lease_us;

        if (s->report == node->report || on_its_way)
            continue;
        if (max_streams-- == 0)
            return 0;
        registry_end_stream(r, s);
    }
    list_for_each_safe(at, tmp, &node->carried) {
        struct registry_carrier *c = list_entry(at, struct registry_carrier, of_node);

        if (c->report == node->report || registry_is_promised(c))
            continue;
        if (max_streams-- == 0)
            return 0;
        registry_drop_carrier(r, c);
    }
    list_remove(&node->of_trimming);
    return max_streams;
}

/* After a full report: what it did not name is gone; what is left of that, by registry_reap(). */
static void drop_unnamed(struct reporting *p)
{
    list_remove(&p->node->of_trimming);
    list_push_back(&p->r->trimming, &p->node->of_trimming);
    (void)registry_trim(p->r, p->node, p->now_us, TRIM_AT_ONCE);
}

/* True when the report goes on where the one before it ended; else something is missing. */
static bool follows(const struct registry_node *node, const struct cluster_heartbeat *m,
                    bool is_next)
{
    if (m->full)
        return m->part == 0 || (is_next && m->part == node->next_part);
    return is_next && node->next_part == 0;
}

static enum err apply_streams(struct reporting *p, const struct cluster_heartbeat *m, bool is_next)
{
    struct registry_node *node = p->node;
    bool is_in_order = follows(node, m, is_next);

    if (!is_in_order) {
        node->want_full = true; /* this one does not say everything */
    } else if (m->full && m->part == 0) {
        list_remove(&node->of_trimming); /* it says anew what it has */
        node->report++;
        node->want_full = node->is_partial = false;
    }
    node->next_part = is_in_order && m->full && m->more ? m->part + 1 : 0;
    for (size_t i = 0; i < m->n_streams; i++) {
        enum err e = apply_stream(p, &m->streams[i]);

        if (e != E_OK) {
            node->want_full = true; /* what was not kept is asked for again */
            node->next_part = 0;
            return e;
        }
    }
    if (m->full && is_in_order && !m->more) {
        drop_unnamed(p);
        node->full_us = p->now_us;
        registry_free_full_slot(p->r, node);
    }
    return E_OK;
}

/* --- standbys --- */

static enum err apply_standby(struct reporting *p, const struct stream_name *name)
{
    struct registry_standby *standby;
    struct registry_stream *s;
    enum err e;

    if (p->node->place.role == CLUSTER_EDGE) /* its own matter: no edge can own the stream */
        return E_OK;
    e = registry_need_stream(p->r, name, &s);
    if (e != E_OK)
        return left_out(p, e);
    if (s->owner == p->node) /* its turn came after it wrote this, or it waits behind its own */
        return E_OK;
    e = registry_add_standby(p->r, name, p->node, p->now_us);
    if (e != E_OK)
        return e;
    standby = registry_standby(s, p->node);
    standby->report = p->node->standby_report;
    standby->is_reported = true;
    /* whose owner nobody has heard of for a lease, say since schedulers were away when it ended */
    if ((!s->owner || !registry_is_live(s->owner, p->now_us)) &&
        p->now_us - standby->since_us > p->r->conf.lease_us && p->r->watch.on_orphan)
        p->r->watch.on_orphan(p->r->watch.arg, s);
    return E_OK;
}

/* All of them, in every report: one that is not named is gone, unless the answer that made it one
 * is still on its way to the node. */
static enum err apply_standbys(struct reporting *p, const struct cluster_heartbeat *m)
{
    struct registry_node *node = p->node;
    struct list *at, *tmp;

    node->standby_report++;
    for (size_t i = 0; i < m->n_standbys; i++) {
        enum err e = apply_standby(p, &m->standbys[i].name);

        if (e != E_OK)
            return e;
    }
    list_for_each_safe(at, tmp, &node->standbys) {
        struct registry_standby *standby = list_entry(at, struct registry_standby, of_node);
        bool on_its_way =
            !standby->is_reported && p->now_us - standby->since_us <= p->r->conf.lease_us;

        if (standby->report != node->standby_report && !on_its_way)
            registry_drop_standby(p->r, standby);
    }
    return E_OK;
}

/* --- the whole --- */

static enum err check_sequence(const struct registry_node *node, const struct cluster_heartbeat *m,
                               struct cluster_error *error)
{
    if (!node->direct_us || m->seq >= node->seq)
        return E_OK;
    snprintf(error->text, sizeof error->text, "seq: %" PRIu64 " is older than %" PRIu64, m->seq,
             node->seq);
    return E_STALE;
}

static void saw_epochs(struct registry *r, const struct cluster_heartbeat *m)
{
    registry_saw_epoch(r, m->highest_epoch);
    for (size_t i = 0; i < m->n_streams; i++)
        registry_saw_epoch(r, m->streams[i].epoch);
}

enum err registry_heartbeat(struct registry *r, const struct cluster_heartbeat *m, int64_t now_us,
                            int64_t wall_us, struct cluster_heartbeat_reply *reply,
                            struct cluster_error *error)
{
    struct reporting p = {.r = r, .reply = reply, .now_us = now_us};
    bool is_next, is_repeated;
    enum err e = check_epochs(r, m, wall_us, error);

    if (e == E_OK)
        e = registry_need_node(r, m->node, m->instance, m, now_us, &p.node, error);
    if (e == E_OK)
        e = check_sequence(p.node, m, error);
    if (e != E_OK)
        return e;
    is_next = p.node->direct_us && m->seq == p.node->seq + 1;
    is_repeated = p.node->direct_us && m->seq == p.node->seq;
    p.node->seq = m->seq;
    p.node->direct_us = now_us;
    registry_heard(r, p.node, now_us);
    registry_describe(r, p.node, m, now_us);
    saw_epochs(r, m);
    e = apply_streams(&p, m, is_next);
    if (e == E_OK && m->part == 0)
        e = apply_standbys(&p, m);
    if (e == E_OK)
        tell_moved(&p);
    if (e == E_OK && !m->more)
        registry_compare_here(p.node, m);
    p.node->want_full |= is_repeated; /* it may be the older one of the two, late on its way */
    reply->want_full = asks_full(&p);
    reply->drain = p.node->wants_drain;
    reply->parts = true;
    reply->highest_epoch = r->highest_epoch;
    return e;
}
