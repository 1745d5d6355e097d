/* Socket addresses as text and back. Sans look-up: names are resolved by net_resolve(). */
#ifndef HW_COMMON_NET_ADDR_H
#define HW_COMMON_NET_ADDR_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "common/base/err.h"
#include "common/net/loop.h"

#define ADDR_TEXT_SIZE 64 /* "[v6]:port" and zero */

/* IPv4 or IPv6 alone: 32 bytes, since every connection holds one. */
struct addr {
    union {
        sa_family_t ss_family; /* what every sockaddr begins with */
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } storage;
    socklen_t size_bytes;
};

/* "127.0.0.1:80", "[::1]:80" (numbers only). E_INVAL otherwise. */
enum err addr_parse(struct addr *out, const char *text);
/* A number without port, "127.0.0.1" or "::1". E_INVAL otherwise. */
enum err addr_parse_host(struct addr *out, const char *host, unsigned port);
const char *addr_format(const struct addr *a, char text[ADDR_TEXT_SIZE]);
unsigned addr_port(const struct addr *a); /* 0 when it has none */
/* Makes a.b.c.d of ::ffff:a.b.c.d, as a listener on [::] calls its IPv4 peers (RFC 4291, 2.5.5.2).
 */
void addr_unmap(struct addr *a);
/* The number alone: "127.0.0.1", "::1". */
const char *addr_format_host(const struct addr *a, char text[ADDR_TEXT_SIZE]);
/* Whom limits count as one client, as a key of maps: the address without its port; an IPv6 client
 * is its /64, since it owns that many. Returns key. */
#define ADDR_KEY_SIZE 17
const char *addr_client_key(const struct addr *a, char key[ADDR_KEY_SIZE]);
bool addr_is_loopback(const struct addr *a);
bool addr_is_wildcard(const struct addr *a);
/* Splits "host:port" or "[v6]:port"; default_port when absent. host without brackets. E_INVAL when
 * there is no host, or the port is not a number up to 65535. */
enum err addr_split(const char *text, char *host, size_t host_size, unsigned *port,
                    unsigned default_port);

/* Asynchronous look-up on the loop's evdns base; a numeric host answers at once (from the next
 * turn). done() gets E_OK and up to 8 addresses, or E_NOT_FOUND / E_TIMEOUT. Loop thread. Returns a
 * handle for net_resolve_cancel() (after which done is not called), or NULL when out of memory. */
struct net_resolve;
struct net_resolve *net_resolve(struct loop *loop, const char *host, unsigned port,
                                void (*done)(void *arg, enum err e, const struct addr *addrs,
                                             unsigned n_addrs),
                                void *arg);
void net_resolve_cancel(struct net_resolve **resolve);

#endif
