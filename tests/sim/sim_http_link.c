/* Stands in for common/net/http_link.c, which is written for libevent's evhttp: the same states,
 * the same results from a later turn, one more try on a kept connection that turns out to be
 * closed. The bytes are read by proto/http. */
#include "common/net/http_link.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/net/conn.h"
#include "proto/http/http.h"
#include "tests/sim/sim_http.h"
#include "tests/sim/sim_loop.h"

#define MAX_HEAD_BYTES 16384
#define FOREVER_MS 3600000 /* the owner has the time-outs */

struct sim_http_watch sim_http_watch;

struct io { /* a connection; kept where http_link.c keeps that of evhttp */
    struct conn *conn;
    struct buf_writer in; /* not parsed yet */
    struct http_body body;
    bool has_head;
};

static struct io *io_of(const struct http_link *link)
{
    return (struct io *)(void *)link->ev;
}

static void tell_ended(const struct http_link *link)
{
    const char *body = link->request.body ? link->request.body : "";
    struct sim_http_call call = {
        .client = sim_loop_process(link->loop),
        .server = sim_host_by_address(link->target->host, strlen(link->target->host)),
        .method = link->request.method,
        .path_query = link->request.path_query,
        .request = buf_view_str(body),
        .answer = buf_writer_view(&link->body),
        .status = link->e == E_OK ? link->status : 0,
    };

    if (sim_http_watch.on_ended)
        sim_http_watch.on_ended(&call);
}

static void finish(struct http_link *link, enum err e)
{
    link->e = e;
    link->state = HTTP_LINK_FINISHED;
    timer_start_ms(&link->later, 0);
}

static void drop_connection(struct http_link *link)
{
    struct io *io = io_of(link);

    link->ev = NULL;
    if (!io)
        return;
    conn_close(&io->conn);
    buf_writer_fini(&io->in);
    free(io);
}

/* --- reading --- */

/* E_AGAIN: more is to come. E_END: the answer is complete. */
static enum err parse(struct http_link *link)
{
    struct io *io = io_of(link);
    struct buf_reader in = buf_reader_from(buf_writer_view(&io->in));
    struct http_head head;
    struct http_error error;
    struct buf_view piece;
    enum err e = E_OK;

    if (!io->has_head) {
        e = http_parse_response(&in, MAX_HEAD_BYTES, &head, &error);
        if (e != E_OK)
            return e;
        io->has_head = true;
        link->status = head.status;
        http_body_init(&io->body, &head, false);
    }
    while ((e = http_body_next(&io->body, &in, &piece)) == E_OK)
        buf_write_view(&link->body, piece);
    buf_writer_consume(&io->in, io->in.used_bytes - in.left_bytes);
    return e;
}

static void on_readable(struct conn *conn, void *arg)
{
    struct http_link *link = arg;
    struct buf_view got;
    enum err e;

    while ((e = conn_read(conn, &got)) == E_OK) {
        link->got_bytes = true;
        buf_write_view(&io_of(link)->in, got);
    }
    if (link->state == HTTP_LINK_BUSY) {
        enum err parsed = link->got_bytes ? parse(link) : E_AGAIN;

        if (parsed == E_END)
            finish(link, E_OK);
        else if (parsed != E_AGAIN)
            finish(link, parsed);
        else if (e == E_CLOSED)
            finish(link, link->request.is_stream && link->status ? E_OK : E_IO);
        else if (link->request.is_stream && link->body.used_bytes)
            timer_start_ms(&link->later, 0);
    }
    if (e == E_CLOSED)
        drop_connection(link);
}

static void on_connected(struct conn *conn, void *arg, enum err e)
{
    struct http_link *link = arg;

    (void)conn;
    if (e == E_OK)
        return;
    drop_connection(link);
    finish(link, e);
}

static const struct conn_ops k_ops = {.on_readable = on_readable, .on_connected = on_connected};

/* --- results --- */

static void begin_request(struct http_link *link);

static bool try_again(struct http_link *link)
{
    if (!link->reused || link->got_bytes || link->e != E_IO)
        return false;
    drop_connection(link);
    begin_request(link);
    return true;
}

/* Whose on_bytes() runs now; http_link_fini() takes it away. */
static const struct http_link *calling;

/* False when the link is gone or idle after it, or its answer goes on. */
static bool deliver_stream(struct http_link *link)
{
    struct buf_writer bytes = link->body;
    bool stays;

    buf_writer_init(&link->body, SIZE_MAX);
    calling = link;
    if (bytes.used_bytes > 0 && link->status == 200)
        link->on_bytes(link, buf_writer_view(&bytes));
    stays = calling == link;
    calling = NULL;
    buf_writer_fini(&bytes);
    return stays && link->state == HTTP_LINK_FINISHED;
}

static void on_later(struct timer *timer)
{
    struct http_link *link = list_entry(timer, struct http_link, later);

    if (link->request.is_stream && !deliver_stream(link))
        return;
    if (link->e != E_OK && try_again(link))
        return;
    tell_ended(link);
    if (link->e != E_OK || link->request.is_stream)
        drop_connection(link);
    timer_stop(&link->later);
    link->state = HTTP_LINK_IDLE;
    link->on_result(link); /* last statement: link may be gone */
}

/* --- requests --- */

static struct io *connect_to(struct http_link *link)
{
    struct io *io = calloc(1, sizeof *io);
    char text[ADDR_TEXT_SIZE];
    struct addr peer;

    snprintf(text, sizeof text, "%.40s:%u", link->target->host, link->target->port);
    if (!io || addr_parse(&peer, text) != E_OK)
        abort();
    buf_writer_init(&io->in, SIZE_MAX);
    io->conn = conn_connect(link->loop, &peer, FOREVER_MS, SIZE_MAX, &k_ops, link);
    return io;
}

static void send_request(struct http_link *link)
{
    const struct http_request *r = &link->request;
    struct buf_writer out;

    buf_writer_init(&out, SIZE_MAX);
    buf_printf(&out, "%s %s HTTP/1.1\r\nHost: %s\r\n", r->method, r->path_query,
               link->target->host_header);
    if (link->target->authorization[0])
        buf_printf(&out, "Authorization: %s\r\n", link->target->authorization);
    if (r->body)
        buf_printf(&out, "Content-Length: %zu\r\nContent-Type: application/json\r\n",
                   strlen(r->body));
    buf_write_str(&out, "\r\n");
    buf_write_str(&out, r->body ? r->body : "");
    (void)conn_write(io_of(link)->conn, buf_writer_view(&out)); /* its end is seen by reading */
    buf_writer_fini(&out);
}

static void begin_request(struct http_link *link)
{
    struct io *io = io_of(link);

    link->reused = io != NULL;
    if (!io)
        link->ev = (struct evhttp_connection *)(void *)(io = connect_to(link));
    io->has_head = false;
    link->state = HTTP_LINK_BUSY;
    link->got_bytes = false;
    link->e = E_OK;
    link->status = 0;
    send_request(link);
}

void http_link_start(struct http_link *link, const struct http_request *request)
{
    assert(link->state == HTTP_LINK_IDLE);
    link->request = *request;
    buf_writer_clear(&link->body);
    begin_request(link);
}

bool http_link_is_connected(const struct http_link *link)
{
    return link->ev != NULL;
}

void http_link_stop(struct http_link *link)
{
    timer_stop(&link->later);
    if (link->state != HTTP_LINK_IDLE) {
        link->e = E_CLOSED;
        tell_ended(link);
        drop_connection(link);
    }
    link->state = HTTP_LINK_IDLE;
    buf_writer_fini(&link->body);
}

void http_link_init(struct http_link *link, struct loop *loop, const struct http_target *target)
{
    *link = (struct http_link){.loop = loop, .target = target};
    timer_init(&link->later, loop, on_later);
    buf_writer_init(&link->body, SIZE_MAX);
}

void http_link_fini(struct http_link *link)
{
    if (calling == link)
        calling = NULL;
    http_link_stop(link);
    drop_connection(link);
}
