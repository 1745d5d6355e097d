/* See decode.h. */
#include "node/record/decode.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/net/loop.h"
#include "node/stream/format_es.h"
#include "proto/mp4/mp4.h"

#define LOOK_MS 50 /* for is_cancelled */
#define END_LOOK_MS 5
#define PIECE_BYTES 65536
#define US_PER_MS 1000

extern char **environ;

/* --- what the program reads: an MP4 of one frame --- */

static enum err write_movie(const struct decode *d, struct buf_writer *out)
{
    const struct codec_params *tracks[1];
    struct codec_params params;
    struct mp4_mux mux;
    struct mp4_sample sample = {.key = true, .size_bytes = (uint32_t)frame_es(d->key).size_bytes};
    struct mp4_fragment fragment = {
        .samples = &sample, .n_samples = 1, .next_dts_us = {INT64_MIN, INT64_MIN}};
    const char *why;

    if (!d->config ||
        codec_params_from_config(d->key->info.codec, frame_es(d->config), &params, &why) != E_OK)
        return E_UNSUPPORTED;
    (void)codec_params_add_key_frame(&params, frame_es(d->key), &why);
    tracks[0] = &params;
    if (mp4_write_init(out, tracks, 1, &why) != E_OK)
        return E_UNSUPPORTED;
    mp4_mux_init(&mux, tracks, 1);
    if (mp4_write_fragment(out, &mux, &fragment) != E_OK)
        return E_UNSUPPORTED;
    buf_write_view(out, frame_es(d->key));
    return buf_writer_status(out);
}

/* --- the child --- */

struct child {
    pid_t pid;         /* 0 = it has ended */
    int in_fd, out_fd; /* ours; -1 = closed */
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

/* Nothing of this process goes to it: no descriptors, no blocked or ignored signals, no shell. */
static int spawn(const char *command, int in_fd, int out_fd, pid_t *pid)
{
    char *const argv[] = {(char *)(uintptr_t)command,
                          "-hide_banner",
                          "-loglevel",
                          "error",
                          "-protocol_whitelist",
                          "pipe",
                          "-threads",
                          "1",
                          "-f",
                          "mp4",
                          "-i",
                          "pipe:0",
                          "-frames:v",
                          "1",
                          "-c:v",
                          "mjpeg",
                          "-q:v",
                          "3",
                          "-f",
                          "image2pipe",
                          "pipe:1",
                          NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t all, none;
    int error;

    sigfillset(&all);
    sigemptyset(&none);
    if (posix_spawnattr_init(&attributes) != 0)
        return ENOMEM;
    if (posix_spawn_file_actions_init(&actions) != 0) {
        (void)posix_spawnattr_destroy(&attributes);
        return ENOMEM;
    }
    (void)posix_spawnattr_setsigdefault(&attributes, &all);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    error = posix_spawn_file_actions_adddup2(&actions, in_fd, 0);
    if (!error)
        error = posix_spawn_file_actions_adddup2(&actions, out_fd, 1);
    if (!error)
        error = posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    if (!error)
        error = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    if (!error)
        error = posix_spawnp(pid, command, &actions, &attributes, argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    return error;
}

static enum err start(struct child *child, const char *command)
{
    int in[2], out[2], error;

    if (pipe2(in, O_CLOEXEC) != 0)
        return E_IO;
    if (pipe2(out, O_CLOEXEC) != 0) {
        (void)close(in[0]);
        (void)close(in[1]);
        return E_IO;
    }
    error = spawn(command, in[0], out[1], &child->pid);
    (void)close(in[0]);
    (void)close(out[1]);
    child->in_fd = in[1];
    child->out_fd = out[0];
    if (error) {
        close_fd(&child->in_fd);
        close_fd(&child->out_fd);
        return error == ENOENT || error == EACCES ? E_NOT_FOUND : E_IO;
    }
    (void)fcntl(child->in_fd, F_SETFL, O_NONBLOCK);
    (void)fcntl(child->out_fd, F_SETFL, O_NONBLOCK);
    return E_OK;
}

/* SIGPIPE is ignored in this program: a child that has read enough gives EPIPE. */
static void feed(struct child *child, struct buf_reader *movie)
{
    size_t size = movie->left_bytes < PIECE_BYTES ? movie->left_bytes : PIECE_BYTES;
    ssize_t n = write(child->in_fd, movie->at, size);

    if (n > 0)
        (void)buf_take(movie, (size_t)n);
    if (movie->left_bytes == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        close_fd(&child->in_fd);
}

static void drain(struct child *child, struct buf_writer *jpeg)
{
    uint8_t piece[4096];
    ssize_t n = read(child->out_fd, piece, sizeof piece);

    if (n > 0)
        buf_write(jpeg, piece, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        close_fd(&child->out_fd);
}

static enum err talk(struct child *child, const struct decode *d, struct buf_reader movie,
                     int64_t until_us, struct buf_writer *jpeg)
{
    while (child->out_fd >= 0 && buf_writer_status(jpeg) == E_OK) {
        struct pollfd fds[2] = {{.fd = child->out_fd, .events = POLLIN},
                                {.fd = child->in_fd, .events = POLLOUT}};

        if (atomic_load(d->is_cancelled))
            return E_CLOSED;
        if (clock_mono_us() >= until_us)
            return E_TIMEOUT;
        if (poll(fds, 2, LOOK_MS) <= 0)
            continue;
        if (fds[1].revents)
            feed(child, &movie);
        if (fds[0].revents)
            drain(child, jpeg);
    }
    return buf_writer_status(jpeg);
}

/* A program that has closed its output need not have come to its end. */
static enum err wait_for_end(struct child *child, const struct decode *d, int64_t until_us)
{
    int status = 0;
    pid_t ended;

    while ((ended = waitpid(child->pid, &status, WNOHANG)) != child->pid) {
        if (ended < 0 && errno != EINTR)
            return E_IO;
        if (atomic_load(d->is_cancelled))
            return E_CLOSED;
        if (clock_mono_us() >= until_us)
            return E_TIMEOUT;
        (void)poll(NULL, 0, END_LOOK_MS);
    }
    child->pid = 0;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? E_OK : E_IO;
}

static void end(const struct child *child)
{
    if (!child->pid)
        return;
    (void)kill(child->pid, SIGKILL);
    while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

enum err decode_to_jpeg(const struct decode *decode, struct buf_writer *jpeg)
{
    struct child child = {.in_fd = -1, .out_fd = -1};
    int64_t until_us = clock_mono_us() + decode->timeout_ms * US_PER_MS;
    struct buf_writer movie;
    enum err e;

    buf_writer_init(&movie, decode->key->size_bytes + (1u << 20));
    e = write_movie(decode, &movie);
    if (e == E_OK)
        e = start(&child, decode->command);
    if (e == E_OK) {
        e = talk(&child, decode, buf_reader_from(buf_writer_view(&movie)), until_us, jpeg);
        close_fd(&child.in_fd);
        close_fd(&child.out_fd);
        if (e == E_OK)
            e = wait_for_end(&child, decode, until_us);
        end(&child);
        if (e == E_OK && !jpeg->used_bytes)
            e = E_IO;
    }
    buf_writer_fini(&movie);
    return e;
}
