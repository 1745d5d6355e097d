/* The viewer entry point: GET /{app}/{name}.flv (.ts, .mp4, .m3u8) answers 302 to the best edge's
 * public address. A stream that nobody has yet is redirected too: the edge parks the player until
 * it is published. */
#include <stdio.h>
#include <string.h>

#include "scheduler/scheduler.h"
#include "scheduler/stats.h"

#define RETRY_AFTER_S "2"

/* The formats that can be played through the entry point, by the end of the path. */
static const struct {
    const char *suffix, *protocol;
} k_formats[] = {
    {".flv", "flv"},         {".ts", "ts"}, {".mp4", "mp4"},
    {"/index.m3u8", "m3u8"}, /* before the next: "/a/index.m3u8" alone is a stream's own name */
    {".m3u8", "m3u8"},
};

/* Fills name and protocol; otherwise the request was answered. */
static bool take_stream(struct http_exchange *x, struct cluster_route_query *q)
{
    const char *path = http_path(x), *why = "";
    size_t size = strlen(path);

    for (size_t i = 0; i < sizeof k_formats / sizeof k_formats[0]; i++) {
        size_t suffix = strlen(k_formats[i].suffix);

        if (size <= suffix || strcmp(path + size - suffix, k_formats[i].suffix) != 0)
            continue;
        if (stream_name_from_path(&q->name, buf_view_of(path, size - suffix), &why) != E_OK)
            continue;
        snprintf(q->protocol, sizeof q->protocol, "%s", k_formats[i].protocol);
        return true;
    }
    http_respond_problem(x, 404, "%s",
                         *why ? why : "expected /{app}/{name}.flv, .ts, .mp4 or .m3u8");
    return false;
}

/* The path is escaped again: names may hold UTF-8 letters. E_TOO_BIG, E_NOMEM. */
static enum err write_location(struct http_exchange *x, const struct cluster_route *route,
                               struct buf_writer *out)
{
    const char *path = strstr(route->redirect_url, "://");

    path = path ? strchr(path + 3, '/') : NULL;
    if (!path)
        return E_INVAL;
    buf_write(out, route->redirect_url, (size_t)(path - route->redirect_url));
    http_percent_encode(buf_view_str(path), out);
    if (*http_query(x)) /* raw as it came; the server let no control characters in */
        buf_printf(out, "?%s", http_query(x));
    buf_write_u8(out, 0);
    return buf_writer_status(out);
}

void entry_redirect(struct http_exchange *x, void *arg)
{
    struct scheduler *s = arg;
    struct cluster_route_query q = {.intent = CLUSTER_INTENT_PLAY, .tls = http_is_tls(x)};
    struct cluster_route route = {.decision = CLUSTER_DENY};
    struct buf_writer location;

    if (!take_stream(x, &q))
        return;
    http_add_header(x, "Cache-Control", "no-store");
    if (router_ask(&s->router, &q, scheduler_now_us(s), &route) != E_OK ||
        route.decision != CLUSTER_REDIRECT) {
        stats_count(STAT_ROUTE_DENY);
        http_add_header(x, "Retry-After", RETRY_AFTER_S);
        http_respond_problem(x, 503, "%s", route.reason);
        return;
    }
    stats_count(STAT_ROUTE_REDIRECT);
    buf_writer_init(&location, 32768);
    if (write_location(x, &route, &location) == E_OK) {
        http_add_header(x, "Location", (const char *)location.data);
        http_respond(x, 302, NULL, buf_view_of(NULL, 0));
    } else {
        http_respond_problem(x, 503, "%s", err_text(buf_writer_status(&location)));
    }
    buf_writer_fini(&location);
}
