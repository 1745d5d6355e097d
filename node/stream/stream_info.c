/* What the cluster agent, the API and the relay room may know of a stream. */
#include <string.h>

#include "node/stream/es_tracks.h"
#include "node/stream/sink.h"
#include "node/stream/stream_private.h"
#include "node/stream/tap.h"

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
    return stream->n_readers > 0 && stream->state != STREAM_ENDED;
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

uint64_t stream_run(const struct stream *stream)
{
    return stream->run;
}

uint64_t stream_gop(const struct stream *stream)
{
    return stream->gop;
}

bool stream_last_segment(const struct stream *stream, uint64_t *msn, uint64_t *discontinuities)
{
    *msn = stream->planner.last_msn;
    *discontinuities = stream->planner.plan.discontinuities;
    return stream->planner.plan.run != 0;
}

void stream_tell_last_segment(struct stream *stream, uint64_t msn, uint64_t discontinuities)
{
    if (msn >= UINT64_MAX / 4 ||
        msn + 1 <= atomic_load_explicit(&stream->told_msn, memory_order_relaxed))
        return;
    atomic_store_explicit(&stream->told_discontinuities, discontinuities, memory_order_relaxed);
    atomic_store_explicit(&stream->told_msn, msn + 1, memory_order_release);
}

const char *stream_trail(const struct stream *stream)
{
    return stream->source ? stream->lag.trail : "";
}

static void count_viewers(const struct stream *s, struct stream_info *info)
{
    stream_for_each_feed(s, feed)
    {
        struct list *node, *tmp;

        list_for_each_safe(node, tmp, &feed->taps) {
            struct tap *tap = list_entry(node, struct tap, home_node);

            info->n_viewers += atomic_load_explicit(&tap->n_viewers, memory_order_relaxed);
            info->n_children += atomic_load_explicit(&tap->n_relays, memory_order_relaxed);
        }
    }
}

static void count_sinks(const struct stream *s, struct stream_info *info)
{
    for (const struct list *node = s->sinks.next; node != &s->sinks; node = node->next) {
        const struct stream_sink *sink =
            (const struct stream_sink *)(const void *)((const char *)node -
                                                       offsetof(struct stream_sink, node));

        info->n_viewers += atomic_load_explicit(&sink->n_viewers, memory_order_relaxed);
    }
}

bool stream_is_watched(const struct stream *s)
{
    struct stream_info info = {.n_viewers = 0};

    count_viewers(s, &info);
    count_sinks(s, &info);
    return info.n_viewers + info.n_children > 0;
}

static uint32_t count_standbys(const struct stream *s)
{
    uint32_t n = 0;

    for (const struct list *node = s->standbys.next; node != &s->standbys; node = node->next)
        n++;
    return n;
}

static void copy_text(char *to, size_t size, const char *from)
{
    size_t n = strnlen(from, size - 1);

    memcpy(to, from, n);
    to[n] = '\0';
}

void stream_get_info(const struct stream *stream, struct stream_info *info)
{
    int64_t now_us = loop_now_us(stream->home->loop);

    memset(info, 0, sizeof *info);
    info->name = stream->name;
    info->live = stream->source != NULL;
    info->kind = stream->last_kind;
    if (stream->source) {
        info->record = stream->source->record;
        copy_text(info->protocol, sizeof info->protocol, stream->source->protocol);
        copy_text(info->session_id, sizeof info->session_id, stream->source->session_id);
        copy_text(info->upstream, sizeof info->upstream, stream->source->upstream);
    }
    info->epoch = stream->epoch;
    info->run = stream->run;
    info->gop = stream->gop;
    info->n_standbys = count_standbys(stream);
    (void)hops_hold(stream->hops.path, "", &info->depth);
    info->age_us = now_us - stream->created_us;
    info->since_frame_us = stream->last_frame_us ? now_us - stream->last_frame_us : -1;
    info->bytes_in = stream->bytes_in;
    info->video_bytes_in = stream->video_bytes_in;
    memcpy(info->n_frames, stream->n_frames, sizeof info->n_frames);
    info->codecs = stream->codecs;
    info->has_audio = stream->has_audio;
    info->has_video = stream->has_video;
    info->n_rebased = stream->timeline.n_rebased;
    info->n_clamped = stream->timeline.n_clamped;
    if (!stream->source || !stream_lag_get(&stream->lag, &info->lag_us, &info->lag_unc_us))
        info->lag_unc_us = -1;
    count_viewers(stream, info);
    count_sinks(stream, info);
}

void stream_get_picture(const struct stream *stream, uint32_t *width, uint32_t *height)
{
    const struct track_set *set = &stream->tracks;
    struct codec_params params;
    const char *why;

    *width = *height = 0;
    for (unsigned i = 0; i < set->n_configs; i++) {
        const struct media_frame *config = set->configs[i];

        if (config->info.kind != MEDIA_VIDEO || !frame_is_of_default_track(config) ||
            codec_params_from_config(config->info.codec, frame_es(config), &params, &why) != E_OK)
            continue;
        *width = params.video.width;
        *height = params.video.height;
    }
}
