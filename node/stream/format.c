/* The muxers of the formats that carry frame bodies untouched: RTMP chunks and FLV tags. */
#include "node/stream/format.h"

#include "node/stream/lag.h"
#include "proto/flv/flv.h"
#include "proto/rtmp/rtmp.h"

#define HW_TAG_INTERVAL_US 500000
#define HW_TAG_MAX_BYTES 2048

static uint32_t to_ms(int64_t dts_us)
{
    return (uint32_t)(dts_us / 1000);
}

/* --- RTMP --- */

static void rtmp_write_unit(struct mux_sink *sink, struct mux_context *ctx,
                            const struct media_frame *frame, bool entry)
{
    uint32_t chunk_size = k_rtmp_limits_default.out_chunk_size;
    uint32_t ts_ms = to_ms(frame->info.dts_us);
    unsigned csid = rtmp_csid_of(frame->info.kind);
    struct buf_reader body = buf_reader_from(media_frame_body(frame));
    uint8_t header[RTMP_MAX_CHUNK_HEADER];
    unsigned size;

    (void)ctx;
    (void)entry;
    size = rtmp_put_type0_header(header, csid, ts_ms, (uint32_t)frame->size_bytes,
                                 flv_tag_type_of(frame->info.kind), RTMP_MEDIA_STREAM_ID);
    sink->put(sink, buf_view_of(header, size));
    while (body.left_bytes) {
        sink->put_body(
            sink, frame,
            buf_take(&body, body.left_bytes < chunk_size ? body.left_bytes : chunk_size));
        if (body.left_bytes) {
            size = rtmp_put_type3_header(header, csid, ts_ms);
            sink->put(sink, buf_view_of(header, size));
        }
    }
}

static void rtmp_write_init(struct buf_writer *out, const struct track_set *tracks, int64_t dts_us)
{
    for (unsigned i = 0; i <= tracks->n_configs; i++) {
        const struct media_frame *frame = i ? tracks->configs[i - 1] : tracks->metadata;

        if (frame)
            rtmp_write_message(out, k_rtmp_limits_default.out_chunk_size,
                               rtmp_csid_of(frame->info.kind), to_ms(dts_us),
                               flv_tag_type_of(frame->info.kind), RTMP_MEDIA_STREAM_ID,
                               media_frame_body(frame));
    }
}

/* --- FLV --- */

static void flv_write_unit(struct mux_sink *sink, struct mux_context *ctx,
                           const struct media_frame *frame, bool entry)
{
    uint8_t header[FLV_TAG_HEADER_BYTES], trailer[4];
    uint32_t size_bytes = (uint32_t)frame->size_bytes;

    (void)ctx;
    (void)entry;
    flv_put_tag_header(header, flv_tag_type_of(frame->info.kind), to_ms(frame->info.dts_us),
                       size_bytes);
    flv_put_tag_trailer(trailer, size_bytes);
    sink->put(sink, buf_view_of(header, sizeof header));
    sink->put_body(sink, frame, media_frame_body(frame));
    sink->put(sink, buf_view_of(trailer, sizeof trailer));
}

static void flv_write_init(struct buf_writer *out, const struct track_set *tracks, int64_t dts_us)
{
    for (unsigned i = 0; i <= tracks->n_configs; i++) {
        const struct media_frame *frame = i ? tracks->configs[i - 1] : tracks->metadata;

        if (frame)
            flv_write_tag(out, flv_tag_type_of(frame->info.kind), to_ms(dts_us),
                          media_frame_body(frame));
    }
}

/* --- FLV between nodes --- */

static void write_hw(struct mux_sink *sink, struct mux_context *ctx,
                     const struct media_frame_info *now)
{
    char trail[FLV_TRAIL_SIZE];
    struct flv_hw hw = {.v = FLV_HW_VERSION,
                        .epoch = ctx->epoch,
                        .run = ctx->run,
                        .gop = now->gop,
                        .ingest_us = now->ingest_us,
                        .wall_us = now->ingest_us + ctx->wall_offset_us};
    struct buf_writer body, tag;

    if (ctx->path)
        hw.path = buf_view_str(ctx->path);
    if (ctx->lag && now->flags & FRAME_TIMED)
        stream_lag_say(ctx->lag, &hw, trail);
    buf_writer_init(&body, HW_TAG_MAX_BYTES);
    buf_writer_init(&tag, HW_TAG_MAX_BYTES);
    flv_write_hw_body(&body, &hw);
    flv_write_tag(&tag, FLV_TAG_SCRIPT, to_ms(now->dts_us), buf_writer_view(&body));
    if (buf_writer_status(&tag) == E_OK) {
        sink->put(sink, buf_writer_view(&tag));
        ctx->path = NULL;
    }
    buf_writer_fini(&body);
    buf_writer_fini(&tag);
    ctx->last_hw_us = now->ingest_us;
}

static void relay_write_idle(struct mux_sink *sink, struct mux_context *ctx,
                             const struct media_frame_info *now)
{
    write_hw(sink, ctx, now);
    ctx->stood_alone = true;
}

static void relay_write_unit(struct mux_sink *sink, struct mux_context *ctx,
                             const struct media_frame *frame, bool entry)
{
    if (entry || ctx->path || ctx->stood_alone ||
        frame->info.ingest_us - ctx->last_hw_us >= HW_TAG_INTERVAL_US)
        write_hw(sink, ctx, &frame->info);
    ctx->stood_alone = false;
    flv_write_unit(sink, ctx, frame, entry);
}

const struct feed_format k_formats[FORMAT_COUNT] = {
    [FORMAT_RTMP] = {"rtmp", false, rtmp_write_unit, NULL, rtmp_write_init},
    [FORMAT_FLV] = {"flv", false, flv_write_unit, NULL, flv_write_init},
    [FORMAT_RELAY] = {"relay", true, relay_write_unit, relay_write_idle, flv_write_init},
};
