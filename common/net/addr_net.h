/* Networks: "10.0.0.0/8", "2001:db8::/32", or one address. An IPv4 address that is mapped into IPv6
 * (::ffff:10.0.0.1, RFC 4291, 2.5.5.2) is the IPv4 address, in networks as in what is looked for.
 * Sets of them answer which hold an address without walking all. */
#ifndef HW_COMMON_NET_ADDR_NET_H
#define HW_COMMON_NET_ADDR_NET_H

#include "common/net/addr.h"

#define ADDR_NET_TEXT_SIZE 56 /* IPv6, slash, three digits and zero */

struct addr_net {
    uint8_t bytes[16]; /* in the order of the network; what lies behind n_bits is 0 */
    uint8_t n_bits;    /* 0-32, or 0-128 */
    bool is_v4;        /* the first 4 bytes count */
};

/* Bits behind the length are cleared: "10.1.2.3/8" is 10.0.0.0/8. E_INVAL: neither a network nor an
 * address (those have no port and no brackets); *out is as it was. */
enum err addr_net_parse(struct addr_net *out, const char *text);
/* "10.0.0.0/8"; without a length where it is one address. */
const char *addr_net_format(const struct addr_net *net, char text[ADDR_NET_TEXT_SIZE]);
bool addr_net_contains(const struct addr_net *net, const struct addr *addr);

/* Of many networks, which may overlap and be there twice. Made once and not changed, so any thread
 * may look. A look costs a binary search for each length of prefix that occurs. */
struct addr_nets; /* opaque */
/* Borrows nets. NULL when out of memory. */
struct addr_nets *addr_nets_create(const struct addr_net *nets, size_t n_nets);
void addr_nets_destroy(struct addr_nets **nets);
/* Calls each() with the index of every network that holds the address, longest prefixes first,
 * until it gives false. A NULL set is empty. */
void addr_nets_find(const struct addr_nets *nets, const struct addr *addr,
                    bool (*each)(void *arg, size_t index), void *arg);

#endif
