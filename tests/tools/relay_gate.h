/* What a target of a relay is to get: headers first, then from a key frame on; when it falls
 * behind, nothing until the next key frame. And time that goes on when the source begins again.
 * Sans I/O. */
#ifndef HW_TESTS_TOOLS_RELAY_GATE_H
#define HW_TESTS_TOOLS_RELAY_GATE_H

#include "tests/tools/media_input.h"

#define RELAY_MAX_HEADS 16u /* metadata, and configurations of so many tracks */

struct relay_head {
    uint8_t type_id;
    struct media_frame_info info;
    struct buf_writer body;
};
/* The newest ones of a source; zeroed = none. */
struct relay_heads {
    struct relay_head each[RELAY_MAX_HEADS];
    unsigned n;
    bool has_video; /* some was seen: then only a key frame begins */
};
/* Keeps the tag if it is one. E_NOMEM: it is as it was. */
enum err relay_heads_note(struct relay_heads *heads, const struct media_tag *tag);
void relay_heads_fini(struct relay_heads *heads);

struct relay_gate { /* of one target; zeroed = closed */
    bool is_open;
    uint64_t n_dropped; /* frames, since it was open first */
    bool was_open;
};
enum relay_verdict { RELAY_DROP, RELAY_PASS, RELAY_BEGIN /* headers first */ };
/* is_behind: its queue is too long for more. */
enum relay_verdict relay_gate_judge(struct relay_gate *gate, const struct relay_heads *heads,
                                    const struct media_tag *tag, bool is_behind);
/* The target is gone: the next one begins anew. */
void relay_gate_close(struct relay_gate *gate);

/* Times of all sources one behind the other; zeroed = none yet. */
struct relay_clock {
    bool has_source, is_known;
    int64_t offset_us, last_us, last_wall_us;
};
/* The source begins anew: its times may be any. */
void relay_clock_begin(struct relay_clock *clock);
/* Time as targets are told it: from 0 on, never back by a new source, and for the time without any
 * it has gone on. */
int64_t relay_clock_time(struct relay_clock *clock, const struct media_tag *tag, int64_t wall_us);

#endif
