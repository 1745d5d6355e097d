/* What the tests of node/control share: one request over real HTTP to loops that the test turns. */
#ifndef HW_TESTS_HTTP_ASK_H
#define HW_TESTS_HTTP_ASK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/net/addr.h"
#include "common/net/loop.h"

#define HTTP_ASK_PATIENCE_US 10000000

/* Sends "<request> HTTP/1.1" with these header lines. Returns the connection. */
static inline int http_ask_send(const struct addr *to, const char *request, const char *headers)
{
    int fd = socket(to->storage.ss_family, SOCK_STREAM, 0);
    char text[2048];

    assert_int_equal(connect(fd, (const struct sockaddr *)&to->storage, to->size_bytes), 0);
    snprintf(text, sizeof text, "%s HTTP/1.1\r\n%sConnection: close\r\n\r\n", request, headers);
    assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
    return fd;
}

/* Takes fd. Reads the reply to its end, turning the loops meanwhile; gives its status. */
static inline unsigned http_ask_read(int fd, void (*turn)(void), char *reply, size_t size_bytes)
{
    int64_t end_us = clock_mono_us() + HTTP_ASK_PATIENCE_US;
    size_t used = 0;
    unsigned status;

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t n;

        turn();
        if (poll(&p, 1, 1) != 1) {
            assert_true(clock_mono_us() < end_us);
            continue;
        }
        n = read(fd, reply + used, size_bytes - 1 - used);
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    close(fd);
    reply[used] = '\0';
    assert_int_equal(sscanf(reply, "HTTP/1.1 %u", &status), 1);
    return status;
}

#endif
