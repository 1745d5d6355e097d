/* A stream: one home loop from creation to destruction, one source at a time (a publisher, or a
 * pull), tracks, time, GOP cache, and a feed per wire format in use. The registry maps names to
 * streams; it is touched at join and leave, never per frame. No protocol names in here. */
#ifndef HW_NODE_STREAM_STREAM_H
#define HW_NODE_STREAM_STREAM_H

#include "common/base/list.h"
#include "common/media/frame.h"
#include "common/media/name.h"
#include "common/net/conn.h"
#include "common/net/loop.h"
#include "node/stream/format.h"
#include "node/stream/gop_cache.h"
#include "node/stream/plan.h"
#include "node/stream/timeline.h"
#include "node/stream/tracks.h"
#include "node/stream/publish_options.h"

struct stream; /* opaque; refcounted */
struct media_loop;
struct registry;
struct tap;
struct feed;
struct hops;

enum latency_policy { LATENCY_REALTIME, LATENCY_BALANCED, LATENCY_EFFICIENT };

struct stream_conf { /* one for the node; fixed after start, or changed by reload between turns */
    struct gop_cache_limits gop;
    enum latency_policy latency;
    int64_t play_wait_ms, tracks_wait_ms, publish_stall_ms, publisher_grace_ms;
    int64_t max_lag_ms, stall_timeout_ms, pull_idle_ms;
    bool silent_audio; /* pictures without sound get a silent track, where they are taken in */
    size_t max_pinned_bytes;
    struct stream_plan_conf plan;
    unsigned max_parked; /* viewers waiting for a stream, per loop */
};

/* What the stream core asks of the rest of the node. Called on the home loop. */
struct stream_hooks {
    /* Somebody waits for this stream and it has no source (again); repeated with jittered back-off
     * while that lasts. May attach a source later, or not at all. */
    void (*need_source)(void *arg, struct stream *stream);
    /* A source was attached or detached, or the stream ended. */
    void (*changed)(void *arg, struct stream *stream);
    /* What others may want to hear of; each may be NULL. Nothing of the stream is to be changed.
     * The last reader has left a stream that has, or had, a source: nobody plays or pulls it. */
    void (*idle)(void *arg, struct stream *stream);
    /* Its publisher, still attached, has sent nothing for publish_stall_ms and is let go. */
    void (*stalled)(void *arg, struct stream *stream);
    /* Somebody waits for it, need_source() has brought nothing for a quarter of a second or more.
     * False: that is not sure yet, ask again; true once, until it is forgotten or brought. */
    bool (*not_found)(void *arg, struct stream *stream);
    void *arg;
    const char *node_id; /* what this node is called by those who pull from here; lent. NULL = it is
                          * not said */
};

struct registry *registry_create(const struct stream_conf *conf, const struct stream_hooks *hooks);
void registry_destroy(struct registry **registry);                        /* loops are stopped */
void registry_add_loop(struct registry *registry, struct media_loop *ml); /* at start */
const struct stream_conf *registry_conf(const struct registry *registry);
const struct stream_hooks *registry_hooks(const struct registry *registry);
/* Returns a reference; NULL when there is none. Any thread. */
struct stream *registry_find(struct registry *registry, const char *name);
/* Returns a reference to the stream of that name, made on the least loaded loop if need be; NULL
 * when out of memory. Any thread. */
struct stream *registry_get(struct registry *registry, const struct stream_name *name);

/* Loop detection of relays; any thread. */
struct hops *stream_hops(struct stream *stream);
struct stream *stream_ref(struct stream *stream); /* any thread */
void stream_unref(struct stream **stream);        /* any thread */
const struct stream_name *stream_name_of(const struct stream *stream);
struct media_loop *stream_home(const struct stream *stream);
/* The stream of a node in its home's media_loop.streams. */
struct stream *stream_at_home(struct list *node);

/* --- sources: home loop --- */

enum source_kind { SOURCE_PUBLISHER, SOURCE_PULL };
struct source { /* embedded in the session that feeds the stream */
    enum source_kind kind;
    const char *protocol;   /* static: "rtmp", "relay" */
    const char *session_id; /* lent by the owner, for the API */
    const char *upstream;   /* lent: node id for relays, URL for pulls, "" for publishers */
    struct stream *stream;  /* borrowed; set while attached. The owner holds its own reference */
    /* The stream has let go of the source: takeover (E_BUSY), fenced (E_STALE), silent (E_TIMEOUT),
     * nobody watches (E_END), kicked (E_DENIED). The owner closes itself. */
    void (*on_evict)(struct source *source, enum err why);
    /* How the owner is to read its connection from now on: many publishers of a loop are cheaper to
     * read together. NULL = it is always read at once, as relays are. */
    void (*set_pace)(struct source *source, enum conn_pace pace);
    enum conn_pace pace;        /* private: as it was told last */
    bool yields;                /* private: a publisher that was sent away */
    enum publish_record record; /* a publisher's */
    int64_t idle_us;   /* a pull ends so long after the last reader left; 0 = pull_idle_ms */
    uint64_t n_frames; /* pushed so far, headers counted */
};

struct source_offer {
    uint64_t epoch;    /* fencing epoch of this publish, 0 without a cluster */
    uint64_t run;      /* of the encoder's session. The run that the stream had: its frames are
                        * known by GOP number, so those that it has are left out and time goes on
                        * exactly; another, or 0 = unknown: time goes on after a gap */
    bool numbers_gops; /* an origin: count GOPs here; else frames bring their number */
    uint64_t gop; /* numbers_gops, of the run that the stream had: it begins with the picture that
                   * this GOP begins with here, so that it goes on; 0 = not known */
    bool takes_over;  /* a publisher: a live one is evicted (E_BUSY) instead of refusing this one */
    const char *path; /* a relay: ids of the nodes from here to the origin, the nearest first,
                       * comma-separated; lent. NULL = none */
};
/* Would a publisher be let in now? E_OK, E_BUSY (another one is live), E_STALE (ended: get it
 * again). */
enum err stream_can_publish(const struct stream *stream);
/* E_OK attached (an earlier source was evicted if policy or kind allow); E_BUSY; E_STALE when the
 * stream has ended meanwhile. A pull never replaces a live publisher (E_BUSY); it replaces
 * another pull, which is evicted with E_BUSY: a relay's new connection is attached before the old
 * one is let go. */
enum err stream_attach(struct stream *stream, struct source *source,
                       const struct source_offer *offer);
/* Grace begins. Fine when the source was already evicted. */
void stream_detach(struct source *source);
/* One frame of the attached source: body in FLV form, times of the source's own clock. E_PROTO with
 * *why (static) when the body is broken: the source should end. Others are E_OK. */
enum err stream_push(struct source *source, uint8_t flv_type, int64_t src_dts_us,
                     struct buf_view body, const char **why);
struct stream_clock { /* our monotonic clock minus the one that ingest_us is of */
    bool is_known;
    int64_t us;
    int64_t unc_us; /* how wrong that may be, either way */
};
/* For relays: what the upstream said about what follows. */
struct stream_upstream {
    uint64_t epoch, run, gop;
    int64_t ingest_us, wall_us;
    const char *path; /* lent; NULL = as it was */
    bool is_timed; /* ingest_us is that of the next frame itself; clock and trail are said, too */
    struct stream_clock clock;
    struct buf_view plan;  /* as it came with @hw; lent. data NULL = not said */
    struct buf_view trail; /* as it came with @hw; lent. Broken, or data NULL = unknown */
};
void stream_set_upstream(struct source *source, const struct stream_upstream *said);
/* For inputs whose header says truly which tracks come: no need to wait. */
void stream_expect_tracks(struct source *source, bool audio, bool video);

/* --- publishers held ready for when the source fails: home loop --- */

struct standby {      /* embedded in the session of the publisher */
    struct list node; /* private; list_init() before the first use */
    /* Its turn: the source is gone (epoch 0: the owner gets its own lease first), or the scheduler
     * gave this node the stream (epoch). It is out of the list; it attaches, or closes itself, or
     * waits again. Also when the stream has ended: then only closing is left. */
    void (*on_turn)(struct standby *standby, uint64_t epoch);
};
/* In the order of coming. A stream with standbys does not end while they wait. E_STALE: it has
 * ended. */
enum err stream_add_standby(struct stream *stream, struct standby *standby);
void stream_remove_standby(struct standby *standby); /* fine when it is in no list */
/* The scheduler's word. False: nobody is waiting. */
bool stream_promote(struct stream *stream, uint64_t epoch);

/* --- for relays, the cluster agent and the API: home loop --- */

struct stream_info {
    struct stream_name name;
    bool live; /* has a source */
    enum source_kind kind;
    char protocol[16], session_id[24], upstream[128];
    enum publish_record record;
    uint64_t epoch, run, gop;
    uint32_t n_viewers, n_children, n_standbys; /* people, relays, publishers held ready */
    uint32_t depth;                             /* nodes between here and the origin; 0 = it is */
    int64_t age_us, since_frame_us;
    uint64_t bytes_in, video_bytes_in, n_frames[MEDIA_N_KINDS];
    struct stream_codecs codecs;
    bool has_audio, has_video;
    uint64_t n_rebased, n_clamped;
    int64_t lag_us;     /* from where the stream was taken in to here; of a frame within the last
                         * half second of media */
    int64_t lag_unc_us; /* how wrong that may be, either way; -1 = lag_us is not known */
};
void stream_get_info(const struct stream *stream, struct stream_info *info);
/* The size of its pictures as their configuration tells it; 0, 0: there are none, or it does not.
 */
void stream_get_picture(const struct stream *stream, uint32_t *width, uint32_t *height);
/* The nodes above this one, from the one that took the stream in on; lent until the next message
 * or frame. "" = none, or unknown. Format: flv_parse_trail(). */
const char *stream_trail(const struct stream *stream);
bool stream_has_source(const struct stream *stream);
bool stream_has_ended(const struct stream *stream); /* its name is free for another */
/* The relay room keeps its pull of this stream here. */
void stream_set_puller(struct stream *stream, void *puller);
void *stream_puller(const struct stream *stream);
/* Segments that were counted here, for the node that counts them next: the last one. False: none.
 */
bool stream_last_segment(const struct stream *stream, uint64_t *msn, uint64_t *discontinuities);
/* A relay had the stream up to there, before it came to this node. Any thread. */
void stream_tell_last_segment(struct stream *stream, uint64_t msn, uint64_t discontinuities);
bool stream_is_wanted(const struct stream *stream); /* some viewer or relay is there */
uint64_t stream_epoch(const struct stream *stream);
/* The publisher goes on under another lease: an edge's stream, at another origin. */
void stream_set_epoch(struct stream *stream, uint64_t epoch);
/* That node leaves. If the publisher is connected to it, it was sent elsewhere: the next one that
 * comes is let in, whatever the policy. */
void stream_node_leaves(struct stream *stream, const char *node_id);
uint64_t stream_run(const struct stream *stream);
uint64_t stream_gop(const struct stream *stream); /* of the newest frame */
/* Closes source and viewers with the reason (kick: E_DENIED; fenced publisher: E_STALE keeps the
 * viewers, the stream then needs a source again). */
void stream_kick(struct stream *stream);
void stream_fence(struct stream *stream);

/* --- taps and feeds call these: home loop --- */
void stream_tap_open(struct stream *stream, struct tap *tap);
void stream_tap_close(struct stream *stream, struct tap *tap);

#endif
