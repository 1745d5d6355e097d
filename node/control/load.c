/* See load.h. */
#include "node/control/load.h"

#include <sys/resource.h>

#include "common/net/loop.h"
#include "node/control/cores.h"

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

bool node_load_is_due(const struct node_load *load)
{
    return !load->at_us || clock_mono_us() - load->at_us >= SAMPLE_MIN_US;
}

void node_load_take(struct node_load *load, const struct node_totals *totals)
{
    const struct node_load old = *load;
    int64_t elapsed_us, cpu_us = cpu_used_us();

    *load = (struct node_load){.at_us = clock_mono_us(),
                               .cpu_us = cpu_us,
                               .in_bytes = sum(totals->in_bytes, old.in_bytes),
                               .out_bytes = sum(totals->out_bytes, old.out_bytes)};
    elapsed_us = load->at_us - old.at_us;
    if (!old.at_us || elapsed_us <= 0)
        return;
    load->in_bps = rate_bps(load->in_bytes - old.in_bytes, elapsed_us);
    load->out_bps = rate_bps(load->out_bytes - old.out_bytes, elapsed_us);
    load->cpu_permille =
        (uint32_t)((cpu_us - old.cpu_us) * 1000000 / elapsed_us / cores_allowed_milli());
}
