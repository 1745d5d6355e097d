/* What the tests of records share: frames, a folder that goes again, a writer in it. */
#ifndef HW_TESTS_RECORD_TEST_H
#define HW_TESTS_RECORD_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/record/finish.h"
#include "node/record/folder.h"

static const uint8_t k_avc_config[] = {/* FLV header; High, 320x180, 30000/1001 pictures a second */
                                       0x17, 0,    0,    0,    0,    0x01, 0x64, 0x00, 0x0d,
                                       0xff, 0xe1, 0x00, 0x1b, 0x67, 0x64, 0x00, 0x0d, 0xac,
                                       0xd9, 0x41, 0x41, 0x9f, 0x9f, 0x01, 0x6a, 0x02, 0x02,
                                       0x02, 0x80, 0x00, 0x01, 0xf4, 0x80, 0x00, 0x75, 0x30,
                                       0x07, 0x8a, 0x14, 0xcb, 0x01, 0x00, 0x06, 0x68, 0xeb,
                                       0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00};
static const uint8_t k_aac_config[] = {0xaf, 0x00, 0x12, 0x10}; /* 44.1 kHz, stereo */

#define START_US INT64_C(7000000) /* of the stream's clock, where the file begins */

static inline const struct media_frame *make_frame(enum media_kind kind, unsigned flags,
                                                   int64_t dts_us, const void *body, size_t size)
{
    struct media_frame_info info = {.kind = kind,
                                    .codec = kind == MEDIA_VIDEO ? CODEC_H264 : CODEC_AAC,
                                    .flags = (uint16_t)flags,
                                    .es_offset = kind == MEDIA_VIDEO ? 5 : 2,
                                    .dts_us = dts_us};
    const struct media_frame *frame = media_frame_create(&info, buf_view_of(body, size));

    assert_non_null(frame);
    return frame;
}

static inline const struct media_frame *make_picture(bool is_key, int64_t dts_us)
{
    uint8_t body[5 + 4 + 40] = {is_key ? 0x17 : 0x27, 1, 0, 0, 0, 0, 0, 0, 40,
                                is_key ? 0x65 : 0x41};

    for (size_t i = 10; i < sizeof body; i++)
        body[i] = (uint8_t)(dts_us / 1000 + (int64_t)i) | 1;
    return make_frame(MEDIA_VIDEO, is_key ? FRAME_KEY : 0, dts_us, body, sizeof body);
}

static inline const struct media_frame *make_sound(int64_t dts_us)
{
    uint8_t body[2 + 20] = {0xaf, 1, 0x21};

    body[20] = (uint8_t)(dts_us / 1000);
    return make_frame(MEDIA_AUDIO, 0, dts_us, body, sizeof body);
}

struct folder_rig {
    char path[64];
    int dir_fd;
    struct stream_name stream;
    struct buf_writer out;
    struct record_place place;
    struct record_plan plan;
    uint32_t next_seq;
    struct track_set tracks;
    struct record_done done[16]; /* what was handed over, not finished */
    unsigned n_done;
    struct record_writer w;
};

static inline void rig_take_done(void *arg, struct record_done *done)
{
    struct folder_rig *r = arg;

    assert_true(r->n_done < 16);
    r->done[r->n_done++] = *done;
}

static inline void rig_track(struct folder_rig *r, enum media_kind kind, const void *config,
                             size_t size)
{
    const struct media_frame *frame = make_frame(kind, FRAME_CONFIG, START_US, config, size);

    track_set_apply(&r->tracks, frame);
    media_frame_unref(&frame);
    record_writer_take_tracks(&r->w, &r->tracks);
}

static inline void rig_open(struct folder_rig *r, enum record_format_id format)
{
    const char *why;

    memset(r, 0, sizeof *r);
    strcpy(r->path, "/tmp/headwater_record_XXXXXX");
    assert_non_null(mkdtemp(r->path));
    r->dir_fd = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(r->dir_fd >= 0);
    assert_int_equal(stream_name_from_path(&r->stream, buf_view_str("/live/x"), &why), E_OK);
    buf_writer_init(&r->out, 1 << 24);
    r->place = (struct record_place){
        .dir_fd = r->dir_fd, .out = &r->out, .finish = rig_take_done, .arg = r};
    r->plan = (struct record_plan){
        .formats = 1u << format, .split_us = 3600000000, .segment_us = 1000000};
    track_set_init(&r->tracks);
    r->w.place = &r->place;
    r->w.stream = &r->stream;
    r->w.next_seq = &r->next_seq;
    r->w.plan = &r->plan;
    record_writer_init(&r->w, format);
    rig_track(r, MEDIA_VIDEO, k_avc_config, sizeof k_avc_config);
    rig_track(r, MEDIA_AUDIO, k_aac_config, sizeof k_aac_config);
}

static inline int rig_unlink(const char *path, const struct stat *about, int kind, struct FTW *ftw)
{
    (void)about, (void)kind, (void)ftw;
    return remove(path);
}

static inline void rig_close(struct folder_rig *r)
{
    record_writer_fini(&r->w);
    for (unsigned i = 0; i < r->n_done; i++)
        record_done_free(&r->done[i]);
    track_set_fini(&r->tracks);
    buf_writer_fini(&r->out);
    close(r->dir_fd);
    nftw(r->path, rig_unlink, 8, FTW_DEPTH | FTW_PHYS);
}

/* A frame as a recorder gives it: borders first. */
static inline void rig_put(struct folder_rig *r, const struct media_frame *frame, bool entry)
{
    enum record_cut cut;

    if (entry && record_writer_is_due(&r->w, frame, &cut))
        record_writer_end(&r->w, cut);
    if (entry && record_writer_waits(&r->w))
        assert_int_equal(record_writer_begin(&r->w, frame, INT64_C(1767225600000000), 7), E_OK);
    record_writer_add(&r->w, frame, entry);
    media_frame_unref(&frame);
}

/* 25 pictures a second and sound, a key frame each second. */
static inline void rig_put_seconds(struct folder_rig *r, int64_t from_us, unsigned n_pictures)
{
    for (unsigned i = 0; i < n_pictures; i++) {
        rig_put(r, make_picture(i % 25 == 0, from_us + i * 40000), i % 25 == 0);
        rig_put(r, make_sound(from_us + i * 40000 + 5000), false);
        assert_int_equal(record_writer_flush(&r->w), E_OK);
    }
}

static inline int rig_folder(const struct folder_rig *r)
{
    int fd = record_folder_open(r->dir_fd, &r->stream, true);

    assert_true(fd >= 0);
    return fd;
}

/* Returns the whole file; *size is its length. */
static inline uint8_t *rig_read(const struct folder_rig *r, const struct record_name *name,
                                size_t *size)
{
    int folder_fd = rig_folder(r), fd;
    char file[RECORD_NAME_SIZE];
    struct stat about;
    uint8_t *data;

    record_name_format(name, file);
    fd = record_file_open(folder_fd, file, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &about), 0);
    data = malloc((size_t)about.st_size + 1);
    assert_non_null(data);
    assert_int_equal(read(fd, data, (size_t)about.st_size), about.st_size);
    close(fd);
    close(folder_fd);
    *size = (size_t)about.st_size;
    return data;
}

/* A file in memory. */
struct memory_source {
    struct record_source source;
    const uint8_t *data;
};

static inline bool memory_read(const struct record_source *source, uint64_t at, void *out, size_t n)
{
    if (at > source->size_bytes || n > source->size_bytes - at)
        return false;
    memcpy(out, ((const struct memory_source *)(const void *)source)->data + at, n);
    return true;
}

static inline struct memory_source memory_source_of(const uint8_t *data, size_t size)
{
    return (struct memory_source){{memory_read, size}, data};
}

#endif
