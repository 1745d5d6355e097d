/* See guess.h. */
#include "node/access/guess.h"

#include "common/base/map.h"

#define COST_US 3000000 /* of a wrong one */
#define AT_ONCE 10

void access_guesses_init(struct access_guesses *guesses)
{
    for (size_t i = 0; i < GUESS_SLOTS; i++)
        atomic_init(&guesses->full_us[i], 0);
}

/* Who has one IPv6 address has a whole /64 of them. */
static size_t slot_of(const struct addr *addr)
{
    if (addr->storage.ss_family == AF_INET6)
        return map_hash(&addr->storage.v6.sin6_addr, 8) % GUESS_SLOTS;
    return map_hash(&addr->storage.v4.sin_addr, 4) % GUESS_SLOTS;
}

unsigned access_guess_wait_s(const struct access_guesses *guesses, const struct addr *addr,
                             int64_t now_us)
{
    int64_t full_us = atomic_load_explicit(&guesses->full_us[slot_of(addr)], memory_order_relaxed);
    int64_t over_us = full_us - now_us - (AT_ONCE - 1) * (int64_t)COST_US;

    return over_us > 0 ? (unsigned)(over_us / 1000000) + 1 : 0;
}

void access_guess_count(struct access_guesses *guesses, const struct addr *addr, int64_t now_us)
{
    _Atomic int64_t *slot = &guesses->full_us[slot_of(addr)];
    int64_t full_us = atomic_load_explicit(slot, memory_order_relaxed), next_us;

    do
        next_us = (full_us > now_us ? full_us : now_us) + COST_US;
    while (!atomic_compare_exchange_weak_explicit(slot, &full_us, next_us, memory_order_relaxed,
                                                  memory_order_relaxed));
}

void access_guess_forgive(struct access_guesses *guesses, const struct addr *addr)
{
    atomic_fetch_sub_explicit(&guesses->full_us[slot_of(addr)], COST_US, memory_order_relaxed);
}
