/* The muxers of the formats that carry frame bodies untouched: RTMP chunks and FLV tags. */
#include "node/stream/format.h"

#include <string.h>

#include "node/stream/lag.h"
#include "node/stream/plan.h"
#include "proto/flv/flv.h"
#include "proto/rtmp/rtmp.h"

#define HW_TAG_INTERVAL_US 500000
#define HW_TAG_MAX_BYTES 2048

static uint32_t to_ms(int64_t dts_us)
{
    return (uint32_t)(dts_us / 1000);
}

/* --- RTMP --- */

/* The frame's body in the style of who takes it. False: it has no place there. */
static bool shape(const struct mux_context *ctx, const struct media_frame *frame,
                  struct flv_shape *out)
{
    return flv_shape_body(ctx->style, &frame->info, media_frame_body(frame), out);
}

static struct buf_view take_chunk(struct buf_reader *body, uint32_t room)
{
    return buf_take(body, body->left_bytes < room ? body->left_bytes : room);
}

/* prefix goes before the body. */
static void rtmp_write(struct mux_sink *sink, struct mux_context *ctx,
                       const struct media_frame *frame, struct buf_view prefix)
{
    uint32_t chunk_size = k_rtmp_limits_default.out_chunk_size;
    uint32_t ts_ms = to_ms(frame->info.dts_us);
    unsigned csid = rtmp_csid_of(frame->info.kind);
    uint8_t header[RTMP_MAX_CHUNK_HEADER];
    struct flv_shape body;
    struct buf_reader rest;
    uint32_t before;
    unsigned size;

    if (!shape(ctx, frame, &body))
        return;
    before = (uint32_t)prefix.size_bytes + body.head_bytes;
    rest = buf_reader_from(body.rest);
    size = rtmp_put_type0_header(header, csid, ts_ms, before + (uint32_t)body.rest.size_bytes,
                                 flv_tag_type_of(frame->info.kind), RTMP_MEDIA_STREAM_ID);
    sink->put(sink, buf_view_of(header, size));
    if (prefix.size_bytes)
        sink->put(sink, prefix);
    if (body.head_bytes)
        sink->put(sink, buf_view_of(body.head, body.head_bytes));
    sink->put_body(sink, frame, take_chunk(&rest, chunk_size - before));
    while (rest.left_bytes) {
        size = rtmp_put_type3_header(header, csid, ts_ms);
        sink->put(sink, buf_view_of(header, size));
        sink->put_body(sink, frame, take_chunk(&rest, chunk_size));
    }
}

static void rtmp_write_unit(struct mux_sink *sink, struct mux_context *ctx,
                            const struct media_frame *frame, bool entry)
{
    (void)entry;
    rtmp_write(sink, ctx, frame, buf_view_of(NULL, 0));
}

static void publish_write_unit(struct mux_sink *sink, struct mux_context *ctx,
                               const struct media_frame *frame, bool entry)
{
    bool is_metadata = frame->info.flags & FRAME_METADATA;

    (void)entry;
    rtmp_write(sink, ctx, frame,
               buf_view_of(k_rtmp_set_data_frame, is_metadata ? RTMP_SET_DATA_FRAME_BYTES : 0));
}

/* In one piece: borrowed, or put together in scratch. */
static struct buf_view whole_of(const struct flv_shape *shaped, struct buf_writer *scratch)
{
    if (!shaped->head_bytes)
        return shaped->rest;
    buf_writer_clear(scratch);
    buf_write(scratch, shaped->head, shaped->head_bytes);
    buf_write_view(scratch, shaped->rest);
    return buf_writer_view(scratch);
}

/* Metadata and configurations, one after the other, as write() has them. */
static void write_headers(struct buf_writer *out, const struct mux_context *ctx,
                          const struct track_set *tracks, int64_t dts_us,
                          void (*write)(struct buf_writer *out, enum media_kind kind,
                                        uint32_t ts_ms, struct buf_view body))
{
    struct buf_writer body;

    buf_writer_init(&body, TRACK_SET_MAX_BYTES + FLV_SHAPE_HEAD_BYTES);
    for (unsigned i = 0; i <= tracks->n_configs; i++) {
        const struct media_frame *frame = i ? tracks->configs[i - 1] : tracks->metadata;
        struct flv_shape shaped;

        if (!frame || !shape(ctx, frame, &shaped))
            continue;
        write(out, frame->info.kind, to_ms(dts_us), whole_of(&shaped, &body));
    }
    buf_writer_fini(&body);
}

static void rtmp_write_header(struct buf_writer *out, enum media_kind kind, uint32_t ts_ms,
                              struct buf_view body)
{
    rtmp_write_message(out, k_rtmp_limits_default.out_chunk_size, rtmp_csid_of(kind), ts_ms,
                       flv_tag_type_of(kind), RTMP_MEDIA_STREAM_ID, body);
}

static void rtmp_write_init(struct buf_writer *out, struct mux_context *ctx,
                            const struct track_set *tracks, int64_t dts_us)
{
    write_headers(out, ctx, tracks, dts_us, rtmp_write_header);
}

static void publish_write_header(struct buf_writer *out, enum media_kind kind, uint32_t ts_ms,
                                 struct buf_view body)
{
    struct buf_writer whole;

    if (kind != MEDIA_DATA) {
        rtmp_write_header(out, kind, ts_ms, body);
        return;
    }
    buf_writer_init(&whole, body.size_bytes + RTMP_SET_DATA_FRAME_BYTES);
    buf_write(&whole, k_rtmp_set_data_frame, RTMP_SET_DATA_FRAME_BYTES);
    buf_write_view(&whole, body);
    if (buf_writer_status(&whole) == E_OK)
        rtmp_write_header(out, kind, ts_ms, buf_writer_view(&whole));
    buf_writer_fini(&whole);
}

static void publish_write_init(struct buf_writer *out, struct mux_context *ctx,
                               const struct track_set *tracks, int64_t dts_us)
{
    write_headers(out, ctx, tracks, dts_us, publish_write_header);
}

/* --- FLV --- */

static void flv_write_unit(struct mux_sink *sink, struct mux_context *ctx,
                           const struct media_frame *frame, bool entry)
{
    uint8_t header[FLV_TAG_HEADER_BYTES], trailer[4];
    struct flv_shape body;
    uint32_t size_bytes;

    (void)entry;
    if (!shape(ctx, frame, &body))
        return;
    size_bytes = body.head_bytes + (uint32_t)body.rest.size_bytes;
    flv_put_tag_header(header, flv_tag_type_of(frame->info.kind), to_ms(frame->info.dts_us),
                       size_bytes);
    flv_put_tag_trailer(trailer, size_bytes);
    sink->put(sink, buf_view_of(header, sizeof header));
    if (body.head_bytes)
        sink->put(sink, buf_view_of(body.head, body.head_bytes));
    sink->put_body(sink, frame, body.rest);
    sink->put(sink, buf_view_of(trailer, sizeof trailer));
}

static void flv_write_header(struct buf_writer *out, enum media_kind kind, uint32_t ts_ms,
                             struct buf_view body)
{
    flv_write_tag(out, flv_tag_type_of(kind), ts_ms, body);
}

static void flv_write_init(struct buf_writer *out, struct mux_context *ctx,
                           const struct track_set *tracks, int64_t dts_us)
{
    write_headers(out, ctx, tracks, dts_us, flv_write_header);
}

/* --- FLV between nodes --- */

static bool has_plan(const struct mux_context *ctx)
{
    return ctx->plan && ctx->run && ctx->plan->run == ctx->run;
}

/* Who cuts as the origin does waits for it. */
static bool owes_plan(const struct mux_context *ctx)
{
    return has_plan(ctx) &&
           (ctx->said_run != ctx->run || ctx->said_gops != ctx->plan->gops_per_segment);
}

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
    char plan[STREAM_PLAN_TEXT_SIZE];
    struct buf_writer body, tag;

    if (has_plan(ctx)) {
        stream_plan_write(ctx->plan, plan);
        hw.plan = buf_view_str(plan);
        ctx->said_run = ctx->run;
        ctx->said_gops = ctx->plan->gops_per_segment;
    }
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
    if (entry || ctx->path || ctx->stood_alone || owes_plan(ctx) ||
        frame->info.ingest_us - ctx->last_hw_us >= HW_TAG_INTERVAL_US)
        write_hw(sink, ctx, &frame->info);
    ctx->stood_alone = false;
    flv_write_unit(sink, ctx, frame, entry);
}

static const struct feed_format k_format_rtmp = {
    .name = "rtmp", .write_unit = rtmp_write_unit, .write_init = rtmp_write_init};
static const struct feed_format k_format_rtmp_publish = {
    .name = "rtmp-publish", .write_unit = publish_write_unit, .write_init = publish_write_init};
const struct feed_format k_format_flv = {
    .name = "flv", .write_unit = flv_write_unit, .write_init = flv_write_init};
static const struct feed_format k_format_relay = {.name = "relay",
                                                  .relay = true,
                                                  .write_unit = relay_write_unit,
                                                  .write_idle = relay_write_idle,
                                                  .write_init = flv_write_init};

const struct feed_format *const k_formats[FORMAT_COUNT] = {
    [FORMAT_RTMP] = &k_format_rtmp,     [FORMAT_RTMP_PUBLISH] = &k_format_rtmp_publish,
    [FORMAT_FLV] = &k_format_flv,       [FORMAT_RELAY] = &k_format_relay,
    [FORMAT_TS] = &k_format_ts,         [FORMAT_MP4] = &k_format_mp4,
    [FORMAT_WS_FLV] = &k_format_ws_flv, [FORMAT_WS_TS] = &k_format_ws_ts,
    [FORMAT_WS_MP4] = &k_format_ws_mp4,
};

/* --- keys of feeds --- */

bool feed_key_equals(const struct feed_key *a, const struct feed_key *b)
{
    return a->format == b->format && a->tracks == b->tracks && a->style == b->style;
}

bool feed_key_carries(const struct feed_key *key, enum media_codec codec)
{
    const struct feed_format *format = k_formats[key->format];

    if (format->inner)
        format = format->inner;
    if (codec == CODEC_NONE)
        return true;
    return format->carries ? format->carries(codec) : flv_style_carries(key->style, codec);
}

static void tell_codec(struct buf_writer *out, const struct feed_key *key, const char *kind,
                       enum media_codec codec)
{
    if (!feed_key_carries(key, codec))
        buf_printf(out, "%s%s %s", out->used_bytes ? ", " : "", kind, media_codec_name(codec));
}

static void tell_more(struct buf_writer *out, const char *kind, unsigned n)
{
    if (n)
        buf_printf(out, "%s%u more %s track%s", out->used_bytes ? ", " : "", n, kind,
                   n > 1 ? "s" : "");
}

void feed_key_tell_left_out(const struct feed_key *key, const struct stream_codecs *codecs,
                            char *text, size_t size)
{
    struct buf_writer out;

    buf_writer_init(&out, size - 1);
    if (key->tracks != TRACKS_AUDIO)
        tell_codec(&out, key, "video", codecs->video);
    if (key->tracks != TRACKS_VIDEO)
        tell_codec(&out, key, "audio", codecs->audio);
    if (key->tracks == TRACKS_DEFAULT) {
        tell_more(&out, "video", codecs->n_more_video);
        tell_more(&out, "audio", codecs->n_more_audio);
    }
    memcpy(text, out.data ? (const char *)out.data : "", out.used_bytes);
    text[out.used_bytes] = '\0';
    buf_writer_fini(&out);
}
