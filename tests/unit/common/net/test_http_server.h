/* A server on a loop and real connections to it, all in one thread: what the tests of the HTTP
 * server share. The client side reads by events of the same loop and checks answers with the
 * response parser. */
#ifndef HW_TESTS_TEST_HTTP_SERVER_H
#define HW_TESTS_TEST_HTTP_SERVER_H

#include "tests/unit/common/net/net_test.h"

#include <event2/event.h>
#include <fcntl.h>

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/net/http_server.h"

struct client {
    struct loop *loop;
    struct event *ev;
    int fd;
    struct buf_writer got;
    bool ended; /* the server closed */
};

struct answer {
    unsigned status;
    bool keep_alive;
    char head[4096];
    char body[65536];
    size_t body_bytes;
};

/* What handlers of a test share; arg of the server. */
struct seen {
    unsigned n_calls;
    unsigned n_gone;
    struct http_exchange *held; /* answered by the test, later */
    struct conn *taken;
    enum err stream_error;
};

struct fixture {
    struct loop *loop;
    struct http_server *server;
    struct seen seen;
};

static inline void fixture_open(struct fixture *f, const struct http_limits *limits,
                                const struct http_route *routes)
{
    memset(f, 0, sizeof *f);
    log_set_level(LOG_ERROR); /* refusals are what these tests are about */
    f->loop = loop_create("test", 0);
    assert_non_null(f->loop);
    f->server = http_server_create(f->loop, limits, "test", routes, &f->seen);
    assert_non_null(f->server);
}

static inline void fixture_close(struct fixture *f)
{
    http_server_destroy(&f->server);
    loop_destroy(&f->loop);
}

/* For cmocka: *state is a fixture. */
static inline int fixture_set_up(void **state, const struct http_route *routes)
{
    struct fixture *f = malloc(sizeof *f);

    assert_non_null(f);
    fixture_open(f, &k_http_limits_default, routes);
    *state = f;
    return 0;
}

static inline int fixture_tear_down(void **state)
{
    fixture_close(*state);
    free(*state);
    return 0;
}

static inline void client_on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct client *c = arg;
    uint8_t bytes[16384];
    ssize_t n;

    (void)what;
    while ((n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        buf_write(&c->got, bytes, (size_t)n);
    assert_int_equal(buf_writer_status(&c->got), E_OK);
    if (n == 0 || errno != EAGAIN) {
        c->ended = true;
        event_del(c->ev);
    }
}

static inline void client_open_sized(struct client *c, struct fixture *f, int sndbuf_bytes)
{
    struct addr peer;
    int fds[2];

    memset(c, 0, sizeof *c);
    tcp_pair(fds, sndbuf_bytes);
    peer.size_bytes = sizeof peer.storage;
    assert_int_equal(getpeername(fds[0], &peer.storage.any, &peer.size_bytes), 0);
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    c->loop = f->loop;
    c->fd = fds[1];
    buf_writer_init(&c->got, 32u << 20);
    c->ev = event_new(loop_base(f->loop), c->fd, EV_READ | EV_PERSIST, client_on_readable, c);
    assert_non_null(c->ev);
    event_add(c->ev, NULL);
    http_server_accept(f->server, fds[0], &peer);
}

static inline void client_open(struct client *c, struct fixture *f)
{
    client_open_sized(c, f, 0);
}

static inline void client_close(struct client *c)
{
    event_free(c->ev);
    close(c->fd);
    buf_writer_fini(&c->got);
}

static inline void client_send(struct client *c, const char *text)
{
    write_full(c->fd, text, strlen(text));
}

/* Turns the loop until the server closed. */
static inline void client_wait_end(struct client *c)
{
    turn_until(c->loop, &c->ended);
}

/* Turns the loop until size_bytes have come. */
static inline void client_wait_bytes(struct client *c, size_t size_bytes)
{
    struct timer deadline;

    timer_init(&deadline, c->loop, test_deadline);
    timer_start_ms(&deadline, TEST_DEADLINE_MS);
    while (c->got.used_bytes < size_bytes && !c->ended)
        loop_turn(c->loop, true);
    timer_stop(&deadline);
    assert_true(c->got.used_bytes >= size_bytes);
}

/* Takes one whole answer out of what came; false when it is not complete. */
static inline bool client_take_answer(struct client *c, struct answer *a, bool to_head)
{
    struct buf_reader in = buf_reader_from(buf_writer_view(&c->got));
    struct http_head head;
    struct http_error error = {0, ""};
    struct http_body body;
    struct buf_view piece;
    enum err e = http_parse_response(&in, sizeof a->head, &head, &error);
    size_t head_bytes = c->got.used_bytes - in.left_bytes;

    if (e == E_AGAIN)
        return false;
    if (e != E_OK)
        fail_msg("bad answer: %s: %.*s", error.text, (int)c->got.used_bytes,
                 (const char *)c->got.data);
    assert_true(buf_view_to_str(buf_view_of(c->got.data, head_bytes), a->head, sizeof a->head));
    a->status = head.status;
    a->keep_alive = head.keep_alive;
    a->body_bytes = 0;
    http_body_init(&body, &head, to_head);
    while ((e = http_body_next(&body, &in, &piece)) == E_OK) {
        assert_true(a->body_bytes + piece.size_bytes < sizeof a->body);
        memcpy(a->body + a->body_bytes, piece.data, piece.size_bytes);
        a->body_bytes += piece.size_bytes;
    }
    a->body[a->body_bytes] = '\0';
    assert_int_not_equal(e, E_PROTO);
    if (e != E_END && !(body.kind == HTTP_BODY_UNTIL_CLOSE && c->ended))
        return false;
    buf_writer_consume(&c->got, c->got.used_bytes - in.left_bytes);
    return true;
}

static inline void client_read(struct client *c, struct answer *a, bool to_head)
{
    struct timer deadline;

    timer_init(&deadline, c->loop, test_deadline);
    timer_start_ms(&deadline, TEST_DEADLINE_MS);
    while (!client_take_answer(c, a, to_head)) {
        if (c->ended)
            fail_msg("closed without a whole answer: %.*s", (int)c->got.used_bytes,
                     (const char *)c->got.data);
        loop_turn(c->loop, true);
    }
    timer_stop(&deadline);
}

static inline void client_expect(struct client *c, unsigned status, const char *body)
{
    struct answer *a = malloc(sizeof *a);

    assert_non_null(a);
    client_read(c, a, false);
    assert_int_equal(a->status, status);
    if (body)
        assert_string_equal(a->body, body);
    free(a);
}

/* Value of one series in the metrics text; -1 when it is not there. */
static inline long metric_value(const char *series)
{
    struct buf_writer w;
    char *line;
    long value = -1;

    buf_writer_init(&w, 1 << 20);
    metrics_render(&w);
    buf_write_u8(&w, 0);
    assert_int_equal(buf_writer_status(&w), E_OK);
    line = strstr((char *)w.data, series);
    if (line)
        value = strtol(line + strlen(series), NULL, 10);
    buf_writer_fini(&w);
    return value;
}

#endif
