/* Stream: life, sources and taps. What happens to a frame is in stream_frames.c, what others may
 * know in stream_info.c. */
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/stream/stream_private.h"
#include "node/stream/tap.h"

#define WAITING_IDLE_US 3000000 /* a name nobody watches or publishes is forgotten after this */
#define LAST_CHANCE_US 2000000  /* a relay that lost its upstream gets this long at least */
#define MISSING_US 250000       /* a source that was asked for is not taken for absent before */
#define ASK_BACKOFF_MIN_MS 250
#define ASK_BACKOFF_MAX_MS 2000

static const struct stream_conf *conf_of(const struct stream *s)
{
    return registry_conf(s->registry);
}

static int64_t now_us(const struct stream *s)
{
    return loop_now_us(s->home->loop);
}

/* --- life --- */

static void on_adopt(struct loop_msg *msg)
{
    struct stream *s = list_entry(msg, struct stream, adopt_msg);

    s->created_us = s->idle_since_us = now_us(s);
    list_push_back(&s->home->streams, &s->home_node);
}

/* The loop ended before it heard of the stream. */
static void on_adopt_lost(struct loop_msg *msg)
{
    struct stream *s = list_entry(msg, struct stream, adopt_msg);

    stream_unref(&s);
}

struct stream *stream_create(struct registry *registry, struct media_loop *home,
                             const struct stream_name *name)
{
    struct stream *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    atomic_init(&s->refs, 2);
    s->name = *name;
    s->home = home;
    s->registry = registry;
    s->ask_backoff_ms = ASK_BACKOFF_MIN_MS;
    s->lag.node_id = registry_hooks(registry)->node_id;
    hops_init(&s->hops);
    list_init(&s->home_node);
    list_init(&s->standbys);
    list_init(&s->sinks);
    list_init(&s->feeds);
    track_set_init(&s->tracks);
    track_set_init(&s->held);
    timeline_init(&s->timeline);
    media_arena_init(&s->arena, home->pool);
    gop_cache_init(&s->cache, &conf_of(s)->gop);
    atomic_fetch_add_explicit(&home->n_streams, 1, memory_order_relaxed);
    s->adopt_msg.run = on_adopt;
    s->adopt_msg.drop = on_adopt_lost;
    loop_post(home->loop, &s->adopt_msg);
    return s;
}

static void clean(struct stream *s)
{
    struct list *node;

    stream_drop_waiting(s);
    track_set_fini(&s->tracks);
    gop_cache_fini(&s->cache);
    media_arena_close(&s->arena);
    while ((node = list_pop_front(&s->feeds))) {
        struct feed *feed = list_entry(node, struct feed, stream_node);

        feed_close(&feed);
    }
}

struct stream *stream_ref(struct stream *stream)
{
    atomic_fetch_add_explicit(&stream->refs, 1, memory_order_relaxed);
    return stream;
}

void stream_unref(struct stream **stream)
{
    struct stream *gone = *stream;

    *stream = NULL;
    if (!gone || atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) != 1)
        return;
    clean(gone);
    hops_fini(&gone->hops);
    free(gone);
}

/* Ended, and the last tap is gone. */
static void bury(struct stream *s)
{
    if (list_is_empty(&s->home_node))
        return;
    media_loop_pass(s->home, &s->home_node);
    list_remove(&s->home_node);
    atomic_fetch_sub_explicit(&s->home->n_streams, 1, memory_order_relaxed);
    clean(s);
    stream_unref(&s);
}

struct hops *stream_hops(struct stream *stream)
{
    return &stream->hops;
}

const struct stream_name *stream_name_of(const struct stream *stream)
{
    return &stream->name;
}

struct media_loop *stream_home(const struct stream *stream)
{
    return stream->home;
}

static void tell(struct stream *s, void (*hook)(void *arg, struct stream *stream))
{
    if (hook)
        hook(registry_hooks(s->registry)->arg, s);
}

static void tell_changed(struct stream *s)
{
    tell(s, registry_hooks(s->registry)->changed);
}

struct stream *stream_at_home(struct list *node)
{
    return list_entry(node, struct stream, home_node);
}

/* Once: a stream that has had a source does not wait for its first one again. */
static void check_missing(struct stream *s)
{
    const struct stream_hooks *hooks = registry_hooks(s->registry);

    if (s->state != STREAM_WAITING || s->is_missing)
        return;
    if (!s->asked_us)
        s->asked_us = now_us(s);
    s->is_missing = now_us(s) - s->asked_us >= MISSING_US &&
                    (!hooks->not_found || hooks->not_found(hooks->arg, s));
}

static void ask_for_source(struct stream *s)
{
    if (s->source || !s->n_readers)
        return;
    check_missing(s);
    if (now_us(s) < s->next_ask_us)
        return;
    s->next_ask_us = now_us(s) + jitter_ms(s->ask_backoff_ms, 0.3) * 1000;
    s->ask_backoff_ms *= 2;
    if (s->ask_backoff_ms > ASK_BACKOFF_MAX_MS)
        s->ask_backoff_ms = ASK_BACKOFF_MAX_MS;
    tell(s, registry_hooks(s->registry)->need_source);
}

int64_t stream_wall_offset_us(const struct stream *s)
{
    return s->wall_us ? s->wall_us - s->ingest_us : clock_wall_us() - clock_mono_us();
}

void stream_tell_feeds(struct stream *s)
{
    stream_for_each_feed(s, feed)
        feed_set_upstream(feed, s->epoch, s->run, stream_wall_offset_us(s));
}

void stream_set_epoch(struct stream *s, uint64_t epoch)
{
    s->epoch = epoch;
    stream_tell_feeds(s);
    tell_changed(s);
}

void stream_set_path(struct stream *s, const char *path)
{
    if (!hops_set_path(&s->hops, path))
        return;
    stream_for_each_feed(s, feed) feed_set_path(feed, s->hops.path);
}

/* --- sources --- */

static void tell_live(struct stream *s)
{
    stream_for_each_feed(s, feed) feed_set_live(feed, s->source != NULL);
}

static void source_gone(struct stream *s)
{
    stream_pace_end(s);
    s->source->stream = NULL;
    s->source = NULL;
    s->state = STREAM_GRACE;
    s->detached_us = now_us(s);
    s->next_ask_us = 0;
    s->ask_backoff_ms = ASK_BACKOFF_MIN_MS;
    media_arena_close(&s->arena);
    stream_drop_waiting(s);
    tell_live(s);
}

static void replace(struct stream *s)
{
    struct source *source = s->source;

    if (!source)
        return;
    source_gone(s);
    source->on_evict(source, E_BUSY);
}

static void evict(struct stream *s, enum err why)
{
    struct source *source = s->source;

    if (!source)
        return;
    source_gone(s);
    source->on_evict(source, why);
    tell_changed(s); /* after: who hears it may free an idle pull, and the source with it */
}

static bool has_publisher(const struct stream *s)
{
    return s->source && s->source->kind == SOURCE_PUBLISHER;
}

static bool is_taken(const struct stream *s)
{
    return has_publisher(s) && !s->source->yields;
}

enum err stream_can_publish(const struct stream *stream)
{
    if (stream->state == STREAM_ENDED)
        return E_STALE;
    return is_taken(stream) ? E_BUSY : E_OK;
}

/* What an earlier source left must not mix with what this one brings. */
static void start_afresh(struct stream *s, uint64_t run)
{
    stream_change_run(s, run);
    timeline_new_source(&s->timeline);
    track_set_clear(&s->tracks);
    track_set_clear(&s->cache.base);
    stream_for_each_feed(s, feed) feed_clear_tracks(feed);
    s->ready = s->has_audio = s->has_video = false;
    s->first_frame_us = 0;
    stream_forget_tracks(s);
    s->ingest_us = s->wall_us = 0;
}

/* The same session of the encoder by another way: what we have of it is left out, and time goes on
 * where it was. Without a position in it, as when it had only just begun here, after a gap. */
static void go_on(struct stream *s)
{
    timeline_new_source(&s->timeline);
    s->resuming = s->at.gop != 0;
    s->wait_key |= !s->resuming;
    memcpy(s->n_known, s->at.n_frames, sizeof s->n_known);
}

static bool goes_on(const struct stream *s, const struct source_offer *offer)
{
    return offer->run && offer->run == s->run && (!offer->numbers_gops || offer->gop) &&
           s->timeline.running;
}

static enum err may_attach(const struct stream *s, const struct source *source,
                           const struct source_offer *offer)
{
    if (s->state == STREAM_ENDED)
        return E_STALE;
    if (source->kind == SOURCE_PULL ? has_publisher(s) : is_taken(s) && !offer->takes_over)
        return E_BUSY;
    return E_OK;
}

enum err stream_attach(struct stream *stream, struct source *source,
                       const struct source_offer *offer)
{
    enum err e = may_attach(stream, source, offer);
    bool is_same;

    if (e != E_OK)
        return e;
    replace(stream);
    is_same = goes_on(stream, offer);
    if (is_same)
        go_on(stream);
    else
        start_afresh(stream, offer->run);
    if (offer->numbers_gops)
        stream->known_gop = 0;
    stream->state = STREAM_LIVE;
    stream->source = source;
    source->stream = stream;
    stream_pace_begin(stream);
    stream->last_kind = source->kind;
    stream->numbers_gops = offer->numbers_gops;
    stream->upstream_gop = offer->gop ? offer->gop - 1 : 0; /* its first picture counts */
    stream->is_timed = false;
    stream_lag_begin(&stream->lag, offer->numbers_gops);
    stream->epoch = offer->epoch;
    stream->attached_us = now_us(stream);
    stream->ask_backoff_ms = ASK_BACKOFF_MIN_MS;
    stream_tell_feeds(stream);
    stream_set_path(stream, offer->path ? offer->path : "");
    tell_live(stream);
    tell_changed(stream);
    return E_OK;
}

void stream_detach(struct source *source)
{
    struct stream *s = source->stream;
    bool was_published = source->kind == SOURCE_PUBLISHER;

    if (!s)
        return;
    source_gone(s);
    if (was_published)
        stream_give_turn(s);
    tell_changed(s); /* last: the source may be gone */
}

void stream_end(struct stream *stream, uint32_t flags)
{
    if (stream->state == STREAM_ENDED)
        return;
    evict(stream, E_DENIED);
    stream->state = STREAM_ENDED;
    stream_for_each_feed(stream, feed) feed_set_flags(feed, FEED_ENDED | flags);
    tell_changed(stream);
    registry_forget(stream->registry, stream); /* the home loop still holds a reference */
    stream_end_standbys(stream);
    stream->is_ending = true;
    stream_sinks_end(stream);
    stream->is_ending = false;
    if (!stream->n_readers)
        bury(stream);
}

void stream_kick(struct stream *stream)
{
    stream_end(stream, FEED_KICKED);
}

void stream_fence(struct stream *stream)
{
    if (!has_publisher(stream))
        return;
    stream->next_turn_us = INT64_MAX; /* it lives on elsewhere: no standby's turn */
    evict(stream, E_STALE);
}

/* --- readers --- */

void stream_add_reader(struct stream *stream)
{
    stream->n_readers++;
    stream_choose_pace(stream);
    stream->idle_since_us = 0;
    stream->next_ask_us = 0;
    ask_for_source(stream);
}

void stream_remove_reader(struct stream *stream)
{
    if (--stream->n_readers)
        return;
    stream->idle_since_us = now_us(stream);
    if (stream->state == STREAM_ENDED && !stream->is_ending)
        bury(stream);
}

/* --- time rules --- */

static void end_unless_awaited(struct stream *s)
{
    if (list_is_empty(&s->standbys))
        stream_end(s, 0);
}

static int64_t idle_us(const struct stream *s)
{
    return s->source->idle_us ? s->source->idle_us : conf_of(s)->pull_idle_ms * 1000;
}

static void check_live(struct stream *s, int64_t now)
{
    const struct stream_conf *conf = conf_of(s);
    int64_t heard_us = s->last_frame_us > s->attached_us ? s->last_frame_us : s->attached_us;

    if (!s->ready && s->first_frame_us && now - s->first_frame_us >= conf->tracks_wait_ms * 1000)
        stream_become_ready(s);
    stream_check_pace(s, now);
    if (s->source->kind == SOURCE_PUBLISHER) {
        if (now - heard_us >= conf->publish_stall_ms * 1000) {
            tell(s, registry_hooks(s->registry)->stalled);
            evict(s, E_TIMEOUT);
            stream_give_turn(s);
        }
    } else if (!s->n_readers && now - s->idle_since_us >= idle_us(s)) {
        evict(s, E_END);
        end_unless_awaited(s);
    }
}

static void check_grace(struct stream *s, int64_t now)
{
    int64_t until_us = s->detached_us + conf_of(s)->publisher_grace_ms * 1000;

    if (s->last_kind ==
        SOURCE_PULL) { /* the origin has waited already: count from the last frame */
        until_us = s->last_frame_us + conf_of(s)->publisher_grace_ms * 1000;
        if (until_us < s->detached_us + LAST_CHANCE_US)
            until_us = s->detached_us + LAST_CHANCE_US;
        if (!s->n_readers)
            until_us = now;
    }
    if (now >= until_us && list_is_empty(&s->standbys)) {
        stream_end(s, 0);
        return;
    }
    stream_check_standbys(s, now);
    ask_for_source(s);
}

/* A silent encoder must not look like a dead node, nor must one that is awaited here after its edge
 * has died. */
static void check_relays(struct stream *s, int64_t now)
{
    bool awaits = s->state == STREAM_GRACE && s->last_kind == SOURCE_PUBLISHER;
    int64_t away_us = awaits ? now - s->detached_us : 0; /* the edge's clock goes on */
    struct media_frame_info info = {.dts_us = s->timeline.end_us,
                                    .gop = s->gop,
                                    .ingest_us = s->ingest_us ? s->ingest_us + away_us : now};

    stream_for_each_feed(s, feed) feed_check_silence(feed, &info);
}

/* A tap that comes and goes between two looks counts: stream_tap_open() has seen it. */
static void check_readers(struct stream *s)
{
    bool was_watched = s->is_watched;

    s->is_watched = stream_is_watched(s);
    if (was_watched && !s->is_watched && s->state != STREAM_WAITING)
        tell(s, registry_hooks(s->registry)->idle);
}

void stream_housekeeping(struct stream *stream, int64_t now)
{
    if (stream->state != STREAM_ENDED)
        check_readers(stream);
    switch (stream->state) {
    case STREAM_LIVE:
        check_relays(stream, now);
        check_live(stream, now);
        break;
    case STREAM_GRACE:
        check_relays(stream, now);
        check_grace(stream, now);
        break;
    case STREAM_WAITING:
        if (!stream->n_readers && now - stream->idle_since_us >= WAITING_IDLE_US)
            end_unless_awaited(stream);
        else
            ask_for_source(stream);
        break;
    case STREAM_ENDED:
        break;
    }
}
