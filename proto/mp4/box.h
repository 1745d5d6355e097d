/* Private to proto/mp4: boxes, ISO 14496-12 4.2, and what writes their parts. */
#ifndef HW_PROTO_MP4_BOX_H
#define HW_PROTO_MP4_BOX_H

#include "common/base/buf.h"
#include "proto/codec/codec.h"

/* Opens a box; gives where it begins, for mp4_end_box(). */
size_t mp4_begin_box(struct buf_writer *w, const char type[5]);
size_t mp4_begin_full_box(struct buf_writer *w, const char type[5], unsigned version,
                          uint32_t flags);
/* Writes the size of all since. */
void mp4_end_box(struct buf_writer *w, size_t begin);
void mp4_write_zeros(struct buf_writer *w, size_t n);

/* The time scale of a track. */
uint32_t mp4_timescale(const struct codec_params *params);

/* One sample entry of stsd; the track was seen by mp4_entry_fault(). */
void mp4_write_video_entry(struct buf_writer *w, const struct codec_params *params);
void mp4_write_audio_entry(struct buf_writer *w, const struct codec_params *params);
/* E_OK, or what stands against a sample entry, with *why. */
enum err mp4_video_fault(const struct codec_params *params, const char **why);
enum err mp4_audio_fault(const struct codec_params *params, const char **why);

#endif
