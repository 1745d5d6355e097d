/* What this node has, as heartbeats say it: gathered from the media loops, one after another. */
#ifndef HW_NODE_CLUSTER_REPORT_H
#define HW_NODE_CLUSTER_REPORT_H

#include "node/node.h"
#include "proto/cluster/cluster.h"

struct report {
    const struct node *node;        /* borrowed */
    struct cluster_stream *streams; /* owned */
    size_t n_streams, streams_room;
    struct cluster_standby *standbys; /* owned */
    size_t n_standbys, standbys_room;
    struct cluster_load load; /* counts; rates are not known here */
    bool out_of_memory;
};

void report_init(struct report *r, const struct node *node);
void report_fini(struct report *r);
/* The streams at home on this loop; its thread. */
void report_add_loop(struct report *r, struct media_loop *ml);

#endif
