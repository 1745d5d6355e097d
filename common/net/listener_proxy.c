/* Connections of proxies, until their PROXY header is there. It is looked at without being taken
 * from the socket, so that whoever gets the connection then begins with the first byte of its
 * client, be that RTMP, TLS or HTTP; and the connection costs nothing but a descriptor till then.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/net/listener_private.h"
#include "proto/proxy/proxy.h"

#define MAX_WAITING 4096 /* of a listener: proxies send the header at once */

enum {
    METRIC_HEADERS,
    METRIC_BROKEN,
    METRIC_LATE,
    METRIC_FULL,
};
static struct metric k_metrics[] = {
    [METRIC_HEADERS] = METRIC(METRIC_COUNTER, "headwater_proxy_headers_total", "result=\"ok\"",
                              "connections of trusted proxies, by what their PROXY header was"),
    [METRIC_BROKEN] = METRIC(METRIC_COUNTER, "headwater_proxy_headers_total", "result=\"broken\"",
                             "connections of trusted proxies, by what their PROXY header was"),
    [METRIC_LATE] = METRIC(METRIC_COUNTER, "headwater_proxy_headers_total", "result=\"late\"",
                           "connections of trusted proxies, by what their PROXY header was"),
    [METRIC_FULL] = METRIC(METRIC_COUNTER, "headwater_proxy_headers_total", "result=\"full\"",
                           "connections of trusted proxies, by what their PROXY header was"),
};

struct waiting {
    struct list node; /* in listener.waiting */
    struct listener *listener;
    struct event ev;
    struct timer timer;
    struct addr proxy;
    int fd;
};

void listener_register_proxy_metrics(void)
{
    metrics_register(k_metrics, sizeof k_metrics / sizeof k_metrics[0]);
}

/* Returns the descriptor, which the caller now owns. */
static int waiting_free(struct waiting *w)
{
    int fd = w->fd;

    list_remove(&w->node);
    w->listener->n_waiting--;
    event_del(&w->ev);
    timer_stop(&w->timer);
    free(w);
    return fd;
}

static void refuse(struct waiting *w, int metric, const char *why)
{
    char text[ADDR_TEXT_SIZE];

    metric_add(&k_metrics[metric], 1);
    log_warn("listener", "msg=\"bad PROXY header\" peer=%s reason=\"%s\"",
             addr_format(&w->proxy, text), why);
    close(waiting_free(w));
}

/* The client's address; the proxy's own where its header names nobody. */
static struct addr client_of(const struct waiting *w, const struct proxy_header *header)
{
    struct addr a = {.size_bytes = 0};

    if (header->family == PROXY_NONE)
        return w->proxy;
    if (header->family == PROXY_IPV4) {
        a.storage.v4.sin_family = AF_INET;
        a.storage.v4.sin_port = htons(header->port);
        memcpy(&a.storage.v4.sin_addr, header->address, 4);
        a.size_bytes = sizeof a.storage.v4;
    } else {
        a.storage.v6.sin6_family = AF_INET6;
        a.storage.v6.sin6_port = htons(header->port);
        memcpy(&a.storage.v6.sin6_addr, header->address, 16);
        a.size_bytes = sizeof a.storage.v6;
        addr_unmap(&a);
    }
    /* A client of the proxy's own machine is not one of ours. */
    return addr_is_loopback(&a) && !addr_is_loopback(&w->proxy) ? w->proxy : a;
}

/* Takes the header off the socket, where all of it lies. */
static bool skip(int fd, size_t n_bytes)
{
    uint8_t bytes[PROXY_MAX_BYTES];

    return n_bytes == 0 || recv(fd, bytes, n_bytes, MSG_DONTWAIT) == (ssize_t)n_bytes;
}

static void hand_over(struct waiting *w, const struct addr *client, size_t header_bytes)
{
    struct listener *l = w->listener;
    struct addr peer = *client;
    int fd = waiting_free(w);

    if (skip(fd, header_bytes))
        l->on_accept(l->arg, fd, &peer); /* l may be gone after this */
    else
        close(fd);
}

/* Once for each arrival (the event is edge-triggered): what is there was seen before. */
static void on_bytes(evutil_socket_t fd, short what, void *arg)
{
    struct waiting *w = arg;
    struct proxy_header header;
    uint8_t bytes[PROXY_MAX_BYTES];
    struct buf_reader in;
    struct addr client;
    const char *why;
    ssize_t n = recv(fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);

    (void)what;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) { /* a health check that only connects */
        close(waiting_free(w));
        return;
    }
    in = buf_reader_from(buf_view_of(bytes, (size_t)n));
    switch (proxy_parse(&in, &header, &why)) {
    case E_OK:
        metric_add(&k_metrics[METRIC_HEADERS], 1);
        client = client_of(w, &header);
        hand_over(w, &client, (size_t)n - in.left_bytes);
        break;
    case E_NOT_FOUND:
        client = w->proxy;
        hand_over(w, &client, 0);
        break;
    case E_AGAIN:
        break;
    default:
        refuse(w, METRIC_BROKEN, why);
    }
}

static void on_late(struct timer *timer)
{
    refuse(list_entry(timer, struct waiting, timer), METRIC_LATE, "not complete in time");
}

void listener_await_header(struct listener *l, int fd, const struct addr *proxy)
{
    struct waiting *w = l->n_waiting < MAX_WAITING ? calloc(1, sizeof *w) : NULL;

    if (!w) {
        metric_add(&k_metrics[METRIC_FULL], 1);
        close(fd);
        return;
    }
    w->listener = l;
    w->fd = fd;
    w->proxy = *proxy;
    list_push_back(&l->waiting, &w->node);
    l->n_waiting++;
    timer_init(&w->timer, l->loop, on_late);
    timer_start_ms(&w->timer, LISTENER_HEADER_MS);
    event_assign(&w->ev, loop_base(l->loop), fd, EV_READ | EV_PERSIST | EV_ET, on_bytes, w);
    if (event_add(&w->ev, NULL) != 0)
        refuse(w, METRIC_FULL, "out of memory");
}

void listener_drop_waiting(struct listener *l)
{
    while (!list_is_empty(&l->waiting))
        close(waiting_free(list_entry(l->waiting.next, struct waiting, node)));
}
