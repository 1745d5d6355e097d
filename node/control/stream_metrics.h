/* Metrics of single streams, for who asks for them (metrics.streams): of so many that have most
 * viewers, so that there are never more series than that. */
#ifndef HW_NODE_CONTROL_STREAM_METRICS_H
#define HW_NODE_CONTROL_STREAM_METRICS_H

#include "common/base/buf.h"
#include "node/stream/stream.h"

#define STREAM_METRICS_MAX 500

struct stream_metric {
    struct stream_name name;
    uint32_t n_viewers, n_relays;
    uint64_t bytes_in, n_frames;
    int64_t lag_us; /* -1: not known, or it comes from nowhere else */
    bool is_live;
};

struct stream_metrics { /* one thread at a time */
    size_t limit, n;
    struct stream_metric
        *items; /* owned, limit of them; while it is full a heap: the least first */
};

/* limit 0: nothing is kept. E_NOMEM: as with 0. */
enum err stream_metrics_init(struct stream_metrics *m, size_t limit);
void stream_metrics_fini(struct stream_metrics *m);
void stream_metrics_add(struct stream_metrics *m, const struct stream_info *info);
/* Families with HELP and TYPE, streams sorted by name. Changes the order of the items: it is the
 * last call before stream_metrics_fini(). Nothing where nothing was wanted. */
void stream_metrics_render(struct stream_metrics *m, struct buf_writer *out);

#endif
