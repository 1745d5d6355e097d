/* The cluster agent: heartbeats, publish leases, routes and events, all on the control thread.
 * Media loops ask with messages and are answered on their own loop; media never waits for it: when
 * no scheduler answers, publishes are granted here and routes come from the cache or
 * fallback_origins. */
#ifndef HW_NODE_CLUSTER_AGENT_H
#define HW_NODE_CLUSTER_AGENT_H

#include "common/net/loop.h"
#include "proto/cluster/cluster.h"

struct node;
struct agent; /* opaque */

/* Control loop, before it runs. NULL with *why on bad configuration. */
struct agent *agent_create(struct node *node, const char **why);
void agent_destroy(struct agent **agent); /* loops are stopped */
/* Heartbeats start; control loop. */
void agent_start(struct agent *agent);
/* The node drains, or does not any more: said at once. Control loop. */
void agent_drain(struct agent *agent);
/* The schedulers have heard it, or none of them answers. Control loop. */
bool agent_drain_is_known(const struct agent *agent);
/* What is sent from now on; control loop. */
void agent_set_token(struct agent *agent, const char *token);

/* One question, embedded in or owned by the asker; exactly one done() on reply_loop, also at
 * time-out (about 1 s). The asker keeps it alive until then (cancel by setting arg to NULL on
 * reply_loop). Any thread may ask. */
struct agent_ask {
    struct loop_msg msg; /* private */
    struct agent *agent; /* private */
    struct loop *reply_loop;
    void *arg;
    void (*done)(struct agent_ask *ask);
    enum { AGENT_ASK_PUBLISH, AGENT_ASK_ROUTE } what;
    struct cluster_publish publish;             /* in; node and instance are filled by the agent */
    struct cluster_publish_reply publish_reply; /* out; granted with a local epoch when no scheduler
                                                   answers, refused when they refuse this node */
    struct cluster_route_query route;           /* in; node is filled by the agent */
    struct cluster_route route_reply; /* out; from cache or fallback_origins when none answers */
    bool degraded;                    /* out: no scheduler answered */
};
void agent_ask(struct agent *agent, struct agent_ask *ask);

/* The publisher of this epoch is gone. Any thread; copies. */
void agent_release(struct agent *agent, const struct stream_name *name, uint64_t epoch);
/* Some stream changed source; the next heartbeat goes out soon. Any thread. */
void agent_poke(struct agent *agent);
/* True while something waits for its answer: a node that stops gives it a moment, so that its
 * streams are free at once and not when the lease ends. Control loop. */
bool agent_is_busy(const struct agent *agent);
/* For /readyz and the API; any thread. */
bool agent_is_connected(const struct agent *agent);
/* The schedulers refuse this node: its token is wrong, its id is taken by another one, another
 * process has replaced it. reason says what they said. Any thread. */
#define AGENT_REFUSAL_SIZE 160
bool agent_is_refused(struct agent *agent, char reason[AGENT_REFUSAL_SIZE]);

#endif
