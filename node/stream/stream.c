/* Stream: life, sources and taps. What happens to a frame is in stream_frames.c. */
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "node/stream/stream_private.h"
#include "node/stream/tap.h"

#define WAITING_IDLE_US 3000000 /* a name nobody watches or publishes is forgotten after this */
#define LAST_CHANCE_US \
    2000000 /* a relay that lost its upstream always gets this long to find another */
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
    hops_init(&s->hops);
    list_init(&s->home_node);
    track_set_init(&s->tracks);
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
    stream_drop_early(s);
    track_set_fini(&s->tracks);
    gop_cache_fini(&s->cache);
    media_arena_close(&s->arena);
    for (unsigned i = 0; i < FORMAT_COUNT; i++)
        feed_close(&s->feeds[i]);
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

static void tell_changed(struct stream *s)
{
    const struct stream_hooks *hooks = registry_hooks(s->registry);

    if (hooks->changed)
        hooks->changed(hooks->arg, s);
}

struct stream *stream_at_home(struct list *node)
{
    return list_entry(node, struct stream, home_node);
}

static void ask_for_source(struct stream *s)
{
    const struct stream_hooks *hooks = registry_hooks(s->registry);

    if (s->source || !s->n_taps || now_us(s) < s->next_ask_us)
        return;
    s->next_ask_us = now_us(s) + jitter_ms(s->ask_backoff_ms, 0.3) * 1000;
    s->ask_backoff_ms *= 2;
    if (s->ask_backoff_ms > ASK_BACKOFF_MAX_MS)
        s->ask_backoff_ms = ASK_BACKOFF_MAX_MS;
    if (hooks->need_source)
        hooks->need_source(hooks->arg, s);
}

/* Between the clock of ingest_us and the wall clock of the node that took the stream in. */
static int64_t wall_offset_us(const struct stream *s)
{
    return s->wall_us ? s->wall_us - s->ingest_us : clock_wall_us() - clock_mono_us();
}

void stream_tell_feeds(struct stream *s)
{
    for (unsigned i = 0; i < FORMAT_COUNT; i++)
        if (s->feeds[i])
            feed_set_upstream(s->feeds[i], s->epoch, wall_offset_us(s));
}

/* --- sources --- */

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
    stream_drop_early(s);
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

enum err stream_can_publish(const struct stream *stream)
{
    if (stream->state == STREAM_ENDED)
        return E_STALE;
    if (stream->source && stream->source->kind == SOURCE_PUBLISHER && !conf_of(stream)->takeover)
        return E_BUSY;
    return E_OK;
}

/* What an earlier source left must not mix with what this one brings. */
static void start_afresh(struct stream *s)
{
    timeline_new_source(&s->timeline);
    track_set_clear(&s->tracks);
    gop_cache_clear(&s->cache);
    track_set_clear(&s->cache.base);
    for (unsigned i = 0; i < FORMAT_COUNT; i++)
        if (s->feeds[i])
            feed_clear_tracks(s->feeds[i]);
    s->ready = s->has_audio = s->has_video = false;
    s->wait_key = true;
    s->first_frame_us = 0;
    s->last_entry_dts_us = INT64_MIN;
    s->audio = s->video = CODEC_NONE;
    s->ingest_us = s->wall_us = 0;
}

enum err stream_attach(struct stream *stream, struct source *source,
                       const struct source_offer *offer)
{
    enum err e = stream_can_publish(stream);

    if (e != E_OK || (stream->source && source->kind == SOURCE_PULL))
        return e != E_OK ? e : E_BUSY;
    evict(stream, E_BUSY);
    if (offer->same_clock && stream->timeline.running)
        timeline_same_source(&stream->timeline);
    else
        start_afresh(stream);
    stream->state = STREAM_LIVE;
    stream->source = source;
    source->stream = stream;
    stream_pace_begin(stream);
    stream->last_kind = source->kind;
    stream->numbers_gops = offer->numbers_gops;
    stream->epoch = offer->epoch;
    stream->attached_us = now_us(stream);
    stream->ask_backoff_ms = ASK_BACKOFF_MIN_MS;
    stream->resume[MEDIA_AUDIO] = stream->resume[MEDIA_VIDEO] = offer->same_clock;
    stream_tell_feeds(stream);
    tell_changed(stream);
    return E_OK;
}

void stream_detach(struct source *source)
{
    struct stream *s = source->stream;

    if (!s)
        return;
    source_gone(s);
    tell_changed(s); /* last: the source may be gone */
}

void stream_end(struct stream *stream, uint32_t flags)
{
    if (stream->state == STREAM_ENDED)
        return;
    evict(stream, E_DENIED);
    stream->state = STREAM_ENDED;
    for (unsigned i = 0; i < FORMAT_COUNT; i++)
        if (stream->feeds[i])
            feed_set_flags(stream->feeds[i], FEED_ENDED | flags);
    tell_changed(stream);
    registry_forget(stream->registry, stream); /* the home loop still holds a reference */
    if (!stream->n_taps)
        bury(stream);
}

void stream_kick(struct stream *stream)
{
    stream_end(stream, FEED_KICKED);
}

void stream_fence(struct stream *stream)
{
    if (stream->source && stream->source->kind == SOURCE_PUBLISHER)
        evict(stream, E_STALE);
}

/* --- taps --- */

static struct feed *feed_for(struct stream *s, enum feed_format_id format)
{
    struct feed *feed = s->feeds[format];

    if (feed)
        return feed;
    feed = s->feeds[format] = feed_create(s->home, format, conf_of(s));
    if (!feed)
        return NULL;
    feed_set_upstream(feed, s->epoch, wall_offset_us(s));
    feed_fill(feed, &s->cache);
    if (s->ready)
        feed_set_flags(feed, FEED_READY | (s->has_audio ? FEED_AUDIO : 0u) |
                                 (s->has_video ? FEED_VIDEO : 0u));
    return feed;
}

void stream_tap_open(struct stream *stream, struct tap *tap)
{
    struct feed *feed;

    if (stream->state == STREAM_ENDED) {
        tap->open_result = E_STALE;
        return;
    }
    feed = feed_for(stream, tap->format_id);
    if (!feed) {
        tap->open_result = E_NOMEM;
        return;
    }
    tap->open_result = E_OK;
    tap->feed = feed_ref(feed);
    tap->oldest = page_ref(feed->window);
    list_push_back(&feed->taps, &tap->home_node);
    stream->n_taps++;
    stream_choose_pace(stream);
    stream->idle_since_us = 0;
    stream->next_ask_us = 0;
    ask_for_source(stream);
}

void stream_tap_close(struct stream *stream, struct tap *tap)
{
    struct feed **feed = &stream->feeds[tap->format_id];

    list_remove(&tap->home_node);
    if (*feed && list_is_empty(&(*feed)->taps))
        feed_close(feed);
    if (--stream->n_taps)
        return;
    stream->idle_since_us = now_us(stream);
    if (stream->state == STREAM_ENDED)
        bury(stream);
}

/* --- time rules --- */

static void check_live(struct stream *s, int64_t now)
{
    const struct stream_conf *conf = conf_of(s);
    int64_t heard_us = s->last_frame_us > s->attached_us ? s->last_frame_us : s->attached_us;

    if (!s->ready && s->first_frame_us && now - s->first_frame_us >= conf->tracks_wait_ms * 1000)
        stream_become_ready(s);
    stream_check_pace(s, now);
    if (s->source->kind == SOURCE_PUBLISHER) {
        if (now - heard_us >= conf->publish_stall_ms * 1000)
            evict(s, E_TIMEOUT);
    } else if (!s->n_taps && now - s->idle_since_us >= conf->pull_idle_ms * 1000) {
        evict(s, E_END);
        stream_end(s, 0);
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
        if (!s->n_taps)
            until_us = now;
    }
    if (now >= until_us)
        stream_end(s, 0);
    else
        ask_for_source(s);
}

void stream_housekeeping(struct stream *stream, int64_t now)
{
    switch (stream->state) {
    case STREAM_LIVE:
        check_live(stream, now);
        break;
    case STREAM_GRACE:
        check_grace(stream, now);
        break;
    case STREAM_WAITING:
        if (!stream->n_taps && now - stream->idle_since_us >= WAITING_IDLE_US)
            stream_end(stream, 0);
        else
            ask_for_source(stream);
        break;
    case STREAM_ENDED:
        break;
    }
}

/* --- what others may know --- */

bool stream_has_source(const struct stream *stream)
{
    return stream->source != NULL;
}

bool stream_has_ended(const struct stream *stream)
{
    return stream->state == STREAM_ENDED;
}

bool stream_is_wanted(const struct stream *stream)
{
    return stream->n_taps > 0 && stream->state != STREAM_ENDED;
}

void stream_set_puller(struct stream *stream, void *puller)
{
    stream->puller = puller;
}

void *stream_puller(const struct stream *stream)
{
    return stream->puller;
}

uint64_t stream_epoch(const struct stream *stream)
{
    return stream->epoch;
}

uint64_t stream_gop(const struct stream *stream)
{
    return stream->gop;
}

int64_t stream_last_dts_us(const struct stream *stream, enum media_kind kind)
{
    return stream->n_frames[kind] ? stream->timeline.last_dts_us[kind] : INT64_MIN;
}

static void count_viewers(const struct stream *s, struct stream_info *info)
{
    for (unsigned i = 0; i < FORMAT_COUNT; i++) {
        struct list *node, *tmp;

        if (!s->feeds[i])
            continue;
        list_for_each_safe(node, tmp, &s->feeds[i]->taps) {
            struct tap *tap = list_entry(node, struct tap, home_node);

            info->n_viewers += atomic_load_explicit(&tap->n_viewers, memory_order_relaxed);
            info->n_children += atomic_load_explicit(&tap->n_relays, memory_order_relaxed);
        }
    }
}

static void copy_text(char *to, size_t size, const char *from)
{
    size_t n = strnlen(from, size - 1);

    memcpy(to, from, n);
    to[n] = '\0';
}

void stream_get_info(const struct stream *stream, struct stream_info *info)
{
    memset(info, 0, sizeof *info);
    info->name = stream->name;
    info->live = stream->source != NULL;
    info->kind = stream->last_kind;
    if (stream->source) {
        copy_text(info->protocol, sizeof info->protocol, stream->source->protocol);
        copy_text(info->session_id, sizeof info->session_id, stream->source->session_id);
        copy_text(info->upstream, sizeof info->upstream, stream->source->upstream);
    }
    info->epoch = stream->epoch;
    info->gop = stream->gop;
    info->age_us = now_us(stream) - stream->created_us;
    info->since_frame_us = stream->last_frame_us ? now_us(stream) - stream->last_frame_us : -1;
    info->bytes_in = stream->bytes_in;
    memcpy(info->n_frames, stream->n_frames, sizeof info->n_frames);
    info->audio = stream->audio;
    info->video = stream->video;
    info->has_audio = stream->has_audio;
    info->has_video = stream->has_video;
    info->n_rebased = stream->timeline.n_rebased;
    info->n_clamped = stream->timeline.n_clamped;
    count_viewers(stream, info);
}
