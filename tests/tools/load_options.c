/* One table makes the parser and --help. */
#include "tests/tools/load_options.h"

#include <stdlib.h>
#include <string.h>

enum row_kind {
    ROW_FLAG,
    ROW_TEXT,
    ROW_NUMBER, /* double, min..max */
    ROW_PLAY,   /* begins a group */
};

struct row {
    const char *name;
    const char *value; /* its word in --help; "" for flags */
    enum row_kind kind;
    bool of_group; /* the member is one of struct load_group_options */
    size_t offset;
    double min, max;
    bool is_whole;
    const char *help;
};

/* clang-format off */
#define OF(member) offsetof(struct load_options, member)
#define OF_GROUP(member) offsetof(struct load_group_options, member)
static const struct row k_rows[] = {
    {"--publish", "URL", ROW_TEXT, false, OF(publish_url), 0, 0, false,
     "rtmp://host:port/app/name; {i} becomes the publisher's index"},
    {"--publishers", "N", ROW_NUMBER, false, OF(publishers), 1, 100000, true, "how many (1)"},
    {"--flv", "FILE", ROW_TEXT, false, OF(flv_path), 0, 0, false,
     "what each publisher sends, again and again with time going on"},
    {"--play", "URL", ROW_PLAY, true, OF_GROUP(url), 0, 0, false,
     "rtmp://host:port/app/name or http://host:port/app/name.flv; {i} becomes the player's\n"
     "                    index modulo --publishers. May come again: each begins a group, and these\n"
     "                    belong to the group before them:"},
    {"--players", "N", ROW_NUMBER, true, OF_GROUP(players), 0, 100000, true, "  how many (1)"},
    {"--ramp", "S", ROW_NUMBER, true, OF_GROUP(ramp_s), 0, 86400, false,
     "  seconds over which they join (1)"},
    {"--slow-bps", "B", ROW_NUMBER, true, OF_GROUP(slow_bps), 0, 1e12, true,
     "  bits per second each reads from its first key frame on; 0 = all (0)"},
    {"--warmup", "S", ROW_NUMBER, false, OF(warmup_s), 0, 86400, false,
     "seconds between the last player's first key frame and the window (2)"},
    {"--seconds", "S", ROW_NUMBER, false, OF(seconds), 0, 1e7, false,
     "length of the window that is measured; 0 = until stdin is closed (10)"},
    {"--hold", "", ROW_FLAG, false, OF(hold), 0, 0, false,
     "stay connected after the window until stdin is closed"},
    {"--stall-ms", "MS", ROW_NUMBER, false, OF(stall_ms), 1, 1e9, true,
     "a longer gap between two frames of a player is a stall (1000)"},
    {"--no-stamp", "", ROW_FLAG, false, OF(no_stamp), 0, 0, false,
     "leave the media as it is: no latency"},
    {"--json", "FILE", ROW_TEXT, false, OF(json_path), 0, 0, false, "figures; - = stdout"},
    {"--quiet", "", ROW_FLAG, false, OF(quiet), 0, 0, false, "no progress on the terminal"},
    {"--help", "", ROW_FLAG, false, OF(help), 0, 0, false, "this text"},
};
/* clang-format on */

#define N_ROWS (sizeof k_rows / sizeof k_rows[0])

void load_options_help(FILE *out)
{
    fputs("headwater-tool load: thousands of publishers and players on one thread\n"
          "\n"
          "usage: headwater-tool load [--publish URL --flv FILE] [--play URL]... [OPTION]...\n"
          "\n",
          out);
    for (size_t i = 0; i < N_ROWS; i++)
        fprintf(out, "  %-12s %-4s %s\n", k_rows[i].name, k_rows[i].value, k_rows[i].help);
    fputs("\nexit code: 0 fine; 1 somebody was lost or refused or never played; 2 usage\n", out);
}

/* "--name" or "--name=value"; *value is NULL when it is to be the next argument. */
static const struct row *find_row(const char *arg, const char **value)
{
    size_t size = strcspn(arg, "=");

    *value = arg[size] ? arg + size + 1 : NULL;
    for (size_t i = 0; i < N_ROWS; i++)
        if (strlen(k_rows[i].name) == size && !memcmp(arg, k_rows[i].name, size))
            return &k_rows[i];
    return NULL;
}

static bool parse_number(const struct row *row, const char *text, double *out)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end || !(value >= row->min && value <= row->max) ||
        (row->is_whole && value != (double)(uint64_t)value))
        return false;
    *out = value;
    return true;
}

static enum err begin_group(struct load_options *options, char *why, size_t size)
{
    if (options->n_groups == LOAD_MAX_GROUPS) {
        snprintf(why, size, "more than %d times --play", LOAD_MAX_GROUPS);
        return E_INVAL;
    }
    options->groups[options->n_groups++] = (struct load_group_options){.players = 1, .ramp_s = 1};
    return E_OK;
}

static enum err set_row(struct load_options *options, const struct row *row, const char *value,
                        char *why, size_t size)
{
    char *base = (char *)options;

    if (row->kind == ROW_PLAY && begin_group(options, why, size) != E_OK)
        return E_INVAL;
    if (row->of_group && options->n_groups == 0) {
        snprintf(why, size, "%s belongs behind a --play", row->name);
        return E_INVAL;
    }
    if (row->of_group)
        base = (char *)&options->groups[options->n_groups - 1];
    base += row->offset;
    if (row->kind == ROW_FLAG) {
        *(bool *)(void *)base = true;
    } else if (row->kind != ROW_NUMBER) {
        *(const char **)(void *)base = value;
    } else if (!parse_number(row, value, (double *)(void *)base)) {
        snprintf(why, size, "%s %s: expected a %snumber from %.15g to %.15g", row->name, value,
                 row->is_whole ? "whole " : "", row->min, row->max);
        return E_INVAL;
    }
    return E_OK;
}

static enum err check(const struct load_options *options, char *why, size_t size)
{
    const char *problem = NULL;

    if (options->publish_url && !options->flv_path)
        problem = "--publish needs --flv";
    else if (!options->publish_url && options->n_groups == 0)
        problem = "nothing to do: neither --publish nor --play";
    if (!problem)
        return E_OK;
    snprintf(why, size, "%s", problem);
    return E_INVAL;
}

enum err load_options_parse(int argc, char **argv, struct load_options *out, char *why, size_t size)
{
    *out = (struct load_options){.publishers = 1, .warmup_s = 2, .seconds = 10, .stall_ms = 1000};
    for (int i = 1; i < argc; i++) {
        const char *value;
        const struct row *row = find_row(argv[i], &value);

        if (!row) {
            snprintf(why, size, "%s: no such option", argv[i]);
            return E_INVAL;
        }
        if ((row->kind == ROW_FLAG) == (value != NULL) && (value || i + 1 == argc)) {
            snprintf(why, size, "%s %s", row->name, value ? "takes no value" : "needs a value");
            return E_INVAL;
        }
        if (row->kind != ROW_FLAG && !value)
            value = argv[++i];
        if (set_row(out, row, value, why, size) != E_OK)
            return E_INVAL;
    }
    return out->help ? E_OK : check(out, why, size);
}
