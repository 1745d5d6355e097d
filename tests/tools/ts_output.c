/* See ts_output.h. */
#include "tests/tools/ts_output.h"

struct out_sink {
    struct ts_sink sink;
    struct buf_writer *out;
};

static void put(struct ts_sink *sink, struct buf_view bytes)
{
    buf_write_view(((struct out_sink *)sink)->out, bytes);
}

static struct buf_view es_of(const struct media_tag *tag)
{
    return buf_view_of(tag->body.data + tag->info.es_offset,
                       tag->body.size_bytes - tag->info.es_offset);
}

static enum err set_track(struct ts_mux *mux, const struct media_tag *tag, const char **why)
{
    struct codec_params params;
    enum err e = tag->info.flags & FRAME_CONFIG
                     ? codec_params_from_config(tag->info.codec, es_of(tag), &params, why)
                     : codec_params_from_frame(tag->info.codec, es_of(tag), &params, why);

    return e == E_OK ? ts_mux_set_track(mux, tag->info.track_id, &params, why) : e;
}

enum err ts_output_write(struct ts_mux *mux, const struct media_tag *tag, int64_t dts_us,
                         bool entry, struct buf_writer *out, const char **why)
{
    const struct media_frame_info *info = &tag->info;
    struct out_sink sink = {{put}, out};
    struct ts_frame frame = {.kind = info->kind,
                             .codec = info->codec,
                             .track_id = info->track_id,
                             .key = info->flags & FRAME_KEY,
                             .entry = entry,
                             .dts_us = dts_us,
                             .pts_us = dts_us + info->cts_us,
                             .es = es_of(tag)};
    enum err e;

    if (info->flags & FRAME_CONFIG)
        return set_track(mux, tag, why);
    if (info->kind == MEDIA_DATA || info->flags & (FRAME_HEADERS | FRAME_SEQ_END)) {
        *why = "a transport stream has no place for it";
        return E_UNSUPPORTED;
    }
    e = ts_mux_write(mux, &sink.sink, &frame, why);
    if (e == E_NOT_FOUND &&
        !codec_has_config(info->codec)) { /* no track, or one of another codec */
        e = set_track(mux, tag, why);
        e = e == E_OK ? ts_mux_write(mux, &sink.sink, &frame, why) : e;
    }
    return e;
}
