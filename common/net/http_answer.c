/* Answers: whole ones, problems (RFC 9457), endless ones, and the connection itself. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/utf8.h"
#include "common/net/http_server_private.h"

#define JOIN_BYTES 16384 /* what is no more goes out in one write */
#define DETAIL_SIZE 512

enum framing { FRAMING_LENGTH, FRAMING_CHUNKED, FRAMING_UNTIL_CLOSE };

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

static bool has_no_content(unsigned status)
{
    return status < 200 || status == 204 || status == 304;
}

static void write_head(struct http_exchange *x, unsigned status, const char *content_type,
                       enum framing framing, size_t length_bytes)
{
    struct buf_writer *out = http_inbound_out(x->inbound);

    buf_printf(out, "HTTP/1.1 %u %s\r\nDate: %s\r\n", status, http_status_text(status),
               date_text(x->inbound->server));
    if (content_type)
        buf_printf(out, "Content-Type: %s\r\n", content_type);
    if (framing == FRAMING_CHUNKED)
        buf_write_str(out, "Transfer-Encoding: chunked\r\n");
    else if (framing == FRAMING_LENGTH && !has_no_content(status))
        buf_printf(out, "Content-Length: %zu\r\n", length_bytes);
    if (x->close)
        buf_write_str(out, "Connection: close\r\n");
    else if (x->minor_version == 0)
        buf_write_str(out, "Connection: keep-alive\r\n");
    if (x->cors)
        buf_write_str(out, "Access-Control-Allow-Origin: *\r\n");
    buf_write_view(out, buf_writer_view(&x->headers));
    buf_write_str(out, "\r\n");
    if (buf_writer_status(&x->headers) != E_OK)
        out->failed = buf_writer_status(&x->headers);
    http_count_answer(status);
}

/* Sends what was written, then more; or leaves that to http_inbound_advance(), so that answers to
 * requests that came together go out together. */
static enum err send_out(struct http_inbound *inbound, struct buf_view more)
{
    struct buf_writer *out = http_inbound_out(inbound);

    if (out->used_bytes + more.size_bytes > JOIN_BYTES)
        return http_inbound_write(inbound, more);
    buf_write_view(out, more);
    return E_OK;
}

/* The exchange is answered: the next one's turn. Between enter and leave. */
static void finish(struct http_exchange *x)
{
    struct http_inbound *inbound = x->inbound;

    if (x->close)
        inbound->reading = HTTP_READING_OFF;
    inbound->wait = HTTP_WAIT_NONE;
    http_exchange_destroy(&x);
    http_inbound_advance(inbound);
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

    assert(x->phase == HTTP_PHASE_RUNNING);
    http_inbound_enter(inbound);
    if (!inbound->dead) {
        write_head(x, status, content_type, FRAMING_LENGTH, body.size_bytes);
        if (x->is_head || has_no_content(status))
            body = buf_view_str("");
        (void)send_out(inbound, body);
    }
    finish(x);
    http_inbound_leave(inbound);
}

/* RFC 8259, section 7; what is not UTF-8 becomes a replacement character. */
static void write_json_text(struct buf_writer *out, const char *text)
{
    struct buf_reader r = buf_reader_from(buf_view_str(text));

    while (r.left_bytes) {
        struct buf_reader start = r;
        uint32_t code_point;

        if (utf8_read(&r, &code_point) != E_OK) {
            (void)buf_take(&r, 1);
            buf_write_str(out, "\\ufffd");
        } else if (code_point < ' ' || code_point == 0x7f) {
            buf_printf(out, "\\u%04x", (unsigned)code_point);
        } else {
            if (code_point == '"' || code_point == '\\')
                buf_write_u8(out, '\\');
            buf_write(out, start.at, start.left_bytes - r.left_bytes);
        }
    }
}

void http_write_problem(struct buf_writer *out, unsigned status, const char *detail)
{
    buf_printf(out, "{\"status\":%u,\"title\":\"%s\",\"detail\":\"", status,
               http_status_text(status));
    write_json_text(out, detail);
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

void http_stream_begin(struct http_exchange *x, unsigned status, const char *content_type)
{
    struct http_inbound *inbound = x->inbound;
    bool chunked = x->minor_version > 0;

    assert(x->phase == HTTP_PHASE_RUNNING && !has_no_content(status));
    http_inbound_enter(inbound);
    x->phase = HTTP_PHASE_STREAMING;
    if (!chunked)
        x->close = true;
    if (!inbound->dead) {
        write_head(x, status, content_type, chunked ? FRAMING_CHUNKED : FRAMING_UNTIL_CLOSE, 0);
        (void)http_inbound_flush(inbound);
    }
    inbound->depth--; /* x stays, also when the write failed: on_gone follows */
    if (inbound->dead && inbound->depth == 0)
        timer_start_ms(&inbound->timer, 0);
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
    if (x->minor_version > 0) {
        buf_printf(http_inbound_out(inbound), "%zx\r\n", bytes.size_bytes);
        e = send_out(inbound, bytes);
        if (e == E_OK)
            e = send_out(inbound, buf_view_str("\r\n"));
        if (e == E_OK)
            e = http_inbound_flush(inbound);
    } else {
        e = http_inbound_write(inbound, bytes);
    }
    if (inbound->dead && inbound->depth == 0)
        timer_start_ms(&inbound->timer, 0);
    return e;
}

void http_stream_end(struct http_exchange *x)
{
    struct http_inbound *inbound = x->inbound;

    assert(x->phase == HTTP_PHASE_STREAMING);
    http_inbound_enter(inbound);
    if (!inbound->dead && !x->is_head && x->minor_version > 0)
        (void)http_inbound_write(inbound, buf_view_str("0\r\n\r\n"));
    finish(x);
    http_inbound_leave(inbound);
}

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
    struct conn *conn = NULL;

    assert(x->phase == HTTP_PHASE_RUNNING);
    http_inbound_enter(inbound);
    if (http_inbound_flush(inbound) == E_OK && !inbound->dead) {
        conn = inbound->conn;
        inbound->conn = NULL;
        if (inbound->paused)
            conn_set_reading(conn, true);
        http_count_taken();
    }
    inbound->dead = true;
    http_exchange_destroy(&x);
    http_inbound_leave(inbound);
    return conn;
}
