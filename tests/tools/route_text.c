/* See route_text.h. */
#include "tests/tools/route_text.h"

#include <string.h>

static const struct {
    const char *key, *title;
} k_columns[] = {{"order", "#"},         {"node", "node"},         {"why", "why"},
                 {"role", "role"},       {"zone", "zone"},         {"state", "state"},
                 {"carries", "carries"}, {"viewers", "viewers"},   {"publishers", "publishers"},
                 {"weight", "weight"},   {"children", "children"}, {"depth", "depth"},
                 {"epoch", "epoch"}};
#define N_COLUMNS (sizeof k_columns / sizeof k_columns[0])
#define CELL_SIZE 160

static void cell(const json_t *value, char out[CELL_SIZE])
{
    if (json_is_string(value))
        snprintf(out, CELL_SIZE, "%s", json_string_value(value));
    else if (json_is_integer(value))
        snprintf(out, CELL_SIZE, "%lld", (long long)json_integer_value(value));
    else
        snprintf(out, CELL_SIZE, "%s", json_is_true(value) ? "yes" : "-");
    for (char *c = out; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    if (!*out)
        snprintf(out, CELL_SIZE, "-");
}

static void write_head(struct buf_writer *out, const json_t *answer)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)answer, key, value)
    {
        char text[CELL_SIZE];

        if (!strcmp(key, "v") || json_is_object(value) || json_is_array(value))
            continue;
        cell(value, text);
        buf_printf(out, "%s: %s\n", key, text);
    }
}

static void write_upstreams(struct buf_writer *out, const json_t *upstreams)
{
    json_t *one;
    size_t i;

    json_array_foreach(upstreams, i, one)
    {
        char node[CELL_SIZE], url[CELL_SIZE];

        cell(json_is_object(one) ? json_object_get(one, "node") : one, node);
        cell(json_object_get(one, "url"), url);
        buf_printf(out, "pull from: %s %s\n", node, url);
    }
}

static void write_row(struct buf_writer *out, const json_t *candidate, const size_t *widths)
{
    for (size_t c = 0; c < N_COLUMNS; c++) {
        char text[CELL_SIZE];

        if (candidate)
            cell(json_object_get(candidate, k_columns[c].key), text);
        buf_printf(out, c + 1 < N_COLUMNS ? "%-*s  " : "%*s\n",
                   c + 1 < N_COLUMNS ? (int)widths[c] : 0, candidate ? text : k_columns[c].title);
    }
}

void route_write_text(struct buf_writer *out, const json_t *answer)
{
    json_t *candidates = json_object_get(answer, "candidates"), *one;
    size_t widths[N_COLUMNS], i;

    write_head(out, answer);
    write_upstreams(out, json_object_get(answer, "upstreams"));
    for (size_t c = 0; c < N_COLUMNS; c++) {
        widths[c] = strlen(k_columns[c].title);
        json_array_foreach(candidates, i, one)
        {
            char text[CELL_SIZE];

            cell(json_object_get(one, k_columns[c].key), text);
            widths[c] = strlen(text) > widths[c] ? strlen(text) : widths[c];
        }
    }
    if (!json_array_size(candidates)) {
        buf_write_str(out, "no node to choose from\n");
        return;
    }
    buf_write_str(out, "\n");
    write_row(out, NULL, widths);
    json_array_foreach(candidates, i, one)
    {
        write_row(out, one, widths);
    }
}
