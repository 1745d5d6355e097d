/* What is in a file that was cut off anywhere: how far it is good, and what its finish needs. Reads
 * what this room writes; all else ends the good part. Sans I/O but for the reading that the caller
 * does. */
#ifndef HW_NODE_RECORD_SCAN_H
#define HW_NODE_RECORD_SCAN_H

#include "node/record/name.h"
#include "common/media/frame.h"
#include "proto/flv/seek.h"
#include "proto/mp4/gather.h"
#include "proto/mp4/movie.h"

struct record_source { /* a file, or memory */
    /* All of it, or false. */
    bool (*read)(const struct record_source *source, uint64_t at, void *out, size_t n_bytes);
    uint64_t size_bytes;
};

struct record_scan {
    uint64_t good_bytes; /* 0: nothing of use */
    int64_t duration_us;
    enum media_codec codecs[2];
    struct flv_seek_facts flv; /* RECORD_FLV */
    struct mp4_movie *movie;   /* RECORD_MP4: owned */
};
/* RECORD_HLS: of a segment, as RECORD_TS. E_OK; E_PROTO: nothing of use; E_NOMEM. Pair with fini().
 */
enum err record_scan(enum record_format_id format, const struct record_source *source,
                     struct record_scan *out);
void record_scan_fini(struct record_scan *scan);

#endif
