/* How many viewers a node takes: limits.viewers, and cluster.capacity.egress_bps against what was
 * measured last. Those who are in stay; relays of other nodes are not viewers. */
#ifndef HW_NODE_SESSION_ADMISSION_H
#define HW_NODE_SESSION_ADMISSION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct node;

struct admission {                   /* in struct node */
    _Atomic uint64_t n_viewers;      /* people let in: waiting or playing */
    _Atomic uint64_t egress_bps;     /* as last measured; 0 = unknown */
    _Atomic int64_t last_refused_us; /* one log line a burst of refusals */
};

/* May one more come? NULL: it is in, pair with admission_give(). Else the reason (static), which is
 * counted, and logged once a burst. Any loop. */
const char *admission_take(struct node *node);
void admission_give(struct node *node);

#endif
