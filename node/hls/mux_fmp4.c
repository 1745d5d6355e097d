/* Fragments: one a part, all pictures before all sound, so that each track is one run of samples.
 * One moof a frame would be 60 kbit/s of headers. */
#include <stdlib.h>

#include "node/hls/mux.h"

#define HEADER_MAX_BYTES (1u << 20) /* moof of 4096 frames: 64 KiB */
#define INIT_MAX_BYTES (1u << 20)
#define FNV_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)
#define FRAGMENTS_PER_SEGMENT 1024u
#define MAP_BITS 53 /* players may read numbers as doubles */

static const enum media_kind k_order[] = {MEDIA_VIDEO, MEDIA_AUDIO};

static bool open_fmp4(struct hls_mux *m)
{
    m->index[MEDIA_AUDIO] = m->index[MEDIA_VIDEO] = -1;
    buf_writer_init(&m->header, HEADER_MAX_BYTES);
    return true;
}

static void clear_samples(struct hls_mux *m)
{
    for (unsigned kind = 0; kind < 2; kind++) {
        for (size_t i = 0; i < m->n_samples[kind]; i++)
            media_frame_unref(&m->frames[kind][i]);
        m->n_samples[kind] = 0;
    }
}

static void close_fmp4(struct hls_mux *m)
{
    clear_samples(m);
    for (unsigned kind = 0; kind < 2; kind++) {
        free(m->samples[kind]);
        free(m->frames[kind]);
    }
    buf_writer_fini(&m->header);
    hls_data_unref(&m->init);
}

/* --- init sections --- */

/* FNV-1a. */
static uint64_t number_of(struct buf_view bytes)
{
    uint64_t hash = FNV_BASIS;

    for (size_t i = 0; i < bytes.size_bytes; i++)
        hash = (hash ^ bytes.data[i]) * FNV_PRIME;
    return hash >> (64 - MAP_BITS);
}

static void keep_init(struct hls_mux *m, struct buf_view moov)
{
    struct hls_data *init = hls_data_create();

    if (!init)
        return;
    hls_data_put(init, moov);
    hls_data_unref(&m->init);
    m->init = init;
    m->map = number_of(moov);
}

/* What has changed within a segment waits for the next one. */
static void take_tracks_fmp4(struct hls_mux *m, const struct track_set *tracks, unsigned changed)
{
    (void)tracks;
    for (unsigned kind = 0; kind < 2; kind++)
        if (changed & 1u << kind)
            m->index[kind] = -1;
}

static void adopt_tracks(struct hls_mux *m)
{
    const struct codec_params *params[MP4_MAX_TRACKS];
    struct buf_writer moov;
    const struct es_track *tracks[2];
    const char *why;
    unsigned n = 0;

    m->is_changed = false;
    hls_mux_tracks(m, tracks);
    for (unsigned i = 0; i < 2; i++) {
        const struct es_track *track = tracks[k_order[i]];
        bool is_there = track && mp4_is_complete(&track->params);

        m->index[k_order[i]] = is_there ? (int)n : -1;
        if (is_there)
            params[n++] = &track->params;
    }
    if (!n)
        return;
    mp4_mux_init(&m->mp4, params, n);
    buf_writer_init(&moov, INIT_MAX_BYTES);
    if (mp4_write_init(&moov, params, n, &why) == E_OK && buf_writer_status(&moov) == E_OK)
        keep_init(m, buf_writer_view(&moov));
    buf_writer_fini(&moov);
}

static bool is_ready_fmp4(const struct hls_mux *m)
{
    return m->init != NULL;
}

/* Numbers of fragments are the same on all nodes, as their times are. */
static void begin_segment_fmp4(struct hls_mux *m)
{
    if (!m->init || m->is_changed)
        adopt_tracks(m);
    m->mp4.sequence = (uint32_t)(m->msn * FRAGMENTS_PER_SEGMENT);
}

/* --- fragments --- */

static bool has_room(struct hls_mux *m, enum media_kind kind)
{
    size_t more = m->capacity[kind] * 2 + 64;
    const struct media_frame **frames;
    struct mp4_sample *samples;

    if (m->n_samples[kind] < m->capacity[kind])
        return true;
    samples = realloc(m->samples[kind], more * sizeof *samples);
    if (samples)
        m->samples[kind] = samples;
    frames = realloc(m->frames[kind], more * sizeof *frames);
    if (frames)
        m->frames[kind] = frames;
    if (!samples || !frames)
        return false;
    m->capacity[kind] = more;
    return true;
}

/* All samples in their order; NULL when out of memory. */
static struct mp4_sample *join_samples(const struct hls_mux *m, size_t n)
{
    struct mp4_sample *all = malloc(n * sizeof *all);
    size_t at = 0;

    for (unsigned i = 0; all && i < 2; i++)
        for (size_t j = 0; j < m->n_samples[k_order[i]]; j++)
            all[at++] = m->samples[k_order[i]][j];
    return all;
}

static void put_frames(struct hls_mux *m)
{
    hls_data_put(m->data, buf_writer_view(&m->header));
    for (unsigned i = 0; i < 2; i++)
        for (size_t j = 0; j < m->n_samples[k_order[i]]; j++) {
            const struct media_frame *frame = m->frames[k_order[i]][j];

            hls_data_put_frame(m->data, frame, frame_es(frame));
        }
}

/* The frame that follows tells how long the last one of its kind is. */
static void end_part_fmp4(struct hls_mux *m, const struct media_frame *next)
{
    struct mp4_fragment f = {.n_samples = m->n_samples[0] + m->n_samples[1],
                             .next_dts_us = {INT64_MIN, INT64_MIN}};
    struct mp4_sample *samples;

    if (!f.n_samples)
        return;
    f.samples = samples = join_samples(m, f.n_samples);
    if (next && next->info.kind == MEDIA_VIDEO && m->index[MEDIA_VIDEO] >= 0)
        f.next_dts_us[m->index[MEDIA_VIDEO]] = next->info.dts_us;
    buf_writer_clear(&m->header);
    if (samples && mp4_write_fragment(&m->header, &m->mp4, &f) == E_OK &&
        buf_writer_status(&m->header) == E_OK)
        put_frames(m);
    free(samples);
    clear_samples(m);
}

static void add_fmp4(struct hls_mux *m, const struct media_frame *frame, bool entry)
{
    const struct media_frame_info *info = &frame->info;
    struct buf_view es = frame_es(frame);
    size_t *n = &m->n_samples[info->kind];

    (void)entry;
    if (m->n_samples[0] + m->n_samples[1] == MP4_MAX_SAMPLES)
        end_part_fmp4(m, frame);
    if (m->index[info->kind] < 0 || !has_room(m, info->kind))
        return;
    m->frames[info->kind][*n] = media_frame_ref(frame);
    m->samples[info->kind][(*n)++] =
        (struct mp4_sample){.track = (unsigned)m->index[info->kind],
                            .dts_us = info->dts_us,
                            .cts_us = info->cts_us,
                            .size_bytes = (uint32_t)es.size_bytes,
                            .n_sound = codec_frame_samples(&m->known.tracks[info->kind].params, es),
                            .key = info->flags & FRAME_KEY,
                            .disposable = info->flags & FRAME_DISPOSABLE};
}

const struct hls_mux_ops k_hls_mux_fmp4 = {.carries = mp4_carries,
                                           .open = open_fmp4,
                                           .close = close_fmp4,
                                           .take_tracks = take_tracks_fmp4,
                                           .is_ready = is_ready_fmp4,
                                           .begin_segment = begin_segment_fmp4,
                                           .add = add_fmp4,
                                           .end_part = end_part_fmp4};
