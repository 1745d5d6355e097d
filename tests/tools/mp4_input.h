/* MP4 from a file that can be sought in, or from what comes in a row: gives the demuxer the bytes
 * that it asks for. */
#ifndef HW_TESTS_TOOLS_MP4_INPUT_H
#define HW_TESTS_TOOLS_MP4_INPUT_H

#include <sys/types.h>

#include "proto/mp4/demux.h"

/* How far back it can go in what comes in a row: further than media is interleaved. */
#define MP4_INPUT_WINDOW_BYTES ((size_t)32 << 20)

struct mp4_input {            /* zeroed = fine for fini() */
    struct mp4_demux *demux;  /* owned */
    int fd;                   /* borrowed; -1 = cannot be sought in */
    off_t begin;              /* of MP4 in it */
    uint64_t file_bytes;      /* from there on */
    uint64_t n_bytes;         /* of it were read, or passed over */
    struct buf_writer window; /* what was read last; private */
    uint64_t window_at;
    char why[256];
};

/* fd: -1, or where n_read bytes of it were read from already, which are given then; borrowed until
 * fini(). E_NOMEM. */
enum err mp4_input_init(struct mp4_input *m, int fd, uint64_t n_read, size_t max_frame_bytes);
void mp4_input_fini(struct mp4_input *m);
/* E_OK; E_END; E_AGAIN: all of *in is used, and what follows is needed, which is so of what cannot
 * be sought in. at_end: nothing follows. Else why. */
enum err mp4_input_next(struct mp4_input *m, struct buf_reader *in, bool at_end,
                        struct mp4_unit *out);

#endif
