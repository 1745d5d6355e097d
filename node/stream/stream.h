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
#include "node/stream/timeline.h"
#include "node/stream/tracks.h"

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
    bool takeover; /* duplicate publish: takeover instead of refuse */
    int64_t play_wait_ms, tracks_wait_ms, publish_stall_ms, publisher_grace_ms;
    int64_t max_lag_ms, stall_timeout_ms, pull_idle_ms;
    size_t max_pinned_bytes;
    unsigned max_parked; /* viewers waiting for a stream, per loop */
};

/* What the stream core asks of the rest of the node. Called on the home loop. */
struct stream_hooks {
    /* Somebody waits for this stream and it has no source (again); repeated with jittered back-off
     * while that lasts. May attach a source later, or not at all. */
    void (*need_source)(void *arg, struct stream *stream);
    /* A source was attached or detached, or the stream ended. */
    void (*changed)(void *arg, struct stream *stream);
    void *arg;
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
    enum conn_pace pace; /* private: as it was told last */
};

struct source_offer {
    uint64_t epoch;    /* fencing epoch of this publish, 0 without a cluster */
    bool numbers_gops; /* an origin: count GOPs here; else frames bring their number */
    bool same_clock;   /* a relay that resumes: time goes on as it was */
};
/* Would a publisher be let in now? E_OK, E_BUSY (policy refuse), E_STALE (ended: get it again). */
enum err stream_can_publish(const struct stream *stream);
/* E_OK attached (an earlier source was evicted if policy or kind allow); E_BUSY; E_STALE when the
 * stream has ended meanwhile. A pull never replaces a live publisher (E_BUSY). */
enum err stream_attach(struct stream *stream, struct source *source,
                       const struct source_offer *offer);
/* Grace begins. Fine when the source was already evicted. */
void stream_detach(struct source *source);
/* One frame of the attached source: body in FLV form, times of the source's own clock. E_PROTO with
 * *why (static) when the body is broken: the source should end. Others are E_OK. */
enum err stream_push(struct source *source, uint8_t flv_type, int64_t src_dts_us,
                     struct buf_view body, const char **why);
/* For relays: what the upstream said about what follows. */
void stream_set_upstream(struct source *source, uint64_t epoch, uint64_t gop, int64_t ingest_us,
                         int64_t wall_us);
/* For inputs whose header says truly which tracks come: no need to wait. */
void stream_expect_tracks(struct source *source, bool audio, bool video);

/* --- for relays, the cluster agent and the API: home loop --- */

struct stream_info {
    struct stream_name name;
    bool live; /* has a source */
    enum source_kind kind;
    char protocol[16], session_id[24], upstream[128];
    uint64_t epoch, gop;
    uint32_t n_viewers, n_children; /* people, relays */
    int64_t age_us, since_frame_us;
    uint64_t bytes_in, n_frames[MEDIA_N_KINDS];
    enum media_codec audio, video;
    bool has_audio, has_video;
    uint64_t n_rebased, n_clamped;
};
void stream_get_info(const struct stream *stream, struct stream_info *info);
bool stream_has_source(const struct stream *stream);
bool stream_has_ended(const struct stream *stream); /* its name is free for another */
/* The relay room keeps its pull of this stream here. */
void stream_set_puller(struct stream *stream, void *puller);
void *stream_puller(const struct stream *stream);
bool stream_is_wanted(const struct stream *stream); /* some viewer or relay is there */
uint64_t stream_epoch(const struct stream *stream);
uint64_t stream_gop(const struct stream *stream); /* of the newest frame */
/* Last stream time per kind, for a resuming relay to drop what it already has; INT64_MIN if none.
 */
int64_t stream_last_dts_us(const struct stream *stream, enum media_kind kind);
/* Closes source and viewers with the reason (kick: E_DENIED; fenced publisher: E_STALE keeps the
 * viewers, the stream then needs a source again). */
void stream_kick(struct stream *stream);
void stream_fence(struct stream *stream);

/* --- taps and feeds call these: home loop --- */
void stream_tap_open(struct stream *stream, struct tap *tap);
void stream_tap_close(struct stream *stream, struct tap *tap);

#endif
