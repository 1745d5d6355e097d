/* Fragments to samples. */
#include "proto/mp4/movie_private.h"

#include <stdlib.h>
#include <string.h>

#define US_PER_S 1000000
#define MAX_MOOV_BYTES (1u << 20)
#define TFHD_FLAGS 0x020020u
#define TRUN_SOUND 0x01000301u /* version 1; offset, duration, size */
#define TRUN_VIDEO 0x01000f01u /* ... flags, cts */
#define NOT_SYNC 0x10000u
#define MAX_SECONDS INT64_C(1000000000) /* of a movie: products with microseconds fit */

bool mp4_next_box(struct buf_reader *in, uint32_t *type, struct buf_view *whole,
                  struct buf_view *body)
{
    struct buf_reader at = *in;
    uint32_t size_bytes;

    if (!in->left_bytes)
        return false;
    size_bytes = buf_read_u32be(&at);
    *type = buf_read_u32be(&at);
    *whole = buf_take(in, size_bytes);
    if (at.overrun || in->overrun || size_bytes < 8) {
        in->overrun = true;
        return false;
    }
    *body = buf_view_of(whole->data + 8, size_bytes - 8);
    return true;
}

/* --- the init section --- */

static bool find_box(struct buf_view in, uint32_t wanted, struct buf_view *body)
{
    struct buf_reader r = buf_reader_from(in);
    struct buf_view whole;
    uint32_t type;

    while (mp4_next_box(&r, &type, &whole, body))
        if (type == wanted)
            return true;
    return false;
}

static bool find_path(struct buf_view in, const uint32_t *types, unsigned n, struct buf_view *body)
{
    *body = in;
    for (unsigned i = 0; i < n; i++)
        if (!find_box(*body, types[i], body))
            return false;
    return true;
}

static enum media_codec codec_of_entry(uint32_t type)
{
    static const struct {
        uint32_t type;
        enum media_codec codec;
    } k_entries[] = {
        {MP4_TYPE('a', 'v', 'c', '1'), CODEC_H264}, {MP4_TYPE('h', 'v', 'c', '1'), CODEC_HEVC},
        {MP4_TYPE('a', 'v', '0', '1'), CODEC_AV1},  {MP4_TYPE('v', 'p', '0', '9'), CODEC_VP9},
        {MP4_TYPE('v', 'p', '0', '8'), CODEC_VP8},  {MP4_TYPE('m', 'p', '4', 'a'), CODEC_AAC},
        {MP4_TYPE('O', 'p', 'u', 's'), CODEC_OPUS}, {MP4_TYPE('f', 'L', 'a', 'C'), CODEC_FLAC},
        {MP4_TYPE('a', 'c', '-', '3'), CODEC_AC3},  {MP4_TYPE('e', 'c', '-', '3'), CODEC_EAC3},
        {MP4_TYPE('.', 'm', 'p', '3'), CODEC_MP3},
    };

    for (size_t i = 0; i < sizeof k_entries / sizeof k_entries[0]; i++)
        if (k_entries[i].type == type)
            return k_entries[i].codec;
    return CODEC_UNKNOWN;
}

static bool read_trak(struct mp4_movie_track *t, struct buf_view trak, uint32_t id)
{
    static const uint32_t k_tkhd[] = {MP4_TYPE('t', 'k', 'h', 'd')};
    static const uint32_t k_mdhd[] = {MP4_TYPE('m', 'd', 'i', 'a'), MP4_TYPE('m', 'd', 'h', 'd')};
    static const uint32_t k_hdlr[] = {MP4_TYPE('m', 'd', 'i', 'a'), MP4_TYPE('h', 'd', 'l', 'r')};
    static const uint32_t k_stsd[] = {MP4_TYPE('m', 'd', 'i', 'a'), MP4_TYPE('m', 'i', 'n', 'f'),
                                      MP4_TYPE('s', 't', 'b', 'l'), MP4_TYPE('s', 't', 's', 'd')};
    struct buf_view tkhd, mdhd, hdlr, stsd;
    struct buf_reader r;

    if (!find_path(trak, k_tkhd, 1, &tkhd) || !find_path(trak, k_mdhd, 2, &mdhd) ||
        !find_path(trak, k_hdlr, 2, &hdlr) || !find_path(trak, k_stsd, 4, &stsd))
        return false;
    r = buf_reader_from(tkhd);
    (void)buf_take(&r, 12); /* version 0, created, modified */
    if (buf_read_u32be(&r) != id || tkhd.size_bytes != 84 || tkhd.data[0])
        return false;
    r = buf_reader_from(mdhd);
    (void)buf_take(&r, 12);
    t->timescale = buf_read_u32be(&r);
    if (mdhd.size_bytes != 24 || mdhd.data[0] || !t->timescale)
        return false;
    r = buf_reader_from(hdlr);
    (void)buf_take(&r, 8);
    t->is_video = buf_read_u32be(&r) == MP4_TYPE('v', 'i', 'd', 'e');
    r = buf_reader_from(stsd);
    (void)buf_take(&r, 12); /* version, one entry, its size */
    t->codec = codec_of_entry(buf_read_u32be(&r));
    return !r.overrun;
}

enum err mp4_movie_take_init(struct mp4_movie *movie, struct buf_view moov)
{
    struct buf_reader in = buf_reader_from(moov);
    struct buf_view whole, body;
    bool has_mvhd = false;
    uint32_t type;

    if (!mp4_next_box(&in, &type, &whole, &body) || type != MP4_TYPE('m', 'o', 'o', 'v') ||
        whole.size_bytes != moov.size_bytes)
        return E_PROTO;
    buf_write_view(&movie->moov, moov);
    if (buf_writer_status(&movie->moov) != E_OK)
        return buf_writer_status(&movie->moov);
    in = buf_reader_from(body);
    while (mp4_next_box(&in, &type, &whole, &body)) {
        has_mvhd |= type == MP4_TYPE('m', 'v', 'h', 'd') && body.size_bytes == 100 && !body.data[0];
        if (type != MP4_TYPE('t', 'r', 'a', 'k'))
            continue;
        if (movie->n_tracks == MP4_MAX_TRACKS ||
            !read_trak(&movie->tracks[movie->n_tracks], body, movie->n_tracks + 1))
            return E_PROTO;
        movie->n_tracks++;
    }
    return in.overrun || !has_mvhd || !movie->n_tracks ? E_PROTO : E_OK;
}

/* --- fragments --- */

/* Items with room for one more; NULL: out of memory, and they are as they were. */
static void *with_room(void *items, size_t n, size_t *max, size_t item_bytes)
{
    size_t more = *max * 2 + 256;
    void *grown;

    if (n < *max)
        return items;
    grown = realloc(items, more * item_bytes);
    if (grown)
        *max = more;
    return grown;
}

static bool add_chunk(struct mp4_movie_track *t, uint64_t at, uint32_t n_samples)
{
    struct mp4_movie_chunk *chunks =
        with_room(t->chunks, t->n_chunks, &t->max_chunks, sizeof *chunks);

    if (!chunks)
        return false;
    t->chunks = chunks;
    t->chunks[t->n_chunks++] = (struct mp4_movie_chunk){at, n_samples};
    return true;
}

static bool add_sample(struct mp4_movie_track *t, const struct mp4_movie_sample *sample)
{
    struct mp4_movie_sample *samples =
        with_room(t->samples, t->n_samples, &t->max_samples, sizeof *samples);

    if (!samples)
        return false;
    t->samples = samples;
    t->samples[t->n_samples++] = *sample;
    t->next_dts += sample->duration;
    return true;
}

/* The sample added last. */
static bool add_key(struct mp4_movie_track *t)
{
    uint32_t *keys = with_room(t->keys, t->n_keys, &t->max_keys, sizeof *keys);

    if (!keys)
        return false;
    t->keys = keys;
    t->keys[t->n_keys++] = (uint32_t)t->n_samples;
    return true;
}

/* The end of the last sample was a guess; or there is a gap. */
static void join(struct mp4_movie_track *t, int64_t dts)
{
    struct mp4_movie_sample *last = t->n_samples ? &t->samples[t->n_samples - 1] : NULL;
    int64_t duration;

    if (!last) {
        t->first_dts = t->next_dts = dts;
        return;
    }
    duration = last->duration + (dts - t->next_dts);
    if (duration < 0)
        duration = 0;
    if (duration > UINT32_MAX)
        duration = UINT32_MAX;
    t->next_dts += duration - last->duration;
    last->duration = (uint32_t)duration;
}

struct fragment { /* one that is read */
    struct mp4_movie *movie;
    uint64_t at, first_byte, end_byte; /* data, counted from its beginning */
    bool takes;                        /* else it is only looked at */
};

static bool is_time(const struct mp4_movie_track *t, int64_t dts)
{
    return dts / t->timescale <= MAX_SECONDS;
}

static enum err read_trun(struct fragment *f, struct mp4_movie_track *t, struct buf_view body)
{
    struct buf_reader r = buf_reader_from(body);
    uint32_t flags = buf_read_u32be(&r), n = buf_read_u32be(&r), offset = buf_read_u32be(&r);
    uint64_t end = offset;
    int64_t duration = 0;

    if (flags != (t->is_video ? TRUN_VIDEO : TRUN_SOUND) || !n || n > MP4_MAX_SAMPLES)
        return E_PROTO;
    if (f->takes && !add_chunk(t, f->at + offset, n))
        return E_NOMEM;
    for (uint32_t i = 0; i < n; i++) {
        struct mp4_movie_sample sample = {.duration = buf_read_u32be(&r)};
        uint32_t sample_flags;

        sample.size_bytes = buf_read_u32be(&r);
        sample_flags = t->is_video ? buf_read_u32be(&r) : 0;
        sample.cts = t->is_video ? (int32_t)buf_read_u32be(&r) : 0;
        end += sample.size_bytes;
        if (f->takes && !add_sample(t, &sample))
            return E_NOMEM;
        if (f->takes && t->is_video && !(sample_flags & NOT_SYNC) && !add_key(t))
            return E_NOMEM;
        duration += sample.duration;
    }
    if (!f->takes && !is_time(t, t->next_dts + duration))
        return E_PROTO;
    if (r.overrun || r.left_bytes || offset < f->first_byte || end > f->end_byte)
        return E_PROTO;
    return E_OK;
}

static enum err read_traf(struct fragment *f, struct buf_view traf)
{
    struct buf_reader in = buf_reader_from(traf), r;
    struct mp4_movie_track *track = NULL;
    struct buf_view whole, body;
    enum err e = E_OK;
    uint32_t type, id;
    uint64_t dts;

    while (e == E_OK && mp4_next_box(&in, &type, &whole, &body)) {
        r = buf_reader_from(body);
        if (type == MP4_TYPE('t', 'f', 'h', 'd') && buf_read_u32be(&r) == TFHD_FLAGS) {
            id = buf_read_u32be(&r);
            if (!id || id > f->movie->n_tracks)
                return E_PROTO;
            track = &f->movie->tracks[id - 1];
        } else if (type == MP4_TYPE('t', 'f', 'd', 't') && track &&
                   buf_read_u32be(&r) == 0x01000000) {
            dts = buf_read_u64be(&r);
            if (r.overrun || dts > INT64_MAX || !is_time(track, (int64_t)dts))
                return E_PROTO;
            if (f->takes)
                join(track, (int64_t)dts);
        } else if (type == MP4_TYPE('t', 'r', 'u', 'n') && track) {
            e = read_trun(f, track, body);
        } else {
            return E_PROTO;
        }
    }
    return e == E_OK && (in.overrun || !track) ? E_PROTO : e;
}

static enum err read_moof(struct fragment *f, struct buf_view moof)
{
    struct buf_reader in = buf_reader_from(moof);
    struct buf_view whole, body;
    enum err e = E_OK;
    uint32_t type;

    if (!mp4_next_box(&in, &type, &whole, &body) || type != MP4_TYPE('m', 'o', 'o', 'f') ||
        whole.size_bytes != moof.size_bytes)
        return E_PROTO;
    in = buf_reader_from(body);
    while (e == E_OK && mp4_next_box(&in, &type, &whole, &body))
        if (type == MP4_TYPE('t', 'r', 'a', 'f'))
            e = read_traf(f, body);
    return e == E_OK && in.overrun ? E_PROTO : e;
}

enum err mp4_movie_take_fragment(struct mp4_movie *movie, struct buf_view moof, uint64_t moof_at,
                                 uint64_t data_bytes)
{
    struct fragment f = {.movie = movie,
                         .at = moof_at,
                         .first_byte = moof.size_bytes + 8,
                         .end_byte = moof.size_bytes + 8 + data_bytes};
    enum err e = read_moof(&f, moof);

    f.takes = true;
    return e == E_OK ? read_moof(&f, moof) : e;
}

/* --- the whole --- */

struct mp4_movie *mp4_movie_create(void)
{
    struct mp4_movie *movie = calloc(1, sizeof *movie);

    if (movie)
        buf_writer_init(&movie->moov, MAX_MOOV_BYTES);
    return movie;
}

void mp4_movie_destroy(struct mp4_movie **movie)
{
    if (!*movie)
        return;
    for (unsigned i = 0; i < MP4_MAX_TRACKS; i++) {
        free((*movie)->tracks[i].samples);
        free((*movie)->tracks[i].chunks);
        free((*movie)->tracks[i].keys);
    }
    buf_writer_fini(&(*movie)->moov);
    free(*movie);
    *movie = NULL;
}

size_t mp4_movie_samples(const struct mp4_movie *movie)
{
    size_t n = 0;

    for (unsigned i = 0; i < movie->n_tracks; i++)
        n += movie->tracks[i].n_samples;
    return n;
}

int64_t mp4_movie_duration_us(const struct mp4_movie *movie)
{
    int64_t longest_us = 0;

    for (unsigned i = 0; i < movie->n_tracks; i++) {
        const struct mp4_movie_track *t = &movie->tracks[i];
        int64_t s = t->next_dts / t->timescale, rest = t->next_dts % t->timescale;
        int64_t us = s * US_PER_S + rest * US_PER_S / t->timescale;

        if (t->n_samples && us > longest_us)
            longest_us = us;
    }
    return longest_us;
}

enum media_codec mp4_movie_codec(const struct mp4_movie *movie, enum media_kind kind)
{
    for (unsigned i = 0; i < movie->n_tracks; i++)
        if (movie->tracks[i].is_video == (kind == MEDIA_VIDEO) && movie->tracks[i].n_samples)
            return movie->tracks[i].codec;
    return CODEC_NONE;
}
