/* What a node says of itself, as far as it can be, and its place among the others: the rings that
 * the router looks into, and the sums that load is compared with. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scheduler/registry_private.h"

/* No machine has more: what is above is a lie or a fault, and would draw the mean with it. */
#define MAX_COUNT 1000000u
#define MAX_BPS 1600000000000ull
#define MAX_WEIGHT 10000u

/* What one edge counts for in the mean: so many times that of the others, and so many viewers. */
#define MEAN_TIMES 4
#define MEAN_VIEWERS 1000

/* --- rings and sums --- */

static bool has_public_url(const struct registry_node *node)
{
    const struct cluster_urls *urls = &node->public_urls;

    return *urls->http || *urls->rtmp || *urls->https || *urls->rtmps;
}

/* The mean that all are compared with does not follow one that says too much, or nobody would be
 * above it. */
static uint32_t counted_viewers(const struct registry *r, const struct registry_node *node)
{
    const struct registry_share *old = &node->share;
    uint64_t others = r->n_viewers - (old->is_edge ? old->n_viewers : 0);
    uint64_t weight = r->weight - (old->is_edge ? old->weight : 0);
    uint64_t max = weight ? MEAN_TIMES * others * node->place.weight / weight + MEAN_VIEWERS
                          : node->place.n_viewers;

    return node->place.n_viewers < max ? node->place.n_viewers : (uint32_t)max;
}

static struct registry_share share_of(const struct registry *r, const struct registry_node *node,
                                      bool is_up)
{
    struct registry_share share = {.n_viewers = counted_viewers(r, node),
                                   .weight = node->place.weight};
    bool takes_work = is_up && !node->is_older && node->place.state == CLUSTER_NODE_ACTIVE;

    share.is_edge = takes_work && node->place.role != CLUSTER_ORIGIN;
    share.is_at_limit = share.is_edge && placement_is_at_limit(&node->place);
    if (share.is_edge && !share.is_at_limit && has_public_url(node))
        share.rings |= 1u << REGISTRY_EDGES;
    if (takes_work && node->place.role != CLUSTER_EDGE)
        share.rings |= 1u << REGISTRY_ORIGINS;
    return share;
}

static enum err enter_ring(struct registry *r, struct registry_node *node, int ring)
{
    enum err e = node_ring_add(&r->rings[ring], &node->place);

    if (e != E_OK || !node->zoned)
        return e;
    e = node_ring_add(&node->zoned->rings[ring], &node->place);
    if (e != E_OK)
        node_ring_remove(&r->rings[ring], &node->place);
    return e;
}

static void leave_ring(struct registry *r, struct registry_node *node, int ring)
{
    node_ring_remove(&r->rings[ring], &node->place);
    if (node->zoned)
        node_ring_remove(&node->zoned->rings[ring], &node->place);
}

void registry_share(struct registry *r, struct registry_node *node, bool is_up)
{
    struct registry_share old = node->share, now = share_of(r, node, is_up);

    r->n_edges = r->n_edges - old.is_edge + now.is_edge;
    r->n_edges_at_limit = r->n_edges_at_limit - old.is_at_limit + now.is_at_limit;
    r->n_viewers += (now.is_edge ? now.n_viewers : 0) - (old.is_edge ? (uint64_t)old.n_viewers : 0);
    r->weight += (now.is_edge ? now.weight : 0) - (old.is_edge ? (uint64_t)old.weight : 0);
    for (int i = 0; i < REGISTRY_N_RINGS; i++) {
        unsigned bit = 1u << i;

        if ((old.rings & bit) && !(now.rings & bit))
            leave_ring(r, node, i);
        else if (!(old.rings & bit) && (now.rings & bit) && enter_ring(r, node, i) != E_OK)
            now.rings &= ~bit; /* no memory: it is tried again with its next report */
    }
    node->share = now;
}

static bool is_up(const struct registry_node *node)
{
    return !node->is_gone && !node->is_lapsed;
}

void registry_sent_viewer(struct registry *r, struct registry_node *node)
{
    node->place.n_viewers++;
    node->place.out_bps += node->viewer_bps;
    registry_share(r, node, is_up(node));
}

void registry_sent_publisher(struct registry_node *node)
{
    node->place.n_publishers++;
}

/* --- zones --- */

static void leave_zone(struct registry *r, struct registry_node *node)
{
    struct registry_zone *zone = node->zoned;

    node->zoned = NULL;
    if (!zone || --zone->n_nodes > 0)
        return;
    map_remove(&r->zones, zone->name);
    for (int i = 0; i < REGISTRY_N_RINGS; i++)
        node_ring_fini(&zone->rings[i]);
    free(zone);
}

static struct registry_zone *need_zone(struct registry *r, const char *name)
{
    struct registry_zone *zone = map_get(&r->zones, name);

    if (zone)
        return zone;
    zone = calloc(1, sizeof *zone);
    if (!zone)
        return NULL;
    snprintf(zone->name, sizeof zone->name, "%s", name);
    if (map_set(&r->zones, name, zone) == E_OK)
        return zone;
    free(zone);
    return NULL;
}

/* Without memory for a zone its nodes are found as those of others are. */
static void move_zone(struct registry *r, struct registry_node *node, const char *name)
{
    registry_share(r, node, false);
    leave_zone(r, node);
    snprintf(node->zone, sizeof node->zone, "%s", name);
    node->zoned = *name ? need_zone(r, name) : NULL;
    if (node->zoned)
        node->zoned->n_nodes++;
}

/* --- addresses --- */

const char *registry_address(const struct cluster_urls *internal_urls)
{
    return *internal_urls->http ? internal_urls->http : internal_urls->https;
}

bool registry_is_same_address(const struct registry_node *a, const struct registry_node *b)
{
    const char *address = registry_address(&a->internal_urls);

    return *address && strcmp(address, registry_address(&b->internal_urls)) == 0 &&
           strcmp(a->id, b->id) != 0;
}

static void leave_address(struct registry *r, const struct registry_node *node)
{
    const char *address = registry_address(&node->internal_urls);

    if (*address && map_get(&r->addresses, address) == node)
        map_remove(&r->addresses, address);
}

void registry_withdraw(struct registry *r, struct registry_node *node)
{
    registry_share(r, node, false);
    leave_address(r, node);
    leave_zone(r, node);
    registry_free_full_slot(r, node);
}

/* Who came first keeps the address while it lives; both are kept as nodes. */
static void take_address(struct registry *r, struct registry_node *node, int64_t now_us)
{
    const char *address = registry_address(&node->internal_urls);
    struct registry_node *holder = *address ? map_get(&r->addresses, address) : NULL;
    bool clashes =
        holder && registry_is_same_address(holder, node) && registry_is_live(holder, now_us);

    if (*address && !clashes && holder != node)
        (void)map_set(&r->addresses, address, node); /* without memory no clash is seen */
    if (clashes && !node->said_address && r->watch.on_clash)
        r->watch.on_clash(r->watch.arg, REGISTRY_SHARED_ADDRESS, node, holder->id);
    node->said_address = clashes;
}

/* --- what it says --- */

static void clamp_u32(uint32_t *value, uint32_t max, bool *was_above)
{
    *was_above |= *value > max;
    *value = *value > max ? max : *value;
}

static void clamp_u64(uint64_t *value, uint64_t max, bool *was_above)
{
    *was_above |= *value > max;
    *value = *value > max ? max : *value;
}

/* True when something was above what can be. */
static bool clamp_load(struct cluster_load *load)
{
    bool was_above = false;

    clamp_u32(&load->n_publishers, MAX_COUNT, &was_above);
    clamp_u32(&load->n_viewers, MAX_COUNT, &was_above);
    clamp_u32(&load->n_relays, MAX_COUNT, &was_above);
    clamp_u32(&load->n_streams, MAX_COUNT, &was_above);
    clamp_u64(&load->in_bps, MAX_BPS, &was_above);
    clamp_u64(&load->out_bps, MAX_BPS, &was_above);
    clamp_u32(&load->cpu_permille, 1000, &was_above);
    return was_above;
}

static void describe_load(struct registry *r, struct registry_node *node,
                          const struct cluster_heartbeat *m)
{
    struct placement_node *place = &node->place;
    bool is_lie;

    node->load = m->load;
    is_lie = clamp_load(&node->load);
    if (is_lie && !node->said_load && r->watch.on_clash)
        r->watch.on_clash(r->watch.arg, REGISTRY_LOAD, node, "");
    node->said_load = is_lie;
    place->n_publishers = node->load.n_publishers;
    place->n_viewers = node->load.n_viewers;
    place->max_viewers = m->max_viewers;
    if (m->max_viewers && place->n_viewers > m->max_viewers)
        place->n_viewers = m->max_viewers; /* full is full: the mean is not to follow it */
    place->weight = m->weight ? m->weight : CLUSTER_WEIGHT_DEFAULT;
    if (place->weight > MAX_WEIGHT)
        place->weight = MAX_WEIGHT;
    place->capacity_bps = m->capacity_egress_bps;
    place->out_bps = node->load.out_bps;
    node->viewer_bps = node->load.n_viewers ? node->load.out_bps / node->load.n_viewers : 0;
}

/* Draining is what the node says, what the operator wants, and what an earlier instance does. */
static void settle_state(struct registry *r, struct registry_node *node)
{
    bool drains = node->is_older || node->wants_drain || node->said_state == CLUSTER_NODE_DRAINING;

    node->place.state = drains ? CLUSTER_NODE_DRAINING : node->said_state;
    if (drains && !node->said_leaving && r->watch.on_leaving)
        r->watch.on_leaving(r->watch.arg, node);
    node->said_leaving = drains;
}

void registry_describe(struct registry *r, struct registry_node *node,
                       const struct cluster_heartbeat *m, int64_t now_us)
{
    if (strcmp(node->zone, m->zone) != 0)
        move_zone(r, node, m->zone);
    if (strcmp(registry_address(&node->internal_urls), registry_address(&m->internal_urls)) != 0)
        leave_address(r, node);
    node->public_urls = m->public_urls;
    memcpy(node->admin_url, m->admin_url, sizeof node->admin_url);
    node->internal_urls = m->internal_urls;
    node->highest_epoch = m->highest_epoch;
    node->replaces = m->replaces;
    node->said_state = m->state;
    node->place.role = m->role;
    describe_load(r, node, m);
    settle_state(r, node);
    take_address(r, node, now_us);
    registry_share(r, node, true);
}

void registry_drain(struct registry *r, struct registry_node *node, bool wanted)
{
    node->wants_drain = wanted;
    settle_state(r, node);
    registry_share(r, node, is_up(node));
}
