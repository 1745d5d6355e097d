/* What the scheduler knows of this node's streams, as far as it said so: full reports, in parts
 * where they are long, and deltas are made from it. Pure; one thread at a time. */
#ifndef HW_NODE_CLUSTER_BEAT_H
#define HW_NODE_CLUSTER_BEAT_H

#include "common/base/map.h"
#include "proto/cluster/cluster.h"

#define BEAT_FULL_EVERY_US 60000000 /* heals what a lost delta may have left */

struct beat_book {
    struct map acked; /* name -> struct cluster_stream, owned: as last acknowledged */
    uint64_t acked_seq;
    bool want_full;   /* at first, when asked, and when a report may or may not have arrived */
    bool takes_parts; /* by its last answer */
    uint32_t n_parts; /* acknowledged, of the full report under way; 0 = none is */
    int64_t full_at_us;
};

void beat_book_init(struct beat_book *book);
void beat_book_fini(struct beat_book *book);

/* Fills seq, full, part, more, streams (owned: cluster_heartbeat_fini()) and n_streams of *out from
 * what there is now: while a full report is under way, its next part; the caller keeps to the same
 * streams until beat_book_is_done(). Borrows streams. E_NOMEM: *out has no streams. */
enum err beat_book_build(const struct beat_book *book, const struct cluster_stream *streams,
                         size_t n_streams, int64_t now_us, struct cluster_heartbeat *out);
/* The scheduler has it, and answered whether it takes parts. E_NOMEM: the next one will be full. */
enum err beat_book_ack(struct beat_book *book, const struct cluster_heartbeat *sent,
                       bool takes_parts, int64_t now_us);
/* No further part is due. */
bool beat_book_is_done(const struct beat_book *book);
/* The next one will be full, from its first part on. */
void beat_book_want_full(struct beat_book *book);
/* The epoch last acknowledged for the stream, or 0. */
uint64_t beat_book_epoch(const struct beat_book *book, const char *name);

#endif
