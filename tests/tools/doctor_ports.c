/* Ports, and the addresses by which others reach them. A port that is free is listened at for as
 * long as the doctor works: who connects to it gets a word that nobody can guess, and an advertised
 * address is connected to to see whether that word comes back. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/net/addr.h"
#include "tests/tools/doctor_checks.h"

#define WORD_BYTES 16
#define BACKLOG 8

static struct addrinfo *look_up(const char *host, unsigned port, int flags, int *why)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char text[8];

    snprintf(text, sizeof text, "%u", port);
    *why = getaddrinfo(host, text, &hints, &list);
    return list;
}

/* --- listening --- */

/* -1 with errno. */
static int listen_at(const struct addrinfo *place)
{
    int fd = socket(place->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1, why;

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, place->ai_addr, place->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    why = errno;
    close(fd);
    errno = why;
    return -1;
}

static void open_port(struct doctor *d, struct doctor_port *port)
{
    char host[256];
    struct addrinfo *list;
    unsigned number;
    int why;

    if (addr_split(port->listen, host, sizeof host, &number, 0) != E_OK)
        return; /* the configuration was checked */
    list = look_up(host, number, AI_PASSIVE, &why);
    if (!list) {
        doctor_say(d, DOCTOR_FAIL, "ports", "%s %s: %s", port->key, port->listen,
                   gai_strerror(why));
        return;
    }
    port->fd = listen_at(list);
    why = errno;
    freeaddrinfo(list);
    if (port->fd >= 0)
        doctor_say(d, DOCTOR_OK, "ports", "%s %s is free", port->key, port->listen);
    else if (why == EADDRINUSE)
        doctor_say(d, DOCTOR_WARN, "ports", "%s %s is in use: by the daemon, if it runs already",
                   port->key, port->listen);
    else
        doctor_say(d, DOCTOR_FAIL, "ports", "%s %s: %s", port->key, port->listen, strerror(why));
}

void doctor_open_ports(struct doctor *d, struct doctor_port *ports, unsigned n_ports)
{
    for (unsigned i = 0; i < n_ports; i++)
        if (ports[i].listen[0])
            open_port(d, &ports[i]);
}

void doctor_close_ports(struct doctor_port *ports, unsigned n_ports)
{
    for (unsigned i = 0; i < n_ports; i++)
        if (ports[i].fd >= 0)
            close(ports[i].fd);
}

/* --- advertised addresses --- */

static bool wait_for(int fd, short events, int64_t timeout_ms)
{
    struct pollfd one = {.fd = fd, .events = events};

    return poll(&one, 1, (int)timeout_ms) == 1;
}

/* -1 with errno. */
static int connect_to(const struct addrinfo *place, int64_t timeout_ms)
{
    int fd = socket(place->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), why = 0;
    socklen_t size = sizeof why;

    if (fd < 0)
        return -1;
    if (connect(fd, place->ai_addr, place->ai_addrlen) == 0)
        return fd;
    why = errno;
    if (why == EINPROGRESS) {
        why = ETIMEDOUT;
        if (wait_for(fd, POLLOUT, timeout_ms))
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &size);
        if (why == 0)
            return fd;
    }
    close(fd);
    errno = why;
    return -1;
}

/* Whether what connected to an address has come to our own listener. */
static bool comes_here(int listener, int client, int64_t timeout_ms)
{
    uint8_t word[WORD_BYTES], got[WORD_BYTES] = {0};
    bool is_here = false;
    int peer;

    random_bytes(word, sizeof word);
    if (!wait_for(listener, POLLIN, timeout_ms))
        return false;
    peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (peer < 0)
        return false;
    if (send(peer, word, sizeof word, MSG_NOSIGNAL) == (ssize_t)sizeof word &&
        wait_for(client, POLLIN, timeout_ms) &&
        recv(client, got, sizeof got, 0) == (ssize_t)sizeof got)
        is_here = memcmp(word, got, sizeof word) == 0;
    close(peer);
    return is_here;
}

static unsigned default_port(const char *url)
{
    static const struct {
        const char *scheme;
        unsigned port;
    } k_schemes[] = {{"http://", 80}, {"https://", 443}, {"rtmp://", 1935}, {"rtmps://", 443}};

    for (size_t i = 0; i < sizeof k_schemes / sizeof k_schemes[0]; i++)
        if (strncmp(url, k_schemes[i].scheme, strlen(k_schemes[i].scheme)) == 0)
            return k_schemes[i].port;
    return 0;
}

static void say_where_it_leads(struct doctor *d, const char *key, const char *url, int fd,
                               const struct doctor_port *port)
{
    if (port->fd < 0)
        doctor_say(d, DOCTOR_OK, "addresses", "%s %s answers", key, url);
    else if (comes_here(port->fd, fd, d->timeout_ms))
        doctor_say(d, DOCTOR_OK, "addresses", "%s %s leads to %s", key, url, port->key);
    else
        doctor_say(d, DOCTOR_WARN, "addresses",
                   "%s %s answers, but not with what is at %s here: a balancer, a TLS proxy, or "
                   "another machine",
                   key, url, port->key);
}

void doctor_look_from_outside(struct doctor *d, const char *key, const char *url,
                              const struct doctor_port *port)
{
    unsigned number = default_port(url);
    struct addrinfo *list;
    char host[256];
    int why, fd;

    if (!url[0])
        return;
    if (addr_split(strstr(url, "://") + 3, host, sizeof host, &number, number) != E_OK)
        return; /* the configuration was checked */
    if (!port->listen[0])
        doctor_say(d, DOCTOR_WARN, "addresses", "%s %s: %s is off", key, url, port->key);
    list = look_up(host, number, 0, &why);
    if (!list) {
        doctor_say(d, DOCTOR_FAIL, "addresses", "%s %s: %s", key, url, gai_strerror(why));
        return;
    }
    fd = connect_to(list, d->timeout_ms);
    why = errno;
    freeaddrinfo(list);
    if (fd < 0) {
        doctor_say(d, DOCTOR_FAIL, "addresses", "%s %s: %s", key, url, strerror(why));
        return;
    }
    say_where_it_leads(d, key, url, fd, port);
    close(fd);
}
