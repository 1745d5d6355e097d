/* Which tracks a stream has, as its frames show them, and what the formats make of that. */
#include "common/base/log.h"
#include "node/control/node_metrics.h"
#include "node/stream/stream_private.h"
#include "proto/codec/codec.h"

static bool is_default(const struct track_note *note)
{
    return note->id == 0;
}

static struct track_note *find_note(struct stream *s, const struct media_frame_info *info)
{
    for (unsigned i = 0; i < s->n_notes; i++)
        if (s->notes[i].id == info->track_id && s->notes[i].kind == info->kind)
            return &s->notes[i];
    return NULL;
}

static struct buf_view es_of(const struct media_frame_info *info, struct buf_view body)
{
    return buf_view_of(body.data + info->es_offset, body.size_bytes - info->es_offset);
}

/* --- what the stream is made of --- */

static void count_codecs(struct stream *s)
{
    struct stream_codecs *codecs = &s->codecs;

    *codecs = (struct stream_codecs){.audio = CODEC_NONE};
    for (unsigned i = 0; i < s->n_notes; i++) {
        const struct track_note *note = &s->notes[i];
        bool is_audio = note->kind == MEDIA_AUDIO;

        if (is_default(note))
            *(is_audio ? &codecs->audio : &codecs->video) = note->codec;
        else
            ++*(is_audio ? &codecs->n_more_audio : &codecs->n_more_video);
    }
}

void stream_tell_codecs(struct stream *stream, struct feed *feed)
{
    char text[128];

    feed_set_codecs(feed, &stream->codecs);
    feed_key_tell_left_out(&feed->key, &stream->codecs, text, sizeof text);
    if (!text[0])
        return;
    metric_add(&m_tracks_left_out, 1);
    log_info("stream", "msg=\"left out\" stream=%s format=%s tracks=%s", stream->name.text,
             feed->format->name, LOG_STR(text));
}

static void tell_all(struct stream *s)
{
    count_codecs(s);
    stream_for_each_feed(s, feed) stream_tell_codecs(s, feed);
}

void stream_forget_tracks(struct stream *stream)
{
    stream->n_notes = 0;
    stream->silence.is_on = false;
    tell_all(stream);
}

/* --- frames --- */

/* Command frames and the like are of no codec. */
static bool shows_track(const struct media_frame_info *info)
{
    return info->kind != MEDIA_DATA && info->codec != CODEC_UNKNOWN;
}

/* Of a broken configuration no length is known: formats that need it leave the track out. */
static void note_config(struct track_note *note, const struct media_frame_info *info,
                        struct buf_view body)
{
    struct codec_params params;
    const char *why;

    note->has_config = true;
    note->nal_length_bytes = 0;
    if (info->kind == MEDIA_VIDEO &&
        codec_params_from_config(info->codec, es_of(info, body), &params, &why) == E_OK)
        note->nal_length_bytes = params.video.nal_length_bytes;
}

/* The first frame of a track (note is NULL), or of another codec. NULL: there are too many. */
static struct track_note *note_codec(struct stream *s, const struct media_frame_info *info,
                                     struct track_note *note)
{
    if (!note && s->n_notes == TRACKS_MAX)
        return NULL;
    if (!note)
        note = &s->notes[s->n_notes++];
    *note = (struct track_note){.kind = info->kind, .codec = info->codec, .id = info->track_id};
    if (s->numbers_gops && is_default(note))
        stream_planner_note_change(&s->planner, true);
    tell_all(s);
    return note;
}

/* FLV has no other place for parameter sets than the sequence header: players show nothing of such
 * pictures, even where the sets are in band. Said to who sends it, instead of nobody seeing a
 * thing. What comes before the first key frame is no use in any case. */
static bool lacks_config(const struct track_note *note, const struct media_frame_info *info)
{
    return !note->has_config && info->flags & FRAME_KEY &&
           (info->codec == CODEC_H264 || info->codec == CODEC_HEVC);
}

/* What is broken is found where it comes in: other nodes and players rely on it. */
static enum err check_frame(const struct stream *s, const struct track_note *note,
                            const struct media_frame_info *info, struct buf_view body,
                            const char **why)
{
    if (!s->numbers_gops || info->flags & (FRAME_HEADERS | FRAME_SEQ_END))
        return E_OK;
    if (lacks_config(note, info)) {
        *why = "H.264 or HEVC pictures without a sequence header before them";
        return E_PROTO;
    }
    return codec_check_frame(info->codec, note->nal_length_bytes, es_of(info, body), why);
}

/* E-RTMP v2 has sound without data say silence, and some encoders send it. */
static bool is_silence(const struct media_frame_info *info, struct buf_view body)
{
    return info->kind == MEDIA_AUDIO && !(info->flags & (FRAME_HEADERS | FRAME_SEQ_END)) &&
           info->es_offset == body.size_bytes;
}

/* What adds to a configuration does not say what the track is. FFmpeg 8 sends the colours of every
 * track as those of the default one. */
static bool is_misplaced(const struct track_note *note, const struct media_frame_info *info)
{
    return note && info->flags & FRAME_EXTRA && note->codec != info->codec;
}

enum err stream_note_frame(struct stream *stream, const struct media_frame_info *info,
                           struct buf_view body, const char **why)
{
    struct track_note *note = find_note(stream, info);

    if (is_silence(info, body) || is_misplaced(note, info))
        return E_AGAIN;
    if (!shows_track(info) || info->flags & FRAME_EXTRA)
        return E_OK;
    if (stream->silence.is_on && info->kind == MEDIA_AUDIO && !info->track_id)
        stream_silence_end(stream);
    if (!note || note->codec != info->codec)
        note = note_codec(stream, info, note);
    if (!note) {
        *why = "more than 16 tracks";
        return E_PROTO;
    }
    if (info->flags & FRAME_CONFIG)
        note_config(note, info, body);
    return check_frame(stream, note, info, body, why);
}
