/* Which file a path named, and in what state: whether it is worth reading again. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/net/tls_private.h"

static void read_state(struct tls_file *file)
{
    struct stat st;

    file->inode = 0;
    if (stat(file->path, &st) != 0)
        return;
    file->device = st.st_dev;
    file->inode = st.st_ino;
    file->size_bytes = st.st_size;
    file->modified = st.st_mtim;
}

bool tls_file_note(struct tls_file *file, const char *path)
{
    char *copy = strdup(path);

    if (!copy)
        return false;
    free(file->path);
    *file = (struct tls_file){.path = copy};
    read_state(file);
    return true;
}

bool tls_file_has_changed(const struct tls_file *file)
{
    struct tls_file now = {.path = file->path};

    if (!file->path)
        return false;
    read_state(&now);
    return now.inode != file->inode || now.device != file->device ||
           now.size_bytes != file->size_bytes || now.modified.tv_sec != file->modified.tv_sec ||
           now.modified.tv_nsec != file->modified.tv_nsec;
}

void tls_file_forget(struct tls_file *file)
{
    free(file->path);
    *file = (struct tls_file){0};
}
