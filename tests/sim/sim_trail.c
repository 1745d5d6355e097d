/* The trail: what happened, in lines. Notes of the simulation and the log lines of the real code,
 * which come here instead of to standard error (ld --wrap, see tests.cmake). The last ones are
 * kept; a failure prints those of the stream concerned, and the faults around them. */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "tests/sim/sim_wrap.h"

#define N_LINES 16384
#define LINE_BYTES 400
#define SHOWN_LINES 400

struct line {
    int64_t at_us;
    bool is_about_all; /* a fault: it concerns every stream */
    char text[LINE_BYTES];
};

static struct {
    uint64_t seed;
    struct line lines[N_LINES];
    uint64_t n_lines; /* ever written; the last N_LINES are kept */
    FILE *echo;
    bool has_failed;
    int64_t failed_us;
    char stream[400], failure[600];
} g;

void sim_trail_begin(uint64_t seed)
{
    FILE *echo = g.echo;

    memset(&g, 0, sizeof g);
    g.seed = seed;
    g.echo = echo;
}

void sim_echo_trail(FILE *out)
{
    g.echo = out;
}

static void print_line(FILE *out, const struct line *line)
{
    fprintf(out, "%10.6f %s\n", (double)line->at_us / 1e6, line->text);
}

__attribute__((format(printf, 3, 0))) static void add_line(bool is_about_all, const char *area,
                                                           const char *format, va_list args)
{
    struct line *line = &g.lines[g.n_lines++ % N_LINES];
    const struct sim_process *process = sim_current();
    int head;

    line->at_us = sim_now_us();
    line->is_about_all = is_about_all;
    head = snprintf(line->text, LINE_BYTES, "%-8s %s ", process ? process->name : "-", area);
    vsnprintf(line->text + head, LINE_BYTES - (size_t)head, format, args);
    if (g.echo)
        print_line(g.echo, line);
}

void sim_note(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_line(!strstr(format, "stream="), "sim", format, args);
    va_end(args);
}

void sim_detail(const char *format, ...)
{
    va_list args;

    if (!g.echo)
        return;
    va_start(args, format);
    add_line(false, "...", format, args);
    va_end(args);
}

void __wrap_log_line(enum log_level level, const char *area, const char *format, ...)
{
    va_list args;

    if (level < LOG_INFO && !g.echo)
        return;
    va_start(args, format);
    add_line(false, area, format, args);
    va_end(args);
}

void sim_fail(const char *invariant, const char *stream, const char *format, ...)
{
    va_list args;
    int head;

    if (g.has_failed)
        return;
    g.has_failed = true;
    g.failed_us = sim_now_us();
    snprintf(g.stream, sizeof g.stream, "%s", stream);
    head = snprintf(g.failure, sizeof g.failure, "%s: ", invariant);
    va_start(args, format);
    vsnprintf(g.failure + head, sizeof g.failure - (size_t)head, format, args);
    va_end(args);
    sim_note("FAILED %s", g.failure);
}

bool sim_has_failed(void)
{
    return g.has_failed;
}

/* Says "stream=<name>" and no more letters of a longer name. */
static bool is_about_stream(const char *text)
{
    size_t size = strlen(g.stream);
    const char *at = text;

    while (size && (at = strstr(at, g.stream))) {
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789", at[size]) || !at[size])
            return true;
        at += size;
    }
    return false;
}

void sim_report(FILE *out)
{
    uint64_t first = g.n_lines > N_LINES ? g.n_lines - N_LINES : 0, n_shown = 0, from = g.n_lines;

    fprintf(out, "seed %" PRIu64 ", at %.6f s: %s\n", g.seed, (double)g.failed_us / 1e6, g.failure);
    while (from > first && n_shown < SHOWN_LINES) {
        const struct line *line = &g.lines[--from % N_LINES];

        n_shown += line->is_about_all || is_about_stream(line->text);
    }
    for (; from < g.n_lines; from++) {
        const struct line *line = &g.lines[from % N_LINES];

        if (line->is_about_all || is_about_stream(line->text))
            print_line(out, line);
    }
    fprintf(out, "replay: headwater-sim --seed %" PRIu64 " [--trail]\n", g.seed);
}

/* Each node of the simulation would register the one table of its program. */
void __wrap_metrics_register(struct metric *table, size_t n)
{
    (void)table, (void)n;
}

void __wrap_metrics_register_histogram(struct metric_histogram *h)
{
    (void)h;
}

/* The load that nodes report: none. */
int __wrap_getrusage(int who, struct rusage *usage)
{
    (void)who;
    memset(usage, 0, sizeof *usage);
    return 0;
}

/* Hash tables are keyed from here: the same order of their entries in every run. */
ssize_t __wrap_getrandom(void *out, size_t size_bytes, unsigned flags)
{
    (void)flags;
    memset(out, 0x5a, size_bytes);
    return (ssize_t)size_bytes;
}
