/* What commands that are at a stream have alike: a loop that ends at SIGINT and SIGTERM, TLS, a
 * line of progress on a terminal, figures at the end. */
#ifndef HW_TESTS_TOOLS_TOOL_RUN_H
#define HW_TESTS_TOOLS_TOOL_RUN_H

#include <jansson.h>

#include "common/net/loop.h"
#include "tests/tools/media_input.h"
#include "tests/tools/options.h"

/* Members of the commands' own options, and their rows. */
struct tool_options {
    const char *ca_file, *json_path;
    double timeout_s;
    bool insecure, quiet, help;
};
/* clang-format off */
#define TOOL_OPTION_ROWS(part, base)                                                                \
    {"--timeout", "S", OPTION_NUMBER, part, (base) + offsetof(struct tool_options, timeout_s),      \
     0.1, 86400, false, "seconds without a byte after which a server is given up (15)"},            \
    {"--ca", "FILE", OPTION_TEXT, part, (base) + offsetof(struct tool_options, ca_file),            \
     0, 0, false, "PEM: whom TLS trusts, instead of the system's authorities"},                     \
    {"--insecure", "", OPTION_FLAG, part, (base) + offsetof(struct tool_options, insecure),         \
     0, 0, false, "TLS believes any certificate"},                                                  \
    {"--json", "FILE", OPTION_TEXT, part, (base) + offsetof(struct tool_options, json_path),        \
     0, 0, false, "figures; - = stdout"},                                                           \
    {"--quiet", "", OPTION_FLAG, part, (base) + offsetof(struct tool_options, quiet),               \
     0, 0, false, "no progress on the terminal, and no line at the end"},                           \
    {"--help", "", OPTION_FLAG, part, (base) + offsetof(struct tool_options, help),                 \
     0, 0, false, "this text"}
/* clang-format on */
#define TOOL_OPTIONS_DEFAULT \
    {                        \
        .timeout_s = 15      \
    }

struct tool_command {
    const char *name;
    const struct option_table *table;
    const char *head; /* of --help: what it is, usage */
    const char *tail; /* behind the options */
};
/* Parses; says what there is to say. -1: go on; else the exit code. common lies in options. */
int tool_parse(const struct tool_command *command, int argc, char **argv, void *options,
               const struct tool_options *common);
/* Where media goes to standard output, figures cannot. */
#define TOOL_TWO_ON_STDOUT "media and figures cannot both go to standard output"
bool tool_has_json_on_stdout(const struct tool_options *options);
/* False, and said: it cannot be written. path "-" is standard output; NULL json: out of memory.
 * Borrows. */
bool tool_write_json(json_t *json, const char *path);
/* {"error": why} to where --json said, if it did: for ends that have no figures. */
void tool_json_error(const char *why);
/* "headwater-tool push: what: why", and tool_json_error(). Returns 2. */
int tool_usage_error(const struct tool_command *command, const char *what, const char *why);
/* A line on stderr, below the line of progress. */
void tool_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What went through, and how it shows. */
struct tool_figures {
    uint64_t n_frames, n_keys, n_bytes; /* coded frames */
    int64_t first_us, last_us;          /* dts */
    bool has_frame;
    int64_t begin_us;
};
void tool_count(struct tool_figures *figures, const struct media_tag *tag);
double tool_media_s(const struct tool_figures *figures);
double tool_bits_per_s(const struct tool_figures *figures); /* by media time */
/* Returns {"frames", "key_frames", "bytes", "seconds", "bit_rate", "error"}; error may be NULL. */
json_t *tool_figures_json(const struct tool_figures *figures, const char *error);

struct tool_run { /* one in a program */
    struct loop *loop;
    const struct tool_options *options;
    const struct tool_figures *figures; /* borrowed */
    const char *word;                   /* of the line: "pushed" */
    struct timer timer;                 /* progress */
    bool is_shown;
};
/* Whether a line of progress shows, once a second: stderr is a terminal and it is not --quiet.
 * E_INVAL with why[size]. Pair with tool_run_fini(). */
enum err tool_run_init(struct tool_run *run, const struct tool_options *options,
                       const struct tool_figures *figures, const char *word, char *why,
                       size_t size);
/* Until loop_stop(), SIGINT or SIGTERM. */
void tool_run_loop(struct tool_run *run);
void tool_run_fini(struct tool_run *run);
/* For commands without a loop: SIGINT and SIGTERM are noted, a pipe that was closed is an error. */
void tool_hear_signals(void);
/* By a signal. */
bool tool_is_interrupted(void);
/* Takes json. The last line, if people want one; figures, if programs do. Returns status, or 1 when
 * they cannot be written. */
int tool_report(const struct tool_run *run, json_t *json, int status);

#endif
