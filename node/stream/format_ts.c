/* Feeds of transport stream packets. */
#include <stdlib.h>

#include "node/stream/format.h"
#include "node/stream/format_es.h"
#include "proto/ts/ts.h"

struct packet_sink {
    struct ts_sink ts;
    struct mux_sink *out;
};

static void put_packets(struct ts_sink *sink, struct buf_view bytes)
{
    struct packet_sink *s = (struct packet_sink *)sink;

    s->out->put(s->out, bytes);
}

static bool open_ts(struct mux_context *ctx)
{
    struct ts_mux *mux = malloc(sizeof *mux);

    if (mux)
        ts_mux_init(mux);
    ctx->muxer = mux;
    return mux != NULL;
}

static void close_ts(struct mux_context *ctx)
{
    ts_mux_fini(ctx->muxer);
    free(ctx->muxer);
    ctx->muxer = NULL;
}

/* What TS has no place for stays out: the stream's other tracks play. */
static void take_track(struct ts_mux *mux, const struct media_frame *config)
{
    struct codec_params params;
    const char *why;

    if (config->info.flags & (FRAME_MULTITRACK | FRAME_EXTRA))
        return;
    if (codec_params_from_config(config->info.codec, frame_es(config), &params, &why) != E_OK ||
        ts_mux_set_track(mux, config->info.track_id, &params, &why) != E_OK)
        ts_mux_remove_track(mux, config->info.kind, config->info.track_id);
}

static void take_tracks(struct mux_context *ctx, const struct track_set *tracks)
{
    if (!tracks->n_configs)
        ts_mux_clear(ctx->muxer);
    for (unsigned i = 0; i < tracks->n_configs; i++)
        take_track(ctx->muxer, tracks->configs[i]);
}

/* Sound without a configuration is described by each frame. */
static bool learn_track(struct ts_mux *mux, const struct ts_frame *frame)
{
    struct codec_params params;
    const char *why;

    return frame->kind == MEDIA_AUDIO &&
           codec_params_from_frame(frame->codec, frame->es, &params, &why) == E_OK &&
           ts_mux_set_track(mux, frame->track_id, &params, &why) == E_OK;
}

static void write_unit(struct mux_sink *sink, struct mux_context *ctx,
                       const struct media_frame *frame, bool entry)
{
    const struct media_frame_info *info = &frame->info;
    struct packet_sink packets = {.ts = {put_packets}, .out = sink};
    struct ts_frame out = {.kind = info->kind,
                           .codec = info->codec,
                           .track_id = info->track_id,
                           .key = info->flags & FRAME_KEY,
                           .entry = entry,
                           .dts_us = info->dts_us,
                           .pts_us = info->dts_us + info->cts_us};
    const char *why;

    if (!frame_is_media(frame))
        return;
    out.es = frame_es(frame);
    if (ts_mux_write(ctx->muxer, &packets.ts, &out, &why) == E_NOT_FOUND &&
        learn_track(ctx->muxer, &out))
        (void)ts_mux_write(ctx->muxer, &packets.ts, &out, &why);
}

/* The first tables name the sound, too, though it may come behind the first picture. */
static void look(struct mux_context *ctx, const struct media_frame *frame)
{
    struct ts_frame seen = {
        .kind = frame->info.kind, .codec = frame->info.codec, .track_id = frame->info.track_id};

    if (!frame_is_media(frame) || ts_mux_has_track(ctx->muxer, seen.kind, seen.track_id))
        return;
    seen.es = frame_es(frame);
    (void)learn_track(ctx->muxer, &seen);
}

/* Units of entry points begin with PAT and PMT, and key frames have their parameter sets with them:
 * no init data. */
const struct feed_format k_format_ts = {.name = "ts",
                                        .carries = ts_carries,
                                        .open = open_ts,
                                        .close = close_ts,
                                        .take_tracks = take_tracks,
                                        .look = look,
                                        .write_unit = write_unit};
