/* The command: a live stream, a file, no more. */
#include "tests/tools/pull.h"

#include <errno.h>
#include <string.h>

#include "tests/tools/media_link.h"
#include "tests/tools/media_output.h"
#include "tests/tools/tool_run.h"

struct pull_options {
    const char *url, *path, *dump_path;
    double seconds;
    struct tool_options common;
};

struct pull {
    struct pull_options options;
    struct tool_run run;
    struct tool_figures figures;
    struct load_target target;
    struct media_pull *link;
    struct media_output *output;
    FILE *dump;
    bool is_done; /* what comes now is too late */
    bool has_failed;
    char error[512]; /* "" */
};

#define OF(member) offsetof(struct pull_options, member)
/* clang-format off */
static const struct option_row k_rows[] = {
    {"URL", "", OPTION_TEXT, 0, OF(url), 0, 0, false,
     "rtmp[s]://host[:port]/app/name, or http[s]://...; .flv or .ts as the answer says"},
    {"FILE", "", OPTION_TEXT, 0, OF(path), 0, 0, false,
     "what to write, by its ending; - = standard output, FLV"},
    {"--seconds", "S", OPTION_NUMBER, 0, OF(seconds), 0, 1e9, false,
     "of media, then end; 0 = until the stream ends (0)"},
    {"--dump", "FILE", OPTION_TEXT, 0, OF(dump_path), 0, 0, false,
     "every byte that the server sent, besides, for analyze"},
    TOOL_OPTION_ROWS(0, OF(common)),
};
/* clang-format on */
static const struct option_table k_table = {k_rows, sizeof k_rows / sizeof k_rows[0], NULL};
static const struct tool_command k_command = {
    "pull", &k_table,
    "headwater-tool pull: a live stream into a file, its frames untouched\n"
    "\n"
    "usage: headwater-tool pull URL FILE [OPTION]...\n",
    "FILE ends with .flv, .ts, .mp4, or one stream alone: .h264 .hevc .aac .mp3 .ac3 .eac3.\n"
    "Its first frame is at 0. SIGINT and SIGTERM end it with the file whole.\n"
    "\n"
    "examples:\n"
    "  headwater-tool pull rtmp://127.0.0.1/live/a a.flv --seconds 30\n"
    "  headwater-tool pull https://edge.example/live/a.ts - | ffplay -\n"
    "\n"
    "exit code: 0 there was media, and the file is whole; 1 refused, broken off, or not to be\n"
    "written; 2 usage\n"};

static void stop(struct pull *p)
{
    p->is_done = true;
    loop_stop(p->run.loop);
}

static void on_tag(void *arg, const struct media_tag *tag)
{
    struct pull *p = arg;

    if (p->is_done)
        return;
    tool_count(&p->figures, tag);
    if (p->options.seconds > 0 && tool_media_s(&p->figures) >= p->options.seconds)
        stop(p);
    if (media_output_write(p->output, tag) != E_OK) {
        snprintf(p->error, sizeof p->error, "%s", media_output_why(p->output));
        stop(p);
    }
}

static void on_end(void *arg, enum err e, const char *why)
{
    struct pull *p = arg;

    if (!p->is_done && (e != E_END || !p->figures.n_frames))
        snprintf(p->error, sizeof p->error, "%s", why);
    stop(p);
}

static const struct media_link_ops k_ops = {.on_tag = on_tag, .on_end = on_end};

static void connect_and_run(struct pull *p)
{
    const struct media_link_conf conf = {.loop = p->run.loop,
                                         .target = &p->target,
                                         .timeout_ms = (int64_t)(p->options.common.timeout_s * 1e3),
                                         .dump = p->dump,
                                         .ops = &k_ops,
                                         .arg = p};

    p->figures.begin_us = clock_mono_us();
    p->link = media_pull_open(&conf);
    if (p->link)
        tool_run_loop(&p->run);
    else
        snprintf(p->error, sizeof p->error, "%s", err_text(E_NOMEM));
    media_pull_close(&p->link);
}

/* Exit code, or -1. */
static int open_all(struct pull *p, const struct media_output_form *form)
{
    char why[256] = "";
    const char *text = why;

    if (tool_run_init(&p->run, &p->options.common, &p->figures, "pulled", why, sizeof why) != E_OK)
        return tool_usage_error(&k_command, "", why);
    if (load_target_init(&p->target, p->options.url, &text) != E_OK)
        return tool_usage_error(&k_command, p->options.url, text);
    if (p->options.dump_path && !(p->dump = fopen(p->options.dump_path, "wbe")))
        return tool_usage_error(&k_command, p->options.dump_path, strerror(errno));
    p->output = media_output_open(p->options.path, form, why, sizeof why);
    return p->output ? -1 : tool_usage_error(&k_command, "", why);
}

static void close_output(struct pull *p, uint64_t *n_left_out)
{
    uint64_t n_written;
    char why[256];

    if (media_output_close(&p->output, &n_written, n_left_out, why, sizeof why) != E_OK &&
        !p->error[0])
        snprintf(p->error, sizeof p->error, "%s", why);
    if (p->dump && fclose(p->dump) != 0 && !p->error[0])
        snprintf(p->error, sizeof p->error, "%s: %s", p->options.dump_path, strerror(errno));
}

static int conclude(struct pull *p)
{
    uint64_t n_left_out = 0;
    json_t *json;

    close_output(p, &n_left_out);
    if (!p->error[0] && !p->figures.n_frames)
        snprintf(p->error, sizeof p->error, "%s: no media", p->options.url);
    if (p->error[0])
        tool_say("%s", p->error);
    json = tool_figures_json(&p->figures, p->error[0] ? p->error : NULL);
    if (json)
        (void)json_object_set_new(json, "left_out", json_integer((json_int_t)n_left_out));
    return tool_report(&p->run, json, p->error[0] != '\0');
}

int pull_main(int argc, char **argv)
{
    static struct pull p = {.options = {.common = TOOL_OPTIONS_DEFAULT}};
    const struct media_output_form *form;
    int status = tool_parse(&k_command, argc, argv, &p.options, &p.options.common);

    if (status >= 0)
        return status;
    if (!p.options.url || !p.options.path)
        return tool_usage_error(&k_command, "", "from where, into which file?");
    form = media_output_form_of(p.options.path);
    if (!form)
        return tool_usage_error(&k_command, p.options.path, "no ending that says what it is to be");
    if (!strcmp(p.options.path, "-") && tool_has_json_on_stdout(&p.options.common))
        return tool_usage_error(&k_command, "", TOOL_TWO_ON_STDOUT);
    status = open_all(&p, form);
    if (status < 0) {
        connect_and_run(&p);
        status = conclude(&p);
    }
    tool_run_fini(&p.run);
    return status;
}
