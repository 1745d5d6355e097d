/* Players: groups of RTMP, HTTP-FLV or HTTP-TS clients that read a stream and look at each frame.
 */
#ifndef HW_TESTS_TOOLS_LOAD_PLAYER_H
#define HW_TESTS_TOOLS_LOAD_PLAYER_H

#include "tests/tools/load_shared.h"

struct load_player; /* private */

enum { LOAD_AUDIO, LOAD_VIDEO, LOAD_N_TRACKS };

struct load_group {
    struct load_shared *shared;
    const struct load_group_options *options; /* borrowed */
    struct load_target target;
    struct load_player *each; /* owned, n_asked */
    unsigned modulo;          /* of the index in the URL */
    int64_t begin_us;         /* of joining; 0 = not yet */
    unsigned n_asked;
    unsigned n_dialed;
    unsigned n_playing; /* now */
    unsigned n_keyed;   /* have had a key frame */
    unsigned n_missing; /* ended before they had one */
    unsigned n_lost;    /* ended after their first media */
    unsigned n_refused; /* ended before that */
    struct load_hist first_byte, first_key;
    /* Within the window: */
    uint64_t bytes, frames, reads, stalls, backward;
    struct load_hist latency[LOAD_N_TRACKS];
};

/* Borrows all but modulo. *why is a static text. Pair with load_group_fini(). */
enum err load_group_init(struct load_group *group, struct load_shared *shared,
                         const struct load_group_options *options, unsigned modulo,
                         const char **why);
void load_group_fini(struct load_group *group);
/* Lets join who is to join by now. Returns when to call again, INT64_MAX = no need. */
int64_t load_group_turn(struct load_group *group, int64_t now_us);
/* All have had a key frame or ended. */
bool load_group_is_settled(const struct load_group *group);
/* At the end of the window: who has been without a frame for too long is in a stall. */
void load_group_end_window(struct load_group *group, int64_t now_us);
/* Whoever never had media counts as refused from now on. */
void load_group_give_up(struct load_group *group);

#endif
