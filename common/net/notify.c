/* See notify.h. One datagram a word, to the socket that the environment names. */
#include "common/net/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/log.h"

/* "/path", or "@name" for one that is in no file system. */
static enum err address_of(const char *name, struct sockaddr_un *out, socklen_t *size_bytes)
{
    size_t length = strlen(name);

    if ((name[0] != '/' && name[0] != '@') || length < 2 || length >= sizeof out->sun_path)
        return E_INVAL;
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(out->sun_path, name, length);
    if (name[0] == '@')
        out->sun_path[0] = '\0';
    *size_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    return E_OK;
}

enum err notify_say(const char *text)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address;
    socklen_t size_bytes;
    ssize_t sent;
    int fd, why;

    if (!name || !name[0])
        return E_OK;
    if (address_of(name, &address, &size_bytes) != E_OK)
        return E_INVAL;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return E_IO;
    sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address, size_bytes);
    why = errno;
    close(fd);
    errno = why;
    return sent == (ssize_t)strlen(text) ? E_OK : E_IO;
}

void notify_or_warn(const char *area, const char *text)
{
    enum err e = notify_say(text);

    if (e != E_OK)
        log_warn(area, "msg=\"the service manager was not told\" what=%s reason=%s", LOG_STR(text),
                 e == E_INVAL ? "\"NOTIFY_SOCKET is no path and no @name\""
                              : LOG_STR(strerror(errno)));
}

/* The whole of the text as a number, or 0. */
static uint64_t number_in(const char *variable)
{
    const char *text = getenv(variable);
    unsigned long long value;
    char *end;

    if (!text || text[0] < '0' || text[0] > '9')
        return 0;
    errno = 0;
    value = strtoull(text, &end, 10);
    return *end || errno ? 0 : value;
}

int64_t notify_watchdog_ms(void)
{
    uint64_t period_us = number_in("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");

    if (pid && number_in("WATCHDOG_PID") != (uint64_t)getpid())
        return 0; /* meant for who started us */
    if (period_us == 0 || period_us > (uint64_t)INT64_MAX)
        return 0;
    return period_us < 2000 ? 1 : (int64_t)(period_us / 2000);
}
