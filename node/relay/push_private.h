/* A push between push.c (which origin, when) and push_link.c (one connection). */
#ifndef HW_NODE_RELAY_PUSH_PRIVATE_H
#define HW_NODE_RELAY_PUSH_PRIVATE_H

#include "node/relay/dial.h"
#include "node/relay/push.h"
#include "node/relay/push_wire.h"
#include "node/stream/viewer.h"

struct agent_ask;

struct push_origin {
    char node[CLUSTER_ID_SIZE]; /* "-" = one of fallback_origins */
    char http[CLUSTER_URL_SIZE];
};

enum push_link_state {
    PUSH_LINK_CONNECTING, /* looking up the name, then connecting */
    PUSH_LINK_ASKING,     /* the POST is out */
    PUSH_LINK_STANDBY,    /* 102: held ready */
    PUSH_LINK_GRANTED,    /* 100 */
    PUSH_LINK_SENDING,    /* the stream flows */
    PUSH_LINK_FINISHING   /* nobody's any more: sends what this turn publishes, then closes */
};

struct push_link {
    struct push *push; /* borrowed; NULL once it was given up */
    struct node_loop *nl;
    struct stream *stream; /* owned reference */
    struct push_origin origin;
    enum push_link_state state;
    unsigned busy;   /* our own calls on the stack: freeing waits */
    bool doomed;     /* to be freed when they have returned */
    enum err failed; /* found out where push.c cannot be told; on_timer tells */
    struct dial dial;
    struct conn *conn;
    struct viewer viewer;
    struct push_answers answers;
    struct session_info info;
    struct timer timer; /* silence */
    int64_t heard_us;
};

struct push {
    struct push_conf conf;
    struct list node;       /* in node_loop.pushes */
    struct push_link *link; /* the origin that has the stream; NULL = lost, or none yet */
    struct push_link *next; /* being asked */
    struct push_link *old;  /* to be let go by push_send() */
    struct agent_ask *ask;  /* under way; freed by its answer */
    bool granted;           /* some origin had it: the encoder was told */
    bool leaving;           /* link's node is: another one is wanted while it still works */
    struct timer search;    /* the next try */
    struct timer deadline;  /* of finding one while there is none */
    int64_t backoff_ms;
    size_t at_fallback; /* the next of fallback_origins */
    struct {
        char node[CLUSTER_ID_SIZE];
        int64_t until_us;
    } avoid[CLUSTER_MAX_UPSTREAMS];
    unsigned next_avoid;
    char tried[256]; /* since there is none: "origin-1: connection refused; ..." */
};

/* --- push_link.c --- */

/* Connects and asks. NULL when out of memory, or not an http:// or https:// URL. */
struct push_link *push_link_open(struct push *push, const struct push_origin *origin);
/* The stream flows; what goes wrong is told later. */
void push_link_send(struct push_link *link);
/* Takes *link: closed at once. NULL is fine in both. */
void push_link_close(struct push_link **link);
/* Takes *link: what this turn publishes is sent first. */
void push_link_finish(struct push_link **link);

/* --- push.c, for links: last statements, the link and the push may be gone --- */

void push_link_granted(struct push_link *link, uint64_t epoch);
void push_link_stands_by(struct push_link *link);
/* status 0: the connection broke (e), else the origin's final answer. */
void push_link_over(struct push_link *link, enum err e, unsigned status, const char *text);

#endif
