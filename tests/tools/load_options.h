/* Command line of headwater-tool load. */
#ifndef HW_TESTS_TOOLS_LOAD_OPTIONS_H
#define HW_TESTS_TOOLS_LOAD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/err.h"
#include "tests/tools/options.h"

#define LOAD_MAX_GROUPS OPTION_MAX_TEXTS

struct load_group_options { /* what --play begins */
    const char *url;
    double players;
    double ramp_s;
    double slow_bps; /* 0 = as fast as it comes */
};

struct load_outcome;

/* Texts are borrowed from argv. */
struct load_options {
    const char *publish_url; /* NULL = nothing is published */
    const char *flv_path;
    const char *json_path; /* NULL = no file, "-" = stdout */
    double publishers;
    double warmup_s;
    double seconds; /* 0 = until stdin is closed */
    double stall_ms;
    bool hold, no_stamp, quiet, help;
    /* Instead of the load's own words; returns the exit code. NULL = none. */
    int (*report)(const struct load_outcome *outcome, const char *json_path);
    struct load_group_options groups[LOAD_MAX_GROUPS];
    unsigned n_groups;
};

/* argv[0] is the subcommand. E_INVAL with what is wrong in why[size]. */
enum err load_options_parse(int argc, char **argv, struct load_options *out, char *why,
                            size_t size);
void load_options_help(FILE *out);

#endif
