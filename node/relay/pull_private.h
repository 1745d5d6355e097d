/* A pull as its transports see it. */
#ifndef HW_NODE_RELAY_PULL_PRIVATE_H
#define HW_NODE_RELAY_PULL_PRIVATE_H

#include "node/cluster/agent.h"
#include "node/relay/pull.h"
#include "proto/flv/flv.h"
#include "proto/http/http.h"
#include "proto/rtmp/rtmp.h"

#define PULL_MAX_CANDIDATES 8

struct pull_candidate {
    char url[512];              /* whole: scheme://host:port/app/name[.flv] */
    char node[CLUSTER_ID_SIZE]; /* "" = foreign */
};

enum pull_state {
    PULL_IDLE,    /* nothing under way; asked again by the stream */
    PULL_ROUTING, /* the agent was asked */
    PULL_RESOLVING,
    PULL_CONNECTING,
    PULL_REQUESTING, /* waiting for the answer */
    PULL_RUNNING     /* attached: media flows */
};

struct pull;
struct pull_transport {
    const char *scheme;
    unsigned default_port;
    /* Connected: write the request. */
    enum err (*start)(struct pull *p);
    /* Bytes arrived. Calls pull_attach() when the source said yes. E_AGAIN = go on; else the pull
     * of this candidate is over: E_NOT_FOUND, E_DENIED, E_END, E_PROTO... with p->why. */
    enum err (*feed)(struct pull *p, struct buf_reader *in);
    void (*fini)(struct pull *p);
};
extern const struct pull_transport k_pull_http, k_pull_rtmp;

struct pull {
    struct list node; /* in node_loop.pulls */
    struct node_loop *nl;
    struct stream *stream; /* owned reference */
    struct source source;
    struct session_info info;
    enum pull_state state;
    bool feeding; /* our own feed() is on the stack: closing waits */
    bool doomed;  /* to be freed when it is not */

    struct pull_candidate candidates[PULL_MAX_CANDIDATES];
    unsigned n_candidates, at; /* at: the one being tried */
    struct {
        char node[CLUSTER_ID_SIZE];
        int64_t until_us;
    } avoid[CLUSTER_MAX_UPSTREAMS];
    unsigned next_avoid;
    struct agent_ask *ask; /* under way; freed by its answer */

    const struct pull_transport *transport;
    char host[256];
    struct net_resolve *resolve;
    struct conn *conn;
    struct timer timer; /* connect, answer, stall */
    bool heard;         /* bytes since the timer was set */
    unsigned n_failed;  /* candidates in a row */
    const char *why;    /* static detail of a failure */

    /* k_pull_http */
    struct buf_writer head;
    bool have_head;
    struct http_body body;
    struct flv_decoder *flv;
    bool told_tracks, had_have;
    uint64_t pulled_epoch; /* of the last run: to resume */
    /* k_pull_rtmp */
    struct rtmp_client *rtmp;

    struct ts_unwrap unwrap;
};

/* The source answered yes. E_OK, or why the stream does not want it (then end the candidate). */
enum err pull_attach(struct pull *p, uint64_t epoch, bool numbers_gops, bool same_clock);
static inline bool pull_is_relay(const struct pull *p)
{
    return p->candidates[p->at].node[0] != '\0';
}
static inline const char *pull_url(const struct pull *p)
{
    return p->candidates[p->at].url;
}

#endif
