/* What the node does, as rates over the time between two heartbeats. */
#include <sys/resource.h>
#include <unistd.h>

#include "node/cluster/agent_private.h"

#define SAMPLE_MIN_US 500000

static int64_t cpu_used_us(void)
{
    struct rusage usage;

    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return 0;
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64_C(1000000) +
           usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static uint64_t rate_bps(int64_t bytes, int64_t elapsed_us)
{
    return bytes <= 0 ? 0 : (uint64_t)((double)bytes * 8e6 / (double)elapsed_us);
}

static int64_t sum(const int64_t bytes[NODE_N_BYTE_ROWS], int64_t at_least)
{
    int64_t total = 0;

    for (size_t i = 0; i < NODE_N_BYTE_ROWS; i++)
        total += bytes[i];
    return total > at_least ? total : at_least; /* a session that ended meanwhile comes next time */
}

bool agent_wants_sample(const struct agent *agent)
{
    return !agent->sample.at_us || clock_mono_us() - agent->sample.at_us >= SAMPLE_MIN_US;
}

void agent_take_sample(struct agent *agent, const struct node_totals *totals)
{
    struct agent_sample *old = &agent->sample;
    struct agent_sample now = {.at_us = clock_mono_us(), .cpu_us = cpu_used_us()};
    int64_t elapsed_us = now.at_us - old->at_us;
    long n_cores = sysconf(_SC_NPROCESSORS_ONLN);

    now.in_bytes = sum(totals->in_bytes, old->in_bytes);
    now.out_bytes = sum(totals->out_bytes, old->out_bytes);
    if (old->at_us && elapsed_us > 0) {
        now.load.in_bps = rate_bps(now.in_bytes - old->in_bytes, elapsed_us);
        now.load.out_bps = rate_bps(now.out_bytes - old->out_bytes, elapsed_us);
        now.load.cpu_permille = (uint32_t)((now.cpu_us - old->cpu_us) * 1000 / elapsed_us /
                                           (n_cores > 0 ? n_cores : 1));
    }
    *old = now;
    atomic_store_explicit(&agent->node->admission.egress_bps, now.load.out_bps,
                          memory_order_relaxed);
}
