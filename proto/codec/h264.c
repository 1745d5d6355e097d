/* H.264: AVCDecoderConfigurationRecord (ISO 14496-15 5.3.3.1) and the SPS (H.264 7.3.2.1.1). */
#include <stdio.h>
#include <string.h>

#include "proto/codec/nal.h"
#include "proto/codec/params.h"

/* Those that tell chroma and bit depth: 7.3.2.1.1. */
static const uint8_t k_high_profiles[] = {100, 110, 122, 244, 44,  83, 86,
                                          118, 128, 138, 139, 134, 135};

static void skip_scaling_list(struct bit_reader *r, unsigned n)
{
    int last = 8, next = 8;

    for (unsigned i = 0; i < n && !bit_overrun(r); i++) {
        if (next)
            next = (int)(((int64_t)last + bit_read_se(r) + 256) % 256);
        last = next ? next : last;
    }
}

static void read_high_profile(struct bit_reader *r, struct codec_video *v, bool *separate)
{
    uint32_t chroma = bit_read_ue(r);
    uint32_t more_bits;

    *separate = chroma == 3 && bit_read_flag(r);
    more_bits = bit_read_ue(r);
    if (chroma > 3 || more_bits > 6)
        r->in.overrun = true; /* nothing behind it means anything */
    if (bit_overrun(r))
        return;
    v->chroma = (uint8_t)chroma;
    v->bit_depth = (uint8_t)(8 + more_bits);
    (void)bit_read_ue(r); /* chroma depth */
    bit_skip(r, 1);
    if (!bit_read_flag(r)) /* seq_scaling_matrix_present_flag */
        return;
    for (unsigned i = 0; i < (v->chroma == 3 ? 12 : 8); i++)
        if (bit_read_flag(r))
            skip_scaling_list(r, i < 6 ? 16 : 64);
}

static void skip_poc(struct bit_reader *r)
{
    uint32_t n, type = bit_read_ue(r);

    if (type == 0)
        (void)bit_read_ue(r);
    if (type != 1)
        return;
    bit_skip(r, 1);
    (void)bit_read_se(r);
    (void)bit_read_se(r);
    n = bit_read_ue(r);
    for (uint32_t i = 0; i < n && !bit_overrun(r); i++)
        (void)bit_read_se(r);
}

static void read_vui(struct bit_reader *r, struct codec_video *v)
{
    vui_read_common(r, v);
    if (bit_read_flag(r)) { /* timing_info: a tick is a field */
        uint64_t ticks = bit_read(r, 32);
        uint64_t rate = bit_read(r, 32);

        if (!bit_overrun(r))
            vui_set_fps(v, rate, ticks * 2);
    }
}

/* From pic_width_in_mbs_minus1 to the cropping. */
static void read_size(struct bit_reader *r, struct codec_video *v, bool separate)
{
    uint64_t width = ((uint64_t)bit_read_ue(r) + 1) * 16;
    uint64_t height = ((uint64_t)bit_read_ue(r) + 1) * 16;
    bool frames_only = bit_read_flag(r);
    unsigned unit_x = !separate && (v->chroma == 1 || v->chroma == 2) ? 2 : 1;
    unsigned unit_y = !separate && v->chroma == 1 ? 2 : 1;
    uint32_t left = 0, right = 0, top = 0, bottom = 0;

    if (!frames_only) {
        height *= 2;
        unit_y *= 2;
        bit_skip(r, 1); /* mb_adaptive_frame_field_flag */
    }
    bit_skip(r, 1); /* direct_8x8_inference_flag */
    if (bit_read_flag(r)) {
        left = bit_read_ue(r);
        right = bit_read_ue(r);
        top = bit_read_ue(r);
        bottom = bit_read_ue(r);
    }
    if (bit_overrun(r))
        return;
    v->width = params_cropped(width, left, right, unit_x);
    v->height = params_cropped(height, top, bottom, unit_y);
}

static void read_sps(struct buf_view nal, struct codec_video *v)
{
    struct bit_reader r = bit_reader_from_nal(nal);
    bool separate = false;
    unsigned profile;

    bit_skip(&r, 8);
    profile = bit_read(&r, 8);
    bit_skip(&r, 8 + 8);   /* constraints, level */
    (void)bit_read_ue(&r); /* id */
    if (memchr(k_high_profiles, (int)profile, sizeof k_high_profiles))
        read_high_profile(&r, v, &separate);
    (void)bit_read_ue(&r); /* log2_max_frame_num */
    skip_poc(&r);
    (void)bit_read_ue(&r); /* max_num_ref_frames */
    bit_skip(&r, 1);
    read_size(&r, v, separate);
    if (bit_read_flag(&r))
        read_vui(&r, v);
}

static enum err read_sets(struct buf_reader *in, unsigned n, struct codec_video *v,
                          const char **why)
{
    for (unsigned i = 0; i < n; i++) {
        struct buf_view nal = buf_take(in, buf_read_u16be(in));

        if (in->overrun)
            return params_fail(why, "avcC: a parameter set reaches over the end");
        if (nal.size_bytes && params_add_set(v, nal, why) != E_OK)
            return E_TOO_BIG;
    }
    return E_OK;
}

enum err h264_params(struct codec_params *p, struct buf_view config, const char **why)
{
    struct codec_video *v = &p->video;
    struct buf_reader in = buf_reader_from(config);
    uint8_t version = buf_read_u8(&in);
    uint8_t constraints;
    enum err e;

    v->profile = buf_read_u8(&in);
    constraints = buf_read_u8(&in);
    v->level = buf_read_u8(&in);
    v->nal_length_bytes = (uint8_t)((buf_read_u8(&in) & 3) + 1);
    if (in.overrun || version != 1)
        return params_fail(why, "avcC: cut off, or not version 1");
    if (v->nal_length_bytes == 3)
        return params_fail(why, "avcC: NAL unit lengths of 3 bytes");
    p->record = config;
    e = read_sets(&in, buf_read_u8(&in) & 0x1f, v, why);
    if (e == E_OK)
        e = read_sets(&in, buf_read_u8(&in), v, why);
    if (e != E_OK)
        return e;
    if (in.overrun)
        return params_fail(why, "avcC: the number of parameter sets is cut off");
    if (v->n_sets && nal_kind_of(CODEC_H264, v->sets[0]) == NAL_SPS)
        read_sps(v->sets[0], v);
    (void)snprintf(p->rfc6381, sizeof p->rfc6381, "avc1.%02x%02x%02x", v->profile, constraints,
                   v->level);
    return E_OK;
}
