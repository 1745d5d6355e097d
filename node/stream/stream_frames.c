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
    stream_for_each_feed(s, feed) feed_set_flags(feed, feed_flags(s));
}

static void drop_early(struct stream *stream)
{
    for (unsigned i = 0; i < stream->n_early; i++)
        media_frame_unref(&stream->early[i]);
    stream->n_early = 0;
    free(stream->early);
    stream->early = NULL;
}

static void drop_held(struct stream *stream)
{
    track_set_fini(&stream->held);
    stream->holds_headers = false;
}

void stream_drop_waiting(struct stream *stream)
{
    drop_early(stream);
    drop_held(stream);
}

static bool is_default(const struct media_frame_info *info)
{
    return info->kind != MEDIA_DATA && !info->track_id && !(info->flags & FRAME_MULTITRACK);
}

/* May a viewer start at this frame? */
static bool is_entry(const struct stream *s, const struct media_frame_info *info)
{
    if (info->flags & (FRAME_HEADERS | FRAME_SEQ_END) || !is_default(info))
        return false;
    if (info->kind == MEDIA_VIDEO)
        return info->flags & FRAME_KEY;
    if (info->kind != MEDIA_AUDIO || s->has_video || !s->ready)
        return false;
    if (!s->numbers_gops) /* the same boundaries on every node */
        return info->gop != s->at.gop;
    return !s->at.gop || info->dts_us - s->at.dts_us >= AUDIO_ENTRY_US;
}

/* Gives the frame its GOP, and tells whether that begins with it. */
static bool number(struct stream *s, struct media_frame_info *info)
{
    bool entry;

    info->gop = s->gop;
    if (info->flags & FRAME_HEADERS)
        return false;
    if (!s->numbers_gops)
        info->gop = s->upstream_gop;
    entry = is_entry(s, info);
    if (s->numbers_gops)
        info->gop += entry;
    s->gop = info->gop;
    if (info->gop != s->at.gop && (entry || !s->numbers_gops))
        s->at = (struct stream_position){.gop = info->gop, .dts_us = info->dts_us};
    s->at.n_frames[info->kind]++;
    return entry;
}

/* Where this node numbers GOPs it plans the segments, too. */
static void plan_segments(struct stream *s, const struct media_frame_info *info)
{
    uint64_t told_msn = atomic_load_explicit(&s->told_msn, memory_order_acquire);

    if (told_msn)
        stream_planner_tell(&s->planner, told_msn - 1,
                            atomic_load_explicit(&s->told_discontinuities, memory_order_relaxed));
    s->planner.to_source_us = info->cts_us - s->timeline.offset_us;
    stream_planner_count(&s->planner, &registry_conf(s->registry)->plan, s->run, info->gop,
                         info->dts_us);
}

static void count_segments(struct stream *s, const struct media_frame_info *info)
{
    if (info->flags & FRAME_HEADERS || stream_planner_is_settled(&s->planner, s->run, info->gop))
        return;
    if (s->numbers_gops)
        plan_segments(s, info);
    else
        stream_planner_follow(&s->planner, s->run, info->gop);
}

static void give(struct stream *s, struct feed *feed, const struct media_frame *frame, bool entry)
{
    if (feed->is_learning) {
        if (!feed_learn(feed, frame))
            return; /* the cache has it */
        feed_fill(feed, &s->cache);
    }
    feed_append(feed, frame, entry);
}

/* Players of segments are told of other tracks by a border: put by who plans. */
static void note_change(struct stream *s, const struct media_frame *frame)
{
    if (track_set_apply(&s->tracks, frame) && s->numbers_gops && is_default(&frame->info) &&
        !(frame->info.flags & FRAME_EXTRA))
        stream_planner_note_change(&s->planner, false);
}

/* Takes the frame: numbers it, then feeds and cache. It is ours alone until here, so it may be
 * changed. */
void stream_deliver(struct stream *s, const struct media_frame **frame_ref)
{
    struct media_frame *frame = (struct media_frame *)(uintptr_t)*frame_ref;
    bool entry = number(s, &frame->info);

    note_change(s, frame);
    count_segments(s, &frame->info);
    stream_for_each_feed(s, feed) give(s, feed, frame, entry);
    if (!list_is_empty(&s->sinks))
        stream_sinks_frame(s, frame, entry);
    gop_cache_push(&s->cache, frame_ref, entry);
}

void stream_become_ready(struct stream *stream)
{
    stream->ready = true;
    stream_silence_begin(stream);
    for (unsigned i = 0; i < stream->n_early; i++)
        stream_deliver(stream, &stream->early[i]);
    drop_early(stream);
    flag_feeds(stream);
}

/* There is video: its key frames are the entry points, so sound before it is no use. The
 * configuration is: OBS sends that of the sound first. */
static void settle_early(struct stream *s)
{
    for (unsigned i = 0; i < s->n_early; i++)
        if (s->early[i]->info.flags & FRAME_HEADERS)
            stream_deliver(s, &s->early[i]);
    drop_early(s);
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

/* Of other tracks it does not depend when the stream is ready. */
static void note_track(struct stream *s, const struct media_frame_info *info)
{
    bool *seen = info->kind == MEDIA_AUDIO ? &s->has_audio : &s->has_video;

    if (!s->first_frame_us)
        s->first_frame_us = loop_now_us(s->home->loop);
    if (!is_default(info) || *seen)
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
    if (info->kind != MEDIA_VIDEO || !s->wait_key || info->flags & FRAME_HEADERS)
        return false;
    if (info->flags & FRAME_KEY && is_default(info))
        s->wait_key = false;
    return s->wait_key;
}

/* Of the newest frame, on the clock of the node that took the stream in. */
static int64_t ingest_us(const struct stream *s)
{
    return s->ingest_us ? s->ingest_us : s->last_frame_us;
}

/* --- going on with a run --- */

/* A connection begins with the headers of its first GOP, which may be before ours: what the tracks
 * were then is nobody's business here, only what they are at the first new frame. */
static void hold_header(struct stream *s, const struct media_frame_info *info, struct buf_view body)
{
    const struct media_frame *frame = media_frame_create(info, body);

    if (!frame)
        return;
    (void)track_set_apply(&s->held, frame);
    s->holds_headers = true;
    media_frame_unref(&frame);
}

/* Takes *header. */
static void give_header(struct stream *s, const struct media_frame **header, int64_t src_dts_us)
{
    struct media_frame *frame = (struct media_frame *)(uintptr_t)*header; /* ours alone */

    if (frame && !track_set_holds(&s->tracks, &frame->info, media_frame_body(frame))) {
        frame->info.dts_us = timeline_map(&s->timeline, frame->info.kind, true, src_dts_us);
        frame->info.ingest_us = ingest_us(s);
        stream_deliver(s, header);
    }
    media_frame_unref(header);
}

static void give_held(struct stream *s, int64_t src_dts_us)
{
    give_header(s, &s->held.metadata, src_dts_us);
    for (unsigned i = 0; i < s->held.n_configs; i++)
        give_header(s, &s->held.configs[i], src_dts_us);
    drop_held(s);
}

/* A frame of a GOP that we have: left out as long as there are known ones. */
static bool is_known_of_gop(struct stream *s, const struct media_frame_info *info,
                            int64_t src_dts_us)
{
    if (!s->timeline.anchored) /* its entry point: upstreams begin with one */
        timeline_anchor(&s->timeline, src_dts_us, s->at.dts_us);
    if (!s->n_known[info->kind])
        return false;
    s->n_known[info->kind]--;
    return true;
}

/* The source is of the run that we had. It may be behind us, and have other times; GOP numbers and
 * the order of frames are the same. What we have is left out. */
static bool is_known(struct stream *s, const struct media_frame_info *info, struct buf_view body,
                     int64_t src_dts_us)
{
    if (!s->resuming) /* decoders have lost the rest of a GOP into which another run came */
        return s->known_gop && s->upstream_gop <= s->known_gop && !(info->flags & FRAME_HEADERS);
    if (info->flags & FRAME_HEADERS) {
        hold_header(s, info, body);
        return true;
    }
    if (s->numbers_gops && info->kind == MEDIA_VIDEO && is_entry(s, info))
        s->upstream_gop++;
    if (s->upstream_gop == s->at.gop)
        return is_known_of_gop(s, info, src_dts_us);
    if (s->upstream_gop < s->at.gop)
        return true;
    s->resuming = false;
    s->wait_key |= !s->timeline.anchored; /* the rest of our GOP was missed, at least */
    return false;
}

/* Configurations are kept for long and would hold all that lies in a block with them. */
static const struct media_frame *make_frame(struct stream *s, const struct media_frame_info *info,
                                            struct buf_view body)
{
    return info->flags & FRAME_HEADERS ? media_frame_create(info, body)
                                       : media_arena_frame(&s->arena, info, body);
}

/* By a new frame whose ingest time the upstream has said. */
static void measure_lag(struct stream *s)
{
    int64_t lag_us, unc_us;

    stream_lag_measure(&s->lag, s->last_frame_us, s->ingest_us);
    if (!stream_lag_get(&s->lag, &lag_us, &unc_us))
        return;
    metric_observe_us(&m_stream_lag, lag_us);
    metric_observe_us(&m_stream_lag_uncertainty, unc_us);
}

/* On the stream's clock, at its place. Takes the frame's memory from body. */
static enum err give_frame(struct stream *s, struct media_frame_info *info, struct buf_view body,
                           int64_t src_dts_us)
{
    bool is_header = info->flags & FRAME_HEADERS, is_main = is_default(info);
    const struct media_frame *frame;

    info->dts_us = is_main || info->kind == MEDIA_DATA
                       ? timeline_map(&s->timeline, info->kind, is_header, src_dts_us)
                       : timeline_map_beside(&s->timeline, info->kind, is_header, src_dts_us);
    info->ingest_us = ingest_us(s);
    if (info->kind == MEDIA_VIDEO && is_main && !is_header)
        stream_silence_until(s, info->dts_us);
    frame = make_frame(s, info, body);
    if (!frame)
        return E_NOMEM;
    if (!keep_early(s, &frame))
        stream_deliver(s, &frame);
    if (!s->ready && s->has_audio && s->has_video)
        stream_become_ready(s);
    return E_OK;
}

/* One track's part of a message. */
static enum err push_part(struct stream *s, uint8_t flv_type, int64_t src_dts_us,
                          struct buf_view body, const char **why)
{
    struct media_frame_info info = {0};
    enum err e = flv_parse_body(flv_type, body, &info, why);
    bool is_timed = s->is_timed;

    s->is_timed = false;
    if (e != E_OK)
        return e;
    s->source->n_frames++;
    s->n_frames[info.kind]++;
    metric_add(k_frame_counters[info.kind], 1);
    e = stream_note_frame(s, &info, body, why);
    if (e != E_OK)
        return e == E_AGAIN ? E_OK : e; /* left out */
    if (info.kind != MEDIA_DATA)
        note_track(s, &info);
    if (is_known(s, &info, body, src_dts_us) || is_useless(s, &info))
        return E_OK;
    if (s->holds_headers)
        give_held(s, src_dts_us);
    if (is_timed)
        measure_lag(s);
    if (is_timed || s->numbers_gops)
        info.flags |= FRAME_TIMED;
    return give_frame(s, &info, body, src_dts_us);
}

/* A message of several tracks, in an old form, or of no track. */
static enum err push_parts(struct stream *s, uint8_t flv_type, int64_t src_dts_us,
                           struct buf_view body, const char **why)
{
    struct flv_parts parts;
    struct buf_view part;
    enum err e;

    flv_parts_begin(&parts, flv_type, body);
    while ((e = flv_parts_next(&parts, &s->home->scratch, &part, why)) == E_OK) {
        e = push_part(s, flv_type, src_dts_us, part, why);
        if (e != E_OK)
            return e;
    }
    return e == E_END ? E_OK : e;
}

enum err stream_push(struct source *source, uint8_t flv_type, int64_t src_dts_us,
                     struct buf_view body, const char **why)
{
    struct stream *s = source->stream;

    if (!s ||
        !body.size_bytes) /* evicted within this turn; or an empty message, as some encoders send */
        return E_OK;
    s->bytes_in += body.size_bytes;
    if (flv_type == FLV_TAG_VIDEO)
        s->video_bytes_in += body.size_bytes;
    s->last_frame_us = loop_now_us(s->home->loop);
    return flv_is_one_part(flv_type, body) ? push_part(s, flv_type, src_dts_us, body, why)
                                           : push_parts(s, flv_type, src_dts_us, body, why);
}

/* What viewers have of a run that was left. */
static struct run_left *find_left(struct stream *s, uint64_t run)
{
    for (unsigned i = 0; run && i < RUNS_LEFT; i++)
        if (s->left[i].run == run)
            return &s->left[i];
    return NULL;
}

static void leave_run(struct stream *s)
{
    struct run_left *left = find_left(s, s->run);

    if (!s->run || !s->at.gop) /* nothing of it came */
        return;
    if (!left) {
        left = &s->left[s->next_left];
        s->next_left = (s->next_left + 1) % RUNS_LEFT;
    }
    *left = (struct run_left){.run = s->run, .gop = s->at.gop};
}

/* An upstream may go over to another session of the encoder in mid-connection: its times go on, but
 * GOP numbers may begin again, so what was counted, and what is kept by number, is void. */
void stream_change_run(struct stream *s, uint64_t run)
{
    const struct run_left *left;

    leave_run(s);
    left = find_left(s, run);
    s->known_gop = left ? left->gop : 0;
    s->run = run;
    s->at = (struct stream_position){0};
    s->resuming = false;
    s->wait_key = true;
    gop_cache_clear(&s->cache);
    stream_sinks_source_change(s);
}

static void take_plan(struct stream *s, struct buf_view text, uint64_t gop)
{
    struct stream_plan plan;

    if (s->numbers_gops || stream_plan_read(text, &plan) != E_OK)
        return;
    plan.run = s->run;
    stream_planner_set(&s->planner, &plan, gop);
}

void stream_set_upstream(struct source *source, const struct stream_upstream *said)
{
    struct stream *s = source->stream;

    if (!s)
        return;
    if (said->run != s->run)
        stream_change_run(s, said->run);
    if (said->plan.data)
        take_plan(s, said->plan, said->gop);
    s->epoch = said->epoch;
    s->upstream_gop = said->gop;
    s->ingest_us = said->ingest_us;
    s->wall_us = said->wall_us;
    s->is_timed = said->is_timed;
    if (said->is_timed)
        stream_lag_hear(&s->lag, said);
    stream_tell_feeds(s);
    if (said->path)
        stream_set_path(s, said->path);
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
