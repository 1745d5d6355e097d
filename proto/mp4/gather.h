/* A file of fragments while it is written: frames are gathered until a fragment is due; and what
 * turns it into one with tables at the end. Sans I/O; one thread at a time.
 *
 * Layout: ftyp, a free box of MP4_HOLD_BYTES, the init section's moov, fragments. At the end come
 * the tables (movie.h), and the free box becomes the head of an mdat that spans everything up to
 * them. Until then it plays as fragments, so what was cut off is not lost. */
#ifndef HW_PROTO_MP4_GATHER_H
#define HW_PROTO_MP4_GATHER_H

#include "proto/mp4/mp4.h"

#define MP4_HOLD_BYTES 16u

/* ftyp, the free box and moov. Errors as mp4_write_init(). *ftyp_bytes is where the free box is. */
enum err mp4_write_file_head(struct buf_writer *w, const struct codec_params *const *tracks,
                             unsigned n_tracks, uint32_t *ftyp_bytes, const char **why);
/* What takes the free box's place when the tables are there. span_bytes: from the box up to them.
 */
void mp4_put_hold(uint8_t out[MP4_HOLD_BYTES], uint64_t span_bytes);

struct mp4_gathered { /* private */
    struct buf_view es;
    const void *owner;
};
struct mp4_gather_track { /* private */
    struct mp4_sample *samples;
    struct mp4_gathered *bodies;
    size_t n, max;
};
struct mp4_gather { /* zeroed = nothing gathered, and fine for fini() */
    struct mp4_mux mux;
    void (*release)(const void *owner);
    struct mp4_gather_track tracks[MP4_MAX_TRACKS];
    size_t n_samples, held_bytes;
    int64_t first_us; /* of the samples that are held */
};
/* tracks as in the init section; the first one begins each fragment. Pair with fini(). */
void mp4_gather_init(struct mp4_gather *g, const struct codec_params *const *tracks,
                     unsigned n_tracks, void (*release)(const void *owner));
void mp4_gather_fini(struct mp4_gather *g);
/* The fragment ends in front of a frame of this time: it is an entry, or the fragment is 2 s or
 * 4 MB long, or full. */
bool mp4_gather_is_due(const struct mp4_gather *g, int64_t dts_us, bool entry);
/* Takes owner, who has the bytes of es until release(owner). E_NOMEM: nothing is taken. */
enum err mp4_gather_add(struct mp4_gather *g, const struct mp4_sample *sample, struct buf_view es,
                        const void *owner);
/* Appends the fragment with its bytes, if anything is held, and begins the next one. next_us: dts
 * of the frame of that track that follows; INT64_MIN: not known. Errors as mp4_write_fragment(). */
enum err mp4_gather_write(struct mp4_gather *g, struct buf_writer *w, unsigned next_track,
                          int64_t next_us);

#endif
