/* on_update: how the node is, once a period. Private to node/hooks; control loop. */
#ifndef HW_NODE_HOOKS_UPDATE_H
#define HW_NODE_HOOKS_UPDATE_H

#include "node/control/node_metrics.h"
#include "node/stream/stream.h"

struct node;

#define UPDATE_MAX_STREAMS 100u /* more are counted alone */

struct update { /* in struct hooks */
    struct node *node;
    struct timer timer;
    int64_t started_us;
    bool is_gathering; /* media loops write what follows, one after another */
    struct node_totals totals;
    struct stream_info streams[UPDATE_MAX_STREAMS];
    unsigned n_streams;
};

void update_init(struct update *u, struct node *node);
/* hooks.update_s may have changed: the next one is so far from now. */
void update_plan(struct update *u);
void update_stop(struct update *u);

#endif
