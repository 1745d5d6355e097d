/* Keys, scripts and values in Redis. hw:node:<id> with the lease as TTL, hw:stream:<app>/<name>
 * with one hour, hw:nodes (set of ids), hw:boot (another value: Redis was emptied), hw:epoch (the
 * last one given, and in which history), hw:events (stream), hw:set:<kind> (a hash of settings),
 * hw:sets (their kinds), hw:scale (how many nodes were needed of late). */
#ifndef HW_SCHEDULER_REDIS_KEYS_H
#define HW_SCHEDULER_REDIS_KEYS_H

#include <hiredis/hiredis.h>

#include "scheduler/store.h"

#define REDIS_NODE_PREFIX "hw:node:"
#define REDIS_STREAM_PREFIX "hw:stream:"
#define REDIS_NODES "hw:nodes"
#define REDIS_BOOT "hw:boot"
#define REDIS_EPOCH "hw:epoch"
#define REDIS_EVENTS "hw:events"
#define REDIS_SET_PREFIX "hw:set:"
#define REDIS_SETS "hw:sets"
#define REDIS_SCALE "hw:scale"
#define REDIS_EVENTS_MAX "100000"
#define REDIS_STREAM_TTL_MS "3600000"
#define REDIS_SCALE_TTL_MS "7200000"

/* Each works on one stream key and answers {1 or 0, the value now or ""}; the refresh the value
 * before. The claim has REDIS_EPOCH as second key. */
extern const char k_redis_claim[];   /* node instance known_epoch highest_epoch ttl_ms leap run */
extern const char k_redis_release[]; /* node instance epoch */
extern const char k_redis_refresh[]; /* node instance epoch ttl_ms run */
/* Keys: of a node, REDIS_NODES. Takes the id out of the list, unless the node was written again
 * since its key was read. */
extern const char k_redis_unlist[]; /* node */

/* Keys: hash of the kind, REDIS_SETS, REDIS_EVENTS. Writes the value unless what is there is newer:
 * {0, that} or {1, ""}. */
extern const char k_redis_set[]; /* id version origin value kind self */
/* Key: hash of the kind. Removes it if it has that version. */
extern const char k_redis_unset[]; /* id version */

/* {"node":..,"instance":"..","epoch":"..","run":".."}; false when it is something else. */
bool redis_owner_parse(const redisReply *value, struct store_owner *out);

#endif
