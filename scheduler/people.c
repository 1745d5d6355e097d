/* What people and monitoring ask: nodes, streams, health, metrics. Lists come in pages, so that no
 * answer grows with the cluster: {"items": [...], "next": last name or null}. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/console/console.h"
#include "common/net/api_answer.h"
#include "scheduler/scheduler.h"
#include "scheduler/stats.h"

#define DEFAULT_PAGE 100
#define NODES_PAGE_MAX 250 /* they have much to say: more would hold the loop up */
#define UPSTREAMS_LOOK 32  /* streams of a node */
#define MATCH_LOOK 5000    /* streams that a page may pass over: below 5 ms */
#define METRICS_BYTES (1u << 20)

void people_respond(struct http_exchange *x, json_t *root)
{
    http_add_header(x, "Cache-Control", "no-store");
    api_respond_json(x, 200, root);
}

static json_t *number_text(uint64_t value)
{
    return json_sprintf("%llu", (unsigned long long)value);
}

/* limit= of the query, within what one page may hold; 0 when it was answered as wrong. */
static size_t take_limit(struct http_exchange *x, const struct scheduler *s)
{
    size_t max = (size_t)s->conf->max_page;
    const char *text = http_query_arg(x, "limit");
    size_t limit = text ? strtoul(text, NULL, 10) : DEFAULT_PAGE;

    if (text && (strlen(text) > 5 || strspn(text, "0123456789") != strlen(text) || limit == 0)) {
        http_respond_problem(x, 400, "limit: expected a number from 1 to %zu", max);
        return 0;
    }
    return limit < max ? limit : max;
}

static const char *take_after(struct http_exchange *x)
{
    const char *after = http_query_arg(x, "after");

    return after ? after : "";
}

/* Takes items. next is the last name given when there is more. */
static void respond_page(struct http_exchange *x, json_t *items, const char *next)
{
    json_t *root = json_pack("{s:o, s:s?}", "items", items, "next", next);

    people_respond(x, root);
}

static json_t *urls_json(const struct cluster_urls *urls)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "rtmp", urls->rtmp, "http", urls->http, "rtmps",
                     urls->rtmps, "https", urls->https);
}

static const char *state_of(const struct registry_node *node, int64_t now_us)
{
    if (node->is_gone)
        return "gone";
    return registry_is_live(node, now_us) ? k_cluster_node_states[node->place.state] : "lapsed";
}

static json_t *load_json(const struct registry_node *node)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "publishers",
                     (json_int_t)node->load.n_publishers, "viewers",
                     (json_int_t)node->load.n_viewers, "relays", (json_int_t)node->load.n_relays,
                     "streams", (json_int_t)node->load.n_streams, "in_bps",
                     (json_int_t)node->load.in_bps, "out_bps", (json_int_t)node->load.out_bps,
                     "cpu_permille", (json_int_t)node->load.cpu_permille);
}

/* Earlier instances that drain beside this one. */
static json_t *older_json(const struct registry_node *node)
{
    json_t *list = json_array();

    for (node = node->older; node; node = node->older)
        (void)json_array_append_new(list, number_text(node->instance));
    return list;
}

/* Whom it pulls from, and how many streams: {"origin-1": 12}. Of one that carries many, a part. */
static json_t *upstreams_json(const struct registry_node *node)
{
    json_t *counts = json_object();
    unsigned n = 0;

    for (struct list *at = node->carried.next; at != &node->carried && n < UPSTREAMS_LOOK;
         at = at->next, n++) {
        const struct registry_carrier *c = list_entry(at, struct registry_carrier, of_node);
        json_int_t had = json_integer_value(json_object_get(counts, c->upstream));

        if (c->is_reported && *c->upstream)
            (void)json_object_set_new(counts, c->upstream, json_integer(had + 1));
    }
    return counts;
}

json_t *people_node_json(struct scheduler *s, const struct registry_node *node, bool upstreams)
{
    int64_t now_us = scheduler_now_us(s);
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:I, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:o}", "id",
        node->id, "role", k_cluster_roles[node->place.role], "state", state_of(node, now_us),
        "zone", node->zone, "suspect", registry_is_suspect(&s->registry, node, now_us), "drain",
        node->wants_drain, "reports_here", node->direct_us != 0, "heard_ms",
        (json_int_t)((now_us - node->heard_us) / 1000), "instance", number_text(node->instance),
        "older", older_json(node), "public", urls_json(&node->public_urls), "internal",
        urls_json(&node->internal_urls), "weight", (json_int_t)node->place.weight, "max_viewers",
        (json_int_t)node->place.max_viewers, "capacity_egress_bps",
        (json_int_t)node->place.capacity_bps, "load", load_json(node));

    (void)json_object_set_new(json, "admin", json_string(node->admin_url));
    if (upstreams)
        (void)json_object_set_new(json, "upstreams", upstreams_json(node));
    return json;
}

void people_nodes(struct http_exchange *x, void *arg)
{
    struct scheduler *s = arg;
    const struct registry_node *node, *last = NULL;
    bool upstreams;
    size_t limit;
    json_t *items;

    limit = take_limit(x, s);
    if (limit == 0)
        return;
    limit = limit < NODES_PAGE_MAX ? limit : NODES_PAGE_MAX;
    upstreams = http_query_arg(x, "upstreams") != NULL;
    items = json_array();
    node = registry_node_after(&s->registry, take_after(x));
    for (; node && limit; node = registry_node_next(node), limit--) {
        (void)json_array_append_new(items, people_node_json(s, node, upstreams));
        last = node;
    }
    respond_page(x, items, node && last ? last->id : NULL);
}

/* DRAIN and its end: the whole node, with the instances that drain already. */
static void order_drain(struct http_exchange *x, struct scheduler *s, bool wanted)
{
    struct registry_node *node;

    node = registry_node(&s->registry, http_path_arg(x, "id"));
    if (!node) {
        http_respond_problem(x, 404, "no such node");
        return;
    }
    log_info("api", "msg=\"%s\" node=%s peer=%s", wanted ? "drain ordered" : "drain taken back",
             node->id, http_peer(x));
    scheduler_drain(s, node, wanted);
    people_respond(x, people_node_json(s, node, false));
}

void people_drain(struct http_exchange *x, void *arg)
{
    order_drain(x, arg, true);
}

void people_undrain(struct http_exchange *x, void *arg)
{
    order_drain(x, arg, false);
}

json_t *people_stream_json(const struct registry_stream *stream)
{
    const struct registry_node *owner = stream->owner;

    return json_pack("{s:s, s:s?, s:o, s:I, s:I}", "name", stream->name.text, "owner",
                     owner ? owner->id : NULL, "epoch", number_text(stream->epoch), "n_carriers",
                     (json_int_t)stream->n_carriers, "viewers",
                     (json_int_t)(stream->n_viewers + stream->n_carried_viewers));
}

/* With match=, names that hold it: a page may then have fewer than there are, or none, and a next.
 */
void people_streams(struct http_exchange *x, void *arg)
{
    struct scheduler *s = arg;
    const struct registry_stream *stream, *last = NULL;
    const char *match = http_query_arg(x, "match");
    size_t limit, n_looks = MATCH_LOOK;
    json_t *items;

    limit = take_limit(x, s);
    if (limit == 0)
        return;
    items = json_array();
    stream = registry_stream_after(&s->registry, take_after(x));
    for (; stream && limit && n_looks; stream = registry_stream_next(stream), n_looks--) {
        last = stream;
        if (match && !strstr(stream->name.text, match))
            continue;
        (void)json_array_append_new(items, people_stream_json(stream));
        limit--;
    }
    respond_page(x, items, stream && last ? last->name.text : NULL);
}

static json_t *carrier_json(const struct registry_carrier *c)
{
    return json_pack("{s:s, s:s, s:o, s:I, s:I, s:I}", "node", c->node->id, "upstream", c->upstream,
                     "epoch", number_text(c->epoch), "depth", (json_int_t)c->depth, "viewers",
                     (json_int_t)c->n_viewers, "children", (json_int_t)c->n_children);
}

static json_t *standbys_json(const struct registry_stream *stream)
{
    json_t *list = json_array();
    struct list *at;

    for (at = stream->standbys.next; at != &stream->standbys; at = at->next)
        (void)json_array_append_new(
            list, json_string(list_entry(at, struct registry_standby, of_stream)->node->id));
    return list;
}

static json_t *carriers_json(const struct scheduler *s, const struct registry_stream *stream)
{
    const struct registry_carrier *c = registry_carrier_at(stream, 0);
    json_t *list = json_array();

    for (; c && json_array_size(list) < s->conf->max_page; c = registry_carrier_next(c))
        if (c->is_reported)
            (void)json_array_append_new(list, carrier_json(c));
    return list;
}

void people_stream(struct http_exchange *x, void *arg)
{
    struct scheduler *s = arg;
    const struct registry_stream *stream;
    json_t *root;

    stream = registry_stream(&s->registry, http_path(x) + sizeof "/api/v1/streams/" - 1);
    if (!stream) {
        http_respond_problem(x, 404, "no node has the stream");
        return;
    }
    root = people_stream_json(stream);
    if (json_object_set_new(root, "carriers", carriers_json(s, stream)) != 0 ||
        json_object_set_new(root, "standbys", standbys_json(stream)) != 0) {
        json_decref(root);
        root = NULL;
    }
    people_respond(x, root);
}

/* A session id of a node, as its API lists it. */
static bool is_session(const char *text)
{
    size_t size = text ? strlen(text) : 0;

    return size > 0 && size <= 64 &&
           strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.") ==
               size;
}

/* "<node>/<id>", as nodes tell their viewers: the id; NULL when node or id cannot be. */
static const char *split_session(const char *text, char node[CLUSTER_ID_SIZE])
{
    const char *slash = strchr(text, '/');

    return slash &&
                   buf_view_to_str(buf_view_of(text, (size_t)(slash - text)), node,
                                   CLUSTER_ID_SIZE) &&
                   *node
               ? slash + 1
               : NULL;
}

void people_trace(struct http_exchange *x, void *arg)
{
    struct scheduler *s = arg;
    const char *session, *node;
    char named[CLUSTER_ID_SIZE];

    session = http_query_arg(x, "session");
    node = http_query_arg(x, "node");
    if (session && strchr(session, '/')) {
        session = split_session(session, named);
        node = named;
    }
    if (!is_session(session))
        http_respond_problem(x, 400, "session: expected 1-64 bytes of [A-Za-z0-9._-]");
    else if (node && *node && !cluster_id_is_valid(node))
        http_respond_problem(x, 400, "node: expected 1-64 bytes of [A-Za-z0-9._-]");
    else
        traces_start(&s->traces, x, session, node ? node : "");
}

void api_trace(struct http_exchange *x, void *arg)
{
    if (scheduler_admits(arg, x))
        people_trace(x, arg);
}

void people_door(struct http_exchange *x, void *arg)
{
    console_say_door(x, ((const struct scheduler *)arg)->access);
}

/* A scheduler has no name of its own. */
void people_me(struct http_exchange *x, void *arg)
{
    const struct scheduler *s = arg;
    struct console_who who = {"scheduler", "", api_access_scope(s->access, x)};

    console_say_who(x, &who);
}

/* Alive: says nothing of Redis or of anything else that is remote. */
void people_healthz(struct http_exchange *x, void *arg)
{
    (void)arg;
    http_add_header(x, "Cache-Control", "no-store");
    http_respond(x, 200, "application/json", buf_view_str("{\"status\":\"ok\"}"));
}

/* Accepting work. Without its store a scheduler still is: it answers from memory, and says so. */
void people_readyz(struct http_exchange *x, void *arg)
{
    struct scheduler *s = arg;
    bool is_up = s->store->ops->is_up(s->store);

    people_respond(x, json_pack("{s:s, s:s, s:s}", "status", is_up ? "ok" : "degraded", "store",
                                s->conf->store_type == STORE_MEMORY ? "memory" : "redis", "detail",
                                is_up ? "" : "the store is away, answers come from memory"));
}

void people_metrics(struct http_exchange *x, void *arg)
{
    struct buf_writer text;

    stats_show_loop(((struct scheduler *)arg)->loop);
    buf_writer_init(&text, METRICS_BYTES);
    metrics_render(&text);
    if (buf_writer_status(&text) == E_OK)
        http_respond(x, 200, "text/plain; version=0.0.4; charset=utf-8", buf_writer_view(&text));
    else
        http_respond_problem(x, 503, "%s", err_text(buf_writer_status(&text)));
    buf_writer_fini(&text);
}
