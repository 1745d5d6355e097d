/* See mp4_input.h. */
#include "tests/tools/mp4_input.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES ((size_t)65536)
#define TOO_FAR                                                                           \
    "pictures and sound are too far apart to be read without going back: read it from a " \
    "file"

enum err mp4_input_init(struct mp4_input *m, int fd, uint64_t n_read, size_t max_frame_bytes)
{
    struct stat about;
    off_t at = fd >= 0 ? lseek(fd, 0, SEEK_CUR) : -1;

    *m = (struct mp4_input){.fd = -1};
    if (at >= (off_t)n_read && fstat(fd, &about) == 0 && S_ISREG(about.st_mode)) {
        m->fd = fd;
        m->begin = at - (off_t)n_read;
        m->file_bytes = about.st_size > m->begin ? (uint64_t)(about.st_size - m->begin) : 0;
    }
    buf_writer_init(&m->window, 4 * MP4_INPUT_WINDOW_BYTES);
    m->demux = mp4_demux_create(max_frame_bytes, m->fd >= 0);
    return m->demux ? E_OK : E_NOMEM;
}

void mp4_input_fini(struct mp4_input *m)
{
    mp4_demux_destroy(&m->demux);
    buf_writer_fini(&m->window);
}

static enum err fail(struct mp4_input *m, enum err e, const char *what)
{
    snprintf(m->why, sizeof m->why, "%s", what);
    return e;
}

/* From the file: a piece where it is read in a row, else no more than is asked for. E_END. */
static enum err read_at(struct mp4_input *m, uint64_t at, uint64_t size_bytes)
{
    bool in_a_row = at == m->window_at + m->window.used_bytes;
    size_t size = in_a_row || size_bytes > PIECE_BYTES ? PIECE_BYTES : (size_t)size_bytes;
    uint8_t *room;
    ssize_t n;

    if (at >= m->file_bytes) {
        m->n_bytes = m->file_bytes;
        return E_END;
    }
    buf_writer_clear(&m->window);
    m->window_at = at;
    room = buf_writer_reserve(&m->window, size);
    if (!room)
        return fail(m, E_NOMEM, err_text(E_NOMEM));
    do
        n = pread(m->fd, room, size, m->begin + (off_t)at);
    while (n < 0 && errno == EINTR);
    m->window.used_bytes = n > 0 ? (size_t)n : 0;
    if (n < 0)
        return fail(m, E_IO, strerror(errno));
    if (at + m->window.used_bytes > m->n_bytes)
        m->n_bytes = at + m->window.used_bytes;
    return n ? E_OK : E_END;
}

/* What has come joins what came last, also in front of what is asked for: the other track may be
 * there. */
static enum err keep(struct mp4_input *m, struct buf_reader *in)
{
    size_t passed = 0;

    if (m->window.used_bytes > 2 * MP4_INPUT_WINDOW_BYTES)
        passed = m->window.used_bytes - MP4_INPUT_WINDOW_BYTES;
    buf_writer_consume(&m->window, passed);
    m->window_at += passed;
    buf_write_view(&m->window, buf_take(in, in->left_bytes));
    m->n_bytes = m->window_at + m->window.used_bytes;
    return buf_writer_status(&m->window) == E_OK ? E_OK : fail(m, E_NOMEM, err_text(E_NOMEM));
}

/* E_AGAIN, E_END: there is no more. */
static enum err more(struct mp4_input *m, struct buf_reader *in, bool at_end)
{
    uint64_t at, size_bytes;

    mp4_demux_wants(m->demux, &at, &size_bytes);
    if (m->fd >= 0 && !in->left_bytes)
        return read_at(m, at, size_bytes);
    if (m->fd < 0 && at < m->window_at)
        return fail(m, E_UNSUPPORTED, TOO_FAR);
    if (in->left_bytes)
        return keep(m, in);
    return at_end ? E_END : E_AGAIN;
}

enum err mp4_input_next(struct mp4_input *m, struct buf_reader *in, bool at_end,
                        struct mp4_unit *out)
{
    enum err e;

    do {
        e = mp4_demux_next(m->demux, m->window_at, buf_writer_view(&m->window), out);
        if (e != E_AGAIN)
            break;
        e = more(m, in, at_end);
        if (e != E_OK)
            return e;
    } while (true);
    if (e == E_END && m->fd >= 0)
        m->n_bytes = m->file_bytes;
    return e == E_OK || e == E_END ? e : fail(m, e, mp4_demux_error(m->demux));
}
