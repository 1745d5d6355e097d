/* What the scheduler knows: nodes, the streams they own, those they carry, and the publishers they
 * hold ready. In memory; answers are made from it. Filled by heartbeats, by grants, and by what
 * other schedulers wrote to the store. No clock of its own: now_us (monotonic) and wall_us are
 * arguments. One thread at a time. Nothing here takes longer than a few milliseconds: what grows
 * with the cluster is done in slices (registry_sweep(), registry_reap()).
 *
 * A lease, a stream and a fence belong to (id, instance). A new instance of an id takes the place
 * of the old one. If it names the old one in `replaces`, both live side by side: new work goes to
 * the new one, and the old one keeps what it has while it drains. Otherwise the old one's streams
 * are dropped, and it is refused from then on. */
#ifndef HW_SCHEDULER_REGISTRY_H
#define HW_SCHEDULER_REGISTRY_H

#include "common/base/list.h"
#include "common/base/map.h"
#include "proto/cluster/cluster.h"
#include "scheduler/name_index.h"
#include "scheduler/node_ring.h"
#include "scheduler/placement.h"
#include "scheduler/rank_index.h"

#define REGISTRY_N_REPLACED 4  /* earlier instances of a node id that are remembered */
#define REGISTRY_N_OLDER 4     /* earlier instances that may drain side by side */
#define REGISTRY_MAX_TOLD 1000 /* fenced or moved streams in one answer; the rest follow */

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
    size_t max_full_reports; /* nodes that are asked for a full report at a time; 0 = all at once */
};

/* Where the router looks for nodes; a node of both roles is in both. */
enum registry_ring { REGISTRY_EDGES, REGISTRY_ORIGINS, REGISTRY_N_RINGS };

struct registry_zone {
    struct node_ring rings[REGISTRY_N_RINGS];
    size_t n_nodes;
    char name[CLUSTER_ZONE_SIZE];
};

/* What a node adds to the sums of all, as last counted. */
struct registry_share {
    bool is_edge, is_at_limit; /* an edge that lives and is active */
    unsigned rings;            /* bits: the rings that it is in */
    uint32_t n_viewers, weight;
};

struct registry_node {
    struct placement_node place; /* first; its strings are those below */
    int64_t lease_until_us;
    int64_t heard_us;     /* last heartbeat, here or through the store */
    int64_t asked_us;     /* when it was asked so last, and what came of it was known */
    int64_t answered_us;  /* last answer to the question whether it lives */
    int64_t suspected_us; /* when its events connection closed, or somebody reported it gone */
    uint64_t slot_round;  /* scratch of route.c */
    int slot;
    bool is_gone;      /* asked and silent, until its next heartbeat; or replaced */
    bool is_lapsed;    /* the sweep has seen it lapse */
    bool is_older;     /* another instance has its place, it drains */
    bool wants_drain;  /* the operator's order, to this instance */
    bool said_leaving; /* on_leaving() was called */
    bool want_full, is_asked_full, is_partial; /* is_partial: streams were left out for the limit */
    bool is_in_dispute; /* it says that it owns a stream of another one: soon asked for all again */
    bool said_address, said_load; /* a clash, a lie: told once */
    char id[CLUSTER_ID_SIZE], zone[CLUSTER_ZONE_SIZE];
    struct cluster_urls public_urls, internal_urls;
    char admin_url[CLUSTER_URL_SIZE]; /* "" = not reached from here */
    struct cluster_load load;         /* as plausible */
    enum cluster_node_state said_state;
    uint64_t viewer_bps; /* what one viewer takes, at the last report */
    uint64_t highest_epoch;
    uint64_t instance, replaces, seq;
    uint64_t replaced[REGISTRY_N_REPLACED];
    unsigned n_replaced;
    uint64_t refused_instance; /* the replaced one whose refusal was told last */
    int64_t direct_us;         /* last heartbeat that came here; 0 = never */
    int64_t full_us;           /* last full report */
    int64_t asked_full_us;
    uint32_t next_part; /* of the full report under way; 0 = none is */
    uint64_t report;    /* number of the report being applied */
    uint64_t standby_report;
    uint64_t owned_sum, said_sum; /* of owned; of what it owned by its last report elsewhere */
    unsigned n_differs;           /* reports in a row that they differed; registry_sum.c */
    int64_t asked_sum_us;         /* when on_differs() was called */
    bool is_recounted;            /* another scheduler waits for what its full report names */
    struct registry_node *older;  /* earlier instances that drain, newest first; owned */
    struct registry_zone *zoned;  /* NULL: in none */
    struct registry_share share;
    size_t n_guarded;     /* of those owned: that have a standby */
    struct list owned;    /* registry_stream.of_owner */
    struct list carried;  /* registry_carrier.of_node */
    struct list moved;    /* registry_carrier.of_moved: at an epoch below the owner's */
    struct list standbys; /* registry_standby.of_node */
    struct list of_dying, of_trimming;
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
    struct rank_entry of_stream; /* by affinity: the stream's own order of nodes */
    struct list of_node, of_moved;
    uint64_t epoch, report;
    uint32_t n_viewers, n_children, depth;
    bool is_reported; /* else it is only promised */
    char upstream[CLUSTER_ID_SIZE];
    struct registry_recent recent;
    struct registry_promise { /* what it was told since its last report */
        struct list of_all;   /* in registry.promises, oldest first */
        int64_t at_us;
        uint64_t upstream_hash; /* placement_hash() of the id */
        uint32_t depth;
    } promise;
};

struct registry_standby { /* a publisher held ready */
    struct registry_stream *stream;
    struct registry_node *node;
    struct list of_stream; /* who came first is first */
    struct list of_node;
    int64_t since_us;
    uint64_t report;
    bool is_reported;
};

struct registry_stream {
    struct stream_name name;
    uint64_t hash;               /* placement_hash(name) */
    struct registry_node *owner; /* NULL: nobody */
    uint64_t epoch;              /* of the owner, or the last one known */
    uint64_t run;                /* of the owner's encoder; 0 = not known */
    bool is_granted;             /* by a scheduler, not only said by the node */
    bool is_reported;            /* the node has reported it since the grant */
    bool is_promoted;            /* the grant was not asked for: the node is to be told */
    int64_t granted_us;
    int64_t due_us;          /* when the sweep looks whether the grant was used */
    uint64_t disputed_epoch; /* the last one that on_dispute() was called for, and since when */
    int64_t disputed_us;
    int64_t said_us; /* when its owner was last heard of from another scheduler */
    uint64_t report;
    uint32_t n_viewers, n_children; /* at the owner */
    struct registry_recent recent;
    struct list of_owner;  /* in registry_node.owned */
    struct list of_grants; /* in registry.grants, until it is reported */
    struct rank_index carriers;
    size_t n_carriers;
    uint64_t n_carried_viewers; /* at all of them */
    struct list standbys;       /* registry_standby.of_stream */
    struct name_index_entry by_name;
};

enum registry_clash {
    REGISTRY_SECOND_INSTANCE, /* of a live node, at another address, that does not name it */
    REGISTRY_SHARED_ADDRESS,  /* two live nodes say that they are reached at one address */
    REGISTRY_LOAD             /* load that cannot be */
};

/* Called while the registry changes: look, do not change it. Those from on_orphan() on may be NULL.
 */
struct registry_watch {
    /* The stream has an owner: new, moved or renewed; stream->is_granted says whether it was just
     * granted, or is only heard of now. old_owner is another one, or NULL. */
    void (*on_owner)(void *arg, const struct registry_stream *stream,
                     const struct registry_node *old_owner);
    /* Its owner gave it up. */
    void (*on_ended)(void *arg, const struct registry_stream *stream,
                     const struct registry_node *old_owner);
    /* Its owner is gone without a word: forgotten, or replaced by a new instance. */
    void (*on_dropped)(void *arg, const struct registry_stream *stream,
                       const struct registry_node *old_owner);
    /* node says that it owns the stream with a higher epoch than the granted owner has. */
    void (*on_dispute)(void *arg, const struct registry_stream *stream, const char *node);
    /* The stream has a standby, and its owner is gone or gave it up: claim it for the standby. */
    void (*on_orphan)(void *arg, const struct registry_stream *stream);
    /* The node is about to leave; once an instance. */
    void (*on_leaving)(void *arg, const struct registry_node *node);
    /* It reports to another scheduler, and owns other streams than is known here. */
    void (*on_differs)(void *arg, const struct registry_node *node);
    /* Its lease ended. */
    void (*on_lapse)(void *arg, const struct registry_node *node);
    /* The node lives: once each round of the sweep, instances that drain with the newest. */
    void (*on_seen)(void *arg, const struct registry_node *node);
    /* A live node is suspect: once each round of the sweep. */
    void (*on_suspect)(void *arg, const struct registry_node *node);
    /* Said once a node and kind. other is the other node's address, its id, or what was said. */
    void (*on_clash)(void *arg, enum registry_clash clash, const struct registry_node *node,
                     const char *other);
    void *arg;
};

/* At the end of the last round of the sweep. */
struct registry_counts {
    int64_t n_by_state[3], n_lapsed;
    int64_t n_wanting; /* full reports still to come */
};

struct registry {
    struct registry_conf conf;
    struct registry_watch watch;
    enum registry_trust trust;
    struct map nodes, streams; /* by id: the newest instance; by "app/name" */
    struct map zones;          /* by name: struct registry_zone, owned */
    struct map addresses;      /* by internal HTTP: the first node that said so */
    struct name_index node_names, stream_names;
    struct node_ring rings[REGISTRY_N_RINGS]; /* that may be given new work, whatever the zone */
    struct list trimming; /* registry_node.of_trimming: what their last full report left out goes */
    struct list dying;    /* registry_node.of_dying, owned: replaced or forgotten */
    struct list grants;   /* registry_stream.of_grants: not reported yet, by due_us */
    struct list promises; /* registry_carrier.promise.of_all */
    size_t n_owned, n_standbys;
    size_t n_asked_full;
    bool is_disowning; /* on_ended(): the owner does not have the stream, and has not given it up */
    uint64_t n_left_out; /* streams of reports that limits.streams left no room for; grows */
    uint64_t highest_epoch;
    /* Of edges that live and are active. */
    uint64_t n_viewers, weight;
    size_t n_edges, n_edges_at_limit;
    char swept[CLUSTER_ID_SIZE]; /* the sweep goes on behind it; "" = a new round */
    struct registry_counts counting, counts;
};

void registry_init(struct registry *r, const struct registry_conf *conf,
                   const struct registry_watch *watch);
void registry_fini(struct registry *r);

/* Applies a report. *reply gets want_full, drain, fenced and moved streams
 * (cluster_heartbeat_reply_fini()). Streams above limits.streams are left out and counted.
 *   E_STALE  the instance was replaced, or the sequence is from the past: *error says which
 *   E_INVAL  an epoch that nobody can have been given
 *   E_LIMIT, E_NOMEM */
enum err registry_heartbeat(struct registry *r, const struct cluster_heartbeat *m, int64_t now_us,
                            int64_t wall_us, struct cluster_heartbeat_reply *reply,
                            struct cluster_error *error);
/* True when the refusal of a replaced instance's heartbeat is news. */
bool registry_is_new_refusal(struct registry *r, const char *id, uint64_t instance);

/* What another scheduler wrote about a node: lease and load, not streams. The same one read again
 * changes nothing: its sequence number tells. */
void registry_merge_node(struct registry *r, const struct cluster_heartbeat *m, int64_t now_us);

/* A node that asks for something before its first heartbeat here: known for one lease, with nothing
 * but its name. E_STALE when the instance was replaced; E_LIMIT, E_NOMEM. */
enum err registry_admit(struct registry *r, const char *id, uint64_t instance, int64_t now_us,
                        struct registry_node **out);

struct registry_lease {
    const struct stream_name *name;
    struct registry_node *node;
    uint64_t epoch, run;
    bool is_old; /* an entry that the store kept: nobody says so now */
};
/* Records a grant. E_STALE when the stream has a higher epoch already; E_LIMIT, E_NOMEM. */
enum err registry_grant(struct registry *r, const struct registry_lease *lease, int64_t now_us);
/* The node was asked what it owns, since it differs, and names the stream. An epoch that was known
 * above its own, of an owner that has ended, does not stand in its way then. */
void registry_believe(struct registry_stream *s, const struct registry_node *node);
/* Another scheduler says so again: true when it is known. */
bool registry_confirm(struct registry_stream *s, const char *id, uint64_t instance, uint64_t epoch,
                      int64_t now_us);
/* The owner gives the stream up, with that epoch or what it had before. E_STALE when it is not the
 * owner, or has a higher one by now; E_NOT_FOUND. */
enum err registry_release(struct registry *r, const char *name, const char *id, uint64_t instance,
                          uint64_t epoch);
/* The node holds a publisher of the stream ready. E_LIMIT, E_NOMEM. */
enum err registry_add_standby(struct registry *r, const struct stream_name *name,
                              struct registry_node *node, int64_t now_us);

/* The newest instance of the id, or NULL. */
struct registry_node *registry_node(const struct registry *r, const char *id);
/* This instance of it: the newest, or one that drains. */
struct registry_node *registry_instance(const struct registry *r, const char *id,
                                        uint64_t instance);
struct registry_stream *registry_stream(const struct registry *r, const char *name);
/* How node carries the stream, or NULL. */
struct registry_carrier *registry_carrier(const struct registry_stream *s,
                                          const struct registry_node *node);
/* The first carrier in the stream's order at or behind rank (0 = of all), and the one after it. */
struct registry_carrier *registry_carrier_at(const struct registry_stream *s, uint64_t rank);
struct registry_carrier *registry_carrier_next(const struct registry_carrier *c);
/* First of a page: the lowest name above after. */
struct registry_node *registry_node_after(const struct registry *r, const char *after);
struct registry_node *registry_node_next(const struct registry_node *node); /* NULL at the end */
struct registry_stream *registry_stream_next(const struct registry_stream *stream);
struct registry_stream *registry_stream_after(const struct registry *r, const char *after);

/* Where a node is asked, and known by: plain HTTP where there is that; "" = nowhere. */
const char *registry_address(const struct cluster_urls *internal_urls);
bool registry_is_live(const struct registry_node *node, int64_t now_us);
/* Heartbeat late by 2 intervals, or suspected since it last said something. Nothing about its
 * lease.
 */
bool registry_is_suspect(const struct registry *r, const struct registry_node *node,
                         int64_t now_us);
void registry_suspect(struct registry_node *node, int64_t now_us);
/* It was asked whether it lives. Silent: it counts as gone until its next heartbeat or answer, and
 * the standbys of its streams are called for. */
void registry_answered(struct registry_node *node, int64_t now_us);
void registry_lost(struct registry *r, struct registry_node *node);
/* Some stream of the node has a standby elsewhere: worth asking the node as soon as it is suspect.
 */
bool registry_has_standbys(const struct registry_node *node);
/* The operator wants this instance empty, or takes it back (false). */
void registry_drain(struct registry *r, struct registry_node *node, bool wanted);
/* Another scheduler heard that it is about to leave. */
void registry_says_leaving(struct registry *r, struct registry_node *node);
/* Somebody was just sent there: counted until the next report. */
void registry_sent_viewer(struct registry *r, struct registry_node *node);
void registry_sent_publisher(struct registry_node *node);

/* False for an epoch that nobody can have been given. One that a node says is to be checked before
 * it counts as seen: whoever says so could use up the numbers. */
bool registry_is_possible(const struct registry *r, uint64_t epoch, int64_t wall_us);
void registry_saw_epoch(struct registry *r, uint64_t epoch);
/* Every node is to send a full report; they are asked a few at a time. */
void registry_want_full(struct registry *r);

/* One slice of the walk over all nodes and grants, to be made once a second: forgets nodes long
 * gone and grants that were never used. True at the end of a round. */
bool registry_sweep(struct registry *r, int64_t now_us, unsigned max_nodes);
/* One slice of what was put off: streams that a full report did not name, and all of nodes that are
 * forgotten or replaced. True when nothing is left. */
bool registry_reap(struct registry *r, int64_t now_us, unsigned max_streams);
bool registry_has_leftovers(const struct registry *r);
/* This process did not run for that long: nobody else was late. */
void registry_slept(struct registry *r, int64_t gap_us);

uint32_t registry_recent_count(const struct registry *r, const struct registry_recent *recent,
                               int64_t now_us);
void registry_recent_add(const struct registry *r, struct registry_recent *recent, int64_t now_us);

/* The node was told to pull the stream from upstream, at that depth: it counts as a carrier there
 * until its report says what became of it, for two intervals at most. Else all who ask in the
 * same moment would be sent to the owner. Without memory nothing is promised. */
void registry_promise(struct registry *r, struct registry_stream *s, struct registry_node *node,
                      const struct registry_node *upstream, uint32_t depth, int64_t now_us);
bool registry_is_promised(const struct registry_carrier *c);

#endif
