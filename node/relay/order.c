/* See order.h. */
#include "node/relay/order.h"

#include <assert.h>

#define JITTER 0.3
#define SOON_US 200000 /* many that lost the same server do not come back in the same moment */

void relay_order_init(struct relay_order *o, unsigned n, uint64_t max_rounds)
{
    assert(n > 0);
    *o = (struct relay_order){.n = n, .max = max_rounds, .pause_us = RELAY_ORDER_MIN_US};
}

bool relay_order_gave_up(const struct relay_order *o)
{
    return o->max && o->n_rounds >= o->max;
}

int relay_order_next(const struct relay_order *o, int64_t now_us)
{
    return relay_order_gave_up(o) || now_us < o->due_us ? -1 : (int)o->at;
}

static int64_t jittered(int64_t us, double chance)
{
    return (int64_t)((double)us * (1 - JITTER + 2 * JITTER * chance));
}

static void end_round(struct relay_order *o, int64_t now_us, double chance)
{
    o->at = 0;
    o->n_rounds++;
    o->due_us = now_us + jittered(o->pause_us, chance);
    o->pause_us *= 2;
    if (o->pause_us > RELAY_ORDER_MAX_US)
        o->pause_us = RELAY_ORDER_MAX_US;
}

void relay_order_failed(struct relay_order *o, int64_t now_us, double chance)
{
    if (++o->at >= o->n)
        end_round(o, now_us, chance);
}

void relay_order_runs(struct relay_order *o, unsigned place, int64_t now_us)
{
    o->at = place;
    o->ran_us = now_us;
}

/* What was let in for a moment only is as good as refused, so that it is not hammered. */
void relay_order_lost(struct relay_order *o, int64_t now_us, double chance)
{
    if (now_us - o->ran_us < RELAY_ORDER_STEADY_US) {
        relay_order_failed(o, now_us, chance);
        return;
    }
    o->at = 0;
    o->n_rounds = 0;
    o->pause_us = RELAY_ORDER_MIN_US;
    o->due_us = now_us + (int64_t)(SOON_US * chance);
}
