/* Samples to the tables of a moov: ISO 14496-12 8.6 and 8.7. */
#include <string.h>

#include "proto/mp4/box.h"
#include "proto/mp4/movie_private.h"

/* A track begins to the tick where an edit list says so, unless it is so long that 32 bits, 13
 * hours, do not hold its duration. */
#define FINE_TIMESCALE 90000u
#define COARSE_TIMESCALE 1000u
#define NOT_KNOWN UINT32_MAX

static uint32_t to_u32(int64_t value)
{
    return value < 0 || value > UINT32_MAX ? NOT_KNOWN : (uint32_t)value;
}

static int64_t to_movie_time(const struct mp4_movie_track *t, int64_t ticks, uint32_t timescale)
{
    return ticks / t->timescale * timescale +
           (ticks % t->timescale * timescale + t->timescale / 2) / t->timescale;
}

/* A box with a count behind its head, of runs whose number is known late. */
static size_t begin_table(struct buf_writer *w, const char type[5], unsigned version)
{
    size_t box = mp4_begin_full_box(w, type, version, 0);

    buf_write_u32be(w, 0);
    return box;
}

static void end_table(struct buf_writer *w, size_t box, uint32_t n_rows)
{
    if (buf_writer_status(w) != E_OK)
        return;
    buf_patch_u32be(w, box + 12, n_rows);
    mp4_end_box(w, box);
}

static void write_stts(struct buf_writer *w, const struct mp4_movie_track *t)
{
    size_t box = begin_table(w, "stts", 0);
    uint32_t n_rows = 0;

    for (size_t i = 0, end; i < t->n_samples; i = end, n_rows++) {
        for (end = i; end < t->n_samples && t->samples[end].duration == t->samples[i].duration;)
            end++;
        buf_write_u32be(w, (uint32_t)(end - i));
        buf_write_u32be(w, t->samples[i].duration);
    }
    end_table(w, box, n_rows);
}

static void write_ctts(struct buf_writer *w, const struct mp4_movie_track *t)
{
    size_t box = begin_table(w, "ctts", 1); /* version 1: with a sign */
    uint32_t n_rows = 0;

    for (size_t i = 0, end; i < t->n_samples; i = end, n_rows++) {
        for (end = i; end < t->n_samples && t->samples[end].cts == t->samples[i].cts;)
            end++;
        buf_write_u32be(w, (uint32_t)(end - i));
        buf_write_u32be(w, (uint32_t)t->samples[i].cts);
    }
    end_table(w, box, n_rows);
}

static void write_stss(struct buf_writer *w, const struct mp4_movie_track *t)
{
    size_t box = begin_table(w, "stss", 0);

    for (size_t i = 0; i < t->n_keys; i++)
        buf_write_u32be(w, t->keys[i]);
    end_table(w, box, (uint32_t)t->n_keys);
}

static void write_stsc(struct buf_writer *w, const struct mp4_movie_track *t)
{
    size_t box = begin_table(w, "stsc", 0);
    uint32_t n_rows = 0;

    for (size_t i = 0; i < t->n_chunks; i++) {
        if (i && t->chunks[i].n_samples == t->chunks[i - 1].n_samples)
            continue;
        buf_write_u32be(w, (uint32_t)i + 1);
        buf_write_u32be(w, t->chunks[i].n_samples);
        buf_write_u32be(w, 1); /* sample description */
        n_rows++;
    }
    end_table(w, box, n_rows);
}

static void write_stsz(struct buf_writer *w, const struct mp4_movie_track *t)
{
    size_t box = mp4_begin_full_box(w, "stsz", 0, 0);

    buf_write_u32be(w, 0); /* sizes differ */
    buf_write_u32be(w, (uint32_t)t->n_samples);
    for (size_t i = 0; i < t->n_samples; i++)
        buf_write_u32be(w, t->samples[i].size_bytes);
    mp4_end_box(w, box);
}

static void write_offsets(struct buf_writer *w, const struct mp4_movie_track *t)
{
    bool wide = t->n_chunks && t->chunks[t->n_chunks - 1].at > UINT32_MAX;
    size_t box = begin_table(w, wide ? "co64" : "stco", 0);

    for (size_t i = 0; i < t->n_chunks; i++) {
        if (wide)
            buf_write_u64be(w, t->chunks[i].at);
        else
            buf_write_u32be(w, (uint32_t)t->chunks[i].at);
    }
    end_table(w, box, (uint32_t)t->n_chunks);
}

static void write_stbl(struct buf_writer *w, const struct mp4_movie_track *t, struct buf_view old)
{
    struct buf_reader in = buf_reader_from(old);
    size_t stbl = mp4_begin_box(w, "stbl");
    struct buf_view whole, body;
    uint32_t type;

    while (mp4_next_box(&in, &type, &whole, &body))
        if (type == MP4_TYPE('s', 't', 's', 'd'))
            buf_write_view(w, whole);
    write_stts(w, t);
    if (t->is_video) {
        write_ctts(w, t);
        write_stss(w, t);
    }
    write_stsc(w, t);
    write_stsz(w, t);
    write_offsets(w, t);
    mp4_end_box(w, stbl);
}

/* A track that begins later than the movie does: nothing is shown first. */
static void write_edts(struct buf_writer *w, const struct mp4_movie_track *t, uint32_t timescale)
{
    size_t edts, elst;

    if (!t->first_dts)
        return;
    edts = mp4_begin_box(w, "edts");
    elst = mp4_begin_full_box(w, "elst", 0, 0);
    buf_write_u32be(w, 2);
    buf_write_u32be(w, to_u32(to_movie_time(t, t->first_dts, timescale)));
    buf_write_u32be(w, UINT32_MAX); /* -1 */
    buf_write_u32be(w, 0x10000);
    buf_write_u32be(w, to_u32(to_movie_time(t, t->next_dts - t->first_dts, timescale)));
    buf_write_u32be(w, 0);
    buf_write_u32be(w, 0x10000);
    mp4_end_box(w, elst);
    mp4_end_box(w, edts);
}

/* The old box with a duration at offset at. */
static void write_with_duration(struct buf_writer *w, struct buf_view whole, size_t at,
                                uint32_t duration)
{
    size_t begin = w->used_bytes;

    buf_write_view(w, whole);
    if (buf_writer_status(w) == E_OK)
        buf_patch_u32be(w, begin + at, duration);
}

/* Boxes within a trak: those that have others in them are taken apart. */
static void write_inside(struct buf_writer *w, const struct mp4_movie_track *t, uint32_t timescale,
                         struct buf_view old)
{
    struct buf_reader in = buf_reader_from(old);
    struct buf_view whole, body;
    uint32_t type;

    while (mp4_next_box(&in, &type, &whole, &body)) {
        size_t box;

        switch (type) {
        case MP4_TYPE('t', 'k', 'h', 'd'):
            write_with_duration(w, whole, 28, to_u32(to_movie_time(t, t->next_dts, timescale)));
            write_edts(w, t, timescale);
            break;
        case MP4_TYPE('m', 'd', 'h', 'd'):
            write_with_duration(w, whole, 24, to_u32(t->next_dts - t->first_dts));
            break;
        case MP4_TYPE('m', 'd', 'i', 'a'):
        case MP4_TYPE('m', 'i', 'n', 'f'):
            box = mp4_begin_box(w, type == MP4_TYPE('m', 'd', 'i', 'a') ? "mdia" : "minf");
            write_inside(w, t, timescale, body);
            mp4_end_box(w, box);
            break;
        case MP4_TYPE('s', 't', 'b', 'l'):
            write_stbl(w, t, body);
            break;
        default:
            buf_write_view(w, whole);
        }
    }
}

/* A track without samples is left out: players wait for it. */
static void write_trak(struct buf_writer *w, const struct mp4_movie_track *t, uint32_t timescale,
                       struct buf_view old)
{
    size_t trak;

    if (!t->n_samples)
        return;
    trak = mp4_begin_box(w, "trak");
    write_inside(w, t, timescale, old);
    mp4_end_box(w, trak);
}

static int64_t movie_duration(const struct mp4_movie *movie, uint32_t timescale)
{
    int64_t longest = 0;

    for (unsigned i = 0; i < movie->n_tracks; i++) {
        int64_t duration = to_movie_time(&movie->tracks[i], movie->tracks[i].next_dts, timescale);

        if (duration > longest)
            longest = duration;
    }
    return longest;
}

void mp4_movie_write(const struct mp4_movie *movie, struct buf_writer *w)
{
    struct buf_reader in = buf_reader_from(buf_writer_view(&movie->moov));
    size_t moov = mp4_begin_box(w, "moov");
    struct buf_view whole, body;
    uint32_t type, timescale = FINE_TIMESCALE;
    unsigned n_tracks = 0;
    size_t begin;

    if (movie_duration(movie, timescale) >= NOT_KNOWN)
        timescale = COARSE_TIMESCALE;
    (void)buf_take(&in, 8);
    while (mp4_next_box(&in, &type, &whole, &body)) {
        begin = w->used_bytes;
        if (type == MP4_TYPE('m', 'v', 'h', 'd')) {
            write_with_duration(w, whole, 24, to_u32(movie_duration(movie, timescale)));
            if (buf_writer_status(w) == E_OK)
                buf_patch_u32be(w, begin + 20, timescale);
        } else if (type == MP4_TYPE('t', 'r', 'a', 'k')) {
            write_trak(w, &movie->tracks[n_tracks++], timescale, body);
        } else if (type != MP4_TYPE('m', 'v', 'e', 'x')) {
            buf_write_view(w, whole);
        }
    }
    mp4_end_box(w, moov);
}
