/* What the kernel and the disk say. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <unistd.h>

#include "tests/tools/doctor_checks.h"

#define FEW_DESCRIPTORS 65536 /* a viewer is one */
#define LEAST_DESCRIPTORS 1024

void doctor_count_descriptors(struct doctor *d, uint64_t n_wanted)
{
    struct rlimit limit;
    unsigned long long n;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        doctor_say(d, DOCTOR_FAIL, "descriptors", "%s", strerror(errno));
        return;
    }
    n = limit.rlim_max; /* daemons raise theirs to it */
    if (n < n_wanted)
        doctor_say(d, DOCTOR_FAIL, "descriptors", "%llu; limits.connections is %llu", n,
                   (unsigned long long)n_wanted);
    else if (n < LEAST_DESCRIPTORS)
        doctor_say(d, DOCTOR_FAIL, "descriptors",
                   "%llu; at least %d are needed (LimitNOFILE, ulimit -Hn)", n, LEAST_DESCRIPTORS);
    else
        doctor_say(d, n < FEW_DESCRIPTORS ? DOCTOR_WARN : DOCTOR_OK, "descriptors", "%llu%s", n,
                   n < FEW_DESCRIPTORS ? ": each viewer is one (LimitNOFILE, ulimit -Hn)" : "");
}

/* Epochs, tokens and lag are by the clock. */
void doctor_read_clock(struct doctor *d)
{
    struct timex now;
    int state;

    memset(&now, 0, sizeof now);
    state = adjtimex(&now);
    if (state < 0)
        doctor_say(d, DOCTOR_WARN, "clock", "cannot be asked: %s", strerror(errno));
    else if (state == TIME_ERROR || now.status & STA_UNSYNC)
        doctor_say(d, DOCTOR_WARN, "clock", "nothing keeps it right (chrony, systemd-timesyncd)");
    else
        doctor_say(d, DOCTOR_OK, "clock", "kept right, wrong by %.1f ms at most",
                   (double)now.maxerror / 1e3);
}

/* The folder of a path, into out[size]. */
static void folder_of(const char *path, char *out, size_t size)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        snprintf(out, size, ".");
    else
        snprintf(out, size, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

void doctor_look_at_folder(struct doctor *d, const char *key, const char *path, bool is_folder)
{
    char folder[4200];
    struct stat st;

    if (!path[0])
        return;
    if (is_folder)
        snprintf(folder, sizeof folder, "%s", path);
    else
        folder_of(path, folder, sizeof folder);
    if (stat(folder, &st) != 0)
        doctor_say(d, DOCTOR_FAIL, "folders", "%s: %s: %s", key, folder, strerror(errno));
    else if (!S_ISDIR(st.st_mode))
        doctor_say(d, DOCTOR_FAIL, "folders", "%s: %s is no folder", key, folder);
    else if (access(folder, W_OK | X_OK) != 0)
        doctor_say(d, DOCTOR_FAIL, "folders", "%s: %s cannot be written to by user %u: %s", key,
                   folder, (unsigned)geteuid(), strerror(errno));
    else
        doctor_say(d, DOCTOR_OK, "folders", "%s: %s can be written to", key, folder);
}
