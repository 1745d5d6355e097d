/* One request: its own copy of the head in one block of memory, and what handlers ask about it. */
#include <assert.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/net/http_server_private.h"

#define MAX_ANSWER_HEADERS_BYTES 16384

static struct http_exchange *exchange_alloc(struct http_inbound *inbound, unsigned n_fields,
                                            size_t text_bytes)
{
    struct http_exchange *x = calloc(1, sizeof *x + n_fields * sizeof x->fields[0] + text_bytes);

    if (!x)
        return NULL;
    list_init(&x->node);
    list_init(&x->turn);
    x->inbound = inbound;
    x->method = x->path = x->query = "";
    x->minor_version = 1;
    buf_writer_init(&x->body, SIZE_MAX); /* http_server.c holds max_body_bytes */
    buf_writer_init(&x->headers, MAX_ANSWER_HEADERS_BYTES);
    buf_writer_init(&x->out, HTTP_ANSWER_QUEUE_BYTES);
    return x;
}

struct http_exchange *http_exchange_create_bare(struct http_inbound *inbound)
{
    return exchange_alloc(inbound, 0, 0);
}

/* The bytes of source were copied to copy: ends text there with a zero. A byte that is not part of
 * any text follows each one in a head. Static texts of the parser are used as they are. */
static const char *text_in_copy(char *copy, struct buf_view source, struct buf_view text)
{
    size_t offset = (size_t)((uintptr_t)text.data - (uintptr_t)source.data);

    if ((uintptr_t)text.data < (uintptr_t)source.data || offset >= source.size_bytes)
        return (const char *)text.data;
    copy[offset + text.size_bytes] = '\0';
    return copy + offset;
}

static enum err set_path(struct http_exchange *x, const struct http_head *head, char *room,
                         struct buf_view *query, const char **why)
{
    size_t room_bytes = head->target.size_bytes + 1;

    *query = buf_view_str("");
    x->path = room;
    x->path_parts = room + room_bytes;
    if (buf_view_equals(head->target, "*")) {
        memcpy(room, "*", 2);
        return E_OK;
    }
    if (http_split_target(head->target, room, room_bytes, query, why) != E_OK) {
        x->path = "";
        return E_INVAL;
    }
    memcpy(x->path_parts, x->path, strlen(x->path) + 1);
    return E_OK;
}

enum err http_exchange_create(struct http_inbound *inbound, const struct http_head *head,
                              struct buf_view head_bytes, struct http_exchange **out,
                              const char **why)
{
    size_t text_bytes = head_bytes.size_bytes + 2 * (head->target.size_bytes + 1);
    struct http_exchange *x = exchange_alloc(inbound, head->n_fields, text_bytes);
    struct buf_view query;
    char *copy;
    enum err e;

    if (!x)
        return E_NOMEM;
    copy = (char *)&x->fields[head->n_fields];
    memcpy(copy, head_bytes.data, head_bytes.size_bytes);
    e = set_path(x, head, copy + head_bytes.size_bytes, &query, why);
    x->method = text_in_copy(copy, head_bytes, head->method);
    x->query = e == E_OK ? text_in_copy(copy, head_bytes, query) : "";
    for (unsigned i = 0; i < head->n_fields; i++) {
        x->fields[i].name = text_in_copy(copy, head_bytes, head->fields[i].name);
        x->fields[i].value = text_in_copy(copy, head_bytes, head->fields[i].value);
    }
    x->n_fields = head->n_fields;
    x->minor_version = head->minor_version;
    x->is_head = strcmp(x->method, "HEAD") == 0;
    x->close = !head->keep_alive;
    x->expect_continue = head->expect_continue;
    *out = x;
    return e;
}

void http_exchange_destroy(struct http_exchange **x_ref)
{
    struct http_exchange *x = *x_ref;
    struct http_text *text;

    *x_ref = NULL;
    http_shared_done(x);
    if (!list_is_empty(&x->node)) {
        list_remove(&x->node);
        x->inbound->n_exchanges--;
    }
    list_remove(&x->turn);
    x->inbound->body_bytes -= x->body.used_bytes;
    x->inbound->copied_bytes -= x->out.used_bytes - x->out_sent_bytes;
    while ((text = x->texts) != NULL) {
        x->texts = text->next;
        free(text);
    }
    free(x->client);
    buf_writer_fini(&x->body);
    buf_writer_fini(&x->headers);
    buf_writer_fini(&x->out);
    free(x);
}

void http_exchange_abandon(struct http_exchange **x_ref)
{
    struct http_exchange *x = *x_ref;
    const struct http_guard *guard = x->inbound->server->guard;

    if (guard && guard->on_answer && x->route && x->phase == HTTP_PHASE_RUNNING && x->inbound->conn)
        guard->on_answer(x, x->route, 0, guard->arg);
    if (http_exchange_is_dispatched(x) && x->on_gone)
        x->on_gone(x, x->on_gone_arg);
    http_exchange_destroy(x_ref);
}

/* --- what handlers ask --- */

const char *http_method(const struct http_exchange *x)
{
    return x->method;
}

const char *http_path(const struct http_exchange *x)
{
    return x->path;
}

const char *http_query(const struct http_exchange *x)
{
    return x->query;
}

const char *http_query_arg(struct http_exchange *x, const char *key)
{
    size_t size_bytes = strlen(x->query) + 1;
    struct http_text *text = malloc(sizeof *text + size_bytes);

    if (!text)
        return NULL;
    if (http_query_get(buf_view_str(x->query), key, text->text, size_bytes) != E_OK) {
        free(text);
        return NULL;
    }
    text->next = x->texts;
    x->texts = text;
    return text->text;
}

const char *http_path_arg(struct http_exchange *x, const char *key)
{
    for (unsigned i = 0; i < x->n_args; i++)
        if (buf_view_equals(x->args[i].key, key))
            return x->args[i].value;
    return NULL;
}

const char *http_header(const struct http_exchange *x, const char *name)
{
    for (unsigned i = 0; i < x->n_fields; i++)
        if (strcasecmp(x->fields[i].name, name) == 0)
            return x->fields[i].value;
    return NULL;
}

void http_request_head(const struct http_exchange *x, struct http_head *out)
{
    *out = (struct http_head){.method = buf_view_str(x->method), .minor_version = x->minor_version};
    for (; out->n_fields < x->n_fields; out->n_fields++)
        out->fields[out->n_fields] =
            (struct http_field){buf_view_str(x->fields[out->n_fields].name),
                                buf_view_str(x->fields[out->n_fields].value)};
    out->upgrade = http_field_has_token(out, "Connection", "Upgrade");
}

struct buf_view http_body(const struct http_exchange *x)
{
    return buf_writer_view(&x->body);
}

const char *http_peer(const struct http_exchange *x)
{
    return x->client ? x->client->text : conn_peer(x->inbound->conn);
}

bool http_is_tls(const struct http_exchange *x)
{
    return x->client ? x->client->is_tls : conn_is_tls(x->inbound->conn);
}

const struct addr *http_peer_addr(const struct http_exchange *x)
{
    return x->client ? &x->client->peer : conn_peer_addr(x->inbound->conn);
}

bool http_is_forwarded(const struct http_exchange *x)
{
    return x->client != NULL;
}

bool http_peer_has_left(const struct http_exchange *x)
{
    struct pollfd pfd = {.fd = conn_fd(x->inbound->conn), .events = POLLRDHUP};

    return poll(&pfd, 1, 0) > 0;
}

struct loop *http_loop(const struct http_exchange *x)
{
    return x->inbound->server->loop;
}

bool http_is_head(const struct http_exchange *x)
{
    return x->is_head;
}

bool http_expects_continue(const struct http_exchange *x)
{
    return x->expect_continue;
}

void http_set_pending(struct http_exchange *x, void (*on_gone)(struct http_exchange *x, void *arg),
                      void *arg)
{
    x->on_gone = on_gone;
    x->on_gone_arg = arg;
}
