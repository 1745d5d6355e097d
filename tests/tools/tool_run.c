/* See tool_run.h. */
#include "tests/tools/tool_run.h"

#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "tests/tools/load_target.h"

#define PROGRESS_MS 1000

static struct tool_run *g_run; /* whom signals and lines are for */
static volatile sig_atomic_t g_is_interrupted;
static const char *g_json_path; /* as options have it, once they were parsed */

/* --- command line --- */

static void usage(const struct tool_command *command, FILE *out)
{
    fputs(command->head, out);
    fputs("\noptions:\n", out);
    options_help(command->table, out);
    fputs("\n", out);
    fputs(command->tail, out);
}

int tool_usage_error(const struct tool_command *command, const char *what, const char *why)
{
    char text[1024];

    snprintf(text, sizeof text, "%s%s%s", what, *what ? ": " : "", why);
    fprintf(stderr, "headwater-tool %s: %s (--help)\n", command->name, text);
    tool_json_error(text);
    return 2;
}

int tool_parse(const struct tool_command *command, int argc, char **argv, void *options,
               const struct tool_options *common)
{
    char why[256];

    if (options_parse(command->table, argc, argv, options, why, sizeof why) != E_OK)
        return tool_usage_error(command, "", why);
    g_json_path = common->json_path;
    if (!common->help)
        return -1;
    usage(command, stdout);
    return 0;
}

/* --- lines --- */

void tool_say(const char *format, ...)
{
    va_list args;

    if (g_run && g_run->is_shown)
        fputc('\n', stderr);
    if (g_run)
        g_run->is_shown = false;
    fputs("headwater-tool: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

static void show(struct tool_run *run)
{
    const struct tool_figures *f = run->figures;
    double seconds = (double)(clock_mono_us() - f->begin_us) / 1e6;

    fprintf(stderr, "\r%s %.0f s: %.1f s of media, %llu frames, %.2f Mbit/s    ", run->word,
            seconds, tool_media_s(f), (unsigned long long)f->n_frames, tool_bits_per_s(f) / 1e6);
    run->is_shown = true;
}

static void on_progress(struct timer *timer)
{
    struct tool_run *run = list_entry(timer, struct tool_run, timer);

    show(run);
    timer_start_ms(timer, PROGRESS_MS);
}

/* --- figures --- */

void tool_count(struct tool_figures *f, const struct media_tag *tag)
{
    if (tag->is_broken || tag->info.kind == MEDIA_DATA ||
        tag->info.flags & (FRAME_HEADERS | FRAME_SEQ_END))
        return;
    if (!f->has_frame)
        f->first_us = f->last_us = tag->dts_us;
    f->has_frame = true;
    f->n_frames++;
    f->n_keys += tag->info.kind == MEDIA_VIDEO && tag->info.flags & FRAME_KEY;
    f->n_bytes += tag->body.size_bytes;
    if (tag->dts_us > f->last_us)
        f->last_us = tag->dts_us;
}

double tool_media_s(const struct tool_figures *f)
{
    return (double)(f->last_us - f->first_us) / 1e6;
}

double tool_bits_per_s(const struct tool_figures *f)
{
    double seconds = tool_media_s(f);

    return seconds > 0 ? (double)f->n_bytes * 8 / seconds : 0;
}

json_t *tool_figures_json(const struct tool_figures *f, const char *error)
{
    return json_pack("{s:I, s:I, s:I, s:f, s:f, s:s?}", "frames", (json_int_t)f->n_frames,
                     "key_frames", (json_int_t)f->n_keys, "bytes", (json_int_t)f->n_bytes,
                     "seconds", tool_media_s(f), "bit_rate", tool_bits_per_s(f), "error", error);
}

bool tool_has_json_on_stdout(const struct tool_options *options)
{
    return options->json_path && !strcmp(options->json_path, "-");
}

bool tool_write_json(json_t *json, const char *path)
{
    bool is_written;

    if (json && !strcmp(path, "-"))
        is_written = json_dumpf(json, stdout, JSON_INDENT(1)) == 0 && putchar('\n') != EOF &&
                     fflush(stdout) == 0;
    else
        is_written = json && json_dump_file(json, path, JSON_INDENT(1)) == 0;
    if (!is_written)
        tool_say("%s: cannot be written", strcmp(path, "-") ? path : "standard output");
    return is_written;
}

void tool_json_error(const char *why)
{
    json_t *json = g_json_path ? json_pack("{s:s}", "error", why) : NULL;

    if (g_json_path)
        (void)tool_write_json(json, g_json_path);
    json_decref(json);
}

int tool_report(const struct tool_run *run, json_t *json, int status)
{
    const char *path = run->options->json_path;
    bool is_written;

    if (!run->options->quiet && run->is_shown)
        fputc('\n', stderr);
    if (!run->options->quiet)
        fprintf(stderr, "%s %llu frames, %.3f s, %.0f bit/s\n", run->word,
                (unsigned long long)run->figures->n_frames, tool_media_s(run->figures),
                tool_bits_per_s(run->figures));
    is_written = !path || tool_write_json(json, path);
    json_decref(json);
    return is_written ? status : 1;
}

/* --- the loop --- */

static void on_interrupt(int number)
{
    (void)number;
    g_is_interrupted = 1;
    if (g_run)
        loop_stop(g_run->loop); /* an exchange and a write: fine in a signal handler */
}

void tool_hear_signals(void)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
}

bool tool_is_interrupted(void)
{
    return g_is_interrupted;
}

enum err tool_run_init(struct tool_run *run, const struct tool_options *options,
                       const struct tool_figures *figures, const char *word, char *why, size_t size)
{
    enum err e = load_target_trust(options->ca_file, options->insecure, why, size);

    *run = (struct tool_run){.options = options, .figures = figures, .word = word};
    if (e != E_OK)
        return e;
    run->loop = loop_create("tool", 0);
    if (!run->loop) {
        snprintf(why, size, "%s", err_text(E_NOMEM));
        return E_NOMEM;
    }
    timer_init(&run->timer, run->loop, on_progress);
    if (!options->quiet && isatty(STDERR_FILENO))
        timer_start_ms(&run->timer, PROGRESS_MS);
    g_run = run;
    tool_hear_signals();
    return E_OK;
}

void tool_run_loop(struct tool_run *run)
{
    loop_run(run->loop);
}

void tool_run_fini(struct tool_run *run)
{
    if (!run->loop)
        return;
    signal(SIGINT, SIG_IGN); /* what is left is closing files */
    signal(SIGTERM, SIG_IGN);
    timer_stop(&run->timer);
    loop_destroy(&run->loop);
    g_run = NULL;
}
