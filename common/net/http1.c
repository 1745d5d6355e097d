/* HTTP/1 on a connection: one exchange after the other, and the text of answers. */
#include <assert.h>
#include <string.h>

#include "common/net/http_server_private.h"

/* A peer that goes on sending after its last request is read up to here, so that its end is seen.
 */
#define MAX_DROPPED_BYTES (256u << 10)
#define JOIN_BYTES 16384 /* what is no more goes out in one write */
/* Of shared memory: two small writes, or a gathered one, cost more than copying this much. */
#define COPY_BYTES 4096
#define MAX_IOV 64

static struct http_exchange *first_exchange(const struct http_inbound *inbound)
{
    return list_is_empty(&inbound->exchanges)
               ? NULL
               : list_entry(inbound->exchanges.next, struct http_exchange, node);
}

/* --- answers --- */

/* A connection without a request is left to its time-out: one may be on its way. */
static bool is_last_of_leaving(const struct http_inbound *inbound)
{
    return inbound->is_leaving && inbound->reading == HTTP_READING_HEAD &&
           inbound->n_exchanges == 1 && inbound->in.used_bytes == 0;
}

static void begin(struct http_exchange *x, const struct http_reply *reply)
{
    struct buf_writer *out = http_inbound_out(x->inbound);

    if (reply->is_endless && x->minor_version == 0)
        x->close = true;
    if (is_last_of_leaving(x->inbound)) {
        x->close = true;
        x->inbound->reading = HTTP_READING_OFF;
    }
    buf_write_str(out, "HTTP/1.1 ");
    buf_write_decimal(out, reply->status);
    buf_write_u8(out, ' ');
    buf_write_str(out, http_status_text(reply->status));
    buf_write_str(out, "\r\n");
    http_write_fields(x, reply, out);
    if (reply->is_endless && x->minor_version > 0)
        buf_write_str(out, "Transfer-Encoding: chunked\r\n");
    if (x->close)
        buf_write_str(out, "Connection: close\r\n");
    else if (x->minor_version == 0)
        buf_write_str(out, "Connection: keep-alive\r\n");
    buf_write_str(out, "\r\n");
}

/* Sends what was written, then more; or leaves that to advance(), so that answers to requests that
 * came together go out together. */
static enum err send_out(struct http_inbound *inbound, struct buf_view more)
{
    struct buf_writer *out = http_inbound_out(inbound);

    if (out->used_bytes + more.size_bytes > JOIN_BYTES)
        return http_inbound_write(inbound, more);
    buf_write_view(out, more);
    return E_OK;
}

static enum err write_body(struct http_exchange *x, struct buf_view bytes)
{
    struct http_inbound *inbound = x->inbound;
    bool is_chunk =
        x->phase == HTTP_PHASE_STREAMING && x->minor_version > 0 && bytes.size_bytes > 0;
    enum err e;

    if (is_chunk)
        buf_printf(http_inbound_out(inbound), "%zx\r\n", bytes.size_bytes);
    e = send_out(inbound, bytes);
    if (e == E_OK && is_chunk)
        e = send_out(inbound, buf_view_str("\r\n"));
    if (e == E_OK && x->phase == HTTP_PHASE_STREAMING)
        e = http_inbound_flush(inbound);
    return e;
}

/* The exchange is answered: the next one's turn. */
static void finish(struct http_exchange *x)
{
    struct http_inbound *inbound = x->inbound;

    if (x->close)
        inbound->reading = HTTP_READING_OFF;
    inbound->wait = HTTP_WAIT_NONE;
    http_exchange_destroy(&x);
    k_http1.advance(inbound);
}

static void end(struct http_exchange *x)
{
    struct http_inbound *inbound = x->inbound;

    if (x->phase == HTTP_PHASE_STREAMING && !inbound->dead && !x->is_head && x->minor_version > 0)
        (void)http_inbound_write(inbound, buf_view_str("0\r\n\r\n"));
    finish(x);
}

static struct conn *take(struct http_exchange *x)
{
    struct http_inbound *inbound = x->inbound;
    struct conn *conn = NULL;

    if (http_inbound_flush(inbound) == E_OK && !inbound->dead) {
        conn = inbound->conn;
        inbound->conn = NULL;
        if (inbound->paused)
            conn_set_reading(conn, true);
        http_count_taken();
    }
    inbound->dead = true;
    http_exchange_destroy(&x);
    return conn;
}

/* --- shared memory --- */

static struct iovec iov_of(struct buf_view view)
{
    union {
        const uint8_t *borrowed;
        void *base; /* struct iovec has no const; sending does not write there */
    } u = {view.data};

    return (struct iovec){u.base, view.size_bytes};
}

/* Fills iov with what comes first of left; *asked_bytes is its sum. */
static int gather(struct http_sending left, struct iovec *iov, int n_iov, size_t *asked_bytes)
{
    while (left.left_bytes > 0 && n_iov < MAX_IOV) {
        struct buf_view piece = http_sending_piece(&left);

        iov[n_iov++] = iov_of(piece);
        *asked_bytes += piece.size_bytes;
        http_sending_move(&left, piece.size_bytes);
    }
    return n_iov;
}

/* One gathered send of what was collected and the parts behind it. E_AGAIN: the rest later. */
static enum err send_some(struct http_exchange *x)
{
    struct http_inbound *inbound = x->inbound;
    struct buf_writer *out = http_inbound_out(inbound);
    size_t head_bytes = out->used_bytes, asked_bytes = head_bytes, sent_bytes;
    struct iovec iov[MAX_IOV];
    int n_iov = 0;
    enum err e = buf_writer_status(out);

    if (e != E_OK)
        return e;
    if (head_bytes > 0)
        iov[n_iov++] = iov_of(buf_writer_view(out));
    n_iov = gather(x->sending, iov, n_iov, &asked_bytes);
    e = conn_send_iov(inbound->conn, iov, n_iov, asked_bytes, &sent_bytes);
    if (e != E_OK && e != E_AGAIN)
        return e;
    if (sent_bytes > 0)
        inbound->wait = HTTP_WAIT_NONE; /* the time-out begins anew */
    buf_writer_consume(out, sent_bytes);
    if (sent_bytes < head_bytes)
        return http_inbound_flush(inbound) == E_OK ? E_AGAIN : E_CLOSED;
    http_sending_move(&x->sending, sent_bytes - head_bytes);
    return sent_bytes < asked_bytes ? E_AGAIN : E_OK;
}

/* True when all is sent: x is gone. */
static bool send_shared(struct http_exchange *x)
{
    enum err e = E_OK;

    while (e == E_OK && x->sending.left_bytes > 0)
        e = send_some(x);
    if (e == E_AGAIN)
        return false;
    if (e != E_OK) {
        x->inbound->dead = true;
    } else if (http_sending_ask(x)) {
        (void)http_inbound_flush(x->inbound); /* the head alone, before the first piece */
        return false;
    }
    finish(x);
    return true;
}

static void begin_shared(struct http_exchange *x)
{
    struct http_sending *s = &x->sending;

    while (s->left_bytes > 0 && s->left_bytes <= COPY_BYTES) {
        struct buf_view piece = http_sending_piece(s);

        buf_write_view(http_inbound_out(x->inbound), piece);
        http_sending_move(s, piece.size_bytes);
    }
    (void)send_shared(x);
}

static void advance(struct http_inbound *inbound);

static void resume(struct http_exchange *x)
{
    advance(x->inbound);
}

static void cut(struct http_exchange *x)
{
    x->inbound->dead = true;
}

/* --- one exchange after the other --- */

/* False when there is nothing to do for the first exchange, or no room for its answer. */
static bool serve_first(struct http_inbound *inbound)
{
    struct http_exchange *x = first_exchange(inbound);

    if (inbound->dead || !x || conn_queued_bytes(inbound->conn) > 0)
        return false;
    if (x->phase == HTTP_PHASE_READY)
        http_inbound_dispatch(inbound, x);
    else
        return x->phase == HTTP_PHASE_SENDING && send_shared(x);
    return true;
}

static void advance(struct http_inbound *inbound)
{
    if (inbound->advancing)
        return; /* further up the stack it goes on */
    inbound->advancing = true;
    do {
        struct http_exchange *x;

        while (serve_first(inbound))
            continue;
        x = first_exchange(inbound);
        if (!inbound->dead && x && x->phase == HTTP_PHASE_RECEIVING && x->expect_continue) {
            x->expect_continue = false;
            (void)http_inbound_write(inbound, buf_view_str("HTTP/1.1 100 Continue\r\n\r\n"));
        }
    } while (!inbound->dead && http1_has_room(inbound) && http1_parse_kept(inbound));
    (void)http_inbound_flush(inbound);
    inbound->advancing = false;
}

static bool wants_bytes(const struct http_inbound *inbound)
{
    /* Back-pressure: nothing is read while max_pipelined requests wait. */
    return inbound->reading == HTTP_READING_BODY ||
           (inbound->reading == HTTP_READING_HEAD && http1_has_room(inbound)) ||
           (inbound->reading == HTTP_READING_OFF && inbound->dropped_bytes < MAX_DROPPED_BYTES);
}

static enum http_wait wanted_wait(const struct http_inbound *inbound)
{
    const struct http_exchange *x = first_exchange(inbound);

    if (inbound->reading == HTTP_READING_BODY)
        return HTTP_WAIT_BODY;
    if (inbound->reading == HTTP_READING_HEAD && http1_has_room(inbound) &&
        http1_has_begun_head(inbound))
        return HTTP_WAIT_HEAD;
    if (!x)
        return inbound->has_served ? HTTP_WAIT_IDLE : HTTP_WAIT_FIRST;
    return x->phase == HTTP_PHASE_READY || x->phase == HTTP_PHASE_SENDING ? HTTP_WAIT_DRAIN
                                                                          : HTTP_WAIT_NONE;
}

static void on_timeout(struct http_inbound *inbound)
{
    if (inbound->wait == HTTP_WAIT_HEAD || inbound->wait == HTTP_WAIT_BODY) {
        http1_refuse(inbound, inbound->receiving, HTTP_BAD_TIMEOUT, 408,
                     "request not complete in time");
        buf_writer_fini(&inbound->in);
        advance(inbound);
        return;
    }
    if (inbound->wait == HTTP_WAIT_DRAIN)
        http_inbound_report(inbound, HTTP_BAD_SLOW_READER, 0, "answer not taken in time",
                            (uint64_t)inbound->server->limits.idle_timeout_ms);
    inbound->dead = true;
}

/* The peer sends no more. What it asked is still answered, but for what a handler has put off: most
 * peers that end their side are gone. */
static void on_peer_end(struct http_inbound *inbound)
{
    struct http_exchange *x = first_exchange(inbound);

    if (inbound->reading == HTTP_READING_BODY ||
        (inbound->reading == HTTP_READING_HEAD && http1_has_room(inbound) &&
         http1_has_begun_head(inbound)))
        http_inbound_report(inbound, HTTP_BAD_TRUNCATED, 0, "request cut off by the peer", 0);
    if (x && http_exchange_is_dispatched(x))
        inbound->dead = true;
    if (inbound->receiving)
        http_exchange_destroy(&inbound->receiving);
    inbound->reading = HTTP_READING_OFF;
    buf_writer_fini(&inbound->in);
}

static void say_goodbye(struct http_inbound *inbound, bool is_gentle)
{
    inbound->is_leaving = true;
    inbound->dead |= !is_gentle;
}

static bool is_over(const struct http_inbound *inbound)
{
    return inbound->reading == HTTP_READING_OFF && list_is_empty(&inbound->exchanges);
}

static void fini(struct http_inbound *inbound)
{
    buf_writer_fini(&inbound->in);
}

const struct http_version k_http1 = {
    .receive = http1_receive,
    .advance = advance,
    .wants_bytes = wants_bytes,
    .wanted_wait = wanted_wait,
    .on_timeout = on_timeout,
    .on_peer_end = on_peer_end,
    .say_goodbye = say_goodbye,
    .is_over = is_over,
    .fini = fini,
    .begin = begin,
    .write = write_body,
    .send = begin_shared,
    .resume = resume,
    .cut = cut,
    .end = end,
    .take = take,
};
