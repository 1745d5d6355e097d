/* See writer.h. */
#include "node/record/writer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/record/folder.h"

#define SPLIT_SLACK_US 50000 /* times of frames are rounded to milliseconds by most senders */
#define MAX_NAME_TRIES 1000

const char *const k_record_cuts[RECORD_N_CUTS] = {
#define X(id, text) [RECORD_CUT_##id] = text,
    RECORD_CUT_MAP(X)
#undef X
};

const struct record_format *record_format_of(enum record_format_id id)
{
    static const struct record_format *const k_formats[RECORD_N_FORMATS] = {
        [RECORD_FLV] = &k_record_flv,
        [RECORD_TS] = &k_record_ts,
        [RECORD_MP4] = &k_record_mp4,
        [RECORD_HLS] = &k_record_hls,
    };

    return k_formats[id];
}

void record_done_free(struct record_done *done)
{
    if (done->fd >= 0)
        (void)close(done->fd);
    free(done->flv.keys);
    free(done->segments_us);
    done->fd = -1;
    done->flv.keys = NULL;
    done->segments_us = NULL;
    if (done->owner)
        done->owner->let_go(done->owner);
    done->owner = NULL;
}

/* --- files --- */

int record_write_all(int fd, struct buf_view bytes, uint64_t at)
{
    int reason = 0;

    for (size_t done = 0; done < bytes.size_bytes && !reason;) {
        ssize_t n = pwrite(fd, bytes.data + done, bytes.size_bytes - done, (off_t)(at + done));

        if (n < 0 && errno != EINTR)
            reason = errno;
        else if (n == 0)
            reason = ENOSPC;
        done += n > 0 ? (size_t)n : 0;
    }
    if (reason)
        (void)!ftruncate(fd, (off_t)at);
    return reason;
}

/* The highest number in the folder, and one: what is there keeps its name. */
static uint32_t find_next_seq(int folder_fd)
{
    DIR *list = record_folder_list(folder_fd);
    struct record_name name;
    struct dirent *entry;
    uint32_t last = 0;

    while (list && (entry = readdir(list)))
        if (record_name_parse(entry->d_name, &name) == E_OK && name.seq > last)
            last = name.seq;
    if (list)
        closedir(list);
    return last + 1;
}

int record_writer_create_file(const struct record_writer *w, const struct record_name *name)
{
    int folder_fd = record_folder_open(w->place->dir_fd, w->stream, true), fd, reason;
    char file[RECORD_NAME_SIZE];

    if (folder_fd < 0)
        return -1;
    record_name_format(name, file);
    fd = record_file_open(folder_fd, file, O_RDWR | O_CREAT | O_EXCL);
    reason = errno;
    /* A process that replaces this one is not to take it for left behind; it may just have. */
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        (void)close(fd);
        fd = -1;
        reason = EEXIST;
    }
    (void)close(folder_fd);
    errno = reason;
    return fd;
}

static enum err try_names(struct record_writer *w)
{
    for (unsigned i = 0; i < MAX_NAME_TRIES; i++) {
        w->name.seq = (*w->next_seq)++;
        w->fd = record_writer_create_file(w, &w->name);
        if (w->fd >= 0)
            return E_OK;
        w->error_number = errno;
        if (errno != EEXIST)
            break;
    }
    return E_IO;
}

/* The process that this one replaces, or is replaced by, may write into the same folder: both take
 * their numbers from there. */
static enum err create(struct record_writer *w, int64_t wall_us)
{
    int folder_fd = record_folder_open(w->place->dir_fd, w->stream, true);
    uint32_t next;
    enum err e;

    w->error_number = folder_fd < 0 ? errno : 0;
    if (folder_fd < 0)
        return E_IO;
    w->name = (struct record_name){.format = w->id, .is_part = true};
    record_name_set_time(&w->name, wall_us);
    record_folder_lock(folder_fd);
    next = find_next_seq(folder_fd);
    *w->next_seq = next > *w->next_seq ? next : *w->next_seq;
    e = try_names(w);
    (void)close(folder_fd); /* and others may */
    return e;
}

/* --- tracks --- */

void record_writer_init(struct record_writer *w, enum record_format_id id)
{
    const struct record_place *place = w->place;
    const struct stream_name *stream = w->stream;
    uint32_t *next_seq = w->next_seq;
    const struct record_plan *plan = w->plan;
    struct record_owner *owner = w->owner;

    *w = (struct record_writer){.place = place,
                                .stream = stream,
                                .next_seq = next_seq,
                                .plan = plan,
                                .owner = owner,
                                .id = id,
                                .format = record_format_of(id),
                                .fd = -1,
                                .hls = {.segment_fd = -1},
                                .out = place->out};
    es_tracks_init(&w->known, w->format->carries);
}

static void drop_file(struct record_writer *w)
{
    if (w->opened)
        w->format->close(w);
    if (w->fd >= 0)
        (void)close(w->fd);
    w->fd = -1;
    w->opened = w->is_open = false;
}

void record_writer_fini(struct record_writer *w)
{
    drop_file(w);
    es_tracks_fini(&w->known);
}

void record_writer_take_tracks(struct record_writer *w, const struct track_set *tracks)
{
    unsigned changed = es_tracks_take(&w->known, tracks);

    w->tracks = tracks;
    for (unsigned kind = 0; kind < RECORD_KINDS; kind++)
        if (changed & 1u << kind)
            w->seen[kind] = CODEC_NONE;
    w->is_changed |= w->is_open && changed;
}

void record_writer_look(struct record_writer *w, const struct media_frame *frame)
{
    const struct media_frame_info *info = &frame->info;

    if (!frame_is_media(frame) || !frame_is_of_default_track(frame))
        return;
    w->is_changed |= es_tracks_look(&w->known, frame) != 0 && w->is_open;
    if (w->format->carries(info->codec))
        w->seen[info->kind] = info->codec;
}

static enum media_codec codec_of(const struct record_writer *w, unsigned kind)
{
    if (w->known.tracks[kind].is_known)
        return w->known.tracks[kind].params.codec;
    return w->id == RECORD_FLV ? w->seen[kind] : CODEC_NONE; /* it has a place for all of them */
}

/* --- borders --- */

/* Somebody has removed it, maybe with the folder. */
static bool is_gone(const struct record_writer *w)
{
    struct stat about;

    return fstat(w->fd, &about) == 0 && about.st_nlink == 0;
}

bool record_writer_waits(const struct record_writer *w)
{
    return !w->is_open;
}

uint64_t record_writer_bytes(const struct record_writer *w)
{
    return w->id == RECORD_HLS ? w->hls.closed_bytes + w->hls.segment_bytes : w->bytes;
}

bool record_writer_is_due(const struct record_writer *w, const struct media_frame *entry,
                          enum record_cut *cut)
{
    int64_t length_us = entry->info.dts_us - w->base_us;

    if (w->is_changed)
        *cut = RECORD_CUT_CODECS;
    else if (length_us >= w->plan->split_us - SPLIT_SLACK_US)
        *cut = RECORD_CUT_TIME;
    else if (w->plan->split_bytes &&
             record_writer_bytes(w) + w->out->used_bytes >= w->plan->split_bytes)
        *cut = RECORD_CUT_SIZE;
    else if (w->is_open && is_gone(w))
        *cut = RECORD_CUT_ERROR;
    else
        return false;
    return w->is_open;
}

enum err record_writer_begin(struct record_writer *w, const struct media_frame *first,
                             int64_t wall_us, uint64_t run)
{
    enum err e;

    for (unsigned kind = 0; kind < RECORD_KINDS; kind++) {
        w->codecs[kind] = codec_of(w, kind);
        w->last_us[kind] = w->step_us[kind] = 0;
    }
    w->is_changed = false;
    w->error = E_OK;
    w->bytes = 0;
    w->base_us = first->info.dts_us;
    w->start_us = wall_us;
    w->run = run;
    if (!w->codecs[MEDIA_AUDIO] && !w->codecs[MEDIA_VIDEO])
        return E_UNSUPPORTED;
    e = create(w, wall_us);
    if (e != E_OK)
        return e;
    w->opened = w->format->open(w);
    e = w->opened ? w->format->begin(w) : E_NOMEM;
    w->is_open = e == E_OK;
    if (e == E_OK)
        return E_OK;
    buf_writer_clear(w->out);
    record_writer_end(w, RECORD_CUT_ERROR);
    return e;
}

/* --- frames --- */

static void note_time(struct record_writer *w, enum media_kind kind, int64_t dts_us)
{
    if (dts_us > w->last_us[kind])
        w->step_us[kind] = dts_us - w->last_us[kind];
    w->last_us[kind] = dts_us;
}

void record_writer_add(struct record_writer *w, const struct media_frame *frame, bool entry)
{
    const struct media_frame_info *info = &frame->info;
    int64_t dts_us = info->dts_us - w->base_us;

    if (!w->is_open || !frame_is_media(frame) || !frame_is_of_default_track(frame))
        return;
    record_writer_look(w, frame);
    if (info->codec != w->codecs[info->kind]) {
        w->is_changed |= w->format->carries(info->codec);
        return;
    }
    if (dts_us < 0) /* of what the file before this one ended with */
        return;
    note_time(w, info->kind, dts_us);
    w->format->add(w, frame, dts_us, entry);
}

enum err record_writer_flush(struct record_writer *w)
{
    enum err e = buf_writer_status(w->out);

    if (w->is_open && e == E_OK && w->out->used_bytes) {
        int fd = w->id == RECORD_HLS ? w->hls.segment_fd : w->fd;
        uint64_t *bytes = w->id == RECORD_HLS ? &w->hls.segment_bytes : &w->bytes;

        w->error_number = record_write_all(fd, buf_writer_view(w->out), *bytes);
        if (w->error_number)
            e = E_IO;
        else
            *bytes += w->out->used_bytes;
    }
    buf_writer_clear(w->out);
    if (e == E_OK)
        e = w->error;
    return e;
}

int64_t record_writer_duration_us(const struct record_writer *w)
{
    int64_t longest_us = 0;

    for (unsigned kind = 0; kind < RECORD_KINDS; kind++)
        if (w->last_us[kind] + w->step_us[kind] > longest_us)
            longest_us = w->last_us[kind] + w->step_us[kind];
    return longest_us;
}

void record_writer_end(struct record_writer *w, enum record_cut cut)
{
    struct record_done done = {.owner = w->owner,
                               .stream = *w->stream,
                               .name = w->name,
                               .fd = w->fd,
                               .start_us = w->start_us,
                               .run = w->run,
                               .cut = cut,
                               .codecs = {w->codecs[0], w->codecs[1]}};

    if (w->fd < 0)
        return;
    w->error = E_OK; /* what was written before it is still good */
    if (w->is_open && w->format->end)
        w->format->end(w);
    if (w->is_open)
        (void)record_writer_flush(w);
    done.bytes = w->bytes;
    done.duration_us = record_writer_duration_us(w);
    if (w->opened && w->format->describe)
        w->format->describe(w, &done);
    w->fd = -1;
    drop_file(w);
    done.name.is_part = false;
    if (done.owner)
        done.owner->hold(done.owner);
    w->place->finish(w->place->arg, &done);
}
