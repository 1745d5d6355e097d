/* How long answers to wrong tokens are held back: each one of an address longer than the one
 * before. In memory that does not grow, whoever guesses. Sans I/O; one thread at a time. */
#ifndef HW_COMMON_NET_API_GUESS_H
#define HW_COMMON_NET_API_GUESS_H

#include "common/net/addr.h"

#define API_GUESS_FIRST_MS 100
#define API_GUESS_LONGEST_MS 10000 /* between two answers to one address */
#define API_GUESS_AHEAD_MS 30000   /* the last of many at a time is answered within this */
#define API_GUESS_FORGET_US 600000000
#define API_GUESS_SETS 256
#define API_GUESS_WAYS 4

struct api_guesser {
    uint64_t key;   /* hash of the network; 0 = free */
    int64_t due_us; /* when its last answer is due */
    unsigned n;     /* wrong ones so far */
};

struct api_guesses { /* zeroed = nobody has guessed */
    struct api_guesser sets[API_GUESS_SETS][API_GUESS_WAYS];
};

/* A wrong one came from there: in how many ms it is to be answered; -1 when so many wait already
 * that it has to be refused. An address is an IPv4 address, or an IPv6 /64. */
int64_t api_guess_wrong(struct api_guesses *guesses, const struct addr *peer, int64_t now_us);

#endif
