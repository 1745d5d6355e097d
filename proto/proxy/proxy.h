/* PROXY protocol: what a load balancer says of its client, once, before the first byte of the
 * connection. Version 1 is a line of text, version 2 binary (haproxy, doc/proxy-protocol.txt,
 * sections 2.1 and 2.2). Sans I/O. */
#ifndef HW_PROTO_PROXY_PROXY_H
#define HW_PROTO_PROXY_PROXY_H

#include "common/base/buf.h"

/* A header that is longer is refused: the standard asks for no more than 536 bytes, and additions
 * (TLVs: certificates' names, ids of cloud endpoints) are a few hundred. */
#define PROXY_MAX_BYTES 2048

enum proxy_family {
    PROXY_NONE, /* LOCAL, UNKNOWN, or a socket of a kind that says nothing here: the address stays
                 */
    PROXY_IPV4,
    PROXY_IPV6
};

struct proxy_header {
    enum proxy_family family;
    uint8_t address[16]; /* of the client; network order; IPv4: the first 4 */
    uint16_t port;
};

/* Borrows *in, the first bytes of a connection, and advances it past the header on E_OK alone, so
 * the caller may offer the same bytes and more. *out is written only on E_OK.
 *   E_OK         a header
 *   E_AGAIN      may become one
 *   E_NOT_FOUND  not a header: the connection begins with something else
 *   E_PROTO      a broken one; *why (static) */
enum err proxy_parse(struct buf_reader *in, struct proxy_header *out, const char **why);

#endif
