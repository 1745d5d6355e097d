/* The command: reads to the end, a line a frame if wanted, then figures. */
#include "tests/tools/analyze.h"

#include <string.h>

#include "proto/flv/flv.h"
#include "tests/tools/media_input.h"
#include "tests/tools/media_stats.h"
#include "tests/tools/options.h"

struct analyze_options {
    const char *path, *json_path;
    bool frames, help;
};

struct analysis {
    struct analyze_options options;
    struct media_stats tracks[MEDIA_STATS_KINDS];
    uint64_t n_script_tags, n_other_tracks;
};

#define OF(member) offsetof(struct analyze_options, member)
/* clang-format off */
static const struct option_row k_rows[] = {
    {"FILE",     "",     OPTION_TEXT, 0, OF(path), 0, 0, false, "FLV or MPEG-TS; - = standard input"},
    {"--frames", "",     OPTION_FLAG, 0, OF(frames), 0, 0, false, "a line a frame, before the figures"},
    {"--json",   "FILE", OPTION_TEXT, 0, OF(json_path), 0, 0, false, "figures; - = stdout, and nothing else there"},
    {"--help",   "",     OPTION_FLAG, 0, OF(help), 0, 0, false, "this text"},
};
/* clang-format on */
static const struct option_table k_table = {k_rows, sizeof k_rows / sizeof k_rows[0], NULL};

static void usage(FILE *out)
{
    fputs("headwater-tool analyze: tags, times, bit rate, GOPs and NAL units of a recording\n"
          "\n"
          "usage: headwater-tool analyze FILE [OPTION]...\n"
          "\n",
          out);
    options_help(&k_table, out);
    fputs("\nexit code: 0 fine; 1 something is broken, or goes back in time; 2 usage, or no such "
          "file\n",
          out);
}

/* --- a line a frame --- */

static void print_frame(const struct media_tag *tag)
{
    static const char *const k_kinds[] = {"audio", "video", "data"};
    const struct media_frame_info *info = &tag->info;

    if (tag->is_broken) {
        printf("%12.6f broken  %zu bytes: %s\n", (double)tag->dts_us / 1e6, tag->body.size_bytes,
               tag->why);
        return;
    }
    printf("%12.6f %-5s %-6s %8zu bytes cts %+.6f%s%s%s%s", (double)tag->dts_us / 1e6,
           k_kinds[info->kind], media_codec_name(info->codec),
           tag->body.size_bytes - info->es_offset, (double)info->cts_us / 1e6,
           info->flags & FRAME_KEY ? " key" : "",
           info->flags & FRAME_CONFIG ? " configuration" : "",
           info->flags & FRAME_METADATA ? " metadata" : "",
           info->flags & FRAME_SEQ_END ? " end-of-sequence" : "");
    if (info->track_id)
        printf(" track %u", info->track_id);
    putchar('\n');
}

/* --- figures --- */

static double number_of(json_t *track, const char *group, const char *key)
{
    return json_number_value(json_object_get(group ? json_object_get(track, group) : track, key));
}

static void print_parameters(json_t *track)
{
    json_t *p = json_object_get(track, "parameters");

    if (!p)
        return;
    printf(" (%s)", json_string_value(json_object_get(p, "rfc6381")));
    if (json_object_get(p, "width"))
        printf(", %gx%g", number_of(p, NULL, "width"), number_of(p, NULL, "height"));
    else
        printf(", %g Hz, %g channels", number_of(p, NULL, "sample_rate_hz"),
               number_of(p, NULL, "channels"));
}

static void print_nals(json_t *nals)
{
    const char *type;
    json_t *n;

    if (!json_object_size(nals))
        return;
    printf("  NAL unit types:");
    json_object_foreach(nals, type, n)
    {
        printf(" %s: %lld", type, (long long)json_integer_value(n));
    }
    putchar('\n');
}

static void print_track(json_t *t)
{
    printf("%s: %s", json_string_value(json_object_get(t, "kind")),
           json_string_value(json_object_get(t, "codec")));
    print_parameters(t);
    printf("\n  %.0f frames, %.3f to %.3f s, steps of %.3f to %.3f ms\n",
           number_of(t, NULL, "frames"), number_of(t, NULL, "first_seconds"),
           number_of(t, NULL, "last_seconds"), number_of(t, NULL, "shortest_step_ms"),
           number_of(t, NULL, "longest_step_ms"));
    printf("  %.0f bit/s, %.0f in the fullest second\n", number_of(t, NULL, "bit_rate"),
           number_of(t, NULL, "peak_second_bit_rate"));
    if (json_object_get(t, "gops"))
        printf("  %.0f key frames; GOPs of %.0f to %.0f frames, %.3f to %.3f s, mean %.3f s\n",
               number_of(t, NULL, "key_frames"), number_of(t, "gops", "shortest_frames"),
               number_of(t, "gops", "longest_frames"), number_of(t, "gops", "shortest_seconds"),
               number_of(t, "gops", "longest_seconds"), number_of(t, "gops", "mean_seconds"));
    print_nals(json_object_get(t, "nal_types"));
    printf(
        "  %.0f configurations, %.0f changes of codec, %.0f broken, %.0f times backward, %.0f gaps "
        "above 1 s, %.0f pts before dts\n",
        number_of(t, NULL, "configurations"), number_of(t, NULL, "codec_changes"),
        number_of(t, NULL, "broken"), number_of(t, NULL, "times_backward"),
        number_of(t, NULL, "gaps"), number_of(t, NULL, "pts_before_dts"));
    if (json_object_get(t, "first_broken"))
        printf("  first broken: %s\n", json_string_value(json_object_get(t, "first_broken")));
}

static json_t *figures_of(const struct analysis *a, const struct media_input *input)
{
    static const char *const k_containers[] = {"unknown", "flv", "mpegts"};
    struct ts_demux_counts ts;
    json_t *tracks = json_array();

    for (unsigned kind = MEDIA_STATS_KINDS; tracks && kind-- > 0;) {
        json_t *track = media_stats_json(&a->tracks[kind], (enum media_kind)kind);

        if (track)
            (void)json_array_append_new(tracks, track);
    }
    media_input_ts_counts(input, &ts);
    return json_pack("{s:s, s:I, s:o, s:I, s:I, s:{s:I, s:I, s:I, s:I}}", "container",
                     k_containers[media_input_container(input)], "bytes",
                     (json_int_t)media_input_bytes(input), "tracks", tracks, "script_tags",
                     (json_int_t)a->n_script_tags, "other_tracks", (json_int_t)a->n_other_tracks,
                     "ts", "resyncs", (json_int_t)ts.n_resyncs, "lost", (json_int_t)ts.n_lost,
                     "broken", (json_int_t)ts.n_broken, "unsupported",
                     (json_int_t)ts.n_unsupported);
}

static void print_figures(json_t *figures)
{
    json_t *track;
    size_t i;

    printf("%s, %.0f bytes, %.0f script tags, %.0f frames of further tracks\n",
           json_string_value(json_object_get(figures, "container")),
           number_of(figures, NULL, "bytes"), number_of(figures, NULL, "script_tags"),
           number_of(figures, NULL, "other_tracks"));
    if (!strcmp(json_string_value(json_object_get(figures, "container")), "mpegts"))
        printf("packets: %.0f lost, %.0f times out of step, %.0f broken; %.0f streams left out\n",
               number_of(figures, "ts", "lost"), number_of(figures, "ts", "resyncs"),
               number_of(figures, "ts", "broken"), number_of(figures, "ts", "unsupported"));
    json_array_foreach(json_object_get(figures, "tracks"), i, track)
    {
        print_track(track);
    }
}

/* --- the run --- */

static void add(struct analysis *a, const struct media_tag *tag)
{
    unsigned kind = tag->type_id == FLV_TAG_VIDEO ? MEDIA_VIDEO : MEDIA_AUDIO;

    if (a->options.frames)
        print_frame(tag);
    if (tag->is_broken && tag->type_id != FLV_TAG_SCRIPT)
        media_stats_add_broken(&a->tracks[kind], tag->why);
    else if (tag->is_broken || tag->info.kind == MEDIA_DATA)
        a->n_script_tags++;
    else if (tag->info.track_id)
        a->n_other_tracks++;
    else
        media_stats_add(&a->tracks[kind], &tag->info,
                        buf_view_of(tag->body.data + tag->info.es_offset,
                                    tag->body.size_bytes - tag->info.es_offset));
}

static bool is_fine(const struct analysis *a, json_t *figures)
{
    bool fine = number_of(figures, "ts", "lost") == 0 && number_of(figures, "ts", "broken") == 0;

    for (unsigned kind = 0; kind < MEDIA_STATS_KINDS; kind++)
        fine = fine && !a->tracks[kind].n_broken && !a->tracks[kind].n_backward;
    return fine;
}

static int report(const struct analysis *a, const struct media_input *input, enum err e)
{
    json_t *figures = figures_of(a, input);
    bool to_stdout = a->options.json_path && !strcmp(a->options.json_path, "-");
    int status = !figures || e != E_END || !is_fine(a, figures);

    if (figures && !to_stdout)
        print_figures(figures);
    if (figures && to_stdout)
        (void)json_dumpf(figures, stdout, JSON_INDENT(2));
    else if (figures && a->options.json_path &&
             json_dump_file(figures, a->options.json_path, JSON_INDENT(2)) != 0)
        fprintf(stderr, "headwater-tool: %s: cannot be written\n", a->options.json_path);
    if (e != E_END)
        fprintf(stderr, "headwater-tool: %s\n", media_input_why(input));
    json_decref(figures);
    return status;
}

int analyze_main(int argc, char **argv)
{
    struct analysis a = {0};
    struct media_input *input;
    struct media_tag tag;
    char why[256] = "which file?";
    int status;
    enum err e;

    if (options_parse(&k_table, argc, argv, &a.options, why, sizeof why) != E_OK ||
        (!a.options.path && !a.options.help)) {
        fprintf(stderr, "headwater-tool: %s\n\n", why);
        usage(stderr);
        return 2;
    }
    if (a.options.help) {
        usage(stdout);
        return 0;
    }
    input = media_input_open(a.options.path, why, sizeof why);
    if (!input) {
        fprintf(stderr, "headwater-tool: %s\n", why);
        return 2;
    }
    while ((e = media_input_next(input, &tag)) == E_OK)
        add(&a, &tag);
    status = report(&a, input, e);
    media_input_close(&input);
    return status;
}
