/* What the scheduler knows of this node's streams, as far as it said so: full reports and deltas
 * are made from it. Pure; one thread at a time. */
#ifndef HW_NODE_CLUSTER_BEAT_H
#define HW_NODE_CLUSTER_BEAT_H

#include "common/base/map.h"
#include "proto/cluster/cluster.h"

#define BEAT_FULL_EVERY_US 60000000 /* heals what a lost delta may have left */

struct beat_book {
    struct map acked; /* name -> struct cluster_stream, owned: as last acknowledged */
    uint64_t acked_seq;
    bool want_full; /* at first, when asked, and when a delta may or may not have arrived */
    int64_t full_at_us;
};

void beat_book_init(struct beat_book *book);
void beat_book_fini(struct beat_book *book);

/* Fills seq, full, streams (owned: cluster_heartbeat_fini()) and n_streams of *out from what there
 * is now. Borrows streams. E_NOMEM: *out has no streams. */
enum err beat_book_build(const struct beat_book *book, const struct cluster_stream *streams,
                         size_t n_streams, int64_t now_us, struct cluster_heartbeat *out);
/* The scheduler has it. E_NOMEM: the next one will be full. */
enum err beat_book_ack(struct beat_book *book, const struct cluster_heartbeat *sent,
                       int64_t now_us);
/* The epoch last acknowledged for the stream, or 0. */
uint64_t beat_book_epoch(const struct beat_book *book, const char *name);

#endif
