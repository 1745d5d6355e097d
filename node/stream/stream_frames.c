/* What happens to a frame on its way in: parsed once, put on the stream's clock, numbered, cached,
 * and given to the feeds in use. */
#include <stdlib.h>

#include "node/control/node_metrics.h"
#include "node/stream/stream_private.h"
#include "proto/flv/flv.h"

#define AUDIO_ENTRY_US 1000000 /* an audio-only stream can be joined this often */

static struct metric *const k_frame_counters[MEDIA_N_KINDS] = {
    [MEDIA_AUDIO] = &m_frames_audio,
    [MEDIA_VIDEO] = &m_frames_video,
    [MEDIA_DATA] = &m_frames_data,
};

static uint32_t feed_flags(const struct stream *s)
{
    return (s->ready ? FEED_READY : 0u) | (s->has_audio ? FEED_AUDIO : 0u) |
           (s->has_video ? FEED_VIDEO : 0u);
}

static void flag_feeds(struct stream *s)
{
    for (unsigned i = 0; i < FORMAT_COUNT; i++)
        if (s->feeds[i])
            feed_set_flags(s->feeds[i], feed_flags(s));
}

void stream_drop_early(struct stream *stream)
{
    for (unsigned i = 0; i < stream->n_early; i++)
        media_frame_unref(&stream->early[i]);
    stream->n_early = 0;
    free(stream->early);
    stream->early = NULL;
}

/* May a viewer start at this frame? */
static bool is_entry(const struct stream *s, const struct media_frame_info *info)
{
    if (info->flags & (FRAME_CONFIG | FRAME_METADATA | FRAME_SEQ_END))
        return false;
    if (info->kind == MEDIA_VIDEO)
        return info->flags & FRAME_KEY;
    if (info->kind != MEDIA_AUDIO || s->has_video || !s->ready)
        return false;
    if (!s->numbers_gops) /* the same boundaries on every node */
        return info->gop != s->gop || s->last_entry_dts_us == INT64_MIN;
    return s->last_entry_dts_us == INT64_MIN ||
           info->dts_us - s->last_entry_dts_us >= AUDIO_ENTRY_US;
}

/* Takes the frame: numbers it, then feeds and cache. It is ours alone until here, so it may be
 * changed. */
static void deliver(struct stream *s, const struct media_frame **frame_ref)
{
    struct media_frame *frame = (struct media_frame *)(uintptr_t)*frame_ref;
    bool entry;

    frame->info.gop = s->numbers_gops ? s->gop : s->upstream_gop;
    entry = is_entry(s, &frame->info);
    if (entry) {
        if (s->numbers_gops)
            frame->info.gop = s->gop + 1;
        s->last_entry_dts_us = frame->info.dts_us;
    }
    s->gop = frame->info.gop;
    track_set_apply(&s->tracks, frame);
    for (unsigned i = 0; i < FORMAT_COUNT; i++)
        if (s->feeds[i])
            feed_append(s->feeds[i], frame, entry);
    gop_cache_push(&s->cache, frame_ref, entry);
}

void stream_become_ready(struct stream *stream)
{
    stream->ready = true;
    for (unsigned i = 0; i < stream->n_early; i++)
        deliver(stream, &stream->early[i]);
    stream_drop_early(stream);
    flag_feeds(stream);
}

/* There is video: its key frames are the entry points, so sound before it is no use. The
 * configuration is: OBS sends that of the sound first. */
static void settle_early(struct stream *s)
{
    for (unsigned i = 0; i < s->n_early; i++)
        if (s->early[i]->info.flags & FRAME_CONFIG)
            deliver(s, &s->early[i]);
    stream_drop_early(s);
}

/* Audio that comes before it is known whether there is video: kept, since it may be all there is.
 * True: taken. */
static bool keep_early(struct stream *s, const struct media_frame **frame)
{
    if (s->ready || s->has_video || (*frame)->info.kind != MEDIA_AUDIO ||
        s->n_early == EARLY_FRAMES_MAX)
        return false;
    if (!s->early && !(s->early = calloc(EARLY_FRAMES_MAX, sizeof(struct media_frame *))))
        return false;
    s->early[s->n_early++] = *frame;
    *frame = NULL;
    return true;
}

static void note_track(struct stream *s, const struct media_frame_info *info)
{
    bool *seen = info->kind == MEDIA_AUDIO ? &s->has_audio : &s->has_video;

    if (info->kind == MEDIA_DATA)
        return;
    if (info->kind == MEDIA_AUDIO)
        s->audio = info->codec;
    else
        s->video = info->codec;
    if (!s->first_frame_us)
        s->first_frame_us = loop_now_us(s->home->loop);
    if (*seen)
        return;
    *seen = true;
    if (info->kind == MEDIA_VIDEO)
        settle_early(s);
    if (s->ready) /* a late track */
        flag_feeds(s);
}

/* Pictures before the first key frame cannot be decoded by anybody. */
static bool is_useless(struct stream *s, const struct media_frame_info *info)
{
    if (info->kind != MEDIA_VIDEO || !s->wait_key || info->flags & FRAME_CONFIG)
        return false;
    if (info->flags & FRAME_KEY)
        s->wait_key = false;
    return s->wait_key;
}

/* A relay that resumes starts at the GOP that it broke off in: what we have of it is left out. */
static bool is_repeat(struct stream *s, const struct media_frame_info *info, int64_t src_dts_us)
{
    if (!s->resume[info->kind] || info->flags & FRAME_CONFIG)
        return false;
    s->resume[info->kind] =
        src_dts_us + s->timeline.offset_us <= s->timeline.last_dts_us[info->kind];
    return s->resume[info->kind];
}

/* Configurations are kept for long and would hold all that lies in a block with them. */
static const struct media_frame *make_frame(struct stream *s, const struct media_frame_info *info,
                                            struct buf_view body)
{
    return info->flags & (FRAME_CONFIG | FRAME_METADATA) ? media_frame_create(info, body)
                                                         : media_arena_frame(&s->arena, info, body);
}

enum err stream_push(struct source *source, uint8_t flv_type, int64_t src_dts_us,
                     struct buf_view body, const char **why)
{
    struct stream *s = source->stream;
    struct media_frame_info info = {0};
    const struct media_frame *frame;
    struct buf_view inner;
    bool metadata = flv_type == FLV_TAG_SCRIPT && flv_is_metadata(body, &inner);
    enum err e;

    if (!s ||
        !body.size_bytes) /* evicted within this turn; or an empty message, as some encoders send */
        return E_OK;
    if (metadata)
        body = inner;
    e = flv_parse_body(flv_type, body, &info, why);
    if (e != E_OK)
        return e;
    if (metadata)
        info.flags |= FRAME_METADATA;
    s->bytes_in += body.size_bytes;
    s->n_frames[info.kind]++;
    metric_add(k_frame_counters[info.kind], 1);
    s->last_frame_us = loop_now_us(s->home->loop);
    note_track(s, &info);
    if (is_useless(s, &info) || is_repeat(s, &info, src_dts_us))
        return E_OK;
    info.dts_us = timeline_map(&s->timeline, info.kind, info.flags & FRAME_CONFIG, src_dts_us);
    info.ingest_us = s->ingest_us ? s->ingest_us : s->last_frame_us;
    frame = make_frame(s, &info, body);
    if (!frame)
        return E_NOMEM;
    if (!keep_early(s, &frame))
        deliver(s, &frame);
    if (!s->ready && s->has_audio && s->has_video)
        stream_become_ready(s);
    return E_OK;
}

void stream_set_upstream(struct source *source, uint64_t epoch, uint64_t gop, int64_t ingest_us,
                         int64_t wall_us)
{
    struct stream *s = source->stream;

    if (!s)
        return;
    s->epoch = epoch;
    s->upstream_gop = gop;
    s->ingest_us = ingest_us;
    s->wall_us = wall_us;
    stream_tell_feeds(s);
}

void stream_expect_tracks(struct source *source, bool audio, bool video)
{
    struct stream *s = source->stream;

    if (!s || s->ready || (!audio && !video))
        return;
    s->has_audio = audio;
    s->has_video = video;
    stream_become_ready(s);
}
