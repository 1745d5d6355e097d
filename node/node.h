/* The media node as a whole: configuration, loops, registry, cluster agent. Made by main, read by
 * all; fixed after start unless said otherwise. */
#ifndef HW_NODE_NODE_H
#define HW_NODE_NODE_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/net/http_server.h"
#include "common/net/listener.h"
#include "common/net/loop.h"
#include "node/conf.h"
#include "node/stream/media_loop.h"
#include "node/stream/stream.h"

struct agent;
struct admin;

struct node_loop {
    struct media_loop media; /* media.owner points back here */
    struct node *node;
    bool closed; /* at shutdown: nothing new may come to this loop */
    struct listener *rtmp_listener, *http_listener;
    struct http_server *http;
    struct buf_writer out; /* scratch for answers: filled and sent within one call */
    struct loop_msg reload_msg;
    struct list pulls; /* relay pulls whose home is this loop */
};

struct node {
    struct node_conf conf;
    char id[65];                                  /* cluster.node_id, or "<host>-<random>" */
    uint64_t instance;                            /* random at each start */
    struct addr rtmp_addr, http_addr, admin_addr; /* as bound; size_bytes 0 = off */
    unsigned n_loops;
    struct node_loop *loops;
    struct loop *control; /* admin API, agent: never media */
    struct registry *registry;
    struct stream_conf stream_conf;
    struct agent *agent; /* NULL without a cluster */
    struct admin *admin;
    char *token;                /* node token, "" = none */
    long max_connections;       /* what descriptors allow */
    struct conn_budget *budget; /* client connections; made before loops, destroyed after */
    _Atomic bool draining;      /* SIGTERM: no new work */
    struct timer drain_timer;
    int64_t drain_until_us;
    bool stopping;
    pthread_barrier_t reload_barrier; /* all media loops and the control loop */
};

struct conf_args;
struct conf_error;

/* Takes what *conf holds (and zeroes it). Reserves addresses, makes loops and listeners; nothing
 * runs yet. E_OK, or the reason in *error and nothing to destroy. Main thread. */
enum err node_init(struct node *node, struct node_conf *conf, struct conf_error *error);
/* Media loops start in threads of their own; the control loop runs in the caller's thread until the
 * node has drained and stopped. */
void node_run(struct node *node);
void node_fini(struct node *node);
/* No new work; stops when the sessions are gone, at drain_timeout_s at the latest. Control loop. */
void node_drain(struct node *node);
/* Changes what can be changed between turns. Control loop. */
void node_reload(struct node *node, struct node_conf *fresh);
/* The stream core's share of the configuration. */
void node_stream_conf(const struct node_conf *conf, struct stream_conf *out);

/* stream_hooks.changed: arg = struct node. */
void node_on_stream_changed(void *arg, struct stream *stream);

static inline struct node *node_of(struct media_loop *ml)
{
    return ((struct node_loop *)ml->owner)->node;
}

#endif
