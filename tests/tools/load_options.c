/* The command line of headwater-tool load. */
#include "tests/tools/load_options.h"

enum part {
    PART_RUN,
    PART_PLAY, /* begins a group, and is its first member */
    PART_GROUP,
};

/* clang-format off */
#define OF(member) offsetof(struct load_options, member)
#define OF_GROUP(member) offsetof(struct load_group_options, member)
static const struct option_row k_rows[] = {
    {"--publish", "URL", OPTION_TEXT, PART_RUN, OF(publish_url), 0, 0, false,
     "rtmp://host:port/app/name, or rtmps; {i} becomes the publisher's index"},
    {"--publishers", "N", OPTION_NUMBER, PART_RUN, OF(publishers), 1, 100000, true, "how many (1)"},
    {"--flv", "FILE", OPTION_TEXT, PART_RUN, OF(flv_path), 0, 0, false,
     "what each publisher sends, again and again with time going on"},
    {"--play", "URL", OPTION_TEXT, PART_PLAY, OF_GROUP(url), 0, 0, false,
     "rtmp://host:port/app/name or http://host:port/app/name.flv (or .ts), also rtmps and https (any\n"
     "                    certificate is believed); {i} becomes the player's\n"
     "                    index modulo --publishers. May come again: each begins a group, and these\n"
     "                    belong to the group before them:"},
    {"--players", "N", OPTION_NUMBER, PART_GROUP, OF_GROUP(players), 0, 100000, true, "  how many (1)"},
    {"--ramp", "S", OPTION_NUMBER, PART_GROUP, OF_GROUP(ramp_s), 0, 86400, false,
     "  seconds over which they join (1)"},
    {"--slow-bps", "B", OPTION_NUMBER, PART_GROUP, OF_GROUP(slow_bps), 0, 1e12, true,
     "  bits per second each reads from its first key frame on; 0 = all (0)"},
    {"--warmup", "S", OPTION_NUMBER, PART_RUN, OF(warmup_s), 0, 86400, false,
     "seconds between the last player's first key frame and the window (2)"},
    {"--seconds", "S", OPTION_NUMBER, PART_RUN, OF(seconds), 0, 1e7, false,
     "length of the window that is measured; 0 = until stdin is closed (10)"},
    {"--hold", "", OPTION_FLAG, PART_RUN, OF(hold), 0, 0, false,
     "stay connected after the window until stdin is closed"},
    {"--stall-ms", "MS", OPTION_NUMBER, PART_RUN, OF(stall_ms), 1, 1e9, true,
     "a longer gap between two frames of a player is a stall (1000)"},
    {"--no-stamp", "", OPTION_FLAG, PART_RUN, OF(no_stamp), 0, 0, false,
     "leave the media as it is: no latency"},
    {"--json", "FILE", OPTION_TEXT, PART_RUN, OF(json_path), 0, 0, false, "figures; - = stdout"},
    {"--quiet", "", OPTION_FLAG, PART_RUN, OF(quiet), 0, 0, false, "no progress on the terminal"},
    {"--help", "", OPTION_FLAG, PART_RUN, OF(help), 0, 0, false, "this text"},
};
/* clang-format on */

static enum err begin_group(struct load_options *options, char *why, size_t size)
{
    if (options->n_groups == LOAD_MAX_GROUPS) {
        snprintf(why, size, "more than %d times --play", LOAD_MAX_GROUPS);
        return E_INVAL;
    }
    options->groups[options->n_groups++] = (struct load_group_options){.players = 1, .ramp_s = 1};
    return E_OK;
}

static void *base_of(const struct option_row *row, void *arg, char *why, size_t size)
{
    struct load_options *options = arg;

    if (row->part == PART_RUN)
        return options;
    if (row->part == PART_PLAY && begin_group(options, why, size) != E_OK)
        return NULL;
    if (options->n_groups == 0) {
        snprintf(why, size, "%s belongs behind a --play", row->name);
        return NULL;
    }
    return &options->groups[options->n_groups - 1];
}

static const struct option_table k_table = {k_rows, sizeof k_rows / sizeof k_rows[0], base_of};

void load_options_help(FILE *out)
{
    fputs("headwater-tool load: thousands of publishers and players on one thread\n"
          "\n"
          "usage: headwater-tool load [--publish URL --flv FILE] [--play URL]... [OPTION]...\n"
          "\n",
          out);
    options_help(&k_table, out);
    fputs("\nexit code: 0 fine; 1 somebody was lost or refused or never played; 2 usage\n", out);
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
    if (options_parse(&k_table, argc, argv, out, why, size) != E_OK)
        return E_INVAL;
    return out->help ? E_OK : check(out, why, size);
}
