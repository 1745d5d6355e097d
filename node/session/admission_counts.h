/* Who is in, by address, stream and app: counted at joins and leaves under the lock of a shard, and
 * what they get, which the loops add up once a second without any. */
#ifndef HW_NODE_SESSION_ADMISSION_COUNTS_H
#define HW_NODE_SESSION_ADMISSION_COUNTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/base/map.h"
#include "common/media/name.h"
#include "common/net/addr.h"

struct admission_count {
    _Atomic uint64_t n_viewers, n_publishers, n_hls;
    _Atomic uint64_t sent_bytes; /* to its viewers, as far as it was added up */
    _Atomic uint64_t egress_bps; /* over the last second */
    uint64_t last_bytes;         /* of whoever measures */
    unsigned refs;               /* under the lock of its shard */
    unsigned shard;
    struct admission_count *app; /* of a stream: its app's, one reference; else NULL */
    char key[];
};

#define ADMISSION_N_SHARDS 16
struct admission_counts {
    struct {
        pthread_mutex_t lock;
        struct map by_key;
    } shards[ADMISSION_N_SHARDS];
};

void admission_counts_init(struct admission_counts *counts);
/* Nobody is in any more. */
void admission_counts_fini(struct admission_counts *counts);
/* Both return the count with one more reference; NULL when out of memory. Any thread. An IPv6
 * client is its /64, since it owns that many. */
struct admission_count *admission_counts_get_ip(struct admission_counts *counts,
                                                const struct addr *addr);
struct admission_count *admission_counts_get_stream(struct admission_counts *counts,
                                                    const struct stream_name *name);
/* Takes *count and sets it to NULL; NULL is fine. */
void admission_counts_put(struct admission_counts *counts, struct admission_count **count);
/* New rates, elapsed_us after the ones before. One thread. */
void admission_counts_measure(struct admission_counts *counts, int64_t elapsed_us);

#endif
