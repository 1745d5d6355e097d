/* links: common/net
 * What the other process of a handover says: lines in pieces, with and without descriptors. The
 * first byte picks the split, the second one which pieces bring a descriptor. Each complete line is
 * given, up to the first that is wrong, and no descriptor is left open. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/net/fd_link.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct end {
    struct fd_link *link;
    unsigned n_lines;
    bool ended;
};

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void on_line(struct fd_link *link, void *arg, struct buf_view line, int fd)
{
    struct end *end = arg;

    require(link == end->link && !end->ended);
    require(!line.size_bytes || !memchr(line.data, '\n', line.size_bytes));
    end->n_lines++;
    if (fd >= 0)
        require(fcntl(fd, F_GETFD) == FD_CLOEXEC && close(fd) == 0);
}

static void on_end(struct fd_link *link, void *arg, enum err why)
{
    struct end *end = arg;

    require(link == end->link && !end->ended && why != E_OK && why != E_AGAIN);
    end->ended = true;
    fd_link_close(&end->link);
}

/* Lines up to the first that is wrong whatever came with it, or that needs a descriptor. */
static unsigned count_plain_lines(const uint8_t *data, size_t size)
{
    const uint8_t *end;
    unsigned n = 0;

    for (; size && *data == '-' && (end = memchr(data, '\n', size)); n++) {
        size -= (size_t)(end + 1 - data);
        data = end + 1;
    }
    return n;
}

static void send_piece(int to, const uint8_t *data, size_t size, int fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec iov = {(void *)(uintptr_t)data, size};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

    if (fd >= 0) {
        m.msg_control = control.bytes;
        m.msg_controllen = sizeof control.bytes;
        *CMSG_FIRSTHDR(&m) = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &fd, sizeof fd);
    }
    (void)sendmsg(to, &m, MSG_NOSIGNAL | MSG_DONTWAIT); /* the link may have ended */
}

static int lowest_free_fd(void)
{
    int fd = dup(STDERR_FILENO);

    close(fd);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fd_link_ops k_ops = {on_line, on_end};
    static struct loop *loop; /* made once: its descriptors stay */
    size_t step = size ? data[0] + 1u : 1;
    uint8_t with_fd = size > 1 ? data[1] : 0;
    struct end end = {.link = NULL};
    int pair[2], free_fd;

    if (!loop)
        require((loop = loop_create("fuzz", 0)) != NULL);
    free_fd = lowest_free_fd();
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    require((end.link = fd_link_create(loop, pair[0], &k_ops, &end)) != NULL);
    for (size_t at = 2, i = 0; at < size; at += step, i++) {
        size_t n = size - at < step ? size - at : step;

        send_piece(pair[1], data + at, n, with_fd >> (i % 8) & 1 ? STDERR_FILENO : -1);
        loop_turn(loop, false);
    }
    close(pair[1]);
    for (int i = 0; i < 100 && !end.ended; i++)
        loop_turn(loop, false);
    require(end.ended);
    /* with descriptors: too many that belong to no line end the link early */
    require(size < 2 || with_fd || end.n_lines == count_plain_lines(data + 2, size - 2));
    require(lowest_free_fd() == free_fd);
    return 0;
}
