/* Metrics registry: Prometheus text format 0.0.4. Families are static tables made at start;
 * counters are atomic and may be changed by any thread (relaxed). Names are headwater_*, base
 * units, bounded label sets: label values are fixed when the series is made, never taken from the
 * wire. */
#ifndef HW_COMMON_BASE_METRICS_H
#define HW_COMMON_BASE_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "common/base/buf.h"

/* A ratio is a gauge in millionths. */
enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_RATIO };

#define METRIC_RATIO_ONE 1000000
#define METRIC_ABSENT INT64_MIN /* a value: the series is not shown, since nothing is known */

/* One series, static storage; registered once. */
struct metric {
    const char *name;   /* family: "headwater_sessions" */
    const char *labels; /* "protocol=\"rtmp\",kind=\"play\"", or "" */
    const char *help;
    enum metric_type type;
    _Atomic int64_t value;
    struct metric *next; /* registry link */
};

/* Upper bounds in seconds, cumulative; static storage. */
struct metric_histogram {
    const char *name, *labels, *help;
    const double *bounds; /* ascending, n_bounds of them; +Inf is implied */
    unsigned n_bounds;
    _Atomic uint64_t counts[24]; /* n_bounds + 1 used */
    _Atomic uint64_t sum_us;
    struct metric_histogram *next;
};

#define METRIC(type_, name_, labels_, help_)                           \
    {                                                                  \
        .name = name_, .labels = labels_, .help = help_, .type = type_ \
    }

/* Before threads start, or under no concurrent render. A metric may be registered once only. */
void metrics_register(struct metric *table, size_t n);
void metrics_register_histogram(struct metric_histogram *h);

static inline void metric_add(struct metric *m, int64_t n)
{
    atomic_fetch_add_explicit(&m->value, n, memory_order_relaxed);
}
static inline void metric_set(struct metric *m, int64_t n)
{
    atomic_store_explicit(&m->value, n, memory_order_relaxed);
}
void metric_observe_us(struct metric_histogram *h, int64_t value_us);
/* What somebody else has counted: of each bucket alone, n_bounds + 1 of them. */
void metric_set_histogram(struct metric_histogram *h, const uint64_t *counts, uint64_t sum_us);

/* All series as text; families sorted by name, HELP and TYPE once each. Adds
 * headwater_build_info, process start time, resident memory, CPU seconds and open descriptors. */
void metrics_render(struct buf_writer *out);

#endif
