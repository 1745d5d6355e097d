/* A feed: one stream in one wire format, as a chain of shared pages. The stream's home loop writes;
 * taps on any loop read. Muxed once, however many viewers there are. */
#ifndef HW_NODE_STREAM_FEED_H
#define HW_NODE_STREAM_FEED_H

#include <stdatomic.h>

#include "common/base/list.h"
#include "node/stream/format.h"
#include "node/stream/gop_cache.h"
#include "node/stream/page.h"
#include "node/stream/stream.h"

struct media_loop;

enum {                      /* feed.flags: set by the home loop, read by taps */
       FEED_READY = 1 << 0, /* the tracks are known: viewers may start */
       FEED_AUDIO = 1 << 1,
       FEED_VIDEO = 1 << 2,
       FEED_ENDED = 1 << 3,  /* nothing follows */
       FEED_KICKED = 1 << 4, /* with FEED_ENDED: viewers are not to wait for the rest */
       FEED_BROKEN = 1 << 5, /* with FEED_ENDED: out of memory inside a unit */
       FEED_LIVE = 1 << 6    /* the stream has a source: relays may start. One that started at a
                              * node without would take it for one, and two such nodes each other */
};

#define FEED_MAX_ENTRIES 18 /* gop_cache.count at most 16, one being written, one for relays */

struct feed_entry {
    struct feed_page *page; /* borrowed from the window */
    uint32_t mark;
};

struct feed {
    _Atomic uint32_t refs;
    const struct feed_format *format;
    struct feed_key key;
    _Atomic uint32_t codecs; /* packed struct stream_codecs; told before the frames of a new one */
    _Atomic uint32_t flags;  /* published after the bytes that they speak of */
    _Atomic uint64_t window_seq;   /* first page of the window: entry points before it are void */
    _Atomic uint64_t window_bytes; /* before_bytes of that page */
    _Atomic uint64_t epoch, run;   /* of the stream's publish, for relays */

    /* home loop only */
    struct media_loop *home;
    const struct stream_conf *conf;
    struct list stream_node; /* in stream.feeds */
    struct list touched_node;
    struct timer flush_timer;
    struct list taps;
    struct feed_page *window;    /* owned: holds the chain from here on */
    struct feed_page *published; /* last page of which something is published */
    struct feed_page *tail;
    struct feed_entry entries[FEED_MAX_ENTRIES]; /* oldest first */
    unsigned n_entries;
    struct track_set tracks;
    struct mux_context mux;
    const uint32_t *init_version; /* the configurations', but for formats that say when they pass
                                   * them on */
    bool is_learning;             /* see feed_learn() */
    uint32_t learned;             /* FEED_AUDIO, FEED_VIDEO: such a frame has come */
    int64_t learn_us;             /* dts of the first one; INT64_MIN = none yet */
    bool owes_entry;              /* of the last entry point nothing was written */
    bool has_pictures;           /* a frame of video was written since the configurations changed */
    uint32_t set_flags;          /* flags from the next publication on */
    bool pending, pending_video; /* written but not published */
    size_t fresh_init_bytes;     /* of entry points not published */
    int64_t pending_us;          /* since when */
    int64_t published_us;        /* last flush; 0 = the next one is due at once */
    int64_t video_us;            /* last flush with a video frame */
};

/* Home loop. One reference for the stream; NULL when out of memory. */
struct feed *feed_create(struct media_loop *home, const struct feed_key *key,
                         const struct stream_conf *conf);
/* Any thread. */
struct feed *feed_ref(struct feed *feed);
void feed_unref(struct feed **feed);
/* Home loop: gives up the window and the stream's reference. */
void feed_close(struct feed **feed);

/* Home loop: muxes what the cache holds, unless there is more to learn, then publishes. */
void feed_fill(struct feed *feed, const struct gop_cache *cache);
/* Home loop: formats that learn from frames what their init data says begin when there was one of
 * each track, so that who waits from before the stream's begin gets all of them. While
 * is_learning is set each frame comes here first; true: fill the feed, then append the frame, which
 * the init data knows of already. */
bool feed_learn(struct feed *feed, const struct media_frame *frame);
/* Home loop: one unit; it is published by the flush policy. */
void feed_append(struct feed *feed, const struct media_frame *frame, bool entry);
/* Home loop: what the stream is made of from now on. Any thread: the same as it was told last. */
void feed_set_codecs(struct feed *feed, const struct stream_codecs *codecs);
void feed_get_codecs(const struct feed *feed, struct stream_codecs *codecs);
/* Home loop: the configuration of an earlier source is void. */
void feed_clear_tracks(struct feed *feed);
/* Home loop: what @hw tags say from now on. */
void feed_set_upstream(struct feed *feed, uint64_t epoch, uint64_t run, int64_t wall_offset_us);
/* Home loop: the nodes above us have changed; path is borrowed for as long as the feed lives. */
void feed_set_path(struct feed *feed, const char *path);
/* Home loop: how late we are, which the next nodes are told; borrowed for as long as the feed
 * lives. */
void feed_set_lag(struct feed *feed, const struct stream_lag *lag);
/* Home loop: how the stream is cut, which the next nodes are told; likewise. */
void feed_set_plan(struct feed *feed, const struct stream_plan *plan);
/* Home loop: the stream got a source, or lost it. */
void feed_set_live(struct feed *feed, bool live);
/* Home loop, ten times a second: where nothing came for a while, relays hear that we are there, and
 * what changed above us. A node that has not heard from its own upstream either (now->ingest_us
 * stands still) has nothing to say. */
void feed_check_silence(struct feed *feed, const struct media_frame_info *now);
/* Home loop: sets flags, which are published with all that is written at the end of this turn. */
void feed_set_flags(struct feed *feed, uint32_t flags);
/* Home loop: what is written becomes visible, and the taps are woken. */
void feed_publish(struct feed *feed);

/* Memory from the page up to the window, alive because slow viewers hold them. Any thread that
 * holds the page. */
size_t feed_pinned_bytes(const struct feed *feed, const struct feed_page *oldest);

/* --- flush policy (flush.c): home loop --- */
void flush_init(struct feed *feed);
/* The feed has something to publish. */
void flush_touch(struct feed *feed);
void flush_forget(struct feed *feed);
/* End of turn: publishes what is due, arms timers for the rest. */
void flush_turn(struct media_loop *ml);

#endif
