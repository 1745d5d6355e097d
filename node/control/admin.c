/* Routes, access, and requests that travel over the media loops. */
#include "node/control/admin_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/console/console.h"
#include "common/net/budget.h"
#include "common/net/tls_setup.h"
#include "node/compat/compat.h"
#include "node/control/settings.h"
#include "node/control/status.h"
#include "node/token.h"

#define METRICS_MAX_BYTES ((size_t)3 << 20) /* STREAM_METRICS_MAX of the longest names fit */

/* --- access --- */

static bool bears_node_token(const struct http_exchange *x, void *arg)
{
    return node_bears_token(((struct admin *)arg)->node, x);
}

/* The description says which arguments there are. */
static bool check_request(struct http_exchange *x, const struct http_route *route, void *arg)
{
    const struct admin *admin = arg;
    const char *meant = http_header(x, API_MEANT);

    if (!meant || strcmp(meant, admin->node->id) == 0)
        return openapi_check_query(admin->openapi, x, route);
    http_respond_problem(x, 421, "this is node %s", admin->node->id);
    return false;
}

/* At the start a file that cannot be used is an error; later what was there stays. */
static enum err read_tokens(struct admin *admin, struct conf_error *error)
{
    return api_access_read_tokens(admin->access, "admin.tokens_file",
                                  admin->node->conf.admin_tokens_file, error);
}

void admin_reload(struct admin *admin)
{
    struct conf_error error;

    if (read_tokens(admin, &error) != E_OK)
        log_error("admin", "msg=\"the tokens stay as they were\" reason=%s", LOG_STR(error.text));
}

/* --- requests --- */

static void request_free(struct admin_request *request)
{
    list_remove(&request->node);
    listing_fini(&request->listing);
    stream_metrics_fini(&request->streams);
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

    if (request->goes_on) {
        request->goes_on = false;
        if (gather(request->admin->node, request->collect, on_collected, request) == E_OK)
            return;
        request->listing.failed = E_NOMEM;
    }
    if (request->x && request->listing.failed != E_OK)
        http_respond_problem(request->x, 503, "%s", err_text(request->listing.failed));
    else if (request->x)
        request->answer(request);
    request_free(request);
}

/* e: whether the loops are asked. */
static void wait_for(struct admin_request *request, enum err e)
{
    if (e == E_OK) {
        http_set_pending(request->x, on_gone, request);
        return;
    }
    http_respond_problem(request->x, 503, "out of memory");
    request_free(request);
}

void admin_request_run(struct admin_request *request)
{
    wait_for(request, gather(request->admin->node, request->collect, on_collected, request));
}

/* --- answers --- */

void admin_respond_json(struct http_exchange *x, json_t *json)
{
    api_respond_json(x, 200, json);
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

json_t *admin_read_body(struct http_exchange *x)
{
    struct buf_view body = http_body(x);
    json_error_t error;
    json_t *json = json_loadb(body.size_bytes ? (const char *)body.data : "", body.size_bytes,
                              JSON_REJECT_DUPLICATES, &error);

    if (!json)
        http_respond_problem(x, 400, "body: line %d, column %d: %s", error.line, error.column,
                             error.text);
    return json;
}

/* --- /metrics --- */

static void count_stream(struct stream *stream, void *arg)
{
    struct admin_request *request = arg;
    struct stream_info info;

    stream_get_info(stream, &info);
    node_totals_add_stream(&request->totals, &info);
    stream_metrics_add(&request->streams, &info);
}

static void count_session(struct session_info *info, void *arg)
{
    node_totals_add_session(&((struct admin_request *)arg)->totals, info);
}

static void answer_metrics(struct admin_request *request)
{
    struct buf_writer out;

    node_totals_publish(&request->totals, request->admin->node);
    buf_writer_init(&out, METRICS_MAX_BYTES);
    metrics_render(&out);
    stream_metrics_render(&request->streams, &out);
    if (buf_writer_status(&out) == E_OK)
        http_respond(request->x, 200, "text/plain; version=0.0.4; charset=utf-8",
                     buf_writer_view(&out));
    else
        http_respond_problem(request->x, 503, "%s", err_text(buf_writer_status(&out)));
    buf_writer_fini(&out);
}

static void get_metrics(struct http_exchange *x, void *arg)
{
    struct admin_request *request = admin_request_create(arg, x);

    if (!request)
        return;
    node_totals_begin(&request->totals);
    (void)stream_metrics_init(&request->streams, request->admin->node->conf.metrics_streams);
    request->answer = answer_metrics;
    wait_for(request,
             gather_slices(request->admin->node, &(struct gather_each){count_stream, count_session,
                                                                       on_collected, request}));
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

/* Who owns settings has told so by the first time that somebody asks. */
static enum err describe(const struct admin *admin)
{
    struct openapi_schema schemas[1 + ADMIN_N_PARTS + N_SETTING_KINDS] = {
        {"Config", &k_node_schema}};
    size_t n = 1 + ADMIN_N_PARTS;

    admin_parts_schemas(admin->parts, &schemas[1]);
    for (unsigned i = 0; i < N_SETTING_KINDS; i++) {
        const struct setting_owner *owner =
            settings_owner(admin->node->settings, (enum setting_kind)i);

        if (owner)
            schemas[n++] = (struct openapi_schema){k_setting_kinds[i].path, owner->schema};
    }
    return openapi_set_schemas(admin->openapi, schemas, n);
}

static void get_openapi(struct http_exchange *x, void *arg)
{
    const struct admin *admin = arg;

    if (!openapi_text(admin->openapi).size_bytes && describe(admin) != E_OK)
        http_respond_problem(x, 503, "%s", err_text(E_NOMEM));
    else
        http_respond(x, 200, "application/json", openapi_text(admin->openapi));
}

static void get_events(struct http_exchange *x, void *arg)
{
    event_feed_open(((struct admin *)arg)->feed, x);
}

#define NONE API_SCOPE(API_NONE)
#define READ API_SCOPE(API_READ)
#define OPERATE API_SCOPE(API_OPERATE)
#define ADMIN API_SCOPE(API_ADMIN)

/* Who may ask stands in the last column; openapi.json describes each row. */
/* clang-format off */
/* A path of the table in settings.h; who may look, and who may change. */
#define SETTING_ROUTES(path, see, change)                                       \
    {"GET",    "/api/v1/" path,             admin_list_settings,    see},       \
    {"POST",   "/api/v1/" path,             admin_put_setting,      change},    \
    {"GET",    "/api/v1/" path "/{id...}",  admin_get_setting,      see},       \
    {"DELETE", "/api/v1/" path "/{id...}",  admin_remove_setting,   change}

static const struct http_route k_routes[] = {
    {"GET",    "/healthz",                      get_healthz,            NONE},
    {"GET",    "/readyz",                       get_readyz,             NONE},
    {"GET",    "/metrics",                      get_metrics,            READ},
    {"GET",    "/",                             console_serve,          NONE},
    {"GET",    "/console/{file...}",            console_serve,          NONE},
    {"GET",    "/api/v1/console",               status_get_door,        NONE},
    {"GET",    "/api/v1/console/me",            status_get_me,          READ},
    {"GET",    "/api/v1/history",               status_get_history,     READ},
    {"GET",    "/api/v1/openapi.json",          get_openapi,            NONE},
    {"GET",    "/api/v1/node",                  admin_get_node,         READ},
    {"GET",    "/api/v1/config",                admin_get_config,       ADMIN},
    {"GET",    "/api/v1/limits",                admin_get_limits,       READ},
    {"PUT",    "/api/v1/limits",                admin_put_limits,       ADMIN},
    {"GET",    "/api/v1/log/level",             admin_get_log_level,    READ},
    {"PUT",    "/api/v1/log/level",             admin_put_log_level,    ADMIN},
    {"GET",    "/api/v1/events",                get_events,             READ},
    {"GET",    "/api/v1/streams",               admin_list_streams,     READ},
    {"GET",    "/api/v1/streams/{app}/{name...}/snapshot.jpg", admin_get_snapshot, READ},
    {"GET",    "/api/v1/streams/{name...}",     admin_get_stream,       READ},
    {"DELETE", "/api/v1/streams/{name...}",     admin_kick_stream,      OPERATE},
    {"GET",    "/api/v1/sessions",              admin_list_sessions,    READ},
    {"DELETE", "/api/v1/sessions",              admin_kick_sessions,    OPERATE},
    {"GET",    "/api/v1/sessions/{id}",         admin_get_session,      READ},
    {"DELETE", "/api/v1/sessions/{id}",         admin_kick_session,     OPERATE},
    {"GET",    "/api/v1/trace",                 admin_get_trace,        READ},
    {"GET",    "/api/v1/hooks",                 admin_list_hooks,       READ},
    {"GET",    "/api/v1/relays",                admin_list_relays,      READ},
    SETTING_ROUTES("bans", READ, OPERATE),
    SETTING_ROUTES("stream-keys", ADMIN, ADMIN),
    SETTING_ROUTES("relays/pulls", READ, OPERATE),
    SETTING_ROUTES("relays/pushes", READ, OPERATE),
    SETTING_ROUTES("records/rules", READ, OPERATE),
    SETTING_ROUTES("hls/groups", READ, OPERATE),
    {"GET",    "/api/v1/records",               admin_list_records,     READ},
    {"GET",    "/api/v1/records/running",       admin_list_recorders,   READ},
    {"GET",    "/api/v1/records/files/{name...}", admin_get_record,     READ},
    {"DELETE", "/api/v1/records/files/{name...}", admin_remove_record,  OPERATE},
    {"POST",   "/api/v1/nodes/{id}/drain",      admin_drain,            ADMIN},
    {"DELETE", "/api/v1/nodes/{id}/drain",      admin_undrain,          ADMIN},
    {NULL,     NULL,                            NULL,                   0},
};
/* clang-format on */

/* Ours first: nothing of another server hides them. */
static struct http_route *make_routes(const struct node *node)
{
    size_t n = sizeof k_routes / sizeof k_routes[0] - 1;
    struct http_route *routes = calloc(n + COMPAT_MAX_ROUTES + 1, sizeof *routes);

    if (!routes)
        return NULL;
    memcpy(routes, k_routes, n * sizeof *routes);
    compat_add_routes(node->compat, routes + n);
    return routes;
}

/* What the server needs. False: *error says why not. */
static bool make_parts(struct admin *admin, struct listen_error *error)
{
    struct node *node = admin->node;
    struct api_access_conf conf = {.loop = node->control,
                                   .area = "admin",
                                   .is_on_loopback = addr_is_loopback(&node->admin_addr),
                                   .bears_node_token = bears_node_token,
                                   .check = check_request,
                                   .arg = admin};
    struct conf_error why;

    admin->routes = make_routes(node);
    admin->parts = admin_parts_create();
    admin->openapi = openapi_create();
    admin->feed = event_feed_create(node);
    admin->status = status_create(node);
    admin->access = api_access_create(&conf);
    if (!admin->routes || !admin->parts || !admin->openapi || !admin->feed || !admin->status ||
        !admin->access)
        return false;
    if (read_tokens(admin, &why) == E_OK)
        return true;
    snprintf(error->text, sizeof error->text, "%.*s", (int)sizeof error->text - 1, why.text);
    return false;
}

/* Proxies, and programs on this machine, stand for many. */
static bool stands_for_many(const struct admin *admin, const struct addr *peer)
{
    return addr_is_loopback(peer) || trust_has(&admin->node->rules.trust, peer);
}

static void accept_one(void *arg, int fd, const struct addr *peer)
{
    static const struct budget_words k_words = {"too many connections", "too many of one address"};
    struct admin *admin = arg;
    enum budget_answer answer = conn_budget_admit(admin->node->admin_budget, fd, peer,
                                                  stands_for_many(admin, peer), "admin", &k_words);

    if (answer != BUDGET_OK)
        metric_add(answer == BUDGET_TOTAL ? &m_connections_refused_admin_total
                                          : &m_connections_refused_admin_per_ip,
                   1);
    else if (admin->node->conf.admin_tls)
        http_server_accept_tls(admin->server, fd, peer);
    else
        http_server_accept(admin->server, fd, peer);
}

struct admin *admin_create(struct node *node, const int *fds, unsigned n_fds,
                           struct listen_error *error)
{
    struct admin *admin = calloc(1, sizeof *admin);

    snprintf(error->text, sizeof error->text, "admin.listen: %s", err_text(E_NOMEM));
    if (!admin)
        return NULL;
    admin->node = node;
    admin->started_us = clock_mono_us();
    list_init(&admin->requests);
    if (make_parts(admin, error))
        admin->server = http_server_create(node->control, &k_http_limits_default, "admin",
                                           admin->routes, admin);
    if (admin->server) {
        http_server_set_tls(admin->server, tls_setup_server(node->tls, TLS_FOR_HTTP));
        http_server_set_guard(admin->server, api_access_guard(admin->access));
        http_server_charge(admin->server, node->admin_budget);
    }
    if (admin->server && n_fds)
        admin->listener = listener_adopt(node->control, fds, n_fds, accept_one, admin, error);
    else if (admin->server)
        admin->listener = listener_open(node->control, &node->admin_addr, accept_one, admin, error);
    if (!admin->listener) {
        admin_destroy(&admin);
        return NULL;
    }
    http_server_set_trust(admin->server, &node->rules.trust);
    listener_set_proxies(admin->listener, &node->rules.trust);
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
    free(a->routes);
    event_feed_destroy(&a->feed);
    status_destroy(&a->status);
    api_access_destroy(&a->access);
    openapi_destroy(&a->openapi);
    admin_parts_destroy(&a->parts);
    list_for_each_safe(node, tmp, &a->requests) /* their walk has ended with the loops */
        request_free(list_entry(node, struct admin_request, node));
    free(a);
    *admin = NULL;
}
