/* HTTP/2 frames to exchanges. What RFC 9113 demands of frames, pseudo fields, lengths of bodies and
 * so on is nghttp2's to see; limits, and what HTTP/1 refuses too, are ours. */
#include <string.h>

#include "common/net/http2_private.h"

/* A block of fields beyond the limit is decoded on (the next one needs the tables) and answered
 * with 431; beyond this many times the limit it is an attack. */
#define FLOOD_FACTOR 4
#define MAX_DROPPED_BYTES (256u << 10)
#define FIELD_OVERHEAD_BYTES 32 /* RFC 9113, section 6.5.2 */

static struct http_exchange *exchange_of(nghttp2_session *session, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(session, stream_id);
}

void http2_refuse(struct http_exchange *x, enum http_bad reason, unsigned status, const char *text)
{
    http_inbound_report(x->inbound, reason, status, text,
                        http_inbound_limit_of(x->inbound, status));
    x->refused_status = status;
    x->refused_text = text;
    http2_set_ready(x);
}

/* --- fields --- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct http_inbound *inbound = arg;
    struct http2 *h2 = inbound->h2;

    (void)session;
    h2->block_stream = 0;
    h2->block_bytes = h2->n_block_fields = 0;
    buf_writer_clear(&h2->block);
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) /* else trailers, which nobody asks for */
        h2->block_stream = frame->hd.stream_id;
    return 0;
}

static bool is_block_too_big(const struct http_inbound *inbound)
{
    return inbound->h2->block_bytes > inbound->server->limits.max_head_bytes ||
           inbound->h2->n_block_fields > HTTP_MAX_HEADERS;
}

static void add_text(struct buf_writer *block, const uint8_t *text, size_t size_bytes)
{
    buf_write(block, text, size_bytes);
    buf_write_u8(block, 0); /* nghttp2 lets none through in names and values */
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_bytes, const uint8_t *value, size_t value_bytes, uint8_t flags,
                     void *arg)
{
    struct http_inbound *inbound = arg;
    struct http2 *h2 = inbound->h2;

    (void)session, (void)frame, (void)flags;
    h2->block_bytes += name_bytes + value_bytes + FIELD_OVERHEAD_BYTES;
    h2->n_block_fields++;
    if (h2->block_bytes > FLOOD_FACTOR * inbound->server->limits.max_head_bytes) {
        http2_offend(inbound, HTTP_BAD_HEAD_SIZE, "fields far above the limit",
                     inbound->server->limits.max_head_bytes);
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    if (h2->block_stream == 0 || is_block_too_big(inbound))
        return 0;
    add_text(&h2->block, name, name_bytes);
    add_text(&h2->block, value, value_bytes);
    return buf_writer_status(&h2->block) == E_OK ? 0 : NGHTTP2_ERR_NOMEM;
}

static struct buf_view take_text(struct buf_reader *block)
{
    struct buf_view text = buf_view_str((const char *)block->at);

    (void)buf_take(block, text.size_bytes + 1);
    return text;
}

/* --- requests --- */

static struct http_exchange *create_bare(struct http_inbound *inbound)
{
    struct http_exchange *x = http_exchange_create_bare(inbound);

    if (!x)
        inbound->dead = true;
    return x;
}

/* Returns the exchange of the block that is complete, maybe one to be refused; NULL when out of
 * memory. */
static struct http_exchange *create_exchange(struct http_inbound *inbound, struct http_head *head,
                                             struct http_error *error)
{
    struct buf_reader block = buf_reader_from(buf_writer_view(&inbound->h2->block));
    struct http_field fields[HTTP_MAX_HEADERS];
    struct http_exchange *x = NULL;
    const char *why = NULL;
    unsigned n_fields = 0;
    enum err e;

    *error = (struct http_error){431, "fields too big"};
    if (is_block_too_big(inbound))
        return create_bare(inbound);
    while (block.left_bytes > 0) {
        fields[n_fields].name = take_text(&block);
        fields[n_fields++].value = take_text(&block);
    }
    if (http_head_from_fields(fields, n_fields, head, error) != E_OK)
        return create_bare(inbound);
    error->status = 0;
    e = http_exchange_create(inbound, head, buf_writer_view(&inbound->h2->block), &x, &why);
    if (e == E_INVAL)
        *error = (struct http_error){400, why};
    else if (e != E_OK)
        inbound->dead = true;
    return x;
}

static void submit_continue(struct http_exchange *x)
{
    static uint8_t name[] = ":status", value[] = "100";
    const nghttp2_nv field = {name, value, sizeof name - 1, sizeof value - 1, NGHTTP2_NV_FLAG_NONE};

    x->expect_continue = false;
    (void)nghttp2_submit_headers(x->inbound->h2->session, NGHTTP2_FLAG_NONE, x->stream_id, NULL,
                                 &field, 1, NULL);
}

/* The fields are complete: what body follows, and who handles it. */
static void begin_body(struct http_exchange *x, const struct http_head *head, bool has_ended)
{
    const struct http_limits *limits = &x->inbound->server->limits;

    x->route = http_route_find(x);
    if (x->route && (x->route->flags & HTTP_ROUTE_UPLOAD))
        http2_reset(x, NGHTTP2_HTTP_1_1_REQUIRED); /* it is to take the connection */
    else if (head->has_length && head->length_bytes > limits->max_body_bytes)
        http2_refuse(x, HTTP_BAD_BODY_SIZE, 413, "body too big");
    else if (has_ended || (x->expect_continue && !x->route))
        http2_set_ready(x);
    else if (x->expect_continue)
        submit_continue(x);
}

static void on_request(struct http_inbound *inbound, const nghttp2_frame *frame)
{
    struct http_head head;
    struct http_error error;
    struct http_exchange *x = create_exchange(inbound, &head, &error);

    inbound->h2->block_stream = 0;
    buf_writer_fini(&inbound->h2->block);
    if (!x)
        return;
    x->stream_id = frame->hd.stream_id;
    x->moved_us = loop_now_us(inbound->server->loop);
    http_inbound_enqueue(inbound, x);
    nghttp2_session_set_stream_user_data(inbound->h2->session, x->stream_id, x);
    if (error.status == 0)
        begin_body(x, &head, frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
    else
        http2_refuse(x, error.status == 400 ? HTTP_BAD_PATH : http_bad_from_status(error.status),
                     error.status, error.text);
}

/* The request is answered already. RFC 9113, section 8.1, has RST_STREAM with NO_ERROR for that,
 * but curl 7.88 loses an answer that it reads together with one: so the peer may finish, up to a
 * limit. */
static void drop(struct http_exchange *x, size_t size_bytes)
{
    if (!x)
        return;
    x->dropped_bytes += size_bytes;
    if (x->dropped_bytes > MAX_DROPPED_BYTES && http2_is_all_sent(x))
        http2_reset(x, NGHTTP2_NO_ERROR);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data,
                   size_t size_bytes, void *arg)
{
    struct http_inbound *inbound = arg;
    struct http_exchange *x = exchange_of(session, stream_id);
    size_t max_bytes = inbound->server->limits.max_body_bytes;

    (void)flags;
    if (!x || x->phase != HTTP_PHASE_RECEIVING) {
        drop(x, size_bytes);
        return 0;
    }
    if (size_bytes > max_bytes - x->body.used_bytes) {
        http2_refuse(x, HTTP_BAD_BODY_SIZE, 413, "body too big");
        return 0;
    }
    if (inbound->body_bytes + size_bytes > 2 * max_bytes) { /* of all streams; to be tried again */
        http2_reset(x, NGHTTP2_REFUSED_STREAM);
        return 0;
    }
    buf_write(&x->body, data, size_bytes);
    if (buf_writer_status(&x->body) != E_OK)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    inbound->body_bytes += size_bytes;
    return 0;
}

/* --- frames --- */

static const struct {
    uint8_t frame_type;
    enum http2_guard guard;
} k_guarded[] = {
    {NGHTTP2_RST_STREAM, HTTP2_GUARD_RESET},
    {NGHTTP2_SETTINGS, HTTP2_GUARD_SETTINGS},
    {NGHTTP2_PING, HTTP2_GUARD_PING},
    {NGHTTP2_WINDOW_UPDATE, HTTP2_GUARD_WINDOW},
};

static void guard_frame(struct http_inbound *inbound, const nghttp2_frame *frame)
{
    bool has_ended = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

    for (size_t i = 0; i < sizeof k_guarded / sizeof k_guarded[0]; i++)
        if (k_guarded[i].frame_type == frame->hd.type)
            http2_guard_charge(inbound, k_guarded[i].guard);
    if (frame->hd.type == NGHTTP2_DATA && frame->hd.length == frame->data.padlen && !has_ended)
        http2_guard_charge(inbound, HTTP2_GUARD_EMPTY);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct http_inbound *inbound = arg;
    bool may_end = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
    struct http_exchange *x;

    guard_frame(inbound, frame);
    if (inbound->h2->is_ending)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        on_request(inbound, frame);
    } else if (may_end && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
        x = exchange_of(session, frame->hd.stream_id);
        if (x && x->phase == HTTP_PHASE_RECEIVING)
            http2_set_ready(x);
    }
    return inbound->dead ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error,
                            void *arg)
{
    struct http_inbound *inbound = arg;

    (void)session, (void)frame, (void)error;
    inbound->h2->block_stream = 0;
    http2_guard_charge(inbound, HTTP2_GUARD_BAD);
    return inbound->h2->is_ending ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

void http2_receive_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
}

void http2_receive(struct http_inbound *inbound, struct buf_view got)
{
    ssize_t n;

    if (inbound->h2->is_ending)
        return;
    n = nghttp2_session_mem_recv(inbound->h2->session, got.data, got.size_bytes);
    if (n < 0 && !inbound->h2->is_ending)
        http2_guard_session_error(inbound, (int)n);
}
