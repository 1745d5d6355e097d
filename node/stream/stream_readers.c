/* A stream and its readers: taps, which read feeds, and sinks. */
#include "node/stream/sink.h"
#include "node/stream/stream_private.h"
#include "node/stream/tap.h"

/* --- taps --- */

struct feed *stream_feed(const struct stream *stream, const struct feed_key *key)
{
    stream_for_each_feed(stream, feed) if (feed_key_equals(&feed->key, key)) return feed;
    return NULL;
}

static struct feed *feed_for(struct stream *s, const struct feed_key *key)
{
    struct feed *feed = stream_feed(s, key);

    if (feed)
        return feed;
    feed = feed_create(s->home, key, registry_conf(s->registry));
    if (!feed)
        return NULL;
    list_push_back(&s->feeds, &feed->stream_node);
    stream_tell_codecs(s, feed);
    feed_set_upstream(feed, s->epoch, s->run, stream_wall_offset_us(s));
    feed_set_lag(feed, &s->lag);
    feed_set_plan(feed, &s->planner.plan);
    feed_set_live(feed, s->source != NULL);
    if (s->ready)
        feed_set_flags(feed, FEED_READY | (s->has_audio ? FEED_AUDIO : 0u) |
                                 (s->has_video ? FEED_VIDEO : 0u));
    feed_fill(feed, &s->cache);
    return feed;
}

void stream_tap_open(struct stream *stream, struct tap *tap)
{
    struct feed *feed;

    if (stream->state == STREAM_ENDED) {
        tap->open_result = E_STALE;
        return;
    }
    feed = feed_for(stream, &tap->feed_key);
    if (!feed) {
        tap->open_result = E_NOMEM;
        return;
    }
    tap->open_result = E_OK;
    tap->feed = feed_ref(feed);
    tap->oldest = page_ref(feed->window);
    list_push_back(&feed->taps, &tap->home_node);
    stream->is_watched = true;
    stream_add_reader(stream);
}

void stream_tap_close(struct stream *stream, struct tap *tap)
{
    struct feed *feed = tap->feed;

    list_remove(&tap->home_node);
    if (list_is_empty(&feed->taps)) {
        list_remove(&feed->stream_node);
        feed_close(&feed);
    }
    stream_remove_reader(stream);
}

/* --- sinks --- */

enum err stream_sink_open(struct stream *stream, struct stream_sink *sink,
                          const struct stream_sink_ops *ops)
{
    if (stream->state == STREAM_ENDED)
        return E_STALE;
    sink->ops = ops;
    sink->stream = stream;
    sink->is_wanted = false;
    list_push_back(&stream->sinks, &sink->node);
    return E_OK;
}

void stream_sink_close(struct stream_sink *sink)
{
    if (!sink->stream)
        return;
    stream_sink_want(sink, false);
    list_remove(&sink->node);
    sink->stream = NULL;
}

void stream_sink_want(struct stream_sink *sink, bool is_wanted)
{
    if (is_wanted == sink->is_wanted || !sink->stream)
        return;
    sink->is_wanted = is_wanted;
    if (is_wanted)
        stream_add_reader(sink->stream);
    else
        stream_remove_reader(sink->stream);
}

void stream_sinks_frame(struct stream *s, const struct media_frame *frame, bool entry)
{
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &s->sinks) {
        struct stream_sink *sink = list_entry(node, struct stream_sink, node);

        sink->ops->on_frame(sink, frame, entry);
    }
}

void stream_sinks_source_change(struct stream *s)
{
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &s->sinks) {
        struct stream_sink *sink = list_entry(node, struct stream_sink, node);

        sink->ops->on_source_change(sink);
    }
}

void stream_sinks_end(struct stream *s)
{
    struct list *node, *tmp;

    list_for_each_safe(node, tmp, &s->sinks) {
        struct stream_sink *sink = list_entry(node, struct stream_sink, node);

        stream_sink_close(sink);
        sink->ops->on_end(sink); /* last: the sink may be gone */
    }
}

const struct gop_cache *stream_cache(const struct stream *stream)
{
    return &stream->cache;
}

const struct track_set *stream_tracks(const struct stream *stream)
{
    return &stream->tracks;
}

bool stream_is_ready(const struct stream *stream, bool *has_audio, bool *has_video)
{
    *has_audio = stream->has_audio;
    *has_video = stream->has_video;
    return stream->ready;
}

const struct stream_plan *stream_plan_of(const struct stream *stream)
{
    const struct stream_plan *plan = &stream->planner.plan;

    return plan->run && plan->run == stream->run ? plan : NULL;
}

int64_t stream_wall_us(const struct stream *stream, int64_t ingest_us)
{
    return ingest_us + stream_wall_offset_us(stream);
}
