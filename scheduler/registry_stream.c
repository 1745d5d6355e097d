/* Streams: who owns them, who carries them, who holds a publisher of them ready. */
#include <stdlib.h>
#include <string.h>

#include "scheduler/registry_private.h"

#define CARRIER_OF(entry) list_entry(entry, struct registry_carrier, of_stream)

enum err registry_need_stream(struct registry *r, const struct stream_name *name,
                              struct registry_stream **out)
{
    struct registry_stream *s = registry_stream(r, name->text);

    if (!s) {
        if (r->streams.n_entries >= r->conf.max_streams)
            return E_LIMIT;
        s = calloc(1, sizeof *s);
        if (!s || map_set(&r->streams, name->text, s) != E_OK) {
            free(s);
            return E_NOMEM;
        }
        s->name = *name;
        s->hash = placement_hash(name->text);
        s->by_name.name = s->name.text;
        list_init(&s->of_owner);
        list_init(&s->of_grants);
        list_init(&s->standbys);
        name_index_insert(&r->stream_names, &s->by_name);
    }
    *out = s;
    return E_OK;
}

void registry_drop_if_idle(struct registry *r, struct registry_stream *s)
{
    if (s->owner || s->n_carriers || !list_is_empty(&s->standbys))
        return;
    map_remove(&r->streams, s->name.text);
    name_index_remove(&r->stream_names, &s->by_name);
    free(s);
}

/* --- carriers --- */

struct registry_carrier *registry_carrier_at(const struct registry_stream *s, uint64_t rank)
{
    struct rank_entry *entry = rank_index_at(&s->carriers, rank);

    return entry ? CARRIER_OF(entry) : NULL;
}

struct registry_carrier *registry_carrier_next(const struct registry_carrier *c)
{
    return c->of_stream.next[0] ? CARRIER_OF(c->of_stream.next[0]) : NULL;
}

struct registry_carrier *registry_carrier(const struct registry_stream *s,
                                          const struct registry_node *node)
{
    uint64_t rank = placement_affinity(s->hash, node->place.hash);
    struct registry_carrier *c = registry_carrier_at(s, rank);

    while (c && c->of_stream.rank == rank && c->node != node) /* another instance of the id */
        c = registry_carrier_next(c);
    return c && c->of_stream.rank == rank ? c : NULL;
}

struct registry_carrier *registry_need_carrier(struct registry_stream *s,
                                               struct registry_node *node)
{
    struct registry_carrier *c = registry_carrier(s, node);

    if (c)
        return c;
    c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->stream = s;
    c->node = node;
    c->of_stream.rank = placement_affinity(s->hash, node->place.hash);
    rank_index_insert(&s->carriers, &c->of_stream);
    s->n_carriers++;
    list_push_back(&node->carried, &c->of_node);
    list_init(&c->of_moved);
    list_init(&c->promise.of_all);
    return c;
}

void registry_drop_carrier(struct registry *r, struct registry_carrier *c)
{
    struct registry_stream *s = c->stream;

    rank_index_remove(&s->carriers, &c->of_stream);
    s->n_carriers--;
    s->n_carried_viewers -= c->n_viewers;
    list_remove(&c->of_node);
    list_remove(&c->of_moved);
    list_remove(&c->promise.of_all);
    free(c);
    registry_drop_if_idle(r, s);
}

/* A carrier that is ahead of the owner heard of a grant before this scheduler did. */
void registry_sort_moved(struct registry_carrier *c)
{
    const struct registry_stream *s = c->stream;
    bool is_moved = s->owner && s->owner != c->node && c->epoch && c->epoch < s->epoch;

    if (!is_moved)
        list_remove(&c->of_moved);
    else if (list_is_empty(&c->of_moved))
        list_push_back(&c->node->moved, &c->of_moved);
}

/* --- standbys --- */

struct registry_standby *registry_standby(const struct registry_stream *s,
                                          const struct registry_node *node)
{
    struct list *at;

    for (at = s->standbys.next; at != &s->standbys; at = at->next) {
        struct registry_standby *standby = list_entry(at, struct registry_standby, of_stream);

        if (standby->node == node)
            return standby;
    }
    return NULL;
}

enum err registry_add_standby(struct registry *r, const struct stream_name *name,
                              struct registry_node *node, int64_t now_us)
{
    struct registry_standby *standby;
    struct registry_stream *s;
    enum err e = registry_need_stream(r, name, &s);

    if (e != E_OK || registry_standby(s, node))
        return e;
    standby = calloc(1, sizeof *standby);
    if (!standby) {
        registry_drop_if_idle(r, s);
        return E_NOMEM;
    }
    if (s->owner && list_is_empty(&s->standbys))
        s->owner->n_guarded++;
    standby->stream = s;
    standby->node = node;
    standby->since_us = now_us;
    list_push_back(&s->standbys, &standby->of_stream);
    list_push_back(&node->standbys, &standby->of_node);
    r->n_standbys++;
    return E_OK;
}

void registry_drop_standby(struct registry *r, struct registry_standby *standby)
{
    struct registry_stream *s = standby->stream;

    list_remove(&standby->of_stream);
    list_remove(&standby->of_node);
    r->n_standbys--;
    free(standby);
    if (s->owner && list_is_empty(&s->standbys))
        s->owner->n_guarded--;
    registry_drop_if_idle(r, s);
}

bool registry_has_standbys(const struct registry_node *node)
{
    return node->n_guarded > 0;
}

static void tell_orphan(struct registry *r, const struct registry_stream *s)
{
    if (!list_is_empty(&s->standbys) && r->watch.on_orphan)
        r->watch.on_orphan(r->watch.arg, s);
}

void registry_tell_orphans(struct registry *r, const struct registry_node *node)
{
    struct list *at;

    if (!registry_has_standbys(node))
        return;
    for (at = node->owned.next; at != &node->owned; at = at->next)
        tell_orphan(r, list_entry(at, struct registry_stream, of_owner));
}

/* --- owners --- */

static void change_owner(struct registry *r, struct registry_stream *s, struct registry_node *node)
{
    size_t is_guarded = !list_is_empty(&s->standbys);

    r->n_owned = r->n_owned - (s->owner != NULL) + (node != NULL);
    list_remove(&s->of_owner);
    if (s->owner)
        s->owner->n_guarded -= is_guarded;
    if (node) {
        list_push_back(&node->owned, &s->of_owner);
        node->n_guarded += is_guarded;
    }
    s->n_viewers = s->n_children = 0;
    s->recent = (struct registry_recent){0};
    s->owner = node;
}

const struct registry_node *registry_set_owner(struct registry *r, struct registry_stream *s,
                                               struct registry_node *node, uint64_t epoch,
                                               uint64_t run)
{
    const struct registry_node *old = s->owner != node ? s->owner : NULL;
    struct registry_standby *standby = node ? registry_standby(s, node) : NULL;
    struct registry_carrier *c;

    registry_count_owned(s); /* it leaves the old owner's sum */
    if (s->owner != node)
        change_owner(r, s, node);
    list_remove(&s->of_grants);
    s->is_granted = s->is_reported = s->is_promoted = false;
    if (epoch > s->epoch)
        s->epoch = epoch;
    registry_count_owned(s);
    s->run = run;
    for (c = registry_carrier_at(s, 0); c; c = registry_carrier_next(c))
        registry_sort_moved(c);
    if (standby) /* its turn has come */
        registry_drop_standby(r, standby);
    return old;
}

void registry_lose_owner(struct registry *r, struct registry_stream *s)
{
    const struct registry_node *old = registry_set_owner(r, s, NULL, 0, 0);

    r->watch.on_dropped(r->watch.arg, s, old);
    tell_orphan(r, s);
}

void registry_end_stream(struct registry *r, struct registry_stream *s)
{
    const struct registry_node *old = registry_set_owner(r, s, NULL, 0, 0);

    r->watch.on_ended(r->watch.arg, s, old);
    tell_orphan(r, s);
    registry_drop_if_idle(r, s);
}

enum err registry_grant(struct registry *r, const struct registry_lease *lease, int64_t now_us)
{
    const struct registry_node *old;
    struct registry_stream *s;
    enum err e = registry_need_stream(r, lease->name, &s);

    if (e != E_OK)
        return e;
    if (s->epoch > lease->epoch) {
        registry_drop_if_idle(r, s);
        return E_STALE;
    }
    if (lease->epoch > r->highest_epoch)
        r->highest_epoch = lease->epoch;
    old = registry_set_owner(r, s, lease->node, lease->epoch, lease->run);
    s->is_granted = true;
    s->granted_us = now_us;
    s->said_us = lease->is_old ? 0 : now_us;
    lease->node->want_full |= lease->is_old; /* it is asked whether it still has the stream */
    s->due_us = now_us + r->conf.lease_us;
    list_push_back(&r->grants, &s->of_grants);
    r->watch.on_owner(r->watch.arg, s, old);
    return E_OK;
}

enum err registry_release(struct registry *r, const char *name, const char *id, uint64_t instance,
                          uint64_t epoch)
{
    struct registry_stream *s = registry_stream(r, name);

    if (!s || !s->owner)
        return E_NOT_FOUND;
    if (strcmp(s->owner->id, id) != 0 || s->owner->instance != instance || s->epoch > epoch)
        return E_STALE;
    registry_end_stream(r, s);
    return E_OK;
}

/* --- everything of a node --- */

static void drop_owned(struct registry *r, struct registry_stream *s)
{
    registry_lose_owner(r, s);
    registry_drop_if_idle(r, s);
}

unsigned registry_drop_streams_of(struct registry *r, struct registry_node *node,
                                  unsigned max_streams)
{
    struct list *at, *tmp;

    list_for_each_safe(at, tmp, &node->owned) {
        if (max_streams-- == 0)
            return 0;
        drop_owned(r, list_entry(at, struct registry_stream, of_owner));
    }
    list_for_each_safe(at, tmp, &node->carried) {
        if (max_streams-- == 0)
            return 0;
        registry_drop_carrier(r, list_entry(at, struct registry_carrier, of_node));
    }
    list_for_each_safe(at, tmp, &node->standbys) {
        if (max_streams-- == 0)
            return 0;
        registry_drop_standby(r, list_entry(at, struct registry_standby, of_node));
    }
    return max_streams;
}

void registry_forget_carried(struct registry *r, struct registry_node *node)
{
    struct list *at, *tmp;

    list_for_each_safe(at, tmp, &node->carried) {
        registry_drop_carrier(r, list_entry(at, struct registry_carrier, of_node));
    }
    list_for_each_safe(at, tmp, &node->standbys) {
        registry_drop_standby(r, list_entry(at, struct registry_standby, of_node));
    }
}
