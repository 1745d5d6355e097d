/* Reads /proc/self for the process_* metrics. A value that cannot be read is left out. */
#include "common/base/process_metrics.h"

#include <assert.h>
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { BUILD, CPU, MAX_FDS, OPEN_FDS, RESIDENT, START, VIRTUAL };

/* Sorted by name, as metrics_render() shows them. */
static const struct {
    const char *name, *labels, *type, *help;
    int decimals;
} k_facts[] = {
    [BUILD] = {"headwater_build_info", "{version=\"" HW_VERSION "\"}", "gauge",
               "Always 1; the label says which version runs.", 0},
    [CPU] = {"process_cpu_seconds_total", "", "counter",
             "Total user and system CPU time spent in seconds.", 6},
    [MAX_FDS] = {"process_max_fds", "", "gauge", "Maximum number of open file descriptors.", 0},
    [OPEN_FDS] = {"process_open_fds", "", "gauge", "Number of open file descriptors.", 0},
    [RESIDENT] = {"process_resident_memory_bytes", "", "gauge", "Resident memory size in bytes.",
                  0},
    [START] = {"process_start_time_seconds", "", "gauge",
               "Start time of the process since unix epoch in seconds.", 2},
    [VIRTUAL] = {"process_virtual_memory_bytes", "", "gauge", "Virtual memory size in bytes.", 0},
};
_Static_assert(sizeof k_facts / sizeof k_facts[0] == PROCESS_N_METRICS, "one row a value");

static pthread_once_t start_once = PTHREAD_ONCE_INIT;
static double start_time_seconds = -1;

/* Field 22 of /proc/self/stat: ticks from boot to start. Worked out once: the difference of two
 * clocks would move a little at each reading. */
static void find_start_time(void)
{
    FILE *f = fopen("/proc/self/stat", "re");
    unsigned long long start_ticks = 0;
    struct timespec wall, boot;
    char line[1024];
    const char *at;
    size_t got;

    if (!f)
        return;
    got = fread(line, 1, sizeof line - 1, f);
    fclose(f);
    line[got] = '\0';
    at = strrchr(line, ')'); /* field 2 is the program's name, which may hold anything */
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    if (!at || sscanf(at, "%llu", &start_ticks) != 1)
        return;
    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    start_time_seconds = (double)(wall.tv_sec - boot.tv_sec) +
                         (double)(wall.tv_nsec - boot.tv_nsec) / 1e9 +
                         (double)start_ticks / (double)sysconf(_SC_CLK_TCK);
}

static double cpu_seconds(void)
{
    struct rusage usage;

    if (getrusage(RUSAGE_SELF, &usage) < 0)
        return -1;
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double count_open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    double n = -1; /* the listing's own descriptor does not count */
    const struct dirent *entry;

    if (!dir)
        return -1;
    while ((entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.')
            n++;
    closedir(dir);
    return n;
}

static void read_memory(double *virtual_bytes, double *resident_bytes)
{
    FILE *f = fopen("/proc/self/statm", "re");
    unsigned long size_pages, resident_pages;
    double page_bytes = (double)sysconf(_SC_PAGESIZE);

    *virtual_bytes = *resident_bytes = -1;
    if (!f)
        return;
    if (fscanf(f, "%lu %lu", &size_pages, &resident_pages) == 2) {
        *virtual_bytes = (double)size_pages * page_bytes;
        *resident_bytes = (double)resident_pages * page_bytes;
    }
    fclose(f);
}

void process_metrics_read(struct process_metrics *out)
{
    struct rlimit limit;

    pthread_once(&start_once, find_start_time);
    out->values[BUILD] = 1;
    out->values[CPU] = cpu_seconds();
    out->values[MAX_FDS] = getrlimit(RLIMIT_NOFILE, &limit) < 0 ? -1 : (double)limit.rlim_cur;
    out->values[OPEN_FDS] = count_open_fds();
    out->values[START] = start_time_seconds;
    read_memory(&out->values[VIRTUAL], &out->values[RESIDENT]);
}

const char *process_metric_name(size_t index)
{
    assert(index < PROCESS_N_METRICS);
    return k_facts[index].name;
}

void process_metric_render(struct buf_writer *out, const struct process_metrics *p, size_t index)
{
    double value = p->values[index];

    if (value < 0)
        return;
    metrics_render_family(out, k_facts[index].name, k_facts[index].help, k_facts[index].type);
    buf_printf(out, "%s%s ", k_facts[index].name, k_facts[index].labels);
    buf_printf(out, "%.*f\n", k_facts[index].decimals, value);
}
