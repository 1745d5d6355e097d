/* The HTTP server of common/net by itself: one loop, answers of shared memory, as a segment or a
 * playlist is served. For requests a second next to nginx, and for tests of HTTP/2 with real
 * clients.
 *   /bytes/{n}   n bytes, the same for everybody
 *   /echo        the body of a POST
 *   /count       numbers as a stream, one every 10 ms, ten of them
 *   /media       takes the connection, as HTTP-FLV does */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/net/http_server.h"
#include "common/net/listener.h"
#include "common/net/tls.h"

#define MAX_BYTES (64u << 20)
#define PART_BYTES 65536 /* segments are lists of pages */
#define N_COUNTED 10

static const char k_usage[] = "usage: headwater-bench-http HOST:PORT [CERT.pem KEY.pem]\n";

struct server {
    struct loop *loop;
    struct http_server *http;
    struct tls_server *tls; /* NULL = plain */
    uint8_t *bytes;
};

struct counter {
    struct timer timer;
    struct http_exchange *x;
    unsigned n;
};

static void die(const char *what)
{
    fprintf(stderr, "headwater-bench-http: %s\n", what);
    exit(1);
}

/* --- handlers --- */

static void give_back(void *arg)
{
    free(arg);
}

static void on_bytes(struct http_exchange *x, void *arg)
{
    struct server *server = arg;
    char *end;
    unsigned long n_bytes = strtoul(http_path_arg(x, "n"), &end, 10);
    size_t n_parts = n_bytes / PART_BYTES + 1;
    struct buf_view *parts = *end || n_bytes > MAX_BYTES ? NULL : malloc(n_parts * sizeof *parts);
    struct http_shared answer = {.status = 200,
                                 .content_type = "video/mp4",
                                 .etag = "\"e\"",
                                 .cache_control = "max-age=60",
                                 .parts = parts,
                                 .n_parts = n_parts,
                                 .done = give_back,
                                 .arg = parts};

    if (!parts) {
        http_respond_problem(x, 404, "no such number of bytes");
        return;
    }
    for (size_t i = 0; i < n_parts; i++)
        parts[i] = buf_view_of(server->bytes + i * PART_BYTES,
                               i + 1 < n_parts ? PART_BYTES : n_bytes % PART_BYTES);
    http_respond_shared(x, &answer);
}

static void on_echo(struct http_exchange *x, void *arg)
{
    (void)arg;
    http_respond(x, 200, "text/plain", http_body(x));
}

static void on_gone(struct http_exchange *x, void *arg)
{
    struct counter *counter = arg;

    (void)x;
    timer_stop(&counter->timer);
    free(counter);
}

static void on_tick(struct timer *timer)
{
    struct counter *counter = list_entry(timer, struct counter, timer);
    char text[16];

    snprintf(text, sizeof text, "%u\n", counter->n++);
    if (http_stream_write(counter->x, buf_view_str(text)) != E_OK)
        return; /* on_gone() follows */
    if (counter->n < N_COUNTED) {
        timer_start_ms(timer, 10);
        return;
    }
    http_stream_end(counter->x);
    free(counter);
}

static void on_count(struct http_exchange *x, void *arg)
{
    struct server *server = arg;
    struct counter *counter = calloc(1, sizeof *counter);

    if (!counter) {
        http_respond_problem(x, 503, "out of memory");
        return;
    }
    counter->x = x;
    timer_init(&counter->timer, server->loop, on_tick);
    timer_start_ms(&counter->timer, 10);
    http_set_pending(x, on_gone, counter);
    http_stream_begin(x, 200, "text/plain");
}

static void on_media(struct http_exchange *x, void *arg)
{
    static const char k_answer[] = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nmedia\n";
    struct conn *conn = http_take_conn(x);

    (void)arg;
    if (!conn)
        return;
    (void)conn_write(conn, buf_view_str(k_answer));
    conn_close_after_flush(&conn);
}

static void on_metrics(struct http_exchange *x, void *arg)
{
    struct buf_writer w;

    (void)arg;
    buf_writer_init(&w, 1 << 20);
    metrics_render(&w);
    http_respond(x, 200, "text/plain", buf_writer_view(&w));
    buf_writer_fini(&w);
}

static const struct http_route k_routes[] = {
    {"GET", "/bytes/{n}", on_bytes, HTTP_ROUTE_CORS},
    {"POST", "/echo", on_echo, 0},
    {"GET", "/count", on_count, 0},
    {"GET", "/media", on_media, 0},
    {"GET", "/metrics", on_metrics, 0},
    {0},
};

/* --- connections --- */

static struct tls_server *make_tls(const char *cert_file, const char *key_file)
{
    const struct tls_files files = {cert_file, key_file};
    const struct tls_server_conf conf = {.files = &files,
                                         .n_files = 1,
                                         .alpn = k_http_alpn,
                                         .n_alpn = k_n_http_alpn,
                                         .handshake_timeout_ms = 10000};
    struct tls_error error;
    struct tls_server *tls = tls_server_create(&conf, &error);

    if (!tls)
        die(error.text);
    return tls;
}

static struct loop *g_loop;

static void on_signal(int number)
{
    (void)number;
    loop_stop(g_loop); /* a write to a descriptor */
}

static void server_open(struct server *server, int argc, char **argv)
{
    struct http_limits limits = k_http_limits_default;

    log_set_level(LOG_WARN);
    g_loop = server->loop = loop_create("http", 0);
    server->bytes = malloc(MAX_BYTES + PART_BYTES);
    server->http =
        server->loop ? http_server_create(server->loop, &limits, "http", k_routes, server) : NULL;
    if (!server->http || !server->bytes)
        die("out of memory");
    for (size_t i = 0; i < MAX_BYTES + PART_BYTES; i++)
        server->bytes[i] = (uint8_t)('a' + i % 26);
    if (argc == 4)
        server->tls = make_tls(argv[2], argv[3]);
    http_server_set_tls(server->http, server->tls);
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
}

int main(int argc, char **argv)
{
    struct server server = {0};
    struct listener *listener;
    struct listen_error error;
    struct addr bound;
    char text[ADDR_TEXT_SIZE];
    int hold_fd;

    if (argc != 2 && argc != 4) {
        fputs(k_usage, stderr);
        return 2;
    }
    server_open(&server, argc, argv);
    if (listen_reserve("address", argv[1], &bound, &hold_fd, &error) != E_OK)
        die(error.text);
    listener =
        listener_open(server.loop, &bound, server.tls ? http_server_accept_tls : http_server_accept,
                      server.http, &error);
    if (!listener)
        die(error.text);
    addr_format(&bound, text);
    printf("ready %s\n", text);
    fflush(stdout);
    loop_run(server.loop);
    listener_close(&listener);
    http_server_destroy(&server.http);
    loop_destroy(&server.loop);
    tls_server_destroy(&server.tls);
    free(server.bytes);
    return 0;
}
