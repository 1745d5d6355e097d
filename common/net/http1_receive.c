/* HTTP/1 bytes to exchanges: heads, bodies, and what is refused. No handler runs here, since the
 * bytes may be the loop's scratch buffer. */
#include "common/net/http_server_private.h"

void http1_refuse(struct http_inbound *inbound, struct http_exchange *x, enum http_bad reason,
                  unsigned status, const char *text)
{
    http_inbound_report(inbound, reason, status, text, http_inbound_limit_of(inbound, status));
    inbound->reading = HTTP_READING_OFF;
    inbound->receiving = NULL;
    if (!x) {
        x = http_exchange_create_bare(inbound);
        if (!x) {
            inbound->dead = true;
            return;
        }
        http_inbound_enqueue(inbound, x);
    }
    x->refused_status = status;
    x->refused_text = text;
    x->close = true;
    x->phase = HTTP_PHASE_READY;
}

bool http1_has_room(const struct http_inbound *inbound)
{
    return inbound->n_exchanges < inbound->server->limits.max_pipelined &&
           inbound->body_bytes <= inbound->server->limits.max_body_bytes;
}

static void set_received(struct http_inbound *inbound, struct http_exchange *x)
{
    x->phase = HTTP_PHASE_READY;
    inbound->receiving = NULL;
    inbound->reading = x->close ? HTTP_READING_OFF : HTTP_READING_HEAD;
    inbound->wait = HTTP_WAIT_NONE;
}

/* A head is complete: what body follows, and who handles it. */
static void begin_body(struct http_inbound *inbound, struct http_exchange *x,
                       const struct http_head *head)
{
    x->route = http_route_find(x);
    http_body_init(&inbound->body, head, false);
    if (x->route && (x->route->flags & HTTP_ROUTE_UPLOAD)) {
        x->close = true; /* unless the handler takes it */
        x->phase = HTTP_PHASE_READY;
        inbound->reading = HTTP_READING_HELD;
    } else if (head->has_length && head->length_bytes > inbound->server->limits.max_body_bytes) {
        http1_refuse(inbound, x, HTTP_BAD_BODY_SIZE, 413, "body too big");
    } else if (inbound->body.done) {
        x->expect_continue = false;
        set_received(inbound, x);
    } else if (x->expect_continue && !x->route) {
        x->close = true; /* the peer waits for leave to send a body that nobody wants */
        set_received(inbound, x);
    } else {
        inbound->receiving = x;
        inbound->reading = HTTP_READING_BODY;
    }
}

/* False when no further request can be parsed now. */
static bool parse_head(struct http_inbound *inbound, struct buf_reader *in)
{
    struct buf_reader start = *in;
    struct http_exchange *x = NULL;
    struct http_head head;
    struct http_error error;
    const char *why;
    enum err e;

    e = http_parse_request(in, inbound->server->limits.max_head_bytes, &head, &error);
    if (e == E_AGAIN)
        return false;
    if (e != E_OK) {
        http1_refuse(inbound, NULL, http_bad_from_status(error.status), error.status, error.text);
        return false;
    }
    start.left_bytes -= in->left_bytes;
    e = http_exchange_create(inbound, &head, buf_rest(&start), &x, &why);
    if (e == E_NOMEM) {
        inbound->dead = true;
        return false;
    }
    http_inbound_enqueue(inbound, x);
    if (e == E_OK)
        begin_body(inbound, x, &head);
    else
        http1_refuse(inbound, x, HTTP_BAD_PATH, 400, why);
    return true;
}

/* False when the body needs more bytes, or is refused. */
static bool parse_body(struct http_inbound *inbound, struct buf_reader *in)
{
    struct http_exchange *x = inbound->receiving;
    struct buf_view piece;
    enum err e;

    while ((e = http_body_next(&inbound->body, in, &piece)) == E_OK) {
        x->expect_continue = false; /* RFC 9110, section 10.1.1: it is on its way already */
        if (piece.size_bytes > inbound->server->limits.max_body_bytes - x->body.used_bytes) {
            http1_refuse(inbound, x, HTTP_BAD_BODY_SIZE, 413, "body too big");
            return false;
        }
        buf_write_view(&x->body, piece);
        if (buf_writer_status(&x->body) != E_OK) {
            inbound->dead = true;
            return false;
        }
        inbound->body_bytes += piece.size_bytes;
    }
    if (e == E_PROTO)
        http1_refuse(inbound, x, HTTP_BAD_SYNTAX, 400, "malformed chunk");
    else if (e == E_END)
        set_received(inbound, x);
    return e == E_END;
}

static void parse(struct http_inbound *inbound, struct buf_reader *in)
{
    bool more = true;

    while (more && !inbound->dead) {
        if (inbound->reading == HTTP_READING_BODY)
            more = parse_body(inbound, in);
        else
            more = inbound->reading == HTTP_READING_HEAD && in->left_bytes &&
                   http1_has_room(inbound) && parse_head(inbound, in);
    }
}

bool http1_parse_kept(struct http_inbound *inbound)
{
    struct buf_reader in = buf_reader_from(buf_writer_view(&inbound->in));
    size_t used_bytes;

    if (in.left_bytes == 0)
        return false;
    parse(inbound, &in);
    used_bytes = inbound->in.used_bytes - in.left_bytes;
    buf_writer_consume(&inbound->in, used_bytes);
    if (inbound->in.used_bytes == 0 || inbound->reading == HTTP_READING_OFF)
        buf_writer_fini(&inbound->in);
    return used_bytes > 0;
}

void http1_receive(struct http_inbound *inbound, struct buf_view got)
{
    struct buf_reader in = buf_reader_from(got);

    if (inbound->in.used_bytes == 0)
        parse(inbound, &in);
    if (inbound->reading == HTTP_READING_OFF) {
        inbound->dropped_bytes += got.size_bytes;
        return;
    }
    if (in.left_bytes == 0)
        return;
    buf_write_view(&inbound->in, buf_rest(&in));
    if (buf_writer_status(&inbound->in) != E_OK)
        inbound->dead = true;
    else if (inbound->in.used_bytes > in.left_bytes) /* there was something before */
        (void)http1_parse_kept(inbound);
}

/* Old clients end a body with an extra CR LF: that is no request begun. */
bool http1_has_begun_head(const struct http_inbound *inbound)
{
    for (size_t i = 0; i < inbound->in.used_bytes; i++)
        if (inbound->in.data[i] != '\r' && inbound->in.data[i] != '\n')
            return true;
    return false;
}
