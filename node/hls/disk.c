/* See disk.h. The thread is a loop whose messages are the jobs. */
#include "node/hls/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "node/control/node_metrics.h"
#include "proto/hls/hls.h"

#define PATH_BYTES 4608             /* hls.disk.dir, stream, file */
#define MAX_FILE_BYTES (256u << 20) /* that is read back */
#define MAX_READS 256               /* that wait: writing waits behind them */
#define QUIET_US 10000000           /* failures closer together are one burst */

struct hls_disk {
    struct loop *loop;
    const char *dir;
    size_t max_bytes;
    _Atomic size_t queued_bytes;
    _Atomic unsigned n_reads;  /* that wait */
    _Atomic int64_t failed_us; /* last; 0 = never */
};

enum job_kind { JOB_WRITE, JOB_APPEND, JOB_REMOVE, JOB_REMOVE_ALL, JOB_STOP };

struct job {
    struct loop_msg msg;
    struct hls_disk *disk;
    enum job_kind kind;
    struct stream_name stream;
    char file[80];
    struct hls_data *data; /* owned, or NULL */
    char needs[80];
    struct hls_data *missing; /* owned, or NULL: instead of data when there is no file needs */
};

/* Of files that were read back, until the last player has them: of all disks, as data may be there
 * longer than its disk. */
static _Atomic size_t s_read_bytes;

static void fail(struct hls_disk *disk, const char *what, const char *path, const char *why)
{
    int64_t now_us = clock_mono_us();
    int64_t last_us = atomic_exchange(&disk->failed_us, now_us);

    metric_add(&m_hls_disk_errors, 1);
    if (!last_us || now_us - last_us > QUIET_US)
        log_warn("hls", "msg=\"%s failed\" path=%s reason=\"%s\"", what, LOG_STR(path), why);
}

/* --- the thread --- */

/* A stream of the app a/b that is called as a file of the stream a/b: its folder would be in the
 * way of that file. It has nothing on disk. */
static bool is_called_as_file(const struct stream_name *stream)
{
    const char *part = stream_name_part(stream);
    struct hls_name name;

    return !strcmp(part, HLS_RECORD_NAME) || hls_parse_name(buf_view_str(part), &name) == E_OK;
}

/* "<dir>/<app>/<name>[/<file>]"; false: too long, or not to be had. */
static bool make_path(const struct hls_disk *disk, const struct stream_name *stream,
                      const char *file, char path[PATH_BYTES])
{
    int n =
        snprintf(path, PATH_BYTES, "%s/%s%s%s", disk->dir, stream->text, *file ? "/" : "", file);

    return n > 0 && n < PATH_BYTES && !is_called_as_file(stream);
}

/* The folders of the stream below dir. */
static void make_folders(const struct hls_disk *disk, char *path)
{
    for (char *slash = path + strlen(disk->dir); (slash = strchr(slash + 1, '/'));) {
        *slash = '\0';
        (void)mkdir(path, 0755); /* what cannot be made is seen by open() */
        *slash = '/';
    }
}

static bool write_all(int fd, const struct hls_data *data)
{
    size_t n;
    const struct buf_view *views = hls_data_views(data, &n);

    for (size_t i = 0; i < n; i++)
        for (size_t at = 0; at < views[i].size_bytes;) {
            ssize_t done = write(fd, views[i].data + at, views[i].size_bytes - at);

            if (done < 0 && errno != EINTR)
                return false;
            at += done > 0 ? (size_t)done : 0;
        }
    return true;
}

/* Links are not followed; what is no file is refused, a FIFO at once. */
static int open_file(const char *path, int flags)
{
    struct stat about;
    int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);

    if (fd >= 0 && (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode))) {
        close(fd);
        fd = -1;
        errno = EINVAL;
    }
    return fd;
}

static const struct hls_data *what_to_write(const struct hls_disk *disk, const struct job *job)
{
    char path[PATH_BYTES];
    bool is_there = !job->missing ||
                    (make_path(disk, &job->stream, job->needs, path) && access(path, F_OK) == 0);

    return is_there ? job->data : job->missing;
}

/* Who looks at the folder sees whole files; a disk that is full leaves nothing of them. */
static void write_file(struct hls_disk *disk, const struct job *job)
{
    char path[PATH_BYTES], part[PATH_BYTES + 8];
    int fd, reason = 0;

    if (!make_path(disk, &job->stream, job->file, path))
        return;
    make_folders(disk, path);
    snprintf(part, sizeof part, "%s.part", path);
    fd = open_file(part, O_WRONLY | O_CREAT | O_TRUNC);
    if (fd < 0 || !write_all(fd, what_to_write(disk, job)))
        reason = errno;
    if (fd >= 0 && close(fd) != 0 && !reason)
        reason = errno;
    if (!reason && rename(part, path) != 0)
        reason = errno;
    if (!reason)
        return;
    fail(disk, "writing", path, strerror(reason));
    if (fd >= 0)
        (void)unlink(part);
}

/* All of it or nothing: half a line would spoil the next one, too. */
static void append_to_file(struct hls_disk *disk, const struct job *job)
{
    char path[PATH_BYTES];
    struct stat before;
    int fd;

    if (!make_path(disk, &job->stream, job->file, path))
        return;
    fd = open_file(path, O_WRONLY | O_APPEND);
    if (fd < 0 || fstat(fd, &before) != 0) {
        fail(disk, "writing", path, strerror(errno));
    } else if (!write_all(fd, what_to_write(disk, job))) {
        fail(disk, "writing", path, strerror(errno));
        (void)!ftruncate(fd, before.st_size);
    }
    if (fd >= 0)
        close(fd);
}

static void remove_file(struct hls_disk *disk, const struct stream_name *stream, const char *file)
{
    char path[PATH_BYTES];

    if (make_path(disk, stream, file, path) && unlink(path) != 0 && errno != ENOENT)
        fail(disk, "removing", path, strerror(errno));
}

/* Files of others stay, and so does the folder then. */
static void remove_all(struct hls_disk *disk, const struct stream_name *stream)
{
    char path[PATH_BYTES];
    struct dirent *entry;
    struct hls_name name;
    DIR *folder;

    if (!make_path(disk, stream, "", path) || !(folder = opendir(path)))
        return;
    while ((entry = readdir(folder)))
        if (!strcmp(entry->d_name, HLS_RECORD_NAME) ||
            hls_parse_name(buf_view_str(entry->d_name), &name) == E_OK)
            remove_file(disk, stream, entry->d_name);
    closedir(folder);
    (void)rmdir(path);
}

static void job_free(struct loop_msg *msg)
{
    struct job *job = list_entry(msg, struct job, msg);

    hls_data_unref(&job->data);
    hls_data_unref(&job->missing);
    free(job);
}

static void on_job(struct loop_msg *msg)
{
    struct job *job = list_entry(msg, struct job, msg);
    struct hls_disk *disk = job->disk;

    switch (job->kind) {
    case JOB_WRITE:
        write_file(disk, job);
        break;
    case JOB_APPEND:
        append_to_file(disk, job);
        break;
    case JOB_REMOVE:
        remove_file(disk, &job->stream, job->file);
        break;
    case JOB_REMOVE_ALL:
        remove_all(disk, &job->stream);
        break;
    case JOB_STOP:
        loop_stop(disk->loop);
        break;
    }
    if (job->data)
        atomic_fetch_sub_explicit(&disk->queued_bytes, hls_data_size(job->data),
                                  memory_order_relaxed);
    job_free(msg);
}

/* --- asking --- */

/* NULL: too much waits already, or out of memory. */
static struct job *make_job(struct hls_disk *disk, enum job_kind kind,
                            const struct stream_name *stream, const char *file,
                            struct hls_data *data)
{
    size_t bytes = data ? hls_data_size(data) : 0;
    struct job *job = NULL;

    if (atomic_fetch_add_explicit(&disk->queued_bytes, bytes, memory_order_relaxed) + bytes <=
        disk->max_bytes)
        job = calloc(1, sizeof *job);
    if (!job) {
        atomic_fetch_sub_explicit(&disk->queued_bytes, bytes, memory_order_relaxed);
        fail(disk, "writing", file, "the disk does not keep up (hls.max_bytes)");
        return NULL;
    }
    *job = (struct job){.msg = {.run = on_job, .drop = job_free},
                        .disk = disk,
                        .kind = kind,
                        .data = hls_data_ref(data)};
    if (stream)
        job->stream = *stream;
    snprintf(job->file, sizeof job->file, "%s", file);
    return job;
}

static bool post(struct hls_disk *disk, enum job_kind kind, const struct stream_name *stream,
                 const char *file, struct hls_data *data)
{
    struct job *job = make_job(disk, kind, stream, file, data);

    if (job)
        loop_post(disk->loop, &job->msg);
    return job != NULL;
}

bool hls_disk_write(struct hls_disk *disk, const struct stream_name *stream, const char *file,
                    struct hls_data *data)
{
    return post(disk, JOB_WRITE, stream, file, data);
}

bool hls_disk_append(struct hls_disk *disk, const struct stream_name *stream, const char *file,
                     const struct hls_disk_entry *entry)
{
    struct job *job =
        make_job(disk, entry->fresh ? JOB_WRITE : JOB_APPEND, stream, file, entry->data);

    if (!job)
        return false;
    if (entry->needs)
        snprintf(job->needs, sizeof job->needs, "%s", entry->needs);
    job->missing = hls_data_ref(entry->missing);
    loop_post(disk->loop, &job->msg);
    return true;
}

void hls_disk_remove(struct hls_disk *disk, const struct stream_name *stream, const char *file)
{
    (void)post(disk, JOB_REMOVE, stream, file, NULL);
}

void hls_disk_remove_all(struct hls_disk *disk, const struct stream_name *stream)
{
    (void)post(disk, JOB_REMOVE_ALL, stream, "", NULL);
}

/* --- reading back --- */

static enum err read_into(int fd, size_t size, struct hls_data **out)
{
    struct hls_data *data = hls_data_create();
    uint8_t *bytes = malloc(size ? size : 1);
    size_t at = 0;
    enum err e = data && bytes ? E_OK : E_NOMEM;

    while (e == E_OK && at < size) {
        ssize_t n = read(fd, bytes + at, size - at);

        if (n <= 0)
            e = E_IO;
        else
            at += (size_t)n;
    }
    if (e == E_OK) {
        hls_data_put(data, buf_view_of(bytes, size));
        e = hls_data_is_broken(data) ? E_NOMEM : E_OK;
    }
    free(bytes);
    if (e != E_OK)
        hls_data_unref(&data);
    *out = data;
    return e;
}

/* Slow players hold what was read for them, each their own. */
static enum err read_within_limit(const struct hls_disk *disk, int fd, size_t size,
                                  struct hls_data **out)
{
    enum err e = E_LIMIT;

    if (atomic_fetch_add(&s_read_bytes, size) + size <= disk->max_bytes)
        e = read_into(fd, size, out);
    if (e == E_OK)
        hls_data_count_in(*out, &s_read_bytes);
    else
        atomic_fetch_sub(&s_read_bytes, size);
    return e;
}

static void on_read_done(struct loop_msg *msg)
{
    struct hls_disk_read *read = list_entry(msg, struct hls_disk_read, msg);

    read->done(read);
}

static void on_read(struct loop_msg *msg)
{
    struct hls_disk_read *r = list_entry(msg, struct hls_disk_read, msg);
    char path[PATH_BYTES];
    struct stat about;
    int fd = -1;

    r->result = E_NOT_FOUND;
    if (make_path(r->disk, &r->stream, r->file, path))
        fd = open_file(path, O_RDONLY);
    if (fd >= 0 && fstat(fd, &about) == 0 && about.st_size <= (off_t)MAX_FILE_BYTES)
        r->result = read_within_limit(r->disk, fd, (size_t)about.st_size, &r->data);
    if (fd >= 0)
        close(fd);
    atomic_fetch_sub(&r->disk->n_reads, 1);
    r->msg.run = on_read_done;
    loop_post(r->loop, &r->msg);
}

bool hls_disk_read(struct hls_disk *disk, struct hls_disk_read *read)
{
    if (atomic_fetch_add(&disk->n_reads, 1) >= MAX_READS) {
        atomic_fetch_sub(&disk->n_reads, 1);
        return false;
    }
    read->disk = disk;
    read->msg.run = on_read; /* drop is the caller's */
    loop_post(disk->loop, &read->msg);
    return true;
}

/* --- life --- */

struct hls_disk *hls_disk_create(const char *dir, size_t max_bytes, unsigned loop_index)
{
    struct hls_disk *disk = calloc(1, sizeof *disk);

    if (!disk)
        return NULL;
    disk->dir = dir;
    disk->max_bytes = max_bytes;
    disk->loop = loop_create("hls-disk", loop_index);
    if (disk->loop && loop_start_thread(disk->loop) == E_OK)
        return disk;
    if (disk->loop)
        loop_destroy(&disk->loop);
    free(disk);
    return NULL;
}

void hls_disk_destroy(struct hls_disk **disk)
{
    struct hls_disk *d = *disk;

    *disk = NULL;
    if (!d)
        return;
    if (!post(d, JOB_STOP, NULL, "", NULL))
        loop_stop(d->loop);
    loop_join(d->loop);
    loop_destroy(&d->loop);
    free(d);
}
