/* Command lines. */
#include "tests/tools/options.h"

#include <stdlib.h>
#include <string.h>

void options_help(const struct option_table *table, FILE *out)
{
    for (size_t i = 0; i < table->n_rows; i++) {
        const struct option_row *row = &table->rows[i];

        fprintf(out, "  %-12s %-4s %s\n", row->name, row->value, row->help);
    }
}

/* "--name" or "--name=value"; *value is NULL when it is to be the next argument. */
static const struct option_row *find_row(const struct option_table *table, const char *arg,
                                         const char **value)
{
    size_t size = strcspn(arg, "=");

    *value = arg[size] ? arg + size + 1 : NULL;
    for (size_t i = 0; i < table->n_rows; i++) {
        const char *name = table->rows[i].name;

        if (strlen(name) == size && !memcmp(arg, name, size))
            return &table->rows[i];
    }
    return NULL;
}

/* "-" is one, too: standard input or output. */
static bool is_placed(const char *arg)
{
    return arg[0] != '-' || !arg[1];
}

/* The row of argument n by its place. */
static const struct option_row *find_place(const struct option_table *table, unsigned n)
{
    for (size_t i = 0; i < table->n_rows; i++)
        if (is_placed(table->rows[i].name) && (n-- == 0 || table->rows[i].kind == OPTION_TEXTS))
            return &table->rows[i];
    return NULL;
}

static bool parse_number(const struct option_row *row, const char *text, double *out)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end || !(value >= row->min && value <= row->max) ||
        (row->is_whole && value != (double)(uint64_t)value))
        return false;
    *out = value;
    return true;
}

static enum err add_text(const struct option_row *row, struct option_texts *texts,
                         const char *value, char *why, size_t size)
{
    if (texts->n == OPTION_MAX_TEXTS) {
        snprintf(why, size, "%s %s: more than %d of them", row->name, value, OPTION_MAX_TEXTS);
        return E_INVAL;
    }
    texts->each[texts->n++] = value;
    return E_OK;
}

static enum err set_member(const struct option_row *row, char *base, const char *value, char *why,
                           size_t size)
{
    void *member = base + row->offset;

    if (row->kind == OPTION_FLAG) {
        *(bool *)member = true;
    } else if (row->kind == OPTION_TEXT) {
        *(const char **)member = value;
    } else if (row->kind == OPTION_TEXTS) {
        return add_text(row, member, value, why, size);
    } else if (!parse_number(row, value, member)) {
        snprintf(why, size, "%s %s: expected a %snumber from %.15g to %.15g", row->name, value,
                 row->is_whole ? "whole " : "", row->min, row->max);
        return E_INVAL;
    }
    return E_OK;
}

enum err options_parse(const struct option_table *table, int argc, char **argv, void *options,
                       char *why, size_t size)
{
    unsigned n_placed = 0;

    for (int i = 1; i < argc; i++) {
        const char *value = argv[i];
        const struct option_row *row =
            is_placed(argv[i]) ? find_place(table, n_placed++) : find_row(table, argv[i], &value);
        void *base = options;

        if (!row) {
            snprintf(why, size, "%s: %s", argv[i],
                     is_placed(argv[i]) ? "one argument too many" : "no such option");
            return E_INVAL;
        }
        if ((row->kind == OPTION_FLAG) == (value != NULL) && (value || i + 1 == argc)) {
            snprintf(why, size, "%s %s", row->name, value ? "takes no value" : "needs a value");
            return E_INVAL;
        }
        if (row->kind != OPTION_FLAG && !value)
            value = argv[++i];
        if (table->base_of)
            base = table->base_of(row, options, why, size);
        if (!base || set_member(row, base, value, why, size) != E_OK)
            return E_INVAL;
    }
    return E_OK;
}
