/* Answers: whole ones, problems (RFC 9457), endless ones, and the connection itself. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/utf8.h"
#include "common/net/http_server_private.h"

#define DETAIL_SIZE 512

/* RFC 9110, section 5.6.7; English names whatever the locale. */
static const char *date_text(struct http_server *server)
{
    static const char k_days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char k_months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now_s = (time_t)(clock_wall_us() / 1000000);
    struct tm tm;

    if (now_s == server->date_s || !gmtime_r(&now_s, &tm))
        return server->date;
    snprintf(server->date, sizeof server->date, "%s, %02u %s %04u %02u:%02u:%02u GMT",
             k_days[(unsigned)tm.tm_wday % 7], (unsigned)tm.tm_mday % 100,
             k_months[(unsigned)tm.tm_mon % 12], ((unsigned)tm.tm_year + 1900) % 10000,
             (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
    server->date_s = now_s;
    return server->date;
}

bool http_has_no_content(unsigned status)
{
    return status < 200 || status == 204 || status == 304;
}

static void write_field(struct buf_writer *out, const char *name, const char *value)
{
    if (!value)
        return;
    buf_write_str(out, name);
    buf_write_str(out, value);
    buf_write_str(out, "\r\n");
}

/* A request that is refused for its own faults has no route to speak of. */
static void tell_guard(struct http_exchange *x, unsigned status)
{
    const struct http_guard *guard = x->inbound->server->guard;

    if (guard && guard->on_answer && x->route && !x->refused_status)
        guard->on_answer(x, x->route, status, guard->arg);
}

/* It cannot hold CR or LF: the parser let none in. */
void http_write_cors(struct buf_writer *out, enum http_cors cors, const char *origin)
{
    write_field(out, "Access-Control-Allow-Origin: ",
                cors == HTTP_CORS_ALL   ? "*"
                : cors == HTTP_CORS_ONE ? origin
                                        : NULL);
    write_field(out, "Vary: ", cors == HTTP_CORS_ALL ? NULL : "Origin"); /* to caches */
}

enum http_cors http_cors_of(const struct http_exchange *x)
{
    const struct http_server *server = x->inbound->server;

    return server->cors_allows ? server->cors_allows(server->cors_arg, http_header(x, "Origin"))
                               : HTTP_CORS_ALL;
}

void http_write_fields(struct http_exchange *x, const struct http_reply *reply,
                       struct buf_writer *out)
{
    write_field(out, "Date: ", date_text(x->inbound->server));
    write_field(out, "Content-Type: ", reply->content_type);
    if (!reply->is_endless && !http_has_no_content(reply->status)) {
        buf_write_str(out, "Content-Length: ");
        buf_write_decimal(out, reply->length_bytes);
        buf_write_str(out, "\r\n");
    }
    write_field(out, "ETag: ", reply->etag);
    write_field(out, "Cache-Control: ", reply->cache_control);
    write_field(out, "Accept-Ranges: ", reply->has_ranges ? "bytes" : NULL);
    if (x->cors)
        http_write_cors(out, http_cors_of(x), http_header(x, "Origin"));
    buf_write_view(out, buf_writer_view(&x->headers));
    if (buf_writer_status(&x->headers) != E_OK)
        out->failed = buf_writer_status(&x->headers);
    http_count_answer(reply->status);
    tell_guard(x, reply->status);
}

void http_add_header(struct http_exchange *x, const char *name, const char *value)
{
    bool is_safe = !strpbrk(name, "\r\n") && !strpbrk(value, "\r\n");

    assert(is_safe);
    if (is_safe)
        buf_printf(&x->headers, "%s: %s\r\n", name, value);
}

void http_respond(struct http_exchange *x, unsigned status, const char *content_type,
                  struct buf_view body)
{
    struct http_inbound *inbound = x->inbound;
    struct http_reply reply = {
        .status = status, .content_type = content_type, .length_bytes = body.size_bytes};

    assert(x->phase == HTTP_PHASE_RUNNING);
    http_inbound_enter(inbound);
    if (!inbound->dead) {
        inbound->version->begin(x, &reply);
        if (!x->is_head && !http_has_no_content(status))
            (void)inbound->version->write(x, body);
    }
    inbound->version->end(x);
    http_inbound_leave(inbound);
}

void http_write_problem(struct buf_writer *out, unsigned status, const char *detail)
{
    buf_printf(out, "{\"status\":%u,\"title\":\"%s\",\"detail\":\"", status,
               http_status_text(status));
    utf8_write_json(out, detail);
    buf_write_str(out, "\"}\n");
}

void http_respond_problem(struct http_exchange *x, unsigned status, const char *format, ...)
{
    char detail[DETAIL_SIZE];
    struct buf_writer body;
    va_list args;

    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    buf_writer_init(&body, 8 * DETAIL_SIZE);
    http_write_problem(&body, status, detail);
    http_respond(x, status, "application/problem+json", buf_writer_view(&body));
    buf_writer_fini(&body);
}

/* --- endless answers --- */

/* The exchange stays, also when a write failed: on_gone follows. */
static void leave_to_timer(struct http_inbound *inbound)
{
    if (inbound->dead && inbound->depth == 0)
        timer_start_ms(&inbound->timer, 0);
}

void http_stream_begin(struct http_exchange *x, unsigned status, const char *content_type)
{
    struct http_inbound *inbound = x->inbound;
    struct http_reply reply = {.status = status, .content_type = content_type, .is_endless = true};

    assert(x->phase == HTTP_PHASE_RUNNING && !http_has_no_content(status));
    x->phase = HTTP_PHASE_STREAMING;
    if (!inbound->dead) {
        inbound->version->begin(x, &reply);
        (void)inbound->version->write(x, buf_view_str(""));
    }
    leave_to_timer(inbound);
}

enum err http_stream_write(struct http_exchange *x, struct buf_view bytes)
{
    struct http_inbound *inbound = x->inbound;
    enum err e;

    assert(x->phase == HTTP_PHASE_STREAMING);
    if (inbound->dead)
        return E_CLOSED;
    if (x->is_head || bytes.size_bytes == 0) /* an empty chunk would be the end */
        return E_OK;
    e = inbound->version->write(x, bytes);
    leave_to_timer(inbound);
    return e;
}

void http_stream_end(struct http_exchange *x)
{
    struct http_inbound *inbound = x->inbound;

    assert(x->phase == HTTP_PHASE_STREAMING);
    http_inbound_enter(inbound);
    inbound->version->end(x);
    http_inbound_leave(inbound);
}

/* --- the connection itself --- */

struct conn *http_take_upload(struct http_exchange *x, struct http_body *body,
                              struct buf_writer *rest)
{
    struct http_inbound *inbound = x->inbound;

    *body = inbound->body;
    buf_write_view(rest, buf_writer_view(&inbound->in));
    return http_take_conn(x);
}

struct conn *http_take_conn(struct http_exchange *x)
{
    struct http_inbound *inbound = x->inbound;
    bool is_forwarded = x->client != NULL;
    struct addr client = *http_peer_addr(x);
    struct conn *conn;

    assert(x->phase == HTTP_PHASE_RUNNING);
    http_inbound_enter(inbound);
    conn = inbound->version->take(x);
    http_inbound_leave(inbound);
    if (conn && is_forwarded && conn_set_peer(conn, &client) != E_OK)
        conn_close(&conn);
    return conn;
}
