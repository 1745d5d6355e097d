/* How long turns took. */
#include "common/net/loop_turns.h"

const double k_loop_turn_bounds[LOOP_N_TURN_BOUNDS] = {
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2};
static const uint32_t k_bounds_us[LOOP_N_TURN_BOUNDS] = {
    100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000, 2000000};

static void raise_by(_Atomic uint64_t *value, uint64_t n)
{
    atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + n,
                          memory_order_relaxed); /* there is one writer: no locked add */
}

void turn_counts_take(struct turn_counts *turns, uint64_t took_us)
{
    unsigned i = 0;

    while (i < LOOP_N_TURN_BOUNDS && took_us > k_bounds_us[i])
        i++;
    raise_by(&turns->counts[i], 1);
    raise_by(&turns->sum_us, took_us);
}

void turn_counts_add(const struct turn_counts *turns, struct loop_turns *sum)
{
    for (unsigned i = 0; i <= LOOP_N_TURN_BOUNDS; i++)
        sum->counts[i] += atomic_load_explicit(&turns->counts[i], memory_order_relaxed);
    sum->sum_us += atomic_load_explicit(&turns->sum_us, memory_order_relaxed);
}
