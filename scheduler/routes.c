/* What is served where, and who may ask. */
#include <string.h>
#include <strings.h>

#include "scheduler/scheduler.h"
#include "scheduler/stats.h"

/* clang-format off */
const struct http_route k_scheduler_api[] = {
    {"GET",    "/v1/route",                             api_route,       0}, /* the busiest first */
    {"POST",   "/v1/nodes/{id}/heartbeat",              api_heartbeat,   0},
    {"GET",    "/v1/nodes/{id}/events",                 api_events,      0},
    {"POST",   "/v1/streams/{app}/{name}/publish",      api_publish,     0},
    {"POST",   "/v1/streams/{app}/{sub}/{name}/publish", api_publish,    0},
    {"DELETE", "/v1/streams/{app}/{name}/publish",      api_unpublish,   0},
    {"DELETE", "/v1/streams/{app}/{sub}/{name}/publish", api_unpublish,  0},
    {"GET",    "/v1/trace",                             people_trace,    0},
    {"GET",    "/api/v1/nodes",                         people_nodes,    0},
    {"POST",   "/api/v1/nodes/{id}/drain",              people_drain,    0},
    {"DELETE", "/api/v1/nodes/{id}/drain",              people_undrain,  0},
    {"GET",    "/api/v1/streams",                       people_streams,  0},
    {"GET",    "/api/v1/streams/{app}/{name}",          people_stream,   0},
    {"GET",    "/api/v1/streams/{app}/{sub}/{name}",    people_stream,   0},
    {"GET",    "/healthz",                              people_healthz,  0},
    {"GET",    "/readyz",                               people_readyz,   0},
    {"GET",    "/metrics",                              people_metrics,  0},
    {"GET",    "/{app}/{name}",                         entry_redirect,  HTTP_ROUTE_CORS},
    {"GET",    "/{app}/{sub}/{name}",                   entry_redirect,  HTTP_ROUTE_CORS},
    {NULL, NULL, NULL, 0},
};
const struct http_route k_scheduler_entry[] = {
    {"GET",    "/healthz",                              people_healthz,  0},
    {"GET",    "/readyz",                               people_readyz,   0},
    {"GET",    "/{app}/{name}",                         entry_redirect,  HTTP_ROUTE_CORS},
    {"GET",    "/{app}/{sub}/{name}",                   entry_redirect,  HTTP_ROUTE_CORS},
    {NULL, NULL, NULL, 0},
};
/* clang-format on */

bool scheduler_admits(struct scheduler *s, struct http_exchange *x)
{
    for (unsigned i = 0; i < SCHEDULER_N_TOKENS; i++)
        if (http_bearer_is(x, s->tokens.token[i])) /* "" is nobody's */
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
