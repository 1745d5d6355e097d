/* How a node leaves: no new work, publishers and other nodes are told to go elsewhere, and the
 * process ends as soon as nobody is left, at drain_timeout_s at the latest. Control loop. */
#ifndef HW_NODE_DRAIN_H
#define HW_NODE_DRAIN_H

#include "common/net/loop.h"

struct node;
struct media_loop;

enum drain_why {
    DRAIN_ORDER,   /* API, or the scheduler: may be taken back */
    DRAIN_SIGNAL,  /* SIGTERM, SIGINT */
    DRAIN_REPLACED /* another process of this node has the listeners */
};

/* Sessions that still have to leave; pulls, pushes and idle connections serve those, or nobody. */
struct drain_count {
    unsigned n_publishers, n_viewers, n_relays;
};

struct drain { /* in struct node; private */
    enum drain_why why;
    struct timer timer;
    int64_t begun_us, until_us, said_us;
    struct drain_count count; /* while is_counting the media loops write it, one after another */
    bool has_begun, is_counting, is_stopping;
    bool has_left;                  /* replaced: new connections are the other process's */
    bool has_asked;                 /* publishers to reconnect */
    bool is_recording, has_records; /* while it stops: files are being finished; they are */
};

void node_drain(struct node *node, enum drain_why why);
/* DRAIN_REPLACED: no loop listens any more. Who is asked to come again before that may come back
 * here, as a second publisher. */
void node_drain_left(struct node *node);
/* The order is taken back. Does nothing to a drain of another kind, or when the node stops already.
 */
void node_resume(struct node *node);

#endif
