/* Bodies of frames that came in another form than FLV's. */
#include "proto/flv/body.h"
#include "proto/flv/flv.h"

static bool is_classic(enum media_codec codec)
{
    return codec == CODEC_H264 || codec == CODEC_AAC || codec == CODEC_MP3;
}

/* SI24, to the nearest millisecond. */
static void write_cts(struct buf_writer *w, int64_t cts_us)
{
    buf_write_u24be(w, (uint32_t)((cts_us + (cts_us < 0 ? -500 : 500)) / 1000) & 0xffffff);
}

static void write_classic(struct buf_writer *w, const struct flv_es *es)
{
    unsigned frame_type = es->key ? FLV_FRAME_KEY : FLV_FRAME_INTER;
    unsigned packet_type = es->config ? FLV_CLASSIC_CONFIG : FLV_CLASSIC_CODED;

    if (es->codec == CODEC_MP3) {
        buf_write_u8(w, FLV_SOUND_FORMAT_MP3 << 4 | FLV_SOUND_44K_16BIT_STEREO);
    } else if (es->codec == CODEC_AAC) {
        buf_write_u8(w, FLV_SOUND_FORMAT_AAC << 4 | FLV_SOUND_44K_16BIT_STEREO);
        buf_write_u8(w, packet_type);
    } else {
        buf_write_u8(w, (es->config ? FLV_FRAME_KEY : frame_type) << 4 | FLV_CODEC_ID_AVC);
        buf_write_u8(w, packet_type);
        write_cts(w, es->config ? 0 : es->cts_us);
    }
}

static void write_enhanced(struct buf_writer *w, const struct flv_es *es)
{
    unsigned frame_type = es->key || es->config ? FLV_FRAME_KEY : FLV_FRAME_INTER;
    unsigned type = es->config ? FLV_PACKET_SEQUENCE_START : FLV_PACKET_CODED_FRAMES;

    if (es->kind == MEDIA_VIDEO)
        buf_write_u8(w, FLV_VIDEO_EX | frame_type << 4 | type);
    else
        buf_write_u8(w, FLV_SOUND_FORMAT_EX << 4 | type);
    buf_write_u32be(w, media_codec_fourcc(es->codec));
    if (es->codec == CODEC_HEVC && !es->config)
        write_cts(w, es->cts_us);
}

void flv_write_body(struct buf_writer *w, const struct flv_es *es)
{
    if (is_classic(es->codec))
        write_classic(w, es);
    else
        write_enhanced(w, es);
    buf_write_view(w, es->es);
}
