/* The HTTP server behind TLS: it does not know, and everything is as without. */
#include "common/net/http_server.h"
#include "tls_test.h"

#define BIG_BYTES 300000

struct rig {
    struct loop *loop;
    struct tls_server *tls;
    struct http_server *http;
    struct issued cert;
    struct conn *taken;
    uint8_t *data;
    struct buf_view parts[3];
    unsigned n_done;
};

static void handle_hello(struct http_exchange *x, void *arg)
{
    (void)arg;
    http_respond(x, 200, "text/plain", buf_view_str("hello"));
}

static void handle_big(struct http_exchange *x, void *arg)
{
    struct rig *rig = arg;

    http_respond(x, 200, NULL, buf_view_of(rig->data, BIG_BYTES));
}

static void on_done(void *arg)
{
    ((struct rig *)arg)->n_done++;
}

static void handle_shared(struct http_exchange *x, void *arg)
{
    struct rig *rig = arg;
    struct http_shared answer = {
        .status = 200, .parts = rig->parts, .n_parts = 3, .done = on_done, .arg = rig};

    http_respond_shared(x, &answer);
}

static void handle_media(struct http_exchange *x, void *arg)
{
    struct rig *rig = arg;

    rig->taken = http_take_conn(x);
}

static const struct http_route k_routes[] = {
    {"GET", "/hello", handle_hello, 0},
    {"GET", "/big", handle_big, 0},
    {"GET", "/shared", handle_shared, 0},
    {"GET", "/media", handle_media, 0},
    {0},
};

static int setup(void **state)
{
    static const char *const k_alpn[] = {"http/1.1"};
    struct rig *rig = calloc(1, sizeof *rig);

    tls_dir_make();
    issue(&rig->cert, (struct issue){"a", "DNS:a.test", .ends_s = 9000});
    rig->loop = loop_create("test", 0);
    rig->tls = server_of(&rig->cert, 1, k_alpn, 1);
    rig->http = http_server_create(rig->loop, &k_http_limits_default, "test", k_routes, rig);
    rig->data = pattern_bytes(BIG_BYTES);
    rig->parts[0] = buf_view_of(rig->data, 1);
    rig->parts[1] = buf_view_of(rig->data + 1, 20000);
    rig->parts[2] = buf_view_of(rig->data + 20001, BIG_BYTES - 20001);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    conn_close(&rig->taken);
    http_server_destroy(&rig->http);
    loop_destroy(&rig->loop);
    tls_server_destroy(&rig->tls);
    issued_free(&rig->cert);
    tls_dir_remove();
    free(rig->data);
    free(rig);
    return 0;
}

/* A client that has not begun; the server owns the connection, its handshake still to come. */
static void visit(struct rig *rig, struct remote *r, int sndbuf_bytes)
{
    struct end unused;

    accepted(rig->loop, rig->tls, &unused, r, sndbuf_bytes);
    http_server_accept_conn(rig->http, &unused.conn);
    assert_null(unused.conn);
    remote_start(r, false);
}

static bool ends_with(const struct buf_writer *got, const void *tail, size_t size_bytes)
{
    return got->used_bytes >= size_bytes &&
           memcmp(got->data + got->used_bytes - size_bytes, tail, size_bytes) == 0;
}

static void step_until_end_is(struct rig *rig, struct remote *r, const void *tail,
                              size_t size_bytes)
{
    int64_t end_us = clock_mono_us() + TEST_DEADLINE_MS * 1000LL;

    while (!ends_with(&r->got, tail, size_bytes)) {
        remote_step(r);
        loop_turn(rig->loop, false);
        assert_true(clock_mono_us() < end_us);
    }
}

static void test_requests_are_answered_in_order_and_the_connection_is_kept(void **state)
{
    struct rig *rig = *state;
    struct remote r;

    visit(rig, &r, SMALL_BUFFER);
    buf_write_str(&r.out,
                  "GET /big HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    step_until_end_is(rig, &r, "hello", 5);
    assert_memory_equal(r.got.data, "HTTP/1.1 200 OK\r\n", 17);
    assert_true(r.got.used_bytes > BIG_BYTES + 100);
    buf_writer_clear(&r.got);
    buf_write_str(&r.out, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    step_until_end_is(rig, &r, "\r\n\r\nhello", 9);
    assert_false(r.ended);
    remote_free(&r);
}

static void test_shared_answer_is_lent_until_tls_has_it(void **state)
{
    struct rig *rig = *state;
    struct remote r;

    visit(rig, &r, SMALL_BUFFER);
    buf_write_str(&r.out,
                  "GET /shared HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    while (r.got.used_bytes < BIG_BYTES / 4) {
        remote_step(&r);
        loop_turn(rig->loop, false);
    }
    assert_int_equal(rig->n_done, 0);
    step_until_end_is(rig, &r, "hello", 5);
    assert_int_equal(rig->n_done, 1);
    assert_non_null(memmem(r.got.data, r.got.used_bytes, rig->data, BIG_BYTES));
    remote_free(&r);
}

static void test_last_answer_arrives_before_the_end(void **state)
{
    struct rig *rig = *state;
    struct remote r;

    visit(rig, &r, SMALL_BUFFER);
    buf_write_str(&r.out, "GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    step_until(rig->loop, &r, &r.ended);
    assert_true(ends_with(&r.got, rig->data, BIG_BYTES));
    assert_int_equal(SSL_get_shutdown(r.ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    remote_free(&r);
}

static void test_connection_that_is_taken_stays_under_tls(void **state)
{
    struct rig *rig = *state;
    struct end end;
    struct remote r;
    struct iovec iov = {rig->data, 5000};
    size_t n;

    end_init(&end);
    visit(rig, &r, 0);
    buf_write_str(&r.out, "GET /media HTTP/1.1\r\nHost: a\r\n\r\n");
    while (!rig->taken) {
        remote_step(&r);
        loop_turn(rig->loop, false);
    }
    assert_true(conn_is_tls(rig->taken));
    conn_set_ops(rig->taken, &k_end_ops, &end);
    end.conn = rig->taken;
    rig->taken = NULL;
    assert_int_equal(conn_send_iov(end.conn, &iov, 1, 5000, &n), E_OK);
    step_until_end_is(rig, &r, rig->data, 5000);
    end_free(&end);
    remote_free(&r);
}

static void test_handshake_that_fails_ends_the_connection(void **state)
{
    struct rig *rig = *state;
    struct remote r;
    char byte;
    ssize_t n;

    visit(rig, &r, 0);
    write_full(r.fd, "GET /hello HTTP/1.1\r\n\r\n", 23);
    for (int i = 0; i < 20; i++)
        loop_turn(rig->loop, false);
    while ((n = recv(r.fd, &byte, 1, 0)) == 1)
        continue; /* the alert */
    assert_true(n == 0 || errno == ECONNRESET);
    remote_free(&r);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_requests_are_answered_in_order_and_the_connection_is_kept),
        T(test_shared_answer_is_lent_until_tls_has_it),
        T(test_last_answer_arrives_before_the_end),
        T(test_connection_that_is_taken_stays_under_tls),
        T(test_handshake_that_fails_ends_the_connection),
    };
#undef T

    return cmocka_run_group_tests(tests, NULL, NULL);
}
