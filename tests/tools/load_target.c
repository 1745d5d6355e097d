/* URLs with {i} in them, and connecting. conn_connect() is not used: it arms a timer for each
 * connection, and the receive buffer must be set before connect(). */
#include "tests/tools/load_target.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/net/tls.h"
#include "proto/http/http.h"

#define MAX_QUEUE_BYTES ((size_t)8 << 20) /* a publisher that is further behind is lost */
#define INDEX_MARK "{i}"

/* Fills {i} in wherever it is. E_TOO_BIG or E_INVAL when that is no text of the size. */
static enum err expand(const char *url, unsigned index, char out[LOAD_URL_SIZE])
{
    struct buf_writer w;
    const char *mark;
    enum err e;

    buf_writer_init(&w, LOAD_URL_SIZE - 1);
    while ((mark = strstr(url, INDEX_MARK)) != NULL) {
        buf_write(&w, url, (size_t)(mark - url));
        buf_printf(&w, "%u", index);
        url = mark + strlen(INDEX_MARK);
    }
    buf_write_str(&w, url);
    e = buf_writer_status(&w);
    if (e == E_OK && !buf_view_to_str(buf_writer_view(&w), out, LOAD_URL_SIZE))
        e = E_INVAL;
    buf_writer_fini(&w);
    return e;
}

static unsigned port_of(const struct load_target *target, const struct url *url)
{
    unsigned plain = target->is_http ? 80 : 1935;

    return url->port ? url->port : target->tls ? 443 : plain;
}

static struct tls_client *g_tls; /* lives as long as the program */

static struct tls_client *make_tls(const char *ca_file, bool is_unverified, struct tls_error *error)
{
    const struct tls_client_conf conf = {
        .ca_file = ca_file, .is_unverified = is_unverified, .handshake_timeout_ms = 30000};

    return tls_client_create(&conf, error);
}

static struct tls_client *shared_tls(const char **why)
{
    static struct tls_error error;

    if (!g_tls)
        g_tls = make_tls(NULL, true, &error);
    *why = error.text;
    return g_tls;
}

enum err load_target_trust(const char *ca_file, bool is_unverified, char *why, size_t size)
{
    struct tls_error error = {""};

    tls_client_destroy(&g_tls);
    g_tls = make_tls(ca_file, is_unverified, &error);
    snprintf(why, size, "%s", error.text);
    return g_tls ? E_OK : E_INVAL;
}

static const struct {
    const char *name;
    bool is_http, is_tls;
} k_schemes[] = {
    {"http", true, false}, {"rtmp", false, false}, {"https", true, true}, {"rtmps", false, true}};

/* Of the URL's scheme; false with *why when it is none of ours. */
static bool take_scheme(struct load_target *target, struct buf_view scheme, const char **why)
{
    for (size_t i = 0; i < sizeof k_schemes / sizeof k_schemes[0]; i++) {
        if (!buf_view_equals(scheme, k_schemes[i].name))
            continue;
        target->is_http = k_schemes[i].is_http;
        if (k_schemes[i].is_tls)
            target->tls = shared_tls(why);
        return !k_schemes[i].is_tls || target->tls;
    }
    return false;
}

static enum err look_up(const char *host, unsigned port, struct addr *out)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    char service[16];

    snprintf(service, sizeof service, "%u", port);
    if (getaddrinfo(host, service, &hints, &found) != 0 || !found)
        return E_NOT_FOUND;
    memcpy(&out->storage, found->ai_addr, found->ai_addrlen);
    out->size_bytes = found->ai_addrlen;
    freeaddrinfo(found);
    return E_OK;
}

enum err load_target_init(struct load_target *target, const char *url, const char **why)
{
    char text[LOAD_URL_SIZE];
    struct load_rtmp_name name;
    struct url parts;

    *target = (struct load_target){.url = url};
    *why = "not a URL of rtmp, rtmps, http or https";
    if (expand(url, 0, text) != E_OK || url_parse(buf_view_str(text), &parts) != E_OK ||
        !buf_view_to_str(parts.host, target->host, sizeof target->host) ||
        !take_scheme(target, parts.scheme, why))
        return E_INVAL;
    *why = "no app and name in it";
    if (!target->is_http && load_target_rtmp(target, 0, &name) != E_OK)
        return E_INVAL;
    *why = "host not found";
    return look_up(target->host, port_of(target, &parts), &target->addr);
}

enum err load_target_rtmp(const struct load_target *target, unsigned index,
                          struct load_rtmp_name *out)
{
    char text[LOAD_URL_SIZE], path[512];
    struct url url;
    char *slash;

    if (expand(target->url, index, text) != E_OK || url_parse(buf_view_str(text), &url) != E_OK ||
        !buf_view_to_str(url.path, path, sizeof path))
        return E_INVAL;
    slash = strrchr(path, '/');
    if (!slash || slash == path || !slash[1])
        return E_INVAL;
    *slash = '\0';
    snprintf(out->app, sizeof out->app, "%s", path + 1);
    snprintf(out->stream, sizeof out->stream, "%s%s%.*s", slash + 1,
             url.query.size_bytes ? "?" : "", (int)url.query.size_bytes,
             (const char *)url.query.data);
    snprintf(out->tc_url, sizeof out->tc_url, "%.*s://%.*s:%u/%s", (int)url.scheme.size_bytes,
             (const char *)url.scheme.data, (int)url.host.size_bytes, (const char *)url.host.data,
             port_of(target, &url), path + 1);
    return E_OK;
}

enum err load_target_http(const struct load_target *target, unsigned index, struct buf_writer *out)
{
    char text[LOAD_URL_SIZE];
    struct url url;

    if (expand(target->url, index, text) != E_OK || url_parse(buf_view_str(text), &url) != E_OK)
        return E_INVAL;
    buf_printf(out, "GET %.*s%s%.*s HTTP/1.1\r\nHost: %.*s:%u\r\n", (int)url.path.size_bytes,
               (const char *)url.path.data, url.query.size_bytes ? "?" : "",
               (int)url.query.size_bytes, (const char *)url.query.data, (int)url.host.size_bytes,
               (const char *)url.host.data, port_of(target, &url));
    buf_write_str(out, "User-Agent: headwater-tool/" HW_VERSION "\r\nAccept: */*\r\n\r\n");
    return buf_writer_status(out);
}

struct conn *load_dial(struct loop *loop, const struct load_target *target, int receive_bytes,
                       const struct conn_ops *ops, void *arg)
{
    const struct addr *to = &target->addr;
    int fd = socket(to->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct conn *conn;
    int one = 1;

    if (fd < 0)
        return NULL;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (receive_bytes > 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    if (connect(fd, &to->storage.any, to->size_bytes) != 0 && errno != EINPROGRESS) {
        close(fd);
        return NULL;
    }
    conn = conn_create(loop, fd, to, MAX_QUEUE_BYTES, ops, arg);
    if (conn && target->tls && conn_start_tls_client(conn, target->tls, target->host) != E_OK)
        conn_close(&conn);
    return conn;
}
