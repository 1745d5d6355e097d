/* A tap: one loop's view of a feed. It knows the published end that its viewers have, the entry
 * points they may start at, and holds the pages from its slowest viewer on. Its loop's alone,
 * except for the fields that say otherwise. */
#ifndef HW_NODE_STREAM_TAP_H
#define HW_NODE_STREAM_TAP_H

#include <stdatomic.h>

#include "common/base/list.h"
#include "common/net/loop.h"
#include "node/stream/feed.h"
#include "node/stream/viewer.h"

enum tap_state {
    TAP_OPENING, /* the home loop was asked */
    TAP_OPEN,
    TAP_CLOSING, /* the home loop was told; the tap lives until it answers */
    TAP_CLOSED   /* answered; freed when no wake-up is under way */
};

struct tap_entry {
    struct feed_pos pos; /* borrowed page: at or after tap.oldest */
    const struct feed_mark *mark;
};

struct tap_live { /* a viewer that has all: what a flush needs of it, side by side */
    struct viewer *viewer;
    struct conn *conn; /* the viewer's */
};

struct tap {
    struct loop_msg msg; /* to the home loop and back, one at a time */
    struct media_loop *ml;
    struct stream *stream; /* owned reference */
    struct feed_key feed_key;
    enum tap_state state;
    char key[432]; /* "format/tracks/style/app/name" in ml->taps */

    /* shared with the home loop */
    _Atomic uint32_t dirty;               /* on the loop's list of taps to serve */
    struct tap *dirty_next;               /* owned by whoever set dirty */
    _Atomic uint32_t n_viewers, n_relays; /* for the stream's counts */

    /* home loop's */
    struct list home_node; /* in feed->taps */

    /* set by the home loop before it answers the opening */
    enum err open_result;
    struct feed *feed;        /* owned reference */
    struct feed_page *oldest; /* owned reference: all pages from here on stay */

    struct list all_node;  /* in ml->all_taps */
    uint32_t codecs;       /* the feed's, packed, when it was served last */
    uint32_t flags;        /* the feed's, as of end: no bytes follow an end that is seen here */
    struct feed_pos end;   /* what live viewers have */
    struct feed_pos scan;  /* marks before it were looked at */
    uint64_t released_seq; /* of end's page when pages were given up last */
    struct tap_entry entries[FEED_MAX_ENTRIES]; /* oldest first */
    unsigned n_entries;
    struct tap_live *live;
    uint32_t n_live, live_capacity;
    struct list behind, waiting;
    unsigned n_waiting;
    bool serving; /* viewers that leave now do not close the tap at once */
};

/* Finds or makes the loop's tap of that stream and kind of feed; NULL when out of memory. */
struct tap *tap_get(struct media_loop *ml, const struct stream_name *name,
                    const struct feed_key *feed_key);
/* Something was published, or the tap was opened. */
void tap_serve(struct tap *tap);
/* Lag, stalls, parked viewers; 10 times a second. */
void tap_housekeeping(struct tap *tap, int64_t now_us);
/* A viewer left: closes the tap after the last one. */
void tap_viewer_gone(struct tap *tap);
/* Loop stopped: frees without asking the home loop. */
void tap_abandon(struct tap *tap);

/* viewer.c, for taps */
enum err viewer_start(struct viewer *viewer, const struct tap_entry *entry); /* WAITING -> BEHIND */
/* Sends what it can up to the tap's end; becomes live when it has all. Ends it when its connection
 * broke or the stream is over; false then, and the viewer may be gone. */
bool viewer_pump_or_end(struct viewer *viewer);
/* LIVE -> BEHIND at the position where its connection got stuck. */
void viewer_fall_behind(struct viewer *viewer, struct feed_pos pos);
/* Lag and stall rules; true when the viewer was ended. */
bool viewer_check(struct viewer *viewer, int64_t now_us);
/* Takes it out of the tap and calls on_end. */
void viewer_end(struct viewer *viewer, enum err why);

#endif
