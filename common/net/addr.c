/* Addresses and names. Numbers are parsed here; names go to evdns, whose callbacks may come at
 * once, later, or after a cancel: net_resolve() makes all of that one call from a later turn. */
#include "common/net/addr.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/dns.h>
#include <event2/util.h>

#define RESOLVE_MAX_ADDRS 8
#define HOST_SIZE 256 /* a name is at most 253 bytes: RFC 1035, 2.3.4 */

/* --- text --- */

static enum err parse_port(const char *text, unsigned *port)
{
    unsigned value = 0;
    size_t n = strlen(text);

    if (n == 0 || n > 5)
        return E_INVAL;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return E_INVAL;
        value = value * 10 + (unsigned)(*text - '0');
    }
    if (value > 65535)
        return E_INVAL;
    *port = value;
    return E_OK;
}

enum err addr_split(const char *text, char *host, size_t host_size, unsigned *port,
                    unsigned default_port)
{
    const char *begin = text, *end, *colon;
    unsigned value = default_port;

    if (*text == '[') { /* RFC 3986, 3.2.2: IPv6 literals stand in brackets */
        begin = text + 1;
        end = strchr(begin, ']');
        if (!end)
            return E_INVAL;
        colon = end + 1;
    } else {
        end = text + strcspn(text, ":");
        colon = end;
    }
    if (*colon == ':') {
        if (parse_port(colon + 1, &value) != E_OK)
            return E_INVAL;
    } else if (*colon != '\0') {
        return E_INVAL;
    }
    if (end == begin || (size_t)(end - begin) >= host_size)
        return E_INVAL;
    memcpy(host, begin, (size_t)(end - begin));
    host[end - begin] = '\0';
    *port = value;
    return E_OK;
}

/* Numbers only; false when host is a name. */
static bool from_numeric(struct addr *out, const char *host, unsigned port)
{
    struct addr a = {.size_bytes = 0};

    if (inet_pton(AF_INET, host, &a.storage.v4.sin_addr) == 1) {
        a.storage.v4.sin_family = AF_INET;
        a.storage.v4.sin_port = htons((uint16_t)port);
        a.size_bytes = sizeof a.storage.v4;
    } else if (inet_pton(AF_INET6, host, &a.storage.v6.sin6_addr) == 1) {
        a.storage.v6.sin6_family = AF_INET6;
        a.storage.v6.sin6_port = htons((uint16_t)port);
        a.size_bytes = sizeof a.storage.v6;
    } else {
        return false;
    }
    *out = a;
    return true;
}

enum err addr_parse(struct addr *out, const char *text)
{
    char host[HOST_SIZE];
    unsigned port = 0;

    if (addr_split(text, host, sizeof host, &port, 65536) != E_OK || port > 65535)
        return E_INVAL; /* the port is not optional */
    if ((strchr(host, ':') != NULL) != (*text == '['))
        return E_INVAL; /* brackets are for IPv6 */
    return from_numeric(out, host, port) ? E_OK : E_INVAL;
}

enum err addr_parse_host(struct addr *out, const char *host, unsigned port)
{
    return from_numeric(out, host, port) ? E_OK : E_INVAL;
}

static const void *number_of(const struct addr *a)
{
    return a->storage.ss_family == AF_INET6 ? (const void *)&a->storage.v6.sin6_addr
                                            : (const void *)&a->storage.v4.sin_addr;
}

/* Returns the end, which is not zero. */
static char *put_decimal(char *at, unsigned value)
{
    char digits[10];
    unsigned n = 0;

    do
        digits[n++] = (char)('0' + value % 10);
    while (value /= 10);
    while (n)
        *at++ = digits[--n];
    return at;
}

/* Not inet_ntop(), which formats with sprintf(): every session and log line has an address. */
static char *put_v4(char *at, const uint8_t number[4])
{
    for (unsigned i = 0; i < 4; i++) {
        at = put_decimal(at, number[i]);
        *at++ = '.';
    }
    return at - 1;
}

/* Returns the end, which is zero. */
static char *put_host(const struct addr *a, char *text)
{
    char *end;

    if (a->storage.ss_family == AF_INET)
        end = put_v4(text, number_of(a));
    else if (a->storage.ss_family == AF_INET6 &&
             inet_ntop(AF_INET6, number_of(a), text, INET6_ADDRSTRLEN))
        end = text + strlen(text);
    else
        end = stpcpy(text, "unknown");
    *end = '\0';
    return end;
}

const char *addr_format_host(const struct addr *a, char text[ADDR_TEXT_SIZE])
{
    put_host(a, text);
    return text;
}

static char *put_hex(char *at, const uint8_t *bytes, size_t n)
{
    static const char k_digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        *at++ = k_digits[bytes[i] >> 4];
        *at++ = k_digits[bytes[i] & 15];
    }
    return at;
}

const char *addr_client_key(const struct addr *a, char key[ADDR_KEY_SIZE])
{
    size_t n_bytes = a->storage.ss_family == AF_INET6 ? 8 : 4;

    *put_hex(key, number_of(a), n_bytes) = '\0';
    return key;
}

const char *addr_format(const struct addr *a, char text[ADDR_TEXT_SIZE])
{
    bool is_v6 = a->storage.ss_family == AF_INET6;
    char *end = text;

    if (is_v6)
        *end++ = '[';
    end = put_host(a, end);
    if (is_v6)
        *end++ = ']';
    if (is_v6 || a->storage.ss_family == AF_INET) {
        *end++ = ':';
        end = put_decimal(end, addr_port(a));
    }
    *end = '\0';
    return text;
}

unsigned addr_port(const struct addr *a)
{
    switch (a->storage.ss_family) {
    case AF_INET:
        return ntohs(a->storage.v4.sin_port);
    case AF_INET6:
        return ntohs(a->storage.v6.sin6_port);
    default:
        return 0;
    }
}

void addr_unmap(struct addr *a)
{
    struct addr plain = {.size_bytes = sizeof plain.storage.v4};

    if (a->storage.ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&a->storage.v6.sin6_addr))
        return;
    plain.storage.v4.sin_family = AF_INET;
    plain.storage.v4.sin_port = a->storage.v6.sin6_port;
    memcpy(&plain.storage.v4.sin_addr, &a->storage.v6.sin6_addr.s6_addr[12], 4);
    *a = plain;
}

bool addr_is_loopback(const struct addr *a)
{
    if (a->storage.ss_family == AF_INET)
        return ntohl(a->storage.v4.sin_addr.s_addr) >> 24 == 127;
    return a->storage.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&a->storage.v6.sin6_addr);
}

bool addr_is_wildcard(const struct addr *a)
{
    if (a->storage.ss_family == AF_INET)
        return a->storage.v4.sin_addr.s_addr == htonl(INADDR_ANY);
    return a->storage.ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a->storage.v6.sin6_addr);
}

/* --- look-up --- */

struct net_resolve {
    void (*done)(void *arg, enum err e, const struct addr *addrs, unsigned n_addrs);
    void *arg;
    struct timer later; /* carries an answer that was there at once to the next turn */
    struct evdns_getaddrinfo_request *request;
    bool in_call;   /* evdns_getaddrinfo() has not returned yet */
    bool cancelled; /* evdns still has to call back; that frees us */
    enum err e;
    unsigned n_addrs;
    struct addr addrs[RESOLVE_MAX_ADDRS];
};

/* Takes r. */
static void deliver(struct net_resolve *r)
{
    timer_stop(&r->later);
    r->done(r->arg, r->e, r->addrs, r->n_addrs);
    free(r);
}

static void on_later(struct timer *timer)
{
    deliver((struct net_resolve *)((char *)timer - offsetof(struct net_resolve, later)));
}

static const struct {
    int code;
    enum err e;
} k_lookup_errors[] = {
    {0, E_OK},
    {EVUTIL_EAI_AGAIN, E_TIMEOUT}, /* evdns: no server answered, or they all failed */
    {EVUTIL_EAI_MEMORY, E_NOMEM},
};

static enum err lookup_error(int code)
{
    for (size_t i = 0; i < sizeof k_lookup_errors / sizeof k_lookup_errors[0]; i++) {
        if (k_lookup_errors[i].code == code)
            return k_lookup_errors[i].e;
    }
    return E_NOT_FOUND;
}

static void on_lookup(int code, struct evutil_addrinfo *list, void *arg)
{
    struct net_resolve *r = arg;

    r->request = NULL;
    if (r->cancelled) {
        if (list)
            evutil_freeaddrinfo(list);
        free(r);
        return;
    }
    r->e = lookup_error(code);
    for (struct evutil_addrinfo *ai = list; ai && r->n_addrs < RESOLVE_MAX_ADDRS;
         ai = ai->ai_next) {
        struct addr *a = &r->addrs[r->n_addrs];

        if (ai->ai_addrlen > sizeof a->storage)
            continue;
        memcpy(&a->storage, ai->ai_addr, ai->ai_addrlen);
        a->size_bytes = ai->ai_addrlen;
        r->n_addrs++;
    }
    if (list)
        evutil_freeaddrinfo(list);
    if (r->e == E_OK && r->n_addrs == 0)
        r->e = E_NOT_FOUND;
    if (r->in_call)
        timer_start_ms(&r->later, 0);
    else
        deliver(r);
}

static void start_lookup(struct net_resolve *r, struct loop *loop, const char *host, unsigned port)
{
    struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_protocol = IPPROTO_TCP,
                                    .ai_flags = EVUTIL_AI_ADDRCONFIG};
    struct evdns_base *dns = loop_dns(loop);
    struct evdns_getaddrinfo_request *request;
    char port_text[8];

    if (!dns) {
        r->e = E_NOT_FOUND;
        timer_start_ms(&r->later, 0);
        return;
    }
    snprintf(port_text, sizeof port_text, "%u", port & 0xffff);
    r->in_call = true;
    request = evdns_getaddrinfo(dns, host, port_text, &hints, on_lookup, r);
    r->in_call = false;
    if (!timer_is_armed(&r->later)) /* not answered within the call */
        r->request = request;
}

struct net_resolve *net_resolve(struct loop *loop, const char *host, unsigned port,
                                void (*done)(void *arg, enum err e, const struct addr *addrs,
                                             unsigned n_addrs),
                                void *arg)
{
    struct net_resolve *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    r->done = done;
    r->arg = arg;
    timer_init(&r->later, loop, on_later);
    if (from_numeric(&r->addrs[0], host, port)) {
        r->n_addrs = 1;
        timer_start_ms(&r->later, 0);
    } else {
        start_lookup(r, loop, host, port);
    }
    return r;
}

void net_resolve_cancel(struct net_resolve **resolve)
{
    struct net_resolve *r = *resolve;

    *resolve = NULL;
    if (!r)
        return;
    timer_stop(&r->later);
    if (r->request) {
        r->cancelled = true;
        evdns_getaddrinfo_cancel(r->request); /* calls on_lookup() from a later turn */
    } else {
        free(r);
    }
}
