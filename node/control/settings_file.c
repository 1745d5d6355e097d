/* The state file and its thread. */
#include "node/control/settings_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 4120
#define WHY_SIZE 160
#define MAX_ASIDE 100u /* broken files of one second: who restarts it may be quick */

struct settings_file {
    char path[PATH_SIZE], temporary[PATH_SIZE + 24], folder[PATH_SIZE];
    struct loop *loop;
    void (*on_written)(void *arg, enum err e, const char *why);
    void *arg;
    bool is_busy;   /* control loop's */
    bool is_closed; /* ... and its last message is still under way: that frees it */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under the lock. */
    struct buf_writer text;
    bool has_text, is_closing;
};

struct written { /* to the control loop; freed there, or with the loop */
    struct loop_msg msg;
    struct settings_file *file;
    enum err e;
    char why[WHY_SIZE];
};

/* --- on the thread --- */

static enum err say(char why[WHY_SIZE], const char *what, const char *path)
{
    snprintf(why, WHY_SIZE, "%s %.80s: %s", what, path, strerror(errno));
    return E_IO;
}

static bool write_all(int fd, struct buf_view text)
{
    while (text.size_bytes) {
        ssize_t n = write(fd, text.data, text.size_bytes);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text.data += n;
        text.size_bytes -= (size_t)n;
    }
    return true;
}

static enum err write_file(const struct settings_file *file, struct buf_view text,
                           char why[WHY_SIZE])
{
    int fd = open(file->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool is_good;

    if (fd < 0)
        return say(why, "cannot open", file->temporary);
    is_good = write_all(fd, text) && fsync(fd) == 0;
    if (!is_good)
        (void)say(why, "cannot write", file->temporary);
    if (close(fd) != 0 && is_good) {
        is_good = false;
        (void)say(why, "cannot close", file->temporary);
    }
    if (is_good && rename(file->temporary, file->path) != 0) {
        is_good = false;
        (void)say(why, "cannot rename to", file->path);
    }
    if (!is_good) {
        unlink(file->temporary);
        return E_IO;
    }
    fd = open(file->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd); /* the rename; some filesystems have nothing to do there */
        close(fd);
    }
    return E_OK;
}

static void file_free(struct settings_file *file)
{
    pthread_cond_destroy(&file->changed);
    pthread_mutex_destroy(&file->lock);
    free(file);
}

static void on_written_run(struct loop_msg *msg)
{
    struct written *written = list_entry(msg, struct written, msg);
    struct settings_file *file = written->file;

    file->is_busy = false;
    if (file->is_closed)
        file_free(file);
    else
        file->on_written(file->arg, written->e, written->why);
    free(written);
}

static void on_written_drop(struct loop_msg *msg)
{
    struct written *written = list_entry(msg, struct written, msg);

    if (written->file->is_closed)
        file_free(written->file);
    free(written);
}

/* Waits for a text, or for the end. False: that. */
static bool take_text(struct settings_file *file, struct buf_writer *out)
{
    bool has_text;

    pthread_mutex_lock(&file->lock);
    while (!file->has_text && !file->is_closing)
        pthread_cond_wait(&file->changed, &file->lock);
    has_text = file->has_text;
    file->has_text = false;
    *out = file->text;
    pthread_mutex_unlock(&file->lock);
    return has_text;
}

static void *run(void *arg)
{
    struct settings_file *file = arg;
    struct buf_writer text;

    pthread_setname_np(pthread_self(), "state");
    while (take_text(file, &text)) {
        struct written *written = calloc(1, sizeof *written);

        while (!written) { /* the control loop waits for it */
            usleep(10000);
            written = calloc(1, sizeof *written);
        }
        written->msg = (struct loop_msg){.run = on_written_run, .drop = on_written_drop};
        written->file = file;
        written->e = write_file(file, buf_writer_view(&text), written->why);
        buf_writer_fini(&text);
        loop_post(file->loop, &written->msg);
    }
    return NULL;
}

/* --- control loop --- */

static void split_folder(struct settings_file *file)
{
    char *slash;

    memcpy(file->folder, file->path, sizeof file->folder);
    slash = strrchr(file->folder, '/');
    if (!slash)
        strcpy(file->folder, ".");
    else
        slash[slash == file->folder] = '\0'; /* "/x" is in "/" */
}

struct settings_file *settings_file_open(const char *path, struct loop *loop,
                                         void (*on_written)(void *arg, enum err e, const char *why),
                                         void *arg, struct conf_error *error)
{
    struct settings_file *file = calloc(1, sizeof *file);

    snprintf(error->text, sizeof error->text, "state.file: %s", err_text(E_NOMEM));
    if (!file)
        return NULL;
    snprintf(file->path, sizeof file->path, "%s", path);
    snprintf(file->temporary, sizeof file->temporary, "%s.tmp.%d", file->path,
             (int)getpid()); /* the process that this one replaces may write yet */
    split_folder(file);
    file->loop = loop;
    file->on_written = on_written;
    file->arg = arg;
    if (access(file->folder, W_OK | X_OK) != 0) {
        snprintf(error->text, sizeof error->text, "state.file: cannot write in %.200s: %s",
                 file->folder, strerror(errno));
        free(file);
        return NULL;
    }
    pthread_mutex_init(&file->lock, NULL);
    pthread_cond_init(&file->changed, NULL);
    if (pthread_create(&file->thread, NULL, run, file) != 0) {
        file_free(file);
        return NULL;
    }
    return file;
}

void settings_file_close(struct settings_file **file, struct buf_view text)
{
    struct settings_file *f = *file;
    char why[WHY_SIZE];

    if (!f)
        return;
    pthread_mutex_lock(&f->lock);
    f->is_closing = true; /* what it has is written first */
    pthread_cond_signal(&f->changed);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    if (text.data && write_file(f, text, why) != E_OK)
        f->on_written(f->arg, E_IO, why);
    f->is_closed = true;
    if (!f->is_busy)
        file_free(f);
    *file = NULL;
}

bool settings_file_is_busy(const struct settings_file *file)
{
    return file->is_busy;
}

void settings_file_write(struct settings_file *file, struct buf_writer *text)
{
    file->is_busy = true;
    pthread_mutex_lock(&file->lock);
    file->text = *text;
    file->has_text = true;
    pthread_cond_signal(&file->changed);
    pthread_mutex_unlock(&file->lock);
    *text = (struct buf_writer){0};
}

/* --- at start --- */

enum err settings_file_read(const char *path, struct buf_writer *out, struct conf_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe holds nothing up */
    char bytes[65536];
    struct stat about;
    ssize_t n = 0;
    enum err e;

    if (fd < 0 && errno == ENOENT)
        return E_NOT_FOUND;
    if (fd >= 0 && (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode))) {
        close(fd);
        snprintf(error->text, sizeof error->text, "state.file: %.200s: is not a file", path);
        return E_IO;
    }
    while (fd >= 0 && buf_writer_status(out) == E_OK &&
           ((n = read(fd, bytes, sizeof bytes)) > 0 || (n < 0 && errno == EINTR)))
        buf_write(out, bytes, n > 0 ? (size_t)n : 0);
    if (fd < 0 || n < 0) {
        snprintf(error->text, sizeof error->text, "state.file: cannot read %.200s: %s", path,
                 strerror(errno));
        e = E_IO;
    } else {
        e = buf_writer_status(out);
        snprintf(error->text, sizeof error->text, "state.file: %.200s: %s", path, err_text(e));
    }
    if (fd >= 0)
        close(fd);
    return e;
}

bool settings_file_put_aside(const char *path, char *aside, size_t size)
{
    long long now_s = (long long)(clock_wall_us() / 1000000);
    int result;

    snprintf(aside, size, "%s.broken", path);
    result = link(path, aside); /* it replaces nothing, unlike rename() */
    for (unsigned i = 0; result != 0 && errno == EEXIST && i < MAX_ASIDE; i++) {
        snprintf(aside, size, i ? "%s.broken.%lld.%u" : "%s.broken.%lld", path, now_s, i);
        result = link(path, aside);
    }
    return result == 0 && unlink(path) == 0;
}
