/* Frames to parts and segments. */
#include "common/base/log.h"
#include "node/hls/channel_private.h"

static enum media_kind lead_of(const struct hls_channel *c)
{
    return c->mux.known.tracks[MEDIA_VIDEO].is_known ? MEDIA_VIDEO : MEDIA_AUDIO;
}

static bool has_parts(const struct hls_channel *c)
{
    return c->segmenter.conf.part_us > 0;
}

/* --- borders --- */

static void end_part(struct hls_channel *c, const struct hls_piece *piece,
                     const struct media_frame *next)
{
    struct hls_data *data = hls_mux_end_part(&c->mux, next);

    c->is_dirty = true;
    if (!c->is_open || !data) {
        hls_data_unref(&data);
        return;
    }
    if (!c->whole)
        c->whole = hls_data_create();
    if (c->whole)
        hls_data_put_data(c->whole, data);
    if (piece)
        hls_window_add_part(c, piece, data);
    else
        hls_data_unref(&data);
}

static void end_segment(struct hls_channel *c, const struct hls_piece *piece,
                        const struct media_frame *next)
{
    struct hls_data *whole;

    if (!has_parts(c))
        end_part(c, NULL, next);
    whole = c->whole;
    c->whole = NULL;
    c->is_dirty = true;
    if (c->is_open)
        hls_window_end(c, piece, whole);
    else
        hls_data_unref(&whole);
}

static void begin_segment(struct hls_channel *c, const struct media_frame *first)
{
    hls_mux_begin_segment(&c->mux, c->segmenter.segment.msn);
    /* Without any track that can be said yet the segment cannot be had here. */
    if (hls_mux_is_ready(&c->mux))
        c->is_dirty |= hls_window_begin(c, first);
}

static void cut(struct hls_channel *c, unsigned bits, const struct hls_cut *pieces,
                const struct media_frame *next)
{
    if (bits & HLS_ENDS_PART)
        end_part(c, &pieces->part, next);
    if (bits & HLS_ENDS_SEGMENT)
        end_segment(c, &pieces->segment, next);
}

/* --- frames --- */

static void init_segmenter(struct hls_channel *c)
{
    const struct stream_plan *plan = &c->plan;
    struct hls_segmenter_conf conf = {
        .lead = lead_of(c),
        .gops_per_segment = plan->gops_per_segment ? plan->gops_per_segment : 1,
        .first_gop = plan->first_gop,
        .first_msn = plan->first_msn,
        .skipped_gops = plan->skipped_gops,
        .part_us = c->form.container == HLS_FMP4 ? (int64_t)plan->part_ms * 1000 : 0};

    hls_segmenter_init(&c->segmenter, &conf);
}

static void take_plan(struct hls_channel *c, const struct stream_plan *plan)
{
    c->plan = *plan;
    c->plan.run += plan->shift; /* in names: what has another number has another name */
    c->is_cutting = true;
}

/* The run is cut anew from here on: its tracks are other ones. */
static void begin_anew(struct hls_channel *c, const struct stream_plan *plan)
{
    hls_channel_end_run(c);
    take_plan(c, plan);
    init_segmenter(c);
}

/* The end of the first GOP decides how many a segment has. */
static void follow_plan(struct hls_channel *c)
{
    const struct stream_plan *plan = stream_plan_of(c->stream);

    if (plan && plan->first_gop > c->plan.first_gop)
        begin_anew(c, plan);
    if (c->plan.gops_per_segment || !plan || !plan->gops_per_segment)
        return;
    c->plan.gops_per_segment = plan->gops_per_segment;
    c->plan.skipped_gops = plan->skipped_gops;
    c->segmenter.conf.gops_per_segment = plan->gops_per_segment;
    c->segmenter.conf.skipped_gops = plan->skipped_gops;
}

/* Pictures that come late to a stream of sound lead from then on. */
static void follow_lead(struct hls_channel *c)
{
    if (c->segmenter.conf.lead == lead_of(c))
        return;
    hls_channel_end_run(c);
    init_segmenter(c);
    c->is_cutting = true;
}

/* A GOP without an end would be kept without an end: what is to come of the segment is left out. */
static void give_up_segment(struct hls_channel *c)
{
    struct hls_data *rest = hls_mux_end_part(&c->mux, NULL);
    struct hls_piece piece = c->segmenter.segment;

    hls_data_unref(&rest);
    hls_data_unref(&c->whole);
    piece.duration_us = c->segmenter.last_us - piece.start_us;
    log_warn("hls", "msg=\"a segment is larger than it may be (hls.max_bytes)\" stream=%s",
             c->name.text);
    hls_window_give_up(c, &piece);
    c->is_dirty = true;
}

static void take_media(struct hls_channel *c, const struct media_frame *frame, bool entry)
{
    struct hls_frame facts = {
        .kind = frame->info.kind,
        .entry = entry,
        .dts_us = frame->info.dts_us,
        .gop = frame->info.gop,
        .size_bytes = hls_mux_wants(&c->mux, frame->info.kind) ? frame_es(frame).size_bytes : 0};
    struct hls_cut pieces;
    unsigned bits;

    follow_lead(c);
    bits = hls_segmenter_feed(&c->segmenter, &facts, &pieces);
    cut(c, bits, &pieces, frame);
    if (bits & HLS_BEGINS_SEGMENT)
        begin_segment(c, frame);
    if (c->is_open && !(bits & HLS_OUTSIDE))
        hls_mux_add(&c->mux, frame);
    if (c->is_open && c->segmenter.segment.size_bytes > hls_conf_of(c->hls)->max_bytes)
        give_up_segment(c);
}

static void take(struct hls_channel *c, const struct media_frame *frame, bool entry)
{
    if (frame->info.flags & FRAME_CONFIG && track_set_apply(&c->tracks, frame))
        hls_mux_take_tracks(&c->mux, &c->tracks);
    hls_mux_look(&c->mux, frame);
    if (hls_mux_has_place(&c->mux, frame))
        take_media(c, frame, entry);
}

/* --- runs --- */

void hls_channel_begin(struct hls_channel *c)
{
    const struct stream_plan *plan = stream_plan_of(c->stream);
    const struct gop_cache *cache = stream_cache(c->stream);
    bool has_audio, has_video;

    if (c->is_cutting || !plan || !stream_is_ready(c->stream, &has_audio, &has_video))
        return;
    take_plan(c, plan);
    track_set_copy(&c->tracks, cache->n_items ? &cache->base : stream_tracks(c->stream));
    hls_mux_take_tracks(&c->mux, &c->tracks);
    for (size_t i = 0; i < cache->n_items; i++)
        hls_mux_look(&c->mux, gop_cache_at(cache, i)->frame);
    init_segmenter(c);
    for (size_t i = 0; i < cache->n_items; i++) {
        const struct gop_item *item = gop_cache_at(cache, i);

        take(c, item->frame, item->entry);
    }
}

void hls_channel_frame(struct hls_channel *c, const struct media_frame *frame, bool entry)
{
    hls_channel_begin(c);
    if (!c->is_cutting)
        return;
    follow_plan(c);
    take(c, frame, entry);
    if (c->is_dirty)
        hls_channel_publish(c);
}

void hls_channel_end_run(struct hls_channel *c)
{
    struct hls_cut pieces;

    if (!c->is_cutting)
        return;
    cut(c, hls_segmenter_end(&c->segmenter, &pieces), &pieces, NULL);
    c->is_cutting = false;
}
