/* Connections of the HTTP server: bytes to exchanges, time-outs, the order of answers. An idle
 * connection holds its two structs and a timer, no buffer. */
#include "common/net/http_server.h"

#include <assert.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/net/http_server_private.h"

const struct http_limits k_http_limits_default = {
    .max_head_bytes = 16 << 10,
    .max_body_bytes = 1 << 20,
    .head_timeout_ms = 10000,
    .body_timeout_ms = 30000,
    .idle_timeout_ms = 60000,
    .max_pipelined = 16,
};

bool http_exchange_is_dispatched(const struct http_exchange *x)
{
    return x->phase == HTTP_PHASE_RUNNING || x->phase == HTTP_PHASE_STREAMING;
}

/* --- exchanges to answers --- */

void http_inbound_report(struct http_inbound *inbound, enum http_bad reason, unsigned status,
                         const char *detail, uint64_t limit)
{
    const char *label = http_count_bad(reason); /* also when the line is not written */

    log_warn(inbound->server->log_area,
             "msg=\"bad request\" peer=%s status=%u %s detail=%s limit=%llu",
             conn_peer(inbound->conn), status, label, LOG_STR(detail), (unsigned long long)limit);
}

uint64_t http_inbound_limit_of(const struct http_inbound *inbound, unsigned status)
{
    const struct http_limits *limits = &inbound->server->limits;

    switch (status) {
    case 408:
        return (uint64_t)(inbound->reading == HTTP_READING_BODY ? limits->body_timeout_ms
                                                                : limits->head_timeout_ms);
    case 413:
        return limits->max_body_bytes;
    case 414:
    case 431:
        return limits->max_head_bytes;
    default:
        return 0;
    }
}

void http_inbound_enqueue(struct http_inbound *inbound, struct http_exchange *x)
{
    list_push_back(&inbound->exchanges, &x->node);
    inbound->n_exchanges++;
    inbound->has_served = true;
    inbound->wait = HTTP_WAIT_NONE;
}

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
    if (out->capacity_bytes > HTTP_OUT_KEEP_BYTES)
        buf_writer_fini(out);
    return e;
}

enum err http_inbound_write(struct http_inbound *inbound, struct buf_view bytes)
{
    enum err e = http_inbound_flush(inbound);

    return e == E_OK ? write_now(inbound, bytes) : e;
}

static void handle(struct http_exchange *x, struct http_server *server)
{
    const struct http_guard *guard = server->guard;

    if (!guard || guard->admit(x, x->route, guard->arg))
        x->route->handle(x, server->arg);
}

void http_inbound_dispatch(struct http_inbound *inbound, struct http_exchange *x)
{
    x->phase = HTTP_PHASE_RUNNING;
    if (!http_learn_client(x))
        http_respond_problem(x, 503, "%s", err_text(E_NOMEM));
    else if (x->refused_status)
        http_respond_problem(x, x->refused_status, "%s", x->refused_text);
    else if (x->route)
        handle(x, inbound->server);
    else
        http_route_answer_without(x);
}

/* --- time --- */

static int64_t wait_ms(const struct http_inbound *inbound, enum http_wait wait)
{
    const struct http_limits *limits = &inbound->server->limits;

    switch (wait) {
    case HTTP_WAIT_NONE:
    case HTTP_WAIT_NOW:
        return 0;
    case HTTP_WAIT_FIRST:
    case HTTP_WAIT_HEAD:
        return limits->head_timeout_ms;
    case HTTP_WAIT_BODY:
        return limits->body_timeout_ms;
    case HTTP_WAIT_CHECK: /* so time-outs of streams are up to a quarter late */
        return (limits->body_timeout_ms < limits->idle_timeout_ms ? limits->body_timeout_ms
                                                                  : limits->idle_timeout_ms) /
               4;
    default:
        return limits->idle_timeout_ms;
    }
}

static void update_timer(struct http_inbound *inbound)
{
    enum http_wait wanted = inbound->version->wanted_wait(inbound);
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
    if (!inbound->dead) /* else a stream's write failed and left the rest to this timer */
        inbound->version->on_timeout(inbound);
    http_inbound_leave(inbound);
}

/* --- life of an inbound --- */

/* Frees it; a handler that still has an exchange is told. */
static void inbound_destroy(struct http_inbound *inbound)
{
    assert(inbound->server->out_of != inbound);
    while (!list_is_empty(&inbound->exchanges)) { /* on_gone may end others of them */
        struct http_exchange *x = list_entry(inbound->exchanges.next, struct http_exchange, node);

        http_exchange_abandon(&x);
    }
    inbound->version->fini(inbound);
    list_remove(&inbound->node);
    timer_stop(&inbound->timer);
    if (inbound->conn)
        conn_close(&inbound->conn);
    free(inbound);
}

static void update_reading(struct http_inbound *inbound)
{
    bool wanted = inbound->version->wants_bytes(inbound);

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
    if (!inbound->dead && inbound->version->is_over(inbound)) {
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

static bool speaks_http2(const struct conn *conn)
{
    return buf_view_equals(conn_alpn(conn), "h2");
}

static void on_readable(struct conn *conn, void *arg)
{
    struct http_inbound *inbound = arg;
    struct buf_view got; /* lent: the loop's scratch buffer, until the next read */
    enum err e = E_AGAIN;

    http_inbound_enter(inbound);
    while (!inbound->dead && !inbound->paused && (e = conn_read(conn, &got)) == E_OK) {
        inbound->version->receive(inbound, got);
        inbound->version->advance(inbound);
        if (!inbound->dead)
            update_reading(inbound);
    }
    if (!inbound->dead && e == E_CLOSED)
        inbound->version->on_peer_end(inbound);
    else if (e != E_OK && e != E_AGAIN)
        inbound->dead = true;
    http_inbound_leave(inbound);
}

static void on_writable(struct conn *conn, void *arg)
{
    struct http_inbound *inbound = arg;

    (void)conn;
    http_inbound_enter(inbound);
    inbound->version->advance(inbound);
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

/* A TLS handshake is done: what did the two agree on? */
static void on_connected(struct conn *conn, void *arg, enum err e)
{
    struct http_inbound *inbound = arg;

    (void)conn;
    http_inbound_enter(inbound);
    if (e != E_OK || (speaks_http2(inbound->conn) && !http2_start(inbound)))
        inbound->dead = true;
    http_inbound_leave(inbound);
}

static const struct conn_ops k_inbound_ops = {
    .on_readable = on_readable,
    .on_writable = on_writable,
    .on_error = on_error,
    .on_connected = on_connected,
};

/* --- public --- */

const char *const k_http_alpn[] = {"h2", "http/1.1"};
const unsigned k_n_http_alpn = sizeof k_http_alpn / sizeof k_http_alpn[0];

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

void http_server_set_trust(struct http_server *server, const struct trust *trust)
{
    server->trust = trust;
}

void http_server_set_cors(struct http_server *server,
                          enum http_cors (*allows)(const void *arg, const char *origin),
                          const void *arg)
{
    server->cors_allows = allows;
    server->cors_arg = arg;
}

void http_server_charge(struct http_server *server, struct conn_budget *budget)
{
    server->budget = budget;
}

void http_server_set_guard(struct http_server *server, const struct http_guard *guard)
{
    server->guard = guard;
}

/* No handler runs: only the inbound that is worked on may end. */
void http_server_drain(struct http_server *server)
{
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &server->inbounds) {
        struct http_inbound *inbound = list_entry(node, struct http_inbound, node);

        http_inbound_enter(inbound);
        if (!inbound->dead)
            inbound->version->say_goodbye(inbound, true);
        http_inbound_leave(inbound);
    }
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
        if (!inbound->dead)
            inbound->version->say_goodbye(inbound, false);
        http_inbound_leave(inbound);
    }
    buf_writer_fini(&server->out);
    free(server);
}

void http_inbound_create(struct http_server *server, struct conn **conn,
                         const struct http_version *version)
{
    struct http_inbound *inbound = calloc(1, sizeof *inbound);

    if (!inbound) {
        conn_close(conn);
        return;
    }
    inbound->server = server;
    inbound->version = &k_http1;
    list_init(&inbound->exchanges);
    list_push_back(&server->inbounds, &inbound->node);
    buf_writer_init(&inbound->in, SIZE_MAX); /* a head, or what one read brought */
    timer_init(&inbound->timer, server->loop, on_timer);
    inbound->conn = *conn;
    *conn = NULL;
    conn_set_ops(inbound->conn, &k_inbound_ops, inbound);
    http_inbound_enter(inbound);
    if (version == &k_http2 && !http2_start(inbound))
        inbound->dead = true;
    http_inbound_leave(inbound);
}

/* While a handshake is under way nothing comes that the wrong version could see. */
void http_server_accept_conn(struct http_server *server, struct conn **conn)
{
    http_inbound_create(server, conn, speaks_http2(*conn) ? &k_http2 : &k_http1);
}

/* Nothing happens to it before http_server_accept_conn() has set its arg. NULL: it is closed. */
static struct conn *make_conn(struct http_server *server, int fd, const struct addr *peer)
{
    struct conn *conn =
        conn_create(server->loop, fd, peer, HTTP_ANSWER_QUEUE_BYTES, &k_inbound_ops, NULL);

    if (conn)
        conn_charge(conn, server->budget);
    else if (server->budget)
        conn_budget_give(server->budget, peer);
    return conn;
}

void http_server_accept(void *server_arg, int fd, const struct addr *peer)
{
    struct http_server *server = server_arg;
    struct conn *conn = make_conn(server, fd, peer);

    if (conn)
        http_server_accept_conn(server, &conn);
}

void http_server_set_tls(struct http_server *server, struct tls_server *tls)
{
    server->tls = tls;
}

void http_server_accept_tls(void *server_arg, int fd, const struct addr *peer)
{
    struct http_server *server = server_arg;
    struct conn *conn = make_conn(server, fd, peer);

    if (conn && conn_start_tls(conn, server->tls) == E_OK)
        http_server_accept_conn(server, &conn);
    else
        conn_close(&conn);
}
