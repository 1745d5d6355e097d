/* Fragments: ISO 14496-12 8.8.4 to 8.8.12. Runs of samples stay as they are in moof; of each it is
 * known beforehand where its bytes and its time begin. */
#include "proto/mp4/demux_private.h"

#include <stdlib.h>

#define FULL_BOX_BYTES 4u

enum { /* tf_flags of tfhd, 8.8.7 */
       TF_BASE = 0x000001,
       TF_ENTRY = 0x000002,
       TF_DURATION = 0x000008,
       TF_SIZE = 0x000010,
       TF_FLAGS = 0x000020,
       TF_BASE_IS_MOOF = 0x020000
};
enum { /* tr_flags of trun, 8.8.8 */
       TR_OFFSET = 0x000001,
       TR_FIRST_FLAGS = 0x000004,
       TR_DURATION = 0x000100,
       TR_SIZE = 0x000200,
       TR_FLAGS = 0x000400,
       TR_CTS = 0x000800
};

struct traf {             /* one that is read */
    struct mp4_run proto; /* what its runs have in common */
    uint64_t base, at;    /* offsets count from base; at: the end of the run before */
    struct buf_view tfhd;
};

/* --- samples of a run --- */

struct row {
    uint32_t duration, size_bytes, flags;
    int32_t cts;
};

static struct row read_row(struct buf_reader *in, const struct mp4_run *run, bool is_first)
{
    struct row row = {run->duration, run->size_bytes, run->sample_flags, 0};

    if (run->flags & TR_DURATION)
        row.duration = buf_read_u32be(in);
    if (run->flags & TR_SIZE)
        row.size_bytes = buf_read_u32be(in);
    if (run->flags & TR_FLAGS)
        row.flags = buf_read_u32be(in);
    else if (is_first && run->flags & TR_FIRST_FLAGS)
        row.flags = run->first_flags;
    if (run->flags & TR_CTS)
        row.cts = (int32_t)buf_read_u32be(in); /* version 0 too: no picture is 2^31 ticks late */
    return row;
}

static unsigned row_bytes(uint32_t flags)
{
    unsigned n = 0;

    for (uint32_t bit = TR_DURATION; bit <= TR_CTS; bit <<= 1)
        n += flags & bit ? 4 : 0;
    return n;
}

static enum err add_run(struct mp4_demux *d, const struct mp4_run *run)
{
    if (d->n_runs == d->max_runs) {
        size_t more = d->max_runs * 2 + 16;
        struct mp4_run *grown = realloc(d->runs, more * sizeof *grown);

        if (!grown)
            return mp4_demux_fail(d, E_NOMEM, "moof", d->moof.data, "%s", err_text(E_NOMEM));
        d->runs = grown;
        d->max_runs = more;
    }
    d->runs[d->n_runs++] = *run;
    return E_OK;
}

/* Its end in bytes and time. */
static enum err measure(struct mp4_demux *d, struct mp4_demux_track *t, const struct mp4_run *run,
                        uint64_t *end)
{
    struct buf_reader in = buf_reader_from(run->rows);

    d->moof_samples += run->n;
    if (d->moof_samples > MP4_DEMUX_MAX_FRAGMENT_SAMPLES)
        return mp4_demux_fail(d, E_TOO_BIG, "moof", d->moof.data, "more than %u samples",
                              MP4_DEMUX_MAX_FRAGMENT_SAMPLES);
    *end = run->at;
    for (uint32_t i = 0; i < run->n; i++) {
        struct row row = read_row(&in, run, i == 0);

        *end += row.size_bytes;
        t->next_dts += row.duration;
    }
    if (*end > INT64_MAX || !mp4_is_time(t->next_dts, t->timescale))
        return mp4_demux_fail(d, E_PROTO, "trun", run->rows.data, "impossible place or time");
    return E_OK;
}

/* --- boxes of a traf --- */

static enum err read_trun(struct mp4_demux *d, struct traf *traf, struct buf_view body)
{
    struct mp4_demux_track *t = &d->tracks[traf->proto.track];
    struct buf_reader in = buf_reader_from(body);
    struct mp4_run run = traf->proto;
    enum err e;

    run.flags = buf_read_u32be(&in) & 0xffffff;
    run.n = buf_read_u32be(&in);
    run.at = traf->at;
    run.dts = t->next_dts;
    if (run.flags & TR_OFFSET)
        run.at = traf->base + (uint64_t)(int64_t)(int32_t)buf_read_u32be(&in);
    run.first_flags = run.flags & TR_FIRST_FLAGS ? buf_read_u32be(&in) : 0;
    run.rows = buf_take(&in, (size_t)run.n * row_bytes(run.flags));
    if (in.overrun || run.at > INT64_MAX)
        return mp4_demux_fail(d, E_PROTO, "trun", body.data,
                              in.overrun ? "%u samples of %u bytes in %zu bytes"
                                         : "%u samples of %u bytes in %zu bytes, before the file",
                              run.n, row_bytes(run.flags), body.size_bytes);
    if (run.n && !run.size_bytes && !(run.flags & TR_SIZE)) /* a million of them would be nothing */
        return mp4_demux_fail(d, E_PROTO, "trun", body.data, "%u samples without a size", run.n);
    e = measure(d, t, &run, &traf->at);
    return e == E_OK && run.n ? add_run(d, &run) : e;
}

/* 8.8.12. */
static enum err read_tfdt(struct mp4_demux *d, struct mp4_demux_track *t, struct buf_view body)
{
    struct buf_reader in = buf_reader_from(body);
    bool is_long = buf_read_u8(&in) == 1;
    uint64_t dts;

    (void)buf_take(&in, FULL_BOX_BYTES - 1);
    dts = is_long ? buf_read_u64be(&in) : buf_read_u32be(&in);
    if (in.overrun || dts > INT64_MAX || !mp4_is_time((int64_t)dts, t->timescale))
        return mp4_demux_fail(d, E_PROTO, "tfdt", body.data, "impossible time");
    t->next_dts = (int64_t)dts;
    return E_OK;
}

static uint32_t said(struct buf_reader *in, uint32_t flags, uint32_t flag, uint32_t otherwise)
{
    return flags & flag ? buf_read_u32be(in) : otherwise;
}

static enum err find_track(struct mp4_demux *d, uint32_t id, struct buf_view tfhd, unsigned *track)
{
    for (*track = 0; *track < d->n_tracks; (*track)++)
        if (d->tracks[*track].id == id)
            return E_OK;
    return mp4_demux_fail(d, E_PROTO, "tfhd", tfhd.data, "track %u is not in moov", id);
}

static enum err read_tfhd(struct mp4_demux *d, struct traf *traf, struct buf_view body)
{
    struct buf_reader in = buf_reader_from(body);
    struct mp4_run *proto = &traf->proto;
    uint32_t flags = buf_read_u32be(&in) & 0xffffff, id = buf_read_u32be(&in);
    const struct mp4_demux_track *t;
    enum err e = find_track(d, id, body, &proto->track);

    if (e != E_OK)
        return e;
    t = &d->tracks[proto->track];
    if (flags & TF_BASE)
        traf->base = buf_read_u64be(&in);
    else if (flags & TF_BASE_IS_MOOF)
        traf->base = d->at;
    proto->entry = said(&in, flags, TF_ENTRY, t->trex_entry);
    proto->duration = said(&in, flags, TF_DURATION, t->trex_duration);
    proto->size_bytes = said(&in, flags, TF_SIZE, t->trex_size_bytes);
    proto->sample_flags = said(&in, flags, TF_FLAGS, t->trex_flags);
    if (in.overrun || traf->base > INT64_MAX)
        return mp4_demux_fail(d, E_PROTO, "tfhd", body.data, "is cut off, or has no place");
    if (t->is_read && (!proto->entry || proto->entry > t->n_entries))
        return mp4_demux_fail(d, E_PROTO, "tfhd", body.data, "track %u: sample entry %u of %u", id,
                              proto->entry, t->n_entries);
    traf->at = traf->base;
    return E_OK;
}

/* base: where the data of the traf before end; the moof for the first. */
static enum err read_traf(struct mp4_demux *d, struct buf_view body, uint64_t *base)
{
    struct traf traf = {.base = *base};
    struct buf_view tfhd, tfdt, whole, child;
    const struct mp4_child children[] = {{MP4_TYPE('t', 'f', 'h', 'd'), &tfhd, true},
                                         {MP4_TYPE('t', 'f', 'd', 't'), &tfdt, false}};
    struct buf_reader in = buf_reader_from(body);
    uint32_t type;
    enum err e = mp4_demux_children(d, body, "traf", children, 2);

    if (e == E_OK)
        e = read_tfhd(d, &traf, tfhd);
    if (e == E_OK && tfdt.data)
        e = read_tfdt(d, &d->tracks[traf.proto.track], tfdt);
    while (e == E_OK && mp4_next_box(&in, &type, &whole, &child))
        if (type == MP4_TYPE('t', 'r', 'u', 'n'))
            e = read_trun(d, &traf, child);
    *base = traf.at;
    return e;
}

enum err mp4_demux_read_moof(struct mp4_demux *d, struct buf_view moof)
{
    struct buf_reader in = buf_reader_from(moof);
    struct buf_view whole, body;
    uint64_t base = d->at;
    enum err e = mp4_demux_children(d, moof, "moof", NULL, 0);
    uint32_t type;

    d->n_runs = 0;
    d->moof_samples = 0;
    while (e == E_OK && mp4_next_box(&in, &type, &whole, &body))
        if (type == MP4_TYPE('t', 'r', 'a', 'f'))
            e = read_traf(d, body, &base);
    for (unsigned i = 0; i < d->n_tracks; i++) {
        d->tracks[i].run = 0;
        d->tracks[i].run_sample = 0;
    }
    return e;
}

/* Samples are within the mdat, and together no longer than it: else few bytes could be many. */
enum err mp4_demux_check_mdat(struct mp4_demux *d, uint64_t body_at, uint64_t end_at)
{
    uint64_t left = end_at - body_at;

    for (size_t i = 0; i < d->n_runs; i++) {
        const struct mp4_run *run = &d->runs[i];
        struct buf_reader in = buf_reader_from(run->rows);
        uint64_t bytes = 0;

        for (uint32_t j = 0; j < run->n; j++)
            bytes += read_row(&in, run, j == 0).size_bytes;
        if (run->at < body_at || run->at + bytes > end_at || bytes > left)
            return mp4_demux_fail(d, E_PROTO, "trun", run->rows.data,
                                  "track %u: bytes %llu to %llu are not in the mdat behind it, "
                                  "or are there twice",
                                  d->tracks[run->track].id, (unsigned long long)run->at,
                                  (unsigned long long)(run->at + bytes));
        left -= bytes;
    }
    return E_OK;
}

enum err mp4_demux_run_sample(struct mp4_demux *d, unsigned track, struct mp4_found *out)
{
    struct mp4_demux_track *t = &d->tracks[track];
    const struct mp4_run *run;
    struct row row;

    while (t->run < d->n_runs &&
           (d->runs[t->run].track != track || t->run_sample == d->runs[t->run].n)) {
        t->run++;
        t->run_sample = 0;
    }
    if (t->run == d->n_runs)
        return E_END;
    run = &d->runs[t->run];
    if (!t->run_sample) {
        t->run_left = buf_reader_from(run->rows);
        t->run_at = run->at;
        t->run_dts = run->dts;
    }
    row = read_row(&t->run_left, run, t->run_sample == 0);
    *out = (struct mp4_found){.at = t->run_at,
                              .size_bytes = row.size_bytes,
                              .entry = run->entry,
                              .dts = t->run_dts,
                              .cts = row.cts,
                              .key = t->kind == MEDIA_AUDIO || !(row.flags & MP4_NOT_SYNC)};
    t->run_at += row.size_bytes;
    t->run_dts += row.duration;
    t->run_sample++;
    return E_OK;
}
