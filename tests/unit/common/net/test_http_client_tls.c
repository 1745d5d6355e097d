/* The HTTP client over https, against our own server under TLS. */
#include "common/net/http_client.h"
#include "common/net/http_server.h"
#include "common/net/listener.h"
#include "tls_test.h"

struct rig {
    struct loop *loop;
    struct tls_server *tls;
    struct tls_client *tls_client;
    struct http_server *http;
    struct listener *listener;
    struct http_client *client;
    struct issued cert;
    struct addr bound;
    unsigned n_accepted, n_lines;
    struct http_reply reply;
    char body[64];
    bool done;
};

static void handle_hello(struct http_exchange *x, void *arg)
{
    (void)arg;
    http_respond(x, 200, "text/plain", http_body(x).size_bytes ? http_body(x) : buf_view_str("hi"));
}

static void handle_lines(struct http_exchange *x, void *arg)
{
    (void)arg;
    http_stream_begin(x, 200, "text/plain");
    http_stream_write(x, buf_view_str("one\ntwo\n"));
    http_stream_end(x);
}

static const struct http_route k_routes[] = {
    {"GET", "/hello", handle_hello, 0},
    {"POST", "/hello", handle_hello, 0},
    {"GET", "/lines", handle_lines, 0},
    {0},
};

static void on_accept(void *arg, int fd, const struct addr *peer)
{
    struct rig *rig = arg;
    struct conn *conn = conn_create(rig->loop, fd, peer, QUEUE_MAX, &k_end_ops, NULL);

    rig->n_accepted++;
    assert_int_equal(conn_start_tls(conn, rig->tls), E_OK);
    http_server_accept_conn(rig->http, &conn);
}

/* A client of https://host:port that trusts ca_file. */
static void client_make(struct rig *rig, const char *host, const char *ca_file)
{
    struct tls_client_conf conf = {.ca_file = ca_file, .handshake_timeout_ms = 5000};
    struct http_client_conf http_conf = {.n_urls = 1,
                                         .bearer_token = "",
                                         .timeout_ms = 5000,
                                         .max_body_bytes = 1000,
                                         .log_area = "test"};
    struct tls_error error;
    const char *why, *url;
    char text[64];

    rig->tls_client = tls_client_create(&conf, &error);
    snprintf(text, sizeof text, "https://%s:%u", host, addr_port(&rig->bound));
    url = text;
    http_conf.urls = &url;
    assert_null(http_client_create(rig->loop, &http_conf, &why));
    assert_string_equal(why, "https is not supported here: use http://host:port");
    http_conf.tls = rig->tls_client;
    rig->client = http_client_create(rig->loop, &http_conf, &why);
    assert_non_null(rig->client);
    assert_string_equal(http_client_server(rig->client), text);
}

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    struct listen_error error;
    int hold_fd;

    tls_dir_make();
    issue(&rig->cert, (struct issue){"a", "DNS:localhost,DNS:a.test", .ends_s = 9000});
    rig->loop = loop_create("test", 0);
    rig->tls = server_of(&rig->cert, 1, NULL, 0);
    rig->http = http_server_create(rig->loop, &k_http_limits_default, "test", k_routes, rig);
    assert_int_equal(listen_reserve("x", "127.0.0.1:0", &rig->bound, &hold_fd, &error), E_OK);
    rig->listener = listener_open(rig->loop, &rig->bound, on_accept, rig, &error);
    assert_non_null(rig->listener);
    close(hold_fd);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    http_client_destroy(&rig->client);
    tls_client_destroy(&rig->tls_client);
    listener_close(&rig->listener);
    http_server_destroy(&rig->http);
    loop_destroy(&rig->loop);
    tls_server_destroy(&rig->tls);
    issued_free(&rig->cert);
    tls_dir_remove();
    free(rig);
    return 0;
}

static void on_reply(void *arg, const struct http_reply *reply)
{
    struct rig *rig = arg;

    rig->reply = *reply;
    assert_true(buf_view_to_str(reply->body, rig->body, sizeof rig->body));
    rig->done = true;
}

static void call(struct rig *rig, const char *method, const char *body)
{
    rig->done = false;
    assert_non_null(http_client_call(rig->client, method, "/hello", body, on_reply, rig));
    turn_until(rig->loop, &rig->done);
}

static void test_call_goes_over_tls_and_keeps_the_connection(void **state)
{
    struct rig *rig = *state;

    client_make(rig, "localhost", tls_ca.cert_file);
    call(rig, "GET", NULL);
    assert_int_equal(rig->reply.e, E_OK);
    assert_int_equal(rig->reply.status, 200);
    assert_string_equal(rig->body, "hi");
    call(rig, "POST", "{\"a\":1}");
    assert_string_equal(rig->body, "{\"a\":1}");
    assert_int_equal(rig->n_accepted, 1);
}

static void test_call_is_made_again_when_the_server_has_closed(void **state)
{
    struct rig *rig = *state;

    client_make(rig, "localhost", tls_ca.cert_file);
    call(rig, "GET", NULL);
    http_server_destroy(&rig->http);
    rig->http = http_server_create(rig->loop, &k_http_limits_default, "test", k_routes, rig);
    call(rig, "GET", NULL);
    assert_int_equal(rig->reply.status, 200);
    assert_int_equal(rig->n_accepted, 2);
}

static void test_call_gives_denied_for_another_host(void **state)
{
    struct rig *rig = *state;

    client_make(rig, "127.0.0.1", tls_ca.cert_file);
    call(rig, "GET", NULL);
    assert_int_equal(rig->reply.e, E_DENIED);
}

static void test_call_gives_denied_for_an_unknown_authority(void **state)
{
    struct rig *rig = *state;

    client_make(rig, "localhost", NULL);
    call(rig, "GET", NULL);
    assert_int_equal(rig->reply.e, E_DENIED);
}

static void on_line(void *arg, struct buf_view line)
{
    struct rig *rig = arg;

    rig->n_lines += line.size_bytes == 3;
}

static void on_end(void *arg, enum err e)
{
    struct rig *rig = arg;

    rig->reply.e = e;
    rig->done = true;
}

static void test_lines_come_over_tls(void **state)
{
    struct rig *rig = *state;

    client_make(rig, "localhost", tls_ca.cert_file);
    assert_non_null(http_client_lines(rig->client, "/lines", on_line, on_end, rig));
    turn_until(rig->loop, &rig->done);
    assert_int_equal(rig->reply.e, E_END);
    assert_int_equal(rig->n_lines, 2);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_call_goes_over_tls_and_keeps_the_connection),
        T(test_call_is_made_again_when_the_server_has_closed),
        T(test_call_gives_denied_for_another_host),
        T(test_call_gives_denied_for_an_unknown_authority),
        T(test_lines_come_over_tls),
    };
#undef T

    return cmocka_run_group_tests(tests, NULL, NULL);
}
