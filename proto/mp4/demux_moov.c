/* moov: tracks, when they begin, and what fragments of them have in common. */
#include "proto/mp4/demux_private.h"

#include <string.h>

#define FULL_BOX_BYTES 4u

enum err mp4_demux_children(struct mp4_demux *d, struct buf_view in, const char *name,
                            const struct mp4_child *children, unsigned n)
{
    struct buf_reader r = buf_reader_from(in);
    struct buf_view whole, body;
    uint32_t type;

    for (unsigned i = 0; i < n; i++)
        *children[i].body = (struct buf_view){NULL, 0};
    while (mp4_next_box(&r, &type, &whole, &body))
        for (unsigned i = 0; i < n; i++)
            if (children[i].type == type && !children[i].body->data)
                *children[i].body = body;
    /* FFmpeg ends udta with four zeros, as QuickTime did; elsewhere they are as harmless */
    if (r.overrun && r.left_bytes > FULL_BOX_BYTES)
        return mp4_demux_fail(d, E_PROTO, name, in.data, "a box in it is cut off");
    for (unsigned i = 0; i < n; i++)
        if (children[i].is_needed && !children[i].body->data)
            return mp4_demux_fail(
                d, E_PROTO, name, in.data, "no %c%c%c%c in it", (int)(children[i].type >> 24),
                (int)(children[i].type >> 16 & 0xff), (int)(children[i].type >> 8 & 0xff),
                (int)(children[i].type & 0xff));
    return E_OK;
}

enum err mp4_demux_rows(struct mp4_demux *d, const char *name, struct buf_view body,
                        uint32_t row_bytes, struct buf_view *rows)
{
    struct buf_reader in = buf_reader_from(body);
    uint32_t n;

    (void)buf_take(&in, FULL_BOX_BYTES);
    n = buf_read_u32be(&in);
    *rows = buf_take(&in, (size_t)n * row_bytes);
    if (in.overrun)
        return mp4_demux_fail(d, E_PROTO, name, body.data, "%u rows of %u bytes in %zu bytes", n,
                              row_bytes, body.size_bytes);
    return E_OK;
}

/* --- headers --- */

/* Time scale of mvhd or mdhd, 8.2.2 and 8.4.2. */
static enum err read_timescale(struct mp4_demux *d, const char *name, struct buf_view body,
                               uint32_t *timescale)
{
    struct buf_reader in = buf_reader_from(body);
    bool is_long = buf_read_u8(&in) == 1;

    (void)buf_take(&in, is_long ? 19 : 11); /* flags, created, modified */
    *timescale = buf_read_u32be(&in);
    if (in.overrun || !*timescale)
        return mp4_demux_fail(d, E_PROTO, name, body.data, "no time scale");
    return E_OK;
}

/* 8.3.2. */
static enum err read_tkhd(struct mp4_demux *d, struct mp4_demux_track *t, struct buf_view body)
{
    struct buf_reader in = buf_reader_from(body);
    bool is_long = buf_read_u8(&in) == 1;

    (void)buf_take(&in, is_long ? 19 : 11);
    t->id = buf_read_u32be(&in);
    if (in.overrun || !t->id)
        return mp4_demux_fail(d, E_PROTO, "tkhd", body.data, "no track id");
    for (unsigned i = 0; i < d->n_tracks; i++)
        if (d->tracks[i].id == t->id)
            return mp4_demux_fail(d, E_PROTO, "tkhd", body.data, "track id %u is taken", t->id);
    return E_OK;
}

/* 8.4.3. E_NOT_FOUND: neither pictures nor sound. */
static enum err read_hdlr(struct mp4_demux *d, struct mp4_demux_track *t, struct buf_view body)
{
    struct buf_reader in = buf_reader_from(body);
    uint32_t handler;

    (void)buf_take(&in, FULL_BOX_BYTES + 4);
    handler = buf_read_u32be(&in);
    if (in.overrun)
        return mp4_demux_fail(d, E_PROTO, "hdlr", body.data, "is cut off");
    t->kind = handler == MP4_TYPE('s', 'o', 'u', 'n') ? MEDIA_AUDIO : MEDIA_VIDEO;
    return t->kind == MEDIA_AUDIO || handler == MP4_TYPE('v', 'i', 'd', 'e') ? E_OK : E_NOT_FOUND;
}

/* --- edit lists: 8.6.6 --- */

struct edit {
    uint64_t duration; /* of the movie's ticks */
    int64_t from;      /* of the track's; -1 = nothing is shown */
    uint32_t rate;     /* 16.16 */
};

static struct edit read_edit(struct buf_reader *in, bool is_long)
{
    struct edit edit;

    edit.duration = is_long ? buf_read_u64be(in) : buf_read_u32be(in);
    edit.from = is_long ? (int64_t)buf_read_u64be(in) : (int32_t)buf_read_u32be(in);
    edit.rate = buf_read_u32be(in);
    return edit;
}

/* As muxers write them: a pause, or none, then the media from where its first picture or sound is
 * to where they end. */
static enum err read_elst(struct mp4_demux *d, struct mp4_demux_track *t, struct buf_view body)
{
    struct buf_reader in = buf_reader_from(body);
    bool is_long = buf_read_u8(&in) == 1, is_begun = false;
    struct buf_view rows;
    enum err e = mp4_demux_rows(d, "elst", body, is_long ? 20 : 12, &rows);

    in = buf_reader_from(rows);
    while (e == E_OK && in.left_bytes) {
        struct edit edit = read_edit(&in, is_long);

        if (edit.from < -1 || edit.duration > INT64_MAX ||
            !mp4_is_time((int64_t)edit.duration, d->movie_timescale) ||
            !mp4_is_time(edit.from, t->timescale))
            return mp4_demux_fail(d, E_PROTO, "elst", body.data, "impossible time");
        if (is_begun && edit.from >= 0)
            return mp4_demux_fail(d, E_UNSUPPORTED, "elst", body.data,
                                  "track %u: several edits of the media", t->id);
        if (edit.from >= 0 && edit.rate != 0x10000)
            return mp4_demux_fail(d, E_UNSUPPORTED, "elst", body.data,
                                  "track %u: an edit with another rate than 1", t->id);
        if (edit.from >= 0)
            t->shift_us -= mp4_to_us(edit.from, t->timescale);
        else if (!is_begun)
            t->shift_us += mp4_to_us((int64_t)edit.duration, d->movie_timescale);
        is_begun |= edit.from >= 0;
        if (!mp4_is_time(t->shift_us, 1000000))
            return mp4_demux_fail(d, E_PROTO, "elst", body.data, "impossible time");
    }
    return e;
}

/* --- trak: 8.3.1 --- */

static bool has_kind(const struct mp4_demux *d, enum media_kind kind)
{
    for (unsigned i = 0; i < d->n_tracks; i++)
        if (d->tracks[i].is_read && d->tracks[i].kind == kind)
            return true;
    return false;
}

static enum err read_media(struct mp4_demux *d, struct mp4_demux_track *t, struct buf_view minf,
                           struct buf_view edts)
{
    struct buf_view stbl, stsd, elst;
    const struct mp4_child in_minf[] = {{MP4_TYPE('s', 't', 'b', 'l'), &stbl, true}};
    const struct mp4_child in_stbl[] = {{MP4_TYPE('s', 't', 's', 'd'), &stsd, true}};
    const struct mp4_child in_edts[] = {{MP4_TYPE('e', 'l', 's', 't'), &elst, false}};
    enum err e = mp4_demux_children(d, minf, "minf", in_minf, 1);

    if (e == E_OK)
        e = mp4_demux_children(d, stbl, "stbl", in_stbl, 1);
    if (e == E_OK)
        e = mp4_demux_read_stsd(d, t, stsd);
    if (e == E_OK)
        e = mp4_demux_read_tables(d, t, stbl);
    if (e == E_OK && edts.data)
        e = mp4_demux_children(d, edts, "edts", in_edts, 1);
    if (e == E_OK && edts.data && elst.data)
        e = read_elst(d, t, elst);
    return e;
}

static enum err read_trak(struct mp4_demux *d, struct buf_view trak)
{
    struct mp4_demux_track *t = &d->tracks[d->n_tracks];
    struct buf_view tkhd, edts, mdia, mdhd, hdlr, minf;
    const struct mp4_child in_trak[] = {{MP4_TYPE('t', 'k', 'h', 'd'), &tkhd, true},
                                        {MP4_TYPE('e', 'd', 't', 's'), &edts, false},
                                        {MP4_TYPE('m', 'd', 'i', 'a'), &mdia, true}};
    const struct mp4_child in_mdia[] = {{MP4_TYPE('m', 'd', 'h', 'd'), &mdhd, true},
                                        {MP4_TYPE('h', 'd', 'l', 'r'), &hdlr, true},
                                        {MP4_TYPE('m', 'i', 'n', 'f'), &minf, true}};
    enum err e;

    if (d->n_tracks == MP4_DEMUX_MAX_TRACKS)
        return mp4_demux_fail(d, E_TOO_BIG, "trak", trak.data, "more than %u tracks",
                              MP4_DEMUX_MAX_TRACKS);
    *t = (struct mp4_demux_track){.trex_entry = 1};
    e = mp4_demux_children(d, trak, "trak", in_trak, 3);
    if (e == E_OK)
        e = mp4_demux_children(d, mdia, "mdia", in_mdia, 3);
    if (e == E_OK)
        e = read_tkhd(d, t, tkhd);
    if (e == E_OK)
        e = read_timescale(d, "mdhd", mdhd, &t->timescale);
    if (e == E_OK)
        e = read_hdlr(d, t, hdlr);
    if (e == E_OK && !has_kind(d, t->kind)) {
        e = read_media(d, t, minf, edts);
        t->is_read = e == E_OK;
    }
    if (e == E_OK || e == E_NOT_FOUND)
        d->n_tracks++;
    return e == E_NOT_FOUND ? E_OK : e;
}

/* --- fragments --- */

/* 8.8.3. Of a track that is not there: nothing can refer to it. */
static enum err read_trex(struct mp4_demux *d, struct buf_view body)
{
    struct buf_reader in = buf_reader_from(body);
    uint32_t values[5]; /* id, entry, duration, size, flags */

    (void)buf_take(&in, FULL_BOX_BYTES);
    for (unsigned i = 0; i < 5; i++)
        values[i] = buf_read_u32be(&in);
    if (in.overrun)
        return mp4_demux_fail(d, E_PROTO, "trex", body.data, "is cut off");
    for (unsigned i = 0; i < d->n_tracks; i++) {
        struct mp4_demux_track *t = &d->tracks[i];

        if (t->id != values[0])
            continue;
        t->trex_entry = values[1];
        t->trex_duration = values[2];
        t->trex_size_bytes = values[3];
        t->trex_flags = values[4];
    }
    return E_OK;
}

/* All boxes of that type. */
static enum err read_each(struct mp4_demux *d, struct buf_view in, uint32_t wanted,
                          enum err (*read)(struct mp4_demux *d, struct buf_view body))
{
    struct buf_reader r = buf_reader_from(in);
    struct buf_view whole, body;
    enum err e = E_OK;
    uint32_t type;

    while (e == E_OK && mp4_next_box(&r, &type, &whole, &body))
        if (type == wanted)
            e = read(d, body);
    return e;
}

enum err mp4_demux_read_moov(struct mp4_demux *d, struct buf_view moov)
{
    struct buf_view mvhd, mvex;
    const struct mp4_child in_moov[] = {{MP4_TYPE('m', 'v', 'h', 'd'), &mvhd, true},
                                        {MP4_TYPE('m', 'v', 'e', 'x'), &mvex, false}};
    enum err e;

    d->n_tracks = 0;
    d->error[0] = '\0';
    e = mp4_demux_children(d, moov, "moov", in_moov, 2);
    if (e == E_OK)
        e = read_timescale(d, "mvhd", mvhd, &d->movie_timescale);
    if (e == E_OK)
        e = read_each(d, moov, MP4_TYPE('t', 'r', 'a', 'k'), read_trak);
    d->has_fragments = mvex.data != NULL;
    if (e == E_OK && mvex.data)
        e = read_each(d, mvex, MP4_TYPE('t', 'r', 'e', 'x'), read_trex);
    if (e == E_OK && mp4_demux_left_out(d) == d->n_tracks)
        return d->error[0] ? E_UNSUPPORTED
                           : mp4_demux_fail(d, E_UNSUPPORTED, "moov", moov.data,
                                            "no track of pictures or sound");
    return e;
}
