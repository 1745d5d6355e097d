/* See livego_json.h. */
#include "node/compat/livego_json.h"

#include <stdio.h>
#include <string.h>

#define RTMP_STREAM_ID 1 /* that createStream answers */

/* What of a sum is pictures, as in the stream: sessions count bytes, whatever they are. */
static uint64_t pictures_of(uint64_t bytes, const struct stream_info *info)
{
    return info->bytes_in
               ? (uint64_t)((double)bytes * (double)info->video_bytes_in / (double)info->bytes_in)
               : 0;
}

static json_t *item_json(const struct compat_session *s, const struct stream_info *info,
                         const struct compat_rates *rates, const char *base)
{
    const struct compat_rate *rate = compat_rate_of(rates, s->id);
    bool plays = !strcmp(s->kind, "play");
    uint64_t bytes = plays ? s->bytes_out : s->bytes_in, video = pictures_of(bytes, info);
    unsigned speed = !rate ? 0 : plays ? rate->out_kbits : rate->in_kbits;
    uint64_t video_speed = pictures_of(speed, info);
    char url[STREAM_NAME_SIZE + 80];

    snprintf(url, sizeof url, "rtmp://%s/%s", base, s->stream);
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "key", s->stream, "url", url,
                     "stream_id", (json_int_t)RTMP_STREAM_ID, "video_total_bytes",
                     (json_int_t)video, "video_speed", (json_int_t)video_speed, "audio_total_bytes",
                     (json_int_t)(bytes - video), "audio_speed", (json_int_t)(speed - video_speed));
}

static json_t *short_json(const struct compat_session *s)
{
    return json_pack("{s:s, s:s}", "key", s->stream, "id", s->id);
}

/* Does it feed the stream, or take it? Of a pull that is beside the one that runs, neither. */
static const char *side_of(const struct compat_session *s, const struct stream_info *info)
{
    if (!strcmp(s->kind, "play"))
        return "players";
    return info->live && !strcmp(info->session_id, s->id) ? "publishers" : NULL;
}

static json_t *lists_json(const struct compat_view *view, const struct compat_rates *rates,
                          const char *base)
{
    json_t *json = json_pack("{s:[], s:[]}", "publishers", "players");

    for (size_t i = 0; json && i < view->n_streams; i++) {
        const struct stream_info *info = &view->streams[i].info;
        size_t n;
        const struct compat_session *s = compat_view_sessions(view, info->name.text, &n);

        for (; n--; s++) {
            const char *side = side_of(s, info);

            if (side)
                (void)json_array_append_new(json_object_get(json, side),
                                            base ? item_json(s, info, rates, base) : short_json(s));
        }
    }
    return json;
}

json_t *livego_stat_json(const struct compat_view *view, const struct compat_rates *rates,
                         const char *base)
{
    return lists_json(view, rates, base);
}

json_t *livego_streams_json(const struct compat_view *view)
{
    return lists_json(view, NULL, NULL);
}
