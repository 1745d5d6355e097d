/* HLS in a folder: segments of transport stream, and a list of those that are whole, so that it
 * plays while it grows. */
#ifndef HW_TESTS_TOOLS_HLS_FOLDER_H
#define HW_TESTS_TOOLS_HLS_FOLDER_H

#include "proto/hls/hls.h"
#include "proto/ts/ts.h"
#include "tests/tools/media_input.h"

#define HLS_FOLDER_LIST "index.m3u8"

struct hls_folder {
    const char *path; /* borrowed */
    int64_t segment_us;
    unsigned window; /* segments in the list; 0 = all */
    int dir_fd;
    uint64_t run; /* in the names */
    struct ts_mux ts;
    struct buf_writer bytes;      /* of the running segment */
    struct hls_segment *segments; /* owned: those in the list */
    size_t n_segments, max_segments;
    uint64_t next_msn, n_discontinuities; /* the latter of those that left the list */
    bool has_video, is_begun, is_torn;    /* torn: time does not go on */
    int64_t start_us, last_us, step_us;   /* of the running segment; of the last frame */
    int64_t wall_us;                      /* its first frame's */
    char why[256];
};

/* Makes the folder if need be. E_BUSY: there is a list already; E_IO, E_NOMEM; with why. */
enum err hls_folder_open(struct hls_folder *folder, const char *path, double segment_s,
                         unsigned window);
/* Begins with the first key frame. */
enum err hls_folder_write(struct hls_folder *folder, const struct media_tag *tag, int64_t wall_us);
/* The running segment is the last one, and the list says so. */
enum err hls_folder_close(struct hls_folder *folder);

#endif
