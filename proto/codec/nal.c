/* NAL units behind their lengths. */
#include "proto/codec/nal.h"

/* clang-format off */
static const uint8_t k_h264_kinds[32] = { /* H.264 table 7-1 */
    [1] = NAL_SLICE, [2] = NAL_SLICE, [3] = NAL_SLICE, [4] = NAL_SLICE, /* 2-4: data partitions */
    [5] = NAL_KEY,
    [6] = NAL_SEI,   [7] = NAL_SPS,   [8] = NAL_PPS,   [9] = NAL_AUD,
    [10] = NAL_END,  [11] = NAL_END,  [12] = NAL_FILLER,
};

static const uint8_t k_hevc_kinds[64] = { /* H.265 table 7-1 */
    [0] = NAL_SLICE, [1] = NAL_SLICE, [2] = NAL_SLICE, [3] = NAL_SLICE, [4] = NAL_SLICE,
    [5] = NAL_SLICE, [6] = NAL_SLICE, [7] = NAL_SLICE, [8] = NAL_SLICE, [9] = NAL_SLICE,
    [16] = NAL_KEY,  [17] = NAL_KEY,  [18] = NAL_KEY,  /* BLA */
    [19] = NAL_KEY,  [20] = NAL_KEY,  [21] = NAL_KEY,  /* IDR, CRA */
    [32] = NAL_VPS,  [33] = NAL_SPS,  [34] = NAL_PPS,  [35] = NAL_AUD,
    [36] = NAL_END,  [37] = NAL_END,  [38] = NAL_FILLER,
    [39] = NAL_SEI,  [40] = NAL_SEI,  /* prefix, suffix */
};
/* clang-format on */

enum nal_kind nal_kind_of(enum media_codec codec, struct buf_view nal)
{
    if (codec == CODEC_HEVC)
        return nal.size_bytes < 2 ? NAL_OTHER
                                  : (enum nal_kind)k_hevc_kinds[nal.data[0] >> 1 & 0x3f];
    return nal.size_bytes < 1 ? NAL_OTHER : (enum nal_kind)k_h264_kinds[nal.data[0] & 0x1f];
}

enum err nal_scan(enum media_codec codec, struct buf_view frame, unsigned length_bytes,
                  struct nal_summary *out, const char **why)
{
    struct nal_reader r = nal_reader_from(frame, length_bytes);
    struct nal_summary sum = {0};
    struct buf_view nal;
    enum err e;

    while ((e = nal_next(&r, &nal, why)) == E_OK) {
        sum.kinds |= 1u << nal_kind_of(codec, nal);
        sum.n_units++;
    }
    if (e != E_END)
        return e;
    if (sum.n_units == 0) {
        *why = "frame without a NAL unit";
        return E_PROTO;
    }
    *out = sum;
    return E_OK;
}
