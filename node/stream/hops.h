/* Who pulls a stream from here, and whom we pull it from: enough to see that a relay would be a
 * loop. Any thread; the lock is taken when relays come and go, never per frame. */
#ifndef HW_NODE_STREAM_HOPS_H
#define HW_NODE_STREAM_HOPS_H

#include <pthread.h>
#include <stdbool.h>

#include "common/base/list.h"

#define HOPS_SIZE 600 /* text of one hop list: 8 ids of 64 bytes */
#define HOPS_MAX 8    /* deeper is a loop or a mistake */
#define HOPS_ID_SIZE 65

struct hops_child { /* embedded in the session of a relay that pulls from here */
    struct list node;
    char ids[HOPS_SIZE]; /* the nearest first, comma-separated: the relay itself, then whom it
                            serves */
};

struct hops {
    pthread_mutex_t lock;
    struct list children;
    char upstream[HOPS_ID_SIZE]; /* "" = none, or foreign */
};

void hops_init(struct hops *h);
void hops_fini(struct hops *h);
/* A relay with this hop list wants the stream. False: our own upstream is in the list. */
bool hops_add_child(struct hops *h, struct hops_child *child, const char *ids);
void hops_remove_child(struct hops *h, struct hops_child *child);
/* We are about to pull from this node; "" when the pull is over. False: it pulls from us. */
bool hops_set_upstream(struct hops *h, const char *id);
/* The hop list of our own request: own_id, then all ids below us, each once, at most HOPS_MAX. */
void hops_write(struct hops *h, const char *own_id, char out[HOPS_SIZE]);
/* Is id one of the comma-separated ids? *n_ids counts them; may be NULL. */
bool hops_hold(const char *ids, const char *id, unsigned *n_ids);

#endif
