/* Which nodes asked for a stream of late: they carry it already, or are about to, or wait for it,
 * but have not reported it yet. With those that carry it they are all who need to hear what becomes
 * of it, so that a publish does not wake every node of the cluster. Bounded: the oldest are
 * forgotten, and hear of it by heartbeat answers and by asking again. No clock of its own. */
#ifndef HW_SCHEDULER_INTEREST_H
#define HW_SCHEDULER_INTEREST_H

#include "common/base/list.h"
#include "common/base/map.h"
#include "proto/cluster/cluster.h"

struct interest { /* of one node in one stream */
    struct list of_stream, of_age;
    struct interest_stream *stream;
    int64_t since_us;
    char node[CLUSTER_ID_SIZE];
};

struct interests {
    struct map streams; /* by name: struct interest_stream, owned; none is empty */
    struct map pairs;   /* by "stream node": struct interest, owned */
    struct list by_age; /* struct interest, oldest first */
    size_t n, max;
    int64_t keep_us;
};

void interests_init(struct interests *all, size_t max, int64_t keep_us);
void interests_fini(struct interests *all);
/* Without memory it is not noted. */
void interests_note(struct interests *all, const char *stream, const char *node, int64_t now_us);
/* Calls tell() with each node that asked for the stream within keep_us. */
void interests_tell(const struct interests *all, const char *stream, int64_t now_us,
                    void (*tell)(void *arg, const char *node), void *arg);

#endif
