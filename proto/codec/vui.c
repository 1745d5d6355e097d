/* Video usability information, as far as H.264 (E.1.1) and HEVC (E.2.1) agree. */
#include "proto/codec/params.h"

enum { SAR_EXTENDED = 255 };

/* H.264 table E-1, H.265 table E.1. */
static const uint8_t k_aspect_ratios[][2] = {
    {1, 1},   {1, 1},   {12, 11}, {10, 11}, {16, 11},  {40, 33}, {24, 11}, {20, 11}, {32, 11},
    {80, 33}, {18, 11}, {15, 11}, {64, 33}, {160, 99}, {4, 3},   {3, 2},   {2, 1},
};

static void read_aspect_ratio(struct bit_reader *r, struct codec_video *v)
{
    uint32_t num = 1, den = 1;
    unsigned idc = bit_read(r, 8);

    if (idc == SAR_EXTENDED) {
        num = bit_read(r, 16);
        den = bit_read(r, 16);
    } else if (idc < sizeof k_aspect_ratios / sizeof k_aspect_ratios[0]) {
        num = k_aspect_ratios[idc][0];
        den = k_aspect_ratios[idc][1];
    }
    if (num && den) {
        v->sar_num = num;
        v->sar_den = den;
    }
}

void vui_read_common(struct bit_reader *r, struct codec_video *v)
{
    if (bit_read_flag(r))
        read_aspect_ratio(r, v);
    if (bit_read_flag(r))
        bit_skip(r, 1);     /* overscan_appropriate_flag */
    if (bit_read_flag(r)) { /* video_signal_type */
        bit_skip(r, 3);     /* video_format */
        v->colour.full_range = bit_read_flag(r);
        if (bit_read_flag(r)) {
            v->colour.primaries = (uint8_t)bit_read(r, 8);
            v->colour.transfer = (uint8_t)bit_read(r, 8);
            v->colour.matrix = (uint8_t)bit_read(r, 8);
        }
    }
    if (bit_read_flag(r)) { /* chroma_loc_info */
        (void)bit_read_ue(r);
        (void)bit_read_ue(r);
    }
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

void vui_set_fps(struct codec_video *v, uint64_t num, uint64_t den)
{
    uint64_t divisor = gcd(num, den);

    if (num == 0 || den == 0 || num / den > 1000 || den / num > 60)
        return;
    num /= divisor;
    den /= divisor;
    if (num > UINT32_MAX || den > UINT32_MAX)
        return;
    v->fps_num = (uint32_t)num;
    v->fps_den = (uint32_t)den;
}
