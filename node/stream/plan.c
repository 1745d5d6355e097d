/* See plan.h. */
#include "node/stream/plan.h"

#include <inttypes.h>
#include <stdio.h>

#include "proto/hls/segmenter.h"

#define MAX_PIECE_MS 600000u
#define PLAN_NUMBERS 8
#define MSN_SLACK_US 100000 /* of times at borders: pictures that are shown later than others */
#define MAX_SOURCE_US (INT64_C(1) << 53)

uint64_t stream_plan_msn(const struct stream_plan *plan, uint64_t gop)
{
    if (gop < plan->first_gop || !plan->gops_per_segment)
        return plan->first_msn;
    return plan->first_msn + (gop - plan->first_gop + plan->skipped_gops) / plan->gops_per_segment;
}

/* --- text --- */

void stream_plan_write(const struct stream_plan *plan, char out[STREAM_PLAN_TEXT_SIZE])
{
    snprintf(out, STREAM_PLAN_TEXT_SIZE,
             "%" PRIu64 ",%" PRIu64 ",%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",%" PRIu64 ",%" PRIu64
             ",%" PRIu32,
             plan->first_gop, plan->first_msn, plan->gops_per_segment, plan->segment_ms,
             plan->part_ms, plan->discontinuities, plan->shift, plan->skipped_gops);
}

/* Digits up to a comma, which is passed, or the end. */
static bool read_number(struct buf_reader *in, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    bool any = false;

    while (in->left_bytes) {
        uint8_t digit = (uint8_t)(buf_read_u8(in) - '0');

        if (digit == (uint8_t)(',' - '0'))
            break;
        if (digit > 9 || __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, digit, &value) || value > max)
            return false;
        any = true;
    }
    *out = value;
    return any;
}

enum err stream_plan_read(struct buf_view text, struct stream_plan *out)
{
    /* Numbers that grow leave room to count on. */
    static const uint64_t k_max[PLAN_NUMBERS] = {UINT64_MAX / 4, UINT64_MAX / 4, 65536,
                                                 MAX_PIECE_MS,   MAX_PIECE_MS,   UINT64_MAX / 4,
                                                 UINT64_MAX / 4, 65536};
    struct buf_reader in = buf_reader_from(text);
    uint64_t n[PLAN_NUMBERS];

    for (unsigned i = 0; i < PLAN_NUMBERS; i++)
        if (!read_number(&in, k_max[i], &n[i]))
            return E_PROTO;
    if (in.left_bytes || !n[3] || (n[7] && n[7] >= n[2]))
        return E_PROTO;
    *out = (struct stream_plan){.first_gop = n[0],
                                .first_msn = n[1],
                                .gops_per_segment = (uint32_t)n[2],
                                .segment_ms = (uint32_t)n[3],
                                .part_ms = (uint32_t)n[4],
                                .discontinuities = n[5],
                                .shift = n[6],
                                .skipped_gops = (uint32_t)n[7]};
    return E_OK;
}

/* --- decisions --- */

/* Of a run without a past: what began earlier, at the same time of the source, has it, too. */
static uint64_t msn_by_source(const struct stream_planner *p, const struct stream_plan_conf *conf)
{
    int64_t at_us = p->first_source_us + MSN_SLACK_US;

    if (at_us < 0 || at_us > MAX_SOURCE_US || conf->segment_us <= 0)
        return 0;
    return (uint64_t)(at_us / conf->segment_us);
}

static void begin(struct stream_planner *p, const struct stream_plan_conf *conf)
{
    uint64_t msn = 0, discontinuities = 0;

    if (!p->plan.run && !p->was_told)
        msn = msn_by_source(p, conf);

    if (p->plan.run) {
        msn = p->last_msn + 1;
        discontinuities = p->plan.discontinuities + 1;
    }
    if (p->was_told && p->told_msn >= msn) {
        msn = p->told_msn + 1;
        discontinuities = p->told_discontinuities + 1;
    }
    p->plan = (struct stream_plan){.run = p->run,
                                   .first_gop = p->first_gop,
                                   .first_msn = msn,
                                   .segment_ms = (uint32_t)(conf->segment_us / 1000),
                                   .part_ms = (uint32_t)(conf->part_us / 1000),
                                   .discontinuities = discontinuities};
    p->last_msn = msn;
}

/* Who had the stream says so when it asks for it, which is now. */
static bool is_due(const struct stream_planner *p, const struct stream_plan_conf *conf,
                   uint64_t gop, int64_t dts_us)
{
    return p->plan.run || p->was_told || gop != p->first_gop ||
           dts_us - p->first_us >= conf->part_us;
}

static void note_gop(struct stream_planner *p, uint64_t gop)
{
    p->gop = gop;
    p->last_msn = stream_plan_msn(&p->plan, gop);
}

void stream_planner_note_change(struct stream_planner *p, bool is_other)
{
    p->is_changed = true;
    p->is_other |= is_other;
}

/* What has begun with the old tracks ends here. */
static void begin_anew(struct stream_planner *p, uint64_t gop, int64_t dts_us)
{
    p->plan.first_gop = gop;
    p->plan.first_msn = p->last_msn + 1;
    p->plan.skipped_gops =
        hls_skipped_gops(dts_us + p->to_source_us, p->gop_us, p->plan.gops_per_segment);
    p->plan.discontinuities += p->is_other;
    p->is_changed = p->is_other = false;
}

void stream_planner_count(struct stream_planner *p, const struct stream_plan_conf *conf,
                          uint64_t run, uint64_t gop, int64_t dts_us)
{
    if (!gop || !run)
        return;
    if (run != p->run) {
        p->run = run;
        p->first_gop = gop;
        p->first_us = dts_us;
        p->first_source_us = dts_us + p->to_source_us;
        p->gop = gop;
        p->is_changed = p->is_other = false;
    }
    if (p->plan.run != run && is_due(p, conf, gop, dts_us))
        begin(p, conf);
    if (p->plan.run != run)
        return;
    if (!p->plan.gops_per_segment && gop > p->first_gop) {
        p->gop_us = dts_us - p->first_us;
        p->plan.gops_per_segment = hls_gops_per_segment(p->gop_us, conf->segment_us);
        p->plan.skipped_gops =
            hls_skipped_gops(p->first_source_us, p->gop_us, p->plan.gops_per_segment);
    }
    if (p->is_changed && gop > p->gop)
        begin_anew(p, gop, dts_us);
    note_gop(p, gop);
}

static void move_behind(struct stream_plan *plan, const struct stream_planner *p, uint64_t by)
{
    plan->first_msn += by;
    plan->shift += by;
    if (plan->discontinuities <= p->plan.discontinuities)
        plan->discontinuities = p->plan.discontinuities + 1;
}

/* The run's numbers stay what they were said first, here; where it is cut anew is said later. */
static struct stream_plan of_same_run(const struct stream_plan *had, const struct stream_plan *said)
{
    struct stream_plan next = *had;

    if (!next.gops_per_segment) {
        next.gops_per_segment = said->gops_per_segment;
        next.skipped_gops = said->skipped_gops;
    }
    if (said->first_gop <= had->first_gop)
        return next;
    next = *said;
    next.first_msn += had->shift - said->shift;
    next.shift = had->shift;
    if (next.discontinuities < had->discontinuities)
        next.discontinuities = had->discontinuities;
    return next;
}

void stream_planner_set(struct stream_planner *p, const struct stream_plan *plan, uint64_t gop)
{
    struct stream_plan next = *plan;
    uint64_t msn = stream_plan_msn(plan, gop);

    if (p->plan.run == plan->run) {
        next = of_same_run(&p->plan, plan);
    } else if (p->plan.run && msn <= p->last_msn) {
        move_behind(&next, p, p->last_msn + 1 - msn);
    }
    p->plan = next;
    p->run = next.run;
    p->first_gop = next.first_gop;
    note_gop(p, gop);
}

void stream_planner_follow(struct stream_planner *p, uint64_t run, uint64_t gop)
{
    if (p->plan.run == run)
        note_gop(p, gop);
}

void stream_planner_tell(struct stream_planner *p, uint64_t msn, uint64_t discontinuities)
{
    if (p->was_told && p->told_msn >= msn)
        return;
    p->was_told = true;
    p->told_msn = msn;
    p->told_discontinuities = discontinuities;
}
