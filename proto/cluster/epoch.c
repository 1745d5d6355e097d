/* Fencing epochs. */
#include "proto/cluster/epoch.h"

#include <string.h>

#define CENTURY_US (100ull * 366 * 86400 * 1000000)
#define LEAP_US (1ull << 24)

static uint64_t as_epoch(int64_t clock_us)
{
    return clock_us > 0 ? (uint64_t)clock_us : 0;
}

uint64_t epoch_next(int64_t clock_us, uint64_t highest)
{
    uint64_t clock = as_epoch(clock_us);

    return clock > highest ? clock : highest + 1;
}

uint64_t epoch_leap(uint64_t random)
{
    return LEAP_US + random % LEAP_US;
}

uint64_t epoch_apart(int64_t clock_us, uint64_t highest, uint64_t random)
{
    return epoch_next(clock_us, highest) + epoch_leap(random);
}

bool epoch_is_plausible(uint64_t epoch, int64_t clock_us)
{
    uint64_t clock = as_epoch(clock_us);

    return epoch < clock || epoch - clock < CENTURY_US;
}

bool epoch_wins(uint64_t epoch, const char *node, uint64_t other_epoch, const char *other_node)
{
    if (epoch != other_epoch)
        return epoch > other_epoch;
    return strcmp(node, other_node) > 0;
}
