/* See lal_json.h. */
#include "node/compat/lal_json.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct word {
    const char *ours, *theirs;
};

/* What is pulled over HTTP is FLV, from other nodes, too. */
static const struct word k_protocols[] = {
    {"rtmp", "RTMP"}, {"flv", "FLV"},   {"ws-flv", "FLV"}, {"ts", "TS"},    {"ws-ts", "TS"},
    {"hls", "HLS"},   {"relay", "FLV"}, {"ws-mp4", "MP4"}, {"http", "FLV"},
};
static const struct word k_codecs[] = {
    {"h264", "H264"}, {"hevc", "H265"}, {"aac", "AAC"},
    {"pcma", "PCMA"}, {"pcmu", "PCMU"}, {"opus", "OPUS"},
};
static const struct word k_base_types[] = {{"publish", "PUB"}, {"play", "SUB"}, {"pull", "PULL"}};

static const char *find(const struct word *words, size_t n, const char *ours)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(words[i].ours, ours))
            return words[i].theirs;
    return NULL;
}

#define FIND(words, ours) find(words, sizeof(words) / sizeof(words)[0], ours)

static const char *in_capitals(const char *text, char out[LAL_WORD_SIZE])
{
    size_t n = 0;

    for (; text[n] && n + 1 < LAL_WORD_SIZE; n++)
        out[n] = (char)toupper((unsigned char)text[n]);
    out[n] = '\0';
    return out;
}

const char *lal_protocol(const char *protocol, char out[LAL_WORD_SIZE])
{
    const char *theirs = FIND(k_protocols, protocol);

    return theirs ? theirs : in_capitals(protocol, out);
}

const char *lal_base_type(const char *kind)
{
    const char *theirs = FIND(k_base_types, kind);

    return theirs ? theirs : "";
}

static const char *codec(bool is_there, enum media_codec codec, char out[LAL_WORD_SIZE])
{
    const char *ours = media_codec_name(codec), *theirs = FIND(k_codecs, ours);

    return !is_there ? "" : theirs ? theirs : in_capitals(ours, out);
}

const char *lal_time(int64_t wall_us, char out[LAL_TIME_SIZE])
{
    time_t seconds = (time_t)(wall_us / 1000000);
    char day[32];
    struct tm tm;

    (void)gmtime_r(&seconds, &tm);
    (void)strftime(day, sizeof day, "%Y-%m-%d %H:%M:%S", &tm);
    snprintf(out, LAL_TIME_SIZE, "%s.%03d +0000 UTC", day, (int)(wall_us / 1000 % 1000));
    return out;
}

json_t *lal_info_json(const char *node_id, int64_t started_wall_us)
{
    char when[LAL_TIME_SIZE];

    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "server_id", node_id, "bin_info",
                     "headwater " HW_VERSION, "lal_version", LAL_VERSION, "api_version",
                     LAL_API_VERSION, "notify_version", LAL_NOTIFY_VERSION, "WebUiVersion", "",
                     "start_time", lal_time(started_wall_us, when));
}

static json_t *sums_json(const char *id, const char *protocol, const char *base_type,
                         const char *peer, const char *start, const struct compat_session *s,
                         const struct compat_rate *rate)
{
    static const struct compat_rate k_none;
    static const struct compat_session k_nobody;
    const struct compat_rate *r = rate ? rate : &k_none;
    bool sends;

    s = s ? s : &k_nobody;
    sends = !strcmp(base_type, "SUB");
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:i, s:i, s:i}", "session_id", id,
                     "protocol", protocol, "base_type", base_type, "remote_addr", peer,
                     "start_time", start, "read_bytes_sum", (json_int_t)s->bytes_in,
                     "wrote_bytes_sum", (json_int_t)s->bytes_out, "bitrate_kbits",
                     (int)(sends ? r->out_kbits : r->in_kbits), "read_bitrate_kbits",
                     (int)r->in_kbits, "write_bitrate_kbits", (int)r->out_kbits);
}

json_t *lal_session_json(const struct compat_session *session, const struct compat_rates *rates,
                         int64_t wall_us)
{
    char id[STREAM_NAME_SIZE + sizeof LAL_PULL_PREFIX], word[LAL_WORD_SIZE], when[LAL_TIME_SIZE];
    bool is_pull;

    if (!session)
        return sums_json("", "", "", "", "", NULL, NULL);
    is_pull = !strcmp(session->kind, "pull");
    snprintf(id, sizeof id, "%s%s", is_pull ? LAL_PULL_PREFIX : "",
             is_pull ? session->stream : session->id);
    return sums_json(id, lal_protocol(session->protocol, word), lal_base_type(session->kind),
                     session->peer, lal_time(wall_us - session->age_us, when), session,
                     compat_rate_of(rates, session->id));
}

static json_t *seconds_json(const struct compat_pictures *p)
{
    json_t *all = json_array();

    for (unsigned i = 0; p && i < p->n; i++)
        (void)json_array_append_new(all, json_pack("{s:I, s:I}", "unix_sec",
                                                   (json_int_t)p->seconds[i].unix_s, "v",
                                                   (json_int_t)p->seconds[i].n_pictures));
    return all;
}

/* The session that feeds the stream; NULL: none of that kind does. */
static const struct compat_session *source_of(const struct compat_stream *stream, const char *kind,
                                              const struct compat_session *sessions, size_t n)
{
    for (size_t i = 0; stream->info.live && i < n; i++)
        if (!strcmp(sessions[i].kind, kind) && !strcmp(sessions[i].id, stream->info.session_id))
            return &sessions[i];
    return NULL;
}

/* null without any, as lal has it. */
static json_t *subs_json(const struct compat_session *sessions, size_t n,
                         const struct compat_rates *rates, int64_t wall_us)
{
    json_t *all = NULL;

    for (size_t i = 0; i < n; i++) {
        if (strcmp(sessions[i].kind, "play") != 0)
            continue;
        if (!all)
            all = json_array();
        (void)json_array_append_new(all, lal_session_json(&sessions[i], rates, wall_us));
    }
    return all ? all : json_null();
}

json_t *lal_group_json(const struct compat_stream *stream, const struct compat_session *sessions,
                       size_t n, const struct compat_rates *rates, int64_t wall_us)
{
    const struct stream_info *info = &stream->info;
    char app[STREAM_NAME_SIZE], audio[LAL_WORD_SIZE], video[LAL_WORD_SIZE];
    const struct compat_session *pub = source_of(stream, "publish", sessions, n);
    const struct compat_session *pull = source_of(stream, "pull", sessions, n);
    bool has_video = info->live && info->has_video;

    snprintf(app, sizeof app, "%.*s", info->name.app_bytes, info->name.text);
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:o, s:o, s:o, s:o}", "stream_name",
                     stream_name_part(&info->name), "app_name", app, "audio_codec",
                     codec(info->live && info->has_audio, info->codecs.audio, audio), "video_codec",
                     codec(has_video, info->codecs.video, video), "video_width",
                     (json_int_t)(has_video ? stream->width : 0), "video_height",
                     (json_int_t)(has_video ? stream->height : 0), "pub",
                     lal_session_json(pub, rates, wall_us), "subs",
                     subs_json(sessions, n, rates, wall_us), "pull",
                     lal_session_json(pull, rates, wall_us), "in_frame_per_sec",
                     seconds_json(compat_pictures_of(rates, info->name.text)));
}

json_t *lal_groups_json(const struct compat_view *view, const struct compat_rates *rates,
                        int64_t wall_us)
{
    json_t *groups = view->n_streams ? json_array() : json_null();

    for (size_t i = 0; i < view->n_streams; i++) {
        const struct compat_stream *stream = &view->streams[i];
        size_t n;
        const struct compat_session *sessions =
            compat_view_sessions(view, stream->info.name.text, &n);

        (void)json_array_append_new(groups, lal_group_json(stream, sessions, n, rates, wall_us));
    }
    return groups;
}
