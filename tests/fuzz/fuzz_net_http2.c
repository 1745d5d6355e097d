/* links: common/net
 * A server's end of an HTTP/2 connection. The first byte picks the split of the bytes, and whether
 * the client's preface is put in front. Every answer that was lent memory gives it back once, and
 * every handler that waits is told. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/net/http_server_private.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
#define MAX_INPUT_BYTES 8192

static struct loop *g_loop;
static struct http_server *g_server;
static unsigned g_n_lent, g_n_held;
static uint8_t g_bytes[100000];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void on_done(void *arg)
{
    (void)arg;
    require(g_n_lent-- > 0);
}

static void on_gone(struct http_exchange *x, void *arg)
{
    (void)x, (void)arg;
    require(g_n_held-- > 0);
}

static void on_shared(struct http_exchange *x, void *arg)
{
    static const struct buf_view parts[] = {{g_bytes, 5}, {g_bytes, 0}, {g_bytes, sizeof g_bytes}};
    struct http_shared answer = {
        .status = 200, .etag = "\"e\"", .parts = parts, .n_parts = 3, .done = on_done};

    (void)arg;
    g_n_lent++;
    http_respond_shared(x, &answer);
}

static void on_echo(struct http_exchange *x, void *arg)
{
    (void)arg;
    http_respond(x, 200, http_header(x, "accept"), http_body(x));
}

static void on_hold(struct http_exchange *x, void *arg)
{
    (void)arg;
    g_n_held++;
    http_set_pending(x, on_gone, NULL);
}

static void on_stream(struct http_exchange *x, void *arg)
{
    on_hold(x, arg);
    http_stream_begin(x, 200, NULL);
    (void)http_stream_write(x, buf_view_of(g_bytes, 1000));
}

static void on_take(struct http_exchange *x, void *arg)
{
    (void)arg;
    require(!http_take_conn(x));
}

static const struct http_route k_routes[] = {
    {"GET", "/", on_shared, HTTP_ROUTE_CORS}, /* indexed by HPACK's static table */
    {"POST", "/", on_echo, 0},
    {"GET", "/index.html", on_hold, 0},
    {"GET", "/s", on_stream, 0},
    {"GET", "/t", on_take, 0},
    {"PUT", "/{x...}", on_take, HTTP_ROUTE_UPLOAD},
    {0},
};

static void prepare(void)
{
    struct http_limits limits = k_http_limits_default;

    if (g_server)
        return;
    log_set_level(LOG_ERROR);
    limits.max_head_bytes = 1024;
    limits.max_body_bytes = 1000;
    g_loop = loop_create("fuzz", 0);
    g_server = g_loop ? http_server_create(g_loop, &limits, "fuzz", k_routes, NULL) : NULL;
    require(g_server != NULL);
}

/* Returns the client's end. */
static int begin(void)
{
    struct addr peer;
    struct conn *conn;
    int fds[2];

    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    require(addr_parse(&peer, "192.0.2.1:1") == E_OK);
    conn = conn_create(g_loop, fds[0], &peer, HTTP_ANSWER_QUEUE_BYTES, NULL, NULL);
    require(conn != NULL);
    http_inbound_create(g_server, &conn, &k_http2);
    return fds[1];
}

/* The server has what was sent, and its answers are dropped. */
static void turn(int fd)
{
    uint8_t bytes[16384];

    loop_turn(g_loop, false);
    while (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        continue;
}

static void send_piece(int fd, const void *bytes, size_t size)
{
    if (send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)size)
        turn(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t step;
    int fd;

    if (size < 1 || size > MAX_INPUT_BYTES)
        return 0;
    prepare();
    step = (size_t)(data[0] >> 1) * 8 + 1;
    fd = begin();
    if (data[0] & 1)
        send_piece(fd, PREFACE, sizeof PREFACE - 1);
    for (size_t at = 1; at < size; at += step)
        send_piece(fd, data + at, size - at < step ? size - at : step);
    turn(fd);
    close(fd);
    for (int i = 0; i < 50 && !list_is_empty(&g_server->inbounds); i++)
        loop_turn(g_loop, false);
    require(list_is_empty(&g_server->inbounds));
    require(g_n_lent == 0 && g_n_held == 0);
    return 0;
}
