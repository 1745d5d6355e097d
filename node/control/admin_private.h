/* The inside of the admin port, for the files of this room. */
#ifndef HW_NODE_CONTROL_ADMIN_PRIVATE_H
#define HW_NODE_CONTROL_ADMIN_PRIVATE_H

#include <jansson.h>

#include "common/base/conf_item.h"

#include "common/net/addr_net.h"
#include "common/net/api_access.h"
#include "common/net/api_answer.h"
#include "node/control/admin.h"
#include "node/control/event_feed.h"
#include "node/control/gather.h"
#include "node/control/listing.h"
#include "node/control/node_metrics.h"
#include "node/control/openapi.h"
#include "node/control/stream_metrics.h"
#include "node/control/trace.h"

struct admin {
    struct node *node;
    struct http_server *server;
    struct http_route *routes; /* ours, and those of other servers that there are */
    struct listener *listener;
    struct api_access *access;
    struct event_feed *feed;
    struct status *status;
    struct openapi *openapi;
    struct admin_parts *parts; /* of the configuration that can be changed: admin_parts.c */
    struct list requests;      /* admin_request.node: those that wait for media loops */
    int64_t started_us;
};

/* Which sessions; what is empty does not count. */
struct session_filter {
    char stream[LISTING_KEY_SIZE], protocol[16], kind[16];
    bool has_client, has_lag;
    struct addr_net client;
    int64_t min_lag_us;
};

/* A request whose answer the media loops have to be asked for. */
struct admin_request {
    struct list node;
    struct admin *admin;
    struct http_exchange *x;                               /* NULL: the peer has left */
    void (*collect)(struct media_loop *ml, void *request); /* on each media loop in turn */
    void (*answer)(struct admin_request *request);         /* x is still there */
    bool goes_on; /* set by collect(): once more around the loops before the answer */
    /* What the handlers need, most of it for one of them. */
    struct listing listing;
    struct stream *stream; /* owned reference, or NULL */
    struct trace_stream read;
    struct session_filter filter;
    char session_id[24];
    unsigned n_closed;
    struct node_totals totals;
    struct stream_metrics streams; /* those with series of their own */
};

/* A request for the caller to fill; NULL (answered with 503) when out of memory. */
struct admin_request *admin_request_create(struct admin *admin, struct http_exchange *x);
/* Before admin_request_run(): it is not needed. */
void admin_request_drop(struct admin_request *request);
/* Takes the request. */
void admin_request_run(struct admin_request *request);

/* Takes json. NULL is answered with 503. Any loop. */
void admin_respond_json(struct http_exchange *x, json_t *json);
/* {"items": [...], "next": key or null}. Takes items. */
void admin_respond_page(struct admin_request *request, json_t *items);
/* An item of the list of streams. Returns a new reference; NULL when out of memory. */
json_t *admin_stream_json(const struct stream_info *info);
/* lag_us and lag_uncertainty_us of a stream, null where they are not known. */
void admin_add_lag(json_t *json, const struct stream_info *info);
/* limit and after; answers 400 and gives false when they are wrong. */
bool admin_read_page(struct admin_request *request, size_t item_bytes);

/* Handlers; arg = struct admin. */
void admin_list_streams(struct http_exchange *x, void *arg);
void admin_get_stream(struct http_exchange *x, void *arg);
void admin_get_snapshot(struct http_exchange *x, void *arg);
void admin_kick_stream(struct http_exchange *x, void *arg);
void admin_list_sessions(struct http_exchange *x, void *arg);
void admin_get_session(struct http_exchange *x, void *arg);
void admin_kick_sessions(struct http_exchange *x, void *arg);
void admin_get_trace(struct http_exchange *x, void *arg);
void admin_kick_session(struct http_exchange *x, void *arg);
void admin_get_node(struct http_exchange *x, void *arg);
void admin_get_config(struct http_exchange *x, void *arg);
void admin_list_hooks(struct http_exchange *x, void *arg);
void admin_list_records(struct http_exchange *x, void *arg);
void admin_get_record(struct http_exchange *x, void *arg);
void admin_remove_record(struct http_exchange *x, void *arg);
void admin_list_recorders(struct http_exchange *x, void *arg);
/* Of any kind: the path says which. */
void admin_list_settings(struct http_exchange *x, void *arg);
void admin_get_setting(struct http_exchange *x, void *arg);
void admin_put_setting(struct http_exchange *x, void *arg);
void admin_remove_setting(struct http_exchange *x, void *arg);
void admin_list_relays(struct http_exchange *x, void *arg);
void admin_get_limits(struct http_exchange *x, void *arg);
void admin_put_limits(struct http_exchange *x, void *arg);
void admin_get_log_level(struct http_exchange *x, void *arg);
void admin_put_log_level(struct http_exchange *x, void *arg);
void admin_drain(struct http_exchange *x, void *arg);
void admin_undrain(struct http_exchange *x, void *arg);

/* admin_sessions.c: ends those of request->stream that stream_kick() does not know yet: they wait
 * to be let in. */
void admin_kick_from_stream(struct media_loop *ml, const struct admin_request *request);

/* admin_parts.c: what of the configuration can be changed by API. NULL when out of memory. */
struct admin_parts *admin_parts_create(void);
void admin_parts_destroy(struct admin_parts **parts);
#define ADMIN_N_PARTS 2
/* For openapi_create(); lent until destroy. */
void admin_parts_schemas(const struct admin_parts *parts,
                         struct openapi_schema schemas[ADMIN_N_PARTS]);

/* A body as JSON; NULL: answered with 400. Returns a reference. */
json_t *admin_read_body(struct http_exchange *x);

/* A value of the configuration as it may be shown: of URLs scheme, host and port, of key=value
 * pairs whose key speaks of a secret the key. Returns a new reference. */
json_t *admin_shown_text(const char *text);
/* An URL with only scheme, host and port shown: user, path and query may hold keys. Other text
 * stays as it is. Returns out. */
const char *admin_mask_url(const char *text, char *out, size_t size);

#endif
