/* HEVC: HEVCDecoderConfigurationRecord (ISO 14496-15 8.3.3.1) and the SPS (H.265 7.3.2.2). */
#include <stdio.h>

#include "proto/codec/nal.h"
#include "proto/codec/params.h"

enum {
    MAX_SHORT_TERM_SETS = 64,
    MAX_PICTURES = 16, /* in one of them, each way */
    MAX_LONG_TERM = 32,
    MAX_SUB_LAYERS = 7,
    SEI_USER_DATA = 5
};

/* 7.3.3: what a sub-layer says of profile and level; the general part is in hvcC as well. */
static void skip_profile_tier_level(struct bit_reader *r, unsigned max_sub_layers_minus1)
{
    bool has_profile[8] = {false}, has_level[8] = {false};

    bit_skip(r, 88 + 8);
    for (unsigned i = 0; i < max_sub_layers_minus1; i++) {
        has_profile[i] = bit_read_flag(r);
        has_level[i] = bit_read_flag(r);
    }
    if (max_sub_layers_minus1 > 0)
        bit_skip(r, 2 * (8 - max_sub_layers_minus1));
    for (unsigned i = 0; i < max_sub_layers_minus1; i++)
        bit_skip(r, (has_profile[i] ? 88u : 0) + (has_level[i] ? 8u : 0));
}

/* 7.3.4 */
static void skip_scaling_lists(struct bit_reader *r)
{
    for (unsigned size = 0; size < 4; size++) {
        unsigned n = size == 0 ? 16 : 64;

        for (unsigned matrix = 0; matrix < 6; matrix += size == 3 ? 3 : 1) {
            if (!bit_read_flag(r)) {
                (void)bit_read_ue(r);
                continue;
            }
            if (size > 1)
                (void)bit_read_se(r);
            for (unsigned i = 0; i < n && !bit_overrun(r); i++)
                (void)bit_read_se(r);
        }
    }
}

/* 7.3.7: one short-term reference picture set; returns its number of pictures, from which the next
 * one may be predicted. */
static unsigned skip_short_term_set(struct bit_reader *r, unsigned index, unsigned n_previous)
{
    unsigned n_pictures = 0;

    if (index > 0 && bit_read_flag(r)) {
        bit_skip(r, 1); /* sign */
        (void)bit_read_ue(r);
        for (unsigned i = 0; i <= n_previous; i++)
            if (bit_read_flag(r) || bit_read_flag(r)) /* used, or at least kept */
                n_pictures++;
        return n_pictures;
    }
    for (unsigned way = 0; way < 2; way++) {
        uint32_t n = bit_read_ue(r);

        n_pictures += n <= MAX_PICTURES ? n : 0;
        if (n > MAX_PICTURES)
            r->in.overrun = true; /* nothing behind it can be read */
    }
    for (unsigned i = 0; i < n_pictures && !bit_overrun(r); i++) {
        (void)bit_read_ue(r);
        bit_skip(r, 1);
    }
    return n_pictures;
}

static void skip_reference_sets(struct bit_reader *r, unsigned poc_bits)
{
    uint32_t n = bit_read_ue(r);
    unsigned n_pictures = 0;

    if (n > MAX_SHORT_TERM_SETS)
        r->in.overrun = true;
    for (uint32_t i = 0; i < n && !bit_overrun(r); i++)
        n_pictures = skip_short_term_set(r, i, n_pictures);
    if (!bit_read_flag(r)) /* long_term_ref_pics_present_flag */
        return;
    n = bit_read_ue(r);
    if (n > MAX_LONG_TERM)
        r->in.overrun = true;
    for (uint32_t i = 0; i < n && !bit_overrun(r); i++)
        bit_skip(r, poc_bits + 1);
}

/* E.2.1 */
static void read_vui(struct bit_reader *r, struct codec_video *v)
{
    vui_read_common(r, v);
    bit_skip(r, 3);         /* neutral chroma, field_seq, frame_field_info */
    if (bit_read_flag(r)) { /* default display window: advice that players ignore */
        for (unsigned i = 0; i < 4; i++)
            (void)bit_read_ue(r);
    }
    if (bit_read_flag(r)) {
        uint64_t ticks = bit_read(r, 32);
        uint64_t rate = bit_read(r, 32);

        if (!bit_overrun(r))
            vui_set_fps(v, rate, ticks);
    }
}

static void read_size(struct bit_reader *r, struct codec_video *v)
{
    uint32_t chroma = bit_read_ue(r);
    bool separate = chroma == 3 && bit_read_flag(r);
    uint32_t width = bit_read_ue(r);
    uint32_t height = bit_read_ue(r);
    unsigned unit_x = !separate && (chroma == 1 || chroma == 2) ? 2 : 1;
    unsigned unit_y = !separate && chroma == 1 ? 2 : 1;
    uint32_t left = 0, right = 0, top = 0, bottom = 0;

    if (bit_read_flag(r)) { /* conformance_window */
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

/* From the bit depths to the coding tools; *poc_bits for the long-term references. */
static void skip_tools(struct bit_reader *r, unsigned max_sub_layers_minus1, unsigned *poc_bits)
{
    unsigned first;

    (void)bit_read_ue(r);
    (void)bit_read_ue(r);
    *poc_bits = (bit_read_ue(r) & 0x0f) + 4;
    first = bit_read_flag(r) ? 0 : max_sub_layers_minus1;
    for (unsigned i = first; i <= max_sub_layers_minus1; i++)
        for (unsigned j = 0; j < 3; j++)
            (void)bit_read_ue(r);
    for (unsigned i = 0; i < 6; i++) /* block sizes and depths */
        (void)bit_read_ue(r);
    if (bit_read_flag(r) && bit_read_flag(r))
        skip_scaling_lists(r);
    bit_skip(r, 2);         /* amp, sao */
    if (bit_read_flag(r)) { /* pcm */
        bit_skip(r, 4 + 4);
        (void)bit_read_ue(r);
        (void)bit_read_ue(r);
        bit_skip(r, 1);
    }
}

static void read_sps(struct buf_view nal, struct codec_video *v)
{
    struct bit_reader r = bit_reader_from_nal(nal);
    unsigned max_sub_layers_minus1, poc_bits;

    bit_skip(&r, 16 + 4); /* NAL unit header, VPS id */
    max_sub_layers_minus1 = bit_read(&r, 3);
    bit_skip(&r, 1);
    if (max_sub_layers_minus1 >= MAX_SUB_LAYERS)
        return;
    skip_profile_tier_level(&r, max_sub_layers_minus1);
    (void)bit_read_ue(&r); /* id */
    read_size(&r, v);
    skip_tools(&r, max_sub_layers_minus1, &poc_bits);
    skip_reference_sets(&r, poc_bits);
    bit_skip(&r, 2); /* temporal mvp, strong intra smoothing */
    if (bit_read_flag(&r))
        read_vui(&r, v);
}

/* x265 puts 2 KB about itself into the record: 7.3.5, payload type 5, user_data_unregistered. */
static bool is_talk(enum nal_kind kind, struct buf_view nal)
{
    return kind == NAL_SEI && nal.size_bytes > 2 && nal.data[2] == SEI_USER_DATA;
}

/* Adds the NAL units of one kind, whatever array they are in. */
static enum err read_arrays(struct buf_reader *in, enum nal_kind wanted, struct codec_video *v,
                            const char **why)
{
    unsigned n_arrays = buf_read_u8(in);

    for (unsigned i = 0; i < n_arrays; i++) {
        unsigned n_nals;

        (void)buf_read_u8(in); /* completeness, type: the NAL unit says it as well */
        n_nals = buf_read_u16be(in);
        for (unsigned j = 0; j < n_nals && !in->overrun; j++) {
            struct buf_view nal = buf_take(in, buf_read_u16be(in));

            if (nal_kind_of(CODEC_HEVC, nal) != wanted || is_talk(wanted, nal))
                continue;
            if (params_add_set(v, nal, why) != E_OK)
                return E_TOO_BIG;
        }
    }
    return in->overrun ? params_fail(why, "hvcC: an array reaches over the end") : E_OK;
}

/* ISO 14496-15 annex E.3: profile, compatibility flags with the bits reversed, tier and level, then
 * the constraint bytes without the zeros at their end. */
static void write_rfc6381(struct codec_params *p, uint8_t profile_byte, uint32_t compatibility,
                          uint64_t constraints)
{
    static const char *const k_spaces[4] = {"", "A", "B", "C"};
    uint32_t reversed = 0;
    size_t n;

    for (unsigned i = 0; i < 32; i++)
        reversed |= (compatibility >> i & 1) << (31 - i);
    n = (size_t)snprintf(p->rfc6381, sizeof p->rfc6381, "hvc1.%s%u.%X.%c%u",
                         k_spaces[profile_byte >> 6], p->video.profile, reversed,
                         profile_byte & 0x20 ? 'H' : 'L', p->video.level);
    for (; constraints; constraints = constraints << 8 & 0xffffffffffff)
        n += (size_t)snprintf(p->rfc6381 + n, sizeof p->rfc6381 - n, ".%X",
                              (unsigned)(constraints >> 40));
}

enum err hevc_params(struct codec_params *p, struct buf_view config, const char **why)
{
    static const enum nal_kind k_order[] = {NAL_VPS, NAL_SPS, NAL_PPS, NAL_SEI};
    struct codec_video *v = &p->video;
    struct buf_reader in = buf_reader_from(config);
    uint8_t version = buf_read_u8(&in);
    uint8_t profile_byte = buf_read_u8(&in); /* space:2, tier:1, profile:5 */
    uint32_t compatibility = buf_read_u32be(&in);
    uint64_t constraints = buf_read_be(&in, 6);
    unsigned frames_in_256_s;

    v->profile = profile_byte & 0x1f;
    v->level = buf_read_u8(&in);
    (void)buf_take(&in, 2 + 1); /* segmentation, parallelism */
    v->chroma = buf_read_u8(&in) & 3;
    v->bit_depth = (uint8_t)(8 + (buf_read_u8(&in) & 7));
    (void)buf_read_u8(&in);
    frames_in_256_s = buf_read_u16be(&in);
    v->nal_length_bytes = (uint8_t)((buf_read_u8(&in) & 3) + 1);
    if (in.overrun || version > 1) /* 0: files of the draft's time */
        return params_fail(why, "hvcC: cut off, or not version 1");
    if (v->nal_length_bytes == 3)
        return params_fail(why, "hvcC: NAL unit lengths of 3 bytes");
    p->record = config;
    vui_set_fps(v, frames_in_256_s, 256);
    for (unsigned i = 0; i < sizeof k_order / sizeof k_order[0]; i++) {
        struct buf_reader arrays = in;
        enum err e = read_arrays(&arrays, k_order[i], v, why);

        if (e != E_OK)
            return e;
    }
    for (unsigned i = 0; i < v->n_sets; i++) {
        if (nal_kind_of(CODEC_HEVC, v->sets[i]) == NAL_SPS) {
            read_sps(v->sets[i], v);
            break;
        }
    }
    write_rfc6381(p, profile_byte, compatibility, constraints);
    return E_OK;
}
