/* Counters and gauges of the scheduler. */
#include "scheduler/stats.h"

static struct metric g_stats[] = {
#define STAT_ROW(name, type, family, labels, help) METRIC(METRIC_##type, family, labels, help),
    STATS_MAP(STAT_ROW)
#undef STAT_ROW
};

static struct metric_histogram g_turns = {
    .name = "headwater_loop_turn_seconds",
    .labels = "loop=\"scheduler\"",
    .help = "What a turn of a loop took: others waited that long",
    .bounds = k_loop_turn_bounds,
    .n_bounds = LOOP_N_TURN_BOUNDS,
};

void stats_show_loop(const struct loop *loop)
{
    struct loop_turns turns = {.sum_us = 0};

    loop_turns_add(loop, &turns);
    metric_set_histogram(&g_turns, turns.counts, turns.sum_us);
}

void stats_register(void)
{
    metrics_register_histogram(&g_turns);
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
