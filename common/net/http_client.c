/* Calls: each asks one server after the other until one answers. Connections are the links of a
 * pool a server; a call takes a free one or waits in line, its time-out running. */
#include "common/net/http_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/net/http_client_private.h"

#define LINES_IDLE_MS 15000
#define MAX_CALLS 256 /* under way and waiting, one client, unless told */

struct http_call {
    struct http_client *client;
    struct list node;    /* client->calls */
    struct list waiting; /* pool->waiting, while no link is free */
    struct http_link *link;
    unsigned server;    /* asked now, or last */
    struct timer timer; /* time-out of this server; or, with is_over, the call's end */
    bool is_over;       /* refused within http_client_call(): only done() is left */
    bool in_done;
    int64_t start_us;
    enum err e; /* of the last server */
    unsigned status;
    struct buf_writer body;
    int answered; /* the server that status and body are from; -1 = none */
    void (*done)(void *arg, const struct http_reply *reply);
    void *arg;
    char method[8];
    char *path_query, *request_body; /* owned */
    struct http_client_header headers[HTTP_CLIENT_HEADERS];
    char *values[HTTP_CLIENT_HEADERS]; /* owned: of the headers */
    bool tried[];                      /* one a server */
};

static void call_next(struct http_call *call);

static void call_free(struct http_call *call)
{
    timer_stop(&call->timer);
    buf_writer_fini(&call->body);
    for (unsigned i = 0; i < HTTP_CLIENT_HEADERS; i++)
        free(call->values[i]);
    free(call->path_query);
    free(call->request_body);
    free(call);
}

static void call_unlink(struct http_call *call)
{
    list_remove(&call->node);
    list_remove(&call->waiting);
    call->client->n_calls--;
}

/* Takes call. */
static void call_finish(struct http_call *call)
{
    bool has_answer = call->answered >= 0;
    unsigned server = has_answer ? (unsigned)call->answered : call->server;
    char url[sizeof call->client->servers.list->url];
    struct http_reply reply = {.e = has_answer ? E_OK : call->e,
                               .status = has_answer ? call->status : 0,
                               .body = buf_writer_view(&call->body),
                               .server = url,
                               .took_us = clock_mono_us() - call->start_us};

    /* A copy: done() may destroy the client and still look at the reply. */
    snprintf(url, sizeof url, "%s", call->client->servers.list[server].url);
    call_unlink(call);
    call->in_done = true;
    call->done(call->arg, &reply);
    call_free(call);
}

/* --- pool --- */

static void start_on(struct http_link *link, struct http_call *call)
{
    struct http_request request = {.method = call->method,
                                   .path_query = call->path_query,
                                   .body = call->request_body,
                                   .headers = call->headers,
                                   .n_headers = HTTP_CLIENT_HEADERS};

    link->owner = call;
    call->link = link;
    http_link_start(link, &request);
}

static struct http_link *find_free_link(struct http_pool *pool, unsigned n_links)
{
    struct http_link *found = NULL;

    for (unsigned i = 0; i < n_links; i++) {
        struct http_link *link = &pool->links[i];

        if (!link->owner && http_link_is_connected(link))
            return link;
        if (!link->owner && !found)
            found = link;
    }
    return found;
}

/* The link has no call any more; the next in line gets it. */
static void release_link(struct http_pool *pool, struct http_link *link)
{
    struct list *node = list_pop_front(&pool->waiting);

    link->owner = NULL;
    if (node)
        start_on(link, list_entry(node, struct http_call, waiting));
}

/* Takes the call off its server, whatever it does there. */
static void leave_server(struct http_call *call)
{
    struct http_link *link = call->link;

    timer_stop(&call->timer);
    list_remove(&call->waiting);
    call->link = NULL;
    if (!link)
        return;
    http_link_stop(link);
    release_link(&call->client->pools[call->server], link);
}

/* --- one server after the other --- */

/* The server's turn is over. e is E_OK when it answered, status and body being set. May free call.
 */
static void server_done(struct http_call *call, enum err e, unsigned status,
                        struct buf_writer *body)
{
    struct http_upstreams *servers = &call->client->servers;

    call->e = e;
    if (e == E_OK) { /* a 503 is kept: it is the answer if no other server has a better one */
        buf_writer_fini(&call->body);
        call->body = *body;
        call->status = status;
        call->answered = (int)call->server;
    }
    if (e == E_OK && status != 503) {
        http_upstreams_answered(servers, call->server);
        call_finish(call);
        return;
    }
    http_upstreams_failed(servers, call->server, loop_now_us(call->client->loop), e, status);
    call_next(call);
}

static void on_link_result(struct http_link *link)
{
    struct http_call *call = link->owner;
    struct buf_writer body = link->body; /* taken, since the next call may start on the link */
    enum err e = link->e;
    unsigned status = link->status;

    buf_writer_init(&link->body, SIZE_MAX);
    timer_stop(&call->timer);
    call->link = NULL;
    release_link(&call->client->pools[call->server], link);
    if (e != E_OK)
        buf_writer_fini(&body);
    server_done(call, e, status, &body);
}

static void on_call_timer(struct timer *timer)
{
    struct http_call *call = list_entry(timer, struct http_call, timer);

    if (call->is_over) {
        call_finish(call);
        return;
    }
    leave_server(call);
    server_done(call, E_TIMEOUT, 0, NULL);
}

static void call_next(struct http_call *call)
{
    struct http_client *client = call->client;
    int at = http_upstreams_pick(&client->servers, loop_now_us(client->loop), call->tried);
    struct http_link *link;

    if (at < 0) {
        call_finish(call);
        return;
    }
    call->server = (unsigned)at;
    call->tried[at] = true;
    timer_start_ms(&call->timer, client->servers.list[at].target.timeout_ms);
    link = find_free_link(&client->pools[at], client->n_links);
    if (link)
        start_on(link, call);
    else
        list_push_back(&client->pools[at].waiting, &call->waiting);
}

/* --- public --- */

bool http_client_path_is_valid(const char *path_query)
{
    if (path_query[0] != '/')
        return false;
    for (const char *c = path_query; *c;
         c++) { /* a blank or a line break would make another request */
        if ((unsigned char)*c <= 0x20 || *c == 0x7f)
            return false;
    }
    return true;
}

/* False when out of memory. */
static bool call_copy(struct http_call *call, const struct http_client_request *request)
{
    snprintf(call->method, sizeof call->method, "%s", request->method);
    call->path_query = strdup(request->path_query);
    call->request_body = request->body ? strdup(request->body) : NULL;
    for (unsigned i = 0; i < HTTP_CLIENT_HEADERS; i++) {
        const struct http_client_header *header = &request->headers[i];

        if (!header->name)
            continue;
        call->values[i] = strdup(header->value);
        call->headers[i] = (struct http_client_header){header->name, call->values[i]};
        if (!call->values[i])
            return false;
    }
    return call->path_query && (!request->body || call->request_body);
}

static struct http_call *call_new(struct http_client *client,
                                  const struct http_client_request *request)
{
    struct http_call *call = calloc(1, sizeof *call + client->servers.n * sizeof call->tried[0]);

    if (!call)
        return NULL;
    call->client = client;
    call->answered = -1;
    call->start_us = clock_mono_us();
    timer_init(&call->timer, client->loop, on_call_timer);
    list_init(&call->node);
    list_init(&call->waiting);
    buf_writer_init(&call->body, SIZE_MAX);
    if (!call_copy(call, request)) {
        call_free(call);
        return NULL;
    }
    return call;
}

struct http_call *http_client_send(struct http_client *client,
                                   const struct http_client_request *request,
                                   void (*done)(void *arg, const struct http_reply *reply),
                                   void *arg)
{
    struct http_call *call = call_new(client, request);

    if (!call)
        return NULL;
    call->done = done;
    call->arg = arg;
    list_push_back(&client->calls, &call->node);
    if (!http_client_path_is_valid(request->path_query))
        call->e = E_INVAL;
    else if (client->n_calls >= client->max_calls)
        call->e = E_LIMIT;
    client->n_calls++;
    if (call->e != E_OK) {
        call->is_over = true;
        call->server = client->servers.current;
        timer_start_ms(&call->timer, 0);
    } else {
        call_next(call); /* every result comes from a later turn */
    }
    return call;
}

struct http_call *http_client_call(struct http_client *client, const char *method,
                                   const char *path_query, const char *body,
                                   void (*done)(void *arg, const struct http_reply *reply),
                                   void *arg)
{
    struct http_client_request request = {.method = method, .path_query = path_query, .body = body};

    return http_client_send(client, &request, done, arg);
}

void http_call_cancel(struct http_call **ref)
{
    struct http_call *call = *ref;

    *ref = NULL;
    if (!call || call->in_done)
        return;
    leave_server(call);
    call_unlink(call);
    call_free(call);
}

const char *http_client_server(const struct http_client *client)
{
    int at = http_upstreams_pick(&client->servers, loop_now_us(client->loop), NULL);

    return client->servers.list[at].url;
}

const char *http_client_first(const struct http_client *client)
{
    return client->servers.list[0].url;
}

void http_client_prefer(struct http_client *client, const char *url)
{
    http_upstreams_prefer(&client->servers, url);
}

struct http_client *http_client_create(struct loop *loop, const struct http_client_conf *conf,
                                       const char **why)
{
    struct http_client *client = calloc(1, sizeof *client);

    *why = err_text(E_NOMEM);
    if (!client)
        return NULL;
    client->loop = loop;
    client->max_calls = conf->max_calls ? conf->max_calls : MAX_CALLS;
    client->n_links = conf->n_links ? conf->n_links : HTTP_CLIENT_LINKS;
    if (client->n_links > HTTP_CLIENT_MAX_LINKS)
        client->n_links = HTTP_CLIENT_MAX_LINKS;
    client->lines_idle_ms = conf->lines_idle_ms > 0 ? conf->lines_idle_ms : LINES_IDLE_MS;
    list_init(&client->calls);
    list_init(&client->lines);
    if (http_upstreams_init(&client->servers, conf, why) != E_OK)
        goto fail;
    client->pools = calloc(client->servers.n, sizeof *client->pools);
    if (!client->pools) {
        *why = err_text(E_NOMEM);
        goto fail;
    }
    for (unsigned i = 0; i < client->servers.n; i++) {
        list_init(&client->pools[i].waiting);
        for (unsigned k = 0; k < client->n_links; k++) {
            struct http_link *link = &client->pools[i].links[k];

            http_link_init(link, loop, &client->servers.list[i].target);
            link->on_result = on_link_result;
        }
    }
    return client;
fail:
    http_upstreams_fini(&client->servers);
    free(client);
    return NULL;
}

enum err http_client_set_token(struct http_client *client, const char *bearer_token)
{
    return http_upstreams_set_token(&client->servers, bearer_token);
}

void http_client_destroy(struct http_client **ref)
{
    struct http_client *client = *ref;
    struct list *node;

    *ref = NULL;
    if (!client)
        return;
    while ((node = list_pop_front(&client->lines)) != NULL)
        http_lines_drop(node);
    for (unsigned i = 0; i < client->servers.n; i++) {
        for (unsigned k = 0; k < client->n_links; k++)
            http_link_fini(&client->pools[i].links[k]);
    }
    while ((node = list_pop_front(&client->calls)) != NULL)
        call_free(list_entry(node, struct http_call, node));
    http_upstreams_fini(&client->servers);
    free(client->pools);
    free(client);
}
