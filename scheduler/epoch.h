/* Fencing epochs: 64 bits that only grow. An epoch is the clock in microseconds, or one more than
 * the highest ever seen, whichever is larger: it needs no key of its own, and it grows across a
 * wiped store, a failover that lost writes and clock steps, because heartbeats bring back the
 * highest one. Pure. */
#ifndef HW_SCHEDULER_EPOCH_H
#define HW_SCHEDULER_EPOCH_H

#include <stdbool.h>
#include <stdint.h>

uint64_t epoch_next(int64_t clock_us, uint64_t highest_seen);

/* False for an epoch that lies a century or more ahead of the clock: no scheduler gave it, and
 * taking it as the highest seen would use up the numbers. A machine that starts with its clock at
 * 1970 still accepts those of today. */
bool epoch_is_plausible(uint64_t epoch, int64_t clock_us);

/* Who wins when two nodes hold one stream: the higher epoch, then the higher node id. */
bool epoch_wins(uint64_t epoch, const char *node, uint64_t other_epoch, const char *other_node);

#endif
