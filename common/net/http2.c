/* HTTP/2 on a connection (RFC 9113): its life, the turns of its exchanges, its time-outs. */
#include "common/net/http2_private.h"

#include <pthread.h>
#include <stdlib.h>

/* What nghttp2 may keep for a peer that does not read: above it, nothing more is read from it. */
#define MAX_FRAMES_QUEUED 400
#define MAX_ACKS_QUEUED 200

static struct {
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
} g_http2; /* NULL: out of memory */

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t code, void *arg)
{
    struct http_inbound *inbound = arg;
    struct http_exchange *x = nghttp2_session_get_stream_user_data(session, stream_id);

    (void)code;
    if (!x)
        return 0;
    x->stream_id = 0;
    list_remove(&x->turn);
    list_push_back(&inbound->h2->gone, &x->turn);
    return 0;
}

static void make_globals(void)
{
    if (nghttp2_session_callbacks_new(&g_http2.callbacks) != 0 ||
        nghttp2_option_new(&g_http2.option) != 0)
        return;
    nghttp2_session_callbacks_set_on_stream_close_callback(g_http2.callbacks, on_stream_close);
    http2_receive_callbacks(g_http2.callbacks);
    http2_send_callbacks(g_http2.callbacks);
    nghttp2_option_set_no_closed_streams(g_http2.option, 1); /* kept for priorities only */
    nghttp2_option_set_max_outbound_ack(g_http2.option, MAX_ACKS_QUEUED);
}

static nghttp2_session *make_session(struct http_inbound *inbound)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, HTTP2_MAX_STREAMS},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)inbound->server->limits.max_head_bytes},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}, /* PRIORITY frames are skipped, too */
    };
    nghttp2_session *session = NULL;

    pthread_once(&once, make_globals);
    if (!g_http2.callbacks || !g_http2.option ||
        nghttp2_session_server_new2(&session, g_http2.callbacks, inbound, g_http2.option) != 0)
        return NULL;
    if (nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings,
                                sizeof settings / sizeof settings[0]) == 0)
        return session;
    nghttp2_session_del(session);
    return NULL;
}

bool http2_start(struct http_inbound *inbound)
{
    struct http2 *h2 = calloc(1, sizeof *h2);
    nghttp2_session *session = h2 ? make_session(inbound) : NULL;

    if (!session) {
        free(h2);
        return false;
    }
    h2->session = session;
    h2->moved_us = loop_now_us(inbound->server->loop);
    list_init(&h2->ready);
    list_init(&h2->gone);
    buf_writer_init(&h2->block, SIZE_MAX); /* http2_receive.c holds max_head_bytes */
    http2_guard_init(h2, h2->moved_us);
    inbound->h2 = h2;
    inbound->version = &k_http2;
    inbound->version->advance(inbound);
    return true;
}

void http2_set_ready(struct http_exchange *x)
{
    x->phase = HTTP_PHASE_READY;
    list_remove(&x->turn);
    list_push_back(&x->inbound->h2->ready, &x->turn);
}

void http2_reset(struct http_exchange *x, uint32_t code)
{
    struct http2 *h2 = x->inbound->h2;

    if (x->stream_id == 0)
        return;
    nghttp2_session_set_stream_user_data(h2->session, x->stream_id, NULL);
    if (nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, x->stream_id, code) != 0)
        x->inbound->dead = true;
    x->stream_id = 0;
    list_remove(&x->turn);
    list_push_back(&h2->gone, &x->turn);
}

void http2_offend(struct http_inbound *inbound, enum http_bad reason, const char *detail,
                  uint64_t limit)
{
    if (inbound->h2->is_ending)
        return;
    inbound->h2->is_ending = true;
    http_inbound_report(inbound, reason, 0, detail, limit);
    if (nghttp2_session_terminate_session(inbound->h2->session, NGHTTP2_ENHANCE_YOUR_CALM) != 0)
        inbound->dead = true;
}

/* --- turns --- */

/* Handlers that still have an exchange are told. */
static void tell_gone(struct http_inbound *inbound)
{
    struct list *node;

    while ((node = list_pop_front(&inbound->h2->gone)) != NULL) {
        struct http_exchange *x = list_entry(node, struct http_exchange, turn);

        http_exchange_abandon(&x);
        inbound->wait = HTTP_WAIT_NONE; /* being idle begins anew */
    }
}

static bool may_call(const struct http_inbound *inbound)
{
    return !inbound->dead && !inbound->h2->is_ending && inbound->copied_bytes < HTTP2_PAUSE_BYTES &&
           !list_is_empty(&inbound->h2->ready);
}

static void call_handlers(struct http_inbound *inbound)
{
    while (may_call(inbound))
        http_inbound_dispatch(
            inbound, list_entry(list_pop_front(&inbound->h2->ready), struct http_exchange, turn));
}

void http2_send_frames(struct http_inbound *inbound)
{
    if (!inbound->dead && nghttp2_session_send(inbound->h2->session) != 0)
        inbound->dead = true;
    (void)http_inbound_flush(inbound);
}

static void advance(struct http_inbound *inbound)
{
    struct http2 *h2 = inbound->h2;

    if (inbound->advancing)
        return; /* further up the stack it goes on */
    inbound->advancing = true;
    do {
        tell_gone(inbound);
        call_handlers(inbound);
        http2_send_frames(inbound);
    } while (!inbound->dead && (!list_is_empty(&h2->gone) || may_call(inbound)));
    inbound->advancing = false;
}

/* --- time --- */

static bool wants_bytes(const struct http_inbound *inbound)
{
    return !inbound->h2->is_ending &&
           nghttp2_session_get_outbound_queue_size(inbound->h2->session) < MAX_FRAMES_QUEUED;
}

static enum http_wait wanted_wait(const struct http_inbound *inbound)
{
    if (inbound->h2->block_stream != 0)
        return HTTP_WAIT_HEAD;
    if (inbound->n_exchanges > 0)
        return HTTP_WAIT_CHECK;
    return inbound->has_served ? HTTP_WAIT_IDLE : HTTP_WAIT_FIRST;
}

/* Nothing at all was taken for so long, though there is something. */
static bool is_stuck(const struct http_inbound *inbound, int64_t now_us)
{
    return now_us - inbound->h2->moved_us >= inbound->server->limits.idle_timeout_ms * 1000 &&
           (conn_queued_bytes(inbound->conn) > 0 ||
            nghttp2_session_get_remote_window_size(inbound->h2->session) <= 0);
}

/* A peer may stop reading one stream for good reason (a paused film), but not keep our memory. */
static void give_up_sending(struct http_exchange *x, int64_t now_us)
{
    uint64_t limit_ms = (uint64_t)x->inbound->server->limits.idle_timeout_ms;

    if (http2_is_all_sent(x)) {
        http2_reset(x, NGHTTP2_NO_ERROR); /* the rest of the request does not come */
        return;
    }
    if (is_stuck(x->inbound, now_us)) {
        http2_offend(x->inbound, HTTP_BAD_SLOW_READER, "nothing is taken any more", limit_ms);
        return;
    }
    http_inbound_report(x->inbound, HTTP_BAD_SLOW_READER, 0, "answer not taken in time", limit_ms);
    http2_reset(x, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void check_streams(struct http_inbound *inbound)
{
    const struct http_limits *limits = &inbound->server->limits;
    int64_t now_us = loop_now_us(inbound->server->loop);
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &inbound->exchanges) {
        struct http_exchange *x = list_entry(node, struct http_exchange, node);
        int64_t waited_us = now_us - x->moved_us;

        if (x->stream_id == 0)
            continue;
        if (x->phase == HTTP_PHASE_RECEIVING && waited_us >= limits->body_timeout_ms * 1000)
            http2_refuse(x, HTTP_BAD_TIMEOUT, 408, "request not complete in time");
        else if (x->phase == HTTP_PHASE_SENDING && waited_us >= limits->idle_timeout_ms * 1000)
            give_up_sending(x, now_us);
    }
    inbound->wait = HTTP_WAIT_NONE; /* once more */
}

static void on_timeout(struct http_inbound *inbound)
{
    switch (inbound->wait) {
    case HTTP_WAIT_CHECK:
        check_streams(inbound);
        break;
    case HTTP_WAIT_HEAD:
        http2_offend(inbound, HTTP_BAD_TIMEOUT, "fields not complete in time",
                     (uint64_t)inbound->server->limits.head_timeout_ms);
        break;
    case HTTP_WAIT_FIRST:
    case HTTP_WAIT_IDLE:
        inbound->h2->is_ending = true;
        (void)nghttp2_session_terminate_session(inbound->h2->session, NGHTTP2_NO_ERROR);
        break;
    default: /* what http2_write() left */
        break;
    }
    advance(inbound);
}

static void on_peer_end(struct http_inbound *inbound)
{
    inbound->dead = true; /* no peer of HTTP/2 ends its side alone */
}

/* RFC 9113, section 6.8: streams above the one that GOAWAY names were not looked at, so the peer
 * asks again for what it may have sent meanwhile. Without streams the session is over with that
 * frame. */
static void say_goodbye(struct http_inbound *inbound, bool is_gentle)
{
    nghttp2_session *session = inbound->h2->session;
    int32_t last = nghttp2_session_get_last_proc_stream_id(session);
    int error;

    if (inbound->h2->is_ending)
        return;
    inbound->h2->is_ending = !is_gentle;
    error = is_gentle
                ? nghttp2_submit_goaway(session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0)
                : nghttp2_session_terminate_session(session, NGHTTP2_NO_ERROR);
    if (error != 0)
        inbound->dead = true;
    http2_send_frames(inbound);
}

static bool is_over(const struct http_inbound *inbound)
{
    const struct http2 *h2 = inbound->h2;

    return h2->is_ending ||
           (!nghttp2_session_want_read(h2->session) && !nghttp2_session_want_write(h2->session));
}

static void fini(struct http_inbound *inbound)
{
    nghttp2_session_del(inbound->h2->session);
    buf_writer_fini(&inbound->h2->block);
    free(inbound->h2);
}

const struct http_version k_http2 = {
    .receive = http2_receive,
    .advance = advance,
    .wants_bytes = wants_bytes,
    .wanted_wait = wanted_wait,
    .on_timeout = on_timeout,
    .on_peer_end = on_peer_end,
    .say_goodbye = say_goodbye,
    .is_over = is_over,
    .fini = fini,
    .begin = http2_begin,
    .write = http2_write,
    .send = http2_send,
    .resume = http2_resume,
    .cut = http2_cut,
    .end = http2_end,
    .take = http2_take,
};
