/* GET /v1/route: the question is a query string, the answer JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/cluster/cluster.h"
#include "proto/cluster/message.h"
#include "proto/http/http.h"

static const char *const k_upstream_schemes[] = {"http", "https", "rtmp", NULL};

#define UPSTREAM(key, member, kind, required, choices) \
    MESSAGE_FIELD(struct cluster_upstream, key, member, kind, required, choices)
#define ROUTE(key, member, kind, required, choices) \
    MESSAGE_FIELD(struct cluster_route, key, member, kind, required, choices)

/* clang-format off */
static const struct message_field k_upstream_fields[] = {
    UPSTREAM("node",  node,  MESSAGE_ID,       false, NULL),
    UPSTREAM("url",   url,   MESSAGE_URL,      true,  k_upstream_schemes),
    UPSTREAM("epoch", epoch, MESSAGE_U64_TEXT, false, NULL),
    UPSTREAM("depth", depth, MESSAGE_U32,      false, NULL),
};
static const struct message_field k_route_fields[] = {
    ROUTE("decision",     decision,     MESSAGE_ENUM, true,  k_cluster_decisions),
    ROUTE("redirect_url", redirect_url, MESSAGE_TEXT, false, NULL),
    ROUTE("ttl_ms",       ttl_ms,       MESSAGE_U32,  false, NULL),
    ROUTE("reason",       reason,       MESSAGE_TEXT, false, NULL),
};
/* clang-format on */

static const struct message_table k_upstream = MESSAGE_TABLE(k_upstream_fields);
static const struct message_table k_route = MESSAGE_TABLE(k_route_fields);
static const struct message_array k_upstreams = {
    "upstreams", &k_upstream, sizeof(struct cluster_upstream), CLUSTER_MAX_UPSTREAMS};

static void write_arg(struct buf_writer *out, const char *key, const char *value)
{
    if (!*value)
        return;
    buf_printf(out, "&%s=", key);
    http_percent_encode(buf_view_str(value), out);
}

enum err cluster_route_query_encode(const struct cluster_route_query *q, struct buf_writer *out)
{
    buf_write_str(out, "/v1/route?stream=");
    http_percent_encode(buf_view_str(q->name.text), out);
    write_arg(out, "intent", k_cluster_intents[q->intent]);
    write_arg(out, "protocol", q->protocol);
    write_arg(out, "node", q->node);
    write_arg(out, "client_ip", q->client_ip);
    for (unsigned i = 0; i < q->avoid.n; i++) {
        buf_write_str(out, i ? "," : "&avoid=");
        http_percent_encode(buf_view_str(q->avoid.id[i]), out);
    }
    if (q->have_epoch)
        buf_printf(out, "&have_epoch=%" PRIu64, q->have_epoch);
    if (q->tls)
        buf_write_str(out, "&tls=1");
    if (q->explain)
        buf_write_str(out, "&explain=1");
    return buf_writer_status(out);
}

static enum err refuse(struct cluster_error *error, const char *key, const char *what)
{
    snprintf(error->text, sizeof error->text, "%s: %s", key, what);
    return E_INVAL;
}

/* Absent is "". */
static enum err read_arg(struct buf_view query, const char *key, char *out, size_t size,
                         struct cluster_error *error)
{
    enum err e = http_query_get(query, key, out, size);

    if (e == E_OK)
        return E_OK;
    out[0] = '\0';
    return e == E_NOT_FOUND ? E_OK : refuse(error, key, "a bad escape, or too long");
}

static enum err read_stream(struct buf_view query, struct cluster_route_query *q,
                            struct cluster_error *error)
{
    char text[STREAM_NAME_SIZE];
    const char *why = "";
    enum err e = read_arg(query, "stream", text, sizeof text, error);

    if (e != E_OK)
        return e;
    if (message_name_from_text(&q->name, text, &why) != E_OK)
        return refuse(error, "stream", why);
    return E_OK;
}

static enum err read_intent(struct buf_view query, struct cluster_route_query *q,
                            struct cluster_error *error)
{
    char text[16];
    enum err e = read_arg(query, "intent", text, sizeof text, error);

    if (e != E_OK)
        return e;
    q->intent = CLUSTER_INTENT_PLAY;
    if (!*text)
        return E_OK;
    for (int i = 0; k_cluster_intents[i]; i++) {
        if (strcmp(k_cluster_intents[i], text) == 0) {
            q->intent = (enum cluster_intent)i;
            return E_OK;
        }
    }
    return refuse(error, "intent", "expected play, source or publish");
}

static enum err read_avoid(struct buf_view query, struct cluster_route_query *q,
                           struct cluster_error *error)
{
    char text[CLUSTER_MAX_UPSTREAMS * CLUSTER_ID_SIZE];
    char *rest = text;
    char *id;
    enum err e = read_arg(query, "avoid", text, sizeof text, error);

    if (e != E_OK)
        return e;
    while ((id = strsep(&rest, ","))) {
        if (!*id)
            continue;
        if (!cluster_id_is_valid(id))
            return refuse(error, "avoid", "expected node ids");
        if (q->avoid.n == CLUSTER_MAX_UPSTREAMS)
            return refuse(error, "avoid", "more than 4 node ids");
        memcpy(q->avoid.id[q->avoid.n++], id, strlen(id) + 1);
    }
    return E_OK;
}

static enum err read_have_epoch(struct buf_view query, struct cluster_route_query *q,
                                struct cluster_error *error)
{
    char text[24];
    enum err e = read_arg(query, "have_epoch", text, sizeof text, error);

    if (e != E_OK || !*text)
        return e;
    if (!message_parse_decimal(text, &q->have_epoch))
        return refuse(error, "have_epoch", "expected a decimal number of at most 64 bits");
    return E_OK;
}

static enum err read_bool(struct buf_view query, const char *key, bool *out,
                          struct cluster_error *error)
{
    char text[8];
    enum err e = read_arg(query, key, text, sizeof text, error);

    if (e == E_OK && *text && strcmp(text, "0") != 0 && strcmp(text, "1") != 0)
        return refuse(error, key, "expected 0 or 1");
    *out = e == E_OK && *text == '1';
    return e;
}

static enum err read_flags(struct buf_view query, struct cluster_route_query *q,
                           struct cluster_error *error)
{
    enum err e = read_bool(query, "explain", &q->explain, error);

    return e == E_OK ? read_bool(query, "tls", &q->tls, error) : e;
}

static enum err read_node(struct buf_view query, struct cluster_route_query *q,
                          struct cluster_error *error)
{
    enum err e = read_arg(query, "node", q->node, sizeof q->node, error);

    if (e == E_OK && *q->node && !cluster_id_is_valid(q->node))
        e = refuse(error, "node", "expected 1-64 bytes of [A-Za-z0-9._-]");
    if (e == E_OK)
        e = read_arg(query, "protocol", q->protocol, sizeof q->protocol, error);
    if (e == E_OK)
        e = read_arg(query, "client_ip", q->client_ip, sizeof q->client_ip, error);
    return e;
}

enum err cluster_route_query_decode(struct buf_view query, struct cluster_route_query *out,
                                    struct cluster_error *error)
{
    static enum err (*const k_parts[])(struct buf_view, struct cluster_route_query *,
                                       struct cluster_error *) = {
        read_stream, read_intent, read_node, read_avoid, read_have_epoch, read_flags,
    };
    struct cluster_route_query q = {0};

    for (size_t i = 0; i < sizeof k_parts / sizeof k_parts[0]; i++) {
        enum err e = k_parts[i](query, &q, error);

        if (e != E_OK)
            return e;
    }
    *out = q;
    return E_OK;
}

enum err cluster_route_encode(const struct cluster_route *m, struct buf_writer *out)
{
    message_write_open(out);
    message_write(out, &k_route, m, false);
    message_write_array(out, &k_upstreams, m->upstreams, m->n_upstreams);
    if (m->candidates_json.size_bytes) {
        buf_write_str(out, ",\"candidates\":");
        buf_write_view(out, m->candidates_json);
    }
    buf_write_str(out, "}");
    return buf_writer_status(out);
}

enum err cluster_route_decode(struct buf_view json, struct cluster_route *out,
                              struct cluster_error *error)
{
    struct cluster_route m = {0};
    void *upstreams = NULL;
    size_t n = 0;
    json_t *root = NULL;
    enum err e = message_parse(json, &root, error);

    if (e == E_OK)
        e = message_read(root, &k_route, (struct message_place){0}, &m, error);
    if (e == E_OK)
        e = message_read_array(root, &k_upstreams, &upstreams, &n, error);
    if (e == E_OK) {
        if (n)
            memcpy(m.upstreams, upstreams, n * sizeof m.upstreams[0]);
        m.n_upstreams = (unsigned)n;
        *out = m;
    }
    free(upstreams);
    json_decref(root);
    return e;
}
