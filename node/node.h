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
#include "node/control/events.h"
#include "node/drain.h"
#include "node/hls/hls.h"
#include "node/rules.h"
#include "node/session/admission.h"
#include "node/stream/media_loop.h"
#include "node/stream/stream.h"
#include "node/watchdog.h"

struct access_log;
struct access;
struct agent;
struct admin;
struct handover;
struct clocks;
struct compat;
struct hls;
struct hooks;
struct hls_sessions;
struct record;
struct snapshots;
struct settings;
struct relays;
struct relay_guard;
struct bans;

struct tls_setup;

/* What clients connect with; session/protocols.c has a row for each. */
enum protocol_id { PROTOCOL_RTMP, PROTOCOL_HTTP, PROTOCOL_RTMPS, PROTOCOL_HTTPS, N_PROTOCOLS };

struct node_loop {
    struct media_loop media; /* media.owner points back here */
    struct node *node;
    bool closed;                             /* at shutdown: nothing new may come to this loop */
    struct listener *listeners[N_PROTOCOLS]; /* NULL = off */
    int64_t stays_until_us;                  /* no better place is asked for before: redirect.h */
    const char *kick_why;                    /* of the kick that is under way; NULL: an operator */
    struct listener *relay_listener;         /* for the process that has replaced this one */
    struct http_server *http;
    struct buf_writer out; /* scratch for answers: filled and sent within one call */
    struct loop_msg reload_msg;
    struct list pulls;          /* relay pulls whose home is this loop */
    struct list pushes;         /* streams of encoders here that are forwarded to an origin */
    unsigned n_record_plays;    /* finished records that are sent */
    struct list deciding;       /* publishers whose publish is being decided, oldest first */
    struct list keepers;        /* pulls that run though nobody watches */
    struct list targets;        /* streams of this loop that are sent to foreign servers */
    struct loop_msg relays_msg; /* node.relays has changed */
    _Atomic bool relays_told;   /* it is under way */
};

struct node {
    struct node_conf conf;
    char id[65]; /* cluster.node_id, or "<host>-<random>"; changes while all loops stand still */
    uint64_t instance;                          /* random at each start */
    uint64_t replaces;                          /* of the process that this one replaces; or 0 */
    struct addr bound[N_PROTOCOLS], admin_addr; /* size_bytes 0 = off */
    unsigned n_loops;
    struct node_loop *loops;
    struct loop *control; /* admin API, agent: never media */
    struct registry *registry;
    struct stream_conf stream_conf;
    struct agent *agent;      /* NULL without a cluster */
    struct clocks *clocks;    /* of the nodes that streams come from */
    const char *internal_url; /* where other nodes reach this one; the agent's. NULL = nowhere */
    struct tls_setup *tls;    /* certificates, and whom this node believes */
    struct hls_conf hls_conf;
    struct hls *hls;                   /* NULL when hls.mode is off */
    struct hls_sessions *hls_sessions; /* likewise */
    struct snapshots *snapshots;
    struct record *record; /* NULL when record.dir is "" */
    struct admin *admin;
    struct handover *handover; /* NULL without handover.socket */
    char *token, *token_also;  /* see token.h; "" = none. Change while all loops stand still */
    long max_connections;      /* what descriptors allow */
    struct conn_budget *admin_budget; /* owned; of admin.listen alone */
    struct node_rules rules;          /* change while all loops stand still */
    struct http_guard http_guard;     /* before the handlers of the media ports */
    struct conn_budget *budget;       /* client connections; made before loops, destroyed after */
    struct admission admission;
    struct access_log *access_log; /* NULL = off */
    struct access *access;         /* NULL in tests: then publish.open and play.open alone count */
    struct events events;
    struct hooks *hooks;
    struct compat *compat; /* NULL: no other server's words are spoken here */
    struct settings *settings;
    struct relays *relays;           /* pulls and pushes that operators told */
    struct relay_guard *relay_guard; /* where they may go */
    struct bans *bans;
    _Atomic bool is_replaced; /* another process of this node serves: what runs always runs there */
    _Atomic bool draining;    /* no new work; not set in a process that was replaced */
    struct drain drain;
    struct watchdog watchdog;
    pthread_barrier_t reload_barrier; /* all media loops and the control loop */
};

struct conf_args;
struct conf_error;

/* Takes what *conf holds (and zeroes it). Reserves addresses, makes loops and listeners; nothing
 * runs yet. replace: the listeners are those of the process at handover.socket. E_OK, or the reason
 * in *error and nothing to destroy. Main thread. */
enum err node_init(struct node *node, struct node_conf *conf, bool replace,
                   struct conf_error *error);
/* Media loops start in threads of their own; the control loop runs in the caller's thread until the
 * node has drained and stopped. */
void node_run(struct node *node);
void node_fini(struct node *node);
/* Loop thread, or while the loop does not run. */
void node_close_listeners(struct node_loop *nl);
/* Between these two all media loops stand still: what they read without a lock may be changed.
 * Control loop; a few microseconds. */
void node_stand_still(struct node *node);
void node_go_on(struct node *node);
/* Changes some reloadable keys, those of part (rows of k_node_schema, whatever they are called
 * there), until they are loaded again. *fresh gets what was there. Control loop. */
void node_tune(struct node *node, const struct conf_schema *part, struct node_conf *fresh);
/* Changes what can be changed between turns. Control loop. */
void node_reload(struct node *node, struct node_conf *fresh);

static inline struct node *node_of(struct media_loop *ml)
{
    return ((struct node_loop *)ml->owner)->node;
}

#endif
