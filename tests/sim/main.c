/* headwater-sim: thousands of simulated clusters, each decided by its seed; and figures for a
 * cluster that no test machine holds. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sim/sim_scale.h"
#include "tests/sim/sim_world.h"

#define MAX_JOBS 64
#define SHOWN 3 /* failures that are told in full */

struct options {
    uint64_t first, n_runs, n_shown;
    unsigned n_jobs;
    bool trail;
};

struct job { /* a run in a process of its own: what a seed does depends on nothing before it */
    pid_t pid;
    int fd;
    uint64_t seed;
};

struct sums {
    uint64_t n_done, n_failed, n_faults, n_shown;
    int64_t *settled_ms; /* of each run that passed */
    int64_t *registry_ms;
    int64_t longest_gap_ms;
};

static void usage(FILE *out)
{
    fprintf(out, "usage: headwater-sim [--runs N] [--first SEED] [--jobs N] [--show N]\n"
                 "       headwater-sim --seed SEED [--trail]   one run again, exactly\n"
                 "       headwater-sim scale [--nodes N] [--streams N] [--viewers N]\n");
}

/* In the child. The report of a failure is written to fd, then the result. */
static int run_here(uint64_t seed, int fd)
{
    struct sim_result result;
    FILE *out = fdopen(fd, "w");
    bool ok = sim_world_run(seed, &result);

    if (!out)
        return 2;
    fprintf(out, "%" PRId64 " %" PRId64 " %" PRId64 " %u\n", result.settled_ms, result.registry_ms,
            result.longest_gap_ms, result.n_faults);
    if (!ok)
        sim_report(out);
    fclose(out);
    return ok ? 0 : 1;
}

static void start(struct job *job, uint64_t seed)
{
    int fds[2];

    if (pipe(fds) != 0)
        abort();
    fflush(NULL);
    *job = (struct job){.seed = seed, .pid = fork(), .fd = fds[0]};
    if (job->pid < 0)
        abort();
    if (job->pid == 0) {
        close(fds[0]);
        _exit(run_here(seed, fds[1])); /* nothing of a simulation is freed */
    }
    close(fds[1]);
}

static void finish(struct job *job, struct sums *sums)
{
    FILE *in = fdopen(job->fd, "r");
    int64_t settled_ms = 0, registry_ms = 0, gap_ms = 0;
    unsigned n_faults = 0;
    char line[1024];
    int status = 0;
    bool ok;

    if (in && fgets(line, sizeof line, in))
        (void)sscanf(line, "%" SCNd64 " %" SCNd64 " %" SCNd64 " %u", &settled_ms, &registry_ms,
                     &gap_ms, &n_faults);
    for (bool is_first = true; in && fgets(line, sizeof line, in); is_first = false)
        if (is_first || sums->n_failed < sums->n_shown)
            fputs(line, stdout);
    if (in)
        fclose(in);
    waitpid(job->pid, &status, 0);
    ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!ok && !(WIFEXITED(status) && WEXITSTATUS(status) == 1))
        printf("seed %" PRIu64 ": the simulation died, %s %d\nreplay: headwater-sim --seed %" PRIu64
               " --trail\n",
               job->seed, WIFSIGNALED(status) ? "signal" : "exit code",
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), job->seed);
    if (ok) {
        sums->settled_ms[sums->n_done - sums->n_failed] = settled_ms;
        sums->registry_ms[sums->n_done - sums->n_failed] = registry_ms;
    }
    sums->n_done++;
    sums->n_failed += !ok;
    sums->n_faults += n_faults;
    sums->longest_gap_ms = gap_ms > sums->longest_gap_ms ? gap_ms : sums->longest_gap_ms;
    job->pid = 0;
}

static int compare(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static void print_quantiles(const char *what, int64_t *values, size_t n)
{
    if (!n)
        return;
    qsort(values, n, sizeof *values, compare);
    printf("%s: p50 %" PRId64 " ms, p99 %" PRId64 " ms, max %" PRId64 " ms\n", what, values[n / 2],
           values[n * 99 / 100], values[n - 1]);
}

static int run_many(const struct options *o)
{
    struct job jobs[MAX_JOBS] = {0};
    struct sums sums = {.settled_ms = calloc(o->n_runs, sizeof(int64_t)),
                        .registry_ms = calloc(o->n_runs, sizeof(int64_t)),
                        .n_shown = o->n_shown};
    size_t n_ok;

    if (!sums.settled_ms || !sums.registry_ms)
        return 2;
    for (uint64_t i = 0; i < o->n_runs + o->n_jobs; i++) {
        struct job *job = &jobs[i % o->n_jobs];

        if (job->pid) /* in order, so that the output is the same whatever the machine */
            finish(job, &sums);
        if (i < o->n_runs)
            start(job, o->first + i);
    }
    n_ok = sums.n_done - sums.n_failed;
    printf("%" PRIu64 " runs, seeds %" PRIu64 "-%" PRIu64 ": %" PRIu64 " failed, %" PRIu64
           " faults\n",
           sums.n_done, o->first, o->first + o->n_runs - 1, sums.n_failed, sums.n_faults);
    print_quantiles("every registry right after the heal", sums.registry_ms, n_ok);
    print_quantiles("everybody served after the heal", sums.settled_ms, n_ok);
    printf("longest pause of a viewer while only the control plane failed: %" PRId64 " ms\n",
           sums.longest_gap_ms);
    free(sums.settled_ms);
    free(sums.registry_ms);
    return sums.n_failed ? 1 : 0;
}

static int run_one(const struct options *o)
{
    int fd = dup(STDOUT_FILENO), code;

    if (fd < 0)
        return 2;
    if (o->trail)
        sim_echo_trail(stdout);
    fflush(NULL);
    code = run_here(o->first, fd);
    fflush(NULL);
    _exit(code); /* nothing of a simulation is freed */
}

static bool take_number(int argc, char **argv, int *i, uint64_t *out)
{
    char *end;

    if (++*i >= argc)
        return false;
    *out = strtoull(argv[*i], &end, 10);
    return *argv[*i] && !*end;
}

int main(int argc, char **argv)
{
    struct options o = {.first = 1, .n_runs = 100, .n_shown = SHOWN, .n_jobs = 1};
    uint64_t n_jobs = 1;
    bool one = false, ok = true;

    if (argc > 1 && strcmp(argv[1], "scale") == 0)
        return sim_scale_main(argc - 1, argv + 1);
    for (int i = 1; i < argc && ok; i++) {
        if (strcmp(argv[i], "--seed") == 0)
            ok = one = take_number(argc, argv, &i, &o.first);
        else if (strcmp(argv[i], "--runs") == 0)
            ok = take_number(argc, argv, &i, &o.n_runs);
        else if (strcmp(argv[i], "--first") == 0)
            ok = take_number(argc, argv, &i, &o.first);
        else if (strcmp(argv[i], "--jobs") == 0)
            ok = take_number(argc, argv, &i, &n_jobs) && n_jobs >= 1 && n_jobs <= MAX_JOBS;
        else if (strcmp(argv[i], "--show") == 0)
            ok = take_number(argc, argv, &i, &o.n_shown);
        else if (strcmp(argv[i], "--trail") == 0)
            o.trail = true;
        else
            ok = false;
    }
    if (!ok || o.n_runs == 0) {
        usage(stderr);
        return 2;
    }
    o.n_jobs = (unsigned)n_jobs;
    return one ? run_one(&o) : run_many(&o);
}
