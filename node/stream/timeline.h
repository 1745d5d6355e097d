/* One clock a stream, whoever feeds it: source times are moved by a constant; a source change, a
 * jump back or an absurd jump forward picks a new constant, so that what a viewer sees never goes
 * backwards. Pure; home loop only. */
#ifndef HW_NODE_STREAM_TIMELINE_H
#define HW_NODE_STREAM_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/media/frame.h"

#define TIMELINE_GAP_US 40000            /* put between the last frame of one source and the next */
#define TIMELINE_MAX_BACK_US 1000000     /* more is a new clock, less is clamped */
#define TIMELINE_MAX_FORWARD_US 30000000 /* more is a new clock */

struct timeline {
    int64_t offset_us;                  /* stream time = source time + offset */
    int64_t last_dts_us[MEDIA_N_KINDS]; /* stream time */
    int64_t end_us;                     /* highest stream time given */
    bool running;                       /* some frame was ever given */
    bool anchored;                      /* offset_us is set for this source */
    uint64_t n_rebased, n_clamped;
};

void timeline_init(struct timeline *t);
/* A new source: the next audio or video frame picks a new constant. */
void timeline_new_source(struct timeline *t);
/* What this source has at src_dts_us was given at dts_us before: its clock is moved by what lies
 * between. */
void timeline_anchor(struct timeline *t, int64_t src_dts_us, int64_t dts_us);
/* Source time to stream time; config says that the frame carries no picture or sound. */
int64_t timeline_map(struct timeline *t, enum media_kind kind, bool config, int64_t src_dts_us);
/* Of tracks beside the default ones: they follow the clock that those make, and are not put in
 * order with them. */
int64_t timeline_map_beside(struct timeline *t, enum media_kind kind, bool config,
                            int64_t src_dts_us);

/* 32-bit millisecond stamps to 64-bit microseconds, over any number of wraps and small steps back.
 */
struct ts_unwrap {
    int64_t last_ms;
    bool started;
};
int64_t ts_unwrap_us(struct ts_unwrap *u, uint32_t ts_ms);

#endif
