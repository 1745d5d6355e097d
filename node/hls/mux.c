/* What both containers share, and transport streams. */
#include "node/hls/mux.h"
#include "proto/ts/ts.h"

static const struct hls_mux_ops *const k_ops[] = {
    [HLS_TS] = &k_hls_mux_ts,
    [HLS_FMP4] = &k_hls_mux_fmp4,
};

enum err hls_mux_open(struct hls_mux *m, struct hls_form form)
{
    *m = (struct hls_mux){.ops = k_ops[form.container], .only = form.only};
    es_tracks_init(&m->known, m->ops->carries);
    return m->ops->open(m) ? E_OK : E_NOMEM;
}

void hls_mux_close(struct hls_mux *m)
{
    if (!m->ops)
        return;
    m->ops->close(m);
    es_tracks_fini(&m->known);
    hls_data_unref(&m->data);
    m->ops = NULL;
}

enum err hls_mux_reset(struct hls_mux *m, struct hls_form form)
{
    hls_mux_close(m);
    return hls_mux_open(m, form);
}

void hls_mux_take_tracks(struct hls_mux *m, const struct track_set *tracks)
{
    unsigned changed = es_tracks_take(&m->known, tracks);

    m->is_changed |= changed != 0;
    m->ops->take_tracks(m, tracks, changed);
}

void hls_mux_look(struct hls_mux *m, const struct media_frame *frame)
{
    m->is_changed |= es_tracks_look(&m->known, frame) != 0;
}

bool hls_mux_wants(const struct hls_mux *m, enum media_kind kind)
{
    return m->only == HLS_ALL_TRACKS ||
           kind == (m->only == HLS_ONLY_AUDIO ? MEDIA_AUDIO : MEDIA_VIDEO);
}

void hls_mux_tracks(const struct hls_mux *m, const struct es_track *out[2])
{
    for (unsigned kind = 0; kind < 2; kind++) {
        const struct es_track *track = &m->known.tracks[kind];

        out[kind] = track->is_known && hls_mux_wants(m, (enum media_kind)kind) ? track : NULL;
    }
}

bool hls_mux_is_ready(const struct hls_mux *m)
{
    const struct es_track *tracks[2];

    hls_mux_tracks(m, tracks);
    return (tracks[0] || tracks[1]) && (!m->ops->is_ready || m->ops->is_ready(m));
}

bool hls_mux_has_place(const struct hls_mux *m, const struct media_frame *frame)
{
    return frame_is_media(frame) && frame_is_of_default_track(frame) &&
           es_tracks_hold(&m->known, frame);
}

void hls_mux_begin_segment(struct hls_mux *m, uint64_t msn)
{
    m->msn = msn;
    m->is_entry_due = true;
    if (m->ops->begin_segment)
        m->ops->begin_segment(m);
}

void hls_mux_add(struct hls_mux *m, const struct media_frame *frame)
{
    if (!hls_mux_wants(m, frame->info.kind))
        return;
    if (!m->data)
        m->data = hls_data_create();
    if (m->data)
        m->ops->add(m, frame, m->is_entry_due);
    m->is_entry_due = false;
}

struct hls_data *hls_mux_end_part(struct hls_mux *m, const struct media_frame *next)
{
    struct hls_data *data;

    if (m->data && m->ops->end_part)
        m->ops->end_part(m, next);
    data = m->data;
    m->data = NULL;
    if (data && (hls_data_is_broken(data) || !hls_data_size(data)))
        hls_data_unref(&data);
    return data;
}

/* --- transport streams: the muxer of the feeds --- */

struct data_sink {
    struct mux_sink sink;
    struct hls_data *data;
};

static void put(struct mux_sink *sink, struct buf_view bytes)
{
    hls_data_put(((struct data_sink *)sink)->data, bytes);
}

static void put_body(struct mux_sink *sink, const struct media_frame *frame, struct buf_view part)
{
    hls_data_put_frame(((struct data_sink *)sink)->data, frame, part);
}

static bool open_ts(struct hls_mux *m)
{
    return k_format_ts.open(&m->ts);
}

static void close_ts(struct hls_mux *m)
{
    k_format_ts.close(&m->ts);
}

static bool is_wanted(const void *m, const struct media_frame_info *info)
{
    return hls_mux_wants(m, info->kind);
}

static void take_tracks_ts(struct hls_mux *m, const struct track_set *tracks, unsigned changed)
{
    struct track_set wanted;

    (void)changed;
    track_set_init(&wanted);
    track_set_copy(&wanted, tracks);
    track_set_filter(&wanted, is_wanted, m);
    k_format_ts.take_tracks(&m->ts, &wanted);
    track_set_fini(&wanted);
}

static void add_ts(struct hls_mux *m, const struct media_frame *frame, bool entry)
{
    struct data_sink sink = {.sink = {.put = put, .put_body = put_body}, .data = m->data};

    k_format_ts.write_unit(&sink.sink, &m->ts, frame, entry);
}

const struct hls_mux_ops k_hls_mux_ts = {.carries = ts_carries,
                                         .open = open_ts,
                                         .close = close_ts,
                                         .take_tracks = take_tracks_ts,
                                         .add = add_ts};
