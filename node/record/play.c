/* Finished records, read for players. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/record/folder.h"
#include "node/record/record_private.h"

/* A segment is part of a record when that is finished. */
static bool is_finished(int folder_fd, const struct record_name *name)
{
    struct record_name whole = *name;
    char file[RECORD_NAME_SIZE];
    struct stat about;

    whole.segment = 0;
    record_name_format(&whole, file);
    return fstatat(folder_fd, file, &about, AT_SYMLINK_NOFOLLOW) == 0;
}

static enum err open_file(struct record_play *play)
{
    int folder_fd = record_folder_open(play->record->dir_fd, &play->stream, false);
    char file[RECORD_NAME_SIZE];
    struct stat about;

    if (folder_fd < 0)
        return E_NOT_FOUND;
    record_name_format(&play->name, file);
    if (!play->name.is_part && is_finished(folder_fd, &play->name))
        play->fd = record_file_open(folder_fd, file, O_RDONLY);
    (void)close(folder_fd);
    if (play->fd < 0)
        return E_NOT_FOUND;
    if (fstat(play->fd, &about) != 0)
        return E_IO;
    (void)posix_fadvise(play->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    play->size_bytes = (uint64_t)about.st_size;
    play->inode = about.st_ino;
    play->mtime_ns = (int64_t)about.st_mtim.tv_sec * 1000000000 + about.st_mtim.tv_nsec;
    return E_OK;
}

static enum err read_piece(struct record_play *play)
{
    size_t n_bytes =
        play->wanted_bytes < RECORD_PIECE_BYTES ? play->wanted_bytes : RECORD_PIECE_BYTES;
    ssize_t n;

    if (!play->piece)
        play->piece = malloc(RECORD_PIECE_BYTES);
    if (!play->piece)
        return E_NOMEM;
    do
        n = pread(play->fd, play->piece, n_bytes, (off_t)play->at);
    while (n < 0 && errno == EINTR);
    play->got_bytes = n > 0 ? (size_t)n : 0;
    return n > 0 ? E_OK : E_IO;
}

static void on_done(struct loop_msg *msg)
{
    struct record_play *play = list_entry(msg, struct record_play, msg);

    play->done(play);
}

static void on_ask(struct loop_msg *msg)
{
    struct record_play *play = list_entry(msg, struct record_play, msg);

    play->result = play->fd < 0 ? open_file(play) : read_piece(play);
    play->msg.run = on_done;
    loop_post(play->loop, msg);
}

void record_play_ask(struct record *record, struct record_play *play)
{
    play->record = record;
    play->msg.run = on_ask;
    loop_post(record->reader, &play->msg);
}

void record_play_fini(struct record_play *play)
{
    if (play->fd >= 0)
        (void)close(play->fd);
    free(play->piece);
    play->fd = -1;
    play->piece = NULL;
}
