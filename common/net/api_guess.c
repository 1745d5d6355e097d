/* See api_guess.h. A set of four for each hash: who guesses from many addresses pushes out others
 * like it. */
#include "common/net/api_guess.h"

#include <string.h>

#include "common/base/map.h"

#define V6_NETWORK_BYTES 8

static uint64_t key_of(const struct addr *peer)
{
    struct addr plain = *peer;
    uint64_t key;

    addr_unmap(&plain);
    if (plain.storage.ss_family == AF_INET6)
        key = map_hash(&plain.storage.v6.sin6_addr, V6_NETWORK_BYTES);
    else
        key = map_hash(&plain.storage.v4.sin_addr, sizeof plain.storage.v4.sin_addr);
    return key ? key : 1;
}

/* Its place, or that of who has guessed least lately. */
static struct api_guesser *place_of(struct api_guesses *guesses, uint64_t key)
{
    struct api_guesser *set = guesses->sets[key % API_GUESS_SETS];
    struct api_guesser *oldest = &set[0];

    for (unsigned i = 0; i < API_GUESS_WAYS; i++) {
        if (set[i].key == key)
            return &set[i];
        if (set[i].due_us < oldest->due_us)
            oldest = &set[i];
    }
    *oldest = (struct api_guesser){.key = key};
    return oldest;
}

static int64_t delay_us(unsigned n_before)
{
    int64_t ms = n_before < 20 ? (int64_t)API_GUESS_FIRST_MS << n_before : API_GUESS_LONGEST_MS;

    return (ms < API_GUESS_LONGEST_MS ? ms : API_GUESS_LONGEST_MS) * 1000;
}

int64_t api_guess_wrong(struct api_guesses *guesses, const struct addr *peer, int64_t now_us)
{
    struct api_guesser *g = place_of(guesses, key_of(peer));
    int64_t due_us;

    if (now_us - g->due_us > API_GUESS_FORGET_US)
        g->n = 0;
    due_us = (g->due_us > now_us ? g->due_us : now_us) + delay_us(g->n);
    if (due_us - now_us > API_GUESS_AHEAD_MS * INT64_C(1000))
        return -1;
    g->n++;
    g->due_us = due_us;
    return (due_us - now_us + 999) / 1000;
}
