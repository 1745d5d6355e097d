/* What the server refuses, and how: bad requests, sizes, time-outs, slow readers. */
#include "tests/unit/common/net/test_http_server.h"

#include "common/net/http_server_private.h"

#define BAD "headwater_http_bad_requests_total{reason=\""

static void on_hello(struct http_exchange *x, void *arg)
{
    struct seen *seen = arg;

    seen->n_calls++;
    http_respond(x, 200, "text/plain", buf_view_str("hello"));
}

static void on_count(struct http_exchange *x, void *arg)
{
    char text[32];

    (void)arg;
    snprintf(text, sizeof text, "%zu", http_body(x).size_bytes);
    http_respond(x, 200, "text/plain", buf_view_str(text));
}

/* 1 MiB: a few of them overflow every buffer of the sockets, not the queue. */
static void on_big(struct http_exchange *x, void *arg)
{
    static char zeros[1 << 20];
    struct seen *seen = arg;

    seen->n_calls++;
    http_respond(x, 200, NULL, buf_view_of(zeros, sizeof zeros));
}

static void on_huge(struct http_exchange *x, void *arg)
{
    static char zeros[HTTP_ANSWER_QUEUE_BYTES + (8u << 20)];

    (void)arg;
    http_respond(x, 200, NULL, buf_view_of(zeros, sizeof zeros));
}

static const struct http_route k_routes[] = {
    {"GET", "/hello", on_hello, 0}, {"POST", "/count", on_count, 0}, {"GET", "/big", on_big, 0},
    {"GET", "/huge", on_huge, 0},   {NULL, NULL, NULL, 0},
};

static const struct http_limits k_small = {
    .max_head_bytes = 512,
    .max_body_bytes = 1000,
    .head_timeout_ms = 60000,
    .body_timeout_ms = 60000,
    .idle_timeout_ms = 60000,
    .max_pipelined = 4,
};

/* All long but one. */
static struct http_limits k_short_head, k_short_body, k_short_idle;

static int set_up_group(void **state)
{
    (void)state;
    k_short_head = k_short_body = k_short_idle = k_small;
    k_short_head.head_timeout_ms = 30;
    k_short_body.body_timeout_ms = 30;
    k_short_idle.idle_timeout_ms = 30;
    return 0;
}

static const struct {
    const char *text;
    unsigned status;
    const char *series;
} k_bad[] = {
    {"\x16\x03\x01\x02", 400, BAD "syntax\"} "},
    {"GET /hello HTTP/1.1\n", 400, BAD "syntax\"} "},
    {"GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n", 400, BAD "path\"} "},
    {"GET /%2e%2e/b HTTP/1.1\r\nHost: a\r\n\r\n", 400, BAD "path\"} "},
    {"GET //b HTTP/1.1\r\nHost: a\r\n\r\n", 400, BAD "path\"} "},
    {"GET /a%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400, BAD "path\"} "},
    {"POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
     400, BAD "syntax\"} "},
    {"POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400,
     BAD "syntax\"} "},
    {"POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", 413, BAD "body_size\"} "},
    {"POST /count HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n", 413,
     BAD "body_size\"} "},
    {"POST /count HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", 417, BAD "expectation\"} "},
    {"CONNECT b:443 HTTP/1.1\r\nHost: b\r\n\r\n", 501, BAD "not_implemented\"} "},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, BAD "version\"} "},
};

static void test_bad_request_gives_its_status_counts_and_closes(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, &k_small, k_routes);
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++) {
        long before = metric_value(k_bad[i].series);
        struct client c;
        struct answer a;

        client_open(&c, &f);
        client_send(&c, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"); /* answered all the same */
        client_send(&c, k_bad[i].text);
        client_expect(&c, 200, "hello");
        client_read(&c, &a, false);
        if (a.status != k_bad[i].status)
            fail_msg("row %zu gives %u", i, a.status);
        assert_non_null(strstr(a.head, "\r\nConnection: close\r\n"));
        assert_non_null(strstr(a.head, "\r\nContent-Type: application/problem+json\r\n"));
        client_wait_end(&c);
        assert_int_equal(metric_value(k_bad[i].series), before + 1);
        client_close(&c);
    }
    fixture_close(&f);
}

/* Sends size_bytes of 'x'. */
static void send_filler(struct client *c, size_t size_bytes)
{
    char *text = malloc(size_bytes);

    assert_non_null(text);
    memset(text, 'x', size_bytes);
    write_full(c->fd, text, size_bytes);
    free(text);
}

static void test_head_above_the_limit_gives_414_or_431(void **state)
{
    struct fixture f;
    struct client c;

    (void)state;
    fixture_open(&f, &k_small, k_routes);
    client_open(&c, &f);
    client_send(&c, "GET /");
    send_filler(&c, 600);
    client_expect(&c, 414, NULL);
    client_wait_end(&c);
    client_close(&c);
    client_open(&c, &f);
    client_send(&c, "GET / HTTP/1.1\r\nX: ");
    send_filler(&c, 600);
    client_expect(&c, 431, NULL);
    client_wait_end(&c);
    client_close(&c);
    fixture_close(&f);
}

static void test_chunked_body_above_the_limit_gives_413(void **state)
{
    struct fixture f;
    struct client c;

    (void)state;
    fixture_open(&f, &k_small, k_routes);
    client_open(&c, &f);
    client_send(&c, "POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n");
    send_filler(&c, 1000);
    client_send(&c, "\r\n0\r\n\r\n");
    client_expect(&c, 200, "1000");
    client_send(&c, "POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n");
    send_filler(&c, 1001);
    client_expect(&c, 413, NULL);
    client_wait_end(&c);
    client_close(&c);
    fixture_close(&f);
}

/* A peer that sends on after the 413 must still get it, not a reset. */
static void test_413_arrives_though_the_peer_sends_on(void **state)
{
    struct fixture f;
    struct client c;

    (void)state;
    fixture_open(&f, &k_small, k_routes);
    client_open(&c, &f);
    client_send(&c, "POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n");
    for (int i = 0; i < 9; i++) {
        send_filler(&c, 10000);
        loop_turn(f.loop, false);
    }
    client_expect(&c, 413, NULL);
    client_wait_end(&c);
    client_close(&c);
    fixture_close(&f);
}

static void test_started_request_gives_408_after_its_time(void **state)
{
    struct fixture f;
    struct client c;

    (void)state;
    fixture_open(&f, &k_short_head, k_routes);
    client_open(&c, &f);
    client_send(&c, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /hel");
    client_expect(&c, 200, "hello");
    client_expect(&c, 408, NULL);
    client_wait_end(&c);
    client_close(&c);
    fixture_close(&f);
}

static void test_started_body_gives_408_after_its_time(void **state)
{
    struct fixture f;
    struct client c;

    (void)state;
    fixture_open(&f, &k_short_body, k_routes);
    client_open(&c, &f);
    client_send(&c, "POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab");
    client_expect(&c, 408, NULL);
    client_wait_end(&c);
    client_close(&c);
    fixture_close(&f);
}

static void test_silent_connection_is_closed_without_an_answer(void **state)
{
    long before;
    struct fixture f;
    struct client c;

    (void)state;
    fixture_open(&f, &k_short_head, k_routes);
    before = metric_value(BAD "timeout\"} ");
    client_open(&c, &f); /* sends nothing at all */
    client_wait_end(&c);
    assert_int_equal(c.got.used_bytes, 0);
    assert_int_equal(metric_value(BAD "timeout\"} "), before);
    client_close(&c);
    fixture_close(&f);
}

static void test_idle_connection_is_closed_without_an_answer(void **state)
{
    struct fixture f;
    struct client c;

    (void)state;
    fixture_open(&f, &k_short_idle, k_routes);
    client_open(&c, &f);
    client_send(&c, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n\r\n"); /* an empty line is no request */
    client_expect(&c, 200, "hello");
    client_wait_end(&c);
    assert_int_equal(c.got.used_bytes, 0);
    client_close(&c);
    fixture_close(&f);
}

static void test_truncated_request_is_counted_and_not_answered(void **state)
{
    struct fixture f;
    struct client c;
    long before;

    (void)state;
    fixture_open(&f, &k_small, k_routes);
    before = metric_value(BAD "truncated\"} ");
    client_open(&c, &f);
    client_send(&c, "POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab");
    shutdown(c.fd, SHUT_WR);
    client_wait_end(&c);
    assert_int_equal(c.got.used_bytes, 0);
    assert_int_equal(metric_value(BAD "truncated\"} "), before + 1);
    client_close(&c);
    fixture_close(&f);
}

/* Stops the test's reading, so that the sockets fill up. */
static void client_stop_reading(struct client *c)
{
    event_del(c->ev);
}

static void test_answers_wait_for_a_slow_reader_one_at_a_time(void **state)
{
    struct fixture f;
    struct client c;
    size_t want_bytes = 8u << 20;

    (void)state;
    fixture_open(&f, &k_small, k_routes);
    client_open_sized(&c, &f, 8192);
    client_stop_reading(&c);
    for (int i = 0; i < 8; i++)
        client_send(&c, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    turn_ready(f.loop);
    assert_int_equal(f.seen.n_calls, 1); /* the next only once this one is out */
    event_add(c.ev, NULL);
    client_wait_bytes(&c, want_bytes);
    turn_ready(f.loop);
    assert_int_equal(f.seen.n_calls, 8);
    client_close(&c);
    fixture_close(&f);
}

static void test_answer_above_the_queue_closes_a_slow_reader(void **state)
{
    struct fixture f;
    struct client c;
    long before;

    (void)state;
    fixture_open(&f, &k_small, k_routes);
    before = metric_value(BAD "slow_reader\"} ");
    client_open_sized(&c, &f, 8192);
    client_send(&c, "GET /huge HTTP/1.1\r\nHost: a\r\n\r\n");
    client_wait_end(&c);
    assert_true(c.got.used_bytes < HTTP_ANSWER_QUEUE_BYTES);
    assert_int_equal(metric_value(BAD "slow_reader\"} "), before + 1);
    client_close(&c);
    fixture_close(&f);
}

static void test_slow_reader_is_closed_when_nothing_moves(void **state)
{
    struct fixture f;
    struct client c;

    (void)state;
    fixture_open(&f, &k_short_idle, k_routes);
    client_open_sized(&c, &f, 8192);
    client_stop_reading(&c);
    client_send(&c, "GET /big HTTP/1.1\r\nHost: a\r\n\r\nGET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    while (f.seen.n_calls == 0 || !list_is_empty(&f.server->inbounds))
        loop_turn(f.loop, true);
    event_add(c.ev, NULL);
    client_wait_end(&c);
    assert_int_equal(f.seen.n_calls, 1);
    client_close(&c);
    fixture_close(&f);
}

static void test_peer_that_resets_under_a_queued_answer_is_let_go(void **state)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    struct fixture f;
    struct client c;

    (void)state;
    fixture_open(&f, &k_small, k_routes);
    client_open_sized(&c, &f, 8192);
    client_stop_reading(&c);
    client_send(&c, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    while (f.seen.n_calls == 0)
        loop_turn(f.loop, true);
    setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    client_close(&c);
    while (!list_is_empty(&f.server->inbounds))
        loop_turn(f.loop, true);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_request_gives_its_status_counts_and_closes),
        cmocka_unit_test(test_head_above_the_limit_gives_414_or_431),
        cmocka_unit_test(test_chunked_body_above_the_limit_gives_413),
        cmocka_unit_test(test_413_arrives_though_the_peer_sends_on),
        cmocka_unit_test(test_started_request_gives_408_after_its_time),
        cmocka_unit_test(test_started_body_gives_408_after_its_time),
        cmocka_unit_test(test_silent_connection_is_closed_without_an_answer),
        cmocka_unit_test(test_idle_connection_is_closed_without_an_answer),
        cmocka_unit_test(test_truncated_request_is_counted_and_not_answered),
        cmocka_unit_test(test_answers_wait_for_a_slow_reader_one_at_a_time),
        cmocka_unit_test(test_answer_above_the_queue_closes_a_slow_reader),
        cmocka_unit_test(test_slow_reader_is_closed_when_nothing_moves),
        cmocka_unit_test(test_peer_that_resets_under_a_queued_answer_is_let_go),
    };

    return cmocka_run_group_tests_name("http_server_limits", tests, set_up_group, NULL);
}
