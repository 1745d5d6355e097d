/* How late a stream is at this node: the time from where it was taken in to here, by the clock of
 * that node, as far as ours is known against it; and which nodes are between. Pure; home loop. */
#ifndef HW_NODE_STREAM_LAG_H
#define HW_NODE_STREAM_LAG_H

#include "proto/flv/flv.h"

struct stream_upstream;

struct stream_lag {
    const char *node_id; /* ours, lent; NULL = it is not said to others */
    bool has_clock;      /* the two below are known */
    int64_t clock_us;    /* our monotonic clock minus that of the node that took the stream in */
    int64_t unc_us;      /* how wrong that may be, either way */
    bool is_measured;    /* by a frame, with this source */
    int64_t lag_us;      /* of that frame; may be below 0 by unc_us */
    char trail[FLV_TRAIL_SIZE]; /* the nodes above us as our upstream said them; "" = none */
};

/* A source was attached. is_ingest: this node takes the stream in, so nothing is above, and frames
 * are here when they are ingested. */
void stream_lag_begin(struct stream_lag *lag, bool is_ingest);
/* The upstream said something of the next frame. A trail that is broken counts as none. */
void stream_lag_hear(struct stream_lag *lag, const struct stream_upstream *said);
/* That frame is here. */
void stream_lag_measure(struct stream_lag *lag, int64_t now_us, int64_t ingest_us);
/* Lag and uncertainty; false: not known. */
bool stream_lag_get(const struct stream_lag *lag, int64_t *lag_us, int64_t *unc_us);
/* What our @hw says of it; the trail, with this node behind it, is lent by trail. */
void stream_lag_say(const struct stream_lag *lag, struct flv_hw *hw, char trail[FLV_TRAIL_SIZE]);

#endif
