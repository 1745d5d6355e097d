/* Fragments: moof and the header of mdat. ISO 14496-12 8.8.4 to 8.8.12. */
#include <assert.h>

#include "proto/mp4/box.h"
#include "proto/mp4/mp4.h"

#define US_PER_S 1000000
#define BOX_BYTES 8u

enum { /* tf_flags of tfhd, tr_flags of trun */
       TF_DEFAULT_FLAGS = 0x000020,
       TF_DEFAULT_BASE_IS_MOOF = 0x020000,
       TR_DATA_OFFSET = 0x000001,
       TR_DURATION = 0x000100,
       TR_SIZE = 0x000200,
       TR_FLAGS = 0x000400,
       TR_CTS = 0x000800
};

enum { /* sample_flags, 8.8.3.1 */
       DEPENDS_ON_OTHERS = 1 << 24,
       DEPENDS_ON_NONE = 2 << 24,
       NO_OTHER_DEPENDS = 2 << 22,
       NOT_SYNC = 1 << 16
};

enum { /* bytes of what a moof is made of */
       MFHD_BYTES = 16,
       TFHD_BYTES = 20,
       TFDT_BYTES = 20,
       TRUN_BYTES = 20, /* without samples */
       VIDEO_SAMPLE_BYTES = 16,
       AUDIO_SAMPLE_BYTES = 8
};

/* Nearest tick. Whole seconds apart, so that no product overflows. */
static int64_t to_ticks(int64_t us, uint32_t timescale)
{
    int64_t s = us / US_PER_S;
    int64_t rest_us = us % US_PER_S;

    if (rest_us < 0) { /* round down, as for times above zero */
        rest_us += US_PER_S;
        s--;
    }
    return s * timescale + (rest_us * timescale + US_PER_S / 2) / US_PER_S;
}

void mp4_mux_init(struct mp4_mux *mux, const struct codec_params *const *tracks, unsigned n_tracks)
{
    assert(n_tracks > 0 && n_tracks <= MP4_MAX_TRACKS);
    *mux = (struct mp4_mux){.n_tracks = n_tracks};
    for (unsigned i = 0; i < n_tracks; i++) {
        const struct codec_params *p = tracks[i];
        struct mp4_mux_track *t = &mux->tracks[i];

        t->kind = p->kind;
        t->timescale = mp4_timescale(p);
        if (p->kind == MEDIA_AUDIO)
            t->last_duration = p->audio.samples_per_frame;
        else if (p->video.fps_num && p->video.fps_den)
            t->last_duration =
                (uint32_t)((uint64_t)MP4_VIDEO_TIMESCALE * p->video.fps_den / p->video.fps_num);
        else
            t->last_duration = MP4_VIDEO_TIMESCALE / 25;
    }
}

/* --- the samples of one track, in a run --- */

/* A walk over the samples of one track. Its times never go back, whatever the frames say: a
 * duration cannot be negative, and presentation times make up for it. */
struct walk {
    const struct mp4_fragment *f;
    struct mp4_mux_track *track;
    unsigned index;
    int64_t dts; /* ticks; of the sample in hand */
};

static size_t next_of_track(const struct mp4_fragment *f, unsigned track, size_t from)
{
    while (from < f->n_samples && f->samples[from].track != track)
        from++;
    return from;
}

static int64_t not_before(int64_t ticks, int64_t least)
{
    return ticks > least ? ticks : least;
}

/* The end of sample i: where the next one begins, or a guess. */
static int64_t end_of(struct walk *walk, size_t i)
{
    const struct mp4_fragment *f = walk->f;
    const struct mp4_sample *s = &f->samples[i];
    size_t next = next_of_track(f, walk->index, i + 1);

    if (next < f->n_samples)
        return to_ticks(f->samples[next].dts_us, walk->track->timescale);
    if (f->next_dts_us[walk->index] > s->dts_us)
        return to_ticks(f->next_dts_us[walk->index], walk->track->timescale);
    return walk->dts + (s->n_sound ? s->n_sound : walk->track->last_duration);
}

static uint32_t sample_flags(const struct mp4_sample *s)
{
    if (s->key)
        return DEPENDS_ON_NONE;
    return DEPENDS_ON_OTHERS | NOT_SYNC | (s->disposable ? (uint32_t)NO_OTHER_DEPENDS : 0);
}

static int32_t to_i32(int64_t value)
{
    return value > INT32_MAX ? INT32_MAX : value < INT32_MIN ? INT32_MIN : (int32_t)value;
}

static void write_sample(struct buf_writer *w, struct walk *walk, size_t i)
{
    const struct mp4_sample *s = &walk->f->samples[i];
    int64_t end = not_before(end_of(walk, i), walk->dts);
    uint32_t duration = end - walk->dts > UINT32_MAX ? UINT32_MAX : (uint32_t)(end - walk->dts);

    buf_write_u32be(w, duration);
    buf_write_u32be(w, s->size_bytes);
    if (walk->track->kind == MEDIA_VIDEO) {
        int64_t pts = to_ticks(s->dts_us + s->cts_us, walk->track->timescale);

        buf_write_u32be(w, sample_flags(s));
        buf_write_u32be(w, (uint32_t)to_i32(pts - walk->dts));
    }
    walk->track->last_duration = duration;
    walk->dts += duration;
}

/* --- boxes --- */

/* The end of the run of samples of one track that begins at i. */
static size_t run_end(const struct mp4_fragment *f, size_t i)
{
    unsigned track = f->samples[i].track;

    while (i < f->n_samples && f->samples[i].track == track)
        i++;
    return i;
}

static void write_trun(struct buf_writer *w, struct walk *walk, size_t i, uint32_t data_offset)
{
    bool video = walk->track->kind == MEDIA_VIDEO;
    uint32_t flags =
        TR_DATA_OFFSET | TR_DURATION | TR_SIZE | (video ? (uint32_t)TR_FLAGS | TR_CTS : 0);
    size_t end = run_end(walk->f, i);
    size_t trun = mp4_begin_full_box(w, "trun", 1, flags); /* version 1: offsets have a sign */

    buf_write_u32be(w, (uint32_t)(end - i));
    buf_write_u32be(w, data_offset);
    for (; i < end; i++)
        write_sample(w, walk, i);
    mp4_end_box(w, trun);
}

/* data_bytes: from the beginning of the moof to that of the first sample. */
static void write_traf(struct buf_writer *w, struct walk *walk, size_t data_bytes)
{
    const struct mp4_fragment *f = walk->f;
    bool video = walk->track->kind == MEDIA_VIDEO;
    size_t traf = mp4_begin_box(w, "traf");
    size_t box = mp4_begin_full_box(w, "tfhd", 0, TF_DEFAULT_BASE_IS_MOOF | TF_DEFAULT_FLAGS);

    buf_write_u32be(w, walk->index + 1);
    buf_write_u32be(w, video ? DEPENDS_ON_OTHERS | NOT_SYNC : DEPENDS_ON_NONE);
    mp4_end_box(w, box);
    box = mp4_begin_full_box(w, "tfdt", 1, 0); /* 64 bits */
    buf_write_u64be(w, (uint64_t)walk->dts);
    mp4_end_box(w, box);
    for (size_t i = 0; i < f->n_samples;) {
        size_t end = run_end(f, i);

        if (f->samples[i].track == walk->index)
            write_trun(w, walk, i, (uint32_t)data_bytes);
        for (; i < end; i++)
            data_bytes += f->samples[i].size_bytes;
    }
    mp4_end_box(w, traf);
}

/* Known before it is written, for the offsets in it count from its beginning. */
static size_t moof_size(const struct mp4_mux *mux, const struct mp4_fragment *f)
{
    size_t size_bytes = BOX_BYTES + MFHD_BYTES;

    for (unsigned track = 0; track < mux->n_tracks; track++)
        if (next_of_track(f, track, 0) < f->n_samples)
            size_bytes += BOX_BYTES + TFHD_BYTES + TFDT_BYTES;
    for (size_t i = 0; i < f->n_samples; i = run_end(f, i))
        size_bytes += TRUN_BYTES;
    for (size_t i = 0; i < f->n_samples; i++)
        size_bytes += mux->tracks[f->samples[i].track].kind == MEDIA_VIDEO ? VIDEO_SAMPLE_BYTES
                                                                           : AUDIO_SAMPLE_BYTES;
    return size_bytes;
}

static void write_moof(struct buf_writer *w, struct mp4_mux *mux, const struct mp4_fragment *f,
                       size_t data_bytes)
{
    size_t moof = mp4_begin_box(w, "moof");
    size_t mfhd = mp4_begin_full_box(w, "mfhd", 0, 0);

    buf_write_u32be(w, ++mux->sequence);
    mp4_end_box(w, mfhd);
    for (unsigned track = 0; track < mux->n_tracks; track++) {
        struct walk walk = {.f = f, .track = &mux->tracks[track], .index = track};
        size_t first = next_of_track(f, track, 0);

        if (first == f->n_samples)
            continue;
        walk.dts = not_before(to_ticks(f->samples[first].dts_us, walk.track->timescale), 0);
        write_traf(w, &walk, data_bytes);
    }
    assert(buf_writer_status(w) != E_OK || w->used_bytes - moof + BOX_BYTES == data_bytes);
    mp4_end_box(w, moof);
}

enum err mp4_write_fragment(struct buf_writer *w, struct mp4_mux *mux,
                            const struct mp4_fragment *fragment)
{
    uint64_t body_bytes = 0;
    size_t moof_bytes;

    if (fragment->n_samples == 0 || fragment->n_samples > MP4_MAX_SAMPLES)
        return E_INVAL;
    for (size_t i = 0; i < fragment->n_samples; i++) {
        assert(fragment->samples[i].track < mux->n_tracks);
        body_bytes += fragment->samples[i].size_bytes;
    }
    moof_bytes = moof_size(mux, fragment);
    if (moof_bytes + BOX_BYTES + body_bytes > INT32_MAX) /* offsets have a sign */
        return E_TOO_BIG;
    write_moof(w, mux, fragment, moof_bytes + BOX_BYTES);
    buf_write_u32be(w, (uint32_t)(BOX_BYTES + body_bytes));
    buf_write_str(w, "mdat");
    return E_OK;
}
