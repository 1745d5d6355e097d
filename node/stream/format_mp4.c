/* Feeds of MP4 fragments, one a frame: what browsers take over Media Source Extensions. */
#include <stdlib.h>

#include "node/stream/format.h"
#include "node/stream/es_tracks.h"
#include "proto/mp4/mp4.h"

#define HEADER_MAX_BYTES 1024u    /* moof and the header of mdat; of one frame 116 */
#define INIT_MAX_BYTES (1u << 20) /* moov; a configuration of 64 KiB at most in it */
#define STEP_MAX_US 2000000       /* a longer pause says nothing of the next frame */

/* One of each kind: players have no use for more in one file. */
struct mp4_track {
    int index;           /* in the init section that holds; -1 = not in it, or as another track */
    int64_t last_dts_us; /* of its last fragment; INT64_MIN = none yet */
};

struct mp4_muxer {
    struct es_tracks known;
    struct mp4_track tracks[2]; /* [MEDIA_AUDIO], [MEDIA_VIDEO] */
    bool is_changed;            /* the next entry point has another init section than the last */
    bool has_begun;             /* something was written: a change has to be told in its place */
    struct mp4_mux mux;         /* of the init section that holds */
    struct buf_writer header;   /* of the fragment being written */
};

/* Tracks that can be said, in the order of an init section. */
struct mp4_list {
    enum media_kind kinds[MP4_MAX_TRACKS];
    const struct codec_params *params[MP4_MAX_TRACKS];
    unsigned n;
};

static bool open_mp4(struct mux_context *ctx)
{
    struct mp4_muxer *m = calloc(1, sizeof *m);

    ctx->muxer = m;
    if (!m)
        return false;
    for (unsigned i = 0; i < 2; i++)
        m->tracks[i] = (struct mp4_track){.index = -1, .last_dts_us = INT64_MIN};
    es_tracks_init(&m->known, mp4_carries);
    buf_writer_init(&m->header, HEADER_MAX_BYTES);
    return true;
}

/* Frames of these tracks, as they are from now on, have to wait for the next init section. */
static void note_changed(struct mp4_muxer *m, unsigned kinds)
{
    for (unsigned i = 0; i < 2; i++)
        if (kinds & 1u << i)
            m->tracks[i] = (struct mp4_track){.index = -1, .last_dts_us = INT64_MIN};
    m->is_changed |= kinds != 0;
}

static void close_mp4(struct mux_context *ctx)
{
    struct mp4_muxer *m = ctx->muxer;

    es_tracks_fini(&m->known);
    buf_writer_fini(&m->header);
    free(m);
    ctx->muxer = NULL;
}

static void take_tracks(struct mux_context *ctx, const struct track_set *tracks)
{
    struct mp4_muxer *m = ctx->muxer;

    note_changed(m, es_tracks_take(&m->known, tracks));
}

static void look(struct mux_context *ctx, const struct media_frame *frame)
{
    struct mp4_muxer *m = ctx->muxer;

    note_changed(m, es_tracks_look_ahead(&m->known, frame));
}

static void list_tracks(const struct mp4_muxer *m, struct mp4_list *list)
{
    static const enum media_kind k_order[] = {MEDIA_VIDEO, MEDIA_AUDIO};

    list->n = 0;
    for (unsigned i = 0; i < 2; i++) {
        const struct es_track *track = &m->known.tracks[k_order[i]];

        if (!track->is_known || !mp4_is_complete(&track->params))
            continue;
        list->kinds[list->n] = k_order[i];
        list->params[list->n++] = &track->params;
    }
}

/* The init section of the tracks as they are known; nothing while there is none. Changes nothing:
 * the entry point may come to naught. */
static void write_init(struct buf_writer *out, struct mux_context *ctx,
                       const struct track_set *tracks, int64_t dts_us)
{
    struct mp4_muxer *m = ctx->muxer;
    struct mp4_list list;
    const char *why;

    (void)tracks, (void)dts_us;
    list_tracks(m, &list);
    if (list.n)
        (void)mp4_write_init(out, list.params, list.n, &why);
    if (m->is_changed)
        ctx->version++;
}

/* From this entry point on the tracks are what they are known to be. Who watches already gets the
 * new init section here, where it begins to hold. */
static void adopt_tracks(struct mp4_muxer *m, struct mux_sink *sink)
{
    struct buf_writer moov;
    struct mp4_list list;
    const char *why;

    m->is_changed = false;
    m->tracks[MEDIA_AUDIO].index = m->tracks[MEDIA_VIDEO].index = -1;
    list_tracks(m, &list);
    if (!list.n)
        return;
    for (unsigned i = 0; i < list.n; i++)
        m->tracks[list.kinds[i]].index = (int)i;
    mp4_mux_init(&m->mux, list.params, list.n);
    if (!m->has_begun)
        return;
    buf_writer_init(&moov, INIT_MAX_BYTES);
    if (mp4_write_init(&moov, list.params, list.n, &why) == E_OK &&
        buf_writer_status(&moov) == E_OK)
        sink->put(sink, buf_writer_view(&moov));
    buf_writer_fini(&moov);
}

/* The next frame is taken to be as far from this one as this one from the last: without it a slow
 * picture rate would leave holes between the frames. INT64_MIN = not known. */
static int64_t guess_next_us(const struct mp4_track *track, int64_t dts_us)
{
    int64_t step_us = track->last_dts_us == INT64_MIN ? 0 : dts_us - track->last_dts_us;

    return step_us > 0 && step_us < STEP_MAX_US ? dts_us + step_us : INT64_MIN;
}

static void put_fragment(struct mp4_muxer *m, struct mux_sink *sink,
                         const struct media_frame *frame)
{
    const struct media_frame_info *info = &frame->info;
    struct mp4_track *track = &m->tracks[info->kind];
    struct buf_view es = frame_es(frame);
    struct mp4_sample sample = {.track = (unsigned)track->index,
                                .dts_us = info->dts_us,
                                .cts_us = info->cts_us,
                                .size_bytes = (uint32_t)es.size_bytes,
                                .n_sound =
                                    codec_frame_samples(&m->known.tracks[info->kind].params, es),
                                .key = info->flags & FRAME_KEY,
                                .disposable = info->flags & FRAME_DISPOSABLE};
    struct mp4_fragment fragment = {
        .samples = &sample, .n_samples = 1, .next_dts_us = {INT64_MIN, INT64_MIN}};

    if (!sample.n_sound)
        fragment.next_dts_us[track->index] = guess_next_us(track, info->dts_us);
    buf_writer_clear(&m->header);
    if (mp4_write_fragment(&m->header, &m->mux, &fragment) != E_OK ||
        buf_writer_status(&m->header) != E_OK)
        return;
    sink->put(sink, buf_writer_view(&m->header));
    sink->put_body(sink, frame, es);
    track->last_dts_us = info->dts_us;
    m->has_begun = true;
}

static void write_unit(struct mux_sink *sink, struct mux_context *ctx,
                       const struct media_frame *frame, bool entry)
{
    struct mp4_muxer *m = ctx->muxer;

    if (!frame_is_media(frame) || !frame_is_of_default_track(frame))
        return;
    if (entry && m->is_changed)
        adopt_tracks(m, sink);
    if (m->tracks[frame->info.kind].index >= 0 && es_tracks_hold(&m->known, frame))
        put_fragment(m, sink, frame);
}

const struct feed_format k_format_mp4 = {.name = "mp4",
                                         .carries = mp4_carries,
                                         .open = open_mp4,
                                         .close = close_mp4,
                                         .take_tracks = take_tracks,
                                         .look = look,
                                         .write_unit = write_unit,
                                         .write_init = write_init};
