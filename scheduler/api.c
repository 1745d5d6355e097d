/* The machine API: what nodes ask. Messages are checked by proto/cluster; a refused one is answered
 * with the path of what is wrong. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
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

/* What a full report names as the node's own is written to the store again, and said again where
 * another scheduler knows something else. */
static void refresh_streams(struct scheduler *s, const struct registry_node *node,
                            const struct cluster_heartbeat *m)
{
    struct store_event event = {.type = CLUSTER_EVENT_PUBLISHED};

    for (size_t i = 0; i < m->n_streams; i++) {
        const struct registry_stream *stream =
            registry_stream(&s->registry, m->streams[i].name.text);

        if (!stream || stream->owner != node)
            continue;
        event.name = stream->name;
        event.owner = scheduler_owner_of(stream);
        s->store->ops->refresh(s->store, &stream->name, &event.owner);
        if (node->is_recounted)
            s->store->ops->announce(s->store, &event);
    }
}

/* The other schedulers learn of the node, not of its streams; an instance that drains beside its
 * successor would take its key. */
static void share_node(struct scheduler *s, const struct registry_node *node,
                       const struct cluster_heartbeat *m)
{
    struct cluster_heartbeat bare = *m;

    if (node->is_older)
        return;
    bare.streams = NULL;
    bare.standbys = NULL;
    bare.n_streams = bare.n_standbys = 0;
    bare.state = node->place.state;
    s->store->ops->put_node(s->store, &bare, (int64_t)s->conf->lease_ms);
}

static void say_left_out(struct scheduler *s, const struct cluster_heartbeat *m, uint64_t n)
{
    if (n == 0)
        return;
    stats_add(STAT_LEFT_OUT, (int64_t)n);
    if (!s->said_full)
        log_warn("registry",
                 "msg=\"limits.streams reached, reports are kept in part\" limit=%llu "
                 "node=%s left_out=%llu",
                 (unsigned long long)s->conf->max_streams, m->node, (unsigned long long)n);
    s->said_full = true;
}

static void refuse_heartbeat(struct scheduler *s, struct http_exchange *x,
                             const struct cluster_heartbeat *m, enum err e, const char *text)
{
    stats_count(STAT_HEARTBEAT_REFUSED);
    if (e != E_STALE || registry_is_new_refusal(&s->registry, m->node, m->instance))
        respond_error(x, e, text);
    else
        http_respond_problem(x, status_of(e), "%s", text);
}

static void heartbeat(struct scheduler *s, struct http_exchange *x, struct cluster_heartbeat *m)
{
    struct cluster_heartbeat_reply reply = {
        .lease_ms = (uint32_t)s->conf->lease_ms,
        .interval_ms = (uint32_t)s->conf->heartbeat_ms,
        .settings_run = s->told.run,
        .settings_seq = s->told.seq,
    };
    struct cluster_error error = {"out of memory"};
    uint64_t n_left_out = s->registry.n_left_out;
    struct registry_node *node;
    struct buf_writer json;
    enum err e;

    s->is_renewing = m->full;
    e = registry_heartbeat(&s->registry, m, scheduler_now_us(s), clock_wall_us(), &reply, &error);
    s->is_renewing = false;
    node = registry_instance(&s->registry, m->node, m->instance);
    scheduler_work_soon(s);
    say_left_out(s, m, s->registry.n_left_out - n_left_out);
    if (e != E_OK) {
        refuse_heartbeat(s, x, m, e, error.text);
        cluster_heartbeat_reply_fini(&reply);
        return;
    }
    stats_count(m->full ? STAT_HEARTBEAT_FULL : STAT_HEARTBEAT_DELTA);
    stats_add(STAT_TOLD_MOVED, (int64_t)reply.n_moved);
    share_node(s, node, m);
    if (m->full)
        refresh_streams(s, node, m);
    if (m->full && !m->more) /* asked for again in the midst of it: the next one says all */
        node->is_recounted = node->is_recounted && node->want_full;
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

    if (!scheduler_admits(s, x) || !scheduler_takes_json(x) || !take_node_id(x, id))
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

/* instance= of the query, 0 when it is not given; false: it was answered as wrong. */
static bool take_instance(struct http_exchange *x, uint64_t *instance)
{
    const char *text = http_query_arg(x, "instance");
    char *end;

    *instance = 0;
    if (!text)
        return true;
    errno = 0;
    *instance = strtoull(text, &end, 10);
    if (errno == 0 && end != text && !*end && *text != '-')
        return true;
    respond_error(x, E_INVAL, "instance: expected a decimal number of at most 64 bits");
    return false;
}

void api_events(struct http_exchange *x, void *arg)
{
    struct scheduler *s = arg;
    char id[CLUSTER_ID_SIZE];
    uint64_t instance;

    if (!scheduler_admits(s, x) || !take_node_id(x, id) || !take_instance(x, &instance))
        return;
    if (events_count(&s->events) >= s->conf->max_nodes && !events_has(&s->events, id, instance)) {
        respond_error(x, E_LIMIT, "limits.nodes reached");
        return;
    }
    events_open(&s->events, x, id, instance);
    scheduler_tell_missed(s, id, instance);
}

/* "/v1/streams/{app}/{name}/publish" and a message about it; otherwise answered. */
static bool take_publish(struct scheduler *s, struct http_exchange *x, struct cluster_publish *m)
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
    if (e == E_OK && !registry_is_possible(&s->registry, m->highest_epoch, clock_wall_us())) {
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

    if (!scheduler_admits(s, x) || !scheduler_takes_json(x) || !take_publish(s, x, &m))
        return;
    registry_saw_epoch(&s->registry, m.highest_epoch);
    scheduler_suspect_avoided(s, m.node, &m.avoid);
    publish_jobs_start(&s->jobs, x, &m);
    scheduler_work_soon(s);
}

void api_unpublish(struct http_exchange *x, void *arg)
{
    struct scheduler *s = arg;
    struct cluster_publish m;
    enum err e;

    if (!scheduler_admits(s, x) || !scheduler_takes_json(x) || !take_publish(s, x, &m))
        return;
    e = registry_release(&s->registry, m.name.text, m.node, m.instance, m.epoch);
    if (e == E_OK)
        http_respond(x, 204, NULL, buf_view_of(NULL, 0));
    else if (e == E_NOT_FOUND)
        http_respond_problem(x, 404, "nobody owns the stream");
    else
        http_respond_problem(x, 409, "the stream is not owned by this node, instance and epoch");
}

/* What will be heard of the stream concerns the node, until its reports show that it carries it. */
static void note_asker(struct scheduler *s, const struct cluster_route_query *q)
{
    scheduler_suspect_avoided(s, q->node, &q->avoid);
    if (*q->node && q->intent != CLUSTER_INTENT_PUBLISH)
        interests_note(&s->interests, q->name.text, q->node, scheduler_now_us(s));
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
    enum err e;

    if (!scheduler_admits(s, x))
        return;
    e = cluster_route_query_decode(buf_view_str(http_query(x)), &q, &error);
    if (e != E_OK) {
        respond_error(x, e, error.text);
        return;
    }
    if (!q.explain)
        note_asker(s, &q);
    e = router_ask(&s->router, &q, scheduler_now_us(s), &route);
    buf_writer_init(&json, MAX_ANSWER_BYTES);
    if (e == E_OK) {
        stats_count(k_stats[route.decision]);
        e = cluster_route_encode(&route, &json);
    }
    respond_json(x, e, &json);
}
