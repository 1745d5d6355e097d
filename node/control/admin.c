/* Routes, access, and requests that travel over the media loops. */
#include "node/control/admin_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/log.h"
#include "common/net/tls_setup.h"
#include "node/token.h"

#define METRICS_MAX_BYTES ((size_t)1 << 20)

/* --- access --- */

bool admin_may_see(struct admin *admin, struct http_exchange *x)
{
    if (addr_is_loopback(&admin->node->admin_addr) && http_is_local(x))
        return true;
    if (node_bears_token(admin->node, x))
        return true;
    log_info("admin", "msg=\"request refused\" peer=%s method=%s path=%s", http_peer(x),
             LOG_STR(http_method(x)), LOG_STR(http_path(x)));
    http_add_header(x, "WWW-Authenticate", "Bearer");
    http_respond_problem(x, 401,
                         "needs the node token, or a request from this machine with a loopback "
                         "Host and no foreign Origin");
    return false;
}

/* The content type keeps foreign web pages out: a browser does not send it across sites unasked. */
bool admin_may_change(struct admin *admin, struct http_exchange *x)
{
    static const char k_json[] = "application/json";
    const char *type = http_header(x, "content-type");

    if (!admin_may_see(admin, x))
        return false;
    if (type && strncasecmp(type, k_json, sizeof k_json - 1) == 0 &&
        strchr("; \t", type[sizeof k_json - 1]))
        return true;
    http_respond_problem(x, 415, "changes need Content-Type: application/json");
    return false;
}

/* --- requests --- */

static void request_free(struct admin_request *request)
{
    list_remove(&request->node);
    listing_fini(&request->listing);
    stream_unref(&request->stream);
    free(request);
}

static void on_gone(struct http_exchange *x, void *arg)
{
    struct admin_request *request = arg;

    (void)x;
    request->x = NULL; /* the loops are still on it; on_collected() frees */
}

struct admin_request *admin_request_create(struct admin *admin, struct http_exchange *x)
{
    struct admin_request *request = calloc(1, sizeof *request);

    if (!request) {
        http_respond_problem(x, 503, "out of memory");
        return NULL;
    }
    request->admin = admin;
    request->x = x;
    list_push_back(&admin->requests, &request->node);
    return request;
}

void admin_request_drop(struct admin_request *request)
{
    request_free(request);
}

static void on_collected(void *arg)
{
    struct admin_request *request = arg;

    if (request->x && request->listing.failed != E_OK)
        http_respond_problem(request->x, 503, "%s", err_text(request->listing.failed));
    else if (request->x)
        request->answer(request);
    request_free(request);
}

void admin_request_run(struct admin_request *request)
{
    if (gather(request->admin->node, request->collect, on_collected, request) == E_OK) {
        http_set_pending(request->x, on_gone, request);
        return;
    }
    http_respond_problem(request->x, 503, "out of memory");
    request_free(request);
}

/* --- answers --- */

void admin_respond_json(struct http_exchange *x, json_t *json)
{
    admin_respond_json_as(x, 200, json);
}

void admin_respond_json_as(struct http_exchange *x, unsigned status, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    if (!text) {
        http_respond_problem(x, 503, "out of memory");
        return;
    }
    http_respond(x, status, "application/json", buf_view_str(text));
    free(text);
}

void admin_respond_page(struct admin_request *request, json_t *items)
{
    const struct listing *l = &request->listing;
    json_t *next = l->has_more ? json_string(listing_at(l, l->n_items - 1)) : json_null();

    admin_respond_json(request->x, json_pack("{s:o, s:o}", "items", items, "next", next));
}

bool admin_read_page(struct admin_request *request, size_t item_bytes)
{
    const char *limit = http_query_arg(request->x, "limit");
    const char *after = http_query_arg(request->x, "after");
    const char *why = "";

    listing_init(&request->listing, item_bytes);
    if (listing_set_page(&request->listing, limit, after, &why) == E_OK)
        return true;
    http_respond_problem(request->x, 400, "%s", why);
    return false;
}

/* --- /metrics --- */

static void count_stream(struct stream *stream, void *arg)
{
    struct stream_info info;

    stream_get_info(stream, &info);
    node_totals_add_stream(arg, &info);
}

static void collect_totals(struct media_loop *ml, void *arg)
{
    struct admin_request *request = arg;

    gather_each_stream(ml, count_stream, &request->totals);
    node_totals_add_loop(&request->totals, ml);
}

static void answer_metrics(struct admin_request *request)
{
    struct buf_writer out;

    node_totals_publish(&request->totals, request->admin->node);
    buf_writer_init(&out, METRICS_MAX_BYTES);
    metrics_render(&out);
    if (buf_writer_status(&out) == E_OK)
        http_respond(request->x, 200, "text/plain; version=0.0.4; charset=utf-8",
                     buf_writer_view(&out));
    else
        http_respond_problem(request->x, 503, "%s", err_text(buf_writer_status(&out)));
    buf_writer_fini(&out);
}

static void get_metrics(struct http_exchange *x, void *arg)
{
    struct admin *admin = arg;
    struct admin_request *request;

    if (!admin_may_see(admin, x))
        return;
    request = admin_request_create(admin, x);
    if (!request)
        return;
    node_totals_begin(&request->totals);
    request->collect = collect_totals;
    request->answer = answer_metrics;
    admin_request_run(request);
}

/* --- life --- */

static void get_healthz(struct http_exchange *x, void *arg)
{
    node_handle_healthz(x, ((struct admin *)arg)->node);
}

static void get_readyz(struct http_exchange *x, void *arg)
{
    node_handle_readyz(x, ((struct admin *)arg)->node);
}

/* clang-format off */
static const struct http_route k_routes[] = {
    {"GET",    "/healthz",                 get_healthz,         0},
    {"GET",    "/readyz",                  get_readyz,          0},
    {"GET",    "/metrics",                 get_metrics,         0},
    {"GET",    "/api/v1/node",             admin_get_node,      0},
    {"GET",    "/api/v1/config",           admin_get_config,    0},
    {"GET",    "/api/v1/streams",          admin_list_streams,  0},
    {"GET",    "/api/v1/streams/{name...}", admin_get_stream,   0},
    {"DELETE", "/api/v1/streams/{name...}", admin_kick_stream,  0},
    {"GET",    "/api/v1/sessions",         admin_list_sessions, 0},
    {"GET",    "/api/v1/sessions/{id}",    admin_get_session,   0},
    {"DELETE", "/api/v1/sessions/{id}",    admin_kick_session,  0},
    {"GET",    "/api/v1/trace",            admin_get_trace,     0},
    {"GET",    "/api/v1/hls/groups",       admin_list_hls_groups, 0},
    {"POST",   "/api/v1/hls/groups",       admin_set_hls_group, 0},
    {"DELETE", "/api/v1/hls/groups/{name...}", admin_remove_hls_group, 0},
    {"POST",   "/api/v1/nodes/{id}/drain", admin_drain,         0},
    {"DELETE", "/api/v1/nodes/{id}/drain", admin_undrain,       0},
    {NULL,     NULL,                       NULL,                0},
};
/* clang-format on */

struct admin *admin_create(struct node *node, const int *fds, unsigned n_fds,
                           struct listen_error *error)
{
    struct admin *admin = calloc(1, sizeof *admin);
    void (*accept)(void *server, int fd, const struct addr *peer) =
        node->conf.admin_tls ? http_server_accept_tls : http_server_accept;

    snprintf(error->text, sizeof error->text, "admin.listen: %s", err_text(E_NOMEM));
    if (!admin)
        return NULL;
    admin->node = node;
    admin->started_us = clock_mono_us();
    list_init(&admin->requests);
    admin->server =
        http_server_create(node->control, &k_http_limits_default, "admin", k_routes, admin);
    if (admin->server)
        http_server_set_tls(admin->server, tls_setup_server(node->tls, TLS_FOR_HTTP));
    if (admin->server && n_fds)
        admin->listener = listener_adopt(node->control, fds, n_fds, accept, admin->server, error);
    else if (admin->server)
        admin->listener =
            listener_open(node->control, &node->admin_addr, accept, admin->server, error);
    if (!admin->listener)
        admin_destroy(&admin);
    return admin;
}

const struct listener *admin_listener(const struct admin *admin)
{
    return admin->listener;
}

void admin_stop_listening(struct admin *admin)
{
    listener_close(&admin->listener);
}

void admin_destroy(struct admin **admin)
{
    struct admin *a = *admin;
    struct list *node, *tmp;

    if (!a)
        return;
    listener_close(&a->listener);
    http_server_destroy(&a->server);
    list_for_each_safe(node, tmp, &a->requests) /* their walk has ended with the loops */
        request_free(list_entry(node, struct admin_request, node));
    free(a);
    *admin = NULL;
}
