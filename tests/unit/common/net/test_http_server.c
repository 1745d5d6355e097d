/* Requests and their answers: routes, methods, CORS, bodies, keep-alive, pipelining, access. */
#include "tests/unit/common/net/test_http_server.h"

#include "common/net/http_server_private.h"

static void on_hello(struct http_exchange *x, void *arg)
{
    struct seen *seen = arg;

    seen->n_calls++;
    http_respond(x, 200, "text/plain", buf_view_str("hello"));
}

/* Method, variables, a query argument and the body, as the handler sees them. */
static void on_echo(struct http_exchange *x, void *arg)
{
    struct buf_view body = http_body(x);
    const char *q = http_query_arg(x, "q"), *rest = http_path_arg(x, "rest");
    struct buf_writer out;

    (void)arg;
    assert_null(http_query_arg(x, "absent"));
    assert_null(http_path_arg(x, "absent"));
    assert_null(http_header(x, "X-Absent"));
    assert_false(http_is_head(x));
    assert_ptr_equal(http_loop(x), loop_current());
    assert_true(strncmp(http_peer(x), "127.0.0.1:", 10) == 0);
    buf_writer_init(&out, 4096);
    buf_printf(&out, "%s %s a=%s rest=%s q=%s %.*s", http_method(x), http_path(x),
               http_path_arg(x, "a"), rest ? rest : "-", q ? q : "-", (int)body.size_bytes,
               (const char *)body.data);
    http_add_header(x, "X-Extra", "1");
    http_respond(x, 200, "text/plain", buf_writer_view(&out));
    buf_writer_fini(&out);
}

static void on_access(struct http_exchange *x, void *arg)
{
    (void)arg;
    http_respond(x, 200, NULL,
                 buf_view_str(http_is_local(x)              ? "local"
                              : http_bearer_is(x, "s3cr3t") ? "bearer"
                                                            : "none"));
}

static void on_problem(struct http_exchange *x, void *arg)
{
    (void)arg;
    http_respond_problem(x, 409, "busy: \"%s\"\x01\xff caf\xc3\xa9", http_path(x));
}

static void on_created(struct http_exchange *x, void *arg)
{
    (void)arg;
    http_respond(x, 204, NULL, buf_view_str(""));
}

static const struct http_route k_routes[] = {
    {"GET", "/hello", on_hello, HTTP_ROUTE_CORS},
    {"GET", "/echo/{a}", on_echo, 0},
    {"POST", "/echo/{a}", on_echo, 0},
    {"GET", "/echo/{a}/tail/{rest...}/end.x", on_echo, 0},
    {"GET", "/echo/{a}/tail/{rest...}", on_echo, 0},
    {"GET", "/access", on_access, 0},
    {"GET", "/problem/{x...}", on_problem, 0},
    {"DELETE", "/hello", on_created, 0},
    {NULL, NULL, NULL, 0},
};

static int set_up(void **state)
{
    return fixture_set_up(state, k_routes);
}

static void test_respond_gives_date_and_length_and_keeps_the_connection(void **state)
{
    struct answer a;
    struct client c;

    client_open(&c, *state);
    for (int i = 0; i < 3; i++) {
        client_send(&c, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        client_read(&c, &a, false);
        assert_int_equal(a.status, 200);
        assert_true(a.keep_alive);
        assert_string_equal(a.body, "hello");
        assert_non_null(strstr(a.head, "\r\nDate: "));
        assert_non_null(strstr(a.head, " GMT\r\n"));
        assert_non_null(strstr(a.head, "\r\nContent-Length: 5\r\n"));
        assert_non_null(strstr(a.head, "\r\nContent-Type: text/plain\r\n"));
        assert_null(strstr(a.head, "Connection:"));
        assert_non_null(strstr(a.head, "\r\nAccess-Control-Allow-Origin: *\r\n"));
    }
    client_close(&c);
}

static const char k_pipelined[] =
    "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
    "POST /echo/p%20q?q=1+2 HTTP/1.1\r\nHost: a\r\n"
    "Transfer-Encoding: chunked\r\n\r\n"
    "3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n"
    "\r\n"
    "POST /echo/s HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nfour"
    "GET /echo/x/tail/y/z/end.x HTTP/1.1\r\nHost: a\r\n\r\n"
    "GET /echo/x/tail/end.x HTTP/1.1\r\nHost: a\r\n\r\n"
    "GET /echo/x/tail/y/z HTTP/1.1\r\nHost: a\r\nConnection: close"
    "\r\n\r\n";

static void test_requests_give_same_answers_for_every_split(void **state)
{
    struct fixture *f = *state;

    for (size_t step = 1; step < sizeof k_pipelined; step++) {
        struct client c;

        client_open(&c, f);
        for (size_t at = 0; at < sizeof k_pipelined - 1; at += step) {
            size_t left = sizeof k_pipelined - 1 - at;

            write_full(c.fd, k_pipelined + at, left < step ? left : step);
            loop_turn(f->loop, false);
        }
        client_expect(&c, 200, "hello");
        client_expect(&c, 200, "POST /echo/p q a=p q rest=- q=1 2 abcde");
        client_expect(&c, 200, "POST /echo/s a=s rest=- q=- four");
        client_expect(&c, 200, "GET /echo/x/tail/y/z/end.x a=x rest=y/z q=- ");
        client_expect(&c, 200, "GET /echo/x/tail/end.x a=x rest=end.x q=- ");
        client_expect(&c, 200, "GET /echo/x/tail/y/z a=x rest=y/z q=- ");
        client_wait_end(&c);
        assert_int_equal(c.got.used_bytes, 0);
        client_close(&c);
    }
}

static void test_idle_connection_holds_no_buffer(void **state)
{
    struct fixture *f = *state;
    struct http_inbound *inbound;
    struct client c;

    client_open(&c, f);
    client_send(&c, "GET /hello HT");
    turn_ready(f->loop);
    inbound = list_entry(f->server->inbounds.next, struct http_inbound, node);
    assert_non_null(inbound->in.data);
    client_send(&c, "TP/1.1\r\nHost: a\r\n\r\n");
    client_expect(&c, 200, "hello");
    assert_null(inbound->in.data);
    assert_true(list_is_empty(&inbound->exchanges));
    assert_int_equal(inbound->body_bytes, 0);
    client_close(&c);
}

static void test_head_gives_the_head_of_get_alone(void **state)
{
    struct answer a;
    struct client c;

    client_open(&c, *state);
    client_send(&c,
                "HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    client_read(&c, &a, true);
    assert_int_equal(a.status, 200);
    assert_non_null(strstr(a.head, "\r\nContent-Length: 5\r\n"));
    client_expect(&c, 200, "hello");
    client_close(&c);
}

static void test_options_gives_allow_and_cors(void **state)
{
    struct answer a;
    struct client c;

    client_open(&c, *state);
    client_send(&c, "OPTIONS /hello HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\n"
                    "Access-Control-Request-Headers: X-One, bad name,, x-two\r\n\r\n");
    client_read(&c, &a, false);
    assert_int_equal(a.status, 204);
    assert_non_null(strstr(a.head, "\r\nAllow: GET, HEAD, OPTIONS, DELETE\r\n"));
    assert_non_null(strstr(a.head, "\r\nAccess-Control-Allow-Origin: *\r\n"));
    assert_non_null(
        strstr(a.head, "\r\nAccess-Control-Allow-Methods: GET, HEAD, OPTIONS, DELETE\r\n"));
    assert_non_null(strstr(a.head, "\r\nAccess-Control-Allow-Headers: X-One, x-two\r\n"));
    assert_non_null(strstr(a.head, "\r\nAccess-Control-Max-Age: 86400\r\n"));
    assert_null(strstr(a.head, "Content-Length"));
    client_send(&c, "OPTIONS /echo/x HTTP/1.1\r\nHost: a\r\n\r\n");
    client_read(&c, &a, false);
    assert_non_null(strstr(a.head, "\r\nAllow: GET, HEAD, POST, OPTIONS\r\n"));
    assert_null(strstr(a.head, "Access-Control"));
    client_send(&c, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    client_read(&c, &a, false);
    assert_int_equal(a.status, 204);
    assert_non_null(strstr(a.head, "\r\nAllow: GET, HEAD, POST, OPTIONS, DELETE\r\n"));
    client_send(&c, "OPTIONS /absent HTTP/1.1\r\nHost: a\r\n\r\n");
    client_expect(&c, 404, NULL);
    client_close(&c);
}

static void test_unrouted_gives_404_405_or_501_and_keeps_the_connection(void **state)
{
    struct answer a;
    struct client c;

    client_open(&c, *state);
    client_send(&c, "GET /absent HTTP/1.1\r\nHost: a\r\n\r\n");
    client_read(&c, &a, false);
    assert_int_equal(a.status, 404);
    assert_true(a.keep_alive);
    assert_non_null(strstr(a.head, "\r\nContent-Type: application/problem+json\r\n"));
    assert_string_equal(a.body, "{\"status\":404,\"title\":\"Not Found\","
                                "\"detail\":\"nothing at /absent\"}\n");
    client_send(&c, "PUT /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab");
    client_read(&c, &a, false);
    assert_int_equal(a.status, 405);
    assert_non_null(strstr(a.head, "\r\nAllow: GET, HEAD, OPTIONS, DELETE\r\n"));
    client_send(&c, "BREW /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    client_expect(&c, 501, NULL);
    client_send(&c, "get /hello HTTP/1.1\r\nHost: a\r\n\r\n"); /* methods have case */
    client_expect(&c, 501, NULL);
    client_send(&c, "GET /echo/ HTTP/1.1\r\nHost: a\r\n\r\n"); /* a variable is not empty */
    client_expect(&c, 404, NULL);
    client_send(&c, "GET /echo/x/tail/ HTTP/1.1\r\nHost: a\r\n\r\n");
    client_expect(&c, 404, NULL);
    client_send(&c, "GET /hello/ HTTP/1.1\r\nHost: a\r\n\r\n");
    client_expect(&c, 404, NULL);
    client_send(&c, "DELETE /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    client_expect(&c, 204, "");
    client_close(&c);
}

static void test_problem_escapes_what_is_no_json_text(void **state)
{
    struct client c;

    client_open(&c, *state);
    client_send(&c, "GET /problem/a%22b HTTP/1.1\r\nHost: a\r\n\r\n");
    client_expect(&c, 409,
                  "{\"status\":409,\"title\":\"Conflict\",\"detail\":\"busy: "
                  "\\\"/problem/a\\\"b\\\"\\u0001\\ufffd caf\xc3\xa9\"}\n");
    client_close(&c);
}

static void test_http_1_0_closes_unless_asked_to_keep(void **state)
{
    struct answer a;
    struct client c;

    client_open(&c, *state);
    client_send(&c, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    client_read(&c, &a, false);
    assert_non_null(strstr(a.head, "\r\nConnection: keep-alive\r\n"));
    client_send(&c, "GET /hello HTTP/1.0\r\n\r\nGET /hello HTTP/1.0\r\n\r\n");
    client_read(&c, &a, false);
    assert_non_null(strstr(a.head, "\r\nConnection: close\r\n"));
    client_wait_end(&c);
    assert_int_equal(c.got.used_bytes, 0); /* nothing after the answer that closes */
    client_close(&c);
}

static void test_expect_gives_100_before_the_body(void **state)
{
    struct fixture *f = *state;
    struct client c;

    client_open(&c, f);
    client_send(&c, "POST /echo/x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                    "Content-Length: 2\r\n\r\n");
    client_expect(&c, 100, "");
    client_send(&c, "ab");
    client_expect(&c, 200, "POST /echo/x a=x rest=- q=- ab");
    client_send(&c, "POST /echo/x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                    "Content-Length: 2\r\n\r\nab"); /* did not wait: no 100 */
    client_expect(&c, 200, "POST /echo/x a=x rest=- q=- ab");
    client_send(&c, "POST /absent HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                    "Content-Length: 2\r\n\r\n");
    client_expect(&c, 404, NULL);
    client_wait_end(&c);
    client_close(&c);
}

static void test_peer_that_half_closes_gets_its_answers(void **state)
{
    struct client c;

    client_open(&c, *state);
    client_send(&c, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    shutdown(c.fd, SHUT_WR);
    client_expect(&c, 200, "hello");
    client_expect(&c, 200, "hello");
    client_wait_end(&c);
    client_close(&c);
}

static const struct {
    const char *head, *access;
} k_access[] = {
    {"Host: 127.0.0.1:8081\r\n", "local"},
    {"Host: localhost\r\n", "local"},
    {"Host: LocalHost:1\r\n", "local"},
    {"Host: [::1]:8081\r\n", "local"},
    {"Host: localhost\r\nOrigin: http://localhost:3000\r\n", "local"},
    {"Host: localhost\r\nOrigin: http://[::1]\r\n", "local"},
    {"Host: evil.example\r\n", "none"}, /* DNS rebinding */
    {"Host: localhost.evil.example\r\n", "none"},
    {"Host: 127.0.0.1.evil.example\r\n", "none"},
    {"Host:\r\n", "none"},
    {"Host: localhost\r\nOrigin: http://evil.example\r\n", "none"},
    {"Host: localhost\r\nOrigin: http://localhost@evil.example\r\n", "none"},
    {"Host: localhost\r\nOrigin: null\r\n", "none"},
    {"Host: localhost\r\nOrigin:\r\n", "none"},
    {"Host: localhost\r\nOrigin: http://localhost\r\nOrigin: http://evil.example\r\n", "none"},
    {"Host: a\r\nAuthorization: Bearer s3cr3t\r\n", "bearer"},
    {"Host: a\r\nAuthorization: bearer s3cr3t\r\n", "bearer"},
    {"Host: a\r\nAuthorization: Bearer s3cr3\r\n", "none"},
    {"Host: a\r\nAuthorization: Bearer s3cr3tt\r\n", "none"},
    {"Host: a\r\nAuthorization: Bearer s3cr3ts3cr3t\r\n", "none"},
    {"Host: a\r\nAuthorization: Bearer\r\n", "none"},
    {"Host: a\r\nAuthorization: Basic s3cr3t\r\n", "none"},
    {"Host: a\r\nAuthorization: s3cr3t\r\n", "none"},
};

static void test_access_is_local_only_for_loopback_host_and_origin(void **state)
{
    struct client c;

    client_open(&c, *state);
    for (size_t i = 0; i < sizeof k_access / sizeof k_access[0]; i++) {
        struct answer a;

        client_send(&c, "GET /access HTTP/1.1\r\n");
        client_send(&c, k_access[i].head);
        client_send(&c, "\r\n");
        client_read(&c, &a, false);
        if (strcmp(a.body, k_access[i].access) != 0)
            fail_msg("row %zu gives %s", i, a.body);
    }
    client_send(&c, "GET http://evil.example/access HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client_expect(&c, 200, "none"); /* the target's authority counts, not Host */
    client_send(&c, "GET http://127.0.0.1/access HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    client_expect(&c, 200, "local");
    client_send(&c, "GET /access HTTP/1.0\r\n\r\n");
    client_expect(&c, 200, "none");
    client_close(&c);
}

static void test_access_is_not_local_for_a_foreign_peer(void **state)
{
    struct fixture *f = *state;
    struct addr peer;
    struct client c;
    int fds[2];

    client_open(&c, f);
    close(c.fd);
    event_del(c.ev);
    tcp_pair(fds, 0);
    assert_int_equal(addr_parse(&peer, "192.0.2.7:5555"), E_OK);
    http_server_accept(f->server, fds[0], &peer);
    c.fd = fds[1];
    event_assign(c.ev, loop_base(f->loop), c.fd, EV_READ | EV_PERSIST, client_on_readable, &c);
    event_add(c.ev, NULL);
    client_send(&c, "GET /access HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client_expect(&c, 200, "none");
    client_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_respond_gives_date_and_length_and_keeps_the_connection),
        cmocka_unit_test(test_requests_give_same_answers_for_every_split),
        cmocka_unit_test(test_idle_connection_holds_no_buffer),
        cmocka_unit_test(test_head_gives_the_head_of_get_alone),
        cmocka_unit_test(test_options_gives_allow_and_cors),
        cmocka_unit_test(test_unrouted_gives_404_405_or_501_and_keeps_the_connection),
        cmocka_unit_test(test_problem_escapes_what_is_no_json_text),
        cmocka_unit_test(test_http_1_0_closes_unless_asked_to_keep),
        cmocka_unit_test(test_expect_gives_100_before_the_body),
        cmocka_unit_test(test_peer_that_half_closes_gets_its_answers),
        cmocka_unit_test(test_access_is_local_only_for_loopback_host_and_origin),
        cmocka_unit_test(test_access_is_not_local_for_a_foreign_peer),
    };

    return cmocka_run_group_tests_name("http_server", tests, set_up, fixture_tear_down);
}
