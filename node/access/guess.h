/* A budget of wrong passwords for each address: some at once, then one every few seconds. A
 * password counts as wrong until it is known to be right, so that many at a time are no way around.
 * Any thread. */
#ifndef HW_NODE_ACCESS_GUESS_H
#define HW_NODE_ACCESS_GUESS_H

#include <stdatomic.h>

#include "common/net/addr.h"

/* Addresses share slots by hash: two that do share a budget. */
#define GUESS_SLOTS 4096

struct access_guesses {
    _Atomic int64_t full_us[GUESS_SLOTS]; /* when the whole budget is there again */
};
void access_guesses_init(struct access_guesses *guesses);
/* 0: it may try; else so many seconds later. */
unsigned access_guess_wait_s(const struct access_guesses *guesses, const struct addr *addr,
                             int64_t now_us);
/* It tries. */
void access_guess_count(struct access_guesses *guesses, const struct addr *addr, int64_t now_us);
/* It was right. */
void access_guess_forgive(struct access_guesses *guesses, const struct addr *addr);

#endif
