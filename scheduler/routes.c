/* What is served where, and who may ask: what nodes ask is looked at by its handler, what people
 * ask before it, by the scope in the last column. */
#include <string.h>
#include <strings.h>

#include "common/console/console.h"
#include "common/net/api_access.h"
#include "scheduler/scheduler.h"
#include "scheduler/stats.h"

#define OPEN API_SCOPE(API_NONE)
#define READ API_SCOPE(API_READ)
#define OPERATE API_SCOPE(API_OPERATE)
#define ADMIN API_SCOPE(API_ADMIN)

/* clang-format off */
const struct http_route k_scheduler_api[] = {
    {"GET",    "/v1/route",                             api_route,       OPEN}, /* the busiest first */
    {"POST",   "/v1/nodes/{id}/heartbeat",              api_heartbeat,   OPEN},
    {"GET",    "/v1/nodes/{id}/events",                 api_events,      OPEN},
    {"POST",   "/v1/streams/{app}/{name}/publish",      api_publish,     OPEN},
    {"POST",   "/v1/streams/{app}/{sub}/{name}/publish", api_publish,    OPEN},
    {"DELETE", "/v1/streams/{app}/{name}/publish",      api_unpublish,   OPEN},
    {"DELETE", "/v1/streams/{app}/{sub}/{name}/publish", api_unpublish,  OPEN},
    {"GET",    "/v1/settings",                          api_get_settings, OPEN},
    {"POST",   "/v1/settings",                          api_post_settings, OPEN},
    {"GET",    "/v1/trace",                             api_trace,       OPEN},
    {"GET",    "/v1/autoscale",                         people_autoscale, READ},
    {"GET",    "/api/v1/nodes",                         people_nodes,    READ},
    {"POST",   "/api/v1/nodes/{id}/drain",              people_drain,    ADMIN},
    {"DELETE", "/api/v1/nodes/{id}/drain",              people_undrain,  ADMIN},
    {"GET",    "/api/v1/streams",                       people_streams,  READ},
    {"GET",    "/api/v1/streams/{app}/{name}",          people_stream,   READ},
    {"GET",    "/api/v1/streams/{app}/{sub}/{name}",    people_stream,   READ},
    {"GET",    "/api/v1/nodes/{id}/api/v1/{path...}",   at_node_pass,    READ}, /* and as the node says */
    {"POST",   "/api/v1/nodes/{id}/api/v1/{path...}",   at_node_pass,    OPERATE},
    {"DELETE", "/api/v1/nodes/{id}/api/v1/{path...}",   at_node_pass,    OPERATE},
    {"GET",    "/api/v1/trace",                         people_trace,    READ},
    {"GET",    "/api/v1/events",                        feed_get_events, READ},
    {"GET",    "/api/v1/history",                       feed_get_history, READ},
    {"GET",    "/api/v1/console",                       people_door,     OPEN},
    {"GET",    "/api/v1/console/me",                    people_me,       READ},
    {"GET",    "/",                                     console_serve,   OPEN},
    {"GET",    "/console/{file...}",                    console_serve,   OPEN},
    {"GET",    "/healthz",                              people_healthz,  OPEN},
    {"GET",    "/readyz",                               people_readyz,   OPEN},
    {"GET",    "/metrics",                              people_metrics,  OPEN},
    {"GET",    "/{app}/{name}",                         entry_redirect,  HTTP_ROUTE_CORS | OPEN},
    {"GET",    "/{app}/{sub}/{name}",                   entry_redirect,  HTTP_ROUTE_CORS | OPEN},
    {NULL, NULL, NULL, 0},
};
const struct http_route k_scheduler_entry[] = {
    {"GET",    "/healthz",                              people_healthz,  OPEN},
    {"GET",    "/readyz",                               people_readyz,   OPEN},
    {"GET",    "/{app}/{name}",                         entry_redirect,  HTTP_ROUTE_CORS | OPEN},
    {"GET",    "/{app}/{sub}/{name}",                   entry_redirect,  HTTP_ROUTE_CORS | OPEN},
    {NULL, NULL, NULL, 0},
};
/* clang-format on */

bool scheduler_knows_token(const struct http_exchange *x, void *arg)
{
    const struct scheduler *s = arg;

    for (unsigned i = 0; i < SCHEDULER_N_TOKENS; i++)
        if (http_bearer_is(x, s->tokens.token[i])) /* "" is nobody's */
            return true;
    return false;
}

bool scheduler_admits(struct scheduler *s, struct http_exchange *x)
{
    if (scheduler_knows_token(x, s))
        return true;
    if (s->is_on_loopback && http_is_local(x))
        return true;
    stats_count(STAT_REQUEST_DENIED);
    http_add_header(x, "WWW-Authenticate", "Bearer");
    http_respond_problem(x, 401,
                         *s->tokens.token[0]
                             ? "the node token is missing or wrong"
                             : "no token_file is set: only requests from this machine, on a "
                               "loopback address, are served");
    return false;
}

bool scheduler_takes_json(struct http_exchange *x)
{
    static const char k_json[] = "application/json";
    const char *type = http_header(x, "Content-Type");
    size_t size = sizeof k_json - 1;

    if (type && strncasecmp(type, k_json, size) == 0 && (!type[size] || strchr("; \t", type[size])))
        return true;
    stats_count(STAT_REQUEST_INVALID);
    http_respond_problem(x, 415, "expected Content-Type: application/json");
    return false;
}
