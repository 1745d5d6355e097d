/* How far another machine's monotonic clock is from ours, by asking it now and then (as NTP does,
 * RFC 5905 section 8, but with a bound instead of statistics). Pure.
 *
 * The other clock was read at some moment between our question and its answer, nobody knows which.
 * Its reading minus the middle of the two is therefore wrong by half of the round trip at most,
 * whatever the way there and the way back took. From then on the two clocks may drift apart. */
#ifndef HW_NODE_CLUSTER_CLOCK_H
#define HW_NODE_CLUSTER_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"

#define CLOCK_KEEP_US INT64_C(120000000) /* an answer counts for so long */
#define CLOCK_DRIFT_PPM 50               /* crystals of two machines in one room */
#define CLOCK_SAMPLES 24                 /* more than are asked for in that time */
#define CLOCK_MAX_US (INT64_C(1) << 53)  /* no machine has been up for longer */

struct clock_sample {
    int64_t at_us;     /* our clock, in the middle */
    int64_t offset_us; /* the other clock minus ours */
    int64_t half_us;   /* of the round trip */
};

struct clock_offset { /* zeroed = nothing is known */
    struct clock_sample samples[CLOCK_SAMPLES];
    unsigned n, next;
};

/* Asked at sent_us and answered at received_us by our clock; the other one said theirs_us. False:
 * it is no reading of a clock, and is left out. One that contradicts what is known means that the
 * other clock was set, or is that of another machine: what was known is void. */
bool clock_offset_add(struct clock_offset *c, int64_t sent_us, int64_t theirs_us,
                      int64_t received_us);
/* The other clock minus ours, and how wrong that may be, either way: by the answer that says it
 * best now, which is the quickest unless that is old. False: none in the last CLOCK_KEEP_US. */
bool clock_offset_read(const struct clock_offset *c, int64_t now_us, int64_t *offset_us,
                       int64_t *unc_us);

/* The body of an answer to GET /v1/clock: {"v": 1, "mono_us": 123}; members that are not known are
 * passed over. E_PROTO: it is none, or its number no reading of a clock; *theirs_us is untouched.
 */
enum err clock_answer_read(struct buf_view json, int64_t *theirs_us);

#endif
