/* evhttp with its edges taken off. What is worked around here, all of libevent 2.1:
 * - the request callback may run inside evhttp_make_request() and evhttp goes on using the
 * connection after it, so results are noted and told from a timer, the only place where ev is
 * freed;
 * - a failed connect gives a request with response code 0, later failures give NULL after error_cb;
 * - freeing a connection during its name look-up leaves the look-up behind, which then connects and
 *   leaks the socket: names are resolved by net_resolve() and evhttp only sees numbers;
 * - under TLS a failed handshake looks like a connection that the server closed, and records that
 *   OpenSSL has read ahead are not seen, so it must not;
 * - its read time-out also ends idle connections, so it is set well above the caller's own. */
#include "common/net/http_link.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/http.h>

#include "common/net/http_client.h"
#include "common/net/tls_private.h"

#define MAX_HEADER_BYTES 16384
#define EVHTTP_TIMEOUT_MS \
    50000 /* how long an idle connection is kept; at least 1 s above target's */
#define STREAM_BATCH_BYTES (1u << 20) /* of a stream between two turns */

static void begin_request(struct http_link *link);

static void finish(struct http_link *link, enum err e)
{
    link->e = e;
    link->state = HTTP_LINK_FINISHED;
    timer_start_ms(&link->later, 0);
}

/* What was asked may not have left this machine: nobody is to get it once the caller has asked
 * somebody else, not even when a network comes back a minute later. A reset takes it back. */
static void take_back(const struct http_link *link)
{
    static const struct linger k_reset = {.l_onoff = 1, .l_linger = 0};
    int fd = link->ev ? bufferevent_getfd(evhttp_connection_get_bufferevent(link->ev)) : -1;

    if (fd >= 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &k_reset, sizeof k_reset);
}

static void drop_connection(struct http_link *link)
{
    net_resolve_cancel(&link->resolve);
    if (link->ev) {
        evhttp_connection_set_closecb(link->ev, NULL, NULL);
        evhttp_connection_free(link->ev); /* with its request, without calling back */
    }
    link->ev = NULL;
    link->closed = false;
}

/* --- what evhttp calls: only notes, see the top --- */

static void on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg)
{
    struct http_link *link = arg;

    (void)input;
    if (info->n_added > 0)
        link->got_bytes = true;
}

static void on_closed(struct evhttp_connection *ev, void *arg)
{
    struct http_link *link = arg;

    (void)ev;
    link->closed = true;
}

static const struct {
    enum evhttp_request_error code;
    enum err e;
} k_request_errors[] = {
    {EVREQ_HTTP_TIMEOUT, E_TIMEOUT},       {EVREQ_HTTP_EOF, E_IO},
    {EVREQ_HTTP_INVALID_HEADER, E_PROTO},  {EVREQ_HTTP_BUFFER_ERROR, E_NOMEM},
    {EVREQ_HTTP_DATA_TOO_LONG, E_TOO_BIG},
};

static void on_request_error(enum evhttp_request_error code, void *arg)
{
    struct http_link *link = arg;

    link->e = E_IO;
    for (size_t i = 0; i < sizeof k_request_errors / sizeof k_request_errors[0]; i++) {
        if (k_request_errors[i].code == code)
            link->e = k_request_errors[i].e;
    }
}

/* Moves what evhttp has read of the answer into body. */
static enum err take_body(struct http_link *link, struct evhttp_request *req)
{
    struct evbuffer *input = evhttp_request_get_input_buffer(req);
    size_t size_bytes = evbuffer_get_length(input);
    uint8_t *room;

    if (size_bytes == 0)
        return E_OK;
    room = buf_writer_reserve(&link->body, size_bytes);
    if (!room)
        return buf_writer_status(&link->body);
    evbuffer_remove(input, room, size_bytes);
    return E_OK;
}

/* Why a connection failed: TLS says more than evhttp does. Logged, as nobody else can, but not
 * again and again. */
static enum err tls_error_of(const struct http_link *link, enum err otherwise)
{
    struct bufferevent *bev = evhttp_connection_get_bufferevent(link->ev);
    unsigned long code = link->target->tls ? bufferevent_get_openssl_error(bev) : 0;
    struct tls_failure failure;
    SSL *ssl;

    if (code == 0)
        return otherwise;
    ssl = bufferevent_openssl_get_ssl(bev);
    failure = tls_failure_of_code(ssl, code);
    if (link->target->failed)
        tls_count_failure(&failure);
    else if (SSL_is_init_finished(ssl))
        tls_report_broken(&failure, link->target->host_header, ssl);
    else
        tls_report_handshake(&failure, link->target->host_header, ssl);
    return failure.e;
}

static void on_request_done(struct evhttp_request *req, void *arg)
{
    struct http_link *link = arg;
    enum err e = link->e != E_OK ? link->e : E_IO;

    if (req && evhttp_request_get_response_code(req) != 0) {
        link->status = (unsigned)evhttp_request_get_response_code(req);
        e = take_body(link, req);
    } else {
        link->no_connect = req != NULL;
        e = tls_error_of(link, e);
    }
    if (e != E_OK)
        link->status = 0;
    finish(link, e);
}

static int on_stream_head(struct evhttp_request *req, void *arg)
{
    struct http_link *link = arg;

    link->status = (unsigned)evhttp_request_get_response_code(req);
    return 0;
}

static void on_stream_chunk(struct evhttp_request *req, void *arg)
{
    struct http_link *link = arg;

    if (link->status != 200 || buf_writer_status(&link->body) != E_OK)
        return;           /* the text of an error is not part of the stream; evhttp drops it */
    take_body(link, req); /* a failure is seen by on_later() */
    timer_start_ms(&link->later, 0);
}

/* --- results --- */

/* True when the request was started once more: the server closed the kept connection before or
 * while we asked, or the host has another address. */
static bool try_again(struct http_link *link)
{
    if (link->reused && !link->got_bytes && link->e == E_IO) {
        drop_connection(link);
        begin_request(link);
        return true;
    }
    if (link->no_connect && ++link->addr_at < link->n_addrs) {
        drop_connection(link);
        link->e = E_OK;
        link->state = HTTP_LINK_RESOLVING; /* as if the next address had just been found */
        timer_start_ms(&link->later, 0);
        return true;
    }
    return false;
}

static void connect_and_send(struct http_link *link);

/* Whose on_bytes() runs on this thread; http_link_fini() takes it away. */
static _Thread_local const struct http_link *t_calling;

/* False when the link is gone or idle after it. */
static bool deliver_stream(struct http_link *link)
{
    struct buf_writer bytes = link->body;
    bool stays;

    buf_writer_init(&link->body, STREAM_BATCH_BYTES);
    t_calling = link;
    if (bytes.used_bytes > 0)
        link->on_bytes(link, buf_writer_view(&bytes));
    stays = t_calling == link;
    t_calling = NULL;
    if (stays && bytes.failed != E_OK && link->state != HTTP_LINK_IDLE)
        finish(link, bytes.failed);
    buf_writer_fini(&bytes);
    return stays && link->state == HTTP_LINK_FINISHED;
}

static void on_later(struct timer *timer)
{
    struct http_link *link = list_entry(timer, struct http_link, later);

    if (link->state == HTTP_LINK_RESOLVING) {
        connect_and_send(link);
        return;
    }
    if (link->request.is_stream && !deliver_stream(link))
        return;
    if (link->e != E_OK && try_again(link))
        return;
    if (link->e != E_OK || link->request.is_stream)
        drop_connection(link);
    timer_stop(&link->later);
    link->state = HTTP_LINK_IDLE;
    link->on_result(link); /* last statement: link may be gone */
}

/* --- sending --- */

static const struct {
    const char *name;
    enum evhttp_cmd_type type;
} k_methods[] = {
    {"GET", EVHTTP_REQ_GET},
    {"POST", EVHTTP_REQ_POST},
    {"DELETE", EVHTTP_REQ_DELETE},
};

static enum evhttp_cmd_type method_type(const char *name)
{
    for (size_t i = 0; i < sizeof k_methods / sizeof k_methods[0]; i++) {
        if (strcmp(k_methods[i].name, name) == 0)
            return k_methods[i].type;
    }
    assert(false && "unknown method");
    return EVHTTP_REQ_GET;
}

/* False when out of memory. */
static bool fill_request(struct http_link *link, struct evhttp_request *req)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
    const char *body = link->request.body;
    char length[24];

    if (evhttp_add_header(headers, "Host", link->target->host_header) != 0)
        return false;
    if (link->target->authorization[0] &&
        evhttp_add_header(headers, "Authorization", link->target->authorization) != 0)
        return false;
    for (unsigned i = 0; i < link->request.n_headers; i++) {
        const struct http_client_header *header = &link->request.headers[i];

        if (header->name && evhttp_add_header(headers, header->name, header->value) != 0)
            return false;
    }
    if (!body)
        return true;
    /* evhttp gives DELETE no length by itself. */
    snprintf(length, sizeof length, "%zu", strlen(body));
    return evhttp_add_header(headers, "Content-Length", length) == 0 &&
           evhttp_add_header(headers, "Content-Type", "application/json") == 0 &&
           evbuffer_add(evhttp_request_get_output_buffer(req), body, strlen(body)) == 0;
}

static void send_request(struct http_link *link)
{
    struct evhttp_request *req = evhttp_request_new(on_request_done, link);

    link->state = HTTP_LINK_BUSY;
    link->got_bytes = link->no_connect = false;
    link->e = E_OK;
    link->status = 0;
    if (!req || !fill_request(link, req)) {
        if (req)
            evhttp_request_free(req);
        finish(link, E_NOMEM);
        return;
    }
    evhttp_request_set_error_cb(req, on_request_error);
    if (link->request.is_stream) {
        evhttp_request_set_header_cb(req, on_stream_head);
        evhttp_request_set_chunked_cb(req, on_stream_chunk);
    }
    if (evhttp_make_request(link->ev, req, method_type(link->request.method),
                            link->request.path_query) != 0)
        finish(link, E_NOMEM); /* evhttp has freed req */
}

/* Returns what evhttp is to send through, or NULL. */
static struct bufferevent *make_bufferevent(const struct http_link *link)
{
    struct event_base *base = loop_base(link->loop);
    struct bufferevent *bev;
    SSL *ssl;

    if (!link->target->tls)
        return bufferevent_socket_new(base, -1, 0);
    ssl = tls_client_session(link->target->tls, link->target->host);
    if (!ssl)
        return NULL;
    SSL_set_read_ahead(ssl, 0); /* libevent would not see the records behind the first */
    bev = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_CONNECTING,
                                         BEV_OPT_CLOSE_ON_FREE); /* ssl goes with it */
    if (!bev)
        SSL_free(ssl);
    return bev;
}

/* Makes a connection to the current address; evhttp connects when it gets the request. */
static bool make_connection(struct http_link *link)
{
    const struct addr *a = &link->addrs[link->addr_at];
    int64_t timeout_ms = link->target->timeout_ms + 1000;
    char text[ADDR_TEXT_SIZE], host[ADDR_TEXT_SIZE];
    struct bufferevent *bev;
    struct timeval tv;
    unsigned port;

    if (addr_split(addr_format(a, text), host, sizeof host, &port, 0) != E_OK)
        return false;
    bev = make_bufferevent(link);
    if (!bev)
        return false;
    link->ev = evhttp_connection_base_bufferevent_new(loop_base(link->loop), NULL, bev, host,
                                                      (uint16_t)port);
    if (!link->ev) {
        bufferevent_free(bev);
        return false;
    }
    if (timeout_ms < EVHTTP_TIMEOUT_MS)
        timeout_ms = EVHTTP_TIMEOUT_MS;
    tv = (struct timeval){timeout_ms / 1000, timeout_ms % 1000 * 1000};
    evhttp_connection_set_timeout_tv(link->ev, &tv);
    evhttp_connection_set_retries(link->ev, 0);
    evhttp_connection_set_max_headers_size(link->ev, MAX_HEADER_BYTES);
    if (!link->request.is_stream)
        evhttp_connection_set_max_body_size(link->ev, (ssize_t)link->target->max_body_bytes);
    evhttp_connection_set_closecb(link->ev, on_closed, link);
    return evbuffer_add_cb(bufferevent_get_input(evhttp_connection_get_bufferevent(link->ev)),
                           on_input, link) != NULL;
}

static void connect_and_send(struct http_link *link)
{
    link->reused = false;
    if (make_connection(link))
        send_request(link);
    else
        finish(link, E_NOMEM);
}

static void on_resolved(void *arg, enum err e, const struct addr *addrs, unsigned n_addrs)
{
    struct http_link *link = arg;

    link->resolve = NULL;
    if (e != E_OK) {
        finish(link, e);
        return;
    }
    link->n_addrs = n_addrs < HTTP_LINK_ADDRS ? n_addrs : HTTP_LINK_ADDRS;
    link->addr_at = 0;
    memcpy(link->addrs, addrs, link->n_addrs * sizeof *addrs);
    connect_and_send(link);
}

static void begin_request(struct http_link *link)
{
    if (link->closed)
        drop_connection(link);
    if (link->ev) {
        link->reused = true;
        send_request(link);
        return;
    }
    link->state = HTTP_LINK_RESOLVING;
    link->no_connect = link->reused = false;
    link->resolve =
        net_resolve(link->loop, link->target->host, link->target->port, on_resolved, link);
    if (!link->resolve)
        finish(link, E_NOMEM);
}

void http_link_start(struct http_link *link, const struct http_request *request)
{
    assert(link->state == HTTP_LINK_IDLE);
    link->request = *request;
    buf_writer_fini(&link->body);
    buf_writer_init(&link->body, request->is_stream ? STREAM_BATCH_BYTES : SIZE_MAX);
    begin_request(link);
}

bool http_link_is_connected(const struct http_link *link)
{
    return link->ev && !link->closed;
}

void http_link_stop(struct http_link *link)
{
    timer_stop(&link->later);
    if (link->state == HTTP_LINK_BUSY)
        take_back(link);
    if (link->state != HTTP_LINK_IDLE)
        drop_connection(link);
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
    if (t_calling == link)
        t_calling = NULL;
    http_link_stop(link);
    drop_connection(link);
}
