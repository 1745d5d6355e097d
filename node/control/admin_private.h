/* The inside of the admin port, for the files of this room. */
#ifndef HW_NODE_CONTROL_ADMIN_PRIVATE_H
#define HW_NODE_CONTROL_ADMIN_PRIVATE_H

#include <jansson.h>

#include "node/control/admin.h"
#include "node/control/gather.h"
#include "node/control/listing.h"
#include "node/control/node_metrics.h"
#include "node/control/trace.h"

struct admin {
    struct node *node;
    struct http_server *server;
    struct listener *listener;
    struct list requests; /* admin_request.node: those that wait for media loops */
    int64_t started_us;
};

/* A request whose answer the media loops have to be asked for. */
struct admin_request {
    struct list node;
    struct admin *admin;
    struct http_exchange *x;                               /* NULL: the peer has left */
    void (*collect)(struct media_loop *ml, void *request); /* on each media loop in turn */
    void (*answer)(struct admin_request *request);         /* x is still there */
    /* What the handlers need, most of it for one of them. */
    struct listing listing;
    struct stream *stream; /* owned reference, or NULL */
    struct trace_stream read;
    char filter_stream[LISTING_KEY_SIZE], filter_protocol[16], session_id[24];
    bool found;
    struct node_totals totals;
};

/* Who may see and who may change; answers and gives false when refused. */
bool admin_may_see(struct admin *admin, struct http_exchange *x);
bool admin_may_change(struct admin *admin, struct http_exchange *x);

/* A request for the caller to fill; NULL (answered with 503) when out of memory. */
struct admin_request *admin_request_create(struct admin *admin, struct http_exchange *x);
/* Before admin_request_run(): it is not needed. */
void admin_request_drop(struct admin_request *request);
/* Takes the request. */
void admin_request_run(struct admin_request *request);

/* Takes json. NULL is answered with 503. Any loop. */
void admin_respond_json(struct http_exchange *x, json_t *json);
void admin_respond_json_as(struct http_exchange *x, unsigned status, json_t *json);
/* {"items": [...], "next": key or null}. Takes items. */
void admin_respond_page(struct admin_request *request, json_t *items);
/* lag_us and lag_uncertainty_us of a stream, null where they are not known. */
void admin_add_lag(json_t *json, const struct stream_info *info);
/* limit and after; answers 400 and gives false when they are wrong. */
bool admin_read_page(struct admin_request *request, size_t item_bytes);

/* Handlers; arg = struct admin. */
void admin_list_streams(struct http_exchange *x, void *arg);
void admin_get_stream(struct http_exchange *x, void *arg);
void admin_kick_stream(struct http_exchange *x, void *arg);
void admin_list_sessions(struct http_exchange *x, void *arg);
void admin_get_session(struct http_exchange *x, void *arg);
void admin_get_trace(struct http_exchange *x, void *arg);
void admin_kick_session(struct http_exchange *x, void *arg);
void admin_get_node(struct http_exchange *x, void *arg);
void admin_get_config(struct http_exchange *x, void *arg);
void admin_list_hls_groups(struct http_exchange *x, void *arg);
void admin_set_hls_group(struct http_exchange *x, void *arg);
void admin_remove_hls_group(struct http_exchange *x, void *arg);
void admin_drain(struct http_exchange *x, void *arg);
void admin_undrain(struct http_exchange *x, void *arg);

/* An URL with only scheme, host and port shown: user, path and query may hold keys. Other text
 * stays as it is. Returns out. */
const char *admin_mask_url(const char *text, char *out, size_t size);

#endif
