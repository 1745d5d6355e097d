/* Which of a relay's places is tried when. In the order in which they were told, each once a round;
 * after a round in vain there is a pause that doubles, jittered, up to a bound. Who was lost is
 * followed by the first one. Pure: time and chance are arguments. */
#ifndef HW_NODE_RELAY_ORDER_H
#define HW_NODE_RELAY_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#define RELAY_ORDER_MIN_US 500000
#define RELAY_ORDER_MAX_US 10000000
#define RELAY_ORDER_STEADY_US 5000000 /* what ran for so long did not fail */

struct relay_order {
    unsigned n, at;         /* places; the next one to try */
    uint64_t n_rounds, max; /* in vain, in a row; after so many it is given up, 0 = never */
    int64_t due_us;         /* not before */
    int64_t pause_us;       /* after the next round in vain */
    int64_t ran_us;         /* since when one runs */
};

/* n is 1 or more. */
void relay_order_init(struct relay_order *o, unsigned n, uint64_t max_rounds);
/* The place to try now, or -1: not before due_us, or never again. */
int relay_order_next(const struct relay_order *o, int64_t now_us);
bool relay_order_gave_up(const struct relay_order *o);
/* That place does not answer, or says no. chance is from 0 up to 1. */
void relay_order_failed(struct relay_order *o, int64_t now_us, double chance);
/* That one runs. */
void relay_order_runs(struct relay_order *o, unsigned place, int64_t now_us);
/* It ran, and is lost, or has ended. */
void relay_order_lost(struct relay_order *o, int64_t now_us, double chance);

#endif
