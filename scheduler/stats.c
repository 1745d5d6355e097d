/* Counters and gauges of the scheduler. */
#include "scheduler/stats.h"

static struct metric g_stats[] = {
#define STAT_ROW(name, type, family, labels, help) METRIC(METRIC_##type, family, labels, help),
    STATS_MAP(STAT_ROW)
#undef STAT_ROW
};

void stats_register(void)
{
    metrics_register(g_stats, STAT_N);
}

void stats_count(enum stat stat)
{
    stats_add(stat, 1);
}

void stats_add(enum stat stat, int64_t n)
{
    metric_add(&g_stats[stat], n);
}

void stats_set(enum stat stat, int64_t value)
{
    metric_set(&g_stats[stat], value);
}
