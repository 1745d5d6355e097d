/* A client of HTTP/2 for the tests of the server: nghttp2's, over a real socket, on the loop's own
 * thread; and frames of any kind, written by hand. */
#ifndef HW_TESTS_HTTP2_TEST_H
#define HW_TESTS_HTTP2_TEST_H

#include "tests/unit/common/net/test_http_server.h"

#include <nghttp2/nghttp2.h>

#include "common/net/http_server_private.h"

#define MAX_IDS 256

struct h2_stream {
    unsigned status;
    unsigned n_informational;
    char fields[2048]; /* "name: value\n" */
    struct buf_writer body;
    uint32_t error_code;
    bool has_ended; /* END_STREAM came */
    bool is_closed;
};

struct h2_client {
    struct fixture *f;
    nghttp2_session *session;
    int fd;
    struct h2_stream streams[MAX_IDS]; /* by stream id */
    uint32_t goaway_code;
    bool has_goaway;
    bool is_closed; /* by the server */
    bool is_lazy;   /* gives no window back */
};

static inline ssize_t h2_on_send(nghttp2_session *s, const uint8_t *data, size_t size, int flags,
                                 void *arg)
{
    struct h2_client *c = arg;
    ssize_t n = send(c->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);

    (void)s, (void)flags;
    if (n < 0 && errno == EAGAIN)
        return NGHTTP2_ERR_WOULDBLOCK;
    return n < 0 ? (ssize_t)size : n; /* what a closed socket does not take is nobody's */
}

static inline int h2_on_header(nghttp2_session *s, const nghttp2_frame *frame, const uint8_t *name,
                               size_t name_size, const uint8_t *value, size_t value_size,
                               uint8_t flags, void *arg)
{
    struct h2_client *c = arg;
    struct h2_stream *stream = &c->streams[frame->hd.stream_id];
    size_t used = strlen(stream->fields);

    (void)s, (void)flags;
    if (name_size == 7 && memcmp(name, ":status", 7) == 0) {
        stream->status = (unsigned)strtoul((const char *)value, NULL, 10);
        stream->n_informational += stream->status < 200;
        return 0;
    }
    snprintf(stream->fields + used, sizeof stream->fields - used, "%.*s: %.*s\n", (int)name_size,
             (const char *)name, (int)value_size, (const char *)value);
    return 0;
}

static inline int h2_on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *data,
                             size_t size, void *arg)
{
    struct h2_client *c = arg;

    (void)flags;
    buf_write(&c->streams[id].body, data, size);
    if (!c->is_lazy)
        nghttp2_session_consume(s, id, size);
    return 0;
}

static inline int h2_on_frame(nghttp2_session *s, const nghttp2_frame *frame, void *arg)
{
    struct h2_client *c = arg;

    (void)s;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        c->has_goaway = true;
        c->goaway_code = frame->goaway.error_code;
    } else if ((frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
               (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
        c->streams[frame->hd.stream_id].has_ended = true;
    }
    return 0;
}

static inline int h2_on_close(nghttp2_session *s, int32_t id, uint32_t code, void *arg)
{
    struct h2_client *c = arg;

    (void)s;
    c->streams[id].is_closed = true;
    c->streams[id].error_code = code;
    return 0;
}

/* The server's end of a new connection speaks HTTP/2; returns ours. */
static inline int h2_connect(struct fixture *f, int sndbuf_bytes)
{
    struct conn *conn;
    struct addr peer;
    int fds[2];

    tcp_pair(fds, sndbuf_bytes);
    peer.size_bytes = sizeof peer.storage;
    assert_int_equal(getpeername(fds[0], &peer.storage.any, &peer.size_bytes), 0);
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    conn = conn_create(f->loop, fds[0], &peer, HTTP_ANSWER_QUEUE_BYTES, NULL, NULL);
    assert_non_null(conn);
    http_inbound_create(f->server, &conn, &k_http2);
    return fds[1];
}

static inline void h2_open_sized(struct h2_client *c, struct fixture *f, int sndbuf_bytes)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;

    memset(c, 0, sizeof *c);
    c->f = f;
    c->fd = h2_connect(f, sndbuf_bytes);
    for (int i = 0; i < MAX_IDS; i++)
        buf_writer_init(&c->streams[i].body, 32u << 20);
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    assert_int_equal(nghttp2_option_new(&option), 0);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_session_callbacks_set_send_callback(callbacks, h2_on_send);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, h2_on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, h2_on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, h2_on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, h2_on_close);
    assert_int_equal(nghttp2_session_client_new2(&c->session, callbacks, c, option), 0);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    assert_int_equal(nghttp2_submit_settings(c->session, 0, NULL, 0), 0);
}

static inline void h2_open(struct h2_client *c, struct fixture *f)
{
    h2_open_sized(c, f, 0);
}

static inline void h2_close(struct h2_client *c)
{
    close(c->fd);
    nghttp2_session_del(c->session);
    for (int i = 0; i < MAX_IDS; i++)
        buf_writer_fini(&c->streams[i].body);
}

/* One step of both sides. */
static inline void h2_step(struct h2_client *c)
{
    uint8_t bytes[16384];
    ssize_t n;

    assert_int_equal(nghttp2_session_send(c->session), 0);
    loop_turn(c->f->loop, false);
    while (!c->is_closed && (n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT)) >= 0) {
        if (n == 0)
            c->is_closed = true;
        else
            assert_int_equal(nghttp2_session_mem_recv(c->session, bytes, (size_t)n), n);
    }
    if (!c->is_closed && errno != EAGAIN)
        c->is_closed = true;
}

static inline void h2_until(struct h2_client *c, const bool *flag)
{
    int64_t end_us = clock_mono_us() + TEST_DEADLINE_MS * 1000LL;

    while (!*flag) {
        h2_step(c);
        if (clock_mono_us() >= end_us)
            fail_msg("nothing happened for %d ms", TEST_DEADLINE_MS);
    }
}

#define H2_FIELD(name, value)                                                                     \
    {                                                                                             \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), strlen(name), strlen(value), \
            NGHTTP2_NV_FLAG_NONE                                                                  \
    }

/* Sends a request without a body; field_name may be NULL. Returns its stream. */
static inline struct h2_stream *h2_ask(struct h2_client *c, const char *method, const char *path,
                                       const char *field_name, const char *field_value,
                                       const nghttp2_data_provider *body)
{
    const char *name = field_name ? field_name : "x", *value = field_name ? field_value : "";
    nghttp2_nv fields[] = {H2_FIELD(":method", method), H2_FIELD(":scheme", "https"),
                           H2_FIELD(":authority", "a.test"), H2_FIELD(":path", path),
                           H2_FIELD(name, value)};
    int32_t id = nghttp2_submit_request(c->session, NULL, fields, field_name ? 5 : 4, body, NULL);

    assert_in_range(id, 1, MAX_IDS - 1);
    return &c->streams[id];
}

static inline struct h2_stream *h2_get(struct h2_client *c, const char *path)
{
    return h2_ask(c, "GET", path, NULL, NULL, NULL);
}

static inline int32_t h2_id(const struct h2_client *c, const struct h2_stream *stream)
{
    return (int32_t)(stream - c->streams);
}

static inline void h2_expect(struct h2_client *c, const struct h2_stream *stream, unsigned status,
                             const void *body, size_t body_bytes)
{
    h2_until(c, &stream->is_closed);
    assert_int_equal(stream->error_code, NGHTTP2_NO_ERROR);
    assert_true(stream->has_ended);
    assert_int_equal(stream->status, status);
    assert_int_equal(stream->body.used_bytes, body_bytes);
    if (body_bytes > 0)
        assert_memory_equal(stream->body.data, body, body_bytes);
}

static inline void h2_expect_text(struct h2_client *c, const struct h2_stream *stream,
                                  unsigned status, const char *body)
{
    h2_expect(c, stream, status, body, strlen(body));
}

/* --- by hand --- */

static inline void h2_write_frame(struct buf_writer *w, unsigned type, unsigned flags, uint32_t id,
                                  const void *payload, size_t size)
{
    buf_write_u24be(w, (uint32_t)size);
    buf_write_u8(w, type);
    buf_write_u8(w, flags);
    buf_write_u32be(w, id);
    buf_write(w, payload, size);
}

/* What has come by now; false at the end. */
static inline bool h2_read_some(int fd, struct buf_writer *got)
{
    uint8_t bytes[16384];
    ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);

    if (n > 0)
        buf_write(got, bytes, (size_t)n);
    return n > 0 || (n < 0 && errno == EAGAIN);
}

#define H2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

static inline void h2_write_preface(struct buf_writer *w)
{
    buf_write_str(w, H2_PREFACE);
    h2_write_frame(w, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
}

/* GET https://a.test/<path>, indexed where RFC 7541, appendix A, has it; nothing is added to the
 * dynamic table. */
static inline void h2_write_get(struct buf_writer *w, uint32_t id, const char *path, bool has_ended)
{
    struct buf_writer block;

    buf_writer_init(&block, 4096);
    buf_write_u8(&block, 0x82); /* :method GET */
    buf_write_u8(&block, 0x87); /* :scheme https */
    buf_write_u8(&block, 0x04); /* :path, a literal */
    buf_write_u8(&block, (unsigned)strlen(path));
    buf_write_str(&block, path);
    buf_write_u8(&block, 0x01); /* :authority, a literal */
    buf_write_u8(&block, 6);
    buf_write_str(&block, "a.test");
    h2_write_frame(w, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | (has_ended ? 1u : 0u), id,
                   block.data, block.used_bytes);
    buf_writer_fini(&block);
}

#endif
