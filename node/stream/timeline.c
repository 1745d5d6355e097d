/* Stream time. */
#include "node/stream/timeline.h"

#include <string.h>

#define TS_FAR_MS (INT64_C(1) << 50) /* 35,000 years: microseconds still fit */

void timeline_init(struct timeline *t)
{
    memset(t, 0, sizeof *t);
}

void timeline_new_source(struct timeline *t)
{
    t->anchored = false;
}

void timeline_anchor(struct timeline *t, int64_t src_dts_us, int64_t dts_us)
{
    t->offset_us = dts_us - src_dts_us;
    t->anchored = true;
}

static int64_t highest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The next frame continues after everything given so far. A first source keeps its own times. */
static void rebase(struct timeline *t, int64_t src_dts_us)
{
    if (t->running) {
        t->offset_us = t->end_us + TIMELINE_GAP_US - src_dts_us;
        t->n_rebased++;
    }
    t->anchored = true;
}

/* Configuration and metadata often carry time 0 whatever the clock: they never move it, and are put
 * where nothing of their kind goes back, neither they nor what follows. */
static int64_t map_other(struct timeline *t, enum media_kind kind, int64_t src_dts_us)
{
    int64_t last_us = t->last_dts_us[kind];
    int64_t dts_us = src_dts_us + t->offset_us;

    if (!t->anchored)
        dts_us = t->end_us; /* what comes next is later */
    else if (dts_us < last_us || dts_us > t->end_us)
        dts_us = last_us > 0 && kind != MEDIA_DATA ? last_us : t->end_us;
    if (kind == MEDIA_DATA)
        t->last_dts_us[kind] = dts_us;
    return dts_us;
}

int64_t timeline_map(struct timeline *t, enum media_kind kind, bool config, int64_t src_dts_us)
{
    int64_t dts_us;

    if (config || kind == MEDIA_DATA)
        return map_other(t, kind, src_dts_us);
    if (!t->anchored)
        rebase(t, src_dts_us);
    dts_us = src_dts_us + t->offset_us;
    if (t->running && (dts_us < t->last_dts_us[kind] - TIMELINE_MAX_BACK_US ||
                       dts_us > t->end_us + TIMELINE_MAX_FORWARD_US)) {
        rebase(t, src_dts_us);
        dts_us = src_dts_us + t->offset_us;
    }
    if (t->running && dts_us < t->last_dts_us[kind]) {
        dts_us = t->last_dts_us[kind];
        t->n_clamped++;
    }
    t->last_dts_us[kind] = dts_us;
    t->end_us = t->running ? highest(t->end_us, dts_us) : dts_us;
    t->running = true;
    return dts_us;
}

int64_t timeline_map_beside(struct timeline *t, enum media_kind kind, bool config,
                            int64_t src_dts_us)
{
    int64_t dts_us = src_dts_us + t->offset_us;

    if (!t->anchored || config || dts_us < t->end_us - TIMELINE_MAX_BACK_US ||
        dts_us > t->end_us + TIMELINE_MAX_FORWARD_US)
        return timeline_map(t, kind, config, src_dts_us);
    return dts_us;
}

int64_t ts_unwrap_us(struct ts_unwrap *u, uint32_t ts_ms)
{
    if (!u->started) {
        u->started = true;
        u->last_ms = ts_ms;
    } else {
        u->last_ms += (int32_t)(ts_ms - (uint32_t)u->last_ms);
        if (u->last_ms > TS_FAR_MS || u->last_ms < -TS_FAR_MS)
            u->last_ms = ts_ms; /* only leaps of weeks at a time lead here: a new clock */
    }
    return u->last_ms * 1000;
}
