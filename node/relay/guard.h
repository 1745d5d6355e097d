/* Where relays that were told by API or by a hook may connect to: public addresses, and what the
 * configuration lists. Looked at where a connection is made, with the address that it is made to,
 * so that names which change their address, and redirects, do not get around it. */
#ifndef HW_NODE_RELAY_GUARD_H
#define HW_NODE_RELAY_GUARD_H

#include "common/base/conf.h"
#include "common/net/addr.h"

#define RELAY_GUARD_WHY \
    "not a public address, nor one of relay.allowed_networks (relay.allow_private_targets)"

struct relay_guard; /* opaque; any thread */

/* Borrows allowed: networks as text. NULL when out of memory. */
struct relay_guard *relay_guard_create(const struct conf_list *allowed, bool allow_private);
void relay_guard_destroy(struct relay_guard **guard);
bool relay_guard_allows(const struct relay_guard *guard, const struct addr *addr);
/* Whether it is looked at where the server at from sends us, on the way to which is_guarded held.
 * An operator's word leads anywhere, but a public server's does not lead into our own networks. */
bool relay_guard_holds_from(const struct relay_guard *guard, bool is_guarded,
                            const struct addr *from);
/* A host that is a number is looked at before anything is connected. False: that number is not
 * allowed. */
bool relay_guard_allows_url(const struct relay_guard *guard, const char *url);

#endif
