/* A reader of fragmented MP4 that shares nothing with the writer: boxes, sample entries, samples
 * with their times. ISO 14496-12. */
#ifndef HW_TESTS_UNIT_PROTO_MP4_MP4_TEST_H
#define HW_TESTS_UNIT_PROTO_MP4_MP4_TEST_H

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "proto/mp4/mp4.h"

#define N_ELEMENTS(a) (sizeof(a) / sizeof(a)[0])

struct read_sample {
    unsigned track; /* index, id - 1 */
    int64_t dts, pts;
    uint32_t duration, flags;
    struct buf_view data;
};

struct read_movie {
    unsigned n_tracks;
    uint32_t timescale[MP4_MAX_TRACKS];
    struct buf_view entry[MP4_MAX_TRACKS]; /* the sample entry, with size and type */
    uint32_t default_duration[MP4_MAX_TRACKS], default_size[MP4_MAX_TRACKS],
        default_flags[MP4_MAX_TRACKS]; /* trex */
    struct read_sample samples[4096];
    size_t n_samples, n_fragments;
    uint32_t last_sequence;
};

/* Next box of *r: its type as text and content; false at the end. A broken size fails the test. */
static inline bool next_box(struct buf_reader *r, char type[5], struct buf_view *content)
{
    uint32_t size_bytes;

    if (r->left_bytes == 0)
        return false;
    size_bytes = buf_read_u32be(r);
    assert_true(size_bytes >= 8);
    memcpy(type, buf_take(r, 4).data, 4);
    type[4] = '\0';
    *content = buf_take(r, size_bytes - 8);
    assert_false(r->overrun);
    return true;
}

/* The first box at the end of a path such as "moov/trak"; fails the test when it is not there. */
static inline struct buf_view find_box(struct buf_view in, const char *path)
{
    struct buf_reader r = buf_reader_from(in);
    struct buf_view content;
    char type[5];

    while (next_box(&r, type, &content))
        if (strncmp(type, path, 4) == 0)
            return path[4] ? find_box(content, path + 5) : content;
    fail_msg("no %.4s", path);
    return in;
}

static inline struct buf_view skip_bytes(struct buf_view in, size_t n)
{
    struct buf_reader r = buf_reader_from(in);

    assert_int_equal(buf_take(&r, n).size_bytes, n);
    return buf_rest(&r);
}

static inline void read_trak(struct read_movie *m, struct buf_view trak)
{
    struct buf_reader mdhd = buf_reader_from(find_box(trak, "mdia/mdhd"));
    unsigned version = buf_read_u8(&mdhd);

    assert_true(m->n_tracks < MP4_MAX_TRACKS);
    (void)buf_take(&mdhd, version ? 19 : 11);
    m->timescale[m->n_tracks] = buf_read_u32be(&mdhd);
    m->entry[m->n_tracks] = skip_bytes(find_box(trak, "mdia/minf/stbl/stsd"), 8);
    m->n_tracks++;
}

static inline void read_trex(struct read_movie *m, struct buf_view trex)
{
    struct buf_reader r = buf_reader_from(skip_bytes(trex, 4));
    unsigned track = buf_read_u32be(&r) - 1;

    assert_true(track < MP4_MAX_TRACKS);
    assert_int_equal(buf_read_u32be(&r), 1);
    m->default_duration[track] = buf_read_u32be(&r);
    m->default_size[track] = buf_read_u32be(&r);
    m->default_flags[track] = buf_read_u32be(&r);
}

static inline void read_moov(struct read_movie *m, struct buf_view moov)
{
    struct buf_reader r = buf_reader_from(moov), mvex;
    struct buf_view content;
    char type[5];

    while (next_box(&r, type, &content))
        if (strcmp(type, "trak") == 0)
            read_trak(m, content);
    mvex = buf_reader_from(find_box(moov, "mvex"));
    while (next_box(&mvex, type, &content))
        if (strcmp(type, "trex") == 0)
            read_trex(m, content);
}

/* What a traf says until its next trun. */
struct traf_state {
    unsigned track;
    int64_t dts;
    uint32_t duration, size, flags;
};

static inline void read_tfhd(struct read_movie *m, struct traf_state *t, struct buf_view tfhd)
{
    struct buf_reader r = buf_reader_from(tfhd);
    uint32_t flags = buf_read_u32be(&r) & 0xffffff;

    t->track = buf_read_u32be(&r) - 1;
    assert_true(t->track < m->n_tracks);
    assert_true(flags & 0x020000); /* default-base-is-moof */
    assert_false(flags & 1);       /* no base-data-offset */
    if (flags & 2)
        assert_int_equal(buf_read_u32be(&r), 1);
    t->duration = flags & 8 ? buf_read_u32be(&r) : m->default_duration[t->track];
    t->size = flags & 0x10 ? buf_read_u32be(&r) : m->default_size[t->track];
    t->flags = flags & 0x20 ? buf_read_u32be(&r) : m->default_flags[t->track];
    assert_true(!r.overrun && r.left_bytes == 0);
}

static inline void read_trun(struct read_movie *m, struct traf_state *t, struct buf_view trun,
                             struct buf_view from_moof)
{
    struct buf_reader r = buf_reader_from(trun), data;
    uint32_t head = buf_read_u32be(&r), flags = head & 0xffffff;
    uint32_t n = buf_read_u32be(&r);
    uint32_t first_flags;

    assert_true(flags & 1);
    data = buf_reader_from(skip_bytes(from_moof, buf_read_u32be(&r)));
    first_flags = flags & 4 ? buf_read_u32be(&r) : t->flags;
    for (uint32_t i = 0; i < n; i++) {
        struct read_sample *s = &m->samples[m->n_samples++];
        uint32_t size_bytes;

        assert_true(m->n_samples <= N_ELEMENTS(m->samples));
        s->track = t->track;
        s->dts = t->dts;
        s->duration = flags & 0x100 ? buf_read_u32be(&r) : t->duration;
        size_bytes = flags & 0x200 ? buf_read_u32be(&r) : t->size;
        s->flags = flags & 0x400 ? buf_read_u32be(&r) : i ? t->flags : first_flags;
        s->pts = s->dts;
        if (flags & 0x800)
            s->pts += head >> 24 ? (int64_t)(int32_t)buf_read_u32be(&r) : buf_read_u32be(&r);
        s->data = buf_take(&data, size_bytes);
        assert_int_equal(s->data.size_bytes, size_bytes);
        t->dts += s->duration;
    }
    assert_true(!r.overrun && r.left_bytes == 0);
}

static inline void read_traf(struct read_movie *m, struct buf_view traf, struct buf_view from_moof)
{
    struct buf_reader r = buf_reader_from(traf);
    struct traf_state t = {0};
    struct buf_view content;
    char type[5];

    while (next_box(&r, type, &content)) {
        struct buf_reader box = buf_reader_from(content);

        if (strcmp(type, "tfhd") == 0)
            read_tfhd(m, &t, content);
        else if (strcmp(type, "tfdt") == 0)
            t.dts = buf_read_u32be(&box) >> 24 ? (int64_t)buf_read_u64be(&box)
                                               : (int64_t)buf_read_u32be(&box);
        else if (strcmp(type, "trun") == 0)
            read_trun(m, &t, content, from_moof);
    }
}

static inline void read_moof(struct read_movie *m, struct buf_view moof, struct buf_view from_moof)
{
    struct buf_reader r = buf_reader_from(moof);
    struct buf_reader mfhd = buf_reader_from(skip_bytes(find_box(moof, "mfhd"), 4));
    struct buf_view content;
    char type[5];

    m->last_sequence = buf_read_u32be(&mfhd);
    m->n_fragments++;
    while (next_box(&r, type, &content))
        if (strcmp(type, "traf") == 0)
            read_traf(m, content, from_moof);
}

/* Reads a file, or init section and fragments one behind the other; views are into it. The caller
 * frees. */
static inline struct read_movie *read_movie(struct buf_view file)
{
    struct read_movie *m = calloc(1, sizeof *m);
    struct buf_reader r = buf_reader_from(file);
    struct buf_view content, from_box = buf_rest(&r);
    char type[5];

    assert_non_null(m);
    while (next_box(&r, type, &content)) {
        if (strcmp(type, "moov") == 0)
            read_moov(m, content);
        else if (strcmp(type, "moof") == 0)
            read_moof(m, content, from_box);
        from_box = buf_rest(&r);
    }
    return m;
}

/* The boxes behind the fixed fields of a sample entry: 78 bytes of video, 28 of sound. */
static inline struct buf_view entry_boxes(struct buf_view entry, enum media_kind kind)
{
    return skip_bytes(entry, 8 + (kind == MEDIA_VIDEO ? 78 : 28));
}

#endif
