/* Tables of samples, ISO 14496-12 8.6.1 and 8.7. They stay as they are in moov: a walk over rows
 * needs no memory, whatever they promise. All are checked against each other before the walk. */
#include "proto/mp4/demux_private.h"

#define FULL_BOX_BYTES 4u
#define STSC_ROW_BYTES 12u

/* --- rows --- */

/* The value of the next sample; 0 when there are no more. */
static uint32_t next_value(struct mp4_rows *rows)
{
    while (!rows->n_left && rows->left.left_bytes) {
        rows->n_left = buf_read_u32be(&rows->left);
        rows->value = buf_read_u32be(&rows->left);
    }
    if (!rows->n_left)
        return 0;
    rows->n_left--;
    return rows->value;
}

static void rewind_rows(struct mp4_rows *rows)
{
    rows->left = buf_reader_from(rows->all);
    rows->n_left = 0;
}

static uint32_t size_of(const struct mp4_tables *s, uint32_t sample)
{
    uint64_t bit = (uint64_t)sample * s->size_bits;
    struct buf_reader in = buf_reader_from(s->sizes);

    if (!s->size_bits)
        return s->same_bytes;
    (void)buf_take(&in, (size_t)(bit / 8));
    if (s->size_bits == 4)
        return buf_read_u8(&in) >> (bit & 4 ? 0 : 4) & 0xf;
    return (uint32_t)buf_read_be(&in, s->size_bits / 8);
}

static uint32_t next_key(struct mp4_tables *s)
{
    return s->keys_left.left_bytes ? buf_read_u32be(&s->keys_left) : 0;
}

static void rewind_tables(struct mp4_tables *s)
{
    rewind_rows(&s->times);
    rewind_rows(&s->offsets);
    s->chunk_rows_left = buf_reader_from(s->chunk_rows);
    s->places_left = buf_reader_from(s->places);
    s->keys_left = buf_reader_from(s->keys);
    s->sample = s->chunk = s->left_in_chunk = 0;
    s->next_first = s->n_chunks ? 1 : 0;
    s->next_key = next_key(s);
    s->at = 0;
    s->dts = 0;
}

/* Rows of stsc say from which chunk on they hold. */
static void next_chunk(struct mp4_tables *s)
{
    struct buf_reader peek;

    s->chunk++;
    if (s->chunk == s->next_first) {
        (void)buf_read_u32be(&s->chunk_rows_left);
        s->in_chunk = buf_read_u32be(&s->chunk_rows_left);
        s->entry = buf_read_u32be(&s->chunk_rows_left);
        peek = s->chunk_rows_left;
        s->next_first = peek.left_bytes ? buf_read_u32be(&peek) : 0;
    }
    s->at = buf_read_be(&s->places_left, s->is_co64 ? 8 : 4);
    s->left_in_chunk = s->in_chunk;
}

/* --- checks --- */

static enum err check_times(struct mp4_demux *d, const struct mp4_demux_track *t)
{
    const struct mp4_tables *s = &t->tables;
    struct buf_reader in = buf_reader_from(s->times.all);
    uint64_t n = 0, ticks = 0, most = (uint64_t)MP4_MAX_SECONDS * t->timescale;

    while (in.left_bytes) {
        uint64_t count = buf_read_u32be(&in), row = count * buf_read_u32be(&in);

        if (row > most || ticks + row > most)
            return mp4_demux_fail(d, E_PROTO, "stts", s->times.all.data,
                                  "track %u lasts longer than %lld s", t->id,
                                  (long long)MP4_MAX_SECONDS);
        n += count;
        ticks += row;
    }
    if (n != s->n_samples)
        return mp4_demux_fail(d, E_PROTO, "stts", s->times.all.data, "%llu samples, stsz has %u",
                              (unsigned long long)n, s->n_samples);
    n = 0;
    for (in = buf_reader_from(s->offsets.all); in.left_bytes; (void)buf_read_u32be(&in))
        n += buf_read_u32be(&in);
    if (s->has_offsets && n != s->n_samples)
        return mp4_demux_fail(d, E_PROTO, "ctts", s->offsets.all.data, "%llu samples, stsz has %u",
                              (unsigned long long)n, s->n_samples);
    return E_OK;
}

static enum err check_keys(struct mp4_demux *d, const struct mp4_tables *s)
{
    struct buf_reader in = buf_reader_from(s->keys);
    uint32_t last = 0;

    while (in.left_bytes) {
        uint32_t key = buf_read_u32be(&in);

        if (key <= last || key > s->n_samples)
            return mp4_demux_fail(d, E_PROTO, "stss", s->keys.data, "sample %u after %u, of %u",
                                  key, last, s->n_samples);
        last = key;
    }
    return E_OK;
}

static enum err check_chunk_rows(struct mp4_demux *d, const struct mp4_demux_track *t)
{
    const struct mp4_tables *s = &t->tables;
    struct buf_reader in = buf_reader_from(s->chunk_rows);
    uint32_t last = 0, in_chunk = 0;
    uint64_t n = 0;

    while (in.left_bytes) {
        uint32_t first = buf_read_u32be(&in), entry;

        if (first <= last || (!last && first != 1) || first > s->n_chunks)
            return mp4_demux_fail(d, E_PROTO, "stsc", s->chunk_rows.data,
                                  "chunk %u after %u, of %u", first, last, s->n_chunks);
        n += (uint64_t)(first - last - !last) * in_chunk;
        in_chunk = buf_read_u32be(&in);
        entry = buf_read_u32be(&in);
        last = first;
        if (!in_chunk || !entry || entry > t->n_entries)
            return mp4_demux_fail(d, E_PROTO, "stsc", s->chunk_rows.data,
                                  "chunk %u: %u samples of sample entry %u of %u", first, in_chunk,
                                  entry, t->n_entries);
        if (n > s->n_samples)
            break;
    }
    n += last ? (uint64_t)(s->n_chunks - last + 1) * in_chunk : 0;
    if (n != s->n_samples)
        return mp4_demux_fail(d, E_PROTO, "stsc", s->chunk_rows.data,
                              "%llu samples in %u chunks, stsz has %u", (unsigned long long)n,
                              s->n_chunks, s->n_samples);
    return E_OK;
}

/* --- stbl --- */

/* stsz 8.7.3.2, stz2 8.7.3.3. */
static enum err read_sizes(struct mp4_demux *d, struct mp4_tables *s, struct buf_view body,
                           bool is_compact)
{
    struct buf_reader in = buf_reader_from(body);
    uint32_t word;
    uint64_t bits;

    (void)buf_take(&in, FULL_BOX_BYTES);
    word = buf_read_u32be(&in); /* stsz: size of all; stz2: reserved:24 field_size:8 */
    s->n_samples = buf_read_u32be(&in);
    s->size_bits = is_compact ? word & 0xff : word ? 0 : 32;
    s->same_bytes = is_compact ? 0 : word;
    if (is_compact && s->size_bits != 4 && s->size_bits != 8 && s->size_bits != 16)
        return mp4_demux_fail(d, E_PROTO, "stz2", body.data, "sizes of %u bits", s->size_bits);
    bits = (uint64_t)s->n_samples * s->size_bits;
    s->sizes = buf_take(&in, (size_t)((bits + 7) / 8));
    if (in.overrun)
        return mp4_demux_fail(d, E_PROTO, is_compact ? "stz2" : "stsz", body.data,
                              "%u sizes of %u bits in %zu bytes", s->n_samples, s->size_bits,
                              body.size_bytes);
    return E_OK;
}

static enum err check_tables(struct mp4_demux *d, const struct mp4_demux_track *t)
{
    enum err e = check_times(d, t);

    if (e == E_OK)
        e = check_keys(d, &t->tables);
    return e == E_OK ? check_chunk_rows(d, t) : e;
}

enum err mp4_demux_read_tables(struct mp4_demux *d, struct mp4_demux_track *t, struct buf_view stbl)
{
    struct buf_view stts, ctts, stsc, stsz, stz2, stco, co64, stss;
    struct mp4_tables *s = &t->tables;
    const struct mp4_child children[] = {
        {MP4_TYPE('s', 't', 't', 's'), &stts, true},  {MP4_TYPE('c', 't', 't', 's'), &ctts, false},
        {MP4_TYPE('s', 't', 's', 'c'), &stsc, true},  {MP4_TYPE('s', 't', 's', 'z'), &stsz, false},
        {MP4_TYPE('s', 't', 'z', '2'), &stz2, false}, {MP4_TYPE('s', 't', 'c', 'o'), &stco, false},
        {MP4_TYPE('c', 'o', '6', '4'), &co64, false}, {MP4_TYPE('s', 't', 's', 's'), &stss, false},
    };
    enum err e =
        mp4_demux_children(d, stbl, "stbl", children, sizeof children / sizeof children[0]);

    if (e == E_OK && ((!stsz.data && !stz2.data) || (!stco.data && !co64.data)))
        e = mp4_demux_fail(d, E_PROTO, "stbl", stbl.data, "no %s in it",
                           stsz.data || stz2.data ? "stco" : "stsz");
    s->has_offsets = ctts.data;
    s->has_keys = stss.data;
    s->is_co64 = !stco.data;
    if (e == E_OK)
        e = mp4_demux_rows(d, "stts", stts, 8, &s->times.all);
    if (e == E_OK && s->has_offsets)
        e = mp4_demux_rows(d, "ctts", ctts, 8, &s->offsets.all);
    if (e == E_OK)
        e = mp4_demux_rows(d, "stsc", stsc, STSC_ROW_BYTES, &s->chunk_rows);
    if (e == E_OK)
        e = read_sizes(d, s, stsz.data ? stsz : stz2, !stsz.data);
    if (e == E_OK)
        e = mp4_demux_rows(d, s->is_co64 ? "co64" : "stco", s->is_co64 ? co64 : stco,
                           s->is_co64 ? 8 : 4, &s->places);
    if (e == E_OK && s->has_keys)
        e = mp4_demux_rows(d, "stss", stss, 4, &s->keys);
    if (e != E_OK)
        return e;
    s->n_chunks = (uint32_t)(s->places.size_bytes / (s->is_co64 ? 8 : 4));
    e = check_tables(d, t);
    rewind_tables(s);
    return e;
}

enum err mp4_demux_table_sample(struct mp4_demux *d, struct mp4_demux_track *t,
                                struct mp4_found *out)
{
    struct mp4_tables *s = &t->tables;

    if (s->sample == s->n_samples)
        return E_END;
    if (!s->left_in_chunk)
        next_chunk(s);
    if (s->at > INT64_MAX)
        return mp4_demux_fail(d, E_PROTO, s->is_co64 ? "co64" : "stco", s->places.data,
                              "track %u: chunk %u is at byte %llu", t->id, s->chunk,
                              (unsigned long long)s->at);
    *out = (struct mp4_found){.at = s->at,
                              .size_bytes = size_of(s, s->sample),
                              .entry = s->entry,
                              .dts = s->dts,
                              .cts = (int32_t)next_value(&s->offsets), /* version 0 too: FFmpeg */
                              .key = !s->has_keys || t->kind == MEDIA_AUDIO};
    s->at += out->size_bytes;
    s->dts += next_value(&s->times);
    s->left_in_chunk--;
    s->sample++;
    if (s->has_keys && s->sample == s->next_key) {
        out->key = true;
        s->next_key = next_key(s);
    }
    return E_OK;
}
