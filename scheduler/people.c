/* What people and monitoring ask: nodes, streams, health, metrics. Lists come in pages, so that no
 * answer grows with the cluster: {"items": [...], "next": last name or null}. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/metrics.h"
#include "scheduler/scheduler.h"

#define DEFAULT_PAGE 100
#define METRICS_BYTES (1u << 20)

/* Takes root. */
static void respond(struct http_exchange *x, json_t *root)
{
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;

    json_decref(root);
    http_add_header(x, "Cache-Control", "no-store");
    if (text)
        http_respond(x, 200, "application/json", buf_view_str(text));
    else
        http_respond_problem(x, 503, "out of memory");
    free(text);
}

static json_t *number_text(uint64_t value)
{
    return json_sprintf("%llu", (unsigned long long)value);
}

/* limit= of the query, within what one page may hold; 0 when it was answered as wrong. */
static size_t take_limit(struct http_exchange *x, const struct scheduler *s)
{
    const char *text = http_query_arg(x, "limit");
    size_t limit = text ? strtoul(text, NULL, 10) : DEFAULT_PAGE;

    if (text && (strlen(text) > 5 || strspn(text, "0123456789") != strlen(text) || limit == 0)) {
        http_respond_problem(x, 400, "limit: expected a number from 1 to %llu",
                             (unsigned long long)s->conf->max_page);
        return 0;
    }
    return limit < s->conf->max_page ? limit : (size_t)s->conf->max_page;
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

    respond(x, root);
}

static json_t *urls_json(const struct cluster_urls *urls)
{
    return json_pack("{s:s, s:s, s:s}", "rtmp", urls->rtmp, "http", urls->http, "https",
                     urls->https);
}

static json_t *node_json(const struct scheduler *s, const struct registry_node *node)
{
    int64_t now_us = scheduler_now_us(s);
    bool is_live = registry_is_live(node, now_us);
    json_t *root = json_pack("{s:s, s:s, s:s, s:s, s:b, s:I, s:o, s:o, s:o}", "id", node->id,
                             "role", k_cluster_roles[node->place.role], "state",
                             is_live ? k_cluster_node_states[node->place.state] : "lapsed", "zone",
                             node->zone, "suspect", registry_is_suspect(&s->registry, node, now_us),
                             "heard_ms", (json_int_t)((now_us - node->heard_us) / 1000), "instance",
                             number_text(node->instance), "public", urls_json(&node->public_urls),
                             "internal", urls_json(&node->internal_urls));
    json_t *load = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "publishers", (json_int_t)node->load.n_publishers,
        "viewers", (json_int_t)node->load.n_viewers, "relays", (json_int_t)node->load.n_relays,
        "streams", (json_int_t)node->load.n_streams, "in_bps", (json_int_t)node->load.in_bps,
        "out_bps", (json_int_t)node->load.out_bps, "cpu_permille",
        (json_int_t)node->load.cpu_permille);

    if (root && json_object_set_new(root, "load", load) != 0) {
        json_decref(root);
        root = NULL;
    }
    return root;
}

void people_nodes(struct http_exchange *x, void *arg)
{
    struct scheduler *s = arg;
    const struct registry_node *node, *last = NULL;
    size_t limit;
    json_t *items;

    if (!scheduler_admits(s, x) || (limit = take_limit(x, s)) == 0)
        return;
    items = json_array();
    node = registry_node_after(&s->registry, take_after(x));
    for (; node && limit; node = registry_node_next(node), limit--) {
        (void)json_array_append_new(items, node_json(s, node));
        last = node;
    }
    respond_page(x, items, node && last ? last->id : NULL);
}

static uint64_t count_viewers(const struct registry_stream *stream)
{
    uint64_t n = stream->n_viewers;
    struct list *at;

    for (at = stream->carriers.next; at != &stream->carriers; at = at->next)
        n += list_entry(at, struct registry_carrier, of_stream)->n_viewers;
    return n;
}

static json_t *stream_json(const struct registry_stream *stream)
{
    const struct registry_node *owner = stream->owner;

    return json_pack("{s:s, s:s?, s:o, s:I, s:I}", "name", stream->name.text, "owner",
                     owner ? owner->id : NULL, "epoch", number_text(stream->epoch), "n_carriers",
                     (json_int_t)stream->n_carriers, "viewers", (json_int_t)count_viewers(stream));
}

void people_streams(struct http_exchange *x, void *arg)
{
    struct scheduler *s = arg;
    const struct registry_stream *stream, *last = NULL;
    size_t limit;
    json_t *items;

    if (!scheduler_admits(s, x) || (limit = take_limit(x, s)) == 0)
        return;
    items = json_array();
    stream = registry_stream_after(&s->registry, take_after(x));
    for (; stream && limit; stream = registry_stream_next(stream), limit--) {
        (void)json_array_append_new(items, stream_json(stream));
        last = stream;
    }
    respond_page(x, items, stream && last ? last->name.text : NULL);
}

static json_t *carrier_json(const struct registry_carrier *c)
{
    return json_pack("{s:s, s:s, s:o, s:I, s:I, s:I}", "node", c->node->id, "upstream", c->upstream,
                     "epoch", number_text(c->epoch), "depth", (json_int_t)c->depth, "viewers",
                     (json_int_t)c->n_viewers, "children", (json_int_t)c->n_children);
}

void people_stream(struct http_exchange *x, void *arg)
{
    struct scheduler *s = arg;
    struct registry_stream *stream;
    struct list *at;
    json_t *root, *carriers;

    if (!scheduler_admits(s, x))
        return;
    stream = registry_stream(&s->registry, http_path(x) + sizeof "/api/v1/streams/" - 1);
    if (!stream) {
        http_respond_problem(x, 404, "no node has the stream");
        return;
    }
    root = stream_json(stream);
    carriers = json_array();
    for (at = stream->carriers.next; at != &stream->carriers; at = at->next)
        (void)json_array_append_new(
            carriers, carrier_json(list_entry(at, struct registry_carrier, of_stream)));
    if (json_object_set_new(root, "carriers", carriers) != 0) {
        json_decref(root);
        root = NULL;
    }
    respond(x, root);
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

    respond(x, json_pack("{s:s, s:s, s:s}", "status", is_up ? "ok" : "degraded", "store",
                         s->conf->store_type == STORE_MEMORY ? "memory" : "redis", "detail",
                         is_up ? "" : "the store is away, answers come from memory"));
}

void people_metrics(struct http_exchange *x, void *arg)
{
    struct buf_writer text;

    (void)arg;
    buf_writer_init(&text, METRICS_BYTES);
    metrics_render(&text);
    if (buf_writer_status(&text) == E_OK)
        http_respond(x, 200, "text/plain; version=0.0.4; charset=utf-8", buf_writer_view(&text));
    else
        http_respond_problem(x, 503, "%s", err_text(buf_writer_status(&text)));
    buf_writer_fini(&text);
}
