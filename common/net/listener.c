/* Listening sockets and their accept loop. */
#include "common/net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/net/listener_private.h"

/* The kernel takes so much for a connection before the network takes it. Its own limit, 4 MiB, is
 * minutes of a small stream: memory that grows with every slow viewer, who then never seems to lag.
 */
#define UNSENT_BYTES 131072
#define ACCEPT_BATCH 64     /* then other sockets have their turn */
#define LISTEN_BACKLOG 4096 /* the kernel cuts it to net.core.somaxconn */
#define PAUSE_MS 100        /* without a descriptor to refuse with */
#define NOFILE_RESERVE 64   /* descriptors kept for files, Redis, DNS */

static struct metric k_metrics[] = {
    METRIC(METRIC_COUNTER, "headwater_accept_refused_total", "",
           "connections closed at accept because the process had no descriptor left"),
};

/* Whose batch runs on this thread; listener_close() takes it away. */
static _Thread_local const struct listener *t_accepting;

static void register_metrics_now(void)
{
    metrics_register(k_metrics, sizeof k_metrics / sizeof k_metrics[0]);
    listener_register_proxy_metrics();
}

static void register_metrics(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, register_metrics_now);
}

static int open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void set_error(struct listen_error *error, const char *what, const char *text,
                      const char *why)
{
    snprintf(error->text, sizeof error->text, "%.64s %.96s: %.80s", what, text, why);
}

/* strerror's text in lower case at its start, as part of a sentence. */
static void set_errno_error(struct listen_error *error, const char *what, const char *text,
                            int code)
{
    char why[96];

    snprintf(why, sizeof why, "%s", strerror(code));
    if (why[0] >= 'A' && why[0] <= 'Z')
        why[0] = (char)(why[0] - 'A' + 'a');
    set_error(error, what, text, why);
}

/* A bound, non-blocking socket; -1 and errno. */
static int bind_socket(const struct addr *a, bool reuse_port)
{
    int one = 1, code;
    int v6_only = a->storage.ss_family == AF_INET6 && !addr_is_wildcard(a);
    int fd = socket(a->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0)
        goto fail;
    if (reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0)
        goto fail;
    if (a->storage.ss_family == AF_INET6 && /* [::] serves IPv4 too, whatever the sysctl says */
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only) != 0)
        goto fail;
    if (bind(fd, &a->storage.any, a->size_bytes) == 0)
        return fd;
fail:
    code = errno;
    close(fd);
    errno = code;
    return -1;
}

enum err listen_resolve(const char *what, const char *text, struct addr *out,
                        struct listen_error *error)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL, *chosen;
    char host[256], port_text[8];
    unsigned port = 0;
    int rc;

    if (addr_split(text, host, sizeof host, &port, 65536) != E_OK || port > 65535) {
        set_error(error, what, text, "not an address (host:port or [v6]:port)");
        return E_INVAL;
    }
    snprintf(port_text, sizeof port_text, "%u", port);
    rc = getaddrinfo(host, port_text, &hints, &list);
    if (rc != 0) {
        set_error(error, what, text, gai_strerror(rc));
        return E_NOT_FOUND;
    }
    chosen = list;
    /* Where "localhost" is ::1 first, 127.0.0.1 is still what every default and example means. */
    for (struct addrinfo *ai = list; ai && strcmp(host, "localhost") == 0; ai = ai->ai_next) {
        if (ai->ai_family == AF_INET)
            chosen = ai;
    }
    *out = (struct addr){.size_bytes = chosen->ai_addrlen};
    memcpy(&out->storage, chosen->ai_addr,
           chosen->ai_addrlen); /* AF_INET or AF_INET6, as it is ours */
    freeaddrinfo(list);
    return E_OK;
}

/* Fails when anyone has the port, listening or only holding it. Sets the port chosen by the kernel.
 * 0 or an errno. */
static int probe(struct addr *a)
{
    int code = 0;
    int fd = bind_socket(a, false);

    if (fd < 0)
        return errno;
    /* listen() too: with SO_REUSEADDR two sockets may bind, and only the second listen() is
     * refused. */
    if (listen(fd, 1) != 0 || getsockname(fd, &a->storage.any, &a->size_bytes) != 0)
        code = errno;
    close(fd); /* bound without SO_REUSEPORT, it would keep our own listeners out */
    return code;
}

/* Holds the port with SO_REUSEPORT, not listening: no connection can end up here. 0 or an errno. */
static int hold(const struct addr *a, int *hold_fd)
{
    int zero = 0;

    *hold_fd = bind_socket(a, true);
    if (*hold_fd < 0)
        return errno;
    /* SO_REUSEADDR was for connections in TIME_WAIT; left on, another one's probe would not see us.
     */
    setsockopt(*hold_fd, SOL_SOCKET, SO_REUSEADDR, &zero, sizeof zero);
    return 0;
}

static int reserve(struct addr *a, int *hold_fd)
{
    int tries = addr_port(a) == 0 ? 8 : 1; /* a chosen port may be taken between close and bind */
    int code = EADDRINUSE;

    for (int i = 0; i < tries && code == EADDRINUSE; i++) {
        struct addr chosen = *a;

        code = probe(&chosen);
        if (code == 0)
            code = hold(&chosen, hold_fd);
        if (code == 0)
            *a = chosen;
    }
    return code;
}

enum err listen_reserve(const char *what, const char *text, struct addr *bound, int *hold_fd,
                        struct listen_error *error)
{
    struct addr a;
    enum err e = listen_resolve(what, text, &a, error);
    int code;

    *hold_fd = -1;
    register_metrics(); /* here, since the threads are not running yet */
    if (e != E_OK)
        return e;
    code = reserve(&a, hold_fd);
    if (code != 0) {
        set_errno_error(error, what, text, code);
        return code == EADDRINUSE ? E_BUSY : E_IO;
    }
    *bound = a;
    return E_OK;
}

/* --- accept --- */

static void log_refused(void)
{
    static _Atomic int64_t last_us;
    int64_t now_us = clock_mono_us();
    int64_t before_us = atomic_load_explicit(&last_us, memory_order_relaxed);

    metric_add(&k_metrics[0], 1);
    if (before_us != 0 && now_us - before_us < 60 * 1000000LL)
        return;
    if (atomic_compare_exchange_strong(&last_us, &before_us, now_us))
        log_warn("listener",
                 "msg=\"out of descriptors, connections are refused\" refused_total=%lld",
                 (long long)atomic_load_explicit(&k_metrics[0].value, memory_order_relaxed));
}

/* Descriptor table full: takes one connection and closes it, so that the level-triggered event does
 * not fire for ever. False when nobody waits any more, or another thread took the descriptor. */
static bool refuse_one(struct listen_socket *s)
{
    struct listener *l = s->listener;
    int fd, code;

    if (l->spare_fd >= 0)
        close(l->spare_fd);
    fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    code = errno;
    if (fd >= 0) {
        close(fd);
        log_refused();
    }
    l->spare_fd = open_spare();
    if (fd < 0 && (code == EMFILE || code == ENFILE)) {
        event_del(&s->ev);
        timer_start_ms(&l->pause, PAUSE_MS);
    }
    return fd >= 0;
}

static void on_pause_over(struct timer *timer)
{
    struct listener *l = (struct listener *)((char *)timer - offsetof(struct listener, pause));

    for (unsigned i = 0; i < l->n_sockets; i++)
        event_add(&l->sockets[i].ev, NULL); /* fine where it was not taken off */
}

/* accept(2): errors of the connection itself are to be treated like EAGAIN by trying again. */
static bool is_worth_retry(int code)
{
    static const int k_final[] = {EAGAIN, EWOULDBLOCK, ENOBUFS, ENOMEM, EBADF, EINVAL, ENOTSOCK};

    for (size_t i = 0; i < sizeof k_final / sizeof k_final[0]; i++) {
        if (k_final[i] == code)
            return false;
    }
    return true;
}

/* True: try again within this batch. */
static bool accept_one(struct listen_socket *s)
{
    struct listener *l = s->listener;
    struct addr peer = {.size_bytes = sizeof peer.storage};
    int fd = accept4(s->fd, &peer.storage.any, &peer.size_bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0 && (errno == EMFILE || errno == ENFILE))
        return refuse_one(s);
    if (fd < 0)
        return is_worth_retry(errno);
    if (l->spare_fd < 0)
        l->spare_fd = open_spare();
    addr_unmap(&peer);
    if (l->trust && trust_has(l->trust, &peer))
        listener_await_header(l, fd, &peer);
    else
        l->on_accept(l->arg, fd, &peer); /* l may be gone after this */
    return true;
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
    struct listen_socket *s = arg;
    const struct listener *l = s->listener;

    (void)fd, (void)what;
    t_accepting = l;
    for (int i = 0; i < ACCEPT_BATCH && t_accepting == l; i++) {
        if (!accept_one(s))
            break;
    }
    t_accepting = NULL;
}

/* Takes fds, and closes them when it fails; errno says why. */
static struct listener *create(struct loop *loop, const int *fds, unsigned n_fds,
                               void (*on_accept)(void *arg, int fd, const struct addr *peer),
                               void *arg)
{
    struct listener *l = calloc(1, sizeof *l + n_fds * sizeof l->sockets[0]);
    bool ok = l != NULL;

    register_metrics();
    if (!l) {
        for (unsigned i = 0; i < n_fds; i++)
            close(fds[i]);
        errno = ENOMEM;
        return NULL;
    }
    l->loop = loop;
    l->on_accept = on_accept;
    l->arg = arg;
    l->spare_fd = open_spare();
    l->n_sockets = n_fds;
    list_init(&l->waiting);
    timer_init(&l->pause, loop, on_pause_over);
    for (unsigned i = 0; i < n_fds; i++) {
        struct listen_socket *s = &l->sockets[i];

        s->listener = l;
        s->fd = fds[i];
        event_assign(&s->ev, loop_base(loop), s->fd, EV_READ | EV_PERSIST, on_acceptable, s);
        ok = event_add(&s->ev, NULL) == 0 && ok;
    }
    if (!ok) {
        listener_close(&l);
        errno = ENOMEM;
    }
    return l;
}

/* Options that accepted connections inherit, so that they cost no call each. */
static bool set_inherited(int fd)
{
    int one = 1, unsent_bytes = UNSENT_BYTES;

    return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0 &&
           setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_bytes, sizeof unsent_bytes) == 0;
}

/* A listening socket; -1 and errno. */
static int listen_socket_open(const struct addr *bound)
{
    int code;
    int fd = bind_socket(bound, true);

    if (fd < 0)
        return -1;
    if (set_inherited(fd) && listen(fd, LISTEN_BACKLOG) == 0)
        return fd;
    code = errno;
    close(fd);
    errno = code;
    return -1;
}

struct listener *listener_open(struct loop *loop, const struct addr *bound,
                               void (*on_accept)(void *arg, int fd, const struct addr *peer),
                               void *arg, struct listen_error *error)
{
    int fd = listen_socket_open(bound);
    struct listener *l = fd >= 0 ? create(loop, &fd, 1, on_accept, arg) : NULL;
    char text[ADDR_TEXT_SIZE];

    if (!l)
        set_errno_error(error, "listen", addr_format(bound, text), errno);
    return l;
}

struct listener *listener_adopt(struct loop *loop, const int *fds, unsigned n_fds,
                                void (*on_accept)(void *arg, int fd, const struct addr *peer),
                                void *arg, struct listen_error *error)
{
    struct listener *l = create(loop, fds, n_fds, on_accept, arg);

    if (!l)
        set_errno_error(error, "listen", "inherited", errno);
    return l;
}

unsigned listener_fds(const struct listener *l, int *out, unsigned max)
{
    for (unsigned i = 0; l && i < l->n_sockets && i < max; i++)
        out[i] = l->sockets[i].fd;
    return l ? l->n_sockets : 0;
}

void listener_set_proxies(struct listener *l, const struct trust *trust)
{
    l->trust = trust;
}

void listener_close(struct listener **listener)
{
    struct listener *l = *listener;

    *listener = NULL;
    if (!l)
        return;
    if (t_accepting == l)
        t_accepting = NULL;
    timer_stop(&l->pause);
    listener_drop_waiting(l);
    for (unsigned i = 0; i < l->n_sockets; i++) {
        event_del(&l->sockets[i].ev);
        close(l->sockets[i].fd);
    }
    if (l->spare_fd >= 0)
        close(l->spare_fd);
    free(l);
}

long net_raise_nofile(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024 - NOFILE_RESERVE;
    if (limit.rlim_cur != limit.rlim_max) {
        struct rlimit raised = {limit.rlim_max, limit.rlim_max};

        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > INT_MAX)
        return INT_MAX - NOFILE_RESERVE;
    return limit.rlim_cur > NOFILE_RESERVE ? (long)limit.rlim_cur - NOFILE_RESERVE : 0;
}
