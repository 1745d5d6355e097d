/* What the node does, as rates between two walks over its sessions. Control loop. */
#ifndef HW_NODE_CONTROL_LOAD_H
#define HW_NODE_CONTROL_LOAD_H

#include "node/control/node_metrics.h"

struct node_load { /* zeroed = nothing taken yet */
    int64_t at_us, cpu_us;
    int64_t in_bytes, out_bytes;
    uint64_t in_bps, out_bps; /* since the walk before; 0 after the first one */
    uint32_t cpu_permille;    /* of all cores */
};

/* False too soon after the last one: there would be nothing new to say. */
bool node_load_is_due(const struct node_load *load);
void node_load_take(struct node_load *load, const struct node_totals *totals);

#endif
