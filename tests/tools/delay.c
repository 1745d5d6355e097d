/* The command: a load of one publisher and one player a URL, and a report about delay alone. */
#include "tests/tools/delay.h"

#include <string.h>

#include "tests/tools/load.h"
#include "tests/tools/load_report.h"
#include "tests/tools/options.h"
#include "tests/tools/tool_run.h"

struct delay_options {
    const char *flv_path, *publish_url, *json_path;
    struct option_texts play_urls;
    double seconds, warmup_s;
    bool quiet, help;
};

#define OF(member) offsetof(struct delay_options, member)
/* clang-format off */
static const struct option_row k_rows[] = {
    {"FILE", "", OPTION_TEXT, 0, OF(flv_path), 0, 0, false,
     "FLV that is published, again and again; H.264, HEVC, AAC"},
    {"TO", "", OPTION_TEXT, 0, OF(publish_url), 0, 0, false, "rtmp[s]://host[:port]/app/name"},
    {"PLAY", "", OPTION_TEXTS, 0, OF(play_urls), 0, 0, false,
     "where the same stream is played, one or many: rtmp[s]://, http[s]://...flv or .ts"},
    {"--seconds", "S", OPTION_NUMBER, 0, OF(seconds), 0.1, 1e7, false, "to measure for (10)"},
    {"--warmup", "S", OPTION_NUMBER, 0, OF(warmup_s), 0, 86400, false,
     "seconds of playing before that (1)"},
    {"--json", "FILE", OPTION_TEXT, 0, OF(json_path), 0, 0, false, "figures; - = stdout"},
    {"--quiet", "", OPTION_FLAG, 0, OF(quiet), 0, 0, false, "no progress on the terminal"},
    {"--help", "", OPTION_FLAG, 0, OF(help), 0, 0, false, "this text"},
};
/* clang-format on */
static const struct option_table k_table = {k_rows, sizeof k_rows / sizeof k_rows[0], NULL};

static void usage(FILE *out)
{
    fputs("headwater-tool delay: from camera to player\n"
          "\n"
          "usage: headwater-tool delay FILE TO PLAY [PLAY]... [OPTION]...\n"
          "\n"
          "options:\n",
          out);
    options_help(&k_table, out);
    fputs(
        "\n"
        "Each frame carries the time at which it was sent; decoders skip it. The delay of a frame\n"
        "ends with the read that completed it at the player. TLS believes any certificate.\n"
        "\n"
        "example: through an origin and an edge\n"
        "  headwater-tool delay clip.flv rtmp://origin.example/live/probe \\\n"
        "    rtmp://edge.example/live/probe http://edge.example:8080/live/probe.ts\n"
        "\n"
        "exit code: 0 every player had frames; 1 one had none, or was lost; 2 usage\n",
        out);
}

static json_t *to_json(const struct load_outcome *o)
{
    json_t *players = json_array();

    for (unsigned i = 0; i < o->n_groups; i++) {
        const struct load_group *g = &o->groups[i];

        (void)json_array_append_new(
            players, json_pack("{s:s, s:I, s:I, s:o, s:o, s:o}", "url", g->options->url, "frames",
                               (json_int_t)g->frames, "stalls", (json_int_t)g->stalls,
                               "first_key_ms", load_hist_json(&g->first_key), "video_ms",
                               load_hist_json(&g->latency[LOAD_VIDEO]), "audio_ms",
                               load_hist_json(&g->latency[LOAD_AUDIO])));
    }
    return json_pack("{s:f, s:o}", "seconds", o->seconds, "players", players);
}

static bool write_json(const struct load_outcome *o, const char *path)
{
    json_t *json = to_json(o);
    bool is_written = tool_write_json(json, path);

    json_decref(json);
    return is_written;
}

static int report(const struct load_outcome *o, const char *json_path)
{
    bool is_fine = !load_outcome_is_bad(o);

    for (unsigned i = 0; i < o->n_groups; i++) {
        const struct load_group *g = &o->groups[i];
        char video[96], audio[96], first[96];

        is_fine = is_fine && g->latency[LOAD_VIDEO].n + g->latency[LOAD_AUDIO].n > 0;
        if (json_path && !strcmp(json_path, "-"))
            continue;
        printf("%s: %llu frames, %llu stalls\n  video      %s\n  audio      %s\n  first key  %s\n",
               g->options->url, (unsigned long long)g->frames, (unsigned long long)g->stalls,
               load_hist_text(&g->latency[LOAD_VIDEO], video),
               load_hist_text(&g->latency[LOAD_AUDIO], audio),
               load_hist_text(&g->first_key, first));
    }
    if (json_path)
        is_fine = write_json(o, json_path) && is_fine;
    return !is_fine;
}

static int run(const struct delay_options *options)
{
    struct load_options load = {.publish_url = options->publish_url,
                                .flv_path = options->flv_path,
                                .json_path = options->json_path,
                                .publishers = 1,
                                .warmup_s = options->warmup_s,
                                .seconds = options->seconds,
                                .stall_ms = 1000,
                                .quiet = options->quiet,
                                .report = report};

    for (unsigned i = 0; i < options->play_urls.n; i++)
        load.groups[load.n_groups++] =
            (struct load_group_options){.url = options->play_urls.each[i], .players = 1};
    return load_run("delay", &load);
}

int delay_main(int argc, char **argv)
{
    struct delay_options options = {.seconds = 10, .warmup_s = 1};
    char why[256] = "";

    if (options_parse(&k_table, argc, argv, &options, why, sizeof why) == E_OK) {
        if (options.help) {
            usage(stdout);
            return 0;
        }
        if (options.play_urls.n)
            return run(&options);
        snprintf(why, sizeof why, "which file, to where, played from where?");
    }
    fprintf(stderr, "headwater-tool delay: %s (--help)\n", why);
    return 2;
}
