/* The command: one input, one output. */
#include "tests/tools/remux.h"

#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/tools/media_output.h"
#include "tests/tools/tool_run.h"

#define NAP_MS 20 /* of a pipe that has nothing */

struct remux_options {
    const char *from, *to;
    struct tool_options common;
};

struct remux {
    struct remux_options options;
    struct tool_figures figures;
    struct tool_run run; /* without a loop: for its report */
    char error[512];     /* "" */
};

#define OF(member) offsetof(struct remux_options, member)
/* clang-format off */
static const struct option_row k_rows[] = {
    {"FROM",    "", OPTION_TEXT, 0, OF(from), 0, 0, false, "FLV, MPEG-TS or MP4; - = standard input"},
    {"TO",      "", OPTION_TEXT, 0, OF(to), 0, 0, false, "by its ending; - = standard output, FLV"},
    {"--json",  "FILE", OPTION_TEXT, 0, OF(common.json_path), 0, 0, false, "figures; - = stdout"},
    {"--quiet", "", OPTION_FLAG, 0, OF(common.quiet), 0, 0, false, "no line at the end"},
    {"--help",  "", OPTION_FLAG, 0, OF(common.help), 0, 0, false, "this text"},
};
/* clang-format on */
static const struct option_table k_table = {k_rows, sizeof k_rows / sizeof k_rows[0], NULL};
static const struct tool_command k_command = {
    "remux", &k_table,
    "headwater-tool remux: a recording in another container, frames untouched\n"
    "\n"
    "usage: headwater-tool remux FROM TO [OPTION]...\n",
    "FROM is known by its first bytes. MP4 may have its tables at the end in a file, and in a pipe "
    "when\n"
    "they are in front (ffmpeg -movflags +faststart), or it is in fragments.\n"
    "TO ends with .flv .ts .mp4, or one stream alone: .h264 .hevc .aac .mp3 .ac3 .eac3\n"
    "SIGINT and SIGTERM end it with a file that is whole as far as it goes.\n"
    "\n"
    "example:\n"
    "  headwater-tool remux a.ts a.mp4\n"
    "\n"
    "exit code: 0 fine; 1 FROM is broken, TO cannot be written, or it was interrupted; 2 usage\n"};

static void fail(struct remux *r, const char *why)
{
    if (!r->error[0])
        snprintf(r->error, sizeof r->error, "%s", why);
}

static void copy(struct remux *r, struct media_input *input, struct media_output *output)
{
    struct media_tag tag;
    enum err e = E_OK;

    while (!r->error[0] && e != E_END) {
        e = media_input_next(input, &tag);
        if (tool_is_interrupted())
            fail(r, "interrupted");
        else if (e == E_AGAIN)
            (void)poll(NULL, 0, NAP_MS);
        else if (e != E_OK && e != E_END)
            fail(r, media_input_why(input));
        if (e != E_OK || r->error[0])
            continue;
        tool_count(&r->figures, &tag);
        if (media_output_write(output, &tag) != E_OK)
            fail(r, media_output_why(output));
    }
}

static int conclude(struct remux *r, const struct media_input *input, uint64_t n_left_out)
{
    json_t *json = tool_figures_json(&r->figures, r->error[0] ? r->error : NULL);

    if (r->error[0])
        tool_say("%s", r->error);
    if (json) {
        (void)json_object_set_new(json, "left_out", json_integer((json_int_t)n_left_out));
        (void)json_object_set_new(json, "tracks_left_out",
                                  json_integer(media_input_left_out(input)));
    }
    return tool_report(&r->run, json, r->error[0] != '\0');
}

static int run(struct remux *r, struct media_input *input, const struct media_output_form *form)
{
    uint64_t n_written, n_left_out;
    char why[256];
    struct media_output *output = media_output_open(r->options.to, form, why, sizeof why);

    if (!output) {
        fail(r, why);
        return conclude(r, input, 0);
    }
    media_input_set_patient(input);
    copy(r, input, output);
    if (!r->error[0] && media_input_lacks(input))
        snprintf(r->error, sizeof r->error, "%s: %s", r->options.from, media_input_lacks(input));
    if (media_output_close(&output, &n_written, &n_left_out, why, sizeof why) != E_OK)
        fail(r, why);
    return conclude(r, input, n_left_out);
}

static bool know_file(const char *path, int standard_fd, struct stat *out)
{
    return (strcmp(path, "-") ? stat(path, out) : fstat(standard_fd, out)) == 0;
}

/* What is read must not be cut to nothing before, nor grow from what is written. */
static bool is_same_file(const char *from, const char *to)
{
    struct stat a, b;

    return know_file(from, STDIN_FILENO, &a) && know_file(to, STDOUT_FILENO, &b) &&
           S_ISREG(b.st_mode) && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

static const char *why_not(const struct remux_options *o, const struct media_output_form *form)
{
    if (!form)
        return "no ending that says what it is to be";
    if (is_same_file(o->from, o->to))
        return "is what is read";
    return NULL;
}

int remux_main(int argc, char **argv)
{
    static struct remux r;
    const struct media_output_form *form;
    struct media_input *input;
    char why[256];
    int status = tool_parse(&k_command, argc, argv, &r.options, &r.options.common);

    if (status >= 0)
        return status;
    if (!r.options.from || !r.options.to)
        return tool_usage_error(&k_command, "", "from what, to what?");
    form = media_output_form_of(r.options.to);
    if (why_not(&r.options, form))
        return tool_usage_error(&k_command, r.options.to, why_not(&r.options, form));
    if (!strcmp(r.options.to, "-") && tool_has_json_on_stdout(&r.options.common))
        return tool_usage_error(&k_command, "", TOOL_TWO_ON_STDOUT);
    input = media_input_open(r.options.from, why, sizeof why);
    if (!input)
        return tool_usage_error(&k_command, "", why);
    r.run =
        (struct tool_run){.options = &r.options.common, .figures = &r.figures, .word = "remuxed"};
    tool_hear_signals();
    status = run(&r, input, form);
    media_input_close(&input);
    return status;
}
