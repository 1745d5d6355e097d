/* A reader of plain MP4 files as FFmpeg writes them (ISO 14496-12), for tests that take real frames
 * of every codec from there. It trusts the file. */
#ifndef HW_TESTS_UNIT_PROTO_TS_MP4_TEST_H
#define HW_TESTS_UNIT_PROTO_TS_MP4_TEST_H

#include <stdio.h>
#include <unistd.h>

#include "tests/unit/proto/ts/ts_test.h"

enum { MAX_SAMPLES = 1000, MAX_MP4_TRACKS = 2 };

struct mp4_sample {
    struct buf_view es;
    int64_t dts_us, pts_us;
    bool key;
};

struct mp4_track {
    enum media_kind kind;
    uint32_t timescale;
    struct buf_view config, stts, ctts, stsc, stsz, stco, stss; /* bodies of boxes */
    struct mp4_sample samples[MAX_SAMPLES];
    size_t n_samples;
};

struct mp4_file {
    struct buf_writer bytes;
    struct mp4_track tracks[MAX_MP4_TRACKS];
    size_t n_tracks;
};

static inline uint32_t u32_at(struct buf_view box, size_t at)
{
    assert_true(at + 4 <= box.size_bytes);
    return be(box.data + at, 4);
}

static inline void mp4_walk(struct mp4_file *file, struct buf_view boxes);

static inline void mp4_box(struct mp4_file *file, const char *type, struct buf_view body)
{
    static const struct {
        const char *type;
        size_t skip_bytes; /* before the boxes inside */
    } k_containers[] = {{"moov", 0},  {"trak", 0},  {"mdia", 0},  {"minf", 0},
                        {"stbl", 0},  {"stsd", 8},  {"avc1", 78}, {"hvc1", 78},
                        {"av01", 78}, {"mp4a", 28}, {"Opus", 28}};
    struct mp4_track *t;

    if (strcmp(type, "trak") == 0)
        assert_true(++file->n_tracks <= MAX_MP4_TRACKS);
    t = &file->tracks[file->n_tracks ? file->n_tracks - 1 : 0];
    for (size_t i = 0; i < N_ELEMENTS(k_containers); i++)
        if (strcmp(type, k_containers[i].type) == 0)
            mp4_walk(file, buf_view_of(body.data + k_containers[i].skip_bytes,
                                       body.size_bytes - k_containers[i].skip_bytes));
    if (strcmp(type, "mdhd") == 0)
        t->timescale = u32_at(body, 12);
    else if (strcmp(type, "hdlr") == 0)
        t->kind = memcmp(body.data + 8, "vide", 4) == 0 ? MEDIA_VIDEO : MEDIA_AUDIO;
    else if (strcmp(type, "avcC") == 0 || strcmp(type, "hvcC") == 0 || strcmp(type, "av1C") == 0 ||
             strcmp(type, "dOps") == 0 || strcmp(type, "esds") == 0)
        t->config = body;
    else if (strcmp(type, "stts") == 0)
        t->stts = body;
    else if (strcmp(type, "ctts") == 0)
        t->ctts = body;
    else if (strcmp(type, "stsc") == 0)
        t->stsc = body;
    else if (strcmp(type, "stsz") == 0)
        t->stsz = body;
    else if (strcmp(type, "stco") == 0)
        t->stco = body;
    else if (strcmp(type, "stss") == 0)
        t->stss = body;
}

static inline void mp4_walk(struct mp4_file *file, struct buf_view boxes)
{
    struct buf_reader in = buf_reader_from(boxes);

    while (in.left_bytes >= 8) {
        uint32_t size_bytes = buf_read_u32be(&in);
        struct buf_view name = buf_take(&in, 4);
        char type[5] = {0};

        memcpy(type, name.data, 4);
        assert_true(size_bytes >= 8);
        mp4_box(file, type, buf_take(&in, size_bytes - 8));
    }
}

/* The value that a run-length table (stts, ctts) has for a sample. */
static inline int32_t run_value(struct buf_view box, size_t sample)
{
    size_t at = 8;

    if (box.size_bytes == 0)
        return 0;
    while (sample >= u32_at(box, at)) {
        sample -= u32_at(box, at);
        at += 8;
    }
    return (int32_t)u32_at(box, at + 4);
}

static inline bool is_sync(struct buf_view stss, size_t sample)
{
    if (stss.size_bytes == 0)
        return true;
    for (size_t i = 0; i < u32_at(stss, 4); i++)
        if (u32_at(stss, 8 + i * 4) == sample + 1)
            return true;
    return false;
}

/* Samples of the chunk, by the stsc entry that holds for it. */
static inline uint32_t chunk_samples(struct buf_view stsc, size_t chunk)
{
    uint32_t n = 0;

    for (size_t i = 0; i < u32_at(stsc, 4) && u32_at(stsc, 8 + i * 12) <= chunk + 1; i++)
        n = u32_at(stsc, 8 + i * 12 + 4);
    return n;
}

static inline void mp4_samples(const struct mp4_file *file, struct mp4_track *t)
{
    int64_t dts = 0;

    for (size_t chunk = 0; chunk < u32_at(t->stco, 4); chunk++) {
        size_t at = u32_at(t->stco, 8 + chunk * 4);

        for (uint32_t i = 0; i < chunk_samples(t->stsc, chunk); i++) {
            size_t n = t->n_samples++;
            struct mp4_sample *s = &t->samples[n];
            uint32_t same = u32_at(t->stsz, 4);
            int64_t pts = dts + run_value(t->ctts, n);

            assert_true(n < MAX_SAMPLES);
            s->es = buf_view_of(file->bytes.data + at, same ? same : u32_at(t->stsz, 12 + n * 4));
            s->dts_us = dts * 1000000 / t->timescale;
            s->pts_us = pts * 1000000 / t->timescale;
            s->key = t->kind == MEDIA_VIDEO && is_sync(t->stss, n);
            at += s->es.size_bytes;
            dts += run_value(t->stts, n);
        }
    }
}

/* esds: the DecoderSpecificInfo, tag 5 (ISO 14496-1 7.2.6); sizes have 7 bits a byte. */
static inline struct buf_view esds_config(struct buf_view esds)
{
    for (size_t at = 4; at + 5 < esds.size_bytes; at++)
        if (be(esds.data + at, 4) == 0x05808080)
            return buf_view_of(esds.data + at + 5, esds.data[at + 4]);
    return buf_view_of(NULL, 0);
}

/* dOps is OpusHead with big endian numbers, without the magic. */
static inline size_t opus_head(struct buf_view dops, uint8_t head[64])
{
    const uint8_t *d = dops.data;
    const uint8_t k_fixed[] = {'O',  'p',  'u',  's',  'H',  'e',  'a',  'd',  1,    d[1],
                               d[3], d[2], d[7], d[6], d[5], d[4], d[9], d[8], d[10]};

    memcpy(head, k_fixed, sizeof k_fixed);
    memcpy(head + sizeof k_fixed, d + 11, dops.size_bytes - 11);
    return sizeof k_fixed + dops.size_bytes - 11;
}

static inline void mp4_open(struct mp4_file *file, const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t piece[4096];
    size_t n;

    assert_non_null(f);
    memset(file, 0, sizeof *file);
    buf_writer_init(&file->bytes, 64u << 20);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        buf_write(&file->bytes, piece, n);
    (void)fclose(f);
    mp4_walk(file, buf_writer_view(&file->bytes));
    for (size_t i = 0; i < file->n_tracks; i++)
        mp4_samples(file, &file->tracks[i]);
}

static inline void mp4_close(struct mp4_file *file)
{
    buf_writer_fini(&file->bytes);
}

/* --- ffmpeg: a movie, and a transport stream of the same name --- */

#define TEST_VIDEO "-f lavfi -i testsrc2=size=320x180:rate=30000/1001 "
#define TEST_AUDIO "-f lavfi -i sine=frequency=440:sample_rate=48000 "

struct ffmpeg_job {
    char folder[64], mp4[96], ts[96];
    struct mp4_file movie;
};

static inline int ffmpeg_job_begin(struct ffmpeg_job *job)
{
    (void)snprintf(job->folder, sizeof job->folder, "/tmp/hw_ts_XXXXXX");
    if (!mkdtemp(job->folder))
        return -1;
    (void)snprintf(job->mp4, sizeof job->mp4, "%s/movie.mp4", job->folder);
    (void)snprintf(job->ts, sizeof job->ts, "%s/movie.ts", job->folder);
    return 0;
}

static inline void ffmpeg_job_end(const struct ffmpeg_job *job)
{
    (void)unlink(job->mp4);
    (void)unlink(job->ts);
    (void)rmdir(job->folder);
}

/* Two seconds; what arguments encode. No edit list: times of the file are times of the frames.
 * False: it cannot be encoded here. */
static inline bool ffmpeg_encode(const struct ffmpeg_job *job, const char *arguments)
{
    char command[1024];

    (void)snprintf(command, sizeof command,
                   "ffmpeg -v error -y %s -t 2 -use_editlist 0 -avoid_negative_ts make_zero %s "
                   ">/dev/null 2>&1",
                   arguments, job->mp4);
    return system(command) == 0;
}

#endif
