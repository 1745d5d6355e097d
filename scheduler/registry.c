/* The tables, and what is done once a second. Nodes: registry_node.c, what they say of themselves:
 * registry_share.c, ownership: registry_stream.c, reports: registry_report.c. */
#include "scheduler/registry.h"

#include <stdlib.h>
#include <string.h>

#include "proto/cluster/epoch.h"
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
    map_init(&r->zones);
    map_init(&r->addresses);
    list_init(&r->dying);
    list_init(&r->trimming);
    list_init(&r->grants);
    list_init(&r->promises);
}

void registry_fini(struct registry *r)
{
    struct map_cursor cursor = {0};
    struct registry_node *node;
    const char *name;
    void *zone;

    while ((node = registry_node_after(r, "")))
        registry_bury_node(r, node);
    (void)registry_reap(r, 0, UINT32_MAX);
    while (map_next(&r->zones, &cursor, &name, &zone)) {
        for (int i = 0; i < REGISTRY_N_RINGS; i++)
            node_ring_fini(&((struct registry_zone *)zone)->rings[i]);
        free(zone);
    }
    for (int i = 0; i < REGISTRY_N_RINGS; i++)
        node_ring_fini(&r->rings[i]);
    map_fini(&r->nodes);
    map_fini(&r->streams);
    map_fini(&r->zones);
    map_fini(&r->addresses);
}

/* --- look-ups --- */

struct registry_node *registry_node(const struct registry *r, const char *id)
{
    return map_get(&r->nodes, id);
}

struct registry_node *registry_instance(const struct registry *r, const char *id, uint64_t instance)
{
    struct registry_node *node = registry_node(r, id);

    while (node && node->instance != instance)
        node = node->older;
    return node;
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

/* --- life and suspicion --- */

bool registry_is_live(const struct registry_node *node, int64_t now_us)
{
    return now_us < node->lease_until_us && !node->is_gone;
}

bool registry_is_suspect(const struct registry *r, const struct registry_node *node, int64_t now_us)
{
    int64_t sign_us = node->heard_us > node->answered_us ? node->heard_us : node->answered_us;

    return now_us - sign_us > 3 * r->conf.interval_us || node->suspected_us > sign_us;
}

void registry_suspect(struct registry_node *node, int64_t now_us)
{
    node->suspected_us = now_us;
}

void registry_answered(struct registry_node *node, int64_t now_us)
{
    node->answered_us = now_us;
    node->is_gone = false;
}

void registry_lost(struct registry *r, struct registry_node *node)
{
    if (node->is_gone)
        return;
    node->is_gone = true;
    registry_share(r, node, false);
    registry_tell_orphans(r, node);
}

void registry_slept(struct registry *r, int64_t gap_us)
{
    struct name_index_entry *at;
    struct registry_node *node;
    struct list *grant;

    for (grant = r->grants.next; grant != &r->grants; grant = grant->next) {
        struct registry_stream *s = list_entry(grant, struct registry_stream, of_grants);

        s->granted_us += gap_us;
        s->due_us += gap_us;
    }
    for (at = r->node_names.first[0]; at; at = at->next[0]) {
        for (node = NODE_OF(at); node; node = node->older) {
            node->lease_until_us += gap_us;
            node->heard_us += gap_us;
            if (node->direct_us)
                node->direct_us += gap_us;
        }
    }
}

/* --- epochs and full reports --- */

/* What is given lies above all that was seen, and must be believed when it comes back, also where a
 * node has claimed the very last epoch that is plausible. */
bool registry_is_possible(const struct registry *r, uint64_t epoch, int64_t wall_us)
{
    return epoch <= r->highest_epoch || epoch_is_plausible(epoch, wall_us);
}

void registry_saw_epoch(struct registry *r, uint64_t epoch)
{
    if (epoch > r->highest_epoch && epoch <= EPOCH_MAX)
        r->highest_epoch = epoch;
}

void registry_want_full(struct registry *r)
{
    struct name_index_entry *at;
    struct registry_node *node;

    for (at = r->node_names.first[0]; at; at = at->next[0])
        for (node = NODE_OF(at); node; node = node->older)
            node->want_full = true;
}

void registry_free_full_slot(struct registry *r, struct registry_node *node)
{
    r->n_asked_full -= node->is_asked_full;
    node->is_asked_full = false;
}

/* --- once a second --- */

/* Granted, but the publisher was gone before the node reported it once; or the answer was lost, and
 * the node granted itself a lower epoch: its full report says which. A node whose full report is
 * still to come, say since it just began to report here, has not had its say. */
static void sweep_grants(struct registry *r, int64_t now_us, unsigned max_grants)
{
    struct list *at, *tmp;

    list_for_each_safe(at, tmp, &r->grants) {
        struct registry_stream *s = list_entry(at, struct registry_stream, of_grants);

        if (s->due_us >= now_us || max_grants-- == 0)
            return;
        list_remove(at);
        if (!s->owner->want_full && s->owner->direct_us > s->granted_us) {
            s->owner->want_full = true;
            registry_disown(r, s);
        } else {
            s->due_us = now_us + r->conf.lease_us;
            list_push_back(&r->grants, at);
        }
    }
}

static void sweep_away(struct registry *r, struct registry_node *node)
{
    r->counting.n_lapsed++;
    registry_free_full_slot(r, node);
    if (node->is_lapsed)
        return;
    node->is_lapsed = true;
    registry_share(r, node, false);
    if (r->watch.on_lapse)
        r->watch.on_lapse(r->watch.arg, node);
    registry_tell_orphans(r, node);
}

static void sweep_live(struct registry *r, struct registry_node *node, int64_t now_us)
{
    int64_t turn_us = RENEW_FULL_US + (int64_t)(node->place.hash % RENEW_FULL_US);

    r->counting.n_by_state[node->place.state]++;
    if (r->watch.on_seen)
        r->watch.on_seen(r->watch.arg, node);
    if (now_us - node->full_us > turn_us ||
        (node->is_partial && r->streams.n_entries < r->conf.max_streams))
        node->want_full = true;
    r->counting.n_wanting += node->want_full;
    if (node->is_asked_full && now_us - node->asked_full_us > r->conf.lease_us)
        registry_free_full_slot(r, node); /* it does not answer: others have their turn */
    if (r->watch.on_suspect && registry_is_suspect(r, node, now_us))
        r->watch.on_suspect(r->watch.arg, node);
}

static void sweep_node(struct registry *r, struct registry_node *node, int64_t now_us)
{
    int64_t away_us = now_us - node->lease_until_us;

    registry_sweep_older(r, node, now_us);
    if (away_us > FORGET_AFTER_LEASES * r->conf.lease_us)
        registry_bury_node(r, node);
    else if (away_us >= 0)
        sweep_away(r, node);
    else if (node->is_gone)
        r->counting.n_lapsed++;
    else
        sweep_live(r, node, now_us);
}

bool registry_sweep(struct registry *r, int64_t now_us, unsigned max_nodes)
{
    struct registry_node *node = registry_node_after(r, r->swept), *next;

    sweep_grants(r, now_us, max_nodes);
    registry_sweep_promises(r, now_us, max_nodes);
    for (; node && max_nodes > 0; node = next, max_nodes--) {
        next = registry_node_next(node);
        memcpy(r->swept, node->id, sizeof r->swept);
        sweep_node(r, node, now_us);
    }
    if (node)
        return false;
    r->swept[0] = '\0';
    r->counts = r->counting;
    r->counting = (struct registry_counts){0};
    return true;
}

bool registry_has_leftovers(const struct registry *r)
{
    return !list_is_empty(&r->dying) || !list_is_empty(&r->trimming);
}

bool registry_reap(struct registry *r, int64_t now_us, unsigned max_streams)
{
    while (!list_is_empty(&r->trimming)) {
        struct registry_node *node =
            list_entry(r->trimming.next, struct registry_node, of_trimming);

        max_streams = registry_trim(r, node, now_us, max_streams);
        if (max_streams == 0)
            return !registry_has_leftovers(r);
    }
    while (!list_is_empty(&r->dying)) {
        struct registry_node *node = list_entry(r->dying.next, struct registry_node, of_dying);

        max_streams = registry_drop_streams_of(r, node, max_streams);
        if (!list_is_empty(&node->owned) || !list_is_empty(&node->carried) ||
            !list_is_empty(&node->standbys))
            return false;
        list_remove(&node->of_dying);
        free(node);
    }
    return true;
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
