/* Fragments back to one movie: tables of all samples, so that what was written as fragments can be
 * sought in by everybody. Reads what mp4_write_init() and mp4_write_fragment() write, and refuses
 * all else: files that were cut off, or changed. ISO 14496-12. Sans I/O; one thread at a time. */
#ifndef HW_PROTO_MP4_MOVIE_H
#define HW_PROTO_MP4_MOVIE_H

#include "proto/mp4/mp4.h"

struct mp4_movie; /* opaque: 12 bytes a sample */

/* NULL when out of memory. */
struct mp4_movie *mp4_movie_create(void);
void mp4_movie_destroy(struct mp4_movie **movie);

/* The moov of the init section, with its header; copied. Once, first. E_PROTO, E_NOMEM. */
enum err mp4_movie_take_init(struct mp4_movie *movie, struct buf_view moov);
/* A moof with its header, which is at moof_at in the file; an mdat with data_bytes of body follows
 * it. E_PROTO: broken, or its samples are not in that mdat; nothing of it is taken. E_NOMEM: the
 * movie is only to be destroyed. */
enum err mp4_movie_take_fragment(struct mp4_movie *movie, struct buf_view moof, uint64_t moof_at,
                                 uint64_t data_bytes);
/* The moov of a file whose samples are where the fragments had them. */
void mp4_movie_write(const struct mp4_movie *movie, struct buf_writer *w);

size_t mp4_movie_samples(const struct mp4_movie *movie);
int64_t mp4_movie_duration_us(const struct mp4_movie *movie);
/* By the sample entry; CODEC_NONE: there is no such track, or no sample of it. */
enum media_codec mp4_movie_codec(const struct mp4_movie *movie, enum media_kind kind);

#endif
