/* Command lines: one table makes the parser and --help. */
#ifndef HW_TESTS_TOOLS_OPTIONS_H
#define HW_TESTS_TOOLS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/err.h"

enum option_kind {
    OPTION_FLAG,   /* bool */
    OPTION_TEXT,   /* const char *, borrowed from argv */
    OPTION_NUMBER, /* double, min..max */
    OPTION_TEXTS   /* struct option_texts: by place and last, all that come; else each time */
};

#define OPTION_MAX_TEXTS 32
struct option_texts {
    const char *each[OPTION_MAX_TEXTS]; /* borrowed from argv */
    unsigned n;
};

struct option_row {
    const char *name;  /* "--name"; "NAME" is an argument by its place, in the order of the rows */
    const char *value; /* its word in --help; "" for flags */
    enum option_kind kind;
    unsigned part; /* which struct the member is in: whatever base_of() makes of it */
    size_t offset;
    double min, max;
    bool is_whole;
    const char *help;
};

struct option_table {
    const struct option_row *rows;
    size_t n_rows;
    /* Lends the struct that the row's member is in; NULL with why[size] when it may not come here.
     * NULL: all are in options itself. */
    void *(*base_of)(const struct option_row *row, void *options, char *why, size_t size);
};

/* "--name value" or "--name=value", and arguments by their place, which may be left out; argv[0]
 * is passed over. E_INVAL with what is wrong in why[size]. */
enum err options_parse(const struct option_table *table, int argc, char **argv, void *options,
                       char *why, size_t size);
/* A line or more for each row. */
void options_help(const struct option_table *table, FILE *out);

#endif
