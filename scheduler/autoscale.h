/* How many nodes of a role are wanted: from what they say of their load, how it grows, and what was
 * needed of late. Pure: no clock, no store, no allocation.
 *
 * What is needed now is the load over the target: clients, times what one takes. The first is
 * exact and counts at once; the second is smoothed, since bytes come in bursts. A growth that is
 * more than chance is continued for as long as a node takes to start; what it comes to, over the
 * target as well, is needed, too. Wanted is the most that was needed at any moment of the scale-in
 * delay. So it follows a rise at once, and turns back once a delay at most.
 *
 * What can be promised: let R be start_us, C the load that fits, L(t) the load. While
 * L(t + R) <= (L(t) + R * L'(t)) / target, and what the nodes of the beginning hold is enough for
 * the first R of a growth, nobody is refused. Nothing can be done in that first R: it is what `min`
 * and the target are for. */
#ifndef HW_SCHEDULER_AUTOSCALE_H
#define HW_SCHEDULER_AUTOSCALE_H

#include <stdbool.h>

#include "proto/cluster/cluster.h"

#define AUTOSCALE_SLOT_US INT64_C(10000000)
#define AUTOSCALE_MAX_DELAY_S 3600
#define AUTOSCALE_N_SLOTS (AUTOSCALE_MAX_DELAY_S / 10 + 2)
#define AUTOSCALE_MAX_NODES 1000000u
#define AUTOSCALE_N_SAMPLES 64   /* the last minute */
#define AUTOSCALE_N_EMPTIEST 100 /* named in an answer */

struct autoscale_conf {
    uint32_t min, max;
    uint32_t target_percent, hysteresis_percent;
    int64_t start_us; /* from the moment in which a node is wanted until it takes work */
    int64_t scale_in_delay_us;
};

/* What one node says. */
struct autoscale_node {
    const char *id;  /* borrowed */
    bool takes_work; /* else it leaves, or is late: load that others get, and no room */
    uint32_t n_viewers, max_viewers;
    uint32_t n_clients; /* whatever costs: viewers, relays, publishers */
    uint64_t out_bps, capacity_bps;
    uint32_t cpu_permille;
};

enum autoscale_resource {
    AUTOSCALE_EGRESS,
    AUTOSCALE_VIEWERS,
    AUTOSCALE_CPU,
    AUTOSCALE_N_RESOURCES
};
extern const char *const k_autoscale_resources[AUTOSCALE_N_RESOURCES + 1];

/* Of all nodes of a role: begins as zeros. */
struct autoscale_sums {
    uint32_t n_nodes; /* that take work */
    uint64_t n_clients;
    uint64_t used[AUTOSCALE_N_RESOURCES], limit[AUTOSCALE_N_RESOURCES]; /* where there is a limit */
    unsigned n_emptiest;
    struct autoscale_empty { /* those that drain first, then the emptier ones */
        bool takes_work;
        uint32_t n_clients;
        uint64_t out_bps;
        char id[CLUSTER_ID_SIZE];
    } emptiest[AUTOSCALE_N_EMPTIEST];
};
void autoscale_add(struct autoscale_sums *sums, const struct autoscale_node *node);

/* What was needed, the most of each AUTOSCALE_SLOT_US of the wall clock. Of two that were kept
 * apart the higher values count, in any order: so schedulers agree. */
struct autoscale_past {
    int64_t newest; /* number of the newest slot; 0 = none yet */
    uint32_t needed[AUTOSCALE_N_SLOTS];
};
void autoscale_past_raise(struct autoscale_past *past, int64_t slot, uint32_t needed);
/* The clock says so now: it may have leapt back, and what lies ahead of it is forgotten. Clocks of
 * schedulers differ a little, so the next slot may be there. */
void autoscale_past_set_clock(struct autoscale_past *past, int64_t wall_us);
/* True when what is in *from was not all known. Slots that the clock has not come to are left out,
 * and forgotten. */
bool autoscale_past_merge(struct autoscale_past *past, const struct autoscale_past *from,
                          int64_t wall_us);
/* The most of the slots from one moment to another. */
uint32_t autoscale_past_most(const struct autoscale_past *past, int64_t since_us, int64_t until_us);

enum autoscale_why {
    AUTOSCALE_UNKNOWN, /* not all nodes were heard yet: no advice */
    AUTOSCALE_HELD,    /* not all nodes are heard: not fewer than before */
    AUTOSCALE_LOAD,    /* what is needed now */
    AUTOSCALE_GROWTH,  /* what will be needed */
    AUTOSCALE_DELAY,   /* less is needed, but was not all through the delay */
    AUTOSCALE_MIN,
    AUTOSCALE_MAX
};

struct autoscale_advice {
    enum autoscale_why why;
    uint32_t n_nodes, wanted, needed;
    enum autoscale_resource tight; /* what is used most */
    double utilisation;            /* of what is used most; may be above 1 */
    double growth;                 /* clients a second; 0 = none, or chance */
    double headroom;               /* clients that fit, as they are now; below 0: not known */
};

struct autoscale {
    struct autoscale_past past;    /* nodes */
    struct autoscale_past clients; /* likewise, as seen here */
    struct autoscale_sample {
        int64_t at_us;
        uint64_t n_clients;
    } samples[AUTOSCALE_N_SAMPLES];
    double each[AUTOSCALE_N_RESOURCES]; /* what a client takes, smoothed */
    int64_t each_us;                    /* when it was looked at */
    unsigned n_samples; /* ever; the newest is at (n_samples - 1) % AUTOSCALE_N_SAMPLES */
    bool was_whole;
    struct autoscale_advice advice;
    struct autoscale_empty emptiest[AUTOSCALE_N_EMPTIEST];
    unsigned n_emptiest;
};

/* Once a second. is_whole: all nodes that live are in *sums. now_us is monotonic. */
void autoscale_tick(struct autoscale *a, const struct autoscale_conf *conf,
                    const struct autoscale_sums *sums, bool is_whole, int64_t now_us,
                    int64_t wall_us);
/* A sentence for people, into out[size]. */
void autoscale_reason(const struct autoscale *a, const struct autoscale_conf *conf, char *out,
                      size_t size);

/* {"v":1,"edge":{"newest":N,"needed":[...]},"origin":...}: newest slot first. */
enum autoscale_role { AUTOSCALE_EDGE, AUTOSCALE_ORIGIN, AUTOSCALE_N_ROLES };
extern const char *const k_autoscale_roles[AUTOSCALE_N_ROLES + 1];
void autoscale_past_write(const struct autoscale_past past[AUTOSCALE_N_ROLES],
                          struct buf_writer *out);
/* E_INVAL: it is something else; *past is as it was. */
enum err autoscale_past_read(struct buf_view json, struct autoscale_past past[AUTOSCALE_N_ROLES]);

#endif
