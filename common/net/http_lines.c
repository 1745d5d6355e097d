/* The long answer that is cut into lines, on a connection of its own. */
#include "common/net/http_client.h"

#include <stdlib.h>
#include <string.h>

#include "common/net/http_client_private.h"

#define MAX_LINE_BYTES 65536

struct http_lines {
    struct list node; /* client->lines */
    struct http_client *client;
    struct http_link link;
    unsigned server;
    struct timer idle;      /* without a byte; also until the first one */
    struct buf_writer line; /* the beginning of one whose end has not come */
    char *path_query;
    void (*on_line)(void *arg, struct buf_view line);
    void (*on_end)(void *arg, enum err e);
    void *arg;
    bool answered; /* bytes of a 200 came */
    bool in_end;
};

/* Whose on_line() runs on this thread; lines_free() takes it away. */
static _Thread_local const struct http_lines *t_calling;

static void lines_free(struct http_lines *l)
{
    if (t_calling == l)
        t_calling = NULL;
    list_remove(&l->node);
    timer_stop(&l->idle);
    http_link_fini(&l->link);
    buf_writer_fini(&l->line);
    free(l->path_query);
    free(l);
}

/* Takes l. */
static void lines_end(struct http_lines *l, enum err e)
{
    list_remove(&l->node); /* out of the client, which on_end() may destroy */
    timer_stop(&l->idle);
    http_link_stop(&l->link);
    l->in_end = true;
    l->on_end(l->arg, e);
    lines_free(l);
}

static void lines_fail(struct http_lines *l, enum err e, unsigned status)
{
    http_upstreams_failed(&l->client->servers, l->server, loop_now_us(l->client->loop), e, status);
    lines_end(l, e);
}

/* False when l is gone. Lends one line to the owner. */
static bool give_line(struct http_lines *l, struct buf_view line)
{
    bool stays;

    if (line.size_bytes > 0 && line.data[line.size_bytes - 1] == '\r')
        line.size_bytes--;
    t_calling = l;
    l->on_line(l->arg, line);
    stays = t_calling == l;
    t_calling = NULL;
    return stays;
}

/* False when l is gone. The view ends with a line's end. */
static bool complete_line(struct http_lines *l, struct buf_view view)
{
    struct buf_writer whole = l->line;
    bool stays;

    if (whole.used_bytes == 0)
        return give_line(l, view);
    buf_write_view(&whole, view);
    buf_writer_init(&l->line, MAX_LINE_BYTES);
    if (buf_writer_status(&whole) != E_OK) {
        lines_end(l, buf_writer_status(&whole));
        stays = false;
    } else {
        stays = give_line(l, buf_writer_view(&whole));
    }
    buf_writer_fini(&whole);
    return stays;
}

static void on_bytes(struct http_link *link, struct buf_view bytes)
{
    struct http_lines *l = link->owner;
    struct buf_reader in = buf_reader_from(bytes);
    const uint8_t *end;

    if (!l->answered)
        http_upstreams_answered(&l->client->servers, l->server);
    l->answered = true;
    timer_start_ms(&l->idle, l->client->lines_idle_ms);
    while (in.left_bytes > 0 && (end = memchr(in.at, '\n', in.left_bytes)) != NULL) {
        struct buf_view line = buf_take(&in, (size_t)(end - in.at));

        buf_take(&in, 1);
        if (line.size_bytes > MAX_LINE_BYTES) {
            lines_end(l, E_TOO_BIG);
            return;
        }
        if (!complete_line(l, line))
            return;
    }
    buf_write_view(&l->line, buf_rest(&in));
    if (buf_writer_status(&l->line) != E_OK)
        lines_end(l, buf_writer_status(&l->line));
}

static const struct {
    unsigned status;
    enum err e;
} k_refusals[] = {{401, E_DENIED}, {403, E_DENIED}, {404, E_NOT_FOUND}};

static void on_result(struct http_link *link)
{
    struct http_lines *l = link->owner;

    if (link->e != E_OK) {
        lines_fail(l, link->e, 0);
        return;
    }
    if (link->status == 200) {
        lines_end(l, E_END);
        return;
    }
    for (size_t i = 0; i < sizeof k_refusals / sizeof k_refusals[0]; i++) {
        if (k_refusals[i].status == link->status) {
            lines_end(l, k_refusals[i].e); /* the next server would say the same */
            return;
        }
    }
    lines_fail(l, E_IO, link->status);
}

static void on_idle(struct timer *timer)
{
    lines_fail(list_entry(timer, struct http_lines, idle), E_TIMEOUT, 0);
}

struct http_lines *http_client_lines(struct http_client *client, const char *path_query,
                                     void (*on_line)(void *arg, struct buf_view line),
                                     void (*on_end)(void *arg, enum err e), void *arg)
{
    struct http_lines *l = http_client_path_is_valid(path_query) ? calloc(1, sizeof *l) : NULL;
    struct http_request request = {.method = "GET", .is_stream = true};

    if (!l)
        return NULL;
    l->path_query = strdup(path_query);
    if (!l->path_query) {
        free(l);
        return NULL;
    }
    l->client = client;
    l->on_line = on_line;
    l->on_end = on_end;
    l->arg = arg;
    l->server = (unsigned)http_upstreams_pick(&client->servers, loop_now_us(client->loop), NULL);
    list_push_back(&client->lines, &l->node);
    buf_writer_init(&l->line, MAX_LINE_BYTES);
    timer_init(&l->idle, client->loop, on_idle);
    timer_start_ms(&l->idle, l->client->lines_idle_ms);
    http_link_init(&l->link, client->loop, &client->servers.list[l->server].target);
    l->link.on_result = on_result;
    l->link.on_bytes = on_bytes;
    l->link.owner = l;
    request.path_query = l->path_query;
    http_link_start(&l->link, &request);
    return l;
}

void http_lines_close(struct http_lines **lines)
{
    struct http_lines *l = *lines;

    *lines = NULL;
    if (l && !l->in_end)
        lines_free(l);
}

void http_lines_drop(struct list *node)
{
    lines_free(list_entry(node, struct http_lines, node));
}
