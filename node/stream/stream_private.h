/* The inside of struct stream, for the files of this room. */
#ifndef HW_NODE_STREAM_STREAM_PRIVATE_H
#define HW_NODE_STREAM_STREAM_PRIVATE_H

#include "node/stream/feed.h"
#include "node/stream/hops.h"
#include "node/stream/lag.h"
#include "node/stream/media_loop.h"
#include "node/stream/plan.h"
#include "node/stream/stream.h"

#define EARLY_FRAMES_MAX 512 /* audio kept while it is open whether video comes */

enum stream_state {
    STREAM_WAITING, /* no source yet */
    STREAM_LIVE,    /* has a source */
    STREAM_GRACE,   /* lost its source, keeps its viewers for a while */
    STREAM_ENDED    /* out of the registry; its last taps are leaving */
};

/* Where we are in a run: enough to find the place in what another node has of it, since GOPs have
 * their numbers from its origin, and their frames the same order everywhere. */
struct stream_position {
    uint64_t gop;                     /* 0 = none of this run has begun here */
    int64_t dts_us;                   /* of its entry point, stream time */
    uint32_t n_frames[MEDIA_N_KINDS]; /* of it so far, headers not counted */
};

#define RUNS_LEFT 4

/* A run that another one followed. It may come again: an encoder that was let in for a moment only,
 * or an upstream that has not heard of the change. */
struct run_left {
    uint64_t run, gop; /* GOPs of it up to this one were given, the last one perhaps in part */
};

/* A track as its frames have shown it. */
struct track_note {
    enum media_kind kind;
    enum media_codec codec;
    uint8_t id;
    uint8_t nal_length_bytes; /* as its configuration says; 0 = not known, or there are none */
    bool has_config;          /* one of this codec has come */
};

/* Sound for a stream that has none. */
struct silence {
    bool is_on;
    int64_t base_us; /* stream time of frame 0 */
    int64_t n;       /* of the next frame */
};

struct stream {
    _Atomic uint32_t refs;
    struct stream_name name;
    struct registry *registry;
    struct hops hops;          /* any thread */
    struct loop_msg adopt_msg; /* brings a new stream home */
    struct media_loop *home;

    /* Home loop only from here on. First what every frame reads or writes, side by side: with
     * thousands of streams each line is fetched from memory. */
    struct source *source; /* borrowed while LIVE */
    struct list feeds;     /* feed.stream_node: those in use */
    struct stream_codecs codecs;
    bool numbers_gops;         /* the source leaves GOP numbers to us */
    bool ready;                /* tracks are known */
    bool wait_key;             /* pictures before the first key frame are left out */
    bool has_audio, has_video; /* seen, or promised, for this source */
    bool resuming;             /* the source is not past our position yet */
    bool is_ending;            /* stream_end() is on the stack */
    bool holds_headers;        /* something is in held */
    bool is_timed;             /* ingest_us is that of the next frame itself */
    uint64_t bytes_in, video_bytes_in, n_frames[MEDIA_N_KINDS];
    int64_t first_frame_us; /* of this source, home loop's clock; 0 none yet */
    int64_t last_frame_us;
    uint64_t gop, upstream_gop; /* of the newest frame; upstream's latest word, 0 at an origin */
    struct stream_position at;
    int64_t ingest_us, wall_us; /* likewise upstream's */
    struct timeline timeline;
    struct media_arena arena; /* of frames that come and go */
    struct gop_cache cache;

    enum stream_state state;
    struct list home_node; /* in home->streams */
    int64_t rate_since_us; /* when the rate was looked at last, and bytes_in then */
    uint64_t rate_bytes;
    bool is_watched;  /* by people or other nodes, when that was looked at last */
    bool is_missing;  /* it was said that nobody has it */
    int64_t asked_us; /* for its first source, at first; 0 = not yet */
    bool is_thin;     /* it sends so little that a slow tick's worth fits into any socket buffer */
    uint64_t epoch, run;
    uint32_t n_known[MEDIA_N_KINDS]; /* resuming: frames of the GOP that we are in, still to come */
    struct run_left left[RUNS_LEFT]; /* the latest ones, in any order */
    unsigned next_left;              /* the one that was left first, or none */
    uint64_t known_gop;   /* we had GOPs of this run up to this one before another came between */
    struct list standbys; /* struct standby */
    int64_t next_turn_us; /* of a standby, while there is no source */
    void *puller;         /* node/relay's, for this stream */
    struct track_note notes[TRACKS_MAX]; /* first n_notes: the tracks of this source */
    unsigned n_notes;
    struct silence silence;
    struct track_set tracks;
    struct track_set held; /* headers that came while resuming, for the first frame that is new */
    struct list sinks;     /* stream_sink.node */
    unsigned n_readers;    /* taps, and sinks that are wanted */
    struct stream_planner planner;
    _Atomic uint64_t told_msn; /* by a relay: the last segment that it had, and 1; 0 = none */
    _Atomic uint64_t told_discontinuities; /* likewise; written before told_msn */
    const struct media_frame **early;      /* EARLY_FRAMES_MAX of them, while needed */
    unsigned n_early;
    int64_t created_us, attached_us, detached_us;
    int64_t idle_since_us; /* no taps since; 0 = some */
    int64_t next_ask_us;   /* for a source */
    int64_t ask_backoff_ms;
    enum source_kind last_kind;
    struct stream_lag lag;
};

/* Two references: the registry's and the home loop's, which gets it by message. Under the
 * registry's lock, so that nobody's message about the stream overtakes it. NULL when out of memory.
 */
struct stream *stream_create(struct registry *registry, struct media_loop *home,
                             const struct stream_name *name);
/* Home loop. */
void registry_forget(struct registry *registry, struct stream *stream);
struct media_loop *registry_loop(const struct registry *registry, unsigned index);

/* Time rules: readiness, stalls, grace, idle pulls, asking for a source. Home loop. */
void stream_housekeeping(struct stream *stream, int64_t now_us);
/* Ends the stream: its viewers get what is left (flags: FEED_KICKED not even that). Home loop. */
void stream_end(struct stream *stream, uint32_t flags);
/* The tracks are known, or have to do. Home loop. */
void stream_become_ready(struct stream *stream);
/* Frames of this run follow, which is not the one before: nothing of that is gone on with. Home
 * loop. */
void stream_change_run(struct stream *stream, uint64_t run);
/* Epoch, run and clocks to the feeds. Home loop. */
void stream_tell_feeds(struct stream *stream);
/* The nodes above us are these. Home loop. */
void stream_set_path(struct stream *stream, const char *path);
/* What waits to be given to the feeds. Home loop. */
void stream_drop_waiting(struct stream *stream);

static inline struct feed *feed_at(const struct stream *stream, struct list *node)
{
    return node == &stream->feeds ? NULL : list_entry(node, struct feed, stream_node);
}
#define stream_for_each_feed(stream, feed)                                \
    for (struct feed *feed = feed_at(stream, (stream)->feeds.next); feed; \
         feed = feed_at(stream, feed->stream_node.next))
/* The feed of that kind; NULL when it is not in use. Home loop. */
struct feed *stream_feed(const struct stream *stream, const struct feed_key *key);

/* stream_tracks.c, home loop. Takes note of a frame: E_PROTO with *why when it is one track too
 * many, or, at an origin, broken. */
enum err stream_note_frame(struct stream *stream, const struct media_frame_info *info,
                           struct buf_view body, const char **why);
void stream_forget_tracks(struct stream *stream);
/* A feed learns which codecs there are; of what it has no place for it is said once. */
void stream_tell_codecs(struct stream *stream, struct feed *feed);

/* stream_silence.c, home loop: the stream is ready and has no sound; a frame of the default
 * pictures is about to be given; sound has come. */
void stream_silence_begin(struct stream *stream);
void stream_silence_until(struct stream *stream, int64_t dts_us);
void stream_silence_end(struct stream *stream);
/* stream_frames.c: numbers the frame and gives it to feeds and cache. Takes it. */
void stream_deliver(struct stream *stream, const struct media_frame **frame);

/* stream_standby.c, home loop: the publisher is gone, or the stream has ended. */
void stream_give_turn(struct stream *stream);
void stream_check_standbys(struct stream *stream, int64_t now_us);
void stream_end_standbys(struct stream *stream);

/* Home loop: a tap, or a sink that is wanted, comes and goes. Who goes last from a stream that has
 * ended frees it. */
void stream_add_reader(struct stream *stream);
void stream_remove_reader(struct stream *stream);
/* Somebody plays it, or another node pulls it. Home loop. */
bool stream_is_watched(const struct stream *stream);
/* Between the clock of ingest_us and the wall clock of the node that took the stream in. */
int64_t stream_wall_offset_us(const struct stream *s);

/* stream_readers.c, home loop. */
void stream_sinks_frame(struct stream *s, const struct media_frame *frame, bool entry);
void stream_sinks_source_change(struct stream *s);
void stream_sinks_end(struct stream *s);

/* stream_pace.c, home loop: how the source is read. Begin after it was attached, end before it is
 * let go; choose when the first viewer joined; check with each housekeeping. */
void stream_pace_begin(struct stream *stream);
void stream_pace_end(struct stream *stream);
void stream_choose_pace(struct stream *stream);
void stream_check_pace(struct stream *stream, int64_t now_us);

#endif
