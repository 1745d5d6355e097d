/* What a media loop keeps for streams: feeds touched in this turn, taps to serve, sessions. Owned
 * by its loop; only media_loop_wake_tap() is for other threads. */
#ifndef HW_NODE_STREAM_MEDIA_LOOP_H
#define HW_NODE_STREAM_MEDIA_LOOP_H

#include <stdatomic.h>

#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/pool.h"
#include "common/net/loop.h"
#include "proto/http/trace_context.h"

#define MEDIA_LOOPS_MAX 256
#define SESSION_ID_SIZE 16

struct registry;
struct tap;
struct feed;
struct viewer;
struct admission_count;

struct session_counts {
    uint64_t bytes_in, bytes_out;
    uint64_t frames_in, frames_out; /* headers count, too */
    uint64_t n_dropped, n_jumps;    /* frames left out, in so many leaps over a lag */
    uint64_t max_in_bps;            /* a publisher's own limit; 0 = as configured */
    int64_t lag_us;
    const struct viewer *viewer; /* lent; NULL: it plays nothing */
    struct trace_id trace;       /* as its client told (trace_id.h), if pass.has_trace */
};

/* What only sessions of clients have; all zero but for the trace: it is another node's. Viewers are
 * many, so there is no block of its own for it. */
struct pass {
    struct admission_count *ip, *stream; /* where it counts (session/admission.h); NULL: nowhere */
    uint32_t seen_bytes;                 /* of its traffic, when it was measured last; wraps */
    uint8_t kind;                        /* enum admission_kind */
    uint8_t n_over;                      /* measures in a row above its limit */
    bool has_words; /* behind session_info.stream is what the client said: session/words.h */
    bool has_trace; /* session_info.count() has a trace; also another node's */
};

/* One client connection or pull, for the API and the logs. Embedded in its session, which lends the
 * texts: viewers are many, so this is small. */
struct session_info {
    struct list node; /* in media_loop.sessions */
    char id[SESSION_ID_SIZE];
    const char *protocol; /* "rtmp", "flv", "relay" */
    const char *kind;     /* "idle", "publish", "play", "pull" */
    const char *peer;     /* borrowed: the text of the connection */
    const char *stream;   /* borrowed; "" until known */
    int64_t since_us;
    struct pass pass;
    /* Current counters, into zeros; NULL = none. */
    void (*count)(const struct session_info *info, struct session_counts *counts);
    /* Ends the session for an operator. */
    void (*kick)(struct session_info *info);
};

struct media_loop {
    struct loop *loop;
    unsigned index;
    struct registry *registry;
    struct loop_hook hook;
    struct pool *pool;           /* owned: pages of feeds and frames of streams at home here */
    struct list touched;         /* feed.touched_node */
    _Atomic(struct tap *) dirty; /* taps to serve: pushed by any thread */
    bool kick[MEDIA_LOOPS_MAX];  /* loops to wake at the end of the turn */
    bool any_kick;
    struct map taps; /* tap.key -> tap */
    struct list all_taps;
    struct timer housekeeping; /* lag, stalls, parked viewers */
    int64_t trimmed_us;        /* when the pool last gave back what it does not need */
    unsigned n_parked;
    struct list streams;        /* whose home this is: stream.home_node */
    _Atomic uint32_t n_streams; /* for placing new ones */
    unsigned n_publishers;      /* sources that can be read by tick */
    bool many_publishers;       /* so many that they are */
    struct buf_writer scratch;  /* bodies that are written anew as they come in */
    struct list sessions;
    unsigned n_sessions;
    struct list walks; /* media_walk.node: those that go on in another turn */
    void *owner;       /* struct node_loop of the node */
};

/* Where a walk over streams and sessions goes on: what leaves meanwhile is no longer before it,
 * what comes is behind. Loop thread. */
struct media_walk {
    struct list node;              /* in media_loop.walks */
    struct list *stream, *session; /* the next ones; the list's head = all were visited */
};
void media_walk_begin(struct media_walk *walk, struct media_loop *ml);
/* Also from a loop that has ended. Fine when it has not begun. */
void media_walk_end(struct media_walk *walk);
/* Before a stream or a session is taken out of its list. */
void media_loop_pass(struct media_loop *ml, const struct list *leaving);

/* Registers the turn hook; before the loop runs. E_NOMEM: nothing to undo. */
enum err media_loop_init(struct media_loop *ml, struct loop *loop, struct registry *registry);
/* All loops have stopped, no viewer or source is left: gives up the streams. Before loop_destroy().
 */
void media_loop_fini(struct media_loop *ml);
/* The home loop has something new for a tap; wakes are coalesced to one a turn and loop. from is
 * the calling media loop. */
void media_loop_wake_tap(struct media_loop *from, struct tap *tap);

/* Another id: "r-1a2b3c4d5e6f". */
void session_id_make(char id[SESSION_ID_SIZE], char prefix);
/* prefix '\0': the caller gives it an id that was made before. */
void session_info_init(struct session_info *info, struct media_loop *ml, char prefix,
                       const char *protocol, const char *peer);
void session_info_fini(struct session_info *info, struct media_loop *ml);

#endif
