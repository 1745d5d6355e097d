/* Answers as HTTP/2 frames. Bodies are read when there is room in the socket and in the peer's
 * windows: shared ones from where they lie into what TLS encrypts, which is their only copy. */
#include <ctype.h>
#include <string.h>

#include "common/net/http2_private.h"

#define MAX_ANSWER_FIELDS 64
/* Of all streams. A handler is called while there is less than HTTP2_PAUSE_BYTES; this is for
 * endless answers, which grow on. */
#define MAX_COPIED_BYTES (2 * HTTP_ANSWER_QUEUE_BYTES)
#define COLLECT_BYTES (HTTP_OUT_KEEP_BYTES - (17u << 10)) /* go out at once, with a frame more */

/* --- frames to the socket --- */

/* 0: another frame may be collected. */
static int make_room(struct http_inbound *inbound)
{
    struct buf_writer *out = http_inbound_out(inbound);

    if (out->used_bytes >= COLLECT_BYTES)
        (void)http_inbound_flush(inbound);
    if (inbound->dead)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (conn_queued_bytes(inbound->conn) > 0 && !inbound->h2->is_ending)
        return NGHTTP2_ERR_WOULDBLOCK;
    inbound->h2->moved_us = loop_now_us(inbound->server->loop);
    return 0;
}

static ssize_t on_send(nghttp2_session *session, const uint8_t *data, size_t size_bytes, int flags,
                       void *arg)
{
    struct http_inbound *inbound = arg;
    int error = make_room(inbound);

    (void)session, (void)flags;
    if (error != 0)
        return error;
    buf_write(http_inbound_out(inbound), data, size_bytes);
    return (ssize_t)size_bytes;
}

static size_t copied_bytes(const struct http_exchange *x)
{
    return x->out.used_bytes - x->out_sent_bytes;
}

bool http2_is_all_sent(const struct http_exchange *x)
{
    return x->has_ended && copied_bytes(x) + x->sending.left_bytes == 0;
}

/* How much of the body the next frame takes. A stream that was reset may still have a frame on its
 * way when the exchange is no more: so this and on_send_data() find it by the stream. */
static ssize_t on_read(nghttp2_session *session, int32_t stream_id, uint8_t *to, size_t max_bytes,
                       uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    const struct http_exchange *x = nghttp2_session_get_stream_user_data(session, stream_id);
    uint64_t left_bytes = x ? copied_bytes(x) + x->sending.left_bytes : 0;
    size_t n_bytes = left_bytes < max_bytes ? (size_t)left_bytes : max_bytes;

    (void)to, (void)source, (void)arg;
    if (!x)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (n_bytes == 0 && !x->has_ended)
        return NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (n_bytes == left_bytes && x->has_ended)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n_bytes;
}

/* Takes n_bytes of the body into the frame. */
static void write_payload(struct http_exchange *x, struct buf_writer *out, size_t n_bytes)
{
    while (n_bytes > 0) {
        bool is_copied = copied_bytes(x) > 0;
        struct buf_reader copied = buf_reader_from(buf_writer_view(&x->out));
        struct buf_view piece;

        (void)buf_take(&copied, x->out_sent_bytes);
        piece = is_copied ? buf_rest(&copied) : http_sending_piece(&x->sending);
        if (piece.size_bytes > n_bytes)
            piece.size_bytes = n_bytes;
        buf_write_view(out, piece);
        n_bytes -= piece.size_bytes;
        if (is_copied) {
            x->out_sent_bytes += piece.size_bytes;
            x->inbound->copied_bytes -= piece.size_bytes;
        } else {
            http_sending_move(&x->sending, piece.size_bytes);
        }
    }
}

static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                        size_t size_bytes, nghttp2_data_source *source, void *arg)
{
    struct http_inbound *inbound = arg;
    struct http_exchange *x = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    int error = make_room(inbound);

    (void)source;
    if (!x)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (error != 0)
        return error;
    buf_write(http_inbound_out(inbound), head, 9); /* section 4.1; padding is never asked for */
    write_payload(x, http_inbound_out(inbound), size_bytes);
    if (!x->sending.left_bytes)
        (void)http_sending_ask(x);
    x->moved_us = inbound->h2->moved_us;
    http2_guard_allow_windows(inbound->h2);
    return 0;
}

/* Streams that are reset for what the peer did count as its faults: else it could have work done
 * and never be seen to reset anything. */
static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    uint32_t code = frame->hd.type == NGHTTP2_RST_STREAM ? frame->rst_stream.error_code : 0;

    (void)session;
    if (code == NGHTTP2_PROTOCOL_ERROR || code == NGHTTP2_FLOW_CONTROL_ERROR ||
        code == NGHTTP2_STREAM_CLOSED)
        http2_guard_charge(arg, HTTP2_GUARD_BAD);
    return 0;
}

void http2_send_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_send_callback(callbacks, on_send);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
}

/* --- heads --- */

static uint8_t *find(uint8_t *text, size_t size_bytes, const char *what)
{
    return memmem(text, size_bytes, what, strlen(what));
}

/* "Name: value" lines to fields, in place: names in lower case (section 8.2). */
static size_t split_fields(struct buf_writer *text, nghttp2_nv *fields, size_t n_fields)
{
    uint8_t *at = text->data, *end = text->data + text->used_bytes;

    while (at < end && n_fields < MAX_ANSWER_FIELDS) {
        uint8_t *colon = find(at, (size_t)(end - at), ": ");
        uint8_t *line_end = find(at, (size_t)(end - at), "\r\n");

        fields[n_fields++] = (nghttp2_nv){at, colon + 2, (size_t)(colon - at),
                                          (size_t)(line_end - colon - 2), NGHTTP2_NV_FLAG_NONE};
        for (; at < colon; at++)
            *at = (uint8_t)tolower(*at);
        at = line_end + 2;
    }
    return n_fields;
}

void http2_begin(struct http_exchange *x, const struct http_reply *reply)
{
    static uint8_t status_name[] = ":status";
    struct buf_writer text;
    nghttp2_data_provider body = {.read_callback = on_read};
    nghttp2_nv fields[MAX_ANSWER_FIELDS];
    bool has_body = !x->is_head && !http_has_no_content(reply->status) &&
                    (reply->is_endless || reply->length_bytes > 0);

    if (x->stream_id == 0)
        return;
    buf_writer_init(&text, SIZE_MAX);
    buf_write_decimal(&text, reply->status);
    http_write_fields(x, reply, &text);
    if (buf_writer_status(&text) == E_OK) {
        struct buf_writer lines = text;
        size_t n_fields;

        lines.data += 3;
        lines.used_bytes -= 3;
        fields[0] =
            (nghttp2_nv){status_name, text.data, sizeof status_name - 1, 3, NGHTTP2_NV_FLAG_NONE};
        n_fields = split_fields(&lines, fields, 1);
        if (nghttp2_submit_response(x->inbound->h2->session, x->stream_id, fields, n_fields,
                                    has_body ? &body : NULL) != 0)
            x->inbound->dead = true;
    } else {
        x->inbound->dead = true;
    }
    buf_writer_fini(&text);
}

/* --- bodies --- */

/* The stream is lost; its handler hears of that from a later turn. */
static enum err give_up(struct http_exchange *x, enum err e)
{
    struct http_inbound *inbound = x->inbound;

    if (e == E_TOO_BIG) {
        http_inbound_report(inbound, HTTP_BAD_SLOW_READER, 0, "answers queued for a slow reader",
                            HTTP_ANSWER_QUEUE_BYTES);
        e = E_SLOW;
    }
    http2_reset(x, NGHTTP2_ENHANCE_YOUR_CALM);
    return e;
}

enum err http2_write(struct http_exchange *x, struct buf_view bytes)
{
    struct http_inbound *inbound = x->inbound;
    enum err e;

    if (x->stream_id == 0)
        return E_CLOSED;
    if (x->out_sent_bytes > x->out.used_bytes / 2) { /* moves fewer bytes than were sent */
        buf_writer_consume(&x->out, x->out_sent_bytes);
        x->out_sent_bytes = 0;
    }
    buf_write_view(&x->out, bytes);
    e = buf_writer_status(&x->out);
    if (e == E_OK)
        inbound->copied_bytes += bytes.size_bytes;
    if (inbound->copied_bytes > MAX_COPIED_BYTES)
        e = E_TOO_BIG;
    if (e != E_OK)
        e = give_up(x, e);
    if (x->phase != HTTP_PHASE_STREAMING)
        return e; /* all of it goes out when it is complete */
    (void)nghttp2_session_resume_data(inbound->h2->session, x->stream_id);
    http2_send_frames(inbound);
    if (inbound->depth == 0 && !list_is_empty(&inbound->h2->gone)) {
        inbound->wait = HTTP_WAIT_NOW;
        timer_start_ms(&inbound->timer, 0);
    }
    return e;
}

void http2_send(struct http_exchange *x)
{
    struct http_inbound *inbound = x->inbound;

    if (x->stream_id == 0 || inbound->dead) {
        http_exchange_destroy(&x);
        return;
    }
    x->phase = HTTP_PHASE_SENDING;
    x->has_ended = !http_sending_ask(x);
    x->moved_us = loop_now_us(inbound->server->loop);
    (void)nghttp2_session_resume_data(inbound->h2->session, x->stream_id);
    k_http2.advance(inbound);
}

void http2_resume(struct http_exchange *x)
{
    struct http_inbound *inbound = x->inbound;

    if (x->stream_id == 0 || inbound->dead)
        return; /* it is about to go */
    x->has_ended = !x->sending.later_bytes;
    (void)nghttp2_session_resume_data(inbound->h2->session, x->stream_id);
    k_http2.advance(inbound);
}

void http2_cut(struct http_exchange *x)
{
    struct http_inbound *inbound = x->inbound;

    http2_reset(x, NGHTTP2_INTERNAL_ERROR);
    k_http2.advance(inbound);
}

void http2_end(struct http_exchange *x)
{
    http2_send(x);
}

struct conn *http2_take(struct http_exchange *x)
{
    struct http_inbound *inbound = x->inbound;

    http2_reset(x, NGHTTP2_HTTP_1_1_REQUIRED);
    http_exchange_destroy(&x);
    k_http2.advance(inbound);
    return NULL;
}
