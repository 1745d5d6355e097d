/* How much CPU there is for this process. */
#include "node/control/cores.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define QUOTA_PATH "/sys/fs/cgroup/cpu.max" /* as a container sees its own; elsewhere not there */
#define MAX_MILLI 10000000u

bool cores_parse_quota(const char *text, uint32_t *milli)
{
    unsigned long long quota, period;
    char end;
    int n = sscanf(text, "%llu %llu%c", &quota, &period, &end);

    if (text[0] < '0' || text[0] > '9' || n < 2 || (n == 3 && end != '\n') || quota == 0 ||
        period == 0 || quota > UINT64_MAX / 1000)
        return false;
    quota = quota * 1000 / period;
    *milli = quota > MAX_MILLI ? MAX_MILLI : quota < 1 ? 1 : (uint32_t)quota;
    return true;
}

static uint32_t cores_milli(void)
{
    cpu_set_t set;
    long n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set)
                                                         : sysconf(_SC_NPROCESSORS_ONLN);

    return n > 0 ? (uint32_t)n * 1000 : 1000;
}

uint32_t cores_allowed_milli(void)
{
    uint32_t cores = cores_milli(), quota = cores;
    FILE *f = fopen(QUOTA_PATH, "re");
    char text[64];

    if (f && fgets(text, sizeof text, f))
        (void)cores_parse_quota(text, &quota);
    if (f)
        fclose(f);
    return quota < cores ? quota : cores;
}
