/* What is served where, and who may ask. */
#include "scheduler/scheduler.h"
#include "scheduler/stats.h"

/* clang-format off */
const struct http_route k_scheduler_api[] = {
    {"POST",   "/v1/nodes/{id}/heartbeat",              api_heartbeat,   0},
    {"GET",    "/v1/nodes/{id}/events",                 api_events,      0},
    {"POST",   "/v1/streams/{app}/{name}/publish",      api_publish,     0},
    {"POST",   "/v1/streams/{app}/{sub}/{name}/publish", api_publish,    0},
    {"DELETE", "/v1/streams/{app}/{name}/publish",      api_unpublish,   0},
    {"DELETE", "/v1/streams/{app}/{sub}/{name}/publish", api_unpublish,  0},
    {"GET",    "/v1/route",                             api_route,       0},
    {"GET",    "/api/v1/nodes",                         people_nodes,    0},
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
    if (*s->token && http_bearer_is(x, s->token))
        return true;
    if (s->is_on_loopback && http_is_local(x))
        return true;
    stats_count(STAT_REQUEST_DENIED);
    http_add_header(x, "WWW-Authenticate", "Bearer");
    http_respond_problem(x, 401,
                         *s->token ? "the node token is missing or wrong"
                                   : "no token_file is set: only requests from this machine, on a "
                                     "loopback address, are served");
    return false;
}
