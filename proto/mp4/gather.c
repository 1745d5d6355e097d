/* See gather.h. */
#include "proto/mp4/gather.h"

#include <stdlib.h>
#include <string.h>

#define FRAGMENT_US 2000000       /* at most so much is lost with a kill -9 in a long GOP */
#define FRAGMENT_BYTES (4u << 20) /* and so much is held in memory */
#define HEAD_MAX_BYTES (1u << 20)

enum err mp4_write_file_head(struct buf_writer *w, const struct codec_params *const *tracks,
                             unsigned n_tracks, uint32_t *ftyp_bytes, const char **why)
{
    struct buf_writer init;
    enum err e;

    buf_writer_init(&init, HEAD_MAX_BYTES);
    e = mp4_write_init(&init, tracks, n_tracks, why);
    if (e == E_OK)
        e = buf_writer_status(&init);
    if (e == E_OK) {
        struct buf_reader r = buf_reader_from(buf_writer_view(&init));
        struct buf_reader size = r;

        *ftyp_bytes = buf_read_u32be(&size);
        buf_write_view(w, buf_take(&r, *ftyp_bytes));
        buf_write_u32be(w, MP4_HOLD_BYTES);
        buf_write_str(w, "free");
        buf_write_u64be(w, 0);
        buf_write_view(w, buf_rest(&r));
    }
    buf_writer_fini(&init);
    return e;
}

void mp4_put_hold(uint8_t out[MP4_HOLD_BYTES], uint64_t span_bytes)
{
    static const uint8_t k_head[8] = {0, 0, 0, 1, 'm', 'd', 'a', 't'}; /* 1: the size follows */

    memcpy(out, k_head, sizeof k_head);
    for (unsigned i = 0; i < 8; i++)
        out[8 + i] = (uint8_t)(span_bytes >> (56 - 8 * i));
}

static void clear(struct mp4_gather *g)
{
    for (unsigned t = 0; t < MP4_MAX_TRACKS; t++) {
        for (size_t i = 0; i < g->tracks[t].n; i++)
            g->release(g->tracks[t].bodies[i].owner);
        g->tracks[t].n = 0;
    }
    g->n_samples = g->held_bytes = 0;
}

void mp4_gather_init(struct mp4_gather *g, const struct codec_params *const *tracks,
                     unsigned n_tracks, void (*release)(const void *owner))
{
    *g = (struct mp4_gather){.release = release};
    mp4_mux_init(&g->mux, tracks, n_tracks);
}

void mp4_gather_fini(struct mp4_gather *g)
{
    clear(g);
    for (unsigned t = 0; t < MP4_MAX_TRACKS; t++) {
        free(g->tracks[t].samples);
        free(g->tracks[t].bodies);
    }
    *g = (struct mp4_gather){.release = NULL};
}

bool mp4_gather_is_due(const struct mp4_gather *g, int64_t dts_us, bool entry)
{
    return g->n_samples && (entry || dts_us - g->first_us >= FRAGMENT_US ||
                            g->held_bytes >= FRAGMENT_BYTES || g->n_samples == MP4_MAX_SAMPLES);
}

static bool has_room(struct mp4_gather_track *t)
{
    size_t more = t->max * 2 + 64;
    struct mp4_gathered *bodies;
    struct mp4_sample *samples;

    if (t->n < t->max)
        return true;
    samples = realloc(t->samples, more * sizeof *samples);
    if (samples)
        t->samples = samples;
    bodies = realloc(t->bodies, more * sizeof *bodies);
    if (bodies)
        t->bodies = bodies;
    if (!samples || !bodies)
        return false;
    t->max = more;
    return true;
}

enum err mp4_gather_add(struct mp4_gather *g, const struct mp4_sample *sample, struct buf_view es,
                        const void *owner)
{
    struct mp4_gather_track *t = &g->tracks[sample->track];

    if (!has_room(t))
        return E_NOMEM;
    if (!g->n_samples)
        g->first_us = sample->dts_us;
    t->samples[t->n] = *sample;
    t->bodies[t->n++] = (struct mp4_gathered){es, owner};
    g->n_samples++;
    g->held_bytes += es.size_bytes;
    return E_OK;
}

static void put_bodies(const struct mp4_gather *g, struct buf_writer *w)
{
    for (unsigned t = 0; t < MP4_MAX_TRACKS; t++)
        for (size_t i = 0; i < g->tracks[t].n; i++)
            buf_write_view(w, g->tracks[t].bodies[i].es);
}

enum err mp4_gather_write(struct mp4_gather *g, struct buf_writer *w, unsigned next_track,
                          int64_t next_us)
{
    struct mp4_fragment f = {.n_samples = g->n_samples, .next_dts_us = {INT64_MIN, INT64_MIN}};
    struct mp4_sample *samples;
    enum err e = E_NOMEM;
    size_t at = 0;

    if (!g->n_samples)
        return E_OK;
    f.next_dts_us[next_track] = next_us;
    f.samples = samples = malloc(f.n_samples * sizeof *samples);
    for (unsigned t = 0; samples && t < MP4_MAX_TRACKS; t++)
        for (size_t i = 0; i < g->tracks[t].n; i++)
            samples[at++] = g->tracks[t].samples[i];
    if (samples)
        e = mp4_write_fragment(w, &g->mux, &f);
    if (e == E_OK)
        put_bodies(g, w);
    free(samples);
    clear(g);
    return e == E_OK ? buf_writer_status(w) : e;
}
