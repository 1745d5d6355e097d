/* Frames that no decoder takes, found before they reach one. */
#include "proto/codec/codec.h"
#include "proto/codec/nal.h"

static enum err fault(const char **why, const char *text)
{
    *why = text;
    return E_PROTO;
}

/* forbidden_zero_bit: H.264 7.3.1, H.265 7.3.1.2. */
static enum err check_nals(unsigned length_bytes, struct buf_view frame, const char **why)
{
    struct nal_reader reader = nal_reader_from(frame, length_bytes);
    struct buf_view nal;
    enum err e;

    while ((e = nal_next(&reader, &nal, why)) == E_OK)
        if (nal.data[0] & 0x80)
            return fault(why, "a NAL unit begins with a bit that must be 0");
    return e == E_END ? E_OK : e;
}

/* ISO 13818-7 6.2: twelve bits set, layer 0. A raw frame does not begin so: it would be the element
 * that ends it. */
static enum err check_aac(struct buf_view frame, const char **why)
{
    if (frame.size_bytes >= 7 && frame.data[0] == 0xff && (frame.data[1] & 0xf6) == 0xf0)
        return fault(why, "an ADTS header where raw AAC is promised");
    return E_OK;
}

enum err codec_check_frame(enum media_codec codec, unsigned nal_length_bytes, struct buf_view frame,
                           const char **why)
{
    switch (codec) {
    case CODEC_H264:
    case CODEC_HEVC:
    case CODEC_AV1:
    case CODEC_VP8:
    case CODEC_VP9:
        if (!frame.size_bytes)
            return fault(why, "a video frame without data");
        return nal_length_bytes ? check_nals(nal_length_bytes, frame, why) : E_OK;
    case CODEC_AAC:
        return check_aac(frame, why);
    default:
        return E_OK;
    }
}
