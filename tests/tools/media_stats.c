/* One track's figures. */
#include "tests/tools/media_stats.h"

#include <stdio.h>

#define GAP_US 1000000
#define SECOND_US 1000000

static void keep_why(struct media_stats *s, const char *why)
{
    if (!s->n_broken++)
        snprintf(s->why, sizeof s->why, "%s", why);
}

void media_stats_add_broken(struct media_stats *stats, const char *why)
{
    keep_why(stats, why);
}

static void add_config(struct media_stats *s, const struct media_frame_info *info,
                       struct buf_view es)
{
    const char *why = "";

    s->n_configs++;
    if (codec_params_from_config(info->codec, es, &s->params, &why) != E_OK) {
        keep_why(s, why);
        return;
    }
    s->has_params = true;
    if (s->params.kind == MEDIA_VIDEO)
        s->nal_length_bytes = s->params.video.nal_length_bytes;
}

static void add_nals(struct media_stats *s, struct buf_view es)
{
    struct nal_reader r = nal_reader_from(es, s->nal_length_bytes);
    struct buf_view nal;
    const char *why = "";
    enum err e;

    while ((e = nal_next(&r, &nal, &why)) == E_OK) {
        unsigned type = s->codec == CODEC_HEVC ? nal.data[0] >> 1 & 0x3f : nal.data[0] & 0x1f;

        s->nal_types[type]++;
        s->n_nals++;
    }
    if (e != E_END)
        keep_why(s, why);
}

static void widen(int64_t value, int64_t *shortest, int64_t *longest, bool is_first)
{
    if (is_first || value < *shortest)
        *shortest = value;
    if (is_first || value > *longest)
        *longest = value;
}

static void add_gop_end(struct media_stats *s, int64_t now_us)
{
    bool is_first = !s->n_gops++;

    widen(now_us - s->gop_at_us, &s->shortest_gop_us, &s->longest_gop_us, is_first);
    if (is_first || s->gop_frames < s->shortest_gop_frames)
        s->shortest_gop_frames = s->gop_frames;
    if (s->gop_frames > s->longest_gop_frames)
        s->longest_gop_frames = s->gop_frames;
    s->all_gops_us += now_us - s->gop_at_us;
}

static void add_time(struct media_stats *s, const struct media_frame_info *info)
{
    int64_t step_us = info->dts_us - s->last_us;

    if (!s->n_frames) {
        s->first_us = s->second_at_us = info->dts_us;
    } else {
        widen(step_us, &s->shortest_step_us, &s->longest_step_us, s->n_frames == 1);
        s->n_backward += step_us < 0;
        s->n_gaps += step_us > GAP_US;
    }
    s->last_us = info->dts_us;
    s->n_early += info->cts_us < 0;
}

/* Bytes of each second of media; what time does not move is of the one that runs. */
static void add_bytes(struct media_stats *s, int64_t now_us, size_t size_bytes)
{
    if (now_us - s->second_at_us >= SECOND_US || now_us < s->second_at_us) {
        s->second_at_us = now_us;
        s->second_bytes = 0;
    }
    s->second_bytes += size_bytes;
    if (s->second_bytes > s->peak_second_bytes)
        s->peak_second_bytes = s->second_bytes;
    s->n_bytes += size_bytes;
}

void media_stats_add(struct media_stats *s, const struct media_frame_info *info, struct buf_view es)
{
    const char *why;

    s->n_codec_changes += s->codec != CODEC_NONE && s->codec != info->codec;
    s->codec = info->codec;
    if (info->flags & FRAME_CONFIG)
        add_config(s, info, es);
    if (info->flags & (FRAME_HEADERS | FRAME_SEQ_END))
        return;
    if (!s->has_params && !codec_has_config(info->codec))
        s->has_params = codec_params_from_frame(info->codec, es, &s->params, &why) == E_OK;
    add_time(s, info);
    add_bytes(s, info->dts_us, es.size_bytes);
    if (info->kind == MEDIA_VIDEO && info->flags & FRAME_KEY) {
        if (s->n_keys++)
            add_gop_end(s, info->dts_us);
        s->gop_at_us = info->dts_us;
        s->gop_frames = 0;
    }
    s->gop_frames++;
    s->n_frames++;
    if (s->nal_length_bytes && (info->codec == CODEC_H264 || info->codec == CODEC_HEVC))
        add_nals(s, es);
}

/* --- figures --- */

static json_t *params_json(const struct codec_params *p)
{
    const struct codec_video *v = &p->video;

    if (p->kind == MEDIA_VIDEO)
        return json_pack("{s:s, s:i, s:i, s:f, s:i}", "rfc6381", p->rfc6381, "width", (int)v->width,
                         "height", (int)v->height, "fps",
                         v->fps_den ? (double)v->fps_num / v->fps_den : 0.0, "bit_depth",
                         (int)v->bit_depth);
    return json_pack("{s:s, s:i, s:i}", "rfc6381", p->rfc6381, "sample_rate_hz",
                     (int)p->audio.output_rate_hz, "channels", (int)p->audio.channels);
}

static json_t *nals_json(const struct media_stats *s)
{
    json_t *nals = json_object();

    for (unsigned i = 0; nals && i < MEDIA_STATS_NAL_TYPES; i++) {
        char name[8];

        snprintf(name, sizeof name, "%u", i);
        if (s->nal_types[i])
            (void)json_object_set_new(nals, name, json_integer((json_int_t)s->nal_types[i]));
    }
    return nals;
}

static json_t *gops_json(const struct media_stats *s)
{
    return json_pack(
        "{s:I, s:f, s:f, s:f, s:I, s:I}", "whole", (json_int_t)s->n_gops, "mean_seconds",
        s->n_gops ? (double)s->all_gops_us / 1e6 / (double)s->n_gops : 0.0, "shortest_seconds",
        (double)s->shortest_gop_us / 1e6, "longest_seconds", (double)s->longest_gop_us / 1e6,
        "shortest_frames", (json_int_t)s->shortest_gop_frames, "longest_frames",
        (json_int_t)s->longest_gop_frames);
}

json_t *media_stats_json(const struct media_stats *s, enum media_kind kind)
{
    double seconds = (double)(s->last_us - s->first_us) / 1e6;
    json_t *json;

    if (s->codec == CODEC_NONE && !s->n_broken)
        return NULL;
    json = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "kind",
                     kind == MEDIA_VIDEO ? "video" : "audio", "codec", media_codec_name(s->codec),
                     "frames", (json_int_t)s->n_frames, "bytes", (json_int_t)s->n_bytes,
                     "configurations", (json_int_t)s->n_configs, "codec_changes",
                     (json_int_t)s->n_codec_changes, "broken", (json_int_t)s->n_broken,
                     "times_backward", (json_int_t)s->n_backward, "pts_before_dts",
                     (json_int_t)s->n_early, "gaps", (json_int_t)s->n_gaps);
    if (!json)
        return NULL;
    (void)json_object_set_new(json, "first_seconds", json_real((double)s->first_us / 1e6));
    (void)json_object_set_new(json, "last_seconds", json_real((double)s->last_us / 1e6));
    (void)json_object_set_new(json, "shortest_step_ms",
                              json_real((double)s->shortest_step_us / 1e3));
    (void)json_object_set_new(json, "longest_step_ms", json_real((double)s->longest_step_us / 1e3));
    (void)json_object_set_new(json, "bit_rate",
                              json_real(seconds > 0 ? (double)s->n_bytes * 8 / seconds : 0));
    (void)json_object_set_new(json, "peak_second_bit_rate",
                              json_real((double)s->peak_second_bytes * 8));
    if (s->has_params)
        (void)json_object_set_new(json, "parameters", params_json(&s->params));
    if (kind == MEDIA_VIDEO) {
        (void)json_object_set_new(json, "key_frames", json_integer((json_int_t)s->n_keys));
        (void)json_object_set_new(json, "gops", gops_json(s));
        (void)json_object_set_new(json, "nal_types", nals_json(s));
    }
    if (s->n_broken)
        (void)json_object_set_new(json, "first_broken", json_string(s->why));
    return json;
}
