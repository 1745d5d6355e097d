/* How a run is cut into segments: decided once, by the node that numbers its GOPs, and told to all
 * others with @hw, so that all cut alike. Pure. */
#ifndef HW_NODE_STREAM_PLAN_H
#define HW_NODE_STREAM_PLAN_H

#include "common/base/buf.h"

#define STREAM_PLAN_TEXT_SIZE 128

struct stream_plan {
    uint64_t run;                  /* whose plan it is; 0 = none */
    uint64_t first_gop, first_msn; /* GOP first_gop is the first one of segment first_msn: of the
                                    * run, or behind where its tracks became other ones */
    uint32_t gops_per_segment;     /* 0 = the first GOP has not ended, so not known yet */
    uint32_t skipped_gops;         /* the first segment has so many less: borders are at multiples
                                    * of the length of segments, in the time of the source */
    uint32_t segment_ms, part_ms;  /* what was aimed at; part_ms 0 = no parts */
    uint64_t discontinuities;      /* between runs of this name before this one, before it, and in
                                    * it up to first_gop */
    uint64_t shift; /* of first_msn, by a node that was further already than who planned the run:
                     * segments have other numbers there, and so other names */
};

/* Media sequence number of the segment that the GOP is in. */
uint64_t stream_plan_msn(const struct stream_plan *plan, uint64_t gop);
/* All but the run. */
void stream_plan_write(const struct stream_plan *plan, char out[STREAM_PLAN_TEXT_SIZE]);
/* E_PROTO: broken. *out is written only on E_OK; its run is 0. */
enum err stream_plan_read(struct buf_view text, struct stream_plan *out);

/* --- the node that decides --- */

struct stream_planner {
    struct stream_plan plan; /* of the latest run that has one */
    uint64_t last_msn;       /* of the newest GOP of that */
    uint64_t gop;            /* that was counted last */
    uint64_t run;            /* that began at first_gop; its plan may be open yet */
    uint64_t first_gop;
    int64_t first_us;
    int64_t first_source_us; /* likewise, as its source stamps what is shown then */
    int64_t to_source_us;    /* from dts to that, for the next frame: who counts sets it */
    uint64_t told_msn, told_discontinuities; /* by nodes that had the stream elsewhere; of the */
    bool was_told;                           /* last segment that they had */
    int64_t gop_us;                          /* how long the first GOP of the run was */
    bool is_changed, is_other;               /* see stream_planner_note_change() */
};
struct stream_plan_conf {
    int64_t segment_us, part_us;
};
/* Does a frame of that GOP decide nothing and count for nothing? For each frame, so inline. */
static inline bool stream_planner_is_settled(const struct stream_planner *p, uint64_t run,
                                             uint64_t gop)
{
    return p->plan.run == run && p->run == run && p->gop == gop;
}
/* A frame of the run with its GOP number. Decides what is due: a run that follows another one
 * here begins behind that at once; one without a past waits for one part, so that nodes that had
 * the stream elsewhere can say how far they are. */
void stream_planner_count(struct stream_planner *p, const struct stream_plan_conf *conf,
                          uint64_t run, uint64_t gop, int64_t dts_us);
/* Another configuration: where the next GOP begins a segment does. is_other: another codec, or one
 * more track; then it is behind a discontinuity (RFC 8216 4.3.2.3), at which players begin anew. */
void stream_planner_note_change(struct stream_planner *p, bool is_other);
/* The upstream's word; gop comes next. Numbers never go back, though: a run that comes back after
 * another one, or that was planned by a node that did not know of it, begins behind that; while it
 * lasts its numbers stay as they were said first. */
void stream_planner_set(struct stream_planner *p, const struct stream_plan *plan, uint64_t gop);
/* A frame of a run that the upstream decides about. */
void stream_planner_follow(struct stream_planner *p, uint64_t run, uint64_t gop);
/* A node had the stream up to this segment. */
void stream_planner_tell(struct stream_planner *p, uint64_t msn, uint64_t discontinuities);

#endif
