/* Connections of the HTTP server: bytes to exchanges, time-outs, the order of answers. An idle
 * connection holds its two structs and a timer, no buffer. */
#include "common/net/http_server.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/net/http_server_private.h"

/* A peer that goes on sending after its last request is read up to here, so that its end is seen.
 */
#define MAX_DROPPED_BYTES (256u << 10)
#define KEEP_BYTES 65536 /* the writer's memory is given back above this */

const struct http_limits k_http_limits_default = {
    .max_head_bytes = 16 << 10,
    .max_body_bytes = 1 << 20,
    .head_timeout_ms = 10000,
    .body_timeout_ms = 30000,
    .idle_timeout_ms = 60000,
    .max_pipelined = 16,
};

static struct http_exchange *first_exchange(const struct http_inbound *inbound)
{
    return list_is_empty(&inbound->exchanges)
               ? NULL
               : list_entry(inbound->exchanges.next, struct http_exchange, node);
}

static bool is_dispatched(const struct http_exchange *x)
{
    return x->phase == HTTP_PHASE_RUNNING || x->phase == HTTP_PHASE_STREAMING;
}

/* --- exchanges to answers --- */

static enum err write_now(struct http_inbound *inbound, struct buf_view bytes)
{
    enum err e = inbound->dead ? E_CLOSED : conn_write(inbound->conn, bytes);

    if (e == E_SLOW)
        http_inbound_report(inbound, HTTP_BAD_SLOW_READER, 0, "answers queued for a slow reader",
                            HTTP_ANSWER_QUEUE_BYTES);
    if (e != E_OK)
        inbound->dead = true;
    return e;
}

struct buf_writer *http_inbound_out(struct http_inbound *inbound)
{
    struct http_server *server = inbound->server;

    if (server->out_of && server->out_of != inbound)
        (void)http_inbound_flush(server->out_of);
    server->out_of = inbound;
    return &server->out;
}

enum err http_inbound_flush(struct http_inbound *inbound)
{
    struct http_server *server = inbound->server;
    struct buf_writer *out = &server->out;
    enum err e;

    if (server->out_of != inbound)
        return E_OK;
    server->out_of = NULL;
    if (buf_writer_status(out) != E_OK)
        inbound->dead = true;
    e = write_now(inbound, buf_writer_view(out));
    buf_writer_clear(out);
    if (out->capacity_bytes > KEEP_BYTES)
        buf_writer_fini(out);
    return e;
}

enum err http_inbound_write(struct http_inbound *inbound, struct buf_view bytes)
{
    enum err e = http_inbound_flush(inbound);

    return e == E_OK ? write_now(inbound, bytes) : e;
}

static void dispatch(struct http_inbound *inbound, struct http_exchange *x)
{
    x->phase = HTTP_PHASE_RUNNING;
    if (x->refused_status)
        http_respond_problem(x, x->refused_status, "%s", x->refused_text);
    else if (x->route)
        x->route->handle(x, inbound->server->arg);
    else
        http_route_answer_without(x);
}

void http_inbound_advance(struct http_inbound *inbound)
{
    if (inbound->advancing)
        return; /* further up the stack it goes on */
    inbound->advancing = true;
    do {
        struct http_exchange *x = NULL;

        while (!inbound->dead && (x = first_exchange(inbound)) != NULL &&
               x->phase == HTTP_PHASE_READY && conn_queued_bytes(inbound->conn) == 0)
            dispatch(inbound, x);
        if (!inbound->dead && x && x->phase == HTTP_PHASE_RECEIVING && x->expect_continue) {
            x->expect_continue = false;
            (void)http_inbound_write(inbound, buf_view_str("HTTP/1.1 100 Continue\r\n\r\n"));
        }
    } while (!inbound->dead && http_inbound_has_room(inbound) && http_inbound_parse_kept(inbound));
    (void)http_inbound_flush(inbound);
    inbound->advancing = false;
}

/* --- time --- */

static enum http_wait wanted_wait(const struct http_inbound *inbound)
{
    const struct http_exchange *x = first_exchange(inbound);

    if (inbound->reading == HTTP_READING_BODY)
        return HTTP_WAIT_BODY;
    if (inbound->reading == HTTP_READING_HEAD && http_inbound_has_room(inbound) &&
        http_inbound_has_begun_head(inbound))
        return HTTP_WAIT_HEAD;
    if (!x)
        return inbound->has_served ? HTTP_WAIT_IDLE : HTTP_WAIT_FIRST;
    return x->phase == HTTP_PHASE_READY ? HTTP_WAIT_DRAIN : HTTP_WAIT_NONE;
}

static int64_t wait_ms(const struct http_inbound *inbound, enum http_wait wait)
{
    const struct http_limits *limits = &inbound->server->limits;

    if (wait == HTTP_WAIT_FIRST || wait == HTTP_WAIT_HEAD)
        return limits->head_timeout_ms;
    return wait == HTTP_WAIT_BODY ? limits->body_timeout_ms : limits->idle_timeout_ms;
}

static void update_timer(struct http_inbound *inbound)
{
    enum http_wait wanted = wanted_wait(inbound);
    /* The first head is to be complete head_timeout_ms after the connection came. */
    bool runs_on = inbound->wait == HTTP_WAIT_FIRST && wanted == HTTP_WAIT_HEAD;

    if (wanted == HTTP_WAIT_NONE)
        timer_stop(&inbound->timer);
    else if (wanted != inbound->wait && !runs_on)
        timer_start_ms(&inbound->timer, wait_ms(inbound, wanted));
    inbound->wait = wanted;
}

static void on_timer(struct timer *timer)
{
    struct http_inbound *inbound = list_entry(timer, struct http_inbound, timer);

    http_inbound_enter(inbound);
    if (inbound->dead) {
        /* http_stream_write() failed and left the rest to this timer */
    } else if (inbound->wait == HTTP_WAIT_HEAD || inbound->wait == HTTP_WAIT_BODY) {
        http_inbound_refuse(inbound, inbound->receiving, HTTP_BAD_TIMEOUT, 408,
                            "request not complete in time");
        buf_writer_fini(&inbound->in);
        http_inbound_advance(inbound);
    } else {
        inbound->dead = true;
    }
    http_inbound_leave(inbound);
}

/* --- life of an inbound --- */

/* Frees it; a handler that still has an exchange is told. */
static void inbound_destroy(struct http_inbound *inbound)
{
    struct list *node, *tmp;

    assert(inbound->server->out_of != inbound);
    list_for_each_safe(node, tmp, &inbound->exchanges) {
        struct http_exchange *x = list_entry(node, struct http_exchange, node);

        if (is_dispatched(x) && x->on_gone)
            x->on_gone(x, x->on_gone_arg);
        http_exchange_destroy(&x);
    }
    list_remove(&inbound->node);
    timer_stop(&inbound->timer);
    buf_writer_fini(&inbound->in);
    if (inbound->conn)
        conn_close(&inbound->conn);
    free(inbound);
}

/* Back-pressure: nothing is read while max_pipelined requests wait. */
static void update_reading(struct http_inbound *inbound)
{
    bool wanted =
        inbound->reading == HTTP_READING_BODY ||
        (inbound->reading == HTTP_READING_HEAD && http_inbound_has_room(inbound)) ||
        (inbound->reading == HTTP_READING_OFF && inbound->dropped_bytes < MAX_DROPPED_BYTES);

    if (wanted == inbound->paused) {
        inbound->paused = !wanted;
        conn_set_reading(inbound->conn, wanted);
    }
}

void http_inbound_enter(struct http_inbound *inbound)
{
    inbound->depth++;
}

void http_inbound_leave(struct http_inbound *inbound)
{
    if (--inbound->depth > 0)
        return;
    if (!inbound->dead && inbound->reading == HTTP_READING_OFF &&
        list_is_empty(&inbound->exchanges)) {
        conn_close_after_flush(&inbound->conn);
        inbound->dead = true;
    }
    if (inbound->dead) {
        inbound->depth++; /* on_gone may touch its exchange, not free the inbound again */
        inbound_destroy(inbound);
        return;
    }
    update_reading(inbound);
    update_timer(inbound);
}

/* The peer sends no more. What it asked is still answered, but for what a handler has put off: most
 * peers that end their side are gone. */
static void on_peer_end(struct http_inbound *inbound)
{
    struct http_exchange *x = first_exchange(inbound);

    if (inbound->reading == HTTP_READING_BODY ||
        (inbound->reading == HTTP_READING_HEAD && http_inbound_has_room(inbound) &&
         http_inbound_has_begun_head(inbound)))
        http_inbound_report(inbound, HTTP_BAD_TRUNCATED, 0, "request cut off by the peer", 0);
    if (x && is_dispatched(x))
        inbound->dead = true;
    if (inbound->receiving)
        http_exchange_destroy(&inbound->receiving);
    inbound->reading = HTTP_READING_OFF;
    buf_writer_fini(&inbound->in);
}

static void on_readable(struct conn *conn, void *arg)
{
    struct http_inbound *inbound = arg;
    struct buf_view got; /* lent: the loop's scratch buffer, until the next read */
    enum err e = E_AGAIN;

    http_inbound_enter(inbound);
    while (!inbound->dead && !inbound->paused && (e = conn_read(conn, &got)) == E_OK) {
        http_inbound_receive(inbound, got);
        http_inbound_advance(inbound);
        if (!inbound->dead)
            update_reading(inbound);
    }
    if (!inbound->dead && e == E_CLOSED)
        on_peer_end(inbound);
    else if (e != E_OK && e != E_AGAIN)
        inbound->dead = true;
    http_inbound_leave(inbound);
}

static void on_writable(struct conn *conn, void *arg)
{
    struct http_inbound *inbound = arg;

    (void)conn;
    http_inbound_enter(inbound);
    http_inbound_advance(inbound);
    http_inbound_leave(inbound);
}

static void on_error(struct conn *conn, void *arg, enum err e)
{
    struct http_inbound *inbound = arg;

    (void)conn, (void)e;
    http_inbound_enter(inbound);
    inbound->dead = true;
    http_inbound_leave(inbound);
}

static const struct conn_ops k_inbound_ops = {
    .on_readable = on_readable,
    .on_writable = on_writable,
    .on_error = on_error,
};

/* --- public --- */

struct http_server *http_server_create(struct loop *loop, const struct http_limits *limits,
                                       const char *log_area, const struct http_route *routes,
                                       void *arg)
{
    struct http_server *server = calloc(1, sizeof *server);

    if (!server)
        return NULL;
    http_metrics_register();
    server->loop = loop;
    server->limits = *limits;
    server->log_area = log_area;
    server->routes = routes;
    server->arg = arg;
    list_init(&server->inbounds);
    buf_writer_init(&server->out, SIZE_MAX);
    return server;
}

void http_server_charge(struct http_server *server, struct conn_budget *budget)
{
    server->budget = budget;
}

void http_server_destroy(struct http_server **server_ref)
{
    struct http_server *server = *server_ref;

    *server_ref = NULL;
    if (!server)
        return;
    while (!list_is_empty(&server->inbounds)) {
        struct http_inbound *inbound = list_entry(server->inbounds.next, struct http_inbound, node);

        assert(inbound->depth == 0);
        http_inbound_enter(inbound);
        inbound->dead = true;
        http_inbound_leave(inbound);
    }
    buf_writer_fini(&server->out);
    free(server);
}

void http_server_accept(void *server_arg, int fd, const struct addr *peer)
{
    struct http_server *server = server_arg;
    struct http_inbound *inbound = calloc(1, sizeof *inbound);

    if (!inbound) {
        close(fd);
        if (server->budget)
            conn_budget_give(server->budget, peer);
        return;
    }
    inbound->server = server;
    list_init(&inbound->exchanges);
    list_push_back(&server->inbounds, &inbound->node);
    buf_writer_init(&inbound->in, SIZE_MAX); /* a head, or what one read brought */
    timer_init(&inbound->timer, server->loop, on_timer);
    inbound->conn =
        conn_create(server->loop, fd, peer, HTTP_ANSWER_QUEUE_BYTES, &k_inbound_ops, inbound);
    if (inbound->conn)
        conn_charge(inbound->conn, server->budget);
    else if (server->budget)
        conn_budget_give(server->budget, peer);
    http_inbound_enter(inbound);
    inbound->dead = !inbound->conn;
    http_inbound_leave(inbound);
}
