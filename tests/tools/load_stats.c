/* A histogram with 64 buckets for each power of two. */
#include "tests/tools/load_stats.h"

#include <stdio.h>

#define SUB (1u << LOAD_HIST_SUB_BITS)

/* Up to SUB each value has its bucket; from there on each power of two has SUB of them. */
static unsigned bucket_of(uint64_t value)
{
    unsigned shift;

    if (value < SUB)
        return (unsigned)value;
    if (value >> LOAD_HIST_MAX_BITS)
        return LOAD_HIST_BUCKETS - 1;
    shift = 63u - (unsigned)__builtin_clzll(value) - LOAD_HIST_SUB_BITS;
    return (shift + 1) * SUB + (unsigned)(value >> shift) - SUB;
}

/* The middle of what falls into it. */
static int64_t value_of(unsigned bucket)
{
    unsigned shift;

    if (bucket < SUB)
        return bucket;
    shift = bucket / SUB - 1;
    return ((int64_t)(bucket % SUB + SUB) << shift) + ((INT64_C(1) << shift) - 1) / 2;
}

void load_hist_add(struct load_hist *hist, int64_t value_us)
{
    if (value_us < 0)
        value_us = 0;
    if (value_us > hist->max_us)
        hist->max_us = value_us;
    hist->buckets[bucket_of((uint64_t)value_us)]++;
    hist->n++;
}

int64_t load_hist_quantile_us(const struct load_hist *hist, double share)
{
    double exact = share * (double)hist->n;
    uint64_t rank = (uint64_t)exact, seen = 0;
    int64_t value = 0;

    if (hist->n == 0)
        return 0;
    if (rank == 0 || (double)rank < exact)
        rank++;
    for (unsigned i = 0; i < LOAD_HIST_BUCKETS && seen < rank; i++) {
        seen += hist->buckets[i];
        value = value_of(i);
    }
    return value < hist->max_us ? value : hist->max_us;
}

static json_t *quantile_json(const struct load_hist *hist, double share)
{
    if (hist->n == 0)
        return json_null();
    return json_real((double)(share < 1 ? load_hist_quantile_us(hist, share) : hist->max_us) / 1e3);
}

json_t *load_hist_json(const struct load_hist *hist)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:I}", "p50", quantile_json(hist, 0.5), "p99",
                     quantile_json(hist, 0.99), "p999", quantile_json(hist, 0.999), "max",
                     quantile_json(hist, 1), "n", (json_int_t)hist->n);
}

const char *load_hist_text(const struct load_hist *hist, char text[96])
{
    if (hist->n == 0)
        return "none";
    snprintf(text, 96, "p50 %.1f, p99 %.1f, max %.1f ms",
             (double)load_hist_quantile_us(hist, 0.5) / 1e3,
             (double)load_hist_quantile_us(hist, 0.99) / 1e3, (double)hist->max_us / 1e3);
    return text;
}
