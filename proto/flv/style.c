/* The header of a body as players of several ages take it. */
#include "proto/flv/body.h"

#include "proto/flv/flv.h"

bool flv_style_carries(enum flv_style style, enum media_codec codec)
{
    switch (codec) {
    case CODEC_HEVC:
        return style != FLV_STYLE_CLASSIC;
    case CODEC_AV1:
    case CODEC_VP8:
    case CODEC_VP9:
    case CODEC_OPUS:
    case CODEC_AC3:
    case CODEC_EAC3:
    case CODEC_FLAC:
    case CODEC_UNKNOWN:
        return style == FLV_STYLE_WHOLE || style == FLV_STYLE_ENHANCED;
    default:
        return true;
    }
}

static bool is_enhanced(const struct media_frame_info *info, struct buf_view body)
{
    return info->kind == MEDIA_VIDEO   ? (body.data[0] & FLV_VIDEO_EX) != 0
           : info->kind == MEDIA_AUDIO ? body.data[0] >> 4 == FLV_SOUND_FORMAT_EX
                                       : false;
}

static void put_untouched(struct flv_shape *out, struct buf_view body)
{
    out->head_bytes = 0;
    out->rest = body;
}

static struct buf_view es_of(const struct media_frame_info *info, struct buf_view body)
{
    return buf_view_of(body.data + info->es_offset, body.size_bytes - info->es_offset);
}

/* AVC's five bytes. */
static bool put_old_video(const struct media_frame_info *info, struct buf_view body, unsigned id,
                          struct flv_shape *out)
{
    uint32_t time_ms =
        (uint32_t)((info->cts_us < 0 ? info->cts_us - 500 : info->cts_us + 500) / 1000);
    unsigned frame_type = info->flags & (FRAME_KEY | FRAME_CONFIG | FRAME_SEQ_END) ? FLV_FRAME_KEY
                          : info->flags & FRAME_DISPOSABLE ? FLV_FRAME_DISPOSABLE
                                                           : FLV_FRAME_INTER;

    out->head[0] = (uint8_t)(frame_type << 4 | id);
    out->head[1] = info->flags & FRAME_CONFIG    ? FLV_CLASSIC_CONFIG
                   : info->flags & FRAME_SEQ_END ? FLV_CLASSIC_SEQUENCE_END
                                                 : FLV_CLASSIC_CODED;
    for (unsigned i = 0; i < 3; i++)
        out->head[2 + i] = (uint8_t)(time_ms >> (16 - 8 * i));
    out->head_bytes = 5;
    out->rest = es_of(info, body);
    return true;
}

static bool put_old_audio(const struct media_frame_info *info, struct buf_view body,
                          unsigned format, struct flv_shape *out)
{
    if (info->flags & FRAME_SEQ_END)
        return false;
    out->head[0] = (uint8_t)(format << 4 | FLV_SOUND_44K_16BIT_STEREO);
    out->head[1] = info->flags & FRAME_CONFIG ? FLV_CLASSIC_CONFIG : FLV_CLASSIC_CODED;
    out->head_bytes = format == FLV_SOUND_FORMAT_AAC ? 2 : 1;
    out->rest = es_of(info, body);
    return true;
}

static bool put_old(enum flv_style style, const struct media_frame_info *info, struct buf_view body,
                    struct flv_shape *out)
{
    bool is_silent = !(info->flags & (FRAME_CONFIG | FRAME_SEQ_END)) &&
                     info->es_offset == body.size_bytes; /* as the sequence start of .mp3 is */

    if (is_silent || info->flags & (FRAME_EXTRA | FRAME_MULTITRACK) ||
        !flv_style_carries(style, info->codec))
        return false;
    switch (info->codec) {
    case CODEC_H264:
        return put_old_video(info, body, FLV_CODEC_ID_AVC, out);
    case CODEC_HEVC:
        return put_old_video(info, body, FLV_CODEC_ID_HEVC, out);
    case CODEC_AAC:
        return put_old_audio(info, body, FLV_SOUND_FORMAT_AAC, out);
    case CODEC_MP3:
        return put_old_audio(info, body, FLV_SOUND_FORMAT_MP3, out);
    default:
        return false;
    }
}

bool flv_shape_body(enum flv_style style, const struct media_frame_info *info, struct buf_view body,
                    struct flv_shape *out)
{
    put_untouched(out, body);
    if (style == FLV_STYLE_WHOLE)
        return true;
    if (style == FLV_STYLE_ENHANCED)
        return !(info->flags & FRAME_MOD_EX) || flv_drop_mod_ex(body, out);
    return !body.size_bytes || !is_enhanced(info, body) || put_old(style, info, body, out);
}
