/* The end of a file, and what becomes of files whose node died. On the upkeep's thread. */
#ifndef HW_NODE_RECORD_FINISH_H
#define HW_NODE_RECORD_FINISH_H

#include "node/record/index.h"

/* Makes the file seekable, puts it to the disk, gives it its name, and notes it in the index. Takes
 * what done holds. E_END: it held nothing and is gone; E_IO with *reason (errno): it stays as it is
 * and is tried again later. */
enum err record_finish(int dir_fd, struct record_done *done, struct record_entry *entry,
                       int *reason);
/* Likewise for a file "*.part" that was left behind: first it is cut to its last whole tag, packet
 * or fragment. E_BUSY: somebody writes it, the process that this one replaces. */
enum err record_recover(const struct stream_name *stream, int folder_fd,
                        const struct record_name *part, struct record_entry *entry, int *reason);
/* What a finished file is, for an index that does not have it. E_PROTO: it is none. */
enum err record_look_at(int folder_fd, const struct record_name *name, struct record_entry *entry);
/* The record and all that belongs to it. E_NOT_FOUND, E_IO. */
enum err record_unlink(int folder_fd, const struct record_name *name);
/* Is the index what the folder has? Else it becomes so; *n_changed: how many entries were added or
 * taken out. E_IO: it could not be read, or not be written. */
enum err record_index_repair(int folder_fd, size_t *n_changed);
/* For record_scan(). fd is borrowed while it is used. */
struct record_fd_source {
    struct record_source source;
    int fd;
};
bool record_source_open(struct record_fd_source *source, int fd);

#endif
