/* FLV files that can be sought in: onMetaData at the front with the list of key frames, in room
 * that is kept for it while the file is written. Sans I/O; one thread at a time. */
#ifndef HW_PROTO_FLV_SEEK_H
#define HW_PROTO_FLV_SEEK_H

#include "common/base/buf.h"
#include "common/media/frame.h"

/* The file's header, then onMetaData, so long with what is kept free in it; then the tags. */
#define FLV_SEEK_META_AT 13u
#define FLV_SEEK_META_BYTES 16384u
#define FLV_SEEK_FIRST_AT (FLV_SEEK_META_AT + FLV_SEEK_META_BYTES)

struct flv_seek_key {
    uint32_t time_ms;
    uint64_t at; /* of its tag in the file */
};
struct flv_seek_facts {
    enum media_codec codecs[2]; /* [MEDIA_AUDIO], [MEDIA_VIDEO]; CODEC_NONE = no such track */
    uint32_t width, height, sample_rate_hz, channels; /* 0 = not known */
    uint32_t last_ms, duration_ms;
    struct flv_seek_key *keys; /* owned: free() */
    size_t n_keys, max_keys;
};
/* False: out of memory. */
bool flv_seek_add_key(struct flv_seek_facts *facts, uint32_t time_ms, uint64_t at);
/* Fills FLV_SEEK_META_BYTES: key frames are thinned out until they fit. file_bytes 0: it is not
 * finished. E_NOMEM. */
enum err flv_seek_write_meta(struct buf_writer *w, const struct flv_seek_facts *facts,
                             uint64_t file_bytes);

#endif
