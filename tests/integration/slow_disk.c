/* Loaded into a node by a test: while the file that $SLOW_DISK names is there, nothing that is
 * written at a place gets to the disk, as with one that hangs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void wait_for_disk(void)
{
    const char *gate = getenv("SLOW_DISK");

    while (gate && access(gate, F_OK) == 0)
        usleep(5000);
}

ssize_t pwrite(int fd, const void *bytes, size_t n_bytes, off_t at)
{
    ssize_t (*next)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, "pwrite");

    wait_for_disk();
    return next(fd, bytes, n_bytes, at);
}

int fsync(int fd)
{
    int (*next)(int) = dlsym(RTLD_NEXT, "fsync");

    wait_for_disk();
    return next(fd);
}
