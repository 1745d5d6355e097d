/* How fast bytes and pictures came of late, as lal and livego tell it: this node counts sums alone.
 * Looked at once a second, from the first question on until some minutes after the last. Private to
 * node/compat; control loop. */
#ifndef HW_NODE_COMPAT_RATES_H
#define HW_NODE_COMPAT_RATES_H

#include "common/base/buf.h"
#include "common/base/map.h"
#include "common/net/loop.h"

struct node;

#define COMPAT_RATE_S 5   /* sessions: over so long */
#define COMPAT_SECONDS 32 /* streams: pictures of each of the last seconds */
#define COMPAT_RATES_KEPT_US 300000000

struct compat_rate {
    uint64_t in, out; /* sums, when they were looked at last */
    int64_t at_us;
    unsigned in_kbits, out_kbits; /* 1024 bits a second */
    unsigned round;
};

struct compat_second {
    int64_t unix_s;
    uint64_t n_pictures;
};

struct compat_pictures {
    uint64_t sum; /* as above */
    unsigned n, round;
    struct compat_second seconds[COMPAT_SECONDS]; /* first n, the newest first */
};

struct compat_rates {
    struct node *node;
    struct timer timer;
    int64_t asked_us;
    bool is_gathering, with_sessions;
    unsigned n_ticks;
    struct map sessions; /* id -> struct compat_rate, owned */
    struct map streams;  /* name -> struct compat_pictures, owned */
    struct buf_writer seen_sessions, seen_streams;
};

void compat_rates_init(struct compat_rates *rates, struct node *node);
void compat_rates_fini(struct compat_rates *rates);
/* Somebody wants to know: they are kept up to date for a while. */
void compat_rates_want(struct compat_rates *rates);
/* NULL: nothing is known yet. rates may be NULL. */
const struct compat_rate *compat_rate_of(const struct compat_rates *rates, const char *session);
const struct compat_pictures *compat_pictures_of(const struct compat_rates *rates,
                                                 const char *stream);

/* What it does with sums as they are now. For tests, too. */
void compat_rates_take_session(struct compat_rates *rates, const char *id, uint64_t in,
                               uint64_t out, int64_t now_us);
void compat_rates_take_stream(struct compat_rates *rates, const char *name, uint64_t n_pictures,
                              int64_t unix_s);
/* Forgets who was not taken since the last call. */
void compat_rates_forget_streams(struct compat_rates *rates);
void compat_rates_forget_sessions(struct compat_rates *rates);

#endif
