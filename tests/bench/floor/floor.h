/* What both floor programs need: options, a listener, a clock, a way out. */
#ifndef HW_TESTS_BENCH_FLOOR_H
#define HW_TESTS_BENCH_FLOOR_H

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FLOOR_BACKLOG 16384
#define FLOOR_EVENTS 1024 /* taken from the kernel at once */

static inline void floor_die(const char *what)
{
    perror(what);
    exit(1);
}

/* Borrows argv. Returns the value behind the option, or ends the program. */
static inline const char *floor_option(int argc, char **argv, const char *name)
{
    for (int i = 1; i + 1 < argc; i += 2)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    fprintf(stderr, "%s: %s VALUE is missing\n", argv[0], name);
    exit(2);
}

static inline int64_t floor_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline void floor_end(int number)
{
    (void)number;
    _exit(0);
}

/* Returns a new listener at "a.b.c.d:port", and says on stdout which port it got. */
static inline int floor_listen(const char *address)
{
    const struct rlimit files = {1 << 17, 1 << 17};
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t at_bytes = sizeof at;
    char host[64];
    unsigned port;
    int fd, on = 1;

    if (sscanf(address, "%63[0-9.]:%u", host, &port) != 2 || port > UINT16_MAX ||
        inet_pton(AF_INET, host, &at.sin_addr) != 1) {
        fprintf(stderr, "--listen %s: not a.b.c.d:port\n", address);
        exit(2);
    }
    at.sin_port = htons((uint16_t)port);
    signal(SIGTERM, floor_end);
    (void)setrlimit(RLIMIT_NOFILE, &files); /* without the right to it: what there is */
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        /* accepted sockets inherit it */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, FLOOR_BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &at_bytes) != 0)
        floor_die("listen");
    printf("ready port=%d\n", ntohs(at.sin_port));
    fflush(stdout);
    return fd;
}

/* Events of fd come with fd as their data; what: EPOLLIN and the like. */
static inline void floor_watch(int epoll, int operation, int fd, uint32_t what)
{
    struct epoll_event event = {.events = what, .data.fd = fd};

    if (epoll_ctl(epoll, operation, fd, &event) != 0)
        floor_die("epoll_ctl");
}

#endif
