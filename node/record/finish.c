/* See finish.h. */
#include "node/record/finish.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "node/record/folder.h"

#define US_PER_S INT64_C(1000000)
#define MAX_MOOV_BYTES (512u << 20)
#define MAX_LIST_BYTES (64u << 20)

/* --- reading --- */

static bool read_fd(const struct record_source *source, uint64_t at, void *out, size_t n_bytes)
{
    int fd = ((const struct record_fd_source *)(const void *)source)->fd;
    uint8_t *to = out;

    if (at > source->size_bytes || n_bytes > source->size_bytes - at)
        return false;
    for (size_t done = 0; done < n_bytes;) {
        ssize_t n = pread(fd, to + done, n_bytes - done, (off_t)(at + done));

        if (n <= 0 && !(n < 0 && errno == EINTR))
            return false;
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

bool record_source_open(struct record_fd_source *source, int fd)
{
    struct stat about;

    if (fstat(fd, &about) != 0)
        return false;
    *source = (struct record_fd_source){
        .source = {.read = read_fd, .size_bytes = (uint64_t)about.st_size}, .fd = fd};
    return true;
}

/* --- formats --- */

struct finish {
    int folder_fd;
    struct record_done *done;
    int reason; /* errno; 0 = none */
};

static bool sync_file(struct finish *f, int fd)
{
    if (fsync(fd) == 0)
        return true;
    f->reason = errno;
    return false;
}

static void finish_flv(struct finish *f)
{
    struct record_done *done = f->done;
    struct buf_writer meta;

    buf_writer_init(&meta, 2 * FLV_SEEK_META_BYTES);
    if (flv_seek_write_meta(&meta, &done->flv, done->bytes) == E_OK &&
        meta.used_bytes == FLV_SEEK_META_BYTES) {
        ssize_t n = pwrite(done->fd, meta.data, meta.used_bytes, FLV_SEEK_META_AT);

        f->reason = n == (ssize_t)meta.used_bytes ? 0 : n < 0 ? errno : ENOSPC;
    }
    buf_writer_fini(&meta);
}

/* Tables at the end; then the free box in front becomes an mdat up to them, so that a file with
 * tables is there in one write of 16 bytes, and one of fragments until then. */
static void add_tables(struct finish *f, const struct record_scan *scan, uint32_t ftyp_bytes)
{
    uint8_t hold[MP4_HOLD_BYTES];
    int fd = f->done->fd;
    struct buf_writer moov;

    buf_writer_init(&moov, MAX_MOOV_BYTES);
    mp4_movie_write(scan->movie, &moov);
    if (buf_writer_status(&moov) != E_OK)
        f->reason = ENOMEM;
    else
        f->reason = record_write_all(fd, buf_writer_view(&moov), scan->good_bytes);
    mp4_put_hold(hold, scan->good_bytes - ftyp_bytes);
    if (!f->reason && sync_file(f, fd)) {
        f->reason = record_write_all(fd, buf_view_of(hold, sizeof hold), ftyp_bytes);
        f->done->bytes = scan->good_bytes + moov.used_bytes;
    }
    buf_writer_fini(&moov);
}

/* Without room for the tables the fragments stay: they play. */
static void finish_mp4(struct finish *f)
{
    struct record_fd_source source;
    struct record_scan scan;
    uint8_t size[4];
    enum err e = E_IO;

    if (record_source_open(&source, f->done->fd))
        e = record_scan(RECORD_MP4, &source.source, &scan);
    if (e != E_OK) {
        f->done->bytes = e == E_PROTO ? 0 : f->done->bytes;
        f->reason = e == E_PROTO ? 0 : EIO;
        return;
    }
    if (ftruncate(f->done->fd, (off_t)scan.good_bytes) == 0 &&
        read_fd(&source.source, 0, size, sizeof size)) {
        struct buf_reader r = buf_reader_from(buf_view_of(size, sizeof size));

        add_tables(f, &scan, buf_read_u32be(&r));
    }
    if (f->reason)
        f->done->bytes = scan.good_bytes;
    f->reason = 0;
    f->done->duration_us = scan.duration_us;
    record_scan_fini(&scan);
}

static void segment_name(const struct record_name *name, size_t number, char out[RECORD_NAME_SIZE])
{
    struct record_name segment = *name;

    segment.segment = (uint32_t)number;
    segment.is_part = false;
    record_name_format(&segment, out);
}

static void sync_segments(struct finish *f)
{
    char file[RECORD_NAME_SIZE];

    for (size_t i = 1; i <= f->done->n_segments && !f->reason; i++) {
        int fd;

        segment_name(&f->done->name, i, file);
        fd = record_file_open(f->folder_fd, file, O_RDONLY);
        if (fd < 0) {
            f->reason = errno;
            return;
        }
        (void)sync_file(f, fd);
        (void)close(fd);
    }
}

/* The list as players want it. What was begun behind the last complete segment is of no use. */
static void finish_hls(struct finish *f)
{
    struct record_done *done = f->done;
    char file[RECORD_NAME_SIZE];
    struct buf_writer list;

    segment_name(&done->name, done->n_segments + 1, file);
    (void)unlinkat(f->folder_fd, file, 0);
    if (!done->n_segments)
        done->bytes = 0;
    sync_segments(f);
    buf_writer_init(&list, MAX_LIST_BYTES);
    record_hls_write_list(&list, &done->name, done->segments_us, done->n_segments, true);
    if (!f->reason && ftruncate(done->fd, 0) != 0)
        f->reason = errno;
    if (!f->reason)
        f->reason = record_write_all(done->fd, buf_writer_view(&list), 0);
    buf_writer_fini(&list);
}

static void finish_ts(struct finish *f)
{
    (void)f;
}

/* --- the end --- */

static void set_entry(const struct record_done *done, struct record_entry *entry)
{
    *entry = (struct record_entry){.name = done->name,
                                   .start_us = done->start_us,
                                   .duration_us = done->duration_us,
                                   .bytes = done->bytes,
                                   .run = done->run,
                                   .codecs = {done->codecs[0], done->codecs[1]},
                                   .cut = done->cut,
                                   .n_segments = (uint32_t)done->n_segments};
    entry->name.is_part = false;
}

/* Its name, when all of it is on the disk. */
static void give_name(struct finish *f)
{
    struct record_name part = f->done->name;
    char from[RECORD_NAME_SIZE], to[RECORD_NAME_SIZE];

    record_name_format(&part, to);
    part.is_part = true;
    record_name_format(&part, from);
    if (!f->done->bytes)
        (void)unlinkat(f->folder_fd, from, 0);
    else if (sync_file(f, f->done->fd) && renameat(f->folder_fd, from, f->folder_fd, to) != 0)
        f->reason = errno;
    if (f->done->bytes && !f->reason)
        (void)fsync(f->folder_fd); /* its name, too */
}

static enum err finish_in(int folder_fd, struct record_done *done, struct record_entry *entry,
                          int *reason)
{
    static void (*const k_finish[RECORD_N_FORMATS])(struct finish * f) = {
        [RECORD_FLV] = finish_flv,
        [RECORD_TS] = finish_ts,
        [RECORD_MP4] = finish_mp4,
        [RECORD_HLS] = finish_hls,
    };
    struct finish f = {.folder_fd = folder_fd, .done = done};

    done->name.is_part = false;
    if (done->bytes || done->name.format == RECORD_HLS)
        k_finish[done->name.format](&f);
    if (!f.reason)
        give_name(&f);
    *reason = f.reason;
    if (f.reason)
        return E_IO;
    if (!done->bytes)
        return E_END;
    set_entry(done, entry);
    record_folder_lock(folder_fd);
    if (record_index_append(folder_fd, entry) != E_OK)
        *reason = errno; /* a later look finds it */
    record_folder_unlock(folder_fd);
    return E_OK;
}

enum err record_finish(int dir_fd, struct record_done *done, struct record_entry *entry,
                       int *reason)
{
    int folder_fd = record_folder_open(dir_fd, &done->stream, false);
    enum err e = E_IO;

    *reason = errno;
    if (folder_fd >= 0) {
        e = finish_in(folder_fd, done, entry, reason);
        (void)close(folder_fd);
    }
    record_done_free(done);
    return e;
}

/* --- after a crash --- */

/* As the name has it: the file's own times are those of the crash. */
static int64_t start_of(const struct record_name *name)
{
    struct tm tm = {.tm_sec = 0};

    if (!strptime(name->time, "%Y%m%dT%H%M%SZ", &tm))
        return 0;
    return (int64_t)timegm(&tm) * US_PER_S;
}

static bool add_segment(struct record_done *done, int64_t duration_us)
{
    int64_t *grown = realloc(done->segments_us, (done->n_segments + 1) * sizeof *grown);

    if (!grown)
        return false;
    done->segments_us = grown;
    done->segments_us[done->n_segments++] = duration_us;
    return true;
}

/* Each segment that is there, from the first one on, tells its own length. The last one may have
 * been cut off. */
static enum err recover_segments(int folder_fd, struct record_done *done)
{
    char file[RECORD_NAME_SIZE];
    enum err e = E_OK;

    done->bytes = 0;
    while (e == E_OK) {
        struct record_fd_source source;
        struct record_scan scan;
        int fd;

        segment_name(&done->name, done->n_segments + 1, file);
        fd = record_file_open(folder_fd, file, O_RDWR);
        if (fd < 0)
            break;
        e = record_source_open(&source, fd) ? record_scan(RECORD_HLS, &source.source, &scan) : E_IO;
        if (e == E_OK) {
            memcpy(done->codecs, scan.codecs, sizeof done->codecs);
            done->bytes += scan.good_bytes;
            done->duration_us += scan.duration_us;
            if (ftruncate(fd, (off_t)scan.good_bytes) != 0 || !add_segment(done, scan.duration_us))
                e = E_IO;
            record_scan_fini(&scan);
        }
        (void)close(fd);
    }
    return e == E_PROTO ? E_OK : e;
}

static enum err recover_file(struct record_done *done)
{
    struct record_fd_source source;
    struct record_scan scan;
    enum err e = record_source_open(&source, done->fd)
                     ? record_scan(done->name.format, &source.source, &scan)
                     : E_IO;

    if (e == E_PROTO) {
        done->bytes = 0;
        return E_OK;
    }
    if (e != E_OK)
        return e;
    if (ftruncate(done->fd, (off_t)scan.good_bytes) != 0)
        e = E_IO;
    done->bytes = scan.good_bytes;
    done->duration_us = scan.duration_us;
    memcpy(done->codecs, scan.codecs, sizeof done->codecs);
    done->flv = scan.flv;
    scan.flv.keys = NULL;
    record_scan_fini(&scan);
    return e;
}

/* Who wrote it may have finished it meanwhile. */
static bool is_called(int folder_fd, const char *file, int fd)
{
    struct stat there, ours;

    return fstatat(folder_fd, file, &there, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &ours) == 0 &&
           there.st_ino == ours.st_ino && there.st_dev == ours.st_dev;
}

enum err record_recover(const struct stream_name *stream, int folder_fd,
                        const struct record_name *part, struct record_entry *entry, int *reason)
{
    struct record_done done = {
        .stream = *stream, .name = *part, .cut = RECORD_CUT_RECOVERED, .start_us = start_of(part)};
    char file[RECORD_NAME_SIZE];
    enum err e;

    record_name_format(part, file);
    done.fd = record_file_open(folder_fd, file, O_RDWR);
    *reason = errno;
    if (done.fd < 0)
        return *reason == ENOENT ? E_BUSY : E_IO;
    if (flock(done.fd, LOCK_EX | LOCK_NB) != 0 || !is_called(folder_fd, file, done.fd)) {
        record_done_free(&done);
        return E_BUSY;
    }
    e = part->format == RECORD_HLS ? recover_segments(folder_fd, &done) : recover_file(&done);
    if (e == E_OK)
        e = finish_in(folder_fd, &done, entry, reason);
    else
        *reason = e == E_NOMEM ? ENOMEM : EIO;
    record_done_free(&done);
    return e;
}
