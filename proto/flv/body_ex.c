/* The enhanced headers: Enhanced RTMP v2, sections Enhanced Audio and Enhanced Video. Both have one
 * shape (ModEx chain, then multitrack or FourCC, then the body), told apart by a table. */
#include "proto/flv/body.h"

#include "proto/flv/flv.h"

enum { MOD_EX_NANO_OFFSET = 0, NANO_OFFSET_BYTES = 3 };

enum {
    EX_CONFIG = 1 << 0,          /* SequenceStart carries a configuration */
    EX_COMPOSITION_TIME = 1 << 1 /* CodedFrames starts with SI24 */
};

static const uint8_t k_traits[CODEC_COUNT] = {
    [CODEC_H264] = EX_CONFIG | EX_COMPOSITION_TIME,
    [CODEC_HEVC] = EX_CONFIG | EX_COMPOSITION_TIME,
    [CODEC_AV1] = EX_CONFIG,
    [CODEC_VP9] = EX_CONFIG,
    [CODEC_VP8] = EX_CONFIG,
    [CODEC_OPUS] = EX_CONFIG,
    [CODEC_FLAC] = EX_CONFIG,
    [CODEC_AAC] = EX_CONFIG,
    [CODEC_UNKNOWN] = EX_CONFIG, /* a codec yet to come will have its SequenceStart too */
};

/* The walk through one enhanced header. */
struct ex_header {
    enum media_codec codec; /* of the first track */
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

/* Names of sound stand for nothing in video, and the other way round. */
static enum media_codec read_fourcc(struct buf_reader *in, const struct ex_header *h)
{
    enum media_codec codec = media_codec_of_fourcc(buf_read_u32be(in));

    return (codec < CODEC_AAC) == h->is_video ? codec : CODEC_UNKNOWN;
}

/* One ModEx: modExDataSize is UI8 + 1; 256 says that the size is in the UI16 that follows, + 1.
 * What is not known is skipped. */
static enum err read_mod_ex(struct buf_reader *in, uint8_t *packet_type, uint64_t *offset_ns,
                            const char **why)
{
    size_t size_bytes = (size_t)buf_read_u8(in) + 1;
    struct buf_reader data;
    uint8_t next;

    *why = "ModEx data runs over the end";
    if (size_bytes == 256)
        size_bytes = (size_t)buf_read_u16be(in) + 1;
    data = buf_reader_from(buf_take(in, size_bytes));
    next = buf_read_u8(in); /* type:4, packet type:4 */
    if (in->overrun)
        return E_PROTO;
    if (next >> 4 == MOD_EX_NANO_OFFSET) {
        *why = "ModEx nanosecond offset shorter than 3 bytes";
        *offset_ns += buf_read_u24be(&data);
    }
    *packet_type = next & 0x0f;
    return data.overrun ? E_PROTO : E_OK;
}

enum err flv_skip_mod_ex(struct buf_reader *in, uint8_t *packet_type, uint64_t *offset_ns,
                         const char **why)
{
    while (*packet_type == FLV_PACKET_MOD_EX)
        if (read_mod_ex(in, packet_type, offset_ns, why) != E_OK)
            return E_PROTO;
    return E_OK;
}

bool flv_drop_mod_ex(struct buf_view body, struct flv_shape *out)
{
    struct buf_reader in = buf_reader_from(body);
    uint8_t first = buf_read_u8(&in), packet_type = first & 0x0f;
    uint64_t offset_ns = 0;
    const char *why;

    if (flv_skip_mod_ex(&in, &packet_type, &offset_ns, &why) != E_OK)
        return false;
    out->head[0] = (first & 0xf0) | packet_type;
    out->head_bytes = 1;
    out->rest = buf_rest(&in);
    return true;
}

/* Flags that the packet type alone decides. Metadata and MultichannelConfig are EXTRA and not
 * CONFIG: they add to a sequence header, and whoever keeps the last CONFIG must not lose it for
 * them. */
static void mark_packet(struct flv_body *b, const struct ex_header *h)
{
    if (h->packet_type == FLV_PACKET_SEQUENCE_END)
        b->flags |= FRAME_SEQ_END;
    else if (h->packet_type == FLV_PACKET_SEQUENCE_START && k_traits[h->codec] & EX_CONFIG)
        b->flags |= FRAME_CONFIG;
    else if (h->is_video && h->packet_type == FLV_PACKET_TS_SEQUENCE_START)
        b->flags |= FRAME_CONFIG;
    else if (h->packet_type == FLV_PACKET_VIDEO_METADATA) /* or MultichannelConfig */
        b->flags |= FRAME_EXTRA;
    else if (h->is_video && (h->packet_type == FLV_PACKET_CODED_FRAMES ||
                             h->packet_type == FLV_PACKET_CODED_FRAMES_X))
        flv_body_mark_coded(b, h->frame_type);
}

/* What stands before the elementary stream data of the first track. */
static enum err read_track_header(struct flv_body *b, const struct ex_header *h)
{
    b->codec = h->codec;
    mark_packet(b, h);
    if (h->packet_type == FLV_PACKET_CODED_FRAMES && k_traits[h->codec] & EX_COMPOSITION_TIME)
        b->cts_us += flv_read_composition_time_us(&b->in);
    return flv_body_end_header(b, "enhanced header runs over the end");
}

/* Several tracks, each with its size. Only the first is described, but all are walked: a size that
 * leaves the body must not reach a viewer. */
static enum err read_many_tracks(struct flv_body *b, struct ex_header *h)
{
    bool first = true;

    do {
        enum media_codec codec = h->codec;
        uint8_t track_id;
        size_t size_bytes;
        struct buf_reader after;

        if (h->multitrack_type == FLV_MULTITRACK_MANY_CODECS)
            codec = read_fourcc(&b->in, h);
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
    if (h->multitrack_type > FLV_MULTITRACK_MANY_CODECS) /* reserved: what follows is unknown */
        return flv_body_end_header(b, "enhanced header runs over the end");
    if (h->multitrack_type != FLV_MULTITRACK_MANY_CODECS)
        h->codec = read_fourcc(&b->in, h);
    if (h->multitrack_type != FLV_MULTITRACK_ONE)
        return read_many_tracks(b, h);
    b->track_id = buf_read_u8(&b->in);
    return read_track_header(b, h);
}

static enum err parse_ex(struct flv_body *b, struct ex_header *h)
{
    uint64_t offset_ns = 0;

    if (h->packet_type == FLV_PACKET_MOD_EX)
        b->flags |= FRAME_MOD_EX;
    if (flv_skip_mod_ex(&b->in, &h->packet_type, &offset_ns, &b->why) != E_OK)
        return E_PROTO;
    b->cts_us += (int64_t)(offset_ns / 1000);
    if (h->frame_type == FLV_FRAME_COMMAND && h->packet_type != FLV_PACKET_VIDEO_METADATA) {
        (void)buf_read_u8(&b->in); /* VideoCommand instead of a FourCC and a body */
        return flv_body_end_header(b, "video command frame without its command");
    }
    if (h->packet_type == h->multitrack_packet_type)
        return read_multitrack(b, h);
    h->codec = read_fourcc(&b->in, h);
    return read_track_header(b, h);
}

enum err flv_body_parse_ex_video(struct flv_body *b, uint8_t first)
{
    struct ex_header h = {.multitrack_packet_type = FLV_PACKET_VIDEO_MULTITRACK,
                          .packet_type = first & 0x0f,
                          .frame_type = first >> 4 & 0x07,
                          .is_video = true};

    return parse_ex(b, &h);
}

enum err flv_body_parse_ex_audio(struct flv_body *b, uint8_t first)
{
    struct ex_header h = {.multitrack_packet_type = FLV_PACKET_AUDIO_MULTITRACK,
                          .packet_type = first & 0x0f};

    return parse_ex(b, &h);
}
