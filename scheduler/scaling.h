/* Wiring of autoscale.h: what the registry's sweep sees goes in once a second; what was needed is
 * shared through the store; advice goes to /v1/autoscale and /metrics. Loop thread. */
#ifndef HW_SCHEDULER_SCALING_H
#define HW_SCHEDULER_SCALING_H

#include <jansson.h>

#include "scheduler/autoscale.h"
#include "scheduler/registry.h"

struct scheduler;

struct scaling {
    struct scheduler *scheduler;
    struct autoscale roles[AUTOSCALE_N_ROLES];
    struct autoscale_sums sums[AUTOSCALE_N_ROLES];   /* of this round of the sweep, so far */
    struct autoscale_past stored[AUTOSCALE_N_ROLES]; /* what the store has, as last seen */
    int64_t heard_since_us; /* since when all who live are heard; 0 = they are not */
};

void scaling_init(struct scaling *scaling, struct scheduler *scheduler);
/* A node that lives, once a round of the sweep. */
void scaling_saw(struct scaling *scaling, const struct registry_node *node, int64_t now_us);
/* The round is over. */
void scaling_settle(struct scaling *scaling, int64_t now_us);
/* This process did not run: who has not been heard may live all the same. */
void scaling_doubt(struct scaling *scaling);
/* What the store has; of no bytes: nothing. */
void scaling_learn(struct scaling *scaling, struct buf_view json);
/* {"edge": {"replicas", "wanted", "utilisation", "headroom", "reason"}, "origin": likewise}; null
 * of a role: no advice yet. The caller owns it; NULL: no memory. */
json_t *scaling_json(const struct scaling *scaling);

#endif
