/* The command: reads to the end, a line a frame if wanted, then figures. */
#include "tests/tools/analyze.h"

#include <string.h>

#include "proto/flv/flv.h"
#include "tests/tools/media_link.h"
#include "tests/tools/media_stats.h"
#include "tests/tools/tool_run.h"

struct analyze_options {
    const char *path;
    double seconds;
    bool frames;
    struct tool_options common;
};

struct analysis {
    struct analyze_options options;
    /* Of a URL: */
    struct tool_run run;
    struct tool_figures figures;
    struct load_target target;
    struct media_pull *link;
    enum err ended; /* how the stream did */
    char why[512];
    struct media_stats tracks[MEDIA_STATS_KINDS];
    uint64_t n_script_tags, n_other_tracks;
};

#define OF(member) offsetof(struct analyze_options, member)
/* clang-format off */
static const struct option_row k_rows[] = {
    {"FILE", "", OPTION_TEXT, 0, OF(path), 0, 0, false,
     "FLV, MPEG-TS, MP4, or what one side of an RTMP connection has sent; - = standard input; or a live\n"
     "                    stream: rtmp[s]:// or http[s]://, as for pull"},
    {"--frames", "", OPTION_FLAG, 0, OF(frames), 0, 0, false,
     "a line a frame, before the figures"},
    {"--seconds", "S", OPTION_NUMBER, 0, OF(seconds), 0, 1e9, false,
     "of a live stream; 0 = until it ends (10)"},
    TOOL_OPTION_ROWS(0, OF(common)),
};
/* clang-format on */
static const struct option_table k_table = {k_rows, sizeof k_rows / sizeof k_rows[0], NULL};
static const struct tool_command k_command = {
    "analyze", &k_table,
    "headwater-tool analyze: tags, times, bit rate, GOPs and NAL units of a recording or a stream\n"
    "\n"
    "usage: headwater-tool analyze FILE [OPTION]...\n",
    "examples:\n"
    "  headwater-tool analyze clip.ts --frames\n"
    "  headwater-tool analyze rtmp://127.0.0.1/live/a --seconds 5 --json -\n"
    "  headwater-tool pull rtmp://127.0.0.1/live/a a.flv --dump a.rtmp; headwater-tool analyze "
    "a.rtmp\n"
    "\n"
    "exit code: 0 fine; 1 something is broken, or goes back in time; 2 usage, or no such file\n"};

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

static void print_counts(const char *title, json_t *counts)
{
    const char *type;
    json_t *n;

    if (!json_object_size(counts))
        return;
    printf("%s:", title);
    json_object_foreach(counts, type, n)
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
    print_counts("  NAL unit types", json_object_get(t, "nal_types"));
    printf(
        "  %.0f configurations, %.0f changes of codec, %.0f broken, %.0f times backward, %.0f gaps "
        "above 1 s, %.0f pts before dts\n",
        number_of(t, NULL, "configurations"), number_of(t, NULL, "codec_changes"),
        number_of(t, NULL, "broken"), number_of(t, NULL, "times_backward"),
        number_of(t, NULL, "gaps"), number_of(t, NULL, "pts_before_dts"));
    if (json_object_get(t, "first_broken"))
        printf("  first broken: %s\n", json_string_value(json_object_get(t, "first_broken")));
}

/* By their type; those that occur. */
static json_t *messages_of(const struct media_input *input)
{
    const uint64_t *n = media_input_messages(input);
    json_t *messages = json_object();
    char type[16];

    for (unsigned i = 0; i < MEDIA_INPUT_MESSAGE_TYPES; i++) {
        snprintf(type, sizeof type, "%u", i);
        if (n[i])
            (void)json_object_set_new(messages, type, json_integer((json_int_t)n[i]));
    }
    return messages;
}

static json_t *figures_of(const struct analysis *a, const struct media_input *input)
{
    static const char *const k_containers[] = {"unknown", "flv", "mpegts", "rtmp", "mp4"};
    struct ts_demux_counts ts;
    json_t *tracks = json_array();

    for (unsigned kind = MEDIA_STATS_KINDS; tracks && kind-- > 0;) {
        json_t *track = media_stats_json(&a->tracks[kind], (enum media_kind)kind);

        if (track)
            (void)json_array_append_new(tracks, track);
    }
    media_input_ts_counts(input, &ts);
    return json_pack(
        "{s:s?, s:s, s:I, s:o, s:I, s:I, s:o, s:i, s:{s:I, s:I, s:I, s:I}}", "error",
        a->ended == E_END ? NULL : a->why, "container", k_containers[media_input_container(input)],
        "bytes", (json_int_t)media_input_bytes(input), "tracks", tracks, "script_tags",
        (json_int_t)a->n_script_tags, "other_tracks", (json_int_t)a->n_other_tracks,
        "rtmp_messages", messages_of(input), "tracks_left_out", (int)media_input_left_out(input),
        "ts", "resyncs", (json_int_t)ts.n_resyncs, "lost", (json_int_t)ts.n_lost, "broken",
        (json_int_t)ts.n_broken, "unsupported", (json_int_t)ts.n_unsupported);
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
    if (number_of(figures, NULL, "tracks_left_out") > 0)
        printf("%.0f tracks left out\n", number_of(figures, NULL, "tracks_left_out"));
    print_counts("RTMP messages by type", json_object_get(figures, "rtmp_messages"));
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

static int report(const struct analysis *a, const struct media_input *input)
{
    const char *json_path = a->options.common.json_path;
    json_t *figures = figures_of(a, input);
    bool to_stdout = tool_has_json_on_stdout(&a->options.common);
    int status = !figures || a->ended != E_END || !is_fine(a, figures);

    if (figures && !to_stdout)
        print_figures(figures);
    if (fflush(stdout) != 0 || (json_path && !tool_write_json(figures, json_path)))
        status = 1;
    if (a->ended != E_END)
        fprintf(stderr, "headwater-tool: %s\n", a->why);
    json_decref(figures);
    return status;
}

/* --- of a file --- */

static int analyze_file(struct analysis *a)
{
    char why[256];
    struct media_input *input = media_input_open(a->options.path, why, sizeof why);
    struct media_tag tag;
    int status;

    if (!input)
        return tool_usage_error(&k_command, "", why);
    while ((a->ended = media_input_next(input, &tag)) == E_OK)
        add(a, &tag);
    snprintf(a->why, sizeof a->why, "%s", media_input_why(input));
    if (a->ended == E_END && media_input_lacks(input)) {
        snprintf(a->why, sizeof a->why, "%s: %s", a->options.path, media_input_lacks(input));
        a->ended = E_PROTO;
    }
    status = report(a, input);
    media_input_close(&input);
    return status;
}

/* --- of a live stream --- */

static void on_tag(void *arg, const struct media_tag *tag)
{
    struct analysis *a = arg;

    if (a->ended != E_OK)
        return;
    tool_count(&a->figures, tag);
    add(a, tag);
    if (a->options.seconds > 0 && tool_media_s(&a->figures) >= a->options.seconds) {
        a->ended = E_END;
        loop_stop(a->run.loop);
    }
}

static void on_end(void *arg, enum err e, const char *why)
{
    struct analysis *a = arg;

    if (a->ended == E_OK) {
        a->ended = e;
        snprintf(a->why, sizeof a->why, "%s", why);
    }
    loop_stop(a->run.loop);
}

/* Nothing was to be had. */
static int say_failed(const char *why)
{
    tool_say("%s", why);
    tool_json_error(why);
    return 1;
}

static int run_link(struct analysis *a)
{
    static const struct media_link_ops k_ops = {.on_tag = on_tag, .on_end = on_end};
    const struct media_link_conf conf = {.loop = a->run.loop,
                                         .target = &a->target,
                                         .timeout_ms = (int64_t)(a->options.common.timeout_s * 1e3),
                                         .ops = &k_ops,
                                         .arg = a};
    int status;

    a->figures.begin_us = clock_mono_us();
    a->link = media_pull_open(&conf);
    if (a->link)
        tool_run_loop(&a->run);
    if (a->ended == E_OK)
        a->ended = E_END; /* interrupted */
    if (a->link && media_pull_input(a->link))
        status = report(a, media_pull_input(a->link));
    else
        status = say_failed(a->link ? a->why : err_text(E_NOMEM));
    media_pull_close(&a->link);
    return status;
}

static int analyze_url(struct analysis *a)
{
    char why[256] = "";
    const char *text = why;
    int status;

    if (tool_run_init(&a->run, &a->options.common, &a->figures, "analyzed", why, sizeof why) !=
        E_OK)
        return tool_usage_error(&k_command, "", why);
    status = load_target_init(&a->target, a->options.path, &text) == E_OK
                 ? run_link(a)
                 : tool_usage_error(&k_command, a->options.path, text);
    tool_run_fini(&a->run);
    return status;
}

int analyze_main(int argc, char **argv)
{
    static struct analysis a = {.options = {.seconds = 10, .common = TOOL_OPTIONS_DEFAULT}};
    int status = tool_parse(&k_command, argc, argv, &a.options, &a.options.common);

    if (status >= 0)
        return status;
    if (!a.options.path)
        return tool_usage_error(&k_command, "", "which file?");
    return strstr(a.options.path, "://") ? analyze_url(&a) : analyze_file(&a);
}
