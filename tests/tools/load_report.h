/* The outcome of a load as JSON and as text. */
#ifndef HW_TESTS_TOOLS_LOAD_REPORT_H
#define HW_TESTS_TOOLS_LOAD_REPORT_H

#include "tests/tools/load_player.h"
#include "tests/tools/load_publisher.h"

struct load_outcome { /* all borrowed */
    const struct load_publishers *publishers;
    const struct load_group *groups;
    unsigned n_groups;
    /* Of the window: */
    double seconds;
    double cpu; /* of one core, this thread */
    double turn_ms_max;
};

/* Writes to path ("-" = stdout) in one step: whoever finds the file finds it whole. E_IO. */
enum err load_report_json(const struct load_outcome *outcome, const char *path);
void load_report_text(const struct load_outcome *outcome, FILE *out);
/* Somebody was lost or refused or never played. */
bool load_outcome_is_bad(const struct load_outcome *outcome);

#endif
