/* The command: one input, one output. */
#include "tests/tools/remux.h"

#include "tests/tools/media_output.h"
#include "tests/tools/options.h"

struct remux_options {
    const char *from, *to;
    bool quiet, help;
};

#define OF(member) offsetof(struct remux_options, member)
/* clang-format off */
static const struct option_row k_rows[] = {
    {"FROM",    "", OPTION_TEXT, 0, OF(from), 0, 0, false, "FLV or MPEG-TS; - = standard input"},
    {"TO",      "", OPTION_TEXT, 0, OF(to), 0, 0, false, "by its ending; - = standard output, FLV"},
    {"--quiet", "", OPTION_FLAG, 0, OF(quiet), 0, 0, false, "no line at the end"},
    {"--help",  "", OPTION_FLAG, 0, OF(help), 0, 0, false, "this text"},
};
/* clang-format on */
static const struct option_table k_table = {k_rows, sizeof k_rows / sizeof k_rows[0], NULL};

static void usage(FILE *out)
{
    fputs("headwater-tool remux: a recording in another container, frames untouched\n"
          "\n"
          "usage: headwater-tool remux FROM TO [OPTION]...\n"
          "\n",
          out);
    options_help(&k_table, out);
    fprintf(out, "\nTO ends with %s\n", media_output_endings());
    fputs("\nexit code: 0 fine; 1 FROM is broken, or TO cannot be written; 2 usage\n", out);
}

static int fail(const char *why)
{
    fprintf(stderr, "headwater-tool: %s\n", why);
    return 1;
}

static int copy(struct media_input *input, struct media_output *output)
{
    struct media_tag tag;
    enum err e, written = E_OK;

    while (written == E_OK && (e = media_input_next(input, &tag)) == E_OK)
        written = media_output_write(output, &tag);
    if (written != E_OK)
        return fail(media_output_why(output));
    return e == E_END ? 0 : fail(media_input_why(input));
}

static int run(const struct remux_options *options, const struct media_output_form *form)
{
    uint64_t n_written = 0, n_left_out = 0;
    char why[256];
    struct media_input *input = media_input_open(options->from, why, sizeof why);
    struct media_output *output =
        input ? media_output_open(options->to, form, why, sizeof why) : NULL;
    int status = output ? copy(input, output) : fail(why);

    if (output && media_output_close(&output, &n_written, &n_left_out) != E_OK && !status)
        status = fail("the end of the output could not be written");
    media_input_close(&input);
    if (!options->quiet)
        fprintf(stderr, "%llu frames written, %llu left out\n", (unsigned long long)n_written,
                (unsigned long long)n_left_out);
    return status;
}

int remux_main(int argc, char **argv)
{
    struct remux_options options = {0};
    const struct media_output_form *form = NULL;
    char why[256] = "from what, to what?";

    if (options_parse(&k_table, argc, argv, &options, why, sizeof why) == E_OK) {
        if (options.help) {
            usage(stdout);
            return 0;
        }
        form = options.to ? media_output_form_of(options.to) : NULL;
        if (options.to && !form)
            snprintf(why, sizeof why, "%s: no ending that says what it is to be", options.to);
    }
    if (form)
        return run(&options, form);
    fprintf(stderr, "headwater-tool: %s\n\n", why);
    usage(stderr);
    return 2;
}
