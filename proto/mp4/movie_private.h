/* Private to proto/mp4: what a movie knows of its samples. */
#ifndef HW_PROTO_MP4_MOVIE_PRIVATE_H
#define HW_PROTO_MP4_MOVIE_PRIVATE_H

#include "proto/mp4/movie.h"

struct mp4_movie_sample {
    uint32_t size_bytes, duration;
    int32_t cts;
};

struct mp4_movie_chunk { /* samples in a row */
    uint64_t at;         /* in the file */
    uint32_t n_samples;
};

struct mp4_movie_track {
    bool is_video;
    uint32_t timescale;
    enum media_codec codec;
    struct mp4_movie_sample *samples; /* owned */
    struct mp4_movie_chunk *chunks;   /* owned */
    uint32_t *keys;                   /* owned: numbers of samples, from 1 */
    size_t n_samples, n_chunks, n_keys;
    size_t max_samples, max_chunks, max_keys;
    int64_t first_dts, next_dts;
};

struct mp4_movie {
    struct buf_writer moov; /* a copy */
    struct mp4_movie_track tracks[MP4_MAX_TRACKS];
    unsigned n_tracks;
};

/* The next box in a row of them; false: none, or broken (in->overrun). *whole and *body are lent.
 */
bool mp4_next_box(struct buf_reader *in, uint32_t *type, struct buf_view *whole,
                  struct buf_view *body);
#define MP4_TYPE(a, b, c, d) MEDIA_FOURCC(a, b, c, d)

#endif
