/* Bans: networks that may not play, publish, or connect at all. Told as settings (/api/v1/bans), so
 * they are valid in the whole cluster; they expire by themselves. Media loops look without a lock,
 * and what they look at does not grow with a walk over all bans (common/net/addr_net.h). */
#ifndef HW_NODE_CONTROL_BANS_H
#define HW_NODE_CONTROL_BANS_H

#include "common/media/name.h"
#include "common/net/addr.h"

struct node;
struct bans; /* opaque */

/* Owns SETTING_BAN of node->settings. Before the loops run. NULL when out of memory. */
struct bans *bans_create(struct node *node);
/* Loops are stopped; settings may be gone. */
void bans_destroy(struct bans **bans);

enum ban_action { BAN_CONNECT, BAN_PLAY, BAN_PUBLISH };

/* Why this address may not do that with the stream; NULL: it may. name is NULL for BAN_CONNECT,
 * which is met by bans of all scopes on all apps. Lent for the caller's callback.
 * Without a lock; on a media loop. */
const char *bans_check(const struct node *node, const struct addr *addr, enum ban_action action,
                       const struct stream_name *name);
/* True for a connection that is to be closed at accept: counted, and said once a burst. */
bool bans_refuse(const struct node *node, const struct addr *peer, const char *area);

#endif
