/* The index and the folder: which of the two is right. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "node/record/finish.h"
#include "node/record/folder.h"

#define US_PER_S INT64_C(1000000)

static void look_at_segments(int folder_fd, struct record_entry *entry)
{
    struct record_name segment = entry->name;
    char file[RECORD_NAME_SIZE];

    entry->bytes = 0;
    entry->duration_us = 0;
    for (segment.segment = 1;; segment.segment++) {
        struct record_fd_source source;
        struct record_scan scan;
        int fd;

        record_name_format(&segment, file);
        fd = record_file_open(folder_fd, file, O_RDONLY);
        if (fd < 0)
            return;
        if (record_source_open(&source, fd) &&
            record_scan(RECORD_HLS, &source.source, &scan) == E_OK) {
            memcpy(entry->codecs, scan.codecs, sizeof entry->codecs);
            entry->duration_us += scan.duration_us;
            record_scan_fini(&scan);
        }
        entry->bytes += source.source.size_bytes;
        entry->n_segments = segment.segment;
        (void)close(fd);
    }
}

static enum err look_at_file(int folder_fd, const char *file, struct record_entry *entry)
{
    struct record_fd_source source;
    struct record_scan scan;
    int fd = record_file_open(folder_fd, file, O_RDONLY);
    enum err e;

    if (fd < 0)
        return E_NOT_FOUND;
    e = record_source_open(&source, fd) ? record_scan(entry->name.format, &source.source, &scan)
                                        : E_IO;
    (void)close(fd);
    if (e != E_OK)
        return e;
    entry->bytes = source.source.size_bytes;
    entry->duration_us = scan.duration_us;
    memcpy(entry->codecs, scan.codecs, sizeof entry->codecs);
    record_scan_fini(&scan);
    return E_OK;
}

enum err record_look_at(int folder_fd, const struct record_name *name, struct record_entry *entry)
{
    struct tm tm = {.tm_sec = 0};
    char file[RECORD_NAME_SIZE];

    *entry = (struct record_entry){.name = *name, .cut = RECORD_CUT_RECOVERED};
    if (strptime(name->time, "%Y%m%dT%H%M%SZ", &tm))
        entry->start_us = (int64_t)timegm(&tm) * US_PER_S;
    record_name_format(name, file);
    if (name->format != RECORD_HLS)
        return look_at_file(folder_fd, file, entry);
    look_at_segments(folder_fd, entry);
    return entry->n_segments ? E_OK : E_PROTO;
}

/* From the last one to the first, and the list when all are gone: who is stopped in between leaves
 * nothing that nobody knows of. */
static void unlink_segments(int folder_fd, const struct record_name *name)
{
    struct record_name segment = *name;
    char file[RECORD_NAME_SIZE];
    struct stat about;

    do {
        segment.segment++;
        record_name_format(&segment, file);
    } while (fstatat(folder_fd, file, &about, AT_SYMLINK_NOFOLLOW) == 0);
    while (--segment.segment) {
        record_name_format(&segment, file);
        (void)unlinkat(folder_fd, file, 0);
    }
}

enum err record_unlink(int folder_fd, const struct record_name *name)
{
    char file[RECORD_NAME_SIZE];

    if (name->format == RECORD_HLS)
        unlink_segments(folder_fd, name);
    record_name_format(name, file);
    if (unlinkat(folder_fd, file, 0) != 0)
        return errno == ENOENT ? E_NOT_FOUND : E_IO;
    return E_OK;
}

/* Keeps what is there. */
static size_t drop_missing(int folder_fd, struct record_entries *list)
{
    char file[RECORD_NAME_SIZE];
    struct stat about;
    size_t n = 0, n_dropped;

    for (size_t i = 0; i < list->n_items; i++) {
        record_name_format(&list->items[i].name, file);
        if (fstatat(folder_fd, file, &about, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
            list->items[n++] = list->items[i];
    }
    n_dropped = list->n_items - n;
    list->n_items = n;
    return n_dropped;
}

/* What the index lacks. It may take long: nobody is kept waiting. */
static void find_missing(int folder_fd, const struct record_entries *known,
                         struct record_entries *found)
{
    DIR *folder = record_folder_list(folder_fd);
    struct record_entry entry;
    struct record_name name;
    struct dirent *file;

    while (folder && (file = readdir(folder))) {
        if (record_name_parse(file->d_name, &name) != E_OK || name.is_part || name.segment ||
            record_entries_find(known, name.seq) ||
            record_look_at(folder_fd, &name, &entry) != E_OK || !record_entries_add(found, &entry))
            continue;
    }
    if (folder)
        closedir(folder);
}

/* But what the process that this one replaces has listed meanwhile. */
static size_t add_found(struct record_entries *list, const struct record_entries *found)
{
    struct record_entries known = {.items = list->items, .n_items = list->n_items};
    size_t n_added = 0;

    for (size_t i = 0; i < found->n_items; i++) {
        if (record_entries_find(&known, found->items[i].name.seq) ||
            !record_entries_add(list, &found->items[i]))
            continue;
        known.items = list->items; /* it may have moved; the sorted part is the front */
        n_added++;
    }
    return n_added;
}

static enum err repair(int folder_fd, const struct record_entries *found, size_t *n_changed)
{
    struct record_entries list;
    enum err e = record_index_read(folder_fd, &list);

    if (e != E_OK)
        return e;
    *n_changed = drop_missing(folder_fd, &list);
    *n_changed += add_found(&list, found);
    if (*n_changed || list.is_broken) {
        struct record_entries sorted = {.items = list.items, .n_items = list.n_items};

        *n_changed += list.is_broken;
        record_entries_sort(&sorted);
        e = record_index_write(folder_fd, &sorted);
    }
    record_entries_fini(&list);
    return e;
}

enum err record_index_repair(int folder_fd, size_t *n_changed)
{
    struct record_entries list, found = {.items = NULL};
    enum err e = record_index_read(folder_fd, &list);

    *n_changed = 0;
    if (e != E_OK)
        return e;
    (void)drop_missing(folder_fd, &list);
    find_missing(folder_fd, &list, &found);
    record_entries_fini(&list);
    record_folder_lock(folder_fd);
    e = repair(folder_fd, &found, n_changed);
    record_folder_unlock(folder_fd);
    record_entries_fini(&found);
    return e;
}
