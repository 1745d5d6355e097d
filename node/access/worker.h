/* A thread for what is too slow for a media loop: passwords, signatures of tokens. It starts with
 * the first job; the queue is bounded. */
#ifndef HW_NODE_ACCESS_WORKER_H
#define HW_NODE_ACCESS_WORKER_H

#include "common/base/list.h"
#include "node/access/checks.h"

struct access_worker; /* opaque */

struct access_job {      /* embedded in the caller's, which the last of the two below frees */
    struct list node;    /* private */
    struct loop_msg msg; /* private */
    struct access_pending *pending;
    void (*work)(struct access_job *job); /* in the thread; not called when the client has gone */
    void (*free)(struct access_job *job);
};

/* NULL when out of memory. */
struct access_worker *access_worker_create(unsigned max_jobs);
/* Ends the thread; jobs that wait are dropped. Before the loops that they come from are destroyed.
 */
void access_worker_destroy(struct access_worker **worker);

/* False: too many wait. Else access_worker_add() must follow. Any loop. */
bool access_worker_reserve(struct access_worker *worker);
/* It does not follow after all. */
void access_worker_unreserve(struct access_worker *worker);
/* Takes job; its check is asked again when it is done. */
void access_worker_add(struct access_worker *worker, struct access_job *job);

#endif
