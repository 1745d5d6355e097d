/* Proxies that are believed when they say who their client is: load balancers and reverse proxies
 * in front of this program. What anybody else says of the kind is ignored. Changes only while
 * nobody reads it. */
#ifndef HW_COMMON_NET_TRUST_H
#define HW_COMMON_NET_TRUST_H

#include "common/net/addr_net.h"

/* One header alone is read, whatever else comes: a proxy that writes one of them passes the other
 * on as the client wrote it. */
enum trust_header {
    TRUST_X_FORWARDED_FOR, /* and X-Forwarded-Proto */
    TRUST_FORWARDED,       /* RFC 7239 */
    TRUST_NO_HEADER        /* the PROXY protocol alone */
};
extern const char *const k_trust_headers[]; /* NULL-terminated */

struct trust {
    struct addr_net *nets; /* owned; NULL: nobody is believed */
    size_t n_nets;
    enum trust_header header;
};

/* Into a zeroed struct, of networks as text. E_INVAL: *bad is the number of one that is none;
 * E_NOMEM. It is zero then. */
enum err trust_init(struct trust *trust, char *const *nets, size_t n_nets, enum trust_header header,
                    size_t *bad);
void trust_fini(struct trust *trust);
bool trust_has(const struct trust *trust, const struct addr *peer);

#endif
