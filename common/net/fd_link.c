/* See fd_link.h. On the wire a line is one byte that says whether a descriptor belongs to it, its
 * text, and a newline. The kernel keeps descriptors in order but may give several lines in one
 * read, so they stand in a queue until their line is taken out. */
#include "common/net/fd_link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/base/log.h"

#define WITH_FD '+'
#define WITHOUT_FD '-'
#define MAX_WAITING_FDS 64 /* received, their lines not complete */
#define LISTEN_BACKLOG 4
#define READS_A_TURN 16

struct outgoing { /* one line */
    struct list node;
    size_t size_bytes, sent_bytes;
    int fd; /* owned; -1 = none, or sent */
    uint8_t bytes[];
};

struct fd_link {
    struct loop *loop;
    struct event read_ev, write_ev;
    const struct fd_link_ops *ops;
    void *arg;
    int fd;
    struct buf_writer in;  /* the beginning of a line */
    size_t searched_bytes; /* of it, without a newline */
    int fds[MAX_WAITING_FDS];
    unsigned n_fds;
    struct list out;
    size_t out_bytes;
    bool *gone; /* set by fd_link_close() while a callback runs */
};

struct fd_link_listener {
    struct event ev;
    int fd;
    void (*on_accept)(void *arg, int fd);
    void *arg;
};

/* --- sockets --- */

static bool is_own_user(int fd)
{
    struct ucred peer = {0};
    socklen_t size = sizeof peer;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
}

static enum err set_path(struct sockaddr_un *name, const char *path)
{
    *name = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) > FD_LINK_PATH_BYTES) {
        errno = ENAMETOOLONG;
        return E_IO;
    }
    memcpy(name->sun_path, path, strlen(path) + 1);
    return E_OK;
}

static int open_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* E_OK: *fd is connected. E_NOT_FOUND: there is no file, or nobody listens at it. */
static enum err connect_now(const char *path, int *fd)
{
    struct sockaddr_un name;
    enum err e = set_path(&name, path);

    *fd = e == E_OK ? open_socket() : -1;
    if (*fd < 0)
        return E_IO;
    if (connect(*fd, (struct sockaddr *)&name, sizeof name) == 0)
        return E_OK;
    e = errno == ENOENT || errno == ECONNREFUSED ? E_NOT_FOUND : E_IO;
    close(*fd);
    return e;
}

/* Left behind by a process that ended without taking it away. */
static void remove_stale(const char *path)
{
    struct stat st;

    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_uid == geteuid())
        unlink(path);
}

static int bind_now(const char *path)
{
    struct sockaddr_un name;
    int fd = set_path(&name, path) == E_OK ? open_socket() : -1;
    mode_t mask = umask(0177);
    bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&name, sizeof name) == 0 &&
              listen(fd, LISTEN_BACKLOG) == 0;
    int code = errno;

    umask(mask);
    if (!ok && fd >= 0)
        close(fd);
    errno = code;
    return ok ? fd : -1;
}

/* --- the listener --- */

static void on_acceptable(evutil_socket_t listen_fd, short what, void *arg)
{
    struct fd_link_listener *l = arg;
    int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)what;
    if (fd < 0)
        return; /* gone meanwhile; or no descriptor is left, and the next turn tries again */
    if (is_own_user(fd)) {
        l->on_accept(l->arg, fd); /* last: l may be gone */
        return;
    }
    log_warn("handover", "msg=\"connection refused: another user's process\"");
    close(fd);
}

struct fd_link_listener *fd_link_adopt(struct loop *loop, int fd,
                                       void (*on_accept)(void *arg, int fd), void *arg)
{
    struct fd_link_listener *l = calloc(1, sizeof *l);

    if (!l) {
        close(fd);
        return NULL;
    }
    l->fd = fd;
    l->on_accept = on_accept;
    l->arg = arg;
    event_assign(&l->ev, loop_base(loop), fd, EV_READ | EV_PERSIST, on_acceptable, l);
    if (event_add(&l->ev, NULL) != 0)
        fd_link_listener_close(&l);
    return l;
}

enum err fd_link_listen(struct loop *loop, const char *path, void (*on_accept)(void *arg, int fd),
                        void *arg, struct fd_link_listener **out)
{
    int fd;
    enum err e = connect_now(path, &fd);

    if (e == E_OK) {
        close(fd);
        return E_BUSY;
    }
    if (e != E_NOT_FOUND)
        return e;
    remove_stale(path);
    fd = bind_now(path);
    if (fd < 0)
        return E_IO;
    *out = fd_link_adopt(loop, fd, on_accept, arg);
    return *out ? E_OK : E_NOMEM;
}

int fd_link_listener_fd(const struct fd_link_listener *l)
{
    return l->fd;
}

void fd_link_listener_close(struct fd_link_listener **listener)
{
    struct fd_link_listener *l = *listener;

    *listener = NULL;
    if (!l)
        return;
    event_del(&l->ev);
    close(l->fd);
    free(l);
}

/* --- receiving --- */

/* False when l is gone. */
static bool give_line(struct fd_link *l, struct buf_view text, int fd)
{
    bool gone = false;

    l->gone = &gone;
    l->ops->on_line(l, l->arg, text, fd);
    if (gone)
        return false;
    l->gone = NULL;
    return true;
}

static int pop_fd(struct fd_link *l)
{
    int fd = l->fds[0];

    l->n_fds--;
    memmove(l->fds, l->fds + 1, l->n_fds * sizeof l->fds[0]);
    return fd;
}

/* The complete lines of l->in. *stays: l was not closed by its owner. */
static enum err take_lines(struct fd_link *l, bool *stays)
{
    size_t at = 0;
    uint8_t *end;

    while ((end = memchr(l->in.data + at + l->searched_bytes, '\n',
                         l->in.used_bytes - at - l->searched_bytes))) {
        const uint8_t *line = l->in.data + at;
        size_t size = (size_t)(end - line);
        bool has_fd = size > 0 && line[0] == WITH_FD;

        l->searched_bytes = 0;
        if (size == 0 || (!has_fd && line[0] != WITHOUT_FD) || (has_fd && l->n_fds == 0))
            return E_PROTO;
        at += size + 1;
        *stays = give_line(l, buf_view_of(line + 1, size - 1), has_fd ? pop_fd(l) : -1);
        if (!*stays)
            return E_OK;
    }
    buf_writer_consume(&l->in, at);
    l->searched_bytes = l->in.used_bytes;
    return l->in.used_bytes > FD_LINK_MAX_LINE_BYTES ? E_TOO_BIG : E_OK;
}

/* Descriptors that came with what was read. */
static enum err take_fds(struct fd_link *l, struct msghdr *m)
{
    enum err e = m->msg_flags & MSG_CTRUNC ? E_PROTO : E_OK;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < n; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (l->n_fds == MAX_WAITING_FDS) {
                close(fd);
                e = E_PROTO;
            } else {
                l->fds[l->n_fds++] = fd;
            }
        }
    }
    return e;
}

/* E_AGAIN: nothing more to read now. */
static enum err receive(struct fd_link *l)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(MAX_WAITING_FDS * sizeof(int))];
    } control;
    struct iovec iov = {loop_scratch(l->loop), LOOP_SCRATCH_BYTES};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    ssize_t n = recvmsg(l->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    enum err e;

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? E_AGAIN : E_IO;
    e = take_fds(l, &m);
    if (e != E_OK || n == 0)
        return e != E_OK ? e : E_CLOSED;
    buf_write(&l->in, iov.iov_base, (size_t)n);
    return buf_writer_status(&l->in);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct fd_link *l = arg;
    enum err e = E_OK;
    bool stays = true;

    (void)fd, (void)what;
    for (int i = 0; i < READS_A_TURN && e == E_OK; i++) {
        e = receive(l);
        if (e == E_OK)
            e = take_lines(l, &stays);
        if (!stays)
            return;
    }
    if (e == E_OK || e == E_AGAIN)
        return;
    event_del(&l->read_ev);
    event_del(&l->write_ev);
    l->ops->on_end(l, l->arg, e); /* last: l may be gone */
}

/* --- sending --- */

static void outgoing_free(struct outgoing *o)
{
    list_remove(&o->node);
    if (o->fd >= 0)
        close(o->fd);
    free(o);
}

/* Some of one line; its descriptor travels with the first byte. E_AGAIN: the socket is full. */
static enum err send_some(struct fd_link *l, struct outgoing *o)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec iov = {o->bytes + o->sent_bytes, o->size_bytes - o->sent_bytes};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;

    if (o->fd >= 0) {
        m.msg_control = control.bytes;
        m.msg_controllen = sizeof control.bytes;
        *CMSG_FIRSTHDR(&m) = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &o->fd, sizeof o->fd);
    }
    n = sendmsg(l->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? E_AGAIN : errno == EPIPE ? E_CLOSED : E_IO;
    if (o->fd >= 0)
        close(o->fd);
    o->fd = -1;
    o->sent_bytes += (size_t)n;
    return E_OK;
}

static enum err send_queue(struct fd_link *l)
{
    enum err e = E_OK;

    while (e == E_OK && !list_is_empty(&l->out)) {
        struct outgoing *o = list_entry(l->out.next, struct outgoing, node);

        e = send_some(l, o);
        if (o->sent_bytes == o->size_bytes) {
            l->out_bytes -= o->size_bytes;
            outgoing_free(o);
        }
    }
    if (e == E_AGAIN)
        return event_add(&l->write_ev, NULL) == 0 ? E_OK : E_NOMEM;
    event_del(&l->write_ev);
    return e;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct fd_link *l = arg;
    enum err e = send_queue(l);

    (void)fd, (void)what;
    if (e == E_OK)
        return;
    event_del(&l->read_ev);
    event_del(&l->write_ev);
    l->ops->on_end(l, l->arg, e); /* last: l may be gone */
}

enum err fd_link_send(struct fd_link *l, struct buf_view line, int fd)
{
    size_t size_bytes = line.size_bytes + 2;
    struct outgoing *o;

    if (size_bytes > FD_LINK_MAX_LINE_BYTES || l->out_bytes + size_bytes > FD_LINK_MAX_QUEUE_BYTES)
        return E_TOO_BIG;
    o = calloc(1, sizeof *o + size_bytes);
    if (!o)
        return E_NOMEM;
    o->fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (fd >= 0 && o->fd < 0) { /* the table is full */
        free(o);
        return E_NOMEM;
    }
    o->size_bytes = size_bytes;
    o->bytes[0] = fd >= 0 ? WITH_FD : WITHOUT_FD;
    memcpy(o->bytes + 1, line.data, line.size_bytes);
    o->bytes[size_bytes - 1] = '\n';
    list_push_back(&l->out, &o->node);
    l->out_bytes += size_bytes;
    return send_queue(l);
}

/* --- life --- */

struct fd_link *fd_link_create(struct loop *loop, int fd, const struct fd_link_ops *ops, void *arg)
{
    struct fd_link *l = calloc(1, sizeof *l);

    if (!l) {
        close(fd);
        return NULL;
    }
    l->loop = loop;
    l->fd = fd;
    l->ops = ops;
    l->arg = arg;
    list_init(&l->out);
    buf_writer_init(&l->in, FD_LINK_MAX_LINE_BYTES + LOOP_SCRATCH_BYTES);
    event_assign(&l->read_ev, loop_base(loop), fd, EV_READ | EV_PERSIST, on_readable, l);
    event_assign(&l->write_ev, loop_base(loop), fd, EV_WRITE | EV_PERSIST, on_writable, l);
    if (event_add(&l->read_ev, NULL) != 0)
        fd_link_close(&l);
    return l;
}

enum err fd_link_connect(struct loop *loop, const char *path, const struct fd_link_ops *ops,
                         void *arg, struct fd_link **out)
{
    int fd;
    enum err e = connect_now(path, &fd);

    if (e != E_OK)
        return e;
    if (!is_own_user(fd)) {
        close(fd);
        return E_DENIED;
    }
    *out = fd_link_create(loop, fd, ops, arg);
    return *out ? E_OK : E_NOMEM;
}

void fd_link_close(struct fd_link **link)
{
    struct fd_link *l = *link;
    struct list *node, *tmp;

    *link = NULL;
    if (!l)
        return;
    if (l->gone)
        *l->gone = true;
    event_del(&l->read_ev);
    event_del(&l->write_ev);
    list_for_each_safe(node, tmp, &l->out)
        outgoing_free(list_entry(node, struct outgoing, node));
    while (l->n_fds)
        close(l->fds[--l->n_fds]);
    buf_writer_fini(&l->in);
    close(l->fd);
    free(l);
}
