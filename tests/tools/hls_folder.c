/* A segment is kept in memory, written whole, and listed then. */
#include "tests/tools/hls_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/net/loop.h"
#include "tests/tools/ts_output.h"

#define CUT_SLACK_US 50000 /* times come in milliseconds */
#define MAX_SEGMENT_BYTES ((size_t)1 << 30)
#define MAX_LIST_BYTES ((size_t)64 << 20)
#define KEPT_SEGMENTS 3u    /* that left the list: players may be at them */
#define MAX_STEP_US 5000000 /* longer, or back: time does not go on */

static enum err fail(struct hls_folder *f, enum err e, const char *file, const char *what)
{
    snprintf(f->why, sizeof f->why, "%s/%s: %s", f->path, file, what);
    return e;
}

enum err hls_folder_open(struct hls_folder *f, const char *path, double segment_s, unsigned window)
{
    *f = (struct hls_folder){.path = path,
                             .segment_us = (int64_t)(segment_s * 1e6),
                             .window = window,
                             .dir_fd = -1,
                             .run = random_u64()};
    ts_mux_init(&f->ts);
    buf_writer_init(&f->bytes, MAX_SEGMENT_BYTES);
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        return fail(f, E_IO, "", strerror(errno));
    f->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->dir_fd < 0)
        return fail(f, E_IO, "", strerror(errno));
    if (faccessat(f->dir_fd, HLS_FOLDER_LIST, F_OK, 0) == 0)
        return fail(f, E_BUSY, HLS_FOLDER_LIST, "is there already: another recording's");
    return E_OK;
}

/* Whole or not there. */
static enum err write_file(struct hls_folder *f, const char *name, struct buf_view bytes)
{
    char part[HLS_NAME_SIZE + 8];
    size_t done = 0;
    int fd;

    snprintf(part, sizeof part, "%s.part", name);
    fd = openat(f->dir_fd, part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    while (fd >= 0 && done < bytes.size_bytes) {
        ssize_t n = write(fd, bytes.data + done, bytes.size_bytes - done);

        if (n < 0 && errno != EINTR)
            break;
        done += n > 0 ? (size_t)n : 0;
    }
    if (fd < 0 || done < bytes.size_bytes || renameat(f->dir_fd, part, f->dir_fd, name) != 0)
        (void)fail(f, E_IO, name, strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return f->why[0] ? E_IO : E_OK;
}

static void name_of(const struct hls_folder *f, uint64_t msn, char out[HLS_NAME_SIZE])
{
    const struct hls_name name = {
        .kind = HLS_SEGMENT, .container = HLS_TS, .run = f->run, .number = msn};

    hls_format_name(&name, out);
}

static enum err write_list(struct hls_folder *f, bool ended)
{
    const struct hls_playlist list = {.container = HLS_TS,
                                      .type = f->window ? HLS_LIVE : HLS_EVENT,
                                      .target_us = f->segment_us,
                                      .discontinuity_sequence = f->n_discontinuities,
                                      .segments = f->segments,
                                      .n_segments = f->n_segments,
                                      .ended = ended};
    struct buf_writer text;
    enum err e;

    buf_writer_init(&text, MAX_LIST_BYTES);
    hls_write_media(&text, &list);
    e = buf_writer_status(&text);
    e = e == E_OK ? write_file(f, HLS_FOLDER_LIST, buf_writer_view(&text))
                  : fail(f, e, HLS_FOLDER_LIST, err_text(e));
    buf_writer_fini(&text);
    return e;
}

static enum err add_segment(struct hls_folder *f, const struct hls_segment *segment)
{
    if (f->n_segments == f->max_segments) {
        size_t more = f->max_segments * 2 + 64;
        struct hls_segment *grown = realloc(f->segments, more * sizeof *grown);

        if (!grown)
            return fail(f, E_NOMEM, HLS_FOLDER_LIST, err_text(E_NOMEM));
        f->segments = grown;
        f->max_segments = more;
    }
    f->segments[f->n_segments++] = *segment;
    return E_OK;
}

static void leave_window(struct hls_folder *f)
{
    char name[HLS_NAME_SIZE];

    if (!f->window || f->n_segments <= f->window)
        return;
    f->n_discontinuities += f->segments[0].discontinuity;
    if (f->segments[0].msn >= KEPT_SEGMENTS) {
        name_of(f, f->segments[0].msn - KEPT_SEGMENTS, name);
        (void)unlinkat(f->dir_fd, name, 0);
    }
    memmove(f->segments, f->segments + 1, --f->n_segments * sizeof *f->segments);
}

static enum err end_segment(struct hls_folder *f, int64_t end_us, bool is_last)
{
    struct hls_segment segment = {.run = f->run,
                                  .msn = f->next_msn,
                                  .duration_us = end_us - f->start_us,
                                  .wall_us = f->wall_us,
                                  .size_bytes = f->bytes.used_bytes,
                                  .discontinuity = f->is_torn};
    char name[HLS_NAME_SIZE];
    enum err e = buf_writer_status(&f->bytes);

    name_of(f, f->next_msn++, name);
    if (e != E_OK)
        return fail(f, e, name, err_text(e));
    e = write_file(f, name, buf_writer_view(&f->bytes));
    buf_writer_clear(&f->bytes);
    f->is_torn = false;
    if (e == E_OK)
        e = add_segment(f, &segment);
    leave_window(f);
    return e == E_OK ? write_list(f, is_last) : e;
}

static bool is_entry(const struct hls_folder *f, const struct media_frame_info *info)
{
    return f->has_video ? info->kind == MEDIA_VIDEO && info->flags & FRAME_KEY
                        : info->kind == MEDIA_AUDIO;
}

/* Ends the running segment where it is time. E_AGAIN: none has begun. */
static enum err cut(struct hls_folder *f, const struct media_tag *tag, int64_t wall_us, bool *entry)
{
    int64_t step_us = tag->dts_us - f->last_us;
    bool is_torn = f->is_begun && (step_us > MAX_STEP_US || step_us < -MAX_STEP_US);
    enum err e = E_OK;

    *entry = is_entry(f, &tag->info);
    if (is_torn ||
        (f->is_begun && *entry && tag->dts_us - f->start_us >= f->segment_us - CUT_SLACK_US)) {
        e = end_segment(f, is_torn ? f->last_us + f->step_us : tag->dts_us, false);
        f->is_begun = false;
        f->is_torn = is_torn;
    }
    if (!f->is_begun && *entry) {
        f->is_begun = true;
        f->start_us = tag->dts_us;
        f->wall_us = wall_us;
    } else {
        *entry = false;
    }
    return e == E_OK && !f->is_begun ? E_AGAIN : e;
}

enum err hls_folder_write(struct hls_folder *f, const struct media_tag *tag, int64_t wall_us)
{
    const char *why = "";
    bool entry = false;
    enum err e = E_OK;

    if (tag->is_broken || tag->info.kind == MEDIA_DATA)
        return E_OK;
    f->has_video |= tag->info.kind == MEDIA_VIDEO;
    if (!(tag->info.flags & (FRAME_HEADERS | FRAME_SEQ_END))) {
        e = cut(f, tag, wall_us, &entry);
        if (e != E_OK)
            return e == E_AGAIN ? E_OK : e;
        if (tag->dts_us > f->last_us && tag->dts_us - f->last_us < MAX_STEP_US)
            f->step_us = tag->dts_us - f->last_us;
        f->last_us = tag->dts_us;
    }
    (void)ts_output_write(&f->ts, tag, tag->dts_us, entry, &f->bytes, &why); /* or left out */
    return E_OK;
}

enum err hls_folder_close(struct hls_folder *f)
{
    enum err e = E_OK;

    if (f->dir_fd >= 0 && !f->why[0]) {
        if (f->is_begun && f->bytes.used_bytes)
            e = end_segment(f, f->last_us + f->step_us, true);
        else if (f->n_segments)
            e = write_list(f, true);
    }
    if (f->dir_fd >= 0)
        (void)close(f->dir_fd);
    ts_mux_fini(&f->ts);
    buf_writer_fini(&f->bytes);
    free(f->segments);
    f->segments = NULL;
    f->dir_fd = -1;
    return e;
}
