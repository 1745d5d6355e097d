/* See folder.h. */
#include "node/record/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define MAX_PARTS 3

static int open_part(int parent_fd, const char *part, bool make)
{
    int fd = openat(parent_fd, part, FOLDER_FLAGS);

    if (fd >= 0 || errno != ENOENT || !make)
        return fd;
    if (mkdirat(parent_fd, part, 0755) != 0 && errno != EEXIST)
        return -1;
    return openat(parent_fd, part, FOLDER_FLAGS);
}

/* Names were checked when the stream was made; this does not rely on it. */
static bool is_plain(const char *part)
{
    return *part && *part != '.' && !strchr(part, '/');
}

int record_folder_open(int dir_fd, const struct stream_name *stream, bool make)
{
    char text[STREAM_NAME_SIZE], *rest = text, *part;
    int fd = -1, parent_fd = dir_fd;

    memcpy(text, stream->text, sizeof text);
    while ((part = strsep(&rest, "/"))) {
        errno = EINVAL;
        fd = is_plain(part) ? open_part(parent_fd, part, make) : -1;
        if (parent_fd != dir_fd)
            (void)close(parent_fd);
        if (fd < 0)
            return -1;
        parent_fd = fd;
    }
    return fd;
}

int record_file_open(int folder_fd, const char *file, int flags)
{
    struct stat about;
    int fd;

    errno = EINVAL;
    if (!is_plain(file))
        return -1;
    fd = openat(folder_fd, file, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
    if (fd >= 0 && (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode))) {
        (void)close(fd);
        fd = -1;
        errno = EINVAL;
    }
    return fd;
}

void record_folder_lock(int folder_fd)
{
    while (flock(folder_fd, LOCK_EX) != 0 && errno == EINTR)
        continue; /* where there are no locks, there is no second process either */
}

void record_folder_unlock(int folder_fd)
{
    (void)flock(folder_fd, LOCK_UN);
}

DIR *record_folder_list(int folder_fd)
{
    int fd = openat(folder_fd, ".", FOLDER_FLAGS); /* a place of its own in the list */
    DIR *list = fd >= 0 ? fdopendir(fd) : NULL;

    if (!list && fd >= 0)
        (void)close(fd);
    return list;
}

struct walk {
    void (*each)(void *arg, const struct stream_name *stream, int folder_fd);
    void *arg;
    char path[STREAM_NAME_SIZE + 1]; /* "/app/name" */
};

static void look_at(struct walk *w, int folder_fd)
{
    struct stream_name name;
    const char *why;

    if (stream_name_from_path(&name, buf_view_str(w->path), &why) == E_OK)
        w->each(w->arg, &name, folder_fd);
}

static void descend(struct walk *w, int folder_fd, unsigned depth)
{
    size_t size = strlen(w->path);
    DIR *list = record_folder_list(folder_fd);
    struct dirent *entry;

    while (list && (entry = readdir(list))) {
        int n, fd;

        if (!is_plain(entry->d_name) || (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN))
            continue;
        n = snprintf(w->path + size, sizeof w->path - size, "/%s", entry->d_name);
        fd = n > 0 && (size_t)n < sizeof w->path - size
                 ? openat(folder_fd, entry->d_name, FOLDER_FLAGS)
                 : -1;
        if (fd >= 0 && depth + 1 >= 2)
            look_at(w, fd);
        if (fd >= 0 && depth + 1 < MAX_PARTS)
            descend(w, fd, depth + 1);
        if (fd >= 0)
            (void)close(fd);
        w->path[size] = '\0';
    }
    if (list)
        closedir(list);
}

void record_folder_walk(int dir_fd,
                        void (*each)(void *arg, const struct stream_name *stream, int folder_fd),
                        void *arg)
{
    struct walk walk = {.each = each, .arg = arg};

    descend(&walk, dir_fd, 0);
}
