/* The scheduler as a whole: registry, store, events and the HTTP faces on one loop. Loop thread. */
#ifndef HW_SCHEDULER_SCHEDULER_H
#define HW_SCHEDULER_SCHEDULER_H

#include <jansson.h>

#include "common/base/conf.h"
#include "common/net/http_server.h"
#include "common/net/listener.h"
#include "common/net/tls_setup.h"
#include "scheduler/at_node.h"
#include "scheduler/config.h"
#include "scheduler/events.h"
#include "scheduler/feed.h"
#include "scheduler/interest.h"
#include "scheduler/probe.h"
#include "scheduler/publish_job.h"
#include "scheduler/registry.h"
#include "scheduler/route.h"
#include "scheduler/scaling.h"
#include "scheduler/store.h"
#include "scheduler/told.h"
#include "scheduler/trace.h"

/* Where it listens: scheduler.c has a row for each. */
enum scheduler_face { FACE_API, FACE_API_TLS, FACE_ENTRY, FACE_ENTRY_TLS, N_FACES };

struct scheduler_door {
    struct scheduler *scheduler;
    enum scheduler_face face;
};

struct scheduler {
    struct loop *loop;
    const struct scheduler_conf *conf;
    struct scheduler_tokens tokens;
    struct tls_setup *tls; /* certificates, and whom it believes */
    bool is_on_loopback;   /* its API: requests from this machine need no token */
    struct registry registry;
    struct router router;
    struct store *store;
    struct events events;
    struct interests interests;
    struct probes probes;
    struct publish_jobs jobs;
    struct traces traces;
    struct told told;
    struct feed feed;
    struct at_node_calls at_node;
    struct scaling scaling;
    struct http_server *api, *entry;
    struct conn_budget *api_budget, *entry_budget;
    struct api_access *access; /* to what people ask the API */
    struct listener *listeners[N_FACES];
    struct scheduler_door doors[N_FACES];
    char addresses[N_FACES][ADDR_TEXT_SIZE]; /* as bound; "" = off */
    struct timer sweep, work, pulse;
    struct list orphans; /* struct orphan, owned: streams whose standby is to be called for */
    int64_t awake_us;    /* when this process was last seen running */
    bool is_stopping;
    bool said_full; /* limits.streams was reached, and told */
    bool
        is_renewing; /* a full report is applied: all that it names is written to the store after */
    unsigned quiet;  /* above 0: the change comes from the store or from a job that announces it */
};

/* Opens everything. On failure *error says what and nothing stays open. Borrows conf, which may
 * change by scheduler_apply_conf() only. Pair with scheduler_close(). */
enum err scheduler_open(struct scheduler *s, struct loop *loop, const struct scheduler_conf *conf,
                        struct conf_error *error);
void scheduler_close(struct scheduler *s);
/* After a reload; of the certificates, too. E_IO, E_INVAL: a file of tokens could not be read, the
 * old ones stay. */
enum err scheduler_apply_conf(struct scheduler *s, struct conf_error *error);

/* Monotonic. Notices when this process did not run, say since it was stopped by a signal: then
 * nobody else was late. */
int64_t scheduler_now_us(struct scheduler *s);
/* Something is to be done in slices: what was buried in the registry, orphans. */
void scheduler_work_soon(struct scheduler *s);

/* news.c: what changes in the registry goes to the store, to the other schedulers and to the nodes;
 * hear.c: what comes from the store goes into the registry. */
extern const struct registry_watch k_news_of_registry; /* arg is to be set */
extern const struct store_watch k_news_of_store;       /* arg is to be set */
/* As the store has it; the stream has an owner. */
struct store_owner scheduler_owner_of(const struct registry_stream *stream);
/* Records an owner that the store knows of. is_news: it was just granted, so a node that is not
 * known here lives; otherwise the entry may be an hour old, and counts only if that node and
 * instance are known. */
void scheduler_learn_owner(struct scheduler *s, const struct stream_name *name,
                           const struct store_owner *owner, bool is_news);
/* The node may be gone: told to the other schedulers, and asked at once if one of its streams has a
 * standby. */
void scheduler_suspect(struct scheduler *s, struct registry_node *node);
/* The same for all that just failed for the node that asks; itself it only names when it is full.
 */
void scheduler_suspect_avoided(struct scheduler *s, const char *asker,
                               const struct cluster_ids *avoid);
/* The owner has the stream because of its standby: it is told, wherever it is connected. */
void scheduler_tell_promoted(struct scheduler *s, const struct stream_name *name, uint64_t epoch);
/* Promotions and the order to drain that came while the node had no events connection. */
void scheduler_tell_missed(struct scheduler *s, const char *node, uint64_t instance);
/* A few streams whose owner is gone are claimed for their standbys. True when none is left. */
bool scheduler_call_standbys(struct scheduler *s, unsigned max_streams);
void scheduler_forget_orphans(struct scheduler *s);
/* The operator's order to a node, or its end. */
void scheduler_drain(struct scheduler *s, struct registry_node *node, bool wanted);

/* The request bears the node token. arg = struct scheduler. */
bool scheduler_knows_token(const struct http_exchange *x, void *arg);
/* True when the request may use the API of nodes; otherwise it was answered. */
bool scheduler_admits(struct scheduler *s, struct http_exchange *x);
/* Changes come as JSON: a page of another site cannot send that without being asked first. False:
 * it was answered. */
bool scheduler_takes_json(struct http_exchange *x);

extern const struct http_route k_scheduler_api[];   /* http.listen */
extern const struct http_route k_scheduler_entry[]; /* entry.listen */

/* people.c: what the API says of a node and of a stream. upstreams: and whom it pulls from. */
json_t *people_node_json(struct scheduler *s, const struct registry_node *node, bool upstreams);
json_t *people_stream_json(const struct registry_stream *stream);
/* Takes json; NULL is out of memory. */
void people_respond(struct http_exchange *x, json_t *json);

/* Handlers; arg is the scheduler. api.c: nodes. people.c: people and monitoring. entry.c: viewers.
 */
void api_heartbeat(struct http_exchange *x, void *arg);
void api_events(struct http_exchange *x, void *arg);
void api_publish(struct http_exchange *x, void *arg);
void api_unpublish(struct http_exchange *x, void *arg);
void api_route(struct http_exchange *x, void *arg);
void people_nodes(struct http_exchange *x, void *arg);
void people_drain(struct http_exchange *x, void *arg);
void people_undrain(struct http_exchange *x, void *arg);
void people_streams(struct http_exchange *x, void *arg);
void people_stream(struct http_exchange *x, void *arg);
void people_autoscale(struct http_exchange *x, void *arg); /* scaling.c */
void people_trace(struct http_exchange *x, void *arg);
void people_door(struct http_exchange *x, void *arg);
void people_me(struct http_exchange *x, void *arg);
void api_trace(struct http_exchange *x, void *arg);
void people_healthz(struct http_exchange *x, void *arg);
void people_readyz(struct http_exchange *x, void *arg);
void people_metrics(struct http_exchange *x, void *arg);
void entry_redirect(struct http_exchange *x, void *arg);

#endif
