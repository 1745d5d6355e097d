/* The folders of records below record.dir. Whatever a stream is called, and whatever links there
 * are below record.dir, nothing outside of it is touched: each part of the way is opened by
 * itself, and links are not followed. */
#ifndef HW_NODE_RECORD_FOLDER_H
#define HW_NODE_RECORD_FOLDER_H

#include <dirent.h>

#include "common/media/name.h"

/* Returns a descriptor of <dir>/<stream>, or -1 with errno. make: what is missing is made. */
int record_folder_open(int dir_fd, const struct stream_name *stream, bool make);
/* Returns a descriptor of a file there, or -1 with errno: only files, links are not followed. */
int record_file_open(int folder_fd, const char *file, int flags);
/* Numbers are given, and an index is changed, by one process at a time, also while one replaces
 * another. Waits; the lock is folder_fd's own, and ends with it. */
void record_folder_lock(int folder_fd);
void record_folder_unlock(int folder_fd);
/* Calls each() for every folder below dir_fd that is called as a stream is, two or three deep. */
void record_folder_walk(int dir_fd,
                        void (*each)(void *arg, const struct stream_name *stream, int folder_fd),
                        void *arg);
/* A DIR of a descriptor that stays open; NULL with errno. */
DIR *record_folder_list(int folder_fd);

#endif
