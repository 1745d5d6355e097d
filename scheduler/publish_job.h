/* Publish requests under way: one at a time for a stream, in the order they came. A job asks a
 * suspect owner, then the store, then answers. When an owner is gone, a job without a request
 * claims the stream for a standby. Loop thread. */
#ifndef HW_SCHEDULER_PUBLISH_JOB_H
#define HW_SCHEDULER_PUBLISH_JOB_H

#include "common/base/map.h"
#include "common/net/http_server.h"
#include "proto/cluster/cluster.h"

struct scheduler;

struct publish_jobs {
    struct scheduler *scheduler;
    struct map by_stream; /* the job whose turn it is; others wait behind it */
    struct list ready;    /* those that can go on now */
    bool is_running;
};

void publish_jobs_init(struct publish_jobs *jobs, struct scheduler *scheduler);
/* After the HTTP server, the probes and the store are gone: nothing calls back any more. */
void publish_jobs_fini(struct publish_jobs *jobs);
/* Takes the exchange; borrows request. */
void publish_jobs_start(struct publish_jobs *jobs, struct http_exchange *x,
                        const struct cluster_publish *request);
/* Gives the stream to a standby, unless its owner lives after all. */
void publish_jobs_promote(struct publish_jobs *jobs, const struct stream_name *name);

#endif
