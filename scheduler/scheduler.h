/* The scheduler as a whole: registry, store, events and the HTTP faces on one loop. Loop thread. */
#ifndef HW_SCHEDULER_SCHEDULER_H
#define HW_SCHEDULER_SCHEDULER_H

#include "common/base/conf.h"
#include "common/net/http_server.h"
#include "common/net/listener.h"
#include "scheduler/config.h"
#include "scheduler/events.h"
#include "scheduler/publish_job.h"
#include "scheduler/registry.h"
#include "scheduler/route.h"
#include "scheduler/store.h"

#define SCHEDULER_TOKEN_SIZE 256

struct scheduler {
    struct loop *loop;
    const struct scheduler_conf *conf;
    char token[SCHEDULER_TOKEN_SIZE]; /* "" = none */
    bool is_on_loopback;              /* http.listen: requests from this machine need no token */
    struct registry registry;
    struct router router;
    struct store *store;
    struct events events;
    struct publish_jobs jobs;
    struct http_server *api, *entry;
    struct listener *api_listener, *entry_listener;
    char api_address[ADDR_TEXT_SIZE], entry_address[ADDR_TEXT_SIZE]; /* as bound; "" = off */
    struct timer sweep;
    bool is_stopping;
    unsigned quiet; /* above 0: the change comes from the store or from a job that announces it */
};

/* Opens everything. On failure *error says what and nothing stays open. Borrows conf, which may
 * change by scheduler_apply_conf() only. Pair with scheduler_close(). */
enum err scheduler_open(struct scheduler *s, struct loop *loop, const struct scheduler_conf *conf,
                        struct conf_error *error);
void scheduler_close(struct scheduler *s);
/* After a reload. E_IO, E_INVAL: the token file could not be read, the old token stays. */
enum err scheduler_apply_conf(struct scheduler *s, struct conf_error *error);

/* Records an owner that the store knows of. is_news: it was just granted, so a node that is not
 * known here lives; otherwise the entry may be an hour old, and counts only if that node and
 * instance are known. */
void scheduler_learn_owner(struct scheduler *s, const struct stream_name *name,
                           const struct store_owner *owner, bool is_news);
int64_t scheduler_now_us(const struct scheduler *s);

/* True when the request may use the API; otherwise it was answered. */
bool scheduler_admits(struct scheduler *s, struct http_exchange *x);

extern const struct http_route k_scheduler_api[];   /* http.listen */
extern const struct http_route k_scheduler_entry[]; /* entry.listen */

/* Handlers; arg is the scheduler. api.c: nodes. people.c: people and monitoring. entry.c: viewers.
 */
void api_heartbeat(struct http_exchange *x, void *arg);
void api_events(struct http_exchange *x, void *arg);
void api_publish(struct http_exchange *x, void *arg);
void api_unpublish(struct http_exchange *x, void *arg);
void api_route(struct http_exchange *x, void *arg);
void people_nodes(struct http_exchange *x, void *arg);
void people_streams(struct http_exchange *x, void *arg);
void people_stream(struct http_exchange *x, void *arg);
void people_healthz(struct http_exchange *x, void *arg);
void people_readyz(struct http_exchange *x, void *arg);
void people_metrics(struct http_exchange *x, void *arg);
void entry_redirect(struct http_exchange *x, void *arg);

#endif
