/* The command: a pull into a folder. */
#include "tests/tools/record.h"

#include "tests/tools/hls_folder.h"
#include "tests/tools/media_link.h"
#include "tests/tools/tool_run.h"

struct record_options {
    const char *url, *folder;
    double segment_s, window, seconds;
    struct tool_options common;
};

struct record {
    struct record_options options;
    struct tool_run run;
    struct tool_figures figures;
    struct load_target target;
    struct media_pull *link;
    struct hls_folder folder;
    bool is_done;
    char error[512]; /* "" */
};

#define OF(member) offsetof(struct record_options, member)
/* clang-format off */
static const struct option_row k_rows[] = {
    {"URL", "", OPTION_TEXT, 0, OF(url), 0, 0, false, "rtmp[s]:// or http[s]://, as for pull"},
    {"FOLDER", "", OPTION_TEXT, 0, OF(folder), 0, 0, false,
     "where to; is made if it is not there"},
    {"--segment-s", "S", OPTION_NUMBER, 0, OF(segment_s), 0.1, 3600, false,
     "seconds of a segment at least; it ends at the next key frame (6)"},
    {"--window", "N", OPTION_NUMBER, 0, OF(window), 0, 100000, true,
     "segments in the list, older files are removed; 0 = all are kept (0)"},
    {"--seconds", "S", OPTION_NUMBER, 0, OF(seconds), 0, 1e9, false,
     "of media, then end; 0 = until the stream ends (0)"},
    TOOL_OPTION_ROWS(0, OF(common)),
};
/* clang-format on */
static const struct option_table k_table = {k_rows, sizeof k_rows / sizeof k_rows[0], NULL};
static const struct tool_command k_command = {
    "record", &k_table,
    "headwater-tool record: a live stream to HLS in a folder\n"
    "\n"
    "usage: headwater-tool record URL FOLDER [OPTION]...\n",
    "FOLDER/" HLS_FOLDER_LIST
    " lists segments of transport stream once they are whole, so it plays\n"
    "while it grows; with --window as a live stream does, else from its beginning. At the end of "
    "the\n"
    "stream, at SIGINT and at SIGTERM the last segment is listed, and #EXT-X-ENDLIST.\n"
    "\n"
    "example:\n"
    "  headwater-tool record rtmp://127.0.0.1/live/a /srv/www/a --segment-s 4 --window 10\n"
    "\n"
    "exit code: 0 there was media, and all of it is there; 1 refused, broken off, or not to be\n"
    "written; 2 usage, or there is a list already\n"};

static void stop(struct record *r)
{
    r->is_done = true;
    loop_stop(r->run.loop);
}

static void on_tag(void *arg, const struct media_tag *tag)
{
    struct record *r = arg;

    if (r->is_done)
        return;
    tool_count(&r->figures, tag);
    if (hls_folder_write(&r->folder, tag, clock_wall_us()) != E_OK) {
        snprintf(r->error, sizeof r->error, "%s", r->folder.why);
        stop(r);
    }
    if (r->options.seconds > 0 && tool_media_s(&r->figures) >= r->options.seconds)
        stop(r);
}

static void on_end(void *arg, enum err e, const char *why)
{
    struct record *r = arg;

    if (!r->is_done && (e != E_END || !r->figures.n_frames))
        snprintf(r->error, sizeof r->error, "%s", why);
    stop(r);
}

static const struct media_link_ops k_ops = {.on_tag = on_tag, .on_end = on_end};

static int open_all(struct record *r)
{
    char why[256] = "";
    const char *text = why;

    if (tool_run_init(&r->run, &r->options.common, &r->figures, "recorded", why, sizeof why) !=
        E_OK)
        return tool_usage_error(&k_command, "", why);
    if (load_target_init(&r->target, r->options.url, &text) != E_OK)
        return tool_usage_error(&k_command, r->options.url, text);
    return -1;
}

static void connect_and_run(struct record *r)
{
    const struct media_link_conf conf = {.loop = r->run.loop,
                                         .target = &r->target,
                                         .timeout_ms = (int64_t)(r->options.common.timeout_s * 1e3),
                                         .ops = &k_ops,
                                         .arg = r};

    r->figures.begin_us = clock_mono_us();
    r->link = media_pull_open(&conf);
    if (r->link)
        tool_run_loop(&r->run);
    else
        snprintf(r->error, sizeof r->error, "%s", err_text(E_NOMEM));
    media_pull_close(&r->link);
}

static int conclude(struct record *r)
{
    json_t *json;

    if (hls_folder_close(&r->folder) != E_OK && !r->error[0])
        snprintf(r->error, sizeof r->error, "%s", r->folder.why);
    if (!r->error[0] && !r->folder.next_msn)
        snprintf(r->error, sizeof r->error, "%s: no media to begin with", r->options.url);
    if (r->error[0])
        tool_say("%s", r->error);
    json = tool_figures_json(&r->figures, r->error[0] ? r->error : NULL);
    if (json)
        (void)json_object_set_new(json, "segments", json_integer((json_int_t)r->folder.next_msn));
    return tool_report(&r->run, json, r->error[0] != '\0');
}

int record_main(int argc, char **argv)
{
    static struct record r = {.options = {.segment_s = 6, .common = TOOL_OPTIONS_DEFAULT}};
    int status = tool_parse(&k_command, argc, argv, &r.options, &r.options.common);

    if (status >= 0)
        return status;
    if (!r.options.url || !r.options.folder)
        return tool_usage_error(&k_command, "", "from where, into which folder?");
    status = open_all(&r);
    if (status < 0 && hls_folder_open(&r.folder, r.options.folder, r.options.segment_s,
                                      (unsigned)r.options.window) != E_OK) {
        status = tool_usage_error(&k_command, "", r.folder.why);
        (void)hls_folder_close(&r.folder);
    }
    if (status < 0) {
        connect_and_run(&r);
        status = conclude(&r);
    }
    tool_run_fini(&r.run);
    return status;
}
