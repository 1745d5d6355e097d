/* Push: the stream of an encoder that publishes at this edge, sent on to an origin. One a
 * publisher, on its loop, which is the stream's home. It finds another origin when that one is
 * lost, and moves there first when that one is about to leave. */
#ifndef HW_NODE_RELAY_PUSH_H
#define HW_NODE_RELAY_PUSH_H

#include "node/node.h"
#include "proto/cluster/cluster.h"

struct push; /* opaque */

struct push_ops { /* never from within a call below; each may destroy the push */
    /* An origin owns the stream now, with this epoch: push_send() when the stream has its source.
     * Called again for each origin that takes its place. */
    void (*on_granted)(void *arg, uint64_t epoch);
    /* The origin holds the encoder ready; on_granted follows when its turn has come. */
    void (*on_standby)(void *arg);
    /* Over: E_BUSY somebody else has the stream, E_DENIED closed by an operator, E_TIMEOUT no
     * origin took it within forward_buffer_ms. text (lent) says more. */
    void (*on_failed)(void *arg, enum err why, const char *text);
};

struct push_conf { /* copied */
    struct node_loop *nl;
    struct stream *stream; /* the push holds a reference of its own */
    uint64_t run;
    enum cluster_duplicate duplicate;
    const char *client; /* address of the encoder; lent while the push lives */
    const struct push_ops *ops;
    void *arg;
};
/* Starts with the origin that the scheduler named; NULL: no scheduler answers, so
 * fallback_origins. Returns NULL when out of memory. */
struct push *push_create(const struct push_conf *conf, const struct cluster_publish_reply *origin);
/* From on_granted(): media flows to the origin that granted last; the one before is let go. */
void push_send(struct push *push);
/* Takes *push; NULL is fine. What was published so far still goes out. */
void push_destroy(struct push **push);

/* Is that stream an encoder's here, sent on to an origin? Loop thread. */
bool push_holds(struct node_loop *nl, const struct stream *stream);
/* The node is about to leave: pushes of the stream that go there move first. Home loop. */
void push_on_leaving(struct node *node, struct stream *stream, const char *leaving_node);

#endif
