/* A tag body to what the stream core needs to know of it: codec, key frame or sequence header, and
 * where the elementary stream data starts. This file holds the legacy headers (FLV 10.1 E.4.2,
 * E.4.3) and the way in; body_ex.c the enhanced ones. */
#include "proto/flv/body.h"

#include "proto/flv/flv.h"

/* What the codec id says about the bytes behind the first one. */
enum legacy_header {
    HEADER_BARE,   /* nothing more */
    HEADER_ADJUST, /* VP6: one byte of crop adjustment, E.4.3.1 VP6FLVVIDEOPACKET */
    HEADER_PACKET, /* AVC layout: packet type, SI24 composition time, E.4.3.1 AVCVIDEOPACKET */
    HEADER_AAC     /* packet type, E.4.2.1 AACAUDIODATA */
};

struct legacy_codec {
    enum media_codec codec;
    enum legacy_header header;
};

/* clang-format off */
static const struct legacy_codec k_video_codecs[16] = { /* E.4.3.1 CodecID */
    [0]  = {CODEC_UNKNOWN, HEADER_BARE},
    [1]  = {CODEC_UNKNOWN, HEADER_BARE},   /* JPEG in old lists, unused */
    [2]  = {CODEC_H263,    HEADER_BARE},
    [3]  = {CODEC_SCREEN,  HEADER_BARE},
    [4]  = {CODEC_VP6,     HEADER_ADJUST},
    [5]  = {CODEC_VP6,     HEADER_ADJUST}, /* with alpha; its offset belongs to the data */
    [6]  = {CODEC_SCREEN,  HEADER_BARE},   /* version 2 */
    [7]  = {CODEC_H264,    HEADER_PACKET},
    [8]  = {CODEC_UNKNOWN, HEADER_BARE},
    [9]  = {CODEC_UNKNOWN, HEADER_BARE},
    [10] = {CODEC_UNKNOWN, HEADER_BARE},
    [11] = {CODEC_UNKNOWN, HEADER_BARE},
    [12] = {CODEC_HEVC,    HEADER_PACKET}, /* not Adobe's: widespread before hvc1, AVC's layout */
    [13] = {CODEC_UNKNOWN, HEADER_BARE},
    [14] = {CODEC_UNKNOWN, HEADER_BARE},
    [15] = {CODEC_UNKNOWN, HEADER_BARE},
};

static const struct legacy_codec k_audio_codecs[16] = { /* E.4.2.1 SoundFormat */
    [0]  = {CODEC_PCM,        HEADER_BARE}, /* platform endian */
    [1]  = {CODEC_ADPCM,      HEADER_BARE},
    [2]  = {CODEC_MP3,        HEADER_BARE},
    [3]  = {CODEC_PCM,        HEADER_BARE}, /* little endian */
    [4]  = {CODEC_NELLYMOSER, HEADER_BARE}, /* 16 kHz mono */
    [5]  = {CODEC_NELLYMOSER, HEADER_BARE}, /* 8 kHz mono */
    [6]  = {CODEC_NELLYMOSER, HEADER_BARE},
    [7]  = {CODEC_PCMA,       HEADER_BARE},
    [8]  = {CODEC_PCMU,       HEADER_BARE},
    [9]  = {CODEC_UNKNOWN,    HEADER_BARE}, /* ExHeader: never looked up */
    [10] = {CODEC_AAC,        HEADER_AAC},
    [11] = {CODEC_SPEEX,      HEADER_BARE},
    [12] = {CODEC_UNKNOWN,    HEADER_BARE},
    [13] = {CODEC_OPUS,       HEADER_BARE}, /* reserved, but WebRTC gateways (ZLMediaKit, lal) send
                                             * Opus packets with it and no sequence header */
    [14] = {CODEC_MP3,        HEADER_BARE}, /* 8 kHz */
    [15] = {CODEC_UNKNOWN,    HEADER_BARE}, /* device specific */
};
/* clang-format on */

int64_t flv_read_composition_time_us(struct buf_reader *in)
{
    int64_t time_ms = (int64_t)buf_read_u24be(in);

    if (time_ms & 0x800000)
        time_ms -= 0x1000000;
    return time_ms * 1000;
}

void flv_body_mark_coded(struct flv_body *b, unsigned frame_type)
{
    if (frame_type == FLV_FRAME_KEY)
        b->flags |= FRAME_KEY;
    else if (frame_type == FLV_FRAME_DISPOSABLE)
        b->flags |= FRAME_DISPOSABLE;
}

enum err flv_body_end_header(struct flv_body *b, const char *why)
{
    if (b->in.overrun) {
        b->why = why;
        return E_PROTO;
    }
    b->es_offset = (uint32_t)(b->size_bytes - b->in.left_bytes);
    return E_OK;
}

/* AVCPacketType and CompositionTime. The header is five bytes for each packet type. A frame type of
 * key on a sequence header means nothing: a decoder cannot start there. */
static void parse_packet(struct flv_body *b, unsigned frame_type)
{
    uint8_t packet_type = buf_read_u8(&b->in);
    int64_t composition_time_us = flv_read_composition_time_us(&b->in);

    if (packet_type == FLV_CLASSIC_CONFIG) {
        b->flags |= FRAME_CONFIG;
    } else if (packet_type == FLV_CLASSIC_SEQUENCE_END) {
        b->flags |= FRAME_SEQ_END;
    } else if (packet_type == FLV_CLASSIC_CODED) {
        flv_body_mark_coded(b, frame_type);
        b->cts_us = composition_time_us;
    }
}

static enum err parse_video(struct flv_body *b)
{
    uint8_t first = buf_read_u8(&b->in);
    unsigned frame_type = first >> 4;
    const struct legacy_codec *codec = &k_video_codecs[first & 0x0f];

    if (first & FLV_VIDEO_EX)
        return flv_body_parse_ex_video(b, first);
    if (frame_type == FLV_FRAME_COMMAND) {
        (void)buf_read_u8(&b->in); /* no video: start or end of a client's seek */
        return flv_body_end_header(b, "video command frame without its command");
    }
    b->codec = codec->codec;
    if (codec->header == HEADER_PACKET) {
        parse_packet(b, frame_type);
        return flv_body_end_header(b, "video packet header shorter than 5 bytes");
    }
    if (codec->header == HEADER_ADJUST)
        (void)buf_read_u8(&b->in);
    flv_body_mark_coded(b, frame_type);
    return flv_body_end_header(b, "VP6 frame without its adjustment byte");
}

static enum err parse_audio(struct flv_body *b)
{
    uint8_t first = buf_read_u8(&b->in);
    unsigned sound_format = first >> 4;
    const struct legacy_codec *codec = &k_audio_codecs[sound_format];

    if (sound_format == FLV_SOUND_FORMAT_EX)
        return flv_body_parse_ex_audio(b, first);
    b->codec = codec->codec;
    if (codec->header == HEADER_AAC && buf_read_u8(&b->in) == FLV_CLASSIC_CONFIG)
        b->flags |= FRAME_CONFIG;
    return flv_body_end_header(b, "AAC frame without its packet type");
}

static enum err parse_script(struct flv_body *b)
{
    struct buf_view inner;

    b->codec = CODEC_SCRIPT;
    if (flv_is_metadata(buf_rest(&b->in), &inner)) {
        b->flags |= FRAME_METADATA;
        b->es_offset = (uint32_t)(b->size_bytes - inner.size_bytes); /* behind @setDataFrame */
    }
    return E_OK;
}

struct kind_row {
    uint8_t type_id;
    enum media_kind kind;
    enum err (*parse)(struct flv_body *b);
};

static const struct kind_row k_kinds[] = {
    {FLV_TAG_AUDIO, MEDIA_AUDIO, parse_audio},
    {FLV_TAG_VIDEO, MEDIA_VIDEO, parse_video},
    {FLV_TAG_SCRIPT, MEDIA_DATA, parse_script},
};

static const struct kind_row *find_kind(uint8_t type_id)
{
    for (size_t i = 0; i < sizeof k_kinds / sizeof k_kinds[0]; i++)
        if (k_kinds[i].type_id == type_id)
            return &k_kinds[i];
    return NULL;
}

static enum err parse_kind(const struct kind_row *row, struct flv_body *b)
{
    if (!row) {
        b->why = "neither audio, video nor script";
        return E_PROTO;
    }
    if (b->size_bytes == 0) {
        b->why = "empty body";
        return E_PROTO;
    }
    return row->parse(b);
}

enum err flv_parse_body(uint8_t type_id, struct buf_view body, struct media_frame_info *info,
                        const char **why)
{
    const struct kind_row *row = find_kind(type_id);
    struct flv_body b = {
        .in = buf_reader_from(body), .size_bytes = body.size_bytes, .codec = CODEC_UNKNOWN};
    enum err e = parse_kind(row, &b);

    if (e != E_OK) {
        *why = b.why;
        return e;
    }
    info->kind = row->kind;
    info->codec = b.codec;
    info->flags = b.flags;
    info->track_id = b.track_id;
    info->es_offset = b.es_offset;
    info->cts_us = b.cts_us;
    return E_OK;
}
