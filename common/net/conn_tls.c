/* A connection's bytes under TLS: OpenSSL straight on the socket. What makes it fit:
 *
 * - A record that the socket does not take is OpenSSL's, and nothing else can be sent before it. So
 *   its bytes count as sent and wait in the connection's private queue, from where they are offered
 *   again; OpenSSL compares lengths, not memory. To who sends shared pages it is as if the socket
 *   had taken them: a viewer may jump to another place behind them.
 * - What OpenSSL has read ahead makes no socket readable. When an owner stops reading before
 *   conn_read() says E_AGAIN, a timer calls it instead.
 * - Sending that waits for bytes, and reading that waits for room, exist only with renegotiation
 *   and post-handshake authentication, which are off, and with key updates (RFC 8446, 4.6.3), which
 *   OpenSSL 3.0 puts off to the next write. They are served all the same: until the socket is ready
 *   for it, the connection does nothing else. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/err.h>

#include "common/net/conn_private.h"
#include "common/net/poller.h"
#include "common/net/tls_private.h"

_Static_assert(LOOP_RECORD_BYTES == TLS_RECORD_BYTES, "one record is put together at a time");

/* --- what OpenSSL says --- */

/* Before each call: both are looked at after it. */
static void forget_errors(void)
{
    errno = 0;
    ERR_clear_error();
}

/* Logs once; nothing more can be sent or received. */
static enum err note_failure(struct conn *c, int ssl_error)
{
    struct conn_tls *tls = c->tls;
    struct tls_failure failure = tls_failure_of(tls->ssl, ssl_error);

    if (!tls->why[0])
        tls_report_broken(&failure, c->peer_text, tls->ssl);
    memcpy(tls->why, failure.why, sizeof tls->why);
    return failure.e;
}

/* E_AGAIN, E_CLOSED at the peer's close_notify, or why it broke. own is what the call waits for as
 * a rule. */
static enum err call_failed(struct conn *c, int ssl_error, unsigned own)
{
    unsigned wants;

    if (ssl_error == SSL_ERROR_ZERO_RETURN)
        return E_CLOSED;
    if (ssl_error != SSL_ERROR_WANT_READ && ssl_error != SSL_ERROR_WANT_WRITE)
        return note_failure(c, ssl_error);
    wants = ssl_error == SSL_ERROR_WANT_READ ? POLLER_READ : POLLER_WRITE;
    if (wants != own) {
        c->tls->wants = (uint8_t)wants;
        c->tls->holds = true; /* what it read by then */
        conn_update_events(c);
    }
    return E_AGAIN;
}

/* --- reading and sending --- */

static enum err break_off(struct conn *c, enum err e)
{
    c->state = CONN_BROKEN;
    conn_update_events(c);
    return e;
}

/* Fills the scratch memory, as a record is a quarter of it. */
enum err conn_tls_read(struct conn *c, struct buf_view *got)
{
    uint8_t *scratch = loop_scratch(c->loop);
    struct conn_tls *tls = c->tls;
    enum err e = tls->ended;
    size_t n = 0, piece = 0;

    tls->holds = tls->drained = false;
    while (e == E_OK && n < LOOP_SCRATCH_BYTES) {
        forget_errors();
        if (SSL_read_ex(tls->ssl, scratch + n, LOOP_SCRATCH_BYTES - n, &piece) == 1)
            n += piece;
        else
            e = call_failed(c, SSL_get_error(tls->ssl, 0), POLLER_READ);
    }
    c->short_read = n > 0 && e == E_AGAIN;
    if (n == 0)
        return e == E_AGAIN || !tls->why[0] ? e : break_off(c, e);
    *got = buf_view_of(scratch, n);
    if (e != E_OK && e != E_AGAIN)
        tls->ended = e;
    if (tls->ended != E_OK || (e == E_OK && SSL_has_pending(tls->ssl)))
        tls->holds = true;
    if (tls->holds)
        conn_tls_update(c);
    return E_OK;
}

static enum err send_records(struct conn *c, const void *data, size_t size_bytes, bool more,
                             size_t *sent_bytes)
{
    struct buf_reader left = buf_reader_from(buf_view_of(data, size_bytes));
    enum err e = E_OK;

    while (left.left_bytes > 0 && e == E_OK) {
        size_t n = left.left_bytes < TLS_RECORD_BYTES ? left.left_bytes : TLS_RECORD_BYTES;

        c->tls->more = more || left.left_bytes > n;
        forget_errors();
        if (SSL_write_ex(c->tls->ssl, left.at, n, &n) == 1)
            buf_take(&left, n);
        else
            e = call_failed(c, SSL_get_error(c->tls->ssl, 0), POLLER_WRITE);
    }
    *sent_bytes = size_bytes - left.left_bytes;
    if (e != E_OK && e != E_AGAIN)
        return break_off(c, e);
    return *sent_bytes > 0 ? E_OK : e;
}

enum err conn_tls_send(struct conn *c, const void *data, size_t size_bytes, size_t *sent_bytes)
{
    return send_records(c, data, size_bytes, false, sent_bytes);
}

/* Where a gathered send is. */
struct gather {
    const struct iovec *iov;
    int n_iov;
    size_t offset; /* in *iov */
};

static struct buf_view gather_piece(const struct gather *g)
{
    struct buf_reader piece = buf_reader_from(buf_view_of(g->iov->iov_base, g->iov->iov_len));

    buf_take(&piece, g->offset);
    return buf_rest(&piece);
}

static void gather_move(struct gather *g, size_t n_bytes)
{
    g->offset += n_bytes;
    while (g->n_iov > 0 && g->offset == g->iov->iov_len) { /* what is empty has nothing to follow */
        g->iov++;
        g->n_iov--;
        g->offset = 0;
    }
}

/* Lends the plain bytes of the next record: where they are, if a full one lies in one piece, else
 * in the loop's memory. Empty at the end. */
static struct buf_view gather_record(struct conn *c, struct gather *g)
{
    uint8_t *record = loop_record(c->loop);
    size_t used = 0;

    while (g->n_iov > 0 && used < TLS_RECORD_BYTES) {
        struct buf_view piece = gather_piece(g);
        size_t room = TLS_RECORD_BYTES - used;

        if (piece.size_bytes > room)
            piece.size_bytes = room;
        gather_move(g, piece.size_bytes);
        if (piece.size_bytes == TLS_RECORD_BYTES)
            return piece;
        if (piece.size_bytes > 0)
            memcpy(record + used, piece.data, piece.size_bytes);
        used += piece.size_bytes;
    }
    return buf_view_of(record, used);
}

enum err conn_tls_send_iov(struct conn *c, const struct iovec *iov, int n_iov, size_t *sent_bytes)
{
    struct gather g = {iov, n_iov, 0};
    struct buf_view record;

    *sent_bytes = 0;
    while ((record = gather_record(c, &g)).size_bytes > 0) {
        struct buf_reader left = buf_reader_from(record);
        size_t n;
        enum err e = send_records(c, record.data, record.size_bytes, g.n_iov > 0, &n);

        if (e != E_OK && e != E_AGAIN)
            return e;
        buf_take(&left, n);
        if (left.left_bytes > 0 && (e = conn_queue_append(c, buf_rest(&left))) != E_OK)
            return e;
        *sent_bytes += record.size_bytes;
        if (left.left_bytes > 0)
            break;
    }
    return E_OK;
}

/* --- what no event tells --- */

static void on_held(struct timer *timer)
{
    struct conn_tls *tls = list_entry(timer, struct conn_tls, timer);

    if (tls->holds)
        conn_tell_readable(tls->conn); /* last statement: tls may be gone */
}

void conn_tls_update(struct conn *c)
{
    static const int64_t k_delays_ms[] = {
        [CONN_AT_ONCE] = 0,
        [CONN_TICK] = CONN_TICK_MS,
        [CONN_SLOW_TICK] = CONN_SLOW_TICK_MS,
    };

    if (c->tls->holds && !timer_is_armed(&c->tls->timer))
        timer_start_ms(&c->tls->timer, k_delays_ms[c->pace]);
}

/* --- handshake --- */

/* For people who typed http:// for https://. What does not fit the empty socket is not worth
 * waiting for. */
static void answer_http(const struct conn *c)
{
    static const char k_answer[] = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n"
                                   "Content-Length: 38\r\nConnection: close\r\n\r\n"
                                   "This port speaks TLS: use https://...\n";

    (void)!send(c->fd, k_answer, sizeof k_answer - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void shake_failed(struct conn *c, const struct tls_failure *failure)
{
    timer_stop(&c->tls->timer);
    memcpy(c->tls->why, failure->why, sizeof c->tls->why);
    c->state = CONN_BROKEN;
    conn_update_events(c);
    tls_report_handshake(failure, c->peer_text, c->tls->ssl);
    if (failure->is_http)
        answer_http(c);
    if (c->ops->on_connected)
        c->ops->on_connected(c, c->arg, failure->e); /* last statement: c may be gone */
    else if (c->ops->on_error)
        c->ops->on_error(c, c->arg, failure->e);
}

static void shake_done(struct conn *c)
{
    struct conn_tls *tls = c->tls;

    timer_stop(&tls->timer);
    timer_init(&tls->timer, c->loop, on_held);
    tls->wants = 0;
    tls->holds = SSL_has_pending(tls->ssl); /* the first request came with the handshake's end */
    c->state = CONN_OPEN;
    conn_update_events(c);
    tls_count_handshake(tls->ssl);
    if (c->ops->on_connected)
        c->ops->on_connected(c, c->arg, E_OK); /* last statement: c may be gone */
}

void conn_tls_shake(struct conn *c)
{
    struct tls_failure failure;
    int code;

    c->tls->drained = false;
    forget_errors();
    code = SSL_get_error(c->tls->ssl, SSL_do_handshake(c->tls->ssl));
    if (code == SSL_ERROR_NONE) {
        shake_done(c);
    } else if (code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE) {
        c->tls->wants = code == SSL_ERROR_WANT_READ ? POLLER_READ : POLLER_WRITE;
        conn_update_events(c);
    } else {
        failure = tls_failure_of(c->tls->ssl, code);
        shake_failed(c, &failure);
    }
}

static void on_timeout(struct timer *timer)
{
    static const struct tls_failure k_late = {TLS_FAULT_TIMEOUT, E_TIMEOUT, false,
                                              "handshake not complete in time"};

    shake_failed(list_entry(timer, struct conn_tls, timer)->conn, &k_late);
}

/* A client's first step is to write, a server's to read; neither from within the caller's call. */
void conn_tls_begin(struct conn *c, struct conn_tls *tls)
{
    c->tls = tls;
    c->is_tls = true;
    c->state = CONN_HANDSHAKING;
    tls->wants = tls->is_client ? POLLER_WRITE : POLLER_READ;
    timer_init(&tls->timer, c->loop, on_timeout);
    timer_start_ms(&tls->timer, tls->timeout_ms);
    conn_update_events(c);
}

/* Takes ssl. */
static enum err start(struct conn *c, SSL *ssl, int64_t timeout_ms, bool is_client)
{
    struct conn_tls *tls = ssl ? calloc(1, sizeof *tls) : NULL;

    if (!tls) {
        SSL_free(ssl);
        return E_NOMEM;
    }
    *tls =
        (struct conn_tls){.ssl = ssl, .conn = c, .timeout_ms = timeout_ms, .is_client = is_client};
    if (!conn_wire_attach(tls)) {
        conn_tls_free(tls);
        return E_NOMEM;
    }
    if (c->state == CONN_CONNECTING) {
        assert(!c->connecting->tls);
        c->connecting->tls = tls;
    } else {
        assert(c->state == CONN_OPEN && !c->is_tls && c->bytes_in == 0 && !c->queue);
        conn_tls_begin(c, tls);
    }
    return E_OK;
}

/* --- public --- */

enum err conn_start_tls(struct conn *c, struct tls_server *server)
{
    return start(c, tls_server_session(server), tls_server_timeout_ms(server), false);
}

enum err conn_start_tls_client(struct conn *c, struct tls_client *client, const char *host)
{
    return start(c, tls_client_session(client, host), tls_client_timeout_ms(client), true);
}

bool conn_is_tls(const struct conn *c)
{
    return c->is_tls || (c->state == CONN_CONNECTING && c->connecting->tls);
}

const char *conn_tls_version(const struct conn *c)
{
    return c->is_tls && c->state == CONN_OPEN ? SSL_get_version(c->tls->ssl) : "";
}

struct buf_view conn_alpn(const struct conn *c)
{
    const unsigned char *name = NULL;
    unsigned size_bytes = 0;

    if (c->is_tls)
        SSL_get0_alpn_selected(c->tls->ssl, &name, &size_bytes);
    return buf_view_of(name, size_bytes);
}

const char *conn_tls_error(const struct conn *c)
{
    return c->is_tls ? c->tls->why : "";
}

/* --- for conn.c --- */

void conn_tls_stop(struct conn *c)
{
    timer_stop(&c->tls->timer);
}

void conn_tls_adopt(struct conn *c)
{
    timer_init(&c->tls->timer, c->loop, on_held);
}

/* Memory takes everything at once, also the rest of a record of which the socket has a part. */
void conn_tls_seal(struct conn *c, struct buf_writer *out)
{
    SSL *ssl = c->tls->ssl;
    BIO *wire = BIO_new(BIO_s_mem());
    char *bytes;
    long size_bytes;
    size_t n;

    if (!wire)
        return;
    SSL_set0_wbio(ssl, wire);
    ERR_clear_error();
    if (c->queue)
        (void)conn_tls_send(c, c->queue->bytes.data + c->queue->sent_bytes, conn_queued_bytes(c),
                            &n);
    (void)SSL_shutdown(ssl);
    ERR_clear_error();
    size_bytes = BIO_get_mem_data(wire, &bytes);
    if (size_bytes > 0)
        buf_write(out, bytes, (size_t)size_bytes);
}

void conn_tls_free(struct conn_tls *tls)
{
    if (!tls)
        return;
    timer_stop(&tls->timer);
    SSL_free(tls->ssl);
    free(tls);
}
