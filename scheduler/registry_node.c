/* Nodes and their instances: who is who under one id. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scheduler/registry_private.h"

static struct registry_node *create_node(const char *id, uint64_t instance)
{
    struct registry_node *node = calloc(1, sizeof *node);

    if (!node)
        return NULL;
    snprintf(node->id, sizeof node->id, "%s", id);
    node->instance = instance;
    node->place = (struct placement_node){
        .id = node->id,
        .zone = node->zone,
        .public_urls = &node->public_urls,
        .internal_urls = &node->internal_urls,
        .hash = placement_hash(id),
        .weight = CLUSTER_WEIGHT_DEFAULT,
    };
    node->by_name.name = node->id;
    node->want_full = true;
    node->owned_sum = CLUSTER_SUM_OF_NONE;
    list_init(&node->owned);
    list_init(&node->carried);
    list_init(&node->moved);
    list_init(&node->standbys);
    list_init(&node->of_dying);
    list_init(&node->of_trimming);
    return node;
}

bool registry_is_dying(const struct registry_node *node)
{
    return !list_is_empty(&node->of_dying);
}

static void bury(struct registry *r, struct registry_node *node)
{
    registry_withdraw(r, node);
    node->is_gone = true;
    list_remove(&node->of_trimming);
    list_push_back(&r->dying, &node->of_dying);
}

void registry_bury_node(struct registry *r, struct registry_node *node)
{
    map_remove(&r->nodes, node->id);
    name_index_remove(&r->node_names, &node->by_name);
    while (node) {
        struct registry_node *older = node->older;

        node->older = NULL;
        bury(r, node);
        node = older;
    }
}

static void remember_replaced(struct registry_node *node, uint64_t instance)
{
    node->replaced[node->n_replaced % REGISTRY_N_REPLACED] = instance;
    node->n_replaced++;
}

static bool was_replaced(const struct registry_node *node, uint64_t instance)
{
    for (unsigned i = 0; i < node->n_replaced && i < REGISTRY_N_REPLACED; i++)
        if (node->replaced[i] == instance)
            return true;
    return false;
}

/* It has the place again: news of the one that came after it were old, say since a scheduler was
 * cut off from Redis, and that one is not heard of any more. */
static void forget_replaced(struct registry_node *node, uint64_t instance)
{
    for (unsigned i = 0; i < REGISTRY_N_REPLACED; i++)
        if (node->replaced[i] == instance)
            node->replaced[i] = 0;
}

bool registry_is_new_refusal(struct registry *r, const char *id, uint64_t instance)
{
    struct registry_node *node = registry_node(r, id);

    if (!node || !was_replaced(node, instance))
        return true;
    if (node->refused_instance == instance)
        return false;
    node->refused_instance = instance;
    return true;
}

/* One that does not report here, but elsewhere, lives as long as its successor does and it has
 * streams: they end one by one, and each end is heard of. */
static bool is_still_draining(const struct registry_node *older, const struct registry_node *node,
                              int64_t now_us)
{
    if (registry_is_live(older, now_us))
        return true;
    return !older->direct_us && !list_is_empty(&older->owned) && registry_is_live(node, now_us);
}

static void bury_older(struct registry *r, struct registry_node *node, struct registry_node **link)
{
    struct registry_node *older = *link;

    *link = older->older;
    older->older = NULL;
    remember_replaced(node, older->instance);
    bury(r, older);
}

void registry_sweep_older(struct registry *r, struct registry_node *node, int64_t now_us)
{
    struct registry_node **link = &node->older;

    while (*link) {
        if (is_still_draining(*link, node, now_us))
            link = &(*link)->older;
        else
            bury_older(r, node, link);
    }
}

void registry_says_leaving(struct registry *r, struct registry_node *node)
{
    node->said_state = CLUSTER_NODE_DRAINING;
    registry_drain(r, node, node->wants_drain);
}

/* Puts an earlier instance aside, where it drains. */
static void set_aside(struct registry *r, struct registry_node *node, struct registry_node *older)
{
    struct registry_node **link = &node->older;
    unsigned n = 1;

    older->is_older = true;
    older->older = node->older;
    node->older = older;
    while (*link && n++ <= REGISTRY_N_OLDER)
        link = &(*link)->older;
    if (*link)
        bury_older(r, node, link);
    registry_drain(r, older, older->wants_drain); /* it counts as draining from now on */
}

/* The new instance has the place of the old one, with its memory of those before. */
static void take_place(struct registry *r, struct registry_node *node, struct registry_node *old)
{
    (void)map_set(&r->nodes, node->id, node); /* the key is there: no memory is needed */
    name_index_remove(&r->node_names, &old->by_name);
    name_index_insert(&r->node_names, &node->by_name);
    registry_withdraw(r, old);
    memcpy(node->replaced, old->replaced, sizeof node->replaced);
    node->n_replaced = old->n_replaced;
    node->older = old->older;
    old->older = NULL;
}

static bool is_at_other_address(const struct registry_node *node, const struct cluster_heartbeat *m)
{
    const char *old = registry_address(&node->internal_urls);
    const char *now = m ? registry_address(&m->internal_urls) : "";

    return *old && *now && strcmp(old, now) != 0;
}

static enum err replace(struct registry *r, struct registry_node *old, uint64_t instance,
                        const struct cluster_heartbeat *m, int64_t now_us,
                        struct registry_node **out)
{
    struct registry_node *node = create_node(old->id, instance);

    if (!node)
        return E_NOMEM;
    if (m && m->replaces == old->instance) {
        take_place(r, node, old);
        set_aside(r, node, old);
    } else {
        if (is_at_other_address(old, m) && registry_is_live(old, now_us) && r->watch.on_clash)
            r->watch.on_clash(r->watch.arg, REGISTRY_SECOND_INSTANCE, old,
                              registry_address(&m->internal_urls));
        take_place(r, node, old);
        forget_replaced(node, instance);
        remember_replaced(node, old->instance);
        bury(r, old);
    }
    *out = node;
    return E_OK;
}

static enum err add_first(struct registry *r, const char *id, uint64_t instance,
                          struct registry_node **out, struct cluster_error *error)
{
    struct registry_node *node;

    if (r->nodes.n_entries >= r->conf.max_nodes) {
        snprintf(error->text, sizeof error->text, "limits.nodes reached: %zu", r->conf.max_nodes);
        return E_LIMIT;
    }
    node = create_node(id, instance);
    if (!node || map_set(&r->nodes, id, node) != E_OK) {
        free(node);
        return E_NOMEM;
    }
    name_index_insert(&r->node_names, &node->by_name);
    *out = node;
    return E_OK;
}

/* The one that the newest instance says it was started beside, heard of for the first time: this
 * scheduler was started in the middle of it. */
static enum err add_older(struct registry *r, struct registry_node *node, uint64_t instance,
                          struct registry_node **out)
{
    struct registry_node *older = create_node(node->id, instance);

    if (!older)
        return E_NOMEM;
    set_aside(r, node, older);
    *out = older;
    return E_OK;
}

enum err registry_need_node(struct registry *r, const char *id, uint64_t instance,
                            const struct cluster_heartbeat *m, int64_t now_us,
                            struct registry_node **out, struct cluster_error *error)
{
    struct registry_node *node = registry_node(r, id);
    struct registry_node *found = registry_instance(r, id, instance);

    if (found) {
        *out = found;
        return E_OK;
    }
    if (!node)
        return add_first(r, id, instance, out, error);
    if (was_replaced(node, instance) && registry_is_live(node, now_us)) {
        snprintf(error->text, sizeof error->text,
                 "instance %" PRIu64 " of node %s was replaced by instance %" PRIu64, instance, id,
                 node->instance);
        return E_STALE;
    }
    if (node->replaces && node->replaces == instance)
        return add_older(r, node, instance, out);
    return replace(r, node, instance, m, now_us, out);
}

void registry_heard(struct registry *r, struct registry_node *node, int64_t now_us)
{
    node->heard_us = now_us;
    node->lease_until_us = now_us + r->conf.lease_us;
    node->is_gone = node->is_lapsed = false;
}

enum err registry_admit(struct registry *r, const char *id, uint64_t instance, int64_t now_us,
                        struct registry_node **out)
{
    struct cluster_error unused;
    bool is_new = !registry_instance(r, id, instance);
    enum err e = registry_need_node(r, id, instance, NULL, now_us, out, &unused);

    if (e == E_OK && is_new) {
        registry_heard(r, *out, now_us);
        (*out)->said_state = (*out)->place.state = CLUSTER_NODE_ACTIVE;
    }
    return e;
}

static bool reports_here(const struct registry *r, const struct registry_node *node, int64_t now_us)
{
    return node && node->direct_us && now_us - node->direct_us < r->conf.lease_us;
}

/* A node that reports here is known better than its echo from the store, unless that is from a
 * later report: then it has gone to another scheduler. An unknown instance beside it may be one
 * from before, unless it says that it comes after. */
static bool is_outdated(const struct registry *r, const struct cluster_heartbeat *m, int64_t now_us)
{
    const struct registry_node *known = registry_instance(r, m->node, m->instance);
    const struct registry_node *newest = registry_node(r, m->node);

    if (known)
        return reports_here(r, known, now_us) && m->seq <= known->seq;
    return reports_here(r, newest, now_us) && m->replaces != newest->instance;
}

void registry_merge_node(struct registry *r, const struct cluster_heartbeat *m, int64_t now_us)
{
    struct registry_node *node;
    struct cluster_error unused;

    if (is_outdated(r, m, now_us))
        return;
    if (registry_need_node(r, m->node, m->instance, m, now_us, &node, &unused) != E_OK)
        return;
    if (node->heard_us && node->seq == m->seq)
        return;            /* the last one, read again: no sign of life */
    if (node->direct_us) { /* it reports elsewhere now */
        registry_forget_carried(r, node);
        node->direct_us = 0;
        node->n_differs = 0;
    }
    node->seq = m->seq;
    registry_heard(r, node, now_us);
    registry_describe(r, node, m, now_us);
    registry_compare_elsewhere(r, node, m, now_us);
}
