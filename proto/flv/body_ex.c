/* The enhanced headers: Enhanced RTMP v2, sections Enhanced Audio and Enhanced Video. Both have one
 * shape (ModEx chain, then multitrack or FourCC, then the body), told apart by a table. */
#include "proto/flv/body.h"

#include "proto/flv/flv.h"

#define FOURCC(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))

/* VideoPacketType; AudioPacketType is the same up to CodedFrames and for SequenceEnd and ModEx. */
enum {
    PACKET_SEQUENCE_START = 0,
    PACKET_CODED_FRAMES = 1,
    PACKET_SEQUENCE_END = 2,
    PACKET_CODED_FRAMES_X = 3,    /* video: composition time 0 is left out */
    PACKET_VIDEO_METADATA = 4,    /* video: AMF [name, value] pairs such as colorInfo */
    PACKET_TS_SEQUENCE_START = 5, /* video: AV1 descriptor of MPEG-2 TS */
    PACKET_AUDIO_MULTITRACK = 5,  /* audio; 4 is MultichannelConfig */
    PACKET_VIDEO_MULTITRACK = 6,  /* video */
    PACKET_MOD_EX = 7
};

enum { MULTITRACK_ONE = 0, MULTITRACK_MANY = 1, MULTITRACK_MANY_CODECS = 2 };
enum { MOD_EX_NANO_OFFSET = 0, NANO_OFFSET_BYTES = 3 };

enum {
    EX_CONFIG = 1 << 0,          /* SequenceStart carries a configuration */
    EX_COMPOSITION_TIME = 1 << 1 /* CodedFrames starts with SI24 */
};

struct ex_codec {
    uint32_t fourcc;
    enum media_codec codec;
    unsigned traits; /* EX_* */
};

/* clang-format off */
static const struct ex_codec k_video_codecs[] = {
    {FOURCC('a', 'v', 'c', '1'), CODEC_H264, EX_CONFIG | EX_COMPOSITION_TIME},
    {FOURCC('h', 'v', 'c', '1'), CODEC_HEVC, EX_CONFIG | EX_COMPOSITION_TIME},
    {FOURCC('a', 'v', '0', '1'), CODEC_AV1,  EX_CONFIG},
    {FOURCC('v', 'p', '0', '9'), CODEC_VP9,  EX_CONFIG},
    {FOURCC('v', 'p', '0', '8'), CODEC_VP8,  EX_CONFIG},
    {0, CODEC_UNKNOWN, EX_CONFIG}, /* last: a codec yet to come will have its SequenceStart too */
};

static const struct ex_codec k_audio_codecs[] = {
    {FOURCC('O', 'p', 'u', 's'), CODEC_OPUS, EX_CONFIG},
    {FOURCC('f', 'L', 'a', 'C'), CODEC_FLAC, EX_CONFIG},
    {FOURCC('m', 'p', '4', 'a'), CODEC_AAC,  EX_CONFIG},
    {FOURCC('a', 'c', '-', '3'), CODEC_AC3,  0},
    {FOURCC('e', 'c', '-', '3'), CODEC_EAC3, 0},
    {FOURCC('.', 'm', 'p', '3'), CODEC_MP3,  0},
    {0, CODEC_UNKNOWN, EX_CONFIG},
};
/* clang-format on */

/* The walk through one enhanced header. */
struct ex_header {
    const struct ex_codec *codecs; /* ends with fourcc 0 */
    const struct ex_codec *codec;  /* of the first track; NULL until read */
    uint8_t multitrack_packet_type;
    uint8_t packet_type;
    uint8_t frame_type; /* video; 0 for audio */
    uint8_t multitrack_type;
    bool is_video;
};

static enum err fail(struct flv_body *b, const char *why)
{
    b->why = why;
    return E_PROTO;
}

static const struct ex_codec *read_fourcc(struct buf_reader *in, const struct ex_codec *codecs)
{
    uint32_t fourcc = buf_read_u32be(in);

    while (codecs->fourcc && codecs->fourcc != fourcc)
        codecs++;
    return codecs;
}

/* modExDataSize is UI8 + 1; 256 says that the size is in the UI16 that follows, + 1. */
static enum err read_mod_ex(struct flv_body *b, struct ex_header *h)
{
    uint64_t offset_ns = 0;

    while (h->packet_type == PACKET_MOD_EX) {
        size_t size_bytes = (size_t)buf_read_u8(&b->in) + 1;
        struct buf_reader data;
        uint8_t next;

        if (size_bytes == 256)
            size_bytes = (size_t)buf_read_u16be(&b->in) + 1;
        data = buf_reader_from(buf_take(&b->in, size_bytes));
        next = buf_read_u8(&b->in); /* type:4, packet type:4 */
        if (b->in.overrun)
            return fail(b, "ModEx data runs over the end");
        if (next >> 4 == MOD_EX_NANO_OFFSET) {
            offset_ns += buf_read_u24be(&data);
            if (data.overrun)
                return fail(b, "ModEx nanosecond offset shorter than 3 bytes");
        }
        h->packet_type = next & 0x0f;
    }
    b->cts_us += (int64_t)(offset_ns / 1000);
    return E_OK;
}

/* Flags that the packet type alone decides. Metadata and MultichannelConfig are not CONFIG: they
 * add to a sequence header, and whoever keeps the last CONFIG must not lose that one for them. */
static void mark_packet(struct flv_body *b, const struct ex_header *h)
{
    if (h->packet_type == PACKET_SEQUENCE_END)
        b->flags |= FRAME_SEQ_END;
    else if (h->packet_type == PACKET_SEQUENCE_START && h->codec->traits & EX_CONFIG)
        b->flags |= FRAME_CONFIG;
    else if (h->is_video && h->packet_type == PACKET_TS_SEQUENCE_START)
        b->flags |= FRAME_CONFIG;
    else if (h->is_video &&
             (h->packet_type == PACKET_CODED_FRAMES || h->packet_type == PACKET_CODED_FRAMES_X))
        flv_body_mark_coded(b, h->frame_type);
}

/* What stands before the elementary stream data of the first track. */
static enum err read_track_header(struct flv_body *b, const struct ex_header *h)
{
    b->codec = h->codec->codec;
    mark_packet(b, h);
    if (h->packet_type == PACKET_CODED_FRAMES && h->codec->traits & EX_COMPOSITION_TIME)
        b->cts_us += flv_read_composition_time_us(&b->in);
    return flv_body_end_header(b, "enhanced header runs over the end");
}

/* Several tracks, each with its size. Only the first is described, but all are walked: a size that
 * leaves the body must not reach a viewer. */
static enum err read_many_tracks(struct flv_body *b, struct ex_header *h)
{
    bool first = true;

    do {
        const struct ex_codec *codec = h->codec;
        uint8_t track_id;
        size_t size_bytes;
        struct buf_reader after;

        if (h->multitrack_type == MULTITRACK_MANY_CODECS)
            codec = read_fourcc(&b->in, h->codecs);
        track_id = buf_read_u8(&b->in);
        size_bytes = buf_read_u24be(&b->in);
        after = b->in;
        (void)buf_take(&after, size_bytes);
        if (after.overrun)
            return fail(b, "track size runs over the end");
        if (first) {
            h->codec = codec;
            b->track_id = track_id;
            if (read_track_header(b, h) != E_OK || b->in.left_bytes < after.left_bytes)
                return fail(b, "track shorter than its header");
        }
        b->in = after;
        first = false;
    } while (b->in.left_bytes);
    return E_OK;
}

static enum err read_multitrack(struct flv_body *b, struct ex_header *h)
{
    uint8_t types = buf_read_u8(&b->in);

    h->multitrack_type = types >> 4;
    h->packet_type = types & 0x0f;
    b->flags |= FRAME_MULTITRACK;
    if (h->packet_type == h->multitrack_packet_type)
        return fail(b, "multitrack inside multitrack");
    if (h->multitrack_type > MULTITRACK_MANY_CODECS) /* reserved: what follows is unknown */
        return flv_body_end_header(b, "enhanced header runs over the end");
    if (h->multitrack_type != MULTITRACK_MANY_CODECS)
        h->codec = read_fourcc(&b->in, h->codecs);
    if (h->multitrack_type != MULTITRACK_ONE)
        return read_many_tracks(b, h);
    b->track_id = buf_read_u8(&b->in);
    return read_track_header(b, h);
}

static enum err parse_ex(struct flv_body *b, struct ex_header *h)
{
    if (read_mod_ex(b, h) != E_OK)
        return E_PROTO;
    if (h->frame_type == FLV_FRAME_COMMAND && h->packet_type != PACKET_VIDEO_METADATA) {
        (void)buf_read_u8(&b->in); /* VideoCommand instead of a FourCC and a body */
        return flv_body_end_header(b, "video command frame without its command");
    }
    if (h->packet_type == h->multitrack_packet_type)
        return read_multitrack(b, h);
    h->codec = read_fourcc(&b->in, h->codecs);
    return read_track_header(b, h);
}

enum err flv_body_parse_ex_video(struct flv_body *b, uint8_t first)
{
    struct ex_header h = {.codecs = k_video_codecs,
                          .multitrack_packet_type = PACKET_VIDEO_MULTITRACK,
                          .packet_type = first & 0x0f,
                          .frame_type = first >> 4 & 0x07,
                          .is_video = true};

    return parse_ex(b, &h);
}

enum err flv_body_parse_ex_audio(struct flv_body *b, uint8_t first)
{
    struct ex_header h = {.codecs = k_audio_codecs,
                          .multitrack_packet_type = PACKET_AUDIO_MULTITRACK,
                          .packet_type = first & 0x0f};

    return parse_ex(b, &h);
}
