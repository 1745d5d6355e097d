/* Who pulls a stream from here, whom we pull it from, and which nodes are between us and its
 * origin: enough to see that a relay would be a loop, or too deep. Any thread, but for what says
 * otherwise; the lock is taken when relays come and go, never per frame.
 *
 * Three things are known of a loop before it carries anything. A relay's request names the relay
 * and whom it serves: we refuse it when we, or whom we pull from, are among them. Our answer names
 * us and all nodes above us: the relay lets go when it finds itself. And when nodes above us
 * change, all below us hear it with the next @hw tag: of loops that several nodes made at the same
 * moment, one of them lets go then. */
#ifndef HW_NODE_STREAM_HOPS_H
#define HW_NODE_STREAM_HOPS_H

#include <pthread.h>
#include <stdbool.h>

#include "common/base/list.h"
#include "proto/http/trace_context.h"

#define HOPS_SIZE 600 /* text of one hop list: 8 ids of 64 bytes */
#define HOPS_MAX 8    /* deeper is a loop or a mistake */
#define HOPS_ID_SIZE 65
#define HOPS_MAX_DEPTH 3   /* nodes above a relay */
#define HOPS_PATH_SIZE 264 /* text of so many, and one more */
#define HOPS_UPSTREAMS 2   /* the one that we have, and one that is tried; or two that are tried */

struct hops_child { /* embedded in the session of a relay that pulls from here */
    struct list node;
    bool is_fed;         /* it gets the stream; before that it only waits here */
    char ids[HOPS_SIZE]; /* the nearest first, comma-separated: the relay itself, then whom it
                            serves */
};

struct hops {
    pthread_mutex_t lock;
    struct list children;
    struct trace_id trace; /* of who asked last for a stream that is not here; zeros = nobody */
    char upstreams[HOPS_UPSTREAMS][HOPS_ID_SIZE]; /* "" = none, or foreign */
    char path[HOPS_PATH_SIZE]; /* from our upstream to the origin, the nearest first; "" at the
                                  origin */
};

void hops_init(struct hops *h);
void hops_fini(struct hops *h);
/* A relay with this hop list wants the stream. False: it or one below it is above us, or may soon
 * be since we try it; or it would be too deep. */
bool hops_add_child(struct hops *h, struct hops_child *child, const char *ids);
void hops_remove_child(struct hops *h, struct hops_child *child);
/* The answer begins. Until then the child does not count as below us: it may go elsewhere, two
 * nodes that wait at each other would never look elsewhere, and if it stays, our answer names it.
 */
void hops_feed_child(struct hops *h, struct hops_child *child);
/* We are about to pull from this node; "" when that is over. slot < HOPS_UPSTREAMS is the caller's.
 * False: it gets the stream from us. */
bool hops_set_upstream(struct hops *h, unsigned slot, const char *id);
/* The hop list of our own request: own_id, then all that are fed from here, each once, at most
 * HOPS_MAX. */
void hops_write(struct hops *h, const char *own_id, char out[HOPS_SIZE]);
/* Home loop alone: the nodes above us. True when that is a change. What does not fit is cut. */
bool hops_set_path(struct hops *h, const char *path);
/* Who waits for the stream belongs to this trace: a pull on its behalf does, too. */
void hops_ask_trace(struct hops *h, struct trace_id trace);
struct trace_id hops_trace(struct hops *h);
/* The path of who pulls from us: own_id and ours. */
void hops_write_path(struct hops *h, const char *own_id, char out[HOPS_ID_SIZE + HOPS_PATH_SIZE]);
/* Is id one of the comma-separated ids? *n_ids counts them; may be NULL. */
bool hops_hold(const char *ids, const char *id, unsigned *n_ids);

#endif
