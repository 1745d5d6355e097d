/* Files of two tracks, made box by box so that each table can be wrong; and what the demuxer makes
 * of a file, as text. */
#ifndef HW_TESTS_UNIT_PROTO_MP4_DEMUX_TEST_H
#define HW_TESTS_UNIT_PROTO_MP4_DEMUX_TEST_H

#include "mp4_test.h"
#include "proto/mp4/box.h"
#include "proto/mp4/demux.h"

#define MAX_TEXT 4096

struct rows { /* of a table; n 0 and values NULL: the box is not there */
    const char *type;
    uint32_t n;
    const uint32_t *values;
    size_t n_values;
    int64_t claims; /* rows, when not n; 0 = n */
};
#define ROWS(type_, row_values, ...)                                    \
    {                                                                   \
        .type = (type_), .values = (const uint32_t[]){__VA_ARGS__},     \
        .n_values = sizeof((const uint32_t[]){__VA_ARGS__}) / 4,        \
        .n = sizeof((const uint32_t[]){__VA_ARGS__}) / 4 / (row_values) \
    }

struct track_plan {
    uint32_t id, timescale;
    const char *handler, *entry;
    unsigned n_entries;
    size_t padding_bytes; /* of each avcC */
    uint32_t edits[6];    /* duration, time and rate of each; rate 0 ends them */
    struct rows times, offsets, chunks, places, keys;
    uint32_t same_bytes;
    unsigned size_bits; /* 0 = stsz, else stz2 */
    const uint32_t *sizes;
    uint32_t n_samples;
};

struct file_plan {
    struct track_plan tracks[2];
    unsigned n_tracks;
    bool is_behind; /* moov */
    bool is_large;  /* mdat with a size of 64 bits */
    bool has_fragments;
    const char *media;
};

/* 4 pictures of 40 ms, shown as 1 3 2 4, two of them in a chunk, and 4 frames of sound of 32 ms in
 * one chunk between those. */
static const uint32_t k_video_sizes[] = {3, 2, 1, 2};
static const struct file_plan k_plan = {
    .n_tracks = 2,
    .tracks = {{.id = 1,
                .timescale = 1000,
                .handler = "vide",
                .entry = "avc1",
                .n_entries = 1,
                .times = ROWS("stts", 2, 4, 40),
                .offsets = ROWS("ctts", 2, 1, 40, 1, 80, 1, 0, 1, 40),
                .chunks = ROWS("stsc", 3, 1, 2, 1),
                .places = ROWS("stco", 1, 0, 13),
                .keys = ROWS("stss", 1, 1, 4),
                .sizes = k_video_sizes,
                .n_samples = 4},
               {.id = 2,
                .timescale = 48000,
                .handler = "soun",
                .entry = "ac-3",
                .n_entries = 1,
                .times = ROWS("stts", 2, 4, 1536),
                .chunks = ROWS("stsc", 3, 1, 4, 1),
                .places = ROWS("stco", 1, 5),
                .same_bytes = 2,
                .n_samples = 4}},
    .media = "v1.v2a1a2a3a43v4",
};
#define PLAN_TEXT                                                           \
    "V config 7\nV key 0+40 v1.\nA key 0+0 a1\nA key 32+0 a2\nV 40+80 v2\n" \
    "A key 64+0 a3\nV 80+0 3\nA key 96+0 a4\nV key 120+40 v4\n"

static inline void put_rows(struct buf_writer *w, const struct rows *rows, uint32_t base)
{
    bool is_place = rows->type && (!strcmp(rows->type, "stco") || !strcmp(rows->type, "co64"));
    size_t box;

    if (!rows->type)
        return;
    box = mp4_begin_full_box(w, rows->type, 0, 0);
    buf_write_u32be(w, rows->claims ? (uint32_t)rows->claims : rows->n);
    for (size_t i = 0; i < rows->n_values; i++) {
        if (!strcmp(rows->type, "co64"))
            buf_write_u32be(w, 0);
        buf_write_u32be(w, rows->values[i] + (is_place ? base : 0));
    }
    mp4_end_box(w, box);
}

static inline void put_sizes(struct buf_writer *w, const struct track_plan *t)
{
    size_t box = mp4_begin_full_box(w, t->size_bits ? "stz2" : "stsz", 0, 0);

    buf_write_u32be(w, t->size_bits ? t->size_bits : t->same_bytes);
    buf_write_u32be(w, t->n_samples);
    for (uint32_t i = 0; t->sizes && i < t->n_samples; i++) {
        if (t->size_bits == 4 && i % 2)
            continue;
        if (t->size_bits == 4)
            buf_write_u8(w, t->sizes[i] << 4 | (i + 1 < t->n_samples ? t->sizes[i + 1] : 0));
        else if (t->size_bits == 8)
            buf_write_u8(w, t->sizes[i]);
        else if (t->size_bits == 16)
            buf_write_u16be(w, t->sizes[i]);
        else
            buf_write_u32be(w, t->sizes[i]);
    }
    mp4_end_box(w, box);
}

/* avcC without parameter sets: its last byte but two says which entry it is. */
static inline void put_entry(struct buf_writer *w, const struct track_plan *t, unsigned number)
{
    const uint8_t avcc[] = {1, 0x64, 0, (uint8_t)(30 + number), 0xff, 0xe0, 0};
    bool is_video = !strcmp(t->handler, "vide");
    size_t entry = mp4_begin_box(w, t->entry), config;

    mp4_write_zeros(w, is_video ? 78 : 28);
    if (is_video) {
        config = mp4_begin_box(w, "avcC");
        buf_write(w, avcc, sizeof avcc);
        mp4_write_zeros(w, t->padding_bytes);
        mp4_end_box(w, config);
    }
    mp4_end_box(w, entry);
}

static inline void put_stbl(struct buf_writer *w, const struct track_plan *t, uint32_t base)
{
    size_t stbl = mp4_begin_box(w, "stbl"), stsd = mp4_begin_full_box(w, "stsd", 0, 0);

    buf_write_u32be(w, t->n_entries);
    for (unsigned i = 0; i < t->n_entries; i++)
        put_entry(w, t, i);
    mp4_end_box(w, stsd);
    put_rows(w, &t->times, base);
    put_rows(w, &t->offsets, base);
    put_rows(w, &t->chunks, base);
    put_sizes(w, t);
    put_rows(w, &t->places, base);
    put_rows(w, &t->keys, base);
    mp4_end_box(w, stbl);
}

static inline void put_edits(struct buf_writer *w, const struct track_plan *t)
{
    size_t edts, elst;
    uint32_t n = t->edits[5] ? 2 : 1;

    if (!t->edits[2])
        return;
    edts = mp4_begin_box(w, "edts");
    elst = mp4_begin_full_box(w, "elst", 0, 0);
    buf_write_u32be(w, n);
    for (unsigned i = 0; i < 3 * n; i++)
        buf_write_u32be(w, t->edits[i]);
    mp4_end_box(w, elst);
    mp4_end_box(w, edts);
}

static inline void put_trak(struct buf_writer *w, const struct track_plan *t, uint32_t base)
{
    size_t trak = mp4_begin_box(w, "trak"), box, mdia, minf;

    box = mp4_begin_full_box(w, "tkhd", 0, 3);
    mp4_write_zeros(w, 8);
    buf_write_u32be(w, t->id);
    mp4_write_zeros(w, 68);
    mp4_end_box(w, box);
    put_edits(w, t);
    mdia = mp4_begin_box(w, "mdia");
    box = mp4_begin_full_box(w, "mdhd", 0, 0);
    mp4_write_zeros(w, 8);
    buf_write_u32be(w, t->timescale);
    mp4_write_zeros(w, 8);
    mp4_end_box(w, box);
    box = mp4_begin_full_box(w, "hdlr", 0, 0);
    mp4_write_zeros(w, 4);
    buf_write_str(w, t->handler);
    mp4_write_zeros(w, 13);
    mp4_end_box(w, box);
    minf = mp4_begin_box(w, "minf");
    put_stbl(w, t, base);
    mp4_end_box(w, minf);
    mp4_end_box(w, mdia);
    mp4_end_box(w, trak);
}

static inline void put_moov(struct buf_writer *w, const struct file_plan *plan, uint32_t base)
{
    size_t moov = mp4_begin_box(w, "moov"), box = mp4_begin_full_box(w, "mvhd", 0, 0);

    mp4_write_zeros(w, 8);
    buf_write_u32be(w, 1000);
    mp4_write_zeros(w, 84);
    mp4_end_box(w, box);
    for (unsigned i = 0; i < plan->n_tracks; i++)
        put_trak(w, &plan->tracks[i], base);
    if (plan->has_fragments) {
        size_t mvex = mp4_begin_box(w, "mvex");

        for (unsigned i = 0; i < plan->n_tracks; i++) {
            box = mp4_begin_full_box(w, "trex", 0, 0);
            buf_write_u32be(w, plan->tracks[i].id);
            buf_write_u32be(w, 1);
            buf_write_u32be(w, i ? 1536 : 40); /* duration */
            buf_write_u32be(w, 2);             /* size */
            buf_write_u32be(w, 0x10000);       /* not a key frame */
            mp4_end_box(w, box);
        }
        mp4_end_box(w, mvex);
    }
    mp4_end_box(w, moov);
}

static inline void put_mdat(struct buf_writer *w, const struct file_plan *plan)
{
    size_t size = strlen(plan->media);

    buf_write_u32be(w, plan->is_large ? 1 : (uint32_t)size + 8);
    buf_write_str(w, "mdat");
    if (plan->is_large)
        buf_write_u64be(w, size + 16);
    buf_write_str(w, plan->media);
}

static inline void put_file(struct buf_writer *w, const struct file_plan *plan)
{
    uint32_t head = plan->is_large ? 16 : 8;
    struct buf_writer moov;

    mp4_write_styp(w); /* as good as ftyp */
    buf_writer_init(&moov, 1 << 16);
    put_moov(&moov, plan, 0);
    if (plan->is_behind)
        put_mdat(w, plan);
    put_moov(w, plan,
             plan->is_behind ? (uint32_t)(w->used_bytes - strlen(plan->media))
                             : (uint32_t)(w->used_bytes + moov.used_bytes) + head);
    if (!plan->is_behind)
        put_mdat(w, plan);
    buf_writer_fini(&moov);
    assert_int_equal(buf_writer_status(w), E_OK);
}

/* --- what comes out --- */

static inline void put_unit(char *text, const struct mp4_unit *unit)
{
    size_t at = strlen(text), size = MAX_TEXT - at;

    if (unit->config)
        snprintf(text + at, size, "%c config %zu\n", unit->kind == MEDIA_VIDEO ? 'V' : 'A',
                 unit->es.size_bytes);
    else
        snprintf(text + at, size, "%c%s %lld+%lld %.*s\n", unit->kind == MEDIA_VIDEO ? 'V' : 'A',
                 unit->key ? " key" : "", (long long)(unit->dts_us / 1000),
                 (long long)((unit->pts_us - unit->dts_us) / 1000), (int)unit->es.size_bytes,
                 (const char *)unit->es.data);
}

/* Gives what is asked for, step bytes at a time, each in a block of its own. E_AGAIN: the file is
 * at its end. text[MAX_TEXT], and why[192]. */
static inline enum err read_in_steps(struct buf_view file, size_t step, bool can_seek, char *text,
                                     char *why, const char **lacks)
{
    struct mp4_demux *d = mp4_demux_create(1000, can_seek);
    struct mp4_unit unit;
    uint64_t at = 0, size_bytes;
    enum err e = E_AGAIN;
    bool has_more = true;

    assert_non_null(d);
    text[0] = '\0';
    while (e == E_AGAIN && has_more) {
        size_t n = at < file.size_bytes ? file.size_bytes - (size_t)at : 0;
        uint8_t *block;

        n = n < step ? n : step;
        has_more = n > 0;
        block = malloc(n ? n : 1);
        assert_non_null(block);
        if (n)
            memcpy(block, file.data + at, n);
        while ((e = mp4_demux_next(d, at, buf_view_of(block, n), &unit)) == E_OK)
            put_unit(text, &unit);
        free(block);
        mp4_demux_wants(d, &at, &size_bytes);
    }
    *lacks = mp4_demux_lacks(d, file.size_bytes);
    snprintf(why, 192, "%s", mp4_demux_error(d));
    mp4_demux_destroy(&d);
    return e;
}

#endif
