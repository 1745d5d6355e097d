/* Nodes and streams: the tables and the rules of ownership. Reports are applied in
 * registry_report.c. */
#include "scheduler/registry.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scheduler/epoch.h"
#include "scheduler/registry_private.h"

#define FORGET_AFTER_LEASES 12 /* a node that stays away this long is forgotten */

/* Full reports renew what the store keeps for an hour; nodes take turns. */
#define RENEW_FULL_US (20ll * 60 * 1000000)

#define NODE_OF(entry) list_entry(entry, struct registry_node, by_name)
#define STREAM_OF(entry) list_entry(entry, struct registry_stream, by_name)

void registry_init(struct registry *r, const struct registry_conf *conf,
                   const struct registry_watch *watch)
{
    *r = (struct registry){.conf = *conf, .watch = *watch};
    map_init(&r->nodes);
    map_init(&r->streams);
}

struct registry_node *registry_node(const struct registry *r, const char *id)
{
    return map_get(&r->nodes, id);
}

struct registry_stream *registry_stream(const struct registry *r, const char *name)
{
    return map_get(&r->streams, name);
}

struct registry_node *registry_node_after(const struct registry *r, const char *after)
{
    struct name_index_entry *entry = name_index_after(&r->node_names, after);

    return entry ? NODE_OF(entry) : NULL;
}

struct registry_node *registry_node_next(const struct registry_node *node)
{
    struct name_index_entry *entry = node->by_name.next[0];

    return entry ? NODE_OF(entry) : NULL;
}

struct registry_stream *registry_stream_next(const struct registry_stream *stream)
{
    struct name_index_entry *entry = stream->by_name.next[0];

    return entry ? STREAM_OF(entry) : NULL;
}

struct registry_stream *registry_stream_after(const struct registry *r, const char *after)
{
    struct name_index_entry *entry = name_index_after(&r->stream_names, after);

    return entry ? STREAM_OF(entry) : NULL;
}

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
        s->by_name.name = s->name.text;
        list_init(&s->of_owner);
        list_init(&s->carriers);
        name_index_insert(&r->stream_names, &s->by_name);
    }
    *out = s;
    return E_OK;
}

void registry_drop_if_idle(struct registry *r, struct registry_stream *s)
{
    if (s->owner || s->n_carriers)
        return;
    map_remove(&r->streams, s->name.text);
    name_index_remove(&r->stream_names, &s->by_name);
    free(s);
}

void registry_set_owner(struct registry *r, struct registry_stream *s, struct registry_node *node,
                        uint64_t epoch)
{
    const char *old = s->owner ? s->owner->id : "";

    r->n_owned = r->n_owned - (s->owner != NULL) + (node != NULL);
    if (s->owner != node) {
        list_remove(&s->of_owner);
        s->n_viewers = s->n_children = 0;
        s->recent = (struct registry_recent){0};
        if (node)
            list_push_back(&node->owned, &s->of_owner);
    }
    if (!node || s->owner == node)
        old = node ? "" : old;
    s->owner = node;
    s->is_granted = s->is_reported = false;
    if (epoch > s->epoch)
        s->epoch = epoch;
    if (node)
        r->watch.on_owner(r->watch.arg, s, old);
}

/* The owner says so itself: people downstream are told. */
static void end_stream(struct registry *r, struct registry_stream *s)
{
    const struct registry_node *old = s->owner;

    registry_set_owner(r, s, NULL, 0);
    r->watch.on_ended(r->watch.arg, s, old);
    registry_drop_if_idle(r, s);
}

struct registry_carrier *registry_carrier(const struct registry_stream *s,
                                          const struct registry_node *node)
{
    struct list *at;

    for (at = s->carriers.next; at != &s->carriers; at = at->next) {
        struct registry_carrier *c = list_entry(at, struct registry_carrier, of_stream);

        if (c->node == node)
            return c;
    }
    return NULL;
}

void registry_drop_carrier(struct registry *r, struct registry_carrier *c)
{
    struct registry_stream *s = c->stream;

    list_remove(&c->of_stream);
    list_remove(&c->of_node);
    s->n_carriers--;
    free(c);
    registry_drop_if_idle(r, s);
}

static void drop_carried(struct registry *r, struct registry_node *node)
{
    struct list *at, *tmp;

    list_for_each_safe(at, tmp, &node->carried) {
        registry_drop_carrier(r, list_entry(at, struct registry_carrier, of_node));
    }
}

/* Everything that (id, instance) had. Downstream is not told: a node that is gone or was replaced
 * has not said that its streams ended, and whoever pulls from it sees the connection close. */
static void drop_streams_of(struct registry *r, struct registry_node *node)
{
    struct list *at, *tmp;

    list_for_each_safe(at, tmp, &node->owned) {
        struct registry_stream *s = list_entry(at, struct registry_stream, of_owner);

        registry_set_owner(r, s, NULL, 0);
        r->watch.on_dropped(r->watch.arg, s, node);
        registry_drop_if_idle(r, s);
    }
    drop_carried(r, node);
}

static void forget_node(struct registry *r, struct registry_node *node)
{
    drop_streams_of(r, node);
    map_remove(&r->nodes, node->id);
    name_index_remove(&r->node_names, &node->by_name);
    free(node);
}

void registry_fini(struct registry *r)
{
    struct registry_node *node;

    while ((node = registry_node_after(r, "")))
        forget_node(r, node);
    map_fini(&r->nodes);
    map_fini(&r->streams);
}

static struct registry_node *create_node(struct registry *r, const char *id)
{
    struct registry_node *node = calloc(1, sizeof *node);

    if (!node || map_set(&r->nodes, id, node) != E_OK) {
        free(node);
        return NULL;
    }
    snprintf(node->id, sizeof node->id, "%s", id);
    node->place = (struct placement_node){
        .id = node->id,
        .zone = node->zone,
        .public_urls = &node->public_urls,
        .internal_urls = &node->internal_urls,
        .hash = placement_hash(id),
    };
    node->by_name.name = node->id;
    node->want_full = true;
    list_init(&node->owned);
    list_init(&node->carried);
    name_index_insert(&r->node_names, &node->by_name);
    return node;
}

static void replace_instance(struct registry *r, struct registry_node *node, uint64_t instance)
{
    drop_streams_of(r, node);
    node->replaced[node->n_replaced % REGISTRY_N_REPLACED] = node->instance;
    node->n_replaced++;
    node->instance = instance;
    node->seq = 0;
    node->direct_us = 0;
    node->want_full = true;
}

static bool was_replaced(const struct registry_node *node, uint64_t instance)
{
    for (unsigned i = 0; i < node->n_replaced && i < REGISTRY_N_REPLACED; i++)
        if (node->replaced[i] == instance)
            return true;
    return false;
}

enum err registry_need_node(struct registry *r, const char *id, uint64_t instance,
                            struct registry_node **out, struct cluster_error *error)
{
    struct registry_node *node = registry_node(r, id);

    if (!node) {
        if (r->nodes.n_entries >= r->conf.max_nodes) {
            snprintf(error->text, sizeof error->text, "limits.nodes reached: %zu",
                     r->conf.max_nodes);
            return E_LIMIT;
        }
        node = create_node(r, id);
        if (!node)
            return E_NOMEM;
        node->instance = instance;
    } else if (node->instance != instance) {
        if (was_replaced(node, instance)) {
            snprintf(error->text, sizeof error->text,
                     "instance %" PRIu64 " of node %s was replaced by instance %" PRIu64, instance,
                     id, node->instance);
            return E_STALE;
        }
        replace_instance(r, node, instance);
    }
    *out = node;
    return E_OK;
}

enum err registry_admit(struct registry *r, const char *id, uint64_t instance, int64_t now_us,
                        struct registry_node **out)
{
    struct cluster_error unused;
    bool is_new = !registry_node(r, id) || registry_node(r, id)->instance != instance;
    enum err e = registry_need_node(r, id, instance, out, &unused);

    if (e == E_OK && is_new) {
        (*out)->heard_us = now_us;
        (*out)->lease_until_us = now_us + r->conf.lease_us;
        (*out)->place.state = CLUSTER_NODE_ACTIVE;
        (*out)->is_lapsed = false;
    }
    return e;
}

void registry_describe(struct registry_node *node, const struct cluster_heartbeat *m)
{
    memcpy(node->zone, m->zone, sizeof node->zone);
    node->public_urls = m->public_urls;
    node->internal_urls = m->internal_urls;
    node->load = m->load;
    node->capacity_egress_bps = m->capacity_egress_bps;
    node->highest_epoch = m->highest_epoch;
    node->place.role = m->role;
    node->place.state = m->state;
    node->place.n_viewers = m->load.n_viewers;
    node->place.n_publishers = m->load.n_publishers;
}

void registry_merge_node(struct registry *r, const struct cluster_heartbeat *m, int64_t now_us)
{
    struct registry_node *node = registry_node(r, m->node);
    struct cluster_error unused;

    /* A node that reports here is known better than its echo from the store; the echo may also be
     * of the instance before. */
    if (node && node->direct_us && now_us - node->direct_us < r->conf.lease_us)
        return;
    if (registry_need_node(r, m->node, m->instance, &node, &unused) != E_OK)
        return;
    if (node->direct_us) { /* it reports elsewhere now: what it carries is not followed here */
        drop_carried(r, node);
        node->direct_us = 0;
    }
    registry_describe(node, m);
    node->heard_us = now_us;
    node->lease_until_us = now_us + r->conf.lease_us;
    node->is_lapsed = false;
}

enum err registry_grant(struct registry *r, const struct stream_name *name,
                        struct registry_node *node, uint64_t epoch, int64_t now_us)
{
    struct registry_stream *s;
    enum err e = registry_need_stream(r, name, &s);

    if (e != E_OK)
        return e;
    if (s->epoch > epoch) {
        registry_drop_if_idle(r, s);
        return E_STALE;
    }
    if (epoch > r->highest_epoch)
        r->highest_epoch = epoch;
    registry_set_owner(r, s, node, epoch);
    s->is_granted = true;
    s->granted_us = now_us;
    return E_OK;
}

enum err registry_release(struct registry *r, const char *name, const char *id, uint64_t instance,
                          uint64_t epoch)
{
    struct registry_stream *s = registry_stream(r, name);

    if (!s || !s->owner)
        return E_NOT_FOUND;
    if (strcmp(s->owner->id, id) != 0 || s->owner->instance != instance || s->epoch != epoch)
        return E_STALE;
    end_stream(r, s);
    return E_OK;
}

bool registry_is_live(const struct registry_node *node, int64_t now_us)
{
    return now_us < node->lease_until_us;
}

bool registry_is_suspect(const struct registry *r, const struct registry_node *node, int64_t now_us)
{
    return now_us - node->heard_us > 3 * r->conf.interval_us || node->suspected_us > node->heard_us;
}

void registry_suspect(struct registry_node *node, int64_t now_us)
{
    node->suspected_us = now_us;
}

void registry_saw_epoch(struct registry *r, uint64_t epoch, int64_t wall_us)
{
    if (epoch > r->highest_epoch && epoch_is_plausible(epoch, wall_us))
        r->highest_epoch = epoch;
}

void registry_want_full(struct registry *r)
{
    struct name_index_entry *at;

    for (at = r->node_names.first[0]; at; at = at->next[0])
        NODE_OF(at)->want_full = true;
}

/* Granted, but the publisher was gone before the node reported it once. A node whose full report is
 * still to come, say since it just began to report here, has not had its say. */
static void drop_unused_grants(struct registry *r, struct registry_node *node, int64_t now_us)
{
    struct list *at, *tmp;

    if (node->want_full)
        return;
    list_for_each_safe(at, tmp, &node->owned) {
        struct registry_stream *s = list_entry(at, struct registry_stream, of_owner);

        if (s->is_granted && !s->is_reported && node->direct_us > s->granted_us &&
            now_us - s->granted_us > r->conf.lease_us)
            end_stream(r, s);
    }
}

void registry_sweep(struct registry *r, int64_t now_us,
                    void (*on_lapse)(void *arg, const struct registry_node *node), void *arg)
{
    struct name_index_entry *at, *next;

    r->n_viewers = r->n_edges = 0;
    for (at = r->node_names.first[0]; at; at = next) {
        struct registry_node *node = NODE_OF(at);

        next = at->next[0];
        if (now_us - node->lease_until_us > FORGET_AFTER_LEASES * r->conf.lease_us) {
            forget_node(r, node);
            continue;
        }
        if (!registry_is_live(node, now_us)) {
            if (!node->is_lapsed && on_lapse)
                on_lapse(arg, node);
            node->is_lapsed = true;
            continue;
        }
        drop_unused_grants(r, node, now_us);
        if (now_us - node->full_us > RENEW_FULL_US + (int64_t)(node->place.hash % RENEW_FULL_US))
            node->want_full = true;
        if (node->place.role != CLUSTER_ORIGIN && node->place.state == CLUSTER_NODE_ACTIVE) {
            r->n_viewers += node->place.n_viewers;
            r->n_edges++;
        }
    }
}

uint32_t registry_recent_count(const struct registry *r, const struct registry_recent *recent,
                               int64_t now_us)
{
    return now_us - recent->since_us > 2 * r->conf.interval_us ? 0 : recent->n;
}

void registry_recent_add(const struct registry *r, struct registry_recent *recent, int64_t now_us)
{
    if (registry_recent_count(r, recent, now_us) == 0)
        *recent = (struct registry_recent){0, now_us};
    recent->n++;
}
