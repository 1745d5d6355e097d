/* See at_node.h. */
#include "scheduler/at_node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/net/api_access.h"
#include "common/net/http_client.h"
#include "common/net/tls_setup.h"
#include "scheduler/scheduler.h"

#define CALLS_MAX 64
#define TIMEOUT_MS 5000
#define ANSWER_MAX_BYTES (4u << 20)
#define PATH_MAX_BYTES 4096

struct at_node_call {
    struct list node;
    struct at_node_calls *calls;
    struct http_exchange *x;
    struct http_client *client;
    bool is_picture;
};

void at_node_init(struct at_node_calls *calls)
{
    *calls = (struct at_node_calls){0};
    list_init(&calls->calls);
}

static void free_call(struct at_node_call *call)
{
    http_client_destroy(&call->client);
    list_remove(&call->node);
    call->calls->n--;
    free(call);
}

void at_node_fini(struct at_node_calls *calls)
{
    while (!list_is_empty(&calls->calls))
        free_call(list_entry(calls->calls.next, struct at_node_call, node));
}

static void on_gone(struct http_exchange *x, void *arg)
{
    (void)x;
    free_call(arg);
}

/* A node that does not know the cluster's token, or is another one than was meant, is no fault of
 * who asks. */
static void pass_back(struct http_exchange *x, const struct http_reply *reply, bool is_picture)
{
    bool is_fine = reply->status >= 200 && reply->status < 300;

    http_add_header(x, "Cache-Control", "no-store");
    if (reply->e != E_OK)
        http_respond_problem(x, reply->e == E_TIMEOUT ? 504 : 502, "the node's admin port: %s",
                             err_text(reply->e));
    else if (reply->status == 401 || reply->status == 421)
        http_respond_problem(x, 502, "%s",
                             reply->status == 401 ? "the node does not take this cluster's token"
                                                  : "another node is at this node's admin address");
    else if (reply->status == 204)
        http_respond(x, 204, NULL, buf_view_of(NULL, 0));
    else
        http_respond(x, reply->status,
                     !is_fine     ? "application/problem+json"
                     : is_picture ? "image/jpeg"
                                  : "application/json",
                     reply->body);
}

static void on_reply(void *arg, const struct http_reply *reply)
{
    struct at_node_call *call = arg;
    struct http_exchange *x = call->x;

    http_set_pending(x, NULL, NULL);
    pass_back(x, reply, call->is_picture);
    free_call(call);
}

static struct http_client *connect_to(const struct scheduler *s, const struct registry_node *node)
{
    const char *url = node->admin_url, *why;
    struct http_client_conf conf = {
        .urls = &url,
        .n_urls = 1,
        .tls = tls_setup_client(s->tls),
        .bearer_token = s->tokens.token[0],
        .timeout_ms = TIMEOUT_MS,
        .max_body_bytes = ANSWER_MAX_BYTES,
        .log_area = "at_node",
    };

    return http_client_create(s->loop, &conf, &why);
}

/* The path as it came, but for what stands in front. False: it is too long. */
static bool write_path(struct buf_writer *out, struct http_exchange *x)
{
    buf_write_str(out, "/api/v1/");
    http_percent_encode(buf_view_str(http_path_arg(x, "path")), out);
    if (*http_query(x))
        buf_printf(out, "?%s", http_query(x));
    buf_write_u8(out, 0);
    return buf_writer_status(out) == E_OK;
}

/* Nodes want JSON of every change, and it is the client that says so of a body. */
static char *body_of(const struct http_exchange *x)
{
    struct buf_view body = http_body(x);

    return body.size_bytes ? strndup((const char *)body.data, body.size_bytes) : strdup("{}");
}

static bool send_on(struct at_node_call *call, const struct scheduler *s,
                    const struct registry_node *node, const char *path)
{
    struct http_exchange *x = call->x;
    bool is_read = http_is_head(x) || strcmp(http_method(x), "GET") == 0;
    char *text = is_read ? NULL : body_of(x);
    char on_behalf[API_ON_BEHALF_SIZE];
    bool is_sent;

    snprintf(on_behalf, sizeof on_behalf, "%s %s", http_who(x),
             k_api_scopes[api_access_scope(s->access, x)]);
    call->client = connect_to(s, node);
    is_sent = call->client && (is_read || text) &&
              http_client_send(call->client,
                               &(struct http_client_request){
                                   .method = is_read ? "GET" : http_method(x),
                                   .path_query = path,
                                   .body = text,
                                   .headers = {{API_ON_BEHALF, on_behalf}, {API_MEANT, node->id}}},
                               on_reply, call);
    free(text);
    return is_sent;
}

static struct at_node_call *add_call(struct at_node_calls *calls, struct http_exchange *x)
{
    struct at_node_call *call = calls->n < CALLS_MAX ? calloc(1, sizeof *call) : NULL;

    if (!call)
        return NULL;
    call->calls = calls;
    call->x = x;
    list_push_back(&calls->calls, &call->node);
    calls->n++;
    return call;
}

static void start(struct scheduler *s, struct http_exchange *x, const struct registry_node *node,
                  const char *path)
{
    struct at_node_call *call = add_call(&s->at_node, x);

    if (!call) {
        http_add_header(x, "Retry-After", "1");
        http_respond_problem(x, 503, "too many questions to nodes at a time");
        return;
    }
    call->is_picture = strstr(path, "/snapshot.jpg") != NULL;
    http_set_pending(x, on_gone, call);
    if (send_on(call, s, node, path))
        return;
    http_set_pending(x, NULL, NULL);
    free_call(call);
    http_respond_problem(x, 503, "%s", err_text(E_NOMEM));
}

void at_node_pass(struct http_exchange *x, void *arg)
{
    struct scheduler *s = arg;
    const struct registry_node *node = registry_node(&s->registry, http_path_arg(x, "id"));
    struct buf_writer path;

    if (!node) {
        http_respond_problem(x, 404, "no such node");
        return;
    }
    if (!*node->admin_url) {
        http_respond_problem(x, 409,
                             "node %s does not say where its admin port is reached: "
                             "cluster.advertise.admin",
                             node->id);
        return;
    }
    if (strcmp(http_path_arg(x, "path"), "events") == 0) {
        http_respond_problem(x, 400, "events: ask the node itself, this answer has no end");
        return;
    }
    buf_writer_init(&path, PATH_MAX_BYTES);
    if (write_path(&path, x))
        start(s, x, node, (const char *)buf_writer_view(&path).data);
    else
        http_respond_problem(x, 400, "the path is longer than %d bytes", PATH_MAX_BYTES);
    buf_writer_fini(&path);
}
