/* The machine API: what nodes ask. Messages are checked by proto/cluster; a refused one is answered
 * with the path of what is wrong. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/log.h"
#include "scheduler/epoch.h"
#include "scheduler/scheduler.h"
#include "scheduler/stats.h"

#define MAX_ANSWER_BYTES (3u << 20) /* below what the server queues for one connection */

static unsigned status_of(enum err e)
{
    switch (e) {
    case E_STALE:
        return 409;
    case E_NOT_FOUND:
        return 404;
    case E_TOO_BIG:
        return 413;
    case E_LIMIT:
    case E_NOMEM:
        return 503;
    default:
        return 400;
    }
}

static void respond_error(struct http_exchange *x, enum err e, const char *text)
{
    stats_count(STAT_REQUEST_INVALID);
    log_info("api", "msg=\"request refused\" peer=%s path=%s error=%s detail=%s", http_peer(x),
             LOG_STR(http_path(x)), err_name(e), LOG_STR(text));
    http_respond_problem(x, status_of(e), "%s", text);
}

/* Takes json. */
static void respond_json(struct http_exchange *x, enum err e, struct buf_writer *json)
{
    if (e == E_OK)
        http_respond(x, 200, "application/json", buf_writer_view(json));
    else
        http_respond_problem(x, 503, "%s", err_text(e));
    buf_writer_fini(json);
}

/* Changes come as JSON: a page of another site cannot send that without being asked first. */
static bool is_json(struct http_exchange *x)
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

static bool take_node_id(struct http_exchange *x, char id[CLUSTER_ID_SIZE])
{
    const char *text = http_path_arg(x, "id");

    if (text && cluster_id_is_valid(text)) {
        snprintf(id, CLUSTER_ID_SIZE, "%s", text);
        return true;
    }
    respond_error(x, E_INVAL, "node id: expected 1-64 bytes of [A-Za-z0-9._-]");
    return false;
}

/* What a full report names is written to the store again. */
static void refresh_streams(struct scheduler *s, const char *id)
{
    struct registry_node *node = registry_node(&s->registry, id);
    struct list *at;

    for (at = node->owned.next; at != &node->owned; at = at->next) {
        struct registry_stream *stream = list_entry(at, struct registry_stream, of_owner);
        struct store_owner owner = {.instance = node->instance, .epoch = stream->epoch};

        memcpy(owner.node, node->id, sizeof owner.node);
        s->store->ops->refresh(s->store, &stream->name, &owner);
    }
}

static void heartbeat(struct scheduler *s, struct http_exchange *x, struct cluster_heartbeat *m)
{
    struct cluster_heartbeat_reply reply = {
        .lease_ms = (uint32_t)s->conf->lease_ms,
        .interval_ms = (uint32_t)s->conf->heartbeat_ms,
    };
    struct cluster_error error = {"out of memory"};
    enum err e =
        registry_heartbeat(&s->registry, m, scheduler_now_us(s), clock_wall_us(), &reply, &error);
    struct buf_writer json;

    if (e != E_OK) {
        stats_count(STAT_HEARTBEAT_REFUSED);
        respond_error(x, e, error.text);
        cluster_heartbeat_reply_fini(&reply);
        return;
    }
    stats_count(m->full ? STAT_HEARTBEAT_FULL : STAT_HEARTBEAT_DELTA);
    s->store->ops->put_node(s->store, m, (int64_t)s->conf->lease_ms);
    if (m->full)
        refresh_streams(s, m->node);
    buf_writer_init(&json, MAX_ANSWER_BYTES);
    respond_json(x, cluster_heartbeat_reply_encode(&reply, &json), &json);
    cluster_heartbeat_reply_fini(&reply);
}

void api_heartbeat(struct http_exchange *x, void *arg)
{
    struct scheduler *s = arg;
    struct cluster_heartbeat m;
    struct cluster_error error = {""};
    char id[CLUSTER_ID_SIZE];
    enum err e;

    if (!scheduler_admits(s, x) || !is_json(x) || !take_node_id(x, id))
        return;
    e = cluster_heartbeat_decode(http_body(x), &m, &error);
    if (e != E_OK) {
        stats_count(STAT_HEARTBEAT_REFUSED);
        respond_error(x, e, error.text);
        return;
    }
    memcpy(m.node, id, sizeof m.node);
    heartbeat(s, x, &m);
    cluster_heartbeat_fini(&m);
}

void api_events(struct http_exchange *x, void *arg)
{
    struct scheduler *s = arg;
    char id[CLUSTER_ID_SIZE];

    if (!scheduler_admits(s, x) || !take_node_id(x, id))
        return;
    if (events_count(&s->events) >= s->conf->max_nodes && !events_has(&s->events, id))
        respond_error(x, E_LIMIT, "limits.nodes reached");
    else
        events_open(&s->events, x, id);
}

/* "/v1/streams/{app}/{name}/publish" and a message about it; otherwise answered. */
static bool take_publish(struct http_exchange *x, struct cluster_publish *m)
{
    struct cluster_error error = {""};
    struct stream_name name;
    struct buf_view path = buf_view_str(http_path(x));
    const char *why = "";
    enum err e;

    path.data += sizeof "/v1/streams" - 1;
    path.size_bytes -= sizeof "/v1/streams" - 1 + sizeof "/publish" - 1;
    if (stream_name_from_path(&name, path, &why) != E_OK) {
        respond_error(x, E_INVAL, why);
        return false;
    }
    e = cluster_publish_decode(http_body(x), m, &error);
    if (e == E_OK && !epoch_is_plausible(m->highest_epoch, clock_wall_us())) {
        snprintf(error.text, sizeof error.text, "highest_epoch: was never given to anybody");
        e = E_INVAL;
    }
    if (e != E_OK)
        respond_error(x, e, error.text);
    m->name = name;
    return e == E_OK;
}

void api_publish(struct http_exchange *x, void *arg)
{
    struct scheduler *s = arg;
    struct cluster_publish m;

    if (!scheduler_admits(s, x) || !is_json(x) || !take_publish(x, &m))
        return;
    registry_saw_epoch(&s->registry, m.highest_epoch, clock_wall_us());
    publish_jobs_start(&s->jobs, x, &m);
}

void api_unpublish(struct http_exchange *x, void *arg)
{
    struct scheduler *s = arg;
    struct cluster_publish m;
    enum err e;

    if (!scheduler_admits(s, x) || !is_json(x) || !take_publish(x, &m))
        return;
    e = registry_release(&s->registry, m.name.text, m.node, m.instance, m.epoch);
    if (e == E_OK)
        http_respond(x, 204, NULL, buf_view_of(NULL, 0));
    else if (e == E_NOT_FOUND)
        http_respond_problem(x, 404, "nobody owns the stream");
    else
        http_respond_problem(x, 409, "the stream is not owned by this node, instance and epoch");
}

/* Upstreams that just failed for somebody: enough to ask them when a publish meets them. */
static void suspect_avoided(struct scheduler *s, const struct cluster_route_query *q)
{
    for (unsigned i = 0; *q->node && i < q->n_avoid; i++) {
        struct registry_node *node = registry_node(&s->registry, q->avoid[i]);

        if (node)
            registry_suspect(node, scheduler_now_us(s));
    }
}

/* The answer again, with one more field: why each candidate was taken or left. */
static void explain(const struct scheduler *s, struct buf_writer *json)
{
    if (json->failed != E_OK)
        return;
    json->used_bytes--; /* the closing brace */
    buf_write_str(json, ",\"explain\":[");
    for (int i = 0; i < s->router.n_candidates; i++) {
        const struct placement_candidate *c = &s->router.candidates[i];

        /* node ids and the reasons need no escaping */
        buf_printf(json,
                   "%s{\"node\":\"%s\",\"role\":\"%s\",\"carries\":%s,\"depth\":%u,\"why\":\"%s\"}",
                   i ? "," : "", c->node->id, k_cluster_roles[c->node->role],
                   c->carries ? "true" : "false", c->depth, placement_why_text(c->why));
    }
    buf_write_str(json, "]}");
}

void api_route(struct http_exchange *x, void *arg)
{
    static const enum stat k_stats[] = {STAT_ROUTE_SERVE, STAT_ROUTE_PULL, STAT_ROUTE_REDIRECT,
                                        STAT_ROUTE_WAIT, STAT_ROUTE_DENY};
    struct scheduler *s = arg;
    struct cluster_route_query q;
    struct cluster_route route;
    struct cluster_error error = {""};
    struct buf_writer json;
    const char *flag = http_query_arg(x, "explain");
    bool wants_explain = flag && strcmp(flag, "1") == 0;
    enum err e;

    if (!scheduler_admits(s, x))
        return;
    e = cluster_route_query_decode(buf_view_str(http_query(x)), &q, &error);
    if (e != E_OK) {
        respond_error(x, e, error.text);
        return;
    }
    if (!wants_explain)
        suspect_avoided(s, &q);
    e = router_ask(&s->router, &q, wants_explain, scheduler_now_us(s), &route);
    buf_writer_init(&json, MAX_ANSWER_BYTES);
    if (e == E_OK)
        e = cluster_route_encode(&route, &json);
    if (e == E_OK) {
        stats_count(k_stats[route.decision]);
        if (wants_explain)
            explain(s, &json);
        e = buf_writer_status(&json);
    }
    respond_json(x, e, &json);
}
