/* A pull as its files see it: the policy (pull.c), where to try (pull_candidates.c), one connection
 * (pull_link.c), and what is spoken over it (pull_http.c, pull_rtmp.c). */
#ifndef HW_NODE_RELAY_PULL_PRIVATE_H
#define HW_NODE_RELAY_PULL_PRIVATE_H

#include "node/cluster/agent.h"
#include "node/relay/dial.h"
#include "node/relay/order.h"
#include "node/relay/pull.h"
#include "node/relay/relays.h"
#include "node/stream/hops.h"
#include "proto/flv/flv.h"
#include "proto/http/http.h"
#include "proto/rtmp/rtmp.h"
#include "proto/ts/ts.h"
#include "proto/ts/ts_demux.h"

struct pull;

/* --- where to try (pull_candidates.c) --- */

#define PULL_MAX_CANDIDATES 8
#define PULL_UNKNOWN_NODE "-" /* one of fallback_origins */

struct pull_candidate {
    char url[512];              /* whole: scheme://host:port/app/name[.flv] */
    char stream[512];           /* "", or url is a tcUrl and this is played there */
    char node[CLUSTER_ID_SIZE]; /* "" = foreign */
    uint32_t depth;  /* of that node, 0 = the origin; of foreign ones the place in order */
    bool is_guarded; /* it is connected to only where relay_guard_allows() it */
};

struct pull_candidates {
    struct pull_candidate all[PULL_MAX_CANDIDATES]; /* the best first */
    unsigned n, next, end;                          /* tried are those from next up to end */
    int64_t known_us;                               /* when they were told */
    struct {
        char node[CLUSTER_ID_SIZE];
        int64_t until_us;
    } avoid[CLUSTER_MAX_UPSTREAMS]; /* told to the scheduler, and not tried */
    unsigned next_avoid;
};

/* What is known is forgotten, but for whom to avoid. */
void pull_candidates_clear(struct pull_candidates *c, int64_t now_us);
/* url_base/name and suffix, or url_base alone when suffix is NULL; dropped when there is no room.
 */
void pull_candidates_add(struct pull_candidates *c, const struct pull_candidate *like,
                         const char *url_base, const char *name, const char *suffix);
/* What this node knows without asking: its other process, and without a scheduler, unless
 * something was told, fallback_origins. */
void pull_candidates_add_own(struct pull_candidates *c, struct node *node,
                             const struct stream_name *name, bool is_told);
/* The scheduler's answer. */
void pull_candidates_add_route(struct pull_candidates *c, const struct node *node,
                               const struct stream_name *name, const struct cluster_route *r);
/* Begins a search with the first n_max. */
void pull_candidates_begin(struct pull_candidates *c, unsigned n_max);
/* Begins one with those of the last search, while they are fresh. Whoever lost the same upstream
 * has the same list: of those that are equally good a random one comes first. */
void pull_candidates_begin_again(struct pull_candidates *c, int64_t now_us);
/* The next one to try; NULL when none is left. Lent until the next change. */
const struct pull_candidate *pull_candidates_next(struct pull_candidates *c, int64_t now_us);
bool pull_candidates_hold(const struct pull_candidates *c, const char *url);
void pull_candidates_avoid(struct pull_candidates *c, const char *node, int64_t until_us);
/* Whom to avoid now. */
void pull_candidates_avoided(const struct pull_candidates *c, int64_t now_us,
                             struct cluster_ids *out);

/* --- a connection to one of them (pull_link.c) --- */

#define PULL_LINKS HOPS_UPSTREAMS

enum link_state {
    LINK_RESOLVING,
    LINK_CONNECTING,
    LINK_REQUESTING, /* waiting for the answer */
    LINK_RUNNING     /* the stream's source: media flows */
};

struct metric;
struct pull_link;
struct pull_transport {
    const char *scheme, *protocol; /* of the URL; in lists of sessions */
    unsigned default_port;
    bool tls;
    struct metric *sessions_total;
    /* Connected: write the request. */
    enum err (*start)(struct pull_link *l);
    /* Bytes arrived. Calls pull_link_attach() when the upstream said yes, and notes in heard_us
     * that it lives. E_AGAIN = go on; else the link is over: E_NOT_FOUND, E_DENIED, E_END,
     * E_PROTO... with l->why. Returns at once when l->pull is NULL. */
    enum err (*feed)(struct pull_link *l, struct buf_reader *in);
    /* The other side has ended the connection: what was kept back is given. NULL: nothing ever is.
     */
    void (*end)(struct pull_link *l);
    void (*fini)(struct pull_link *l);
};
extern const struct pull_transport k_pull_http, k_pull_https, k_pull_rtmp, k_pull_rtmps;

/* What the body of an answer over HTTP holds (pull_flv.c, pull_ts.c). As those of a transport, feed
 * for bytes of the body alone. */
struct pull_body {
    enum err (*begin)(struct pull_link *l);
    enum err (*feed)(struct pull_link *l, struct buf_view piece);
    void (*end)(struct pull_link *l); /* NULL: nothing is kept back */
    void (*fini)(struct pull_link *l);
};
extern const struct pull_body k_pull_flv, k_pull_ts;
/* Another node says which nodes are above it. E_STALE: we are one of them; E_PROTO. */
enum err pull_take_path(struct pull_link *l, const char *path);

struct pull_link {
    struct pull *pull; /* borrowed; NULL once it was closed while its own feed() is on the stack */
    struct node_loop *nl;
    struct stream *stream; /* borrowed: the pull holds a reference */
    unsigned slot;         /* in pull.links, and in the stream's hops */
    struct pull_candidate to;
    enum link_state state;
    struct source source; /* attached while RUNNING */
    struct session_info info;
    struct trace_id trace; /* of who waits for the stream */
    bool feeding;          /* feed() is on the stack: freeing waits */
    bool is_told;          /* that it runs */

    const struct pull_transport *transport;
    struct dial dial;
    char redirect[512]; /* k_pull_http, k_pull_https: where the server says that it is; "" = here */
    unsigned n_redirects;
    struct conn *conn;
    struct timer timer; /* connect, answer, stall */
    int64_t heard_us;   /* from the upstream, last */
    uint64_t n_seen;    /* frames, when that was looked at and there was a new one */
    int64_t seen_us;
    enum err start_error;
    const char *why; /* detail of a failure: static, or status_text */
    char status_text[96];
    struct ts_unwrap unwrap;

    /* k_pull_http, k_pull_https */
    struct buf_writer head;
    bool have_head, told_tracks;
    uint64_t asked_run; /* what the stream had when the upstream was asked */
    struct http_body body;
    const struct pull_body *told, *form; /* by the head; by the first byte, NULL before */
    struct flv_decoder *flv;
    struct ts_demux *ts;
    struct buf_writer ts_body; /* a frame in FLV form */
    struct clock_peer *clock;  /* the upstream's, against which its @hw is understood */
    int64_t ingest_us;         /* of the last @hw */
    char path[HOPS_PATH_SIZE]; /* from the upstream to the origin, the nearest first */
    bool is_left;              /* it asked us to go elsewhere */
    /* k_pull_rtmp, k_pull_rtmps */
    struct rtmp_client *rtmp;
    struct pull_hold *hold; /* owned; NULL unless it waits for the first picture */
};

/* Begins to connect. NULL when out of memory; other failures are told by pull_link_over(), later.
 */
struct pull_link *pull_link_open(struct pull *pull, unsigned slot, const struct pull_candidate *to);
/* Takes *link: the stream loses its source, if it was this one. */
void pull_link_close(struct pull_link **link);
/* For transports: the upstream said yes. E_OK, or why the stream does not want it: then the link is
 * over. */
enum err pull_link_attach(struct pull_link *l, const struct source_offer *offer);
/* As logs show it: path, query and user of a foreign one may be its key. */
#define PULL_SHOWN_SIZE 320
const char *pull_candidate_shown(const struct pull_candidate *c, char out[PULL_SHOWN_SIZE]);
const char *pull_link_shown(const struct pull_link *l, char out[PULL_SHOWN_SIZE]);
/* Whether it is looked at where the server of this connection sends us. */
bool pull_link_is_guarded_from(const struct pull_link *l);
/* Number of ids in a path. */
static inline unsigned pull_path_depth(const char *path)
{
    unsigned n_ids;

    (void)hops_hold(path, "", &n_ids);
    return n_ids;
}
/* Nodes between the upstream and the origin. */
uint32_t pull_link_depth(const struct pull_link *l);

static inline bool pull_link_is_relay(const struct pull_link *l)
{
    return l->to.node[0] != '\0';
}

/* --- going to where a foreign server says (pull_move.c) --- */

struct pull_move {
    struct pull_candidate to; /* url "" = nobody asked, or we are there */
    unsigned n_tries;
    int64_t counted_us; /* since when n_asked counts */
    unsigned n_asked;
};

/* The link's server asks for another connection, to tc_url ("" or relative as well), base being the
 * link's own. The link goes on until that runs. */
void pull_asked_to_move(struct pull_link *l, const char *base, const char *stream,
                        const struct rtmp_client_event *asked);
/* The place that was asked for, unless it was tried often enough: then it is forgotten. */
void pull_move_add(struct pull *p, struct pull_candidates *c);
static inline bool pull_move_is_due(const struct pull_move *m)
{
    return m->to.url[0] != '\0';
}

/* --- where a foreign source is in the stream (pull_splice.c) --- */

/* The last pictures that GOPs began with, so that the same stream from another server is lined up.
 */
struct pull_marks {
    uint64_t run; /* of the stream; another one voids them */
    struct {
        uint64_t hash, gop;
        uint32_t timestamp_ms;
    } all[8];
    unsigned next;
};
/* After the running link gave this to the stream. */
void pull_marks_note(struct pull *p, const struct rtmp_client_event *media);
/* A second connection is attached with its first picture: until then the first one goes on, and
 * what comes is kept. */
enum err pull_hold_begin(struct pull_link *l);
enum err pull_hold_media(struct pull_link *l, const struct rtmp_client_event *media);
void pull_hold_free(struct pull_hold **hold);

/* --- places that were told (pull_sources.c) --- */

/* While nothing runs: what is told of the stream now. */
void pull_take_item(struct pull *p);
/* The pull goes; the next one of the same places goes on from there. */
void pull_sources_leave(struct pull *p);
/* The place that is due; while one runs, the first one, if it is another. */
void pull_sources_add(struct pull *p, const struct pull_link *running);
/* How long it goes on without readers; 0 = as the node does. */
int64_t pull_idle_us(const struct pull *p);
/* For what comes of a link to one of them. */
void pull_source_runs(struct pull *p, const struct pull_link *l);
void pull_source_over(struct pull *p, const struct pull_link *l);
/* None is being tried: the timer runs when one is due, unless it is given up. */
void pull_sources_wait(struct pull *p);

/* --- what others hear of it: log, metrics, events, API (pull_told.c) --- */

void pull_tell_try(struct pull *p, const struct pull_candidate *to);
void pull_tell_runs(struct pull_link *l);
/* Once for each pull_tell_runs(), whoever ends it first: the event, and the access log. */
void pull_tell_stop(struct pull_link *l, const char *reason);
void pull_tell_over(struct pull *p, struct pull_link *l, enum err e);
void pull_tell_evicted(struct pull *p, struct pull_link *l, enum err why);

/* --- the policy (pull.c) as links see it --- */

struct pull {
    struct list node; /* in node_loop.pulls */
    struct node_loop *nl;
    struct stream *stream; /* owned reference */
    /* At most one is RUNNING. Beside it one is tried, to be there before it goes; without it two
     * race. */
    struct pull_link *links[PULL_LINKS]; /* owned */
    struct pull_candidates candidates;
    struct agent_ask *ask; /* under way; freed by its answer */
    bool ask_again;        /* what it will say may be out of date */
    struct pull_link
        *attaching;          /* its stream_attach() is on the stack: who is evicted is our own */
    struct timer head_start; /* of the link being tried over the next candidate */
    struct timer look;       /* while RUNNING: for a better upstream, or a necessary one */
    int64_t look_backoff_ms;
    uint64_t moved_epoch;          /* the stream's, as events say: the upstream is to have it too */
    char leaving[CLUSTER_ID_SIZE]; /* node that is about to go */
    unsigned n_failed;             /* candidates in a row */
    struct pull_move move;
    struct pull_marks marks;
    struct relay_pull *item;  /* owned reference: what was told of the stream; NULL = nothing */
    struct relay_order order; /* of its places */
    struct timer retry;       /* the next one is due */
};

struct pull_link *pull_running_link(const struct pull *p);
/* The stream's, made if need be; NULL when out of memory. */
struct pull *pull_of(struct stream *stream);
/* The upstream said yes: attaches the link's source. E_OK: all other links are closed. */
enum err pull_answered(struct pull_link *l, const struct source_offer *offer);
/* The upstream lives, and waits for the stream itself: no need to race it yet. */
void pull_waits(struct pull_link *l);
/* The upstream has other nodes above it now. */
void pull_path_changed(struct pull_link *l);
/* The link failed, or ended; the pull closes it. */
void pull_link_over(struct pull_link *l, enum err e);
/* The stream let go of the link's source. */
void pull_evicted(struct pull_link *l, enum err why);

#endif
