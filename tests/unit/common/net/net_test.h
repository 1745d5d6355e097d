/* What the tests of common/net share: turning a loop until something happened, with a deadline that
 * fails the test, and real sockets on loopback. */
#ifndef HW_TESTS_NET_TEST_H
#define HW_TESTS_NET_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/net/addr.h"
#include "common/net/loop.h"

#define TEST_DEADLINE_MS 20000

static inline void test_deadline(struct timer *timer)
{
    (void)timer;
    fail_msg("nothing happened for %d ms", TEST_DEADLINE_MS);
}

/* Turns the loop until *flag is true. */
static inline void turn_until(struct loop *loop, const bool *flag)
{
    struct timer deadline;

    timer_init(&deadline, loop, test_deadline);
    timer_start_ms(&deadline, TEST_DEADLINE_MS);
    while (!*flag)
        loop_turn(loop, true);
    timer_stop(&deadline);
}

/* Handles what is ready now, a few turns long. */
static inline void turn_ready(struct loop *loop)
{
    for (int i = 0; i < 4; i++)
        loop_turn(loop, false);
}

/* A blocking listening socket on 127.0.0.1 at a port chosen by the kernel. */
static inline int raw_listen(struct addr *bound)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(addr_parse(bound, "127.0.0.1:0"), E_OK);
    assert_int_equal(bind(fd, &bound->storage.any, bound->size_bytes), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, &bound->storage.any, &bound->size_bytes), 0);
    return fd;
}

static inline int raw_connect(const struct addr *to)
{
    int fd = socket(to->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &to->storage.any, to->size_bytes), 0);
    return fd;
}

/* Two ends of one TCP connection, both blocking. sndbuf_bytes > 0 shrinks the buffers between them.
 */
static inline void tcp_pair(int fds[2], int sndbuf_bytes)
{
    struct addr bound;
    int listen_fd = raw_listen(&bound);

    if (sndbuf_bytes > 0) /* before listen's child is made, so that the window stays small */
        setsockopt(listen_fd, SOL_SOCKET, SO_SNDBUF, &sndbuf_bytes, sizeof sndbuf_bytes);
    fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (sndbuf_bytes > 0)
        setsockopt(fds[1], SOL_SOCKET, SO_RCVBUF, &sndbuf_bytes, sizeof sndbuf_bytes);
    assert_int_equal(connect(fds[1], &bound.storage.any, bound.size_bytes), 0);
    fds[0] = accept(listen_fd, NULL, NULL);
    assert_true(fds[0] >= 0);
    close(listen_fd);
}

/* Reads exactly size_bytes from a blocking descriptor, or fails the test. */
static inline void read_full(int fd, void *out, size_t size_bytes)
{
    size_t got = 0;

    while (got < size_bytes) {
        ssize_t n = read(fd, (char *)out + got, size_bytes - got);

        assert_true(n > 0);
        got += (size_t)n;
    }
}

static inline void write_full(int fd, const void *data, size_t size_bytes)
{
    size_t sent = 0;

    while (sent < size_bytes) {
        ssize_t n = send(fd, (const char *)data + sent, size_bytes - sent, MSG_NOSIGNAL);

        assert_true(n > 0);
        sent += (size_t)n;
    }
}

#endif
