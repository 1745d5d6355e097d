/* Fencing epochs: 64 bits that only grow, and none is given twice for a stream. Pure.
 *
 * An epoch is a clock in microseconds, or one more than the last one given, whichever is larger.
 * The last one given is known only within one history: the life of a scheduler that is alone, or of
 * one Redis between two of {start, FLUSHALL, promotion}. Within it a counter does it (epoch_next).
 * Two histories can go on side by side, or one after the other with the end of the first one lost:
 *
 *   - a failover loses the last writes, and the new master's clock is behind;
 *   - an old master is cut off together with a scheduler, and both go on;
 *   - Redis is away, and each scheduler answers from memory;
 *   - no scheduler answers a node, which grants to itself;
 *   - a scheduler that is alone is restarted, and nodes have not told it yet what they have seen.
 *
 * Both sides may know the same highest epoch, so "one more" would be the same number. Hence whoever
 * cannot know all that was given leaps (epoch_leap): 2^24 us, which passes what was lost (17 s of
 * clock difference, or 16 million epochs), and up to as much again by random, which keeps two who
 * leap at once apart. These leap: a Redis that finds itself in a new history, or is told an epoch
 * that it has not given (redis_keys.c); a scheduler without its store, and a node without
 * schedulers, at each grant (epoch_apart()); the store of a scheduler that is alone, at its first
 * grant and when nodes report an epoch that it has not given. What is left is one chance in 2^24
 * for each pair of grants of one stream on both sides of a split, and then the higher node id wins
 * (epoch_wins()).
 *
 * A leap is at most 34 s, so that after 10,000 of them epochs are some days ahead of the clock. */
#ifndef HW_PROTO_CLUSTER_EPOCH_H
#define HW_PROTO_CLUSTER_EPOCH_H

#include <stdbool.h>
#include <stdint.h>

#define EPOCH_MAX (1ull << 53) /* the scripts in Redis count no further: the year 2255 */

/* highest: the last one given in this history. */
uint64_t epoch_next(int64_t clock_us, uint64_t highest);
/* How far to leap. random: all of its bits are random. */
uint64_t epoch_leap(uint64_t random);
/* highest: whatever was seen, given here or elsewhere. */
uint64_t epoch_apart(int64_t clock_us, uint64_t highest, uint64_t random);

/* False for an epoch that lies a century or more ahead of the clock: no scheduler gave it, and
 * taking it as the highest seen would use up the numbers. A machine that starts with its clock at
 * 1970 still accepts those of today. */
bool epoch_is_plausible(uint64_t epoch, int64_t clock_us);

/* Who wins when two nodes hold one stream: the higher epoch, then the higher node id. */
bool epoch_wins(uint64_t epoch, const char *node, uint64_t other_epoch, const char *other_node);

#endif
