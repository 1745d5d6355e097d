/* RTMP publishers that all send the same clip, each at its own phase of the frame interval. */
#ifndef HW_TESTS_TOOLS_LOAD_PUBLISHER_H
#define HW_TESTS_TOOLS_LOAD_PUBLISHER_H

#include "tests/tools/load_shared.h"

struct load_publisher; /* private */
struct load_due;       /* private */

struct load_publishers { /* zeroed = none */
    struct load_shared *shared;
    const struct load_clip *clip; /* borrowed; its stamps are written */
    struct load_target target;
    struct load_publisher *each; /* owned, n_asked */
    struct load_due *heap;       /* owned: who sends next is in front */
    unsigned n_heap;
    int64_t begin_us;   /* of connecting; 0 = not yet */
    int64_t settled_us; /* when the last one that runs has sent its first frames */
    unsigned n_asked;
    unsigned n_dialed;
    unsigned n_connected; /* have published, also those lost since */
    unsigned n_refused;   /* never did */
    unsigned n_lost;
    /* Within the window: */
    uint64_t frames;
    uint64_t bytes;
    struct load_hist late; /* how much later than due a frame was sent */
};

/* Borrows all but n. E_NOMEM. Pair with load_publishers_fini(). */
enum err load_publishers_init(struct load_publishers *all, struct load_shared *shared, unsigned n,
                              const struct load_target *target, const struct load_clip *clip);
/* Ends the streams that run, closes all connections. */
void load_publishers_fini(struct load_publishers *all);
/* Connects who is to connect by now and sends what is due. Returns when to call again at the
 * latest, INT64_MAX = no need. */
int64_t load_publishers_turn(struct load_publishers *all, int64_t now_us);
/* Sends what is due by now; nearly free when nothing is. A turn in which thousands of players read
 * is long, so they call this in between. */
void load_publishers_send_due(struct load_publishers *all, int64_t now_us);
/* All have either failed or sent their first frames. */
bool load_publishers_are_settled(const struct load_publishers *all, int64_t now_us);

#endif
