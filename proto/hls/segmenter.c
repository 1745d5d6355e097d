/* Borders of segments and parts. See the header for what they may depend on. */
#include "proto/hls/segmenter.h"

#include <assert.h>

#define MAX_GOPS_PER_SEGMENT 1024u

unsigned hls_gops_per_segment(int64_t gop_us, int64_t target_us)
{
    double want, n_gops = 1;

    if (gop_us <= 0 || target_us <= 0)
        return 1;
    want = (double)target_us / (double)gop_us;
    /* Nearest by ratio: 2n is nearer than n above n times the root of 2. */
    while (n_gops < MAX_GOPS_PER_SEGMENT && want * want > 2 * n_gops * n_gops)
        n_gops *= 2;
    return (unsigned)n_gops;
}

unsigned hls_skipped_gops(int64_t start_us, int64_t gop_us, unsigned gops_per_segment)
{
    if (start_us < 0 || gop_us <= 0 || gops_per_segment < 2)
        return 0;
    return (unsigned)((uint64_t)(start_us + gop_us / 2) / (uint64_t)gop_us % gops_per_segment);
}

/* From the beginning of segment first_msn, had it been whole. */
static uint64_t place_of(const struct hls_segmenter_conf *conf, uint64_t gop)
{
    return gop - conf->first_gop + conf->skipped_gops;
}

uint64_t hls_msn_of(const struct hls_segmenter_conf *conf, uint64_t gop)
{
    return conf->first_msn + place_of(conf, gop) / conf->gops_per_segment;
}

void hls_segmenter_init(struct hls_segmenter *s, const struct hls_segmenter_conf *conf)
{
    assert(conf->gops_per_segment > 0);
    *s = (struct hls_segmenter){.conf = *conf};
}

static void end_piece(struct hls_piece *piece, int64_t end_us)
{
    piece->duration_us = end_us > piece->start_us ? end_us - piece->start_us : 0;
}

static unsigned end_part(struct hls_segmenter *s, int64_t end_us, struct hls_cut *cut)
{
    if (!s->inside || !s->conf.part_us)
        return 0;
    cut->part = s->part;
    end_piece(&cut->part, end_us);
    s->segment.part++;
    return HLS_ENDS_PART;
}

static unsigned begin_part(struct hls_segmenter *s, const struct hls_frame *frame)
{
    if (!s->conf.part_us)
        return 0;
    s->part = (struct hls_piece){.msn = s->segment.msn,
                                 .part = s->segment.part,
                                 .start_us = frame->dts_us,
                                 .independent = frame->entry || s->conf.lead == MEDIA_AUDIO};
    return HLS_BEGINS_PART;
}

static unsigned end_segment(struct hls_segmenter *s, int64_t end_us, struct hls_cut *cut)
{
    unsigned bits = end_part(s, end_us, cut);

    if (!s->inside)
        return 0;
    s->segment.whole = s->gops_seen == s->conf.gops_per_segment;
    cut->segment = s->segment;
    end_piece(&cut->segment, end_us);
    s->inside = false;
    return bits | HLS_ENDS_SEGMENT;
}

static unsigned begin_segment(struct hls_segmenter *s, const struct hls_frame *frame)
{
    s->segment = (struct hls_piece){
        .msn = hls_msn_of(&s->conf, frame->gop), .start_us = frame->dts_us, .independent = true};
    s->gops_seen = frame->gop == s->conf.first_gop ? 1 + s->conf.skipped_gops : 1;
    s->inside = true;
    return HLS_BEGINS_SEGMENT | begin_part(s, frame);
}

/* Does the lead frame begin its GOP? Sound needs no mark: any frame will do, so the first one with
 * a new number does (sound of a stream that has video too is not marked). */
static bool begins_gop(const struct hls_segmenter *s, const struct hls_frame *frame)
{
    if (s->known && frame->gop == s->gop)
        return false;
    return frame->entry || (s->conf.lead == MEDIA_AUDIO && s->known);
}

/* A GOP begins with this frame, and maybe a segment. */
static unsigned begin_gop(struct hls_segmenter *s, const struct hls_frame *frame,
                          struct hls_cut *cut)
{
    bool counted = frame->gop >= s->conf.first_gop;
    bool first = counted && (frame->gop == s->conf.first_gop ||
                             place_of(&s->conf, frame->gop) % s->conf.gops_per_segment == 0);
    unsigned bits;

    s->interval_us = 0;
    if (s->inside && !first && counted && hls_msn_of(&s->conf, frame->gop) == s->segment.msn) {
        s->gops_seen++;
        bits = end_part(s, frame->dts_us, cut);
        return bits | begin_part(s, frame);
    }
    bits = end_segment(s, frame->dts_us, cut);
    return first ? bits | begin_segment(s, frame) : bits | HLS_OUTSIDE;
}

/* Would the part be too long with this frame in it, if that is as long as the one before it? */
static bool part_is_full(const struct hls_segmenter *s, const struct hls_frame *frame)
{
    int64_t before_us = frame->dts_us - s->part.start_us;

    return s->conf.part_us && before_us > 0 &&
           before_us + s->interval_us > s->conf.part_us + HLS_PART_SLACK_US;
}

static unsigned feed_lead(struct hls_segmenter *s, const struct hls_frame *frame,
                          struct hls_cut *cut)
{
    bool begins = begins_gop(s, frame);
    unsigned bits = 0;

    if (s->known && !begins && frame->dts_us > s->last_us)
        s->interval_us = s->step_us = frame->dts_us - s->last_us;
    s->last_us = frame->dts_us;
    if (!begins && s->known && frame->gop != s->gop) /* its beginning is missing */
        bits = end_segment(s, frame->dts_us, cut) | HLS_OUTSIDE;
    s->gop = frame->gop;
    s->known = true;
    if (begins)
        return begin_gop(s, frame, cut);
    if (s->inside && part_is_full(s, frame)) {
        bits |= end_part(s, frame->dts_us, cut);
        bits |= begin_part(s, frame);
    }
    return bits;
}

unsigned hls_segmenter_feed(struct hls_segmenter *s, const struct hls_frame *frame,
                            struct hls_cut *cut)
{
    unsigned bits = frame->kind == s->conf.lead ? feed_lead(s, frame, cut) : 0;

    if (!s->inside)
        return bits | HLS_OUTSIDE;
    s->segment.size_bytes += frame->size_bytes;
    s->part.size_bytes += frame->size_bytes;
    if (frame->kind == s->conf.lead) {
        s->segment.n_frames++;
        s->part.n_frames++;
    }
    return bits;
}

unsigned hls_segmenter_end(struct hls_segmenter *s, struct hls_cut *cut)
{
    int64_t frame_us = s->interval_us ? s->interval_us : s->step_us;
    unsigned bits = end_segment(s, s->last_us + frame_us, cut);

    s->known = false;
    s->interval_us = s->step_us = 0;
    return bits;
}
