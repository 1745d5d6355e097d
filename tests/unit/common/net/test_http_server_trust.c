/* Requests that proxies pass on: whose they are; and which sites' pages get answers. */
#include "test_http_server.h"

static void on_peer(struct http_exchange *x, void *arg)
{
    char host[ADDR_TEXT_SIZE], text[256];

    (void)arg;
    snprintf(text, sizeof text, "%s%s%s %s", addr_format_host(http_peer_addr(x), host),
             http_is_forwarded(x) ? " forwarded" : "", http_is_tls(x) ? " tls" : "",
             http_is_from_here(x) ? "here" : "elsewhere");
    if (http_is_forwarded(x))
        assert_true(strncmp(http_peer(x) + (*http_peer(x) == '['), host, strlen(host)) == 0);
    http_respond(x, 200, NULL, buf_view_str(text));
}

static const struct http_route k_routes[] = {
    {"GET", "/peer", on_peer, HTTP_ROUTE_CORS},
    {"GET", "/plain", on_peer, 0},
    {NULL, NULL, NULL, 0},
};

static int set_up(void **state)
{
    return fixture_set_up(state, k_routes);
}

static void ask(struct client *c, const char *path, const char *head, struct answer *a)
{
    client_send(c, "GET ");
    client_send(c, path);
    client_send(c, " HTTP/1.1\r\nHost: a\r\n");
    client_send(c, head);
    client_send(c, "\r\n");
    client_read(c, a, false);
}

static const struct {
    const char *head, *peer;
    enum trust_header header;
} k_rows[] = {
    {"", "127.0.0.1 here", TRUST_X_FORWARDED_FOR},
    {"X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1 forwarded elsewhere", TRUST_X_FORWARDED_FOR},
    {"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n",
     "192.0.2.1 forwarded tls elsewhere", TRUST_X_FORWARDED_FOR},
    {"X-Forwarded-For: 192.0.2.9, 192.0.2.1, 10.0.0.1, 127.0.0.9\r\n",
     "192.0.2.1 forwarded elsewhere", TRUST_X_FORWARDED_FOR},
    {"X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\n", "10.0.0.1 forwarded elsewhere",
     TRUST_X_FORWARDED_FOR}, /* all of them are proxies */
    {"X-Forwarded-For: 192.0.2.1, nonsense, 10.0.0.2\r\n", "10.0.0.2 forwarded elsewhere",
     TRUST_X_FORWARDED_FOR},
    {"X-Forwarded-For: nonsense\r\n", "127.0.0.1 elsewhere", TRUST_X_FORWARDED_FOR},
    {"X-Forwarded-For: ::ffff:192.0.2.1\r\n", "192.0.2.1 forwarded elsewhere",
     TRUST_X_FORWARDED_FOR},
    {"X-Forwarded-For: 127.0.0.1\r\n", "127.0.0.1 forwarded elsewhere", TRUST_X_FORWARDED_FOR},
    {"Forwarded: for=192.0.2.1\r\n", "127.0.0.1 elsewhere", TRUST_X_FORWARDED_FOR},
    {"X-Real-IP: 192.0.2.1\r\n", "127.0.0.1 elsewhere", TRUST_X_FORWARDED_FOR},
    {"Forwarded: for=\"[2001:db8::1]:80\";proto=https, for=10.0.0.1;proto=http\r\n",
     "2001:db8::1 forwarded elsewhere", TRUST_FORWARDED},
    {"Forwarded: for=192.0.2.1;proto=https\r\n", "192.0.2.1 forwarded tls elsewhere",
     TRUST_FORWARDED},
    {"X-Forwarded-For: 192.0.2.1\r\n", "127.0.0.1 elsewhere", TRUST_FORWARDED},
    {"X-Forwarded-For: 192.0.2.1\r\n", "127.0.0.1 elsewhere", TRUST_NO_HEADER},
};

static void test_peer_is_who_a_trusted_proxy_names(void **state)
{
    struct fixture *f = *state;
    char *nets[] = {"127.0.0.0/8", "10.0.0.0/8"};
    struct client c;

    client_open(&c, f);
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        struct trust trust = {.nets = NULL};
        struct answer a;
        size_t bad;

        assert_int_equal(trust_init(&trust, nets, 2, k_rows[i].header, &bad), E_OK);
        http_server_set_trust(f->server, &trust);
        ask(&c, "/peer", k_rows[i].head, &a);
        if (strcmp(a.body, k_rows[i].peer) != 0)
            fail_msg("row %zu gives %s", i, a.body);
        trust_fini(&trust);
    }
    http_server_set_trust(f->server, NULL);
    client_close(&c);
}

static void test_peer_is_who_connected_when_nobody_is_trusted(void **state)
{
    struct fixture *f = *state;
    char *nets[] = {"10.0.0.0/8"};
    struct trust trust = {.nets = NULL};
    struct client c;
    size_t bad;

    assert_int_equal(trust_init(&trust, nets, 1, TRUST_X_FORWARDED_FOR, &bad), E_OK);
    client_open(&c, f);
    for (int with = 0; with < 2; with++) {
        struct answer a;

        http_server_set_trust(f->server, with ? &trust : NULL);
        ask(&c, "/peer", "X-Forwarded-For: 192.0.2.1\r\n", &a);
        assert_string_equal(a.body, "127.0.0.1 elsewhere");
    }
    http_server_set_trust(f->server, NULL);
    trust_fini(&trust);
    client_close(&c);
}

static enum http_cors allows(const void *arg, const char *origin)
{
    assert_string_equal(arg, "arg");
    return origin && !strcmp(origin, "https://good") ? HTTP_CORS_ONE : HTTP_CORS_NONE;
}

static void test_cors_echoes_the_origin_that_is_allowed(void **state)
{
    struct fixture *f = *state;
    struct answer a;
    struct client c;

    client_open(&c, f);
    ask(&c, "/peer", "Origin: https://good\r\n", &a);
    assert_non_null(strstr(a.head, "\r\nAccess-Control-Allow-Origin: *\r\n"));
    assert_null(strstr(a.head, "Vary"));
    http_server_set_cors(f->server, allows, "arg");
    ask(&c, "/peer", "Origin: https://good\r\n", &a);
    assert_non_null(strstr(a.head, "\r\nAccess-Control-Allow-Origin: https://good\r\n"));
    assert_non_null(strstr(a.head, "\r\nVary: Origin\r\n"));
    ask(&c, "/peer", "Origin: https://bad\r\n", &a);
    assert_null(strstr(a.head, "Access-Control"));
    assert_non_null(strstr(a.head, "\r\nVary: Origin\r\n"));
    ask(&c, "/peer", "", &a);
    assert_null(strstr(a.head, "Access-Control"));
    assert_non_null(strstr(a.head, "\r\nVary: Origin\r\n"));
    ask(&c, "/plain", "Origin: https://good\r\n", &a);
    assert_null(strstr(a.head, "Access-Control"));
    client_send(&c, "OPTIONS /peer HTTP/1.1\r\nHost: a\r\nOrigin: https://bad\r\n"
                    "Access-Control-Request-Headers: range\r\n\r\n");
    client_read(&c, &a, false);
    assert_int_equal(a.status, 204);
    assert_null(strstr(a.head, "Access-Control"));
    client_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peer_is_who_a_trusted_proxy_names),
        cmocka_unit_test(test_peer_is_who_connected_when_nobody_is_trusted),
        cmocka_unit_test(test_cors_echoes_the_origin_that_is_allowed),
    };

    return cmocka_run_group_tests_name("http_server_trust", tests, set_up, fixture_tear_down);
}
