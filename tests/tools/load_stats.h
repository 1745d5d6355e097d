/* Distribution of durations: a histogram on a logarithmic scale, so that a million of them cost 16
 * KiB and a quantile is off by less than 1 %. Sans I/O. */
#ifndef HW_TESTS_TOOLS_LOAD_STATS_H
#define HW_TESTS_TOOLS_LOAD_STATS_H

#include <jansson.h>
#include <stdint.h>

/* 64 buckets for each power of two: up to 2^38 us, three days; what is longer counts as that. */
#define LOAD_HIST_SUB_BITS 6
#define LOAD_HIST_MAX_BITS 38
#define LOAD_HIST_BUCKETS ((LOAD_HIST_MAX_BITS - LOAD_HIST_SUB_BITS + 1) << LOAD_HIST_SUB_BITS)

struct load_hist { /* zeroed = empty */
    uint64_t n;
    int64_t max_us; /* exact */
    uint64_t buckets[LOAD_HIST_BUCKETS];
};

/* Below 0 counts as 0. */
void load_hist_add(struct load_hist *hist, int64_t value_us);
/* The value that share (0..1) of all are not above; 0 when there are none. */
int64_t load_hist_quantile_us(const struct load_hist *hist, double share);
/* Returns {"p50", "p99", "max", "n"} in milliseconds, null when n is 0. */
json_t *load_hist_json(const struct load_hist *hist);
/* "p50 1.2, p99 3.4, max 5.6 ms" or "none". Returns text. */
const char *load_hist_text(const struct load_hist *hist, char text[96]);

#endif
