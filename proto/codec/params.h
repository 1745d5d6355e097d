/* Private to proto/codec: what each codec's file offers to params.c. Every function gives E_OK,
 * E_PROTO or E_TOO_BIG with *why; *p starts with codec and kind set and the rest zero. */
#ifndef HW_PROTO_CODEC_PARAMS_H
#define HW_PROTO_CODEC_PARAMS_H

#include "proto/codec/bits.h"
#include "proto/codec/codec.h"

enum err h264_params(struct codec_params *p, struct buf_view config, const char **why);
enum err hevc_params(struct codec_params *p, struct buf_view config, const char **why);
enum err av1_params(struct codec_params *p, struct buf_view config, const char **why);
enum err vpx_params(struct codec_params *p, struct buf_view config, const char **why);
enum err aac_params(struct codec_params *p, struct buf_view config, const char **why);
enum err opus_params(struct codec_params *p, struct buf_view config, const char **why);
enum err flac_params(struct codec_params *p, struct buf_view config, const char **why);

enum err opus_packet_params(struct codec_params *p, struct buf_view frame, const char **why);
enum err ac3_frame_params(struct codec_params *p, struct buf_view frame, const char **why);
enum err mpa_frame_params(struct codec_params *p, struct buf_view frame, const char **why);

enum err vp8_add_key_frame(struct codec_video *v, struct buf_view frame, const char **why);
enum err vp9_add_key_frame(struct codec_video *v, struct buf_view frame, const char **why);
enum err av1_add_key_frame(struct codec_video *v, struct buf_view frame, const char **why);

uint32_t flac_frame_samples(struct buf_view frame);

/* Takes note of a parameter set. E_TOO_BIG when there are too many. */
enum err params_add_set(struct codec_video *v, struct buf_view nal, const char **why);

/* A side of the picture without what is cut off at both ends, in units; 0 when that is impossible.
 */
uint32_t params_cropped(uint64_t size, uint64_t from, uint64_t to, uint64_t unit);

/* The part of the VUI that H.264 (E.1.1) and HEVC (E.2.1) have in common, up to chroma_loc_info. */
void vui_read_common(struct bit_reader *r, struct codec_video *v);
/* Keeps a frame rate that is one: between 1 a minute and 1000 a second. */
void vui_set_fps(struct codec_video *v, uint64_t num, uint64_t den);

static inline enum err params_fail(const char **why, const char *text)
{
    *why = text;
    return E_PROTO;
}

#endif
