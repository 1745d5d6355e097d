/* Segments on disk, behind those in memory: written, read and removed by a thread of its own, in
 * the order in which it was asked. Files are <dir>/<app>/<name>/<name of the segment or init
 * section>, and record.m3u8 with all of them. */
#ifndef HW_NODE_HLS_DISK_H
#define HW_NODE_HLS_DISK_H

#include "common/media/name.h"
#include "common/net/loop.h"
#include "node/hls/data.h"

struct hls_disk; /* opaque */

enum hls_cleanup {
    HLS_KEEP,         /* files stay */
    HLS_CLEAN_WINDOW, /* a file goes with its segment; there is no list of all */
    HLS_CLEAN_END     /* all go when the channel does: the stream has ended, or nobody asks */
};

#define HLS_RECORD_NAME "record.m3u8"

/* Starts the thread. dir is borrowed; max_bytes may wait to be written. NULL when out of memory. */
struct hls_disk *hls_disk_create(const char *dir, size_t max_bytes, unsigned loop_index);
/* What was asked for is done first. */
void hls_disk_destroy(struct hls_disk **disk);

/* Any thread. file: its name, without folders. False: too much waits already, or out of memory; it
 * is counted, and said once a burst. */
bool hls_disk_write(struct hls_disk *disk, const struct stream_name *stream, const char *file,
                    struct hls_data *data);
struct hls_disk_entry { /* of a list; all is borrowed */
    bool fresh;         /* what was there goes first; else the list must be there */
    struct hls_data *data;
    const char *needs;        /* a file that was written before, or NULL */
    struct hls_data *missing; /* goes there instead of data when that did not work */
};
/* To its end, whole or not at all. */
bool hls_disk_append(struct hls_disk *disk, const struct stream_name *stream, const char *file,
                     const struct hls_disk_entry *entry);
void hls_disk_remove(struct hls_disk *disk, const struct stream_name *stream, const char *file);
/* All that HLS has there. */
void hls_disk_remove_all(struct hls_disk *disk, const struct stream_name *stream);

/* E_OK with a reference in data; E_NOT_FOUND; E_IO, E_NOMEM; E_LIMIT: max_bytes of such data are
 * held already. On the loop that asked, unless that
 * has ended: then drop(). */
struct hls_disk_read {
    struct loop_msg msg;   /* private */
    struct hls_disk *disk; /* private */
    struct loop *loop;     /* that asks */
    struct stream_name stream;
    char file[80];
    enum err result;
    struct hls_data *data;
    void (*done)(struct hls_disk_read *read);
};
/* False: too many wait, nothing was done. */
bool hls_disk_read(struct hls_disk *disk, struct hls_disk_read *read);

#endif
