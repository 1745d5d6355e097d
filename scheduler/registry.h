/* What the scheduler knows: nodes, the streams they own, the streams they carry. In memory; answers
 * are made from it. Filled by heartbeats, by grants, and by what other schedulers wrote to the
 * store. No clock of its own: now_us (monotonic) and wall_us are arguments. One thread at a time.
 *
 * A lease, a stream and a fence belong to (id, instance): a new instance of an id replaces the old
 * one and the old one's streams are dropped; the old one is refused from then on. */
#ifndef HW_SCHEDULER_REGISTRY_H
#define HW_SCHEDULER_REGISTRY_H

#include "common/base/list.h"
#include "common/base/map.h"
#include "proto/cluster/cluster.h"
#include "scheduler/name_index.h"
#include "scheduler/placement.h"

#define REGISTRY_N_REPLACED 4 /* earlier instances of a node id that are remembered */

/* The node that a placement_node is part of. */
#define registry_node_of_place(p) \
    ((struct registry_node *)(uintptr_t)(const void *)(p)) /* its first member */

/* How a report is believed that says "this stream is mine" against an owner that was granted it. */
enum registry_trust {
    REGISTRY_ALONE,   /* only this scheduler grants: the report is wrong */
    REGISTRY_SHARED,  /* another scheduler may have granted: on_dispute() asks the store */
    REGISTRY_DEGRADED /* the store is away: the higher epoch wins */
};

struct registry_conf {
    int64_t lease_us, interval_us;
    size_t max_nodes, max_streams;
};

struct registry_node {
    struct placement_node place; /* first; role, state, load; its strings are those below */
    char id[CLUSTER_ID_SIZE], zone[CLUSTER_ZONE_SIZE];
    struct cluster_urls public_urls, internal_urls;
    struct cluster_load load;
    uint64_t capacity_egress_bps, highest_epoch;
    uint64_t instance, seq;
    uint64_t replaced[REGISTRY_N_REPLACED];
    unsigned n_replaced;
    int64_t heard_us;     /* last heartbeat, here or through the store */
    int64_t direct_us;    /* last heartbeat that came here; 0 = never */
    int64_t suspected_us; /* when its events connection closed, or somebody reported it gone */
    int64_t lease_until_us;
    int64_t full_us; /* last full report */
    bool want_full;
    bool is_lapsed;      /* the sweep has seen it lapse */
    uint64_t report;     /* number of the report being applied */
    uint64_t slot_round; /* scratch of route.c */
    int slot;
    struct list owned;   /* registry_stream.of_owner */
    struct list carried; /* registry_carrier.of_node */
    struct name_index_entry by_name;
};

/* A short-lived count of who was just sent somewhere, until reports catch up. */
struct registry_recent {
    uint32_t n;
    int64_t since_us;
};

struct registry_carrier {
    struct registry_stream *stream;
    struct registry_node *node;
    struct list of_stream, of_node;
    uint64_t epoch, report;
    uint32_t n_viewers, n_children, depth;
    char upstream[CLUSTER_ID_SIZE];
    struct registry_recent recent;
};

struct registry_stream {
    struct stream_name name;
    struct registry_node *owner; /* NULL: nobody */
    uint64_t epoch;              /* of the owner, or the last one known */
    bool is_granted;             /* by a scheduler, not only said by the node */
    bool is_reported;            /* the node has reported it since the grant */
    int64_t granted_us;
    uint64_t disputed_epoch; /* the last one that on_dispute() was called for */
    uint64_t report;
    uint32_t n_viewers, n_children; /* at the owner */
    struct registry_recent recent;
    struct list of_owner; /* in registry_node.owned */
    struct list carriers; /* registry_carrier.of_stream */
    size_t n_carriers;
    struct name_index_entry by_name;
};

/* Called while the registry changes: look, do not change it. */
struct registry_watch {
    /* The stream has an owner: new, moved or renewed. old_owner is another node, or "". */
    void (*on_owner)(void *arg, const struct registry_stream *stream, const char *old_owner);
    /* Its owner gave it up. */
    void (*on_ended)(void *arg, const struct registry_stream *stream,
                     const struct registry_node *old_owner);
    /* Its owner is gone without a word: forgotten, or replaced by a new instance. */
    void (*on_dropped)(void *arg, const struct registry_stream *stream,
                       const struct registry_node *old_owner);
    /* node says that it owns the stream with a higher epoch than the granted owner has. */
    void (*on_dispute)(void *arg, const struct registry_stream *stream, const char *node);
    void *arg;
};

struct registry {
    struct registry_conf conf;
    struct registry_watch watch;
    enum registry_trust trust;
    struct map nodes, streams; /* by id, by "app/name" */
    struct name_index node_names, stream_names;
    size_t n_owned;
    uint64_t highest_epoch;
    uint64_t n_viewers; /* of live edges, at the last sweep */
    size_t n_edges;
};

void registry_init(struct registry *r, const struct registry_conf *conf,
                   const struct registry_watch *watch);
void registry_fini(struct registry *r);

/* Applies a report. *reply gets want_full and the fenced streams (cluster_heartbeat_reply_fini()).
 *   E_STALE  the instance was replaced, or the sequence is from the past: *error says which
 *   E_INVAL  an epoch that nobody can have been given
 *   E_LIMIT, E_NOMEM */
enum err registry_heartbeat(struct registry *r, const struct cluster_heartbeat *m, int64_t now_us,
                            int64_t wall_us, struct cluster_heartbeat_reply *reply,
                            struct cluster_error *error);

/* What another scheduler wrote about a node: lease and load, not streams. */
void registry_merge_node(struct registry *r, const struct cluster_heartbeat *m, int64_t now_us);

/* A node that asks for something before its first heartbeat here: known for one lease, with nothing
 * but its name. E_STALE when the instance was replaced; E_LIMIT, E_NOMEM. */
enum err registry_admit(struct registry *r, const char *id, uint64_t instance, int64_t now_us,
                        struct registry_node **out);

/* Records a grant. E_STALE when the stream has a higher epoch already; E_LIMIT, E_NOMEM. */
enum err registry_grant(struct registry *r, const struct stream_name *name,
                        struct registry_node *node, uint64_t epoch, int64_t now_us);
/* The owner gives the stream up. E_STALE when it is not the owner with that epoch; E_NOT_FOUND. */
enum err registry_release(struct registry *r, const char *name, const char *id, uint64_t instance,
                          uint64_t epoch);

struct registry_node *registry_node(const struct registry *r, const char *id);
struct registry_stream *registry_stream(const struct registry *r, const char *name);
/* How node carries the stream, or NULL. */
struct registry_carrier *registry_carrier(const struct registry_stream *s,
                                          const struct registry_node *node);
/* First of a page: the lowest name above after. */
struct registry_node *registry_node_after(const struct registry *r, const char *after);
struct registry_node *registry_node_next(const struct registry_node *node); /* NULL at the end */
struct registry_stream *registry_stream_next(const struct registry_stream *stream);
struct registry_stream *registry_stream_after(const struct registry *r, const char *after);

bool registry_is_live(const struct registry_node *node, int64_t now_us);
/* Heartbeat late by 2 intervals, or suspected since the last one. Nothing about its lease. */
bool registry_is_suspect(const struct registry *r, const struct registry_node *node,
                         int64_t now_us);
void registry_suspect(struct registry_node *node, int64_t now_us);
void registry_saw_epoch(struct registry *r, uint64_t epoch, int64_t wall_us);
/* Every node is to send a full report. */
void registry_want_full(struct registry *r);

/* Once a second: forgets nodes long gone and grants that were never used, counts viewers. Calls
 * on_lapse (may be NULL) for each node whose lease ended since. */
void registry_sweep(struct registry *r, int64_t now_us,
                    void (*on_lapse)(void *arg, const struct registry_node *node), void *arg);

uint32_t registry_recent_count(const struct registry *r, const struct registry_recent *recent,
                               int64_t now_us);
void registry_recent_add(const struct registry *r, struct registry_recent *recent, int64_t now_us);

#endif
