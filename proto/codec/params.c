/* codec_params for every codec: one table row each. */
#include "proto/codec/codec.h"

#include <string.h>

#include "proto/codec/mpa.h"
#include "proto/codec/opus.h"
#include "proto/codec/params.h"

enum { COLOUR_UNSPECIFIED = 2 };
enum { MAX_SIDE = 1 << 15 }; /* pixels; the highest levels end at 16,888 */

static const struct codec_row {
    enum media_kind kind;
    /* NULL where a codec has no configuration, or its frames say nothing */
    enum err (*from_config)(struct codec_params *p, struct buf_view config, const char **why);
    enum err (*from_frame)(struct codec_params *p, struct buf_view frame, const char **why);
    enum err (*add_key_frame)(struct codec_video *v, struct buf_view frame, const char **why);
} k_rows[CODEC_COUNT] = {
    [CODEC_H264] = {MEDIA_VIDEO, h264_params, NULL, NULL},
    [CODEC_HEVC] = {MEDIA_VIDEO, hevc_params, NULL, NULL},
    [CODEC_AV1] = {MEDIA_VIDEO, av1_params, NULL, av1_add_key_frame},
    [CODEC_VP8] = {MEDIA_VIDEO, vpx_params, NULL, vp8_add_key_frame},
    [CODEC_VP9] = {MEDIA_VIDEO, vpx_params, NULL, vp9_add_key_frame},
    [CODEC_AAC] = {MEDIA_AUDIO, aac_params, NULL, NULL},
    [CODEC_OPUS] = {MEDIA_AUDIO, opus_params, opus_packet_params, NULL},
    [CODEC_FLAC] = {MEDIA_AUDIO, flac_params, NULL, NULL},
    [CODEC_MP3] = {MEDIA_AUDIO, NULL, mpa_frame_params, NULL},
    [CODEC_AC3] = {MEDIA_AUDIO, NULL, ac3_frame_params, NULL},
    [CODEC_EAC3] = {MEDIA_AUDIO, NULL, ac3_frame_params, NULL},
};

static void start(struct codec_params *p, enum media_codec codec)
{
    memset(p, 0, sizeof *p);
    p->codec = codec;
    p->kind = k_rows[codec].kind;
    if (p->kind == MEDIA_VIDEO) {
        p->video.sar_num = p->video.sar_den = 1;
        p->video.colour.primaries = COLOUR_UNSPECIFIED;
        p->video.colour.transfer = COLOUR_UNSPECIFIED;
        p->video.colour.matrix = COLOUR_UNSPECIFIED;
        p->video.bit_depth = 8;
        p->video.chroma = 1;
    } else {
        p->audio.bits = 16;
    }
}

bool codec_has_config(enum media_codec codec)
{
    return k_rows[codec].from_config != NULL;
}

enum err codec_params_from_config(enum media_codec codec, struct buf_view config,
                                  struct codec_params *out, const char **why)
{
    struct codec_params p;
    enum err e;

    if (!k_rows[codec].from_config) {
        *why = "no configuration is known for this codec";
        return E_UNSUPPORTED;
    }
    start(&p, codec);
    e = k_rows[codec].from_config(&p, config, why);
    if (e == E_OK)
        *out = p;
    return e;
}

enum err codec_params_from_frame(enum media_codec codec, struct buf_view frame,
                                 struct codec_params *out, const char **why)
{
    struct codec_params p;
    enum err e;

    if (!k_rows[codec].from_frame) {
        *why = "frames of this codec do not describe the track";
        return E_UNSUPPORTED;
    }
    start(&p, codec);
    e = k_rows[codec].from_frame(&p, frame, why);
    if (e == E_OK)
        *out = p;
    return e;
}

enum err codec_params_add_key_frame(struct codec_params *params, struct buf_view frame,
                                    const char **why)
{
    if (!k_rows[params->codec].add_key_frame)
        return E_OK;
    return k_rows[params->codec].add_key_frame(&params->video, frame, why);
}

uint32_t codec_frame_samples(const struct codec_params *params, struct buf_view frame)
{
    struct mpa_info mpa;
    struct ac3_info ac3;
    const char *why;

    switch (params->codec) {
    case CODEC_OPUS:
        return opus_packet_samples(frame);
    case CODEC_FLAC:
        return flac_frame_samples(frame);
    case CODEC_MP3:
        return mpa_parse(frame, &mpa, &why) == E_OK ? mpa.samples : 0;
    case CODEC_AC3:
    case CODEC_EAC3:
        return ac3_parse(frame, &ac3, &why) == E_OK ? ac3.samples : 0;
    case CODEC_AAC:
        return params->audio.samples_per_frame;
    default:
        return 0;
    }
}

enum err params_add_set(struct codec_video *v, struct buf_view nal, const char **why)
{
    if (v->n_sets == CODEC_MAX_SETS) {
        *why = "more parameter sets than any encoder has";
        return E_TOO_BIG;
    }
    v->sets[v->n_sets++] = nal;
    return E_OK;
}

uint32_t params_cropped(uint64_t size, uint64_t from, uint64_t to, uint64_t unit)
{
    uint64_t crop = (from + to) * unit;

    return size > MAX_SIDE || crop >= size ? 0 : (uint32_t)(size - crop);
}
