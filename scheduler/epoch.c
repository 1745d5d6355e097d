/* Fencing epochs. */
#include "scheduler/epoch.h"

#include <string.h>

#define CENTURY_US (100ull * 366 * 86400 * 1000000)

uint64_t epoch_next(int64_t clock_us, uint64_t highest_seen)
{
    uint64_t clock = clock_us > 0 ? (uint64_t)clock_us : 0;

    return clock > highest_seen ? clock : highest_seen + 1;
}

bool epoch_is_plausible(uint64_t epoch, int64_t clock_us)
{
    uint64_t clock = clock_us > 0 ? (uint64_t)clock_us : 0;

    return epoch < clock || epoch - clock < CENTURY_US;
}

bool epoch_wins(uint64_t epoch, const char *node, uint64_t other_epoch, const char *other_node)
{
    if (epoch != other_epoch)
        return epoch > other_epoch;
    return strcmp(node, other_node) > 0;
}
