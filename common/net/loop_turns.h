/* How long turns of a loop took, counted by its thread alone. Private to common/net. */
#ifndef HW_COMMON_NET_LOOP_TURNS_H
#define HW_COMMON_NET_LOOP_TURNS_H

#include <stdatomic.h>

#include "common/net/loop.h"

struct turn_counts {
    _Atomic uint64_t counts[LOOP_N_TURN_BOUNDS + 1], sum_us;
};
void turn_counts_take(struct turn_counts *turns, uint64_t took_us);
/* Any thread. */
void turn_counts_add(const struct turn_counts *turns, struct loop_turns *sum);

#endif
