/* http_client.c, and through it http_link.c and http_upstreams.c: calls, kept connections,
 * failover. */
#include "common/net/http_client.h"

#include <poll.h>

#include "http_test.h"

static void answer_once_then_close(struct server_conn *c)
{
    if (c->n_requests == 1)
        answer_ok(c);
    else
        server_conn_close(c);
}

static void answer_once_then_half(struct server_conn *c)
{
    if (c->n_requests == 1) {
        answer_ok(c);
    } else {
        say(c, "HTTP/1.1 2");
        server_conn_close(c);
    }
}

static void answer_and_close(struct server_conn *c)
{
    say(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end");
    server_conn_close(c);
}

/* --- a call and what came of it --- */

struct result {
    struct http_client *client; /* destroyed in done() when set */
    struct http_call *call, *cancel_other;
    bool done, cancel_self;
    unsigned n_done;
    enum err e;
    unsigned status;
    char body[256], server[128];
    int64_t took_us;
};

static void on_done(void *arg, const struct http_reply *reply)
{
    struct result *r = arg;

    if (r->client)
        http_client_destroy(&r->client);
    if (r->cancel_self)
        http_call_cancel(&r->call);
    http_call_cancel(&r->cancel_other);
    r->done = true;
    r->n_done++;
    r->e = reply->e;
    r->status = reply->status;
    r->took_us = reply->took_us;
    if (!buf_view_to_str(reply->body, r->body, sizeof r->body))
        fail_msg("body of %zu bytes", reply->body.size_bytes);
    snprintf(r->server, sizeof r->server, "%s", reply->server);
}

static void start_call(struct http_client *client, struct result *r, const char *method,
                       const char *body)
{
    *r = (struct result){.e = E_END};
    r->call = http_client_call(client, method, "/v1/x?a=b", body, on_done, r);
    assert_non_null(r->call);
    assert_false(r->done); /* never from within the call */
}

static void run_call(struct http_client *client, struct result *r, const char *method,
                     const char *body)
{
    start_call(client, r, method, body);
    turn_until(loop, &r->done);
    turn_ready(loop);
    assert_int_equal(r->n_done, 1);
}

/* --- one server --- */

static void test_call_sends_the_request_and_gives_the_reply(void **state)
{
    static const struct {
        const char *method, *body;
    } k_rows[] = {{"GET", NULL}, {"POST", "{\"v\":1}"}, {"DELETE", "{\"v\":2}"}, {"DELETE", NULL}};
    struct http_client *client = make_client(&a, NULL);
    char line[128];

    (void)state;
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        struct result r;

        run_call(client, &r, k_rows[i].method, k_rows[i].body);
        assert_int_equal(r.e, E_OK);
        assert_int_equal(r.status, 200);
        assert_string_equal(r.body, a.body);
        assert_string_equal(r.server, a.url);
        assert_in_range(r.took_us, 1, CALL_MS * 1000);
        snprintf(line, sizeof line, "%s /v1/x?a=b HTTP/1.1\r\n", k_rows[i].method);
        assert_memory_equal(a.last, line, strlen(line));
        snprintf(line, sizeof line, "\r\nHost: 127.0.0.1:%u\r\n", addr_port(&a.bound));
        assert_non_null(strstr(a.last, line));
        assert_non_null(strstr(a.last, "\r\nAuthorization: Bearer s3cret\r\n"));
        if (k_rows[i].body) {
            assert_non_null(strstr(a.last, "\r\nContent-Type: application/json\r\n"));
            assert_string_equal(strstr(a.last, "\r\n\r\n") + 4, k_rows[i].body);
        }
    }
    assert_int_equal(a.n_conns, 1); /* kept alive */
    http_client_destroy(&client);
}

static void test_set_token_changes_what_later_calls_send(void **state)
{
    struct http_client *client = make_client(&a, NULL);
    struct result r;

    (void)state;
    run_call(client, &r, "GET", NULL);
    assert_non_null(strstr(a.last, "\r\nAuthorization: Bearer s3cret\r\n"));
    assert_int_equal(http_client_set_token(client, "second"), E_OK);
    run_call(client, &r, "GET", NULL); /* on the connection that is kept */
    assert_non_null(strstr(a.last, "\r\nAuthorization: Bearer second\r\n"));
    assert_int_equal(http_client_set_token(client, "a\nb"), E_INVAL);
    run_call(client, &r, "GET", NULL);
    assert_non_null(strstr(a.last, "\r\nAuthorization: Bearer second\r\n"));
    assert_int_equal(http_client_set_token(client, ""), E_OK);
    run_call(client, &r, "GET", NULL);
    assert_null(strstr(a.last, "Authorization"));
    http_client_destroy(&client);
}

static void test_call_gives_other_statuses_as_they_are(void **state)
{
    struct http_client *client = make_client(&a, &b);
    struct result r;

    (void)state;
    a.on_request = answer_404;
    run_call(client, &r, "GET", NULL);
    assert_int_equal(r.e, E_OK);
    assert_int_equal(r.status, 404);
    assert_int_equal(b.n_requests, 0);
    http_client_destroy(&client);
}

static void test_call_reads_an_answer_without_length_and_connects_again_after(void **state)
{
    struct http_client *client = make_client(&a, NULL);
    struct result r;

    (void)state;
    a.on_request = answer_and_close;
    for (unsigned i = 1; i <= 3; i++) {
        run_call(client, &r, "GET", NULL);
        assert_int_equal(r.e, E_OK);
        assert_string_equal(r.body, "until the end");
        assert_int_equal(a.n_conns, i);
    }
    http_client_destroy(&client);
}

static void test_call_reaches_a_name_with_several_addresses(void **state)
{
    char url[64];
    const char *urls[1] = {url};
    struct http_client *client;
    struct result r;

    (void)state;
    snprintf(url, sizeof url, "http://localhost:%u/",
             addr_port(&a.bound)); /* ::1 refuses, if there */
    client = make_client_ms(urls, 1, CALL_MS);
    run_call(client, &r, "GET", NULL);
    assert_int_equal(r.e, E_OK);
    assert_string_equal(r.body, a.body);
    assert_memory_equal(r.server, url, strlen(r.server));
    http_client_destroy(&client);
}

static void test_calls_share_four_connections_a_server(void **state)
{
    struct http_client *client = make_client(&a, NULL);
    struct result r[30];

    (void)state;
    for (size_t i = 0; i < 30; i++)
        start_call(client, &r[i], i % 2 ? "POST" : "GET", i % 2 ? "{}" : NULL);
    for (size_t i = 0; i < 30; i++)
        turn_until(loop, &r[i].done);
    for (size_t i = 0; i < 30; i++) {
        assert_int_equal(r[i].n_done, 1);
        assert_int_equal(r[i].e, E_OK);
        assert_string_equal(r[i].body, a.body);
    }
    assert_int_equal(a.n_requests, 30);
    assert_int_equal(a.n_conns, 4);
    http_client_destroy(&client);
}

static void test_call_gives_limit_above_256_under_way(void **state)
{
    struct http_client *client = make_client(&a, NULL);
    struct result *r = calloc(257, sizeof *r);

    (void)state;
    for (size_t i = 0; i < 257; i++)
        start_call(client, &r[i], "GET", NULL);
    for (size_t i = 0; i < 257; i++)
        turn_until(loop, &r[i].done);
    assert_int_equal(r[255].e, E_OK);
    assert_int_equal(r[256].e, E_LIMIT);
    assert_int_equal(r[256].status, 0);
    free(r);
    http_client_destroy(&client);
}

static void test_call_gives_inval_for_a_path_that_would_split_the_request(void **state)
{
    static const char *const k_paths[] = {"", "v1", "/a b", "/a\r\nX: y", "/\x7f"};
    struct http_client *client = make_client(&a, NULL);

    (void)state;
    for (size_t i = 0; i < sizeof k_paths / sizeof k_paths[0]; i++) {
        struct result r = {.done = false};

        assert_non_null(http_client_call(client, "GET", k_paths[i], NULL, on_done, &r));
        assert_false(r.done);
        turn_until(loop, &r.done);
        assert_int_equal(r.e, E_INVAL);
        assert_null(http_client_lines(client, k_paths[i], NULL, NULL, NULL));
    }
    assert_int_equal(a.n_conns, 0);
    http_client_destroy(&client);
}

static void test_call_gives_too_big_for_a_body_above_the_limit(void **state)
{
    struct http_client *client = make_client(&a, NULL);
    char body[1002];
    struct result r;

    (void)state;
    memset(body, 'x', sizeof body);
    body[sizeof body - 1] = '\0';
    a.body = body;
    run_call(client, &r, "GET", NULL);
    assert_int_equal(r.e, E_TOO_BIG);
    assert_string_equal(r.body, "");
    http_client_destroy(&client);
}

static void test_call_gives_timeout_when_nothing_is_answered(void **state)
{
    const char *urls[1] = {a.url};
    struct http_client *client = make_client_ms(urls, 1, 40);
    struct result r[6];

    (void)state;
    a.on_request = answer_nothing;
    for (size_t i = 0; i < 6; i++) /* two of them never get a connection */
        start_call(client, &r[i], "GET", NULL);
    for (size_t i = 0; i < 6; i++) {
        turn_until(loop, &r[i].done);
        assert_int_equal(r[i].e, E_TIMEOUT);
        assert_int_equal(r[i].status, 0);
        assert_string_equal(r[i].server, a.url);
    }
    a.on_request = answer_ok; /* and the client is as good as before */
    run_call(client, &r[0], "GET", NULL);
    assert_int_equal(r[0].e, E_OK);
    http_client_destroy(&client);
}

/* --- connections that the server closes --- */

static void test_call_connects_again_after_an_idle_connection_was_closed(void **state)
{
    struct http_client *client = make_client(&a, NULL);
    struct result r;

    (void)state;
    run_call(client, &r, "GET", NULL);
    server_conn_close(&a.conns[0]);
    turn_ready(loop); /* the client sees it */
    run_call(client, &r, "POST", "{}");
    assert_int_equal(r.e, E_OK);
    assert_int_equal(a.n_conns, 2);
    http_client_destroy(&client);
}

static void test_call_is_repeated_once_when_a_kept_connection_closes_without_a_byte(void **state)
{
    static const char *const k_methods[] = {"GET", "POST", "DELETE"};

    (void)state;
    a.on_request = answer_once_then_close;
    for (size_t i = 0; i < 3; i++) {
        struct http_client *client = make_client(&a, NULL);
        unsigned n_conns = a.n_conns;
        struct result r;

        run_call(client, &r, "GET", NULL);
        run_call(client, &r, k_methods[i], NULL);
        assert_int_equal(r.e, E_OK);
        assert_int_equal(a.n_conns, n_conns + 2);
        assert_string_equal(http_client_server(client), a.url); /* not counted as a failure */
        http_client_destroy(&client);
    }
}

static void test_call_is_not_repeated_on_a_fresh_connection(void **state)
{
    struct http_client *client = make_client(&a, NULL);
    struct result r;

    (void)state;
    a.on_request = answer_by_closing;
    run_call(client, &r, "GET", NULL);
    assert_int_equal(r.e, E_IO);
    assert_int_equal(a.n_requests, 1);
    http_client_destroy(&client);
}

static void test_call_is_not_repeated_after_a_byte_of_the_answer(void **state)
{
    struct http_client *client = make_client(&a, NULL);
    struct result r;

    (void)state;
    a.on_request = answer_once_then_half;
    run_call(client, &r, "GET", NULL);
    run_call(client, &r, "POST", "{}");
    assert_int_equal(r.e, E_IO);
    assert_int_equal(a.n_requests, 2);
    http_client_destroy(&client);
}

/* --- failover --- */

static void test_call_asks_the_next_server_when_one_refuses(void **state)
{
    struct http_client *client = make_client(&a, &b);
    struct result r;

    (void)state;
    listener_close(&a.listener);
    assert_string_equal(http_client_server(client), a.url);
    run_call(client, &r, "POST", "{}");
    assert_int_equal(r.e, E_OK);
    assert_string_equal(r.body, b.body);
    assert_string_equal(r.server, b.url);
    assert_string_equal(http_client_server(client), b.url); /* stays there */
    http_client_destroy(&client);
}

static void test_call_asks_the_next_server_on_timeout_and_503(void **state)
{
    static void (*const k_failures[])(struct server_conn * c) = {answer_nothing, answer_503,
                                                                 answer_by_closing};
    const char *urls[2] = {a.url, b.url};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct http_client *client = make_client_ms(urls, 2, 60);
        unsigned n_requests = a.n_requests;
        struct result r;

        a.on_request = k_failures[i];
        run_call(client, &r, "GET", NULL);
        assert_int_equal(r.e, E_OK);
        assert_int_equal(r.status, 200);
        assert_string_equal(r.body, b.body);
        run_call(client, &r, "GET", NULL);
        assert_int_equal(a.n_requests, n_requests + 1); /* skipped now */
        http_client_destroy(&client);
    }
}

static void test_call_gives_503_when_no_server_does_better(void **state)
{
    struct http_client *client = make_client(&a, &b);
    struct result r;

    (void)state;
    a.on_request = answer_503;
    listener_close(&b.listener);
    run_call(client, &r, "GET", NULL);
    assert_int_equal(r.e, E_OK);
    assert_int_equal(r.status, 503);
    assert_string_equal(r.body, a.body);
    assert_string_equal(r.server, a.url);
    assert_int_equal(a.n_requests, 1); /* at most once each */
    http_client_destroy(&client);
}

static void test_call_asks_failed_servers_when_there_is_no_other(void **state)
{
    struct http_client *client = make_client(&a, &b);
    struct result r;

    (void)state;
    a.on_request = b.on_request = answer_by_closing;
    run_call(client, &r, "GET", NULL);
    assert_int_equal(r.e, E_IO);
    assert_string_equal(r.server, b.url);
    b.on_request = answer_ok; /* both are to be skipped, and one is back */
    run_call(client, &r, "GET", NULL);
    assert_int_equal(r.e, E_OK);
    assert_string_equal(r.server, b.url);
    http_client_destroy(&client);
}

static void test_prefer_chooses_who_is_asked_first_until_it_fails(void **state)
{
    struct http_client *client = make_client(&a, &b);
    struct result r;

    (void)state;
    http_client_prefer(client, b.url);
    http_client_prefer(client, "http://127.0.0.1:1"); /* unknown */
    assert_string_equal(http_client_first(client), a.url);
    run_call(client, &r, "GET", NULL);
    assert_string_equal(r.server, b.url);
    b.on_request = answer_by_closing;
    run_call(client, &r, "GET", NULL);
    assert_string_equal(r.server, a.url);
    http_client_prefer(client, b.url); /* it is skipped all the same */
    run_call(client, &r, "GET", NULL);
    assert_string_equal(r.server, a.url);
    http_client_destroy(&client);
}

/* --- giving up --- */

static void test_cancel_is_silent_at_any_moment(void **state)
{
    (void)state;
    a.on_request = answer_nothing;
    for (int moment = 0; moment < 12; moment++) { /* after so many turns: look-up, connect, asked */
        struct http_client *client = make_client(&a, NULL);
        struct result r[6];

        for (size_t i = 0; i < 6; i++)
            start_call(client, &r[i], "POST", "{}");
        for (int i = 0; i < moment; i++)
            loop_turn(loop, false);
        for (size_t i = 0; i < 6; i++) {
            http_call_cancel(&r[i].call);
            assert_null(r[i].call);
            http_call_cancel(&r[i].call);
            if (i == 3)
                turn_ready(loop); /* the waiting ones move up */
        }
        turn_ready(loop);
        for (size_t i = 0; i < 6; i++)
            assert_int_equal(r[i].n_done, 0);
        http_client_destroy(&client);
    }
}

static void test_cancel_gives_the_connection_to_the_next_in_line(void **state)
{
    struct http_client *client = make_client(&a, NULL);
    struct result stuck[4], next;

    (void)state;
    a.on_request = answer_nothing;
    for (size_t i = 0; i < 4; i++)
        start_call(client, &stuck[i], "GET", NULL);
    start_call(client, &next, "GET", NULL);
    while (a.n_requests < 4)
        loop_turn(loop, true);
    a.on_request = answer_ok;
    http_call_cancel(&stuck[2].call);
    turn_until(loop, &next.done);
    assert_int_equal(next.e, E_OK);
    http_client_destroy(&client);
}

static bool ended, was_reset; /* the connection of the last request, at the server */

static void note_end(struct conn *conn, void *arg)
{
    struct pollfd pfd = {.fd = conn_fd(conn)};

    was_reset = poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLERR);
    ended = true;
    server_conn_close(arg);
}

static void wait_for_end(struct server_conn *c)
{
    static const struct conn_ops k_ops = {note_end, NULL, NULL, NULL};

    conn_set_ops(c->conn, &k_ops, c);
}

/* Of what is closed in order a kernel goes on sending the rest, until a lost network is back. */
static void test_cancel_takes_back_what_was_asked(void **state)
{
    struct http_client *client = make_client(&a, NULL);
    struct result r;

    (void)state;
    ended = was_reset = false;
    a.on_request = wait_for_end;
    start_call(client, &r, "POST", "{}");
    while (a.n_requests == 0)
        loop_turn(loop, true);
    http_call_cancel(&r.call);
    turn_until(loop, &ended);
    assert_true(was_reset);
    http_client_destroy(&client);
}

static void test_destroy_is_silent_at_any_moment(void **state)
{
    (void)state;
    for (int moment = 0; moment < 14; moment++) {
        struct http_client *client = make_client(&a, NULL);
        struct result r[6];
        unsigned n_done = 0;

        for (size_t i = 0; i < 6; i++)
            start_call(client, &r[i], "POST", "{}");
        for (int i = 0; i < moment; i++)
            loop_turn(loop, false);
        for (size_t i = 0; i < 6; i++)
            n_done += r[i].n_done;
        http_client_destroy(&client);
        assert_null(client);
        turn_ready(loop);
        for (size_t i = 0; i < 6; i++)
            n_done -= r[i].n_done;
        assert_int_equal(n_done, 0);
    }
}

static void test_done_may_cancel_and_destroy(void **state)
{
    struct http_client *client = make_client(&a, NULL);
    struct result r[3];

    (void)state;
    for (size_t i = 0; i < 3; i++)
        start_call(client, &r[i], "GET", NULL);
    r[0].cancel_self = true;
    r[0].cancel_other = r[1].call;
    r[2].client = client;
    turn_until(loop, &r[2].done);
    turn_ready(loop);
    assert_int_equal(r[0].n_done + r[1].n_done, 1);
    assert_string_equal(r[2].body, a.body);
    assert_string_equal(r[2].server, a.url); /* still readable */
}

/* --- create --- */

static void test_create_explains_bad_configuration(void **state)
{
    static const char k_form[] = "not a URL of the form http://host:port";
    static const struct {
        const char *url, *token, *why;
    } k_rows[] = {
        {"https://x:1", "", "https is not supported here: use http://host:port"},
        {"x:1", "", k_form},
        {"http://", "", k_form},
        {"http:///", "", k_form},
        {"http://x:0", "", k_form},
        {"http://x:99999", "", k_form},
        {"http://x:1/path", "", k_form},
        {"http://u@x:1", "", k_form},
        {"http://x y", "", k_form},
        {"http://x:1", "a\nb", "the token holds a line break"},
    };
    const char *why;
    struct http_client_conf none = {.log_area = "test"};

    (void)state;
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        const char *urls[2] = {"http://good:1", k_rows[i].url};
        struct http_client_conf conf = {
            .urls = urls, .n_urls = 2, .bearer_token = k_rows[i].token, .log_area = "test"};

        why = NULL;
        assert_null(http_client_create(loop, &conf, &why));
        assert_string_equal(why, k_rows[i].why);
    }
    assert_null(http_client_create(loop, &none, &why));
    assert_string_equal(why, "no server is given");
}

static void test_create_takes_urls_without_port_and_with_ipv6(void **state)
{
    const char *urls[3] = {"http://example.com", "http://[::1]:80/", "http://10.0.0.1:8090"};
    struct http_client *client = make_client_ms(urls, 3, CALL_MS);

    (void)state;
    assert_string_equal(http_client_server(client), urls[0]);
    http_client_destroy(&client);
}

static void test_send_adds_headers_of_the_caller(void **state)
{
    struct http_client *client = make_client(&a, NULL);
    struct http_client_request request = {
        .method = "POST",
        .path_query = "/v1/x",
        .body = "{}",
        .headers = {{"X-One", "1"}, {"X-Two", "two words"}},
    };
    struct result r = {.client = NULL};

    (void)state;
    assert_non_null(http_client_send(client, &request, on_done, &r));
    turn_until(loop, &r.done);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(a.last, "\r\nX-One: 1\r\n"));
    assert_non_null(strstr(a.last, "\r\nX-Two: two words\r\n"));
    http_client_destroy(&client);
}

static void test_send_fails_when_a_header_cannot_be_sent(void **state)
{
    struct http_client *client = make_client(&a, NULL);
    struct http_client_request request = {
        .method = "GET", .path_query = "/v1/x", .headers = {{"X-One", "1\r\nHost: evil"}}};
    struct result r = {.client = NULL};

    (void)state;
    assert_non_null(http_client_send(client, &request, on_done, &r));
    turn_until(loop, &r.done);
    assert_int_equal(r.e, E_NOMEM);
    assert_int_equal(a.n_requests, 0);
    http_client_destroy(&client);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_send_adds_headers_of_the_caller, setup, teardown),
        cmocka_unit_test_setup_teardown(test_send_fails_when_a_header_cannot_be_sent, setup,
                                        teardown),
        T(test_call_sends_the_request_and_gives_the_reply),
        T(test_set_token_changes_what_later_calls_send),
        T(test_call_gives_other_statuses_as_they_are),
        T(test_call_reads_an_answer_without_length_and_connects_again_after),
        T(test_call_reaches_a_name_with_several_addresses),
        T(test_calls_share_four_connections_a_server),
        T(test_call_gives_limit_above_256_under_way),
        T(test_call_gives_inval_for_a_path_that_would_split_the_request),
        T(test_call_gives_too_big_for_a_body_above_the_limit),
        T(test_call_gives_timeout_when_nothing_is_answered),
        T(test_call_connects_again_after_an_idle_connection_was_closed),
        T(test_call_is_repeated_once_when_a_kept_connection_closes_without_a_byte),
        T(test_call_is_not_repeated_on_a_fresh_connection),
        T(test_call_is_not_repeated_after_a_byte_of_the_answer),
        T(test_call_asks_the_next_server_when_one_refuses),
        T(test_call_asks_the_next_server_on_timeout_and_503),
        T(test_call_gives_503_when_no_server_does_better),
        T(test_call_asks_failed_servers_when_there_is_no_other),
        T(test_prefer_chooses_who_is_asked_first_until_it_fails),
        T(test_cancel_is_silent_at_any_moment),
        T(test_cancel_gives_the_connection_to_the_next_in_line),
        T(test_cancel_takes_back_what_was_asked),
        T(test_destroy_is_silent_at_any_moment),
        T(test_done_may_cancel_and_destroy),
        T(test_create_explains_bad_configuration),
        T(test_create_takes_urls_without_port_and_with_ipv6),
    };
#undef T

    return cmocka_run_group_tests(tests, NULL, NULL);
}
