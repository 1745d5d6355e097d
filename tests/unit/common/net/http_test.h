/* HTTP servers on the loop of the test that do exactly what they are told, and a client for them.
 */
#ifndef HW_TESTS_HTTP_TEST_H
#define HW_TESTS_HTTP_TEST_H

#include "common/net/conn.h"
#include "common/net/http_client.h"
#include "common/net/listener.h"
#include "net_test.h"

#define MAX_CONNS 256
#define CALL_MS 5000

static struct loop *loop;

/* --- a server that is told what to do --- */

struct server;

struct server_conn {
    struct server *server;
    struct conn *conn;
    struct buf_writer in; /* the request so far */
    unsigned n_requests;
};

struct server {
    struct listener *listener;
    struct addr bound;
    char url[64];
    struct server_conn conns[MAX_CONNS];
    unsigned n_conns, n_requests;
    char last[4096];  /* the last request, head and body */
    const char *body; /* what the ready-made answers carry */
    /* Called with each whole request. */
    void (*on_request)(struct server_conn *c);
    bool asked; /* set with each request */
};

static inline void server_conn_close(struct server_conn *c)
{
    conn_close(&c->conn);
    buf_writer_fini(&c->in);
}

static inline void say(struct server_conn *c, const char *text)
{
    conn_write(c->conn, buf_view_str(text)); /* the client may be gone, as a test wants it */
}

static inline void say_status(struct server_conn *c, const char *status)
{
    const char *body = c->server->body ? c->server->body : "";
    char head[256];

    snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n", status, strlen(body));
    say(c, head);
    say(c, body);
}

static inline void answer_ok(struct server_conn *c)
{
    say_status(c, "200 OK");
}

static inline void answer_503(struct server_conn *c)
{
    say_status(c, "503 Service Unavailable");
}

static inline void answer_404(struct server_conn *c)
{
    say_status(c, "404 Not Found");
}

static inline void answer_nothing(struct server_conn *c)
{
    (void)c;
}

static inline void answer_by_closing(struct server_conn *c)
{
    server_conn_close(c);
}

/* Length of the first whole request in text, or 0. */
static inline size_t request_size(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n");
    const char *length = strstr(text, "Content-Length: ");
    size_t size;

    if (!end)
        return 0;
    size = (size_t)(end + 4 - text);
    if (length && length < end)
        size += strtoul(length + 16, NULL, 10);
    return strlen(text) >= size ? size : 0;
}

static inline void on_server_readable(struct conn *conn, void *arg)
{
    struct server_conn *c = arg;
    struct buf_view view;
    enum err e;
    size_t size;

    while ((e = conn_read(conn, &view)) == E_OK)
        buf_write_view(&c->in, view);
    if (e != E_AGAIN) {
        server_conn_close(c);
        return;
    }
    buf_write_u8(&c->in, 0);
    c->in.used_bytes--;
    size = request_size((const char *)c->in.data);
    if (size == 0)
        return;
    assert_true(size < sizeof c->server->last);
    memcpy(c->server->last, c->in.data, size);
    c->server->last[size] = '\0';
    buf_writer_consume(&c->in, size);
    c->server->n_requests++;
    c->n_requests++;
    c->server->asked = true;
    c->server->on_request(c);
}

static const struct conn_ops k_server_ops = {on_server_readable, NULL, NULL, NULL};

static inline void on_server_accept(void *arg, int fd, const struct addr *peer)
{
    struct server *s = arg;
    struct server_conn *c = &s->conns[s->n_conns++];

    assert_true(s->n_conns <= MAX_CONNS);
    c->server = s;
    buf_writer_init(&c->in, 1 << 20);
    c->conn = conn_create(loop, fd, peer, 1 << 22, &k_server_ops, c);
}

static inline void server_open(struct server *s, void (*on_request)(struct server_conn *c))
{
    struct listen_error error;
    int hold_fd;

    *s = (struct server){.on_request = on_request};
    assert_int_equal(listen_reserve("test", "127.0.0.1:0", &s->bound, &hold_fd, &error), E_OK);
    s->listener = listener_open(loop, &s->bound, on_server_accept, s, &error);
    assert_non_null(s->listener);
    close(hold_fd);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%u", addr_port(&s->bound));
}

static inline void server_close(struct server *s)
{
    listener_close(&s->listener);
    for (unsigned i = 0; i < s->n_conns; i++)
        server_conn_close(&s->conns[i]);
}

static inline struct http_client *make_client_ms(const char *const *urls, unsigned n_urls,
                                                 int64_t timeout_ms)
{
    struct http_client_conf conf = {.urls = urls,
                                    .n_urls = n_urls,
                                    .bearer_token = "s3cret",
                                    .timeout_ms = timeout_ms,
                                    .max_body_bytes = 1000,
                                    .lines_idle_ms = 100,
                                    .log_area = "test"};
    const char *why = NULL;
    struct http_client *client = http_client_create(loop, &conf, &why);

    if (!client)
        fail_msg("%s", why);
    return client;
}

static inline struct http_client *make_client(const struct server *a, const struct server *b)
{
    const char *urls[2] = {a->url, b ? b->url : NULL};

    return make_client_ms(urls, b ? 2 : 1, CALL_MS);
}

static struct server a, b;

static inline int setup(void **state)
{
    (void)state;
    loop = loop_create("test", 0);
    server_open(&a, answer_ok);
    server_open(&b, answer_ok);
    a.body = "{\"from\":\"a\"}";
    b.body = "{\"from\":\"b\"}";
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    server_close(&a);
    server_close(&b);
    loop_destroy(&loop);
    return 0;
}

#endif
